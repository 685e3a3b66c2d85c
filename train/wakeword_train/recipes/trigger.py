"""The trigger recipe: recordings and synthetic voices in, a calibrated int8 bundle out.

Stages: synthesize, decode, cut windows, fit, quantise, calibrate on the dev part, write the bundle.
Each leaves its result in the work folder and is not done again when it is there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.bundle import Bundle
from wakeword.errors import BundleError
from wakeword_train.data.corpus import SPOKEN, Corpus, build_corpus
from wakeword_train.data.manifest import read_clips, trains
from wakeword_train.data.splits import SPLITS_FILE, read_splits
from wakeword_train.data.synth import spoken_of, synthesize
from wakeword_train.data.windows import (
    LONG_KINDS,
    Group,
    Windows,
    build_windows,
    open_windows,
)
from wakeword_train.fit import fit, read_losses
from wakeword_train.models.trigger import PRESETS, build, save_weights
from wakeword_train.recipes.config import Recipe, SynthConfig
from wakeword_train.ship import calibrate, commit, ledger, measure, quantise, rewrite
from wakeword_train.testset import read_corpus

__all__ = [
    "SHARE",
    "groups_of",
    "prepare",
    "run",
    "speak",
    "train_model",
]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]

# Of a batch; "long" takes what is left. Names are prefixes of group names. Few people say the
# words, so their clips are few in a batch: at 0.17 the model learned the people, not the word.
SHARE = {
    "real": 0.12,
    "synthetic": 0.25,
    "head": 0.20,
    "near": 0.04,
    "other": 0.01,
    "long": 0.0,
}

CALIBRATION_WINDOWS = 60  # set the int8 ranges


def groups_of(corpus: Corpus, recipe: Recipe) -> list[Group]:
    """Sort the items of a corpus into groups of windows."""
    names = [*recipe.words, *recipe.heads]
    sorts: dict[str, list[int]] = {}
    for index, item in enumerate(corpus.items):
        if item.kind == "near":
            sorts.setdefault(item.kind, []).append(index)
        elif item.kind == "synthetic":
            sorts.setdefault(f"synthetic {item.label}", []).append(index)
        elif item.kind in LONG_KINDS:
            # Each collection by itself, so that one long reader does not speak for all.
            rest = f"{item.kind} {item.label}" if item.kind in SPOKEN else item.kind
            sorts.setdefault(f"long {rest}", []).append(index)
        elif item.label in recipe.words:
            sorts.setdefault(f"real {item.label}", []).append(index)
        elif item.label in recipe.heads:
            sorts.setdefault(f"head {item.label}", []).append(index)
        elif item.kind != "rir":
            sorts.setdefault("other", []).append(index)
    # Long streams hold more than short clips: an item counts once for every 10 s in it.
    for name in [n for n in sorts if n.startswith("long")]:
        sorts[name] = [
            index
            for index in sorts[name]
            for _ in range(1 + (corpus.items[index].stop - corpus.items[index].start) // 160_000)
        ]
    config = recipe.windows
    counts = {
        "near": config.near, "real": config.real, "synthetic": config.synthetic,
        "head": config.head, "other": config.other,
    }  # fmt: skip
    parts = {"speech": 0.6, "sentence": 0.2, "noise": 0.2}
    groups = []
    for name, items in sorted(sorts.items()):
        sort, _, rest = name.partition(" ")
        alike = sum(n.startswith(f"{sort} {rest.split()[0]} ") for n in sorts) if rest else 1
        count = counts.get(sort, 0)
        if sort == "long":
            count = round(config.long * parts[rest.split()[0]] / max(alike, 1))
        label = names.index(rest) if sort in ("real", "synthetic", "head") else -1
        groups.append(Group(name, label, tuple(items), count))
    return groups


def synthesis_jobs(config: SynthConfig) -> dict[str, tuple[dict[str, Sequence[str]], int]]:
    """List what to speak: folder to (label to spellings, clips of each label)."""
    return {
        "words": (dict(config.spellings), config.count),
        "near": ({f"near {w}": s for w, s in config.near.items()}, config.near_count),
    }


def speak(
    recipe: Recipe,
    work: Path,
    voices: Path,
    *,
    processes: int = 2,
    progress: Progress = lambda *_: None,
) -> None:
    """Speak the clips of a recipe that are not there yet into ``work/synth``."""
    for name, (spellings, count) in synthesis_jobs(recipe.synth).items():
        if not spellings or not count:
            continue
        for done, total in synthesize(
            spellings, count, work / "synth" / name,
            model_dir=voices, seed=recipe.synth.seed, processes=processes,
        ):  # fmt: skip
            progress(f"synthesize {name}", done, total)


def prepare(
    recipe: Recipe,
    work: Path,
    data: Path,
    voices: Path | None,
    *,
    splits: Path = SPLITS_FILE,
    processes: int = 2,
    progress: Progress = lambda *_: None,
) -> Windows:
    """Do the stages before training, those that are not done yet, and give what to train on.

    Args:
        recipe: what to make.
        work: folder of the results.
        data: folder of recordings with ``manifest.tsv``.
        voices: folder with Kokoro's two files; None takes the clips already in ``work``.
        splits: which recordings belong to the training part.
        processes: worker processes.
        progress: called with (stage, done, in all).
    """
    if voices is not None:
        speak(recipe, work, voices, processes=processes, progress=progress)
    parts = read_splits(splits)
    clips = [clip for clip in read_clips(data) if parts.get(clip.file) == "train" and trains(clip)]
    spoken = sorted(path.parent for path in (work / "synth").glob("*/manifest.jsonl"))
    made_of = [f"{clip.file} {clip.source}" for clip in clips]
    made_of += [(folder / "manifest.jsonl").read_text() for folder in spoken]
    sizes = recipe.windows
    morphs = (sizes.morphs, sizes.synthetic_morphs, sizes.talk_morphs)
    path = work / f"corpus-{_key(made_of, morphs, recipe.words, recipe.seed)}"
    progress("decode", 0, 1)
    corpus = build_corpus(
        path, data, clips,
        synthetic=spoken,
        morphs=dict.fromkeys(recipe.words, sizes.morphs),
        synthetic_morphs=sizes.synthetic_morphs,
        talk_morphs=sizes.talk_morphs,
        seed=recipe.seed, processes=processes,
    )  # fmt: skip
    progress("decode", 1, 1)
    groups = groups_of(corpus, recipe)
    cached = work / f"windows-{_key(path.name, groups, recipe.seed)}"
    for done, total in build_windows(
        cached, path, groups, seed=recipe.seed, processes=processes
    ):  # fmt: skip
        progress("windows", done, total)
    return open_windows(cached, groups, seed=recipe.seed)


def _key(*parts: object) -> str:
    """Name a stage after what it is made of, so that a changed recipe makes it anew."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def train_model(
    recipe: Recipe,
    windows: Windows,
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
    model = build(PRESETS[recipe.preset], len(recipe.words) + len(recipe.heads))
    done = run / "model.weights.h5"
    if done.is_file():
        model.load_weights(done)
        return model

    def report(batch: int, batches: int, loss: float) -> None:
        log.info("batch %d of %d: loss %.4f", batch, batches, loss)
        progress("fit", batch, batches)

    fit(
        model, windows,
        words=len(recipe.words), share=SHARE, stride=PRESETS[recipe.preset].stride,
        config=recipe.fit, seed=recipe.seed, folder=run, progress=report,
    )  # fmt: skip
    partial = run / "partial.weights.h5"
    model.save_weights(partial)
    partial.replace(done)
    return model


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
    windows = prepare(
        recipe, work, data, voices, splits=splits, processes=processes, progress=progress
    )
    folder = work / f"run-{_key(recipe, SHARE, PRESETS[recipe.preset])}"
    model = train_model(recipe, windows, folder, progress=progress)
    save_weights(model, len(recipe.words), folder / f"{name}.npz")
    draft = quantise(
        model, PRESETS[recipe.preset], recipe.words,
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
    spoken = {
        path.parent.name: spoken_of(path.parent)
        for path in sorted((work / "synth").glob("*/manifest.jsonl"))
    }
    facts = {
        "recipe": asdict(recipe), "model": asdict(PRESETS[recipe.preset]),
        "parameters": int(model.count_params()), "share": SHARE, "commit": commit(),
        "loss": read_losses(folder),
    }  # fmt: skip
    return rewrite(
        chosen, decision=decision, operating_points=points, training=facts,
        rows=ledger(read_clips(data), read_splits(splits), spoken), path=out / name, force=force,
    )  # fmt: skip
