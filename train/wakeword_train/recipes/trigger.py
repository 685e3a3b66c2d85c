"""The trigger recipe: recordings and synthetic voices in, a calibrated int8 bundle out.

Stages: synthesize, decode, cut windows, fit, quantise, calibrate on the dev part, write the bundle.
Each leaves its result in the work folder and is not done again when it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.data.corpus import Corpus, build_corpus, open_corpus
from wakeword_train.data.manifest import may_ship, read_clips
from wakeword_train.data.splits import SPLITS_FILE, read_splits
from wakeword_train.data.synth import synthesize
from wakeword_train.data.windows import LONG_KINDS, Group, build_windows, open_windows
from wakeword_train.fit import FitConfig, fit
from wakeword_train.models.trigger import PRESETS, build

__all__ = ["SHARE", "Recipe", "find_recipe", "groups_of", "prepare", "read_recipe", "train_model"]

log = logging.getLogger(__name__)

# Of a batch; "long" takes what is left. Names are prefixes of group names.
SHARE = {
    "real": 0.17,
    "synthetic": 0.19,
    "head": 0.18,
    "near": 0.07,
    "other": 0.05,
    "long": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthConfig:
    """Clips to speak: of each word, and of phrases close to it."""

    count: int = 1_000
    near_count: int = 300
    seed: int = 1
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    near: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Windows to cut: per word real and synthetic, per other word, and of ordinary sound."""

    real: int = 3_000
    synthetic: int = 4_000
    head: int = 1_000
    near: int = 2_400
    other: int = 1_500
    long: int = 12_000
    morphs: int = 6
    synthetic_morphs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a model, read from TOML over these defaults."""

    words: tuple[str, ...]
    heads: tuple[str, ...] = ()
    preset: str = "small"
    seed: int = 1
    synth: SynthConfig = SynthConfig()
    windows: WindowConfig = WindowConfig()
    fit: FitConfig = FitConfig()

    def __post_init__(self) -> None:
        if not self.words:
            raise ConfigError("words=[]: name at least one word")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset={self.preset!r}: choose one of {', '.join(PRESETS)}")
        if both := set(self.words) & set(self.heads):
            raise ConfigError(f"{sorted(both)} are in words and in heads: leave each in one")


def find_recipe(name: str) -> Path:
    """Find a recipe by path, or by the name of one that comes with the package."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ConfigError(f"{path}: no such recipe file")
        return path
    own = Path(__file__).with_name(f"{name}.toml")
    if not own.is_file():
        have = ", ".join(sorted(p.stem for p in Path(__file__).parent.glob("*.toml")))
        raise ConfigError(f"recipe {name!r} is unknown: give a .toml file or one of {have}")
    return own


def _section(cls: type[Any], table: Mapping[str, Any], where: str) -> Any:
    """Build one frozen section; an unknown key is an error."""
    known = set(cls.__dataclass_fields__)
    if unknown := set(table) - known:
        raise ConfigError(f"{where}: unknown {sorted(unknown)}: known are {sorted(known)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    return cls(**values)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: not TOML, an unknown key, or a value out of range.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found,no-redef]
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc
    sections = {"synth": SynthConfig, "windows": WindowConfig, "fit": FitConfig}
    for name, cls in sections.items():
        table[name] = _section(cls, table.get(name, {}), f"{path} [{name}]")
    recipe: Recipe = _section(Recipe, table, str(path))
    return recipe


def groups_of(corpus: Corpus, recipe: Recipe) -> list[Group]:
    """Sort the items of a corpus into groups of windows."""
    names = [*recipe.words, *recipe.heads]
    sorts: dict[str, list[int]] = {}
    for index, item in enumerate(corpus.items):
        if item.kind == "near":
            sorts.setdefault("near", []).append(index)
        elif item.kind == "synthetic":
            sorts.setdefault(f"synthetic {item.label}", []).append(index)
        elif item.kind in LONG_KINDS:
            sorts.setdefault(f"long {item.kind}", []).append(index)
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
    parts = {"speech": 0.55, "sentence": 0.2, "noise": 0.25}
    groups = []
    for name, items in sorted(sorts.items()):
        sort, _, rest = name.partition(" ")
        count = round(config.long * parts[rest]) if sort == "long" else counts[sort]
        label = names.index(rest) if sort in ("real", "synthetic", "head") else -1
        groups.append(Group(name, label, tuple(items), count))
    return groups


def prepare(
    recipe: Recipe,
    work: Path,
    data: Path,
    voices: Path | None,
    *,
    splits: Path = SPLITS_FILE,
    processes: int = 2,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Do the stages before training, those that are not done yet.

    Args:
        recipe: what to make.
        work: folder of the results.
        data: folder of recordings with ``manifest.tsv``.
        voices: folder with Kokoro's two files; None takes the clips already in ``work``.
        splits: which recordings belong to the training part.
        processes: worker processes.
        progress: called with (stage, done, in all).
    """
    jobs = {
        "words": (dict(recipe.synth.spellings), recipe.synth.count),
        "near": ({f"near {w}": s for w, s in recipe.synth.near.items()}, recipe.synth.near_count),
    }
    for name, (spellings, count) in jobs.items():
        if voices is None or not spellings or not count:
            continue
        for done, total in synthesize(
            spellings, count, work / "synth" / name,
            model_dir=voices, seed=recipe.synth.seed, processes=processes,
        ):  # fmt: skip
            progress(f"synthesize {name}", done, total)
    parts = read_splits(splits)
    clips = [
        clip
        for clip in read_clips(data)
        if parts.get(clip.file) == "train" and clip.kind != "music" and may_ship(clip.licence)
    ]
    spoken = [f for n in jobs if (f := work / "synth" / n).joinpath("manifest.jsonl").is_file()]
    progress("decode", 0, 1)
    corpus = build_corpus(
        work / "corpus", data, clips,
        synthetic=spoken,
        morphs=dict.fromkeys(recipe.words, recipe.windows.morphs),
        synthetic_morphs=recipe.windows.synthetic_morphs,
        seed=recipe.seed, processes=processes,
    )  # fmt: skip
    progress("decode", 1, 1)
    for done, total in build_windows(
        work / "windows", work / "corpus", groups_of(corpus, recipe),
        seed=recipe.seed, processes=processes,
    ):  # fmt: skip
        progress("windows", done, total)


def train_model(
    recipe: Recipe,
    work: Path,
    run: Path,
    *,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Any:
    """Fit the recipe's model on the windows in ``work``, or load it from ``run``.

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
    windows = open_windows(
        work / "windows", groups_of(open_corpus(work / "corpus"), recipe), seed=recipe.seed
    )

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
