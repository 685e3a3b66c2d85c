"""Other voices, channels and noise for frames of cepstra: drawn, then applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["Bend", "bend", "draw_bend"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """What to do to an utterance: draw it, then apply it with :func:`bend`.

    Attributes:
        speed: above 1 is faster.
        shift, gain: (F,) added to each coefficient, in its standard deviations, and its factor: a
            channel and a voice.
        noise: (T', F) to be added, T' frames after the change of speed.
        gaps: frames (first, behind the last) to be blotted out.
        band: coefficients to be blotted out.
    """

    speed: float
    shift: FloatArray
    gain: FloatArray
    noise: FloatArray
    gaps: tuple[tuple[int, int], ...]
    band: tuple[int, int]


def draw_bend(rng: np.random.Generator, frames: int, size: int, strength: float = 1.0) -> Bend:
    """Draw a bend for ``frames`` frames of ``size`` coefficients; ``strength`` 0 changes nothing.

    Source: what is blotted out, Park et al. 2019, arXiv:1904.08779.
    """
    if not 0 <= strength <= 2:
        raise ConfigError(f"strength={strength}: need 0 to 2")
    speed = float(np.exp(rng.uniform(-0.17, 0.17) * strength))
    count = max(1, round(frames / speed))
    widths = rng.integers(0, round(20 * strength) + 1, 2)
    starts = [int(rng.integers(0, max(1, count - w))) for w in widths]
    wide = int(rng.integers(0, round(3 * strength) + 1))
    low = int(rng.integers(0, size - wide))
    return Bend(
        speed=speed,
        shift=rng.normal(0, 0.25 * strength, size).astype(np.float32),
        gain=np.exp(rng.normal(0, 0.08 * strength, size)).astype(np.float32),
        noise=rng.normal(0, rng.uniform(0, 0.4 * strength), (count, size)).astype(np.float32),
        gaps=tuple((s, s + int(w)) for s, w in zip(starts, widths, strict=True)),
        band=(low, low + wide),
    )


def bend(frames: FloatArray, how: Bend) -> FloatArray:
    """Apply a bend to normalised frames (T, F): (T', F)."""
    count = len(how.noise)
    place = np.linspace(0, len(frames) - 1, count)
    before = np.floor(place).astype(int)
    behind = np.minimum(before + 1, len(frames) - 1)
    part = (place - before)[:, None].astype(np.float32)
    warped = frames[before] * (1 - part) + frames[behind] * part
    result = np.asarray(warped * how.gain + how.shift + how.noise, np.float32)
    for first, last in how.gaps:
        result[first:last] = 0
    result[:, how.band[0] : how.band[1]] = 0
    return result
