"""Frames of cepstra with what stays taken out of them: the microphone, the room, the level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, BundleError, ConfigError

__all__ = ["Normaliser"]

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

    def to_json(self) -> dict[str, Any]:
        """Give plain values for a bundle."""
        mean, deviation = ([float(x) for x in v] for v in (self.mean, self.deviation))
        return {"mean": mean, "deviation": deviation, "prior": self.prior}

    @classmethod
    def from_json(cls, data: Any) -> Normaliser:
        """Read what :meth:`to_json` gave, from a stranger too.

        Raises:
            BundleError: anything else.
        """
        try:
            parts = [np.array(data[k], np.float32) for k in ("mean", "deviation")]
            prior = data["prior"]
            fits = parts[0].ndim == 1 and parts[0].shape == parts[1].shape
            if not fits or not np.isfinite(parts).all() or parts[1].min() <= 0:
                raise ValueError("need as many finite means as deviations above 0")
            if not isinstance(prior, int):
                raise ValueError("need a whole number for prior")
            return cls(parts[0], parts[1], prior)
        except (KeyError, TypeError, ValueError, ConfigError) as exc:
            raise BundleError(f"normaliser: {exc}; export the model again") from exc

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


def _check(frames: FloatArray, size: int) -> None:
    if frames.ndim != 2 or frames.shape[1] != size:
        raise AudioFormatError(f"frames of shape {frames.shape}: need (frames, {size})")
    if not np.isfinite(frames).all():
        raise AudioFormatError("frames hold NaN or infinity: look at what made them")
