"""The trigger recipe: a phrase, synthetic voices and a pack in, a calibrated int8 bundle out.

Stages: plan, synthesize, pack, cut windows, fit, quantise, calibrate, measure, write the bundle.
Each leaves its result in the work folder and is not done again when it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.bundle import Bundle
from wakeword.errors import BundleError, ConfigError
from wakeword_train.data.corpus import Corpus, build_corpus
from wakeword_train.data.manifest import read_clips, trains
from wakeword_train.data.pack import Joined, Pack, build_pack, join, key_of, long_groups
from wakeword_train.data.splits import SPLITS_FILE, read_splits
from wakeword_train.data.windows import LONG_KINDS, Group, build_windows, open_windows
from wakeword_train.fit import fit, read_losses
from wakeword_train.models.trigger import PRESETS, build, save_weights
from wakeword_train.recipes.config import Recipe
from wakeword_train.ship import calibrate, commit, ledger, measure, quantise, rewrite
from wakeword_train.synth import find_engines, spoken_of, synthesize
from wakeword_train.testset import read_corpus, says

__all__ = ["SHARE", "heads_of", "prepare", "run", "share_of", "speak", "train_model"]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]

# Of a batch; "long" takes what is left. Names are prefixes of group names. Few people say the
# words, so their clips are few in a batch: at 0.17 the model learned the people, not the word.
SHARE = {"real": 0.12, "synthetic": 0.25, "head": 0.22, "near": 0.05, "other": 0.01, "long": 0.0}
CALIBRATION_WINDOWS = 60  # set the int8 ranges


def share_of(names: Sequence[str]) -> dict[str, float]:
    """Share out a batch; without real clips of a word, synthetic ones take their place."""
    share = dict(SHARE)
    if not any(name.startswith("real ") for name in names):
        share["synthetic"] += share.pop("real")
    return share


def heads_of(recipe: Recipe, pack: Pack) -> dict[str, tuple[str, int]]:
    """Say what each word of the pack trains.

    Returns:
        Group of the pack to its new name and head: a word of the recipe, or a head of its own that
        is dropped on export. A label that contains a word, or is in ``without``, trains nothing.
    """
    known: dict[str, tuple[str, int]] = {}
    extra = len(recipe.words)
    for label in pack.labels:
        if label in recipe.without:
            continue
        if label in recipe.words and recipe.real:
            known[f"head {label}"] = (f"real {label}", recipe.words.index(label))
        elif not any(says(label, word) for word in recipe.words):
            known[f"head {label}"] = (f"head {label}", extra)
            extra += 1
    return known


def phrase_groups(corpus: Corpus, recipe: Recipe) -> list[Group]:
    """Sort the clips of the words, those close to them, and a user's own into groups of windows."""
    sorts: dict[str, list[int]] = {}
    long: dict[str, list[int]] = {}
    for index, item in enumerate(corpus.items):
        if item.kind == "near":
            sorts.setdefault("near", []).append(index)
        elif item.kind in ("synthetic", "wake"):
            sort = "synthetic" if item.kind == "synthetic" else "real"
            sorts.setdefault(f"{sort} {item.label}", []).append(index)
        elif item.kind in LONG_KINDS and item.label == "own":
            long.setdefault(f"{item.kind} own", []).append(index)
    sizes = recipe.windows
    counts = {"near": sizes.near, "real": sizes.real, "synthetic": sizes.synthetic}
    groups = []
    for name, items in sorted(sorts.items()):
        sort, _, word = name.partition(" ")
        label = recipe.words.index(word) if word else -1
        groups.append(Group(name, label, tuple(items), counts[sort]))
    return groups + (long_groups(long, corpus.items, sizes.long) if long else [])


def speak(
    recipe: Recipe,
    work: Path,
    voices: Path,
    *,
    processes: int = 2,
    progress: Progress = lambda *_: None,
) -> None:
    """Speak the clips of a recipe that are not there yet, a folder per word and one of its near."""
    config = recipe.synth
    engines = find_engines(["kokoro"], voices=voices)
    for word in recipe.words:
        jobs = (
            (word, {word: config.spellings[word]}, config.count),
            (f"near {word}", {f"near {word}": config.near.get(word, ())}, config.near_count),
        )
        for name, spellings, count in jobs:
            if not spellings[name] or not count:
                continue
            for done, total in synthesize(
                spellings, count, work / "synth" / name.replace(" ", "_"),
                engines=engines, seed=config.seed, processes=processes,
            ):  # fmt: skip
                progress(f"synthesize {name}", done, total)


