"""Beam search with length normalisation, and whose fault its errors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import Hypothesis, State, Step, begin, checked, score_sequences, take
from wakeword.errors import ConfigError

__all__ = ["SearchErrors", "beam_search", "normalised", "search_errors", "top"]


def normalised(log_prob: float, length: int, alpha: float) -> float:
    """Score of a sequence: its log-probability over its length to the power alpha.

    Args:
        log_prob: of all its tokens.
        length: how many, the end included.
        alpha: 0: the log-probability, which favours short ones; 1: the mean of a token.

    >>> normalised(-6.0, 3, 1.0)
    -2.0
    """
    return float(log_prob / max(length, 1) ** alpha)


def top(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Places of the largest values, largest first, of equals the first first; -inf never.

    >>> top(np.array([1.0, 3.0, -np.inf, 3.0]), 3).tolist()
    [1, 3, 0]
    """
    least = -np.inf
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
    places = np.flatnonzero((values >= least) & (values > -np.inf))
    return places[np.argsort(-values[places], kind="stable")][:count]


class _Source:
    """What is known of one source: the sequences that ended, and those that go on."""

    def __init__(self) -> None:
        self.ended: list[Hypothesis] = []
        self.log_prob = np.zeros(1)  # (A,) of those that go on
        self.tokens: list[list[int]] = [[]]

    def extend(
        self, log_probs: NDArray[np.float64], eos: int, width: int, alpha: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Take the best ``width`` of all ways on; return row and token of those that go on."""
        size = log_probs.shape[1]
        total = (self.log_prob[:, None] + log_probs).ravel()
        best = top(total, width)
        rows, tokens = best // size, best % size
        length = len(self.tokens[0]) + 1
        for place, row in zip(best[tokens == eos], rows[tokens == eos], strict=True):
            p = float(total[place])
            text = np.array(self.tokens[row], np.int32)
            self.ended.append(Hypothesis(text, p, normalised(p, length, alpha), True))
        on = tokens != eos
        rows, tokens = rows[on], tokens[on]
        self.log_prob = total[best[on]]
        self.tokens = [[*self.tokens[r], int(t)] for r, t in zip(rows, tokens, strict=True)]
        return rows, tokens

    def finished(self, max_tokens: int, alpha: float) -> bool:
        """Tell whether no sequence that goes on can become the best."""
        if not len(self.log_prob):
            return True
        # A log-probability only falls, and the longest length divides it most.
        bound = normalised(float(self.log_prob.max()), max_tokens, alpha)
        return bool(self.ended) and max(h.score for h in self.ended) >= bound

    def result(self, width: int, alpha: float) -> list[Hypothesis]:
        """Give the ended ones, best first; where there are none, those that were cut off."""
        found = self.ended or [
            Hypothesis(np.array(t, np.int32), float(p), normalised(float(p), len(t), alpha), False)
            for t, p in zip(self.tokens, self.log_prob, strict=True)
        ]
        return sorted(found, key=lambda h: -h.score)[:width]


def beam_search(
    step: Step,
    state: State,
    *,
    start: int | Sequence[int] | NDArray[Any],
    eos: int,
    width: int,
    alpha: float = 0.0,
    rows: int | None = None,
    max_tokens: int = 200,
) -> list[list[Hypothesis]]:
    """Find likely sequences, keeping the best ``width`` beginnings at every length.

    All sources go through the model together, ``width`` rows each. A beginning that ends takes one
    of the places at its length; the search of a source is over when what has ended cannot be beaten
    any more. With width 1 this is :func:`~wakeword.decode.greedy`; with a width no smaller than the
    number of all sequences it finds the best of them.

    Args:
        step: the model.
        state: before the first token, one row for each source.
        start: what comes first, the same for all; not part of what is given back.
        eos: token that ends a sequence.
        width: beginnings to keep, at least 1.
        alpha: power of the length in :func:`normalised`, at least 0.
        rows: sources where the state has no rows to tell.
        max_tokens: longest sequence, the end included.

    Returns:
        For each source at most ``width`` hypotheses, best score first; at least one. Only where
        none ended, those that were cut off.

    Raises:
        ConfigError: a setting out of its range.

    Source: length normalisation as in Wu et al. 2016, arXiv:1609.08144, eq. 14, without its
        constant 5; the rule to stop as in Huang et al. 2017, doi:10.18653/v1/D17-1227.
    """
    if width < 1:
        raise ConfigError(f"width={width}: need at least 1")
    if not alpha >= 0:
        raise ConfigError(f"alpha={alpha}: need at least 0")
    if max_tokens < 1:
        raise ConfigError(f"max_tokens={max_tokens}: need at least 1")
    log_probs, state = begin(step, state, start, rows)
    if not 0 <= eos < log_probs.shape[1]:
        raise ConfigError(f"eos={eos}: need 0 to {log_probs.shape[1] - 1}")
    sources = [_Source() for _ in log_probs]
    active = list(range(len(sources)))  # in the order of their rows
    for length in range(1, max_tokens + 1):
        chosen: list[NDArray[np.int64]] = []
        tokens: list[NDArray[np.int64]] = []
        still: list[int] = []
        first = 0
        for index in active:
            source = sources[index]
            count = len(source.log_prob)
            came_from, token = source.extend(log_probs[first : first + count], eos, width, alpha)
            if not source.finished(max_tokens, alpha):
                chosen.append(came_from + first)
                tokens.append(token)
                still.append(index)
            first += count
        active = still
        if not active or length == max_tokens:
            break
        state = take(state, np.concatenate(chosen))
        fed = np.concatenate(tokens)
        log_probs, state = step(fed, state)
        log_probs = checked(log_probs, len(fed))
    return [source.result(width, alpha) for source in sources]


@dataclass(frozen=True, slots=True)
class SearchErrors:
    """Whose fault it is where the best found sequence is not the reference.

    Attributes:
        right: found as it stands in the reference.
        beam: the model likes the reference better than what was found: a wider beam may help.
        model: the model likes what was found at least as well: a wider beam cannot help.
    """

    right: int
    beam: int
    model: int

    def __str__(self) -> str:
        wrong = self.beam + self.model
        return (
            f"{self.right} of {self.right + wrong} as the reference; of {wrong} others "
            f"{self.beam} are the beam's fault, {self.model} the model's"
        )


def search_errors(
    step: Step,
    state: State,
    references: Sequence[Sequence[int] | NDArray[Any]],
    *,
    start: int | Sequence[int] | NDArray[Any],
    eos: int,
    width: int,
    alpha: float = 0.0,
    max_tokens: int = 200,
) -> SearchErrors:
    """Search, and compare the scores of what was found and of the references.

    Args:
        references: one for each row of the state, without the token that ends one.
        step, state, start, eos, width, alpha, max_tokens: as in :func:`beam_search`.
    """
    found = beam_search(
        step, state, start=start, eos=eos, width=width, alpha=alpha, max_tokens=max_tokens,
        rows=len(references),
    )  # fmt: skip
    log_probs = score_sequences(step, state, references, start=start, eos=eos)
    right = beam = model = 0
    for best, reference, log_prob in zip(found, references, log_probs, strict=True):
        if best[0].ended and np.array_equal(best[0].tokens, reference):
            right += 1
        elif normalised(float(log_prob), len(reference) + 1, alpha) > best[0].score:
            beam += 1
        else:
            model += 1
    return SearchErrors(right, beam, model)
