"""What every decoder here needs of a model, and what it gives back.

A model is a function ``step(tokens, state) -> (log_probs, state)``: tokens (B,) int, log_probs
(B, V) with the natural logarithm of the probability of each next token, state any nested tuple of
arrays whose first axis is B. A row of a state belongs to one hypothesis, so hypotheses are chosen
by indexing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, WakewordError

__all__ = ["Hypothesis", "State", "Step", "begin", "checked", "rows_of", "score_sequences", "take"]

State = Any
"""An array with first axis B, or a tuple of such states; () where there is nothing to remember."""


class Step(Protocol):
    """One step of a model of sequences."""

    def __call__(self, tokens: NDArray[Any], state: State, /) -> tuple[NDArray[Any], State]:
        """(B,) tokens and the state before them -> (B, V) log-probabilities, state after them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A sequence that a decoder found.

    Attributes:
        tokens: (L,) int32, without the token that ends it.
        log_prob: natural logarithm of its probability, the end included where it ended.
        score: what it was ranked by; see the decoder.
        ended: False where it was cut off at the longest length.
    """

    tokens: NDArray[np.int32]
    log_prob: float
    score: float
    ended: bool


def take(state: State, rows: NDArray[Any]) -> State:
    """Choose rows of a state; a row may be chosen again.

    >>> take((np.arange(3), (np.eye(3),)), np.array([2, 2]))[0].tolist()
    [2, 2]
    """
    if isinstance(state, tuple):
        return tuple(take(part, rows) for part in state)
    return np.asarray(state)[rows]


def rows_of(state: State) -> int | None:
    """Count the rows of a state; None where it holds no array.

    Raises:
        ConfigError: its arrays differ, or one has no axis.
    """
    if not isinstance(state, tuple):
        shape = np.shape(state)
        if not shape:
            raise ConfigError("an array of the state has no axis: need the batch as its first one")
        return int(shape[0])
    found = {rows for part in state if (rows := rows_of(part)) is not None}
    if len(found) > 1:
        raise ConfigError(f"arrays of the state have {sorted(found)} rows: need as many in each")
    return found.pop() if found else None


def checked(log_probs: NDArray[Any], rows: int) -> NDArray[np.float64]:
    """Take what a step gave, as float64.

    Raises:
        WakewordError: not (rows, V), or not a number in it.
    """
    result = np.asarray(log_probs, np.float64)
    if result.ndim != 2 or result.shape[0] != rows or not result.shape[1]:
        raise WakewordError(f"step gave log-probabilities {result.shape}: need ({rows}, V)")
    if np.isnan(result).any() or not np.all(result.max(axis=1) > -np.inf):
        raise WakewordError(
            "step gave NaN, or no token a probability: look at the model's weights and its state"
        )
    return result


def begin(
    step: Step, state: State, start: int | Sequence[int] | NDArray[Any], rows: int | None
) -> tuple[NDArray[np.float64], State]:
    """Feed what comes before the first token to find, the same in every row.

    Args:
        step, state: of the model.
        start: a token, or several, at least one.
        rows: sequences to find; None: as many as the state has rows.

    Returns:
        (B, V) log-probabilities of the first token to find, and the state.

    Raises:
        ConfigError: nothing in ``start``; the state has other rows.
    """
    first = np.atleast_1d(np.asarray(start, np.int64))
    if not first.size:
        raise ConfigError("start is empty: need at least the token that begins a sequence")
    there = rows_of(state)
    if rows is not None and there is not None and rows != there:
        raise ConfigError(f"rows={rows}: the state has {there} rows")
    count = rows if rows is not None else there if there is not None else 1
    for token in first[:-1]:
        _, state = step(np.full(count, token), state)
    log_probs, state = step(np.full(count, first[-1]), state)
    return checked(log_probs, count), state


def score_sequences(
    step: Step,
    state: State,
    sequences: Sequence[Sequence[int] | NDArray[Any]],
    *,
    start: int | Sequence[int] | NDArray[Any],
    eos: int,
) -> NDArray[np.float64]:
    """Log-probability of each sequence and its end, as the product of the model's steps.

    Args:
        step: the model.
        state: N rows; row i goes with sequence i.
        sequences: N of them, without the token that ends one.
        start: what comes before each.
        eos: token that ends one.

    Returns:
        (N,), natural logarithm.
    """
    count = len(sequences)
    if not count:
        return np.zeros(0)
    log_probs, state = begin(step, state, start, count)
    full = [np.append(np.asarray(s, np.int64), eos) for s in sequences]
    total = np.zeros(count)
    rows = np.arange(count)
    for t in range(max(map(len, full))):
        tokens = np.array([s[t] for s in full if len(s) > t])
        if tokens.min() < 0 or tokens.max() >= log_probs.shape[1]:
            raise ConfigError(f"token {tokens.max()}: need 0 to {log_probs.shape[1] - 1}")
        total[rows] += log_probs[np.arange(len(rows)), tokens]
        on = np.array([len(full[row]) > t + 1 for row in rows])
        rows = rows[on]
        if len(rows):
            log_probs, state = step(tokens[on], take(state, np.flatnonzero(on)))
            log_probs = checked(log_probs, len(rows))
    return total
