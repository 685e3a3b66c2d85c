"""Interpolated Kneser-Ney n-grams, plain and modified, estimated from sequences of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, TextError
from wakeword.language.model import Sequences
from wakeword.language.ngram import NgramModel, Table
from wakeword.vocabulary import Vocabulary

__all__ = ["discounts", "kneser_ney"]

FALLBACK = (0.5, 1.0, 1.5)
"""For an order where the counts of counts give no discount: few n-grams, or none seen just once."""
MAX_ORDER = 10


@dataclass(slots=True, eq=False)
class _Counted:
    """The n-grams of one order in a stream."""

    keys: NDArray[np.int64]  # (M,), as in Table
    count: NDArray[np.float64]  # (M,)
    at: NDArray[
        np.int64
    ]  # (N,) place of the n-gram that ends at each token of the stream; -1: none
    last: NDArray[np.int64]  # (M,) where one of each ends


def discounts(counts: NDArray[Any], *, modified: bool = True) -> NDArray[np.float64]:
    """Give what is taken from n-grams seen once, twice, and three times or more.

    With n_i the number of n-grams seen i times and Y = n1 / (n1 + 2 n2): modified i - (i + 1) Y
    n_{i+1} / n_i for i = 1, 2, 3; plain Y for all. Where a number is 0 or a discount out of [0, i],
    0.5, 1 and 1.5 (plain 0.5) stand in.

    Args:
        counts: (M,) of n-grams of one order.
        modified: three discounts instead of one.

    Returns:
        (3,)

    Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language
        modeling", doi:10.1006/csla.1999.0128, eq. 17 and 26.

    >>> discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4])).tolist()
    [0.5, 1.25, 1.0]
    """
    n = np.array([np.count_nonzero(counts == i) for i in (1, 2, 3, 4)], np.float64)
    if not n[0] or not n[1] or (modified and not n[2]):
        return np.array(FALLBACK) if modified else np.full(3, 0.5)
    y = float(n[0] / (n[0] + 2 * n[1]))
    if not modified:
        return np.full(3, y)
    i = np.arange(1, 4)
    found: NDArray[np.float64] = i - (i + 1) * y * n[1:] / n[:-1]
    if np.all((found >= 0) & (found <= i)):
        return found
    return np.array(FALLBACK)


def kneser_ney(
    sequences: Sequences,
    vocabulary: Vocabulary,
    order: int,
    *,
    modified: bool = True,
    discount: float | None = None,
) -> NgramModel:
    """Estimate an interpolated Kneser-Ney model.

    p(w | h) = max(a(h w) - D(a(h w)), 0) / sum_v a(h v) + lambda(h) p(w | h')

    where h' is h without its oldest token and a(h w) the count of the longest n-grams; of shorter
    ones the number of different tokens seen before them, but their count where they begin a
    sequence, before which nothing stands. lambda(h) is what the discounts took, and 1-grams are
    mixed with 1 / V, so no token is impossible.

    Args:
        sequences: token numbers of each, without the tokens that begin and end it.
        vocabulary: that they were encoded with; needs a mark that ends a sequence.
        order: n, 1 to 10.
        modified: three discounts for each order instead of one; see :func:`discounts`.
        discount: take this for every order and count instead, 0 to 1.

    Raises:
        ConfigError: a setting out of its range, or too many n-grams.
        TextError: nothing to learn from, a number that no symbol has, or a mark within a sequence.

    Source: Kneser and Ney 1995, doi:10.1109/ICASSP.1995.479394; Chen and Goodman 1999,
        doi:10.1006/csla.1999.0128, eq. 24-27; the counts at a sequence's beginning as in
        Heafield et al. 2013, https://aclanthology.org/P13-2121.

    >>> vocabulary = Vocabulary(("</s>", "a", "b"), eos="</s>")
    >>> model = kneser_ney([[1, 2, 1], [1, 2]], vocabulary, 2)
    >>> bool(np.isclose(np.exp(model.step(np.array([1]), model.initial_state())[0]).sum(), 1))
    True
    """
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError(f"order={order}: need 1 to {MAX_ORDER}")
    if discount is not None and not 0 <= discount <= 1:
        raise ConfigError(f"discount={discount}: need 0 to 1")
    eos = vocabulary.eos_id
    if eos is None:
        raise ConfigError("this vocabulary marks no end of a sequence: make it with eos=")
    stream = _stream(sequences, vocabulary, eos)
    counted = _count(stream, eos, order, len(vocabulary))
    tables: list[Table] = []
    probs = np.zeros(0)  # of the order before
    for k, grams in enumerate(counted, 1):
        taken = (
            np.full(3, discount)
            if discount is not None
            else discounts(grams.count, modified=modified)
        )
        kept = np.maximum(grams.count - _taken(grams.count, taken), 0)
        if k == 1:
            possible = np.ones(len(vocabulary))
            if vocabulary.bos_id is not None:
                possible[vocabulary.bos_id] = 0
            total = grams.count.sum()
            probs = kept / total + (1 - kept.sum() / total) * possible / possible.sum()
        else:
            context = grams.keys // len(vocabulary)
            contexts = len(tables[-1].keys)
            total = np.bincount(context, grams.count, contexts)
            left = np.bincount(context, kept, contexts)
            there = total > 0
            weight = np.ones(contexts)
            weight[there] = 1 - left[there] / total[there]
            shorter = probs[counted[k - 2].at[grams.last]]  # without the oldest token
            probs = kept / total[context] + weight[context] * shorter
            tables[-1].backoff[there] = _log(weight[there])
        tables.append(Table(grams.keys, _log(probs), np.zeros(len(grams.keys), np.float32)))
    return NgramModel(vocabulary, tuple(tables))


def _stream(sequences: Sequences, vocabulary: Vocabulary, eos: int) -> NDArray[np.int64]:
    """Join sequences, one mark between two of them, in front and behind."""
    parts: list[NDArray[np.int64]] = [np.array([eos])]
    for sequence in sequences:
        parts += [np.asarray(sequence, np.int64).reshape(-1), parts[0]]
    if len(parts) == 1:
        raise TextError("no sequences: need at least one to learn from")
    stream = np.concatenate(parts)
    if stream.min() < 0 or stream.max() >= len(vocabulary):
        raise TextError(
            f"tokens {stream.min()} to {stream.max()}: need 0 to {len(vocabulary) - 1}; encode "
            "with this vocabulary"
        )
    marks = np.isin(stream, [m for m in (eos, vocabulary.bos_id) if m is not None])
    if marks.sum() != len(sequences) + 1:
        raise TextError("a mark that begins or ends a sequence stands within one: leave it out")
    return stream


def _count(stream: NDArray[np.int64], eos: int, order: int, size: int) -> list[_Counted]:
    """Count the n-grams of each order, and, but for the longest, what stands before them."""
    positions = np.arange(len(stream))
    boundary = np.where(stream == eos, positions, 0)
    boundary = np.maximum.accumulate(np.concatenate([[0], boundary[:-1]]))
    depth = (
        positions - boundary
    )  # tokens since the mark before; as many fit an n-gram, and the mark
    found = [
        _Counted(
            np.arange(size),
            np.bincount(stream[1:], minlength=size).astype(float),
            stream,
            np.zeros(0, np.int64),
        )
    ]
    for k in range(2, order + 1):
        shorter = found[-1]
        if len(shorter.keys) > np.iinfo(np.int64).max // size:
            raise ConfigError(f"too many {k}-grams: choose a lower order or a smaller vocabulary")
        ends = positions[(positions > 0) & (depth >= k - 1)]
        wanted = shorter.at[ends - 1] * size + stream[ends]
        keys, example, back, count = np.unique(
            wanted, return_index=True, return_inverse=True, return_counts=True
        )
        at = np.full(len(stream), -1)
        at[ends] = back.reshape(-1)
        found.append(_Counted(keys, count.astype(float), at, ends[example]))
    for k in range(1, order):
        shorter, longer = found[k - 1], found[k]
        before = np.bincount(shorter.at[longer.last], minlength=len(shorter.keys)).astype(float)
        if k > 1:
            begins = stream[shorter.last - k + 1] == eos
            before[begins] = shorter.count[begins]
        shorter.count = before
    return found


def _taken(count: NDArray[np.float64], discount: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is taken from each count."""
    by_count = np.concatenate([[0.0], discount])
    return np.asarray(by_count[np.minimum(count, 3).astype(np.int64)])


def _log(probs: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probs), np.float32)