def prepare(
    recipe: Recipe,
    pack: Pack,
    work: Path,
    voices: Path | None,
    *,
    processes: int = 2,
    progress: Progress = lambda *_: None,
) -> Joined:
    """Do the stages before training, those that are not done yet, and give what to train on.

    Args:
        recipe: what to make, planned.
        pack: what every word is trained with.
        work: folder of the results.
        voices: folder with Kokoro's two files; None takes the clips already in ``work``.
        processes: worker processes.
        progress: called with (stage, done, in all).
    """
    if voices is not None:
        speak(recipe, work, voices, processes=processes, progress=progress)
    spoken = [path for path in spoken_folders(recipe, work) if (path / "manifest.jsonl").is_file()]
    made_of = [(folder / "manifest.jsonl").read_text() for folder in spoken]
    sizes = recipe.windows
    path = work / f"phrase-{key_of(made_of, sizes, recipe.words, pack.key, recipe.seed)}"
    progress("gather clips", 0, 1)
    corpus = build_corpus(
        path / "corpus", work, [],
        synthetic=spoken, synthetic_morphs=sizes.synthetic_morphs, bank=pack.bank,
        seed=recipe.seed, processes=processes,
    )  # fmt: skip
    progress("gather clips", 1, 1)
    groups = phrase_groups(corpus, recipe)
    parts = [(pack.windows, heads_of(recipe, pack))]
    if groups:
        for done, total in build_windows(
            path / "windows", path / "corpus", groups, seed=recipe.seed, processes=processes
        ):
            progress("cut windows", done, total)
        own = open_windows(path / "windows", groups, seed=recipe.seed)
        words = {group.name: (group.name, group.label) for group in groups if group.label >= 0}
        parts.insert(0, (own, words))
    joined = join(parts)
    if missing := [w for n, w in enumerate(recipe.words) if not (joined.label == n).any()]:
        raise ConfigError(
            f"no clip of {', '.join(missing)}: name the voices that speak with --voices, "
            "or recordings with --positives"
        )
    return joined


def spoken_folders(recipe: Recipe, work: Path) -> list[Path]:
    """Name the folders of synthetic clips."""
    names = [n for word in recipe.words for n in (word, f"near {word}")]
    return [work / "synth" / name.replace(" ", "_") for name in names]


def train_model(
    recipe: Recipe,
    windows: Joined,
    run: Path,
    *,
    progress: Progress = lambda *_: None,
) -> Any:
    """Fit the recipe's model, or load it from ``run`` if it was fitted before.

    Returns:
        The Keras model with all heads; its weights are in ``run/model.weights.h5``.
    """
    import keras

    run.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    model = build(PRESETS[recipe.preset], int(windows.label.max()) + 1)
    done = run / "model.weights.h5"
    if done.is_file():
        model.load_weights(done)
        return model

    def report(batch: int, batches: int, loss: float) -> None:
        log.info("batch %d of %d: loss %.4f", batch, batches, loss)
        progress("fit", batch, batches)

    fit(
        model, windows,
        words=len(recipe.words), share=share_of(windows.names),
        stride=PRESETS[recipe.preset].stride, config=recipe.fit, seed=recipe.seed, folder=run,
        progress=report,
    )  # fmt: skip
    partial = run / "partial.weights.h5"
    model.save_weights(partial)
    partial.replace(done)
    return model


def pack_of(
    recipe: Recipe,
    work: Path,
    data: Path,
    *,
    splits: Path = SPLITS_FILE,
    processes: int = 2,
    progress: Progress = lambda *_: None,
) -> Pack:
    """Make the pack of a folder of recordings with ``manifest.tsv``, or open it if it is there."""
    parts = read_splits(splits)
    everything = read_clips(data)
    clips = [clip for clip in everything if parts.get(clip.file) == "train" and trains(clip)]
    rows = [row for row in ledger(everything, parts, {}) if row["used_for"] == "training"]
    return build_pack(work, data, clips, rows, recipe.pack, processes=processes, progress=progress)


def run(
    recipe: Recipe,
    work: Path,
    data: Path,
    voices: Path | None,
    out: Path,
    *,
    splits: Path = SPLITS_FILE,
    processes: int = 2,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Bundle:
    """Do everything, from recordings and voices to a measured bundle ``out/WORD_WORD.json``.

    Raises:
        BundleError: the bundle exists and ``force`` is not set.
        ConfigError: data is missing, or the dev part cannot hold the rate of false alarms.
    """
    name = "_".join(word.replace(" ", "_") for word in recipe.words)
    if not force and (taken := [p for p in out.glob(f"{name}.*") if p.suffix != ".toml"]):
        raise BundleError(f"{taken[0]}: exists; choose another --out, or --force to replace it")
    pack = pack_of(recipe, work, data, splits=splits, processes=processes, progress=progress)
    windows = prepare(recipe, pack, work, voices, processes=processes, progress=progress)
    config = PRESETS[recipe.preset]
    share = share_of(windows.names)
    folder = work / f"run-{key_of(recipe, share, config, pack.key)}"
    model = train_model(recipe, windows, folder, progress=progress)
    save_weights(model, len(recipe.words), folder / f"{name}.npz")
    draft = quantise(
        model, config, recipe.words,
        windows.take(np.arange(min(CALIBRATION_WINDOWS, len(windows.label)))),
        folder / "draft" / name, smooth_steps=recipe.smooth_steps, force=True,
    )  # fmt: skip
    decision = calibrate(
        draft, read_corpus(data, splits, "dev"), recipe.fa_per_hour,
        progress=lambda _, done, total: progress("calibrate", done, total),
    )  # fmt: skip
    chosen = rewrite(
        draft, decision=decision, operating_points={}, training={}, rows=[],
        path=folder / "draft" / name, force=True,
    )  # fmt: skip
    points = measure(
        chosen, read_corpus(data, splits, "test"),
        progress=lambda _, done, total: progress("measure", done, total),
    )  # fmt: skip
    spoken = {f.name: spoken_of(f) for f in spoken_folders(recipe, work) if f.is_dir()}
    facts = {
        "recipe": asdict(recipe), "model": asdict(config), "parameters": int(model.count_params()),
        "share": share, "commit": commit(), "loss": read_losses(folder),
    }  # fmt: skip
    return rewrite(
        chosen, decision=decision, operating_points=points, training=facts,
        rows=ledger(read_clips(data), read_splits(splits), spoken), path=out / name, force=force,
    )  # fmt: skip
