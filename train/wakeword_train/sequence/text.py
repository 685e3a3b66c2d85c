"""Texts for training: parts that are held out, and batches of one shape."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wakeword.decode import Hypothesis
from wakeword.errors import ConfigError

__all__ = ["new_and_ended", "padded", "rows_of_stream", "shuffled_parts", "windows"]

T = TypeVar("T")


def shuffled_parts(
    items: Sequence[T], shares: Sequence[float], rng: np.random.Generator
) -> list[list[T]]:
    """Shuffle and cut into parts: the last gets what the shares leave.

    >>> [len(p) for p in shuffled_parts(range(10), (0.2, 0.1), np.random.default_rng(0))]
    [2, 1, 7]
    """
    if min(shares) < 0 or sum(shares) >= 1:
        raise ConfigError(f"shares={tuple(shares)}: need none below 0, and less than 1 in all")
    order = [items[i] for i in rng.permutation(len(items))]
    parts, first = [], 0
    for share in shares:
        last = first + round(share * len(items))
        parts.append(order[first:last])
        first = last
    return [*parts, order[first:]]


def padded(
    sequences: Sequence[NDArray[np.int32]], start: int, eos: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Put sequences into one array, each behind ``start`` and before ``eos``.

    Returns:
        Tokens (N, L + 1), filled with ``start``, and the mask of what is to predict, (N, L).

    >>> tokens, mask = padded([np.array([5, 6]), np.array([7])], start=0, eos=1)
    >>> tokens.tolist(), mask.tolist()
    ([[0, 5, 6, 1], [0, 7, 1, 0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    """
    if not sequences:
        raise ConfigError("no sequences: need at least one")
    end = 0 if eos is None else 1
    longest = max(map(len, sequences)) + end
    tokens = np.full((len(sequences), longest + 1), start, np.int32)
    mask = np.zeros((len(sequences), longest), np.float32)
    for row, sequence in enumerate(sequences):
        tokens[row, 1 : len(sequence) + 1] = sequence
        if eos is not None:
            tokens[row, len(sequence) + 1] = eos
        mask[row, : len(sequence) + end] = 1
    return tokens, mask


def windows(
    stream: NDArray[np.int32], count: int, length: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw pieces of a long text, (count, length)."""
    if len(stream) < length:
        raise ConfigError(f"a text of {len(stream)} tokens: need at least {length}")
    first = rng.integers(0, len(stream) - length + 1, count)
    return np.asarray(stream[first[:, None] + np.arange(length)], np.int32)


def rows_of_stream(
    stream: NDArray[np.int32], rows: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Cut a long text into ``rows`` pieces of one length, each token but the first to predict.

    Neighbours share a token, so that only what does not fill the rows is left out.

    >>> rows_of_stream(np.arange(8), 2)[0].tolist()
    [[0, 1, 2, 3], [3, 4, 5, 6]]
    """
    length = (len(stream) - 1) // rows
    if length < 1:
        raise ConfigError(f"a text of {len(stream)} tokens: need more than {rows}")
    places = np.arange(rows)[:, None] * length + np.arange(length + 1)
    return np.asarray(stream[places], np.int32), np.ones((rows, length), np.float32)


def new_and_ended(samples: Sequence[Hypothesis], known: Collection[tuple[int, ...]]) -> float:
    """Share of samples that ended, hold something, and are not among the known ones.

    >>> def made(*tokens, ended=True):
    ...     return Hypothesis(np.array(tokens, np.int32), -1.0, -1.0, ended)
    >>> new_and_ended([made(3), made(4), made(3, 3, ended=False), made()], {(4,)})
    0.25
    """
    good = [s.ended and len(s.tokens) > 0 and tuple(s.tokens.tolist()) not in known
            for s in samples]  # fmt: skip
    return sum(good) / len(good)
