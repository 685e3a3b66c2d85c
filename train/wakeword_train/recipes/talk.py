"""Synthetic talk: sentences of words as they come, by every engine there is, without sense.

Ordinary sound by people is scarce where licences are clear; what such talk adds is what no few
readers say: all sounds of the language in all orders, by many voices.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from wakeword_train.data.lexicon import read_lexicon
from wakeword_train.synth import find_engines, synthesize

__all__ = ["sentences", "speak_talk", "talk_folder"]

# Of each engine: what costs a tenth of the time may say more.
SHARES = {"kokoro": 0.3, "piper": 8.0, "espeak": 4.0}
Progress = Callable[[str, int, int], None]


def sentences(count: int, seed: int) -> list[str]:
    """Draw sentences of three to eight words, in phonemes; the words used most come most often.

    >>> 3 <= len(sentences(1, seed=1)[0].split()) <= 8
    True
    """
    rng = np.random.default_rng([seed, 2])
    spoken = [phonemes for _, phonemes in read_lexicon()]
    found = []
    for _ in range(count):
        # By rank, evenly on a logarithmic scale from the tenth word on.
        ranks = 10 ** rng.uniform(1, np.log10(len(spoken) - 1), int(rng.integers(3, 9)))
        found.append(" ".join(spoken[int(rank)] for rank in ranks))
    return found


def talk_folder(work: Path) -> Path:
    """Name the folder of the talk."""
    return work / "synth" / "talk"


def speak_talk(
    work: Path,
    count: int,
    voices: Path | None,
    *,
    seed: int = 1,
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> Path:
    """Speak the talk that is not there yet; returns its folder."""
    out = talk_folder(work)
    # Not flite: its voices lack some pairs of sounds, and fail where one comes.
    engines = [engine for engine in find_engines(None, voices=voices) if engine.name in SHARES]
    for done, total in synthesize(
        {"talk": sentences(2 * count, seed)}, count, out,
        engines=engines, seed=seed, processes=processes, shares=SHARES, ray=ray,
    ):  # fmt: skip
        progress("synthesize talk", done, total)
    return out
