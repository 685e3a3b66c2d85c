"""The trigger recipe: a phrase, synthetic voices and a pack in, a trained model out.

Here are the stages up to the trained model: synthesize, cut windows, fit. Each leaves its result in
the work folder and is not done again when it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.checkpoints import Check
from wakeword_train.crew import ALONE, Crew
from wakeword_train.data.corpus import Corpus, build_corpus
from wakeword_train.data.manifest import Clip
from wakeword_train.data.pack import Joined, Pack, join, key_of, long_groups
from wakeword_train.data.windows import LONG_KINDS, Group, build_windows, open_windows
from wakeword_train.fit import fit
from wakeword_train.models.backbone import backbone_labels, shipped_backbone, start_from
from wakeword_train.models.trigger import build, side_by_side
from wakeword_train.recipes.config import Recipe
from wakeword_train.synth import find_engines, synthesize
from wakeword_train.testset import label_of, says

__all__ = [
    "SHARE",
    "Progress",
    "backbone_of",
    "heads_of",
    "held_out",
    "labels_of",
    "prepare",
    "share_of",
    "speak",
    "spoken_folders",
    "train_model",
]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]

# Of a batch; "long" takes what is left. Names are prefixes of group names. Few people say the
# words, so their clips are few in a batch: at 0.17 the model learned the people, not the word. Of
# phrases close to a word one or two are enough: at 0.05 they took the word with them.
SHARE = {"real": 0.12, "synthetic": 0.25, "head": 0.22, "near": 0.01, "other": 0.01, "long": 0.0}
HELD_OUT_SEED = 1_000  # added to the seed of the clips


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
    words = [label_of(word) for word in recipe.words]
    extra = len(recipe.words)
    for label in pack.labels:
        if label in recipe.without:
            continue
        if label in words and recipe.real:
            known[f"head {label}"] = (f"real {label}", words.index(label))
        elif not any(says(label, word) for word in recipe.words):
            known[f"head {label}"] = (f"head {label}", extra)
            # What people and machines say alike, on one head.
            known[f"spoken {label}"] = (f"head {label} spoken", extra)
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
    each = sizes.synthetic // len(recipe.words)
    counts = {"near": sizes.near, "real": sizes.real, "synthetic": each}
    groups = []
    for name, items in sorted(sorts.items()):
        sort, _, word = name.partition(" ")
        label = recipe.words.index(word) if word else -1
        groups.append(Group(name, label, tuple(items), counts[sort]))
    return groups + (long_groups(long, corpus.items, sizes.long) if long else [])


def speak(
    recipe: Recipe,
    work: Path,
    voices: Path | None,
    *,
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> None:
    """Speak the clips of a recipe that are not there yet.

    Each word has a folder, those close to it another, and a third has the word by speakers mixed
    anew, who choose the threshold where nobody else says it.
    """
    config = recipe.synth
    engines = find_engines(config.engines or None, voices=voices, language=recipe.language)
    for word in recipe.words:
        said, near = config.spellings[word], config.near.get(word, ())
        jobs = (
            (_folder(work, word), word, said, config.count, config.seed),
            (_folder(work, f"near {word}"), f"near {word}", near, config.near_count, config.seed),
            (held_out(work, word), word, said, config.held_out, config.seed + HELD_OUT_SEED),
        )
        for folder, label, spellings, count, seed in jobs:
            if not spellings or not count:
                continue
            for done, total in synthesize(
                {label: spellings}, count, folder,
                engines=engines, seed=seed, processes=processes, ray=ray,
            ):  # fmt: skip
                progress(f"synthesize {folder.name}", done, total)


def _folder(work: Path, label: str) -> Path:
    """Name the folder of the clips of a label."""
    return work / "synth" / label_of(label)


def held_out(work: Path, word: str) -> Path:
    """Name the folder of synthetic clips of a word that never train."""
    return _folder(work, f"{word} held out")


def spoken_folders(recipe: Recipe, work: Path) -> list[Path]:
    """Name the folders of synthetic clips that train."""
    return [_folder(work, n) for word in recipe.words for n in (word, f"near {word}")]


def prepare(
    recipe: Recipe,
    pack: Pack,
    work: Path,
    own: Sequence[Clip],
    *,
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> Joined:
    """Do the stages before training, those that are not done yet, and give what to train on.

    Args:
        recipe: what to make, planned.
        pack: what every word is trained with.
        work: folder of the results, with the synthetic clips.
        own: a user's recordings that train, of kind "wake" or a kind of ordinary sound.
        processes: worker processes.
        ray: address of a Ray cluster, to work there.
        progress: called with (stage, done, in all).

    Raises:
        ConfigError: nobody says a word, neither in a recording nor by a machine.
    """
    spoken = [path for path in spoken_folders(recipe, work) if (path / "manifest.jsonl").is_file()]
    made_of = [(folder / "manifest.jsonl").read_text() for folder in spoken]
    made_of += [f"{clip.file} {clip.label}" for clip in own]
    sizes = recipe.windows
    key = key_of(made_of, sizes, recipe.words, pack.key, recipe.augment, recipe.seed)
    path = work / f"phrase-{key}"
    progress("gather clips", 0, 1)
    corpus = build_corpus(
        path, work, own,
        synthetic=spoken, morphs=dict.fromkeys(recipe.words, sizes.morphs),
        synthetic_morphs=sizes.synthetic_morphs, bank=pack.bank, seed=recipe.seed,
        processes=processes, ray=ray,
    )  # fmt: skip
    progress("gather clips", 1, 1)
    groups = phrase_groups(corpus, recipe)
    parts = [(pack.windows, heads_of(recipe, pack))]
    if groups:
        # Beside the clips, where all words share the rooms that are computed.
        shards = work / f"windows-{key}"
        for done, total in build_windows(
            shards, path, groups,
            seed=recipe.seed, processes=processes, augment=recipe.augment, ray=ray,
        ):  # fmt: skip
            progress("cut windows", done, total)
        cut = open_windows(shards, groups, seed=recipe.seed)
        words = {group.name: (group.name, group.label) for group in groups if group.label >= 0}
        parts.insert(0, (cut, words))
    joined = join(parts)
    if missing := [w for n, w in enumerate(recipe.words) if not (joined.label == n).any()]:
        raise ConfigError(
            f"no clip of {', '.join(missing)}: name the voices that speak with --voices, "
            "or recordings with --positives"
        )
    return joined


def labels_of(windows: Joined, words: Sequence[str]) -> list[str]:
    """Say what each head means: the words, then labels of the pack."""
    found = {head: label_of(word) for head, word in enumerate(words)}
    for number in np.unique(windows.group[windows.label >= len(words)]):
        head = int(windows.label[windows.group == number][0])
        found[head] = windows.names[number].split()[1]
    return [found[head] for head in sorted(found)]


def backbone_of(recipe: Recipe) -> Path | None:
    """Find what to start from: nothing that heard people say a word nobody is to have said."""
    path = shipped_backbone(recipe.preset) if recipe.backbone else None
    if path is None or recipe.real:
        return path
    known = backbone_labels(path)
    return None if any(says(one, word) for one in known for word in recipe.words) else path


def train_model(
    recipe: Recipe,
    windows: Joined,
    run: Path,
    *,
    backbone: Path | None = None,
    check: Check | None = None,
    crew: Crew = ALONE,
    progress: Progress = lambda *_: None,
) -> Any:
    """Fit the recipe's model, or load it from ``run`` if it was fitted before.

    It starts from ``backbone``, where one is given. Members are fitted one by one, in folders of
    their own within ``run``; the first is the model that the recipe with one member makes. Of
    several workers only the chief has the fitted weights afterwards for certain, and keeps them.

    Returns:
        The Keras model with all heads; the weights of each member are in ``model.weights.h5``.
    """
    import keras

    if recipe.members > 1:
        return _train_members(recipe, windows, run, backbone, check, crew, progress)
    run.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    model = build(recipe.model, int(windows.label.max()) + 1)
    done = run / "model.weights.h5"
    if crew.of_chief(b"done" if done.is_file() else b""):
        if crew.chief:
            model.load_weights(done)
        return model

    if backbone is not None:
        start_from(model, labels_of(windows, recipe.words), backbone)

    def report(batch: int, batches: int, loss: float) -> None:
        log.info("batch %d of %d: loss %.4f", batch, batches, loss)
        progress("fit", batch, batches)

    fit(
        model, windows,
        words=len(recipe.words), share=share_of(windows.names),
        stride=recipe.model.stride, config=recipe.fit, seed=recipe.seed, folder=run,
        check=check, progress=report, crew=crew,
    )  # fmt: skip
    if not crew.chief:
        return model
    partial = run / "partial.weights.h5"
    model.save_weights(partial)
    partial.replace(done)
    return model


def _train_members(
    recipe: Recipe,
    windows: Joined,
    run: Path,
    backbone: Path | None,
    check: Check | None,
    crew: Crew,
    progress: Progress,
) -> Any:
    """Fit the members on the same windows, each from a seed of its own."""
    models = []
    for number in range(1, recipe.members + 1):
        name = f"member {number} of {recipe.members}"

        def tell(stage: str, done: int, total: int, name: str = name) -> None:
            progress(f"{stage} {name}", done, total)

        log.info("%s", name)
        alone = replace(recipe, members=1, seed=recipe.seed + number - 1)
        model = train_model(
            alone, windows, run / f"member-{number}",
            backbone=backbone, check=check, crew=crew, progress=tell,
        )  # fmt: skip
        models.append(model)
    return side_by_side(models, recipe.model)
