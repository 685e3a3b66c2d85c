"""The last few seconds of sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ring"]


class Ring:
    """Keeps the newest samples, in a fixed piece of memory.

    Args:
        size: samples kept, at least 1.

    >>> ring = Ring(4)
    >>> ring.feed(np.arange(6, dtype=np.int16))
    >>> ring.last(3).tolist(), ring.last(9).tolist()
    ([3, 4, 5], [2, 3, 4, 5])
    """

    def __init__(self, size: int) -> None:
        self._held = np.zeros(size, np.int16)
        self._at = 0
        self._count = 0

    def reset(self) -> None:
        """Forget all."""
        self._at = self._count = 0

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Take samples (N,)."""
        size = len(self._held)
        newest = samples[-size:]
        first = min(len(newest), size - self._at)
        self._held[self._at : self._at + first] = newest[:first]
        self._held[: len(newest) - first] = newest[first:]
        self._at = (self._at + len(newest)) % size
        self._count = min(size, self._count + len(newest))

    def last(self, n: int) -> NDArray[np.int16]:
        """Return a copy of the newest ``n`` samples, or of as many as there are."""
        n = min(n, self._count)
        start = self._at - n
        if start >= 0:
            return np.array(self._held[start : self._at])
        return np.asarray(np.concatenate([self._held[start:], self._held[: self._at]]))
