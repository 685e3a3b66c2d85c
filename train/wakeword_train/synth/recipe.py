"""What an engine is, and what it takes to make one clip again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = [
    "PUNCTUATION",
    "SHARES",
    "Engine",
    "MissingEngineError",
    "Recipe",
    "choose_engine",
    "draw",
    "stream",
]

PUNCTUATION = ("", ".", "!", "?", ",")
# How often each engine is taken, where it is there. Kokoro has the most natural voices and mixes
# them into speakers without number; espeak-ng and flite are robots, for a little variety.
SHARES = {"kokoro": 16.0, "piper": 4.0, "espeak": 0.6, "flite": 0.4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that is needed to make one clip again.

    Attributes:
        number: index of the clip among those of its label, from 0.
        label: the word or phrase.
        engine: name of the engine.
        phonemes: what is said, in IPA, and the punctuation after it.
        settings: what only this engine knows: voice, speed, pitch and the like.
    """

    number: int
    label: str
    engine: str
    phonemes: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Write the recipe as a flat row of the manifest."""
        own = {
            "number": self.number, "label": self.label, "engine": self.engine,
            "phonemes": self.phonemes,
        }  # fmt: skip
        return own | dict(self.settings)


class MissingEngineError(ConfigError):
    """An engine, or the files it needs, are not on this machine."""


class Engine(Protocol):
    """Speaks phonemes; the same recipe gives the same samples in any process.

    Small, hashable and picklable: it is sent to workers, and loads its model with its first clip.
    """

    @property
    def name(self) -> str:
        """What recipes call it."""

    @property
    def voices(self) -> Sequence[str]:
        """Voices to draw from."""

    @property
    def sounds(self) -> Collection[str]:
        """Symbols of IPA that it can say, punctuation and marks of stress among them."""

    @property
    def reads(self) -> Sequence[Path]:
        """Files to send to workers of other machines; there it opens them with `carried`."""

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        """Draw the recipe of clip ``number``; the spellings have these sounds only."""

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        """Speak a recipe: shape (N,) mono of any level, and its rate in Hz."""

    def fingerprints(self) -> dict[str, bytes]:
        """Tell how each voice sounds, so that two that sound the same are found out."""


def stream(seed: int, number: int, label: str, *more: str) -> np.random.Generator:
    """Make the random numbers of one clip: they depend on nothing but what is named here."""
    return np.random.default_rng([seed, number, *label.encode(), *"".join(more).encode()])


def draw(
    engine: Engine, number: int, label: str, spellings: Sequence[str], seed: int
) -> tuple[Recipe, np.random.Generator]:
    """Draw voice, pronunciation, punctuation, speed and pitch, as engines without mixing do.

    Returns:
        The recipe with ``voice``, ``speed`` (0.7 to 1.35, above 1 is faster) and ``pitch`` (0.85 to
        1.18, a ratio), and the generator, for what else the engine varies.

    Raises:
        ConfigError: no spelling or no voice.
    """
    if not spellings or not engine.voices:
        raise ConfigError(f"{label!r}: need at least one spelling and one voice of {engine.name}")
    rng = stream(seed, number, label, engine.name)
    settings = {
        "voice": str(rng.choice(np.asarray(engine.voices))),
        "speed": round(float(rng.uniform(0.7, 1.35)), 3),
        "pitch": round(float(rng.uniform(0.85, 1.18)), 3),
    }
    phonemes = str(rng.choice(np.asarray(spellings))) + str(rng.choice(np.asarray(PUNCTUATION)))
    recipe = Recipe(
        number=number, label=label, engine=engine.name, phonemes=phonemes, settings=settings
    )
    return recipe, rng


def choose_engine(
    engines: Sequence[Engine], number: int, label: str, seed: int, shares: Mapping[str, float]
) -> Engine:
    """Choose who speaks clip ``number``.

    Each engine draws a waiting time, shorter the larger its share, from the seed, the clip and its
    own name alone; the shortest wins. So another engine takes clips from those that were there, and
    changes no other clip.

    Args:
        engines: at least one.
        number: of the clip.
        label: the word or phrase.
        seed: of the clips.
        shares: weight of an engine by its name; 1 where it is not named.
    """
    waits = []
    for engine in engines:
        first = stream(seed, number, label, engine.name, " share").exponential()
        waits.append(first / shares.get(engine.name, 1.0))
    return engines[int(np.argmin(waits))]
