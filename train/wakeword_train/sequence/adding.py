"""The adding problem: add two marked numbers of a long sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASELINE", "adding"]

BASELINE = 1 / 6
"""Mean squared error of always saying 1: the variance of a sum of two uniform numbers."""


def adding(
    rng: np.random.Generator, count: int, steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw sequences of numbers in [0, 1), two of them marked, one in each half.

    Returns:
        Shape (count, steps, 2), number and mark, and the sums of the marked ones, (count, 1).

    Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, as Arjovsky et al.
        2016, arXiv:1511.06464, have it.

    >>> x, y = adding(np.random.default_rng(0), 3, 10)
    >>> np.allclose((x[:, :, 0] * x[:, :, 1]).sum(axis=1), y[:, 0])
    True
    """
    x = np.zeros((count, steps, 2), np.float32)
    x[:, :, 0] = rng.random((count, steps))
    half, rows = steps // 2, np.arange(count)
    x[rows, rng.integers(0, half, count), 1] = 1
    x[rows, rng.integers(half, steps, count), 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(axis=1, keepdims=True)
