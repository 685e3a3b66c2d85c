"""What decides a trigger model: a TOML file over the defaults here. Unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wakeword.daemon.tables import read_toml
from wakeword.errors import ConfigError
from wakeword_train.data.augment import USUAL, AugmentConfig
from wakeword_train.data.pack import PackConfig
from wakeword_train.fit import FitConfig
from wakeword_train.models.trigger import PRESETS, TriggerConfig

__all__ = ["Recipe", "SynthConfig", "WindowConfig", "find_recipe", "read_recipe"]

MOST_MEMBERS = 8  # each takes as long to train, and as much to run, as one alone


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthConfig:
    """Clips to speak: of each word, and of phrases close to it.

    ``held_out`` clips of each word never train. ``engines`` are all that are there, if empty.
    """

    engines: tuple[str, ...] = ()
    count: int = 1_000
    near_count: int = 300
    held_out: int = 120
    seed: int = 1
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    near: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Windows to cut: synthetic ones of all words together, per word of own clips, of those close.

    A window drawn ten times in a run is learned by heart: 10,000 synthetic ones were too few.
    """

    synthetic: int = 30_000
    near: int = 1_500
    real: int = 3_000
    long: int = 4_000
    morphs: int = 6
    synthetic_morphs: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a model, read from TOML over these defaults.

    ``real`` False leaves out recordings of the words themselves; ``without`` names labels of the
    pack that train nothing; ``backbone`` starts from the one of the preset, where there is one.
    ``members`` models of the preset, each from a seed of its own, run side by side as one.
    """

    words: tuple[str, ...]
    preset: str = "small"
    language: str = "en-us"
    seed: int = 1
    real: bool = True
    without: tuple[str, ...] = ()
    backbone: bool = True
    members: int = 1
    synth: SynthConfig = field(default_factory=SynthConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    augment: AugmentConfig = USUAL
    fit: FitConfig = field(default_factory=FitConfig)
    fa_per_hour: float = 1.0
    smooth_steps: int = 5

    def __post_init__(self) -> None:
        if not self.words:
            raise ConfigError("words=[]: name at least one word")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset={self.preset!r}: choose one of {', '.join(PRESETS)}")
        if not 1 <= self.members <= MOST_MEMBERS:
            raise ConfigError(f"members={self.members}: need 1 to {MOST_MEMBERS}")

    @property
    def model(self) -> TriggerConfig:
        """Sizes of the model."""
        return replace(PRESETS[self.preset], members=self.members)


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
        ConfigError: it cannot be read, is not TOML, has an unknown key, or a value out of range.
    """
    table = read_toml(path)
    sections = {
        "synth": SynthConfig, "pack": PackConfig, "windows": WindowConfig,
        "augment": AugmentConfig, "fit": FitConfig,
    }  # fmt: skip
    for name, cls in sections.items():
        table[name] = _section(cls, table.get(name, {}), f"{path} [{name}]")
    recipe: Recipe = _section(Recipe, table, str(path))
    return recipe
