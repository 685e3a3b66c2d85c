"""Draw sequences from a model, or follow its likeliest token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import Hypothesis, State, Step, begin, checked, take
from wakeword.errors import ConfigError

__all__ = ["draw", "greedy", "sample"]


def draw(
    log_probs: NDArray[Any], uniform: NDArray[np.float64], temperature: float = 1.0
) -> NDArray[np.int64]:
    """Choose one token per row by the inverse of the cumulative distribution.

    Args:
        log_probs: (B, V), natural logarithm; -inf is never chosen.
        uniform: (B,), each in [0, 1).
        temperature: above 0; the probabilities are taken to the power 1 / temperature and made to
            sum to 1 again: below 1 keeps to the likely, above 1 is bolder.

    Returns:
        (B,) tokens.

    >>> draw(np.log([[0.25, 0.5, 0.25]] * 3), np.array([0.1, 0.3, 0.9])).tolist()
    [0, 1, 2]
    """
    if not temperature > 0:
        raise ConfigError(f"temperature={temperature}: need above 0; for its limit use greedy")
    scaled = np.asarray(log_probs, np.float64)
    scaled = (scaled - scaled.max(axis=1, keepdims=True)) / temperature
    below = np.cumsum(np.exp(scaled), axis=1)
    # One that cannot come adds nothing, so the first place whose sum is above the mark can.
    return np.asarray((below <= uniform[:, None] * below[:, -1:]).sum(axis=1))


def sample(
    step: Step,
    state: State,
    *,
    start: int | Sequence[int] | NDArray[Any],
    eos: int | None,
    rng: np.random.Generator,
    rows: int | None = None,
    temperature: float = 1.0,
    max_tokens: int = 200,
) -> list[Hypothesis]:
    """Draw sequences until each has ended.

    Args:
        step: the model.
        state: before the first token, one row for each sequence.
        start: what comes first, such as the token that begins a sequence and the start of a poem;
            not part of what is given back.
        eos: token that ends a sequence; None: none does.
        rng: one number per row and step, so the same rng gives the same text.
        rows: sequences to draw where the state has no rows to tell.
        temperature: see :func:`draw`.
        max_tokens: tokens to draw for one sequence, the end included.

    Returns:
        One hypothesis per row; its score is its log-probability at temperature 1.
    """
    if not temperature > 0:
        raise ConfigError(f"temperature={temperature}: need above 0; for its limit use greedy")

    def choose(log_probs: NDArray[np.float64], alive: NDArray[np.int64]) -> NDArray[np.int64]:
        uniform = rng.random(count)[alive]  # for ended ones too: what one row draws is its own
        return draw(log_probs, uniform, temperature)

    log_probs, state = begin(step, state, start, rows)
    count = len(log_probs)
    return _follow(step, state, log_probs, choose, eos, max_tokens)


def greedy(
    step: Step,
    state: State,
    *,
    start: int | Sequence[int] | NDArray[Any],
    eos: int | None,
    rows: int | None = None,
    max_tokens: int = 200,
) -> list[Hypothesis]:
    """Take the likeliest token at each step, of equals the first; arguments as in `sample`."""

    def choose(log_probs: NDArray[np.float64], alive: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(log_probs.argmax(axis=1))

    log_probs, state = begin(step, state, start, rows)
    return _follow(step, state, log_probs, choose, eos, max_tokens)


def _follow(
    step: Step,
    state: State,
    log_probs: NDArray[np.float64],
    choose: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.int64]],
    eos: int | None,
    max_tokens: int,
) -> list[Hypothesis]:
    """Go on with one chosen token per row until each row has ended."""
    if max_tokens < 1:
        raise ConfigError(f"max_tokens={max_tokens}: need at least 1")
    if eos is not None and not 0 <= eos < log_probs.shape[1]:
        raise ConfigError(f"eos={eos}: need 0 to {log_probs.shape[1] - 1}")
    count = len(log_probs)
    alive = np.arange(count)
    texts: list[list[int]] = [[] for _ in range(count)]
    total = np.zeros(count)
    ended = np.zeros(count, bool)
    for drawn in range(max_tokens):
        tokens = choose(log_probs, alive)
        total[alive] += log_probs[np.arange(len(alive)), tokens]
        on = np.ones(len(alive), bool) if eos is None else tokens != eos
        ended[alive[~on]] = True
        for row, token in zip(alive[on], tokens[on], strict=True):
            texts[row].append(int(token))
        alive = alive[on]
        if not len(alive) or drawn + 1 == max_tokens:
            break
        if not on.all():
            state = take(state, np.flatnonzero(on))
        log_probs, state = step(tokens[on], state)
        log_probs = checked(log_probs, len(alive))
    return [
        Hypothesis(np.array(text, np.int32), float(p), float(p), bool(e))
        for text, p, e in zip(texts, total, ended, strict=True)
    ]
