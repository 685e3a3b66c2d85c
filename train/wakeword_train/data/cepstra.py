"""Other voices, channels and noise for frames of cepstra: drawn, then applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["Bend", "bend", "draw_bend", "frequency_warp"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """What to do to an utterance: draw it, then apply it with :func:`bend`.

    Attributes:
        speed: above 1 is faster.
        mix: (F, F) that makes the voice of a longer or shorter throat; see :func:`frequency_warp`.
        shift, gain: (F,) added to each coefficient, in its standard deviations, and its factor: a
            channel and a voice.
        noise: (T', F) to be added, T' frames after the change of speed.
        gaps: frames (first, behind the last) to be blotted out.
        band: coefficients to be blotted out.
    """

    speed: float
    mix: FloatArray
    shift: FloatArray
    gain: FloatArray
    noise: FloatArray
    gaps: tuple[tuple[int, int], ...]
    band: tuple[int, int]


def frequency_warp(
    factor: float, size: int, *, low_hz: float = 130.0, high_hz: float = 6800.0, filters: int = 40
) -> NDArray[np.float64]:
    """Matrix (F, F) that turns cepstra into those of the same sound with all frequencies scaled.

    Cepstra are the first coefficients of the cosine transform of the logarithms of mel filters. So
    they give these back, smoothed, at any place; read at the places of f / factor and transformed
    again they are warped. It is linear, so it goes through a mean taken out.

    Args:
        factor: above 1 raises every resonance, as in a shorter throat.
        size: F, coefficients.
        low_hz, high_hz, filters: of the filters; those of AN4.

    Source: Pitz and Ney 2005, doi:10.1109/TSA.2005.848881.

    >>> bool(np.allclose(frequency_warp(1.0, 13), np.eye(13)))
    True
    """
    if not 0.5 <= factor <= 2:
        raise ConfigError(f"factor={factor}: need 0.5 to 2")
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    step = (high - low) / (filters + 1)
    hz = 700 * (10 ** ((low + step * np.arange(1, filters + 1)) / 2595) - 1)
    there = (2595 * np.log10(1 + hz / factor / 700) - low) / step - 1
    there = np.clip(there, 0, filters - 1)
    wave = np.pi * np.arange(size)[:, None] / filters
    weight = np.where(np.arange(size) == 0, 1, 2) / filters
    back = np.cos(wave * (there + 0.5)).T * weight  # (filters, F)
    return np.asarray(np.cos(wave * (np.arange(filters) + 0.5)) @ back)


def draw_bend(
    rng: np.random.Generator, frames: int, deviation: FloatArray, strength: float = 1.0
) -> Bend:
    """Draw a bend for ``frames`` frames; ``strength`` 0 changes nothing.

    ``deviation`` (F,) is what the coefficients were divided by.

    Source: what is blotted out, Park et al. 2019, arXiv:1904.08779.
    """
    if not 0 <= strength <= 2:
        raise ConfigError(f"strength={strength}: need 0 to 2")
    size = len(deviation)
    speed = float(np.exp(rng.uniform(-0.17, 0.17) * strength))
    warp = frequency_warp(float(np.exp(rng.uniform(-0.2, 0.2) * strength)), size)
    count = max(1, round(frames / speed))
    widths = rng.integers(0, round(20 * strength) + 1, 2)
    starts = [int(rng.integers(0, max(1, count - w))) for w in widths]
    wide = int(rng.integers(0, round(3 * strength) + 1))
    low = int(rng.integers(0, size - wide))
    return Bend(
        speed=speed,
        mix=(warp * deviation / deviation[:, None]).astype(np.float32),
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
    result = np.asarray(warped @ how.mix.T * how.gain + how.shift + how.noise, np.float32)
    for first, last in how.gaps:
        result[first:last] = 0
    result[:, how.band[0] : how.band[1]] = 0
    return result
