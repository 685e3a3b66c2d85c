"""Frames of cepstra: their mean taken out, as a stream too, and other voices and channels drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, ConfigError

__all__ = ["Bend", "Normaliser", "bend", "draw_bend"]

FloatArray = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Normaliser:
    """Takes out what stays: the microphone, the room, the level.

    Of a whole utterance the mean of its own frames. Of a stream the mean of the frames so far, as
    if ``prior`` frames like those of training had come before; so nothing looks ahead, and any
    chunking gives the same.

    Args:
        mean, deviation: (F,) of the frames of training.
        prior: frames that the mean of training counts for.
    """

    mean: FloatArray
    deviation: FloatArray
    prior: int = 100
    _sum: NDArray[np.float64] = field(init=False)
    _count: int = field(init=False)

    def __post_init__(self) -> None:
        if self.prior < 1:
            raise ConfigError(f"prior={self.prior}: need at least 1 frame")
        self.reset()

    @classmethod
    def of(cls, clips: Sequence[FloatArray], prior: int = 100) -> Normaliser:
        """Learn from clips of (T, F) frames."""
        frames = np.concatenate(clips)
        return cls(frames.mean(axis=0), np.maximum(frames.std(axis=0), 1e-3), prior)

    def reset(self) -> None:
        """Begin a new stream."""
        self._sum = self.mean.astype(np.float64) * self.prior
        self._count = self.prior

    def whole(self, frames: FloatArray) -> FloatArray:
        """Normalise an utterance (T, F) that has ended."""
        _check(frames, len(self.mean))
        if not len(frames):
            return frames
        return np.asarray((frames - frames.mean(axis=0)) / self.deviation, np.float32)

    def feed(self, frames: FloatArray) -> FloatArray:
        """Normalise the next frames (t, F) of a stream."""
        _check(frames, len(self.mean))
        if not len(frames):
            return frames
        sums = self._sum + np.cumsum(frames, axis=0, dtype=np.float64)
        counts = self._count + np.arange(1, len(frames) + 1)
        self._sum, self._count = sums[-1], int(counts[-1])
        return np.asarray((frames - sums / counts[:, None]) / self.deviation, np.float32)

    def stream(self, frames: FloatArray) -> FloatArray:
        """Normalise a whole recording as a stream would be."""
        self.reset()
        return self.feed(frames)


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


def _check(frames: FloatArray, size: int) -> None:
    if frames.ndim != 2 or frames.shape[1] != size:
        raise AudioFormatError(f"frames of shape {frames.shape}: need (frames, {size})")
    if not np.isfinite(frames).all():
        raise AudioFormatError("frames hold NaN or infinity: look at what made them")
