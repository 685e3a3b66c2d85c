"""Several language models as one: their probabilities, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import State
from wakeword.errors import ConfigError
from wakeword.language.model import LanguageModel, Sequences

__all__ = ["Mixture", "mixture_weights"]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture(LanguageModel):
    """p(w | h) = sum over models of weight x p_model(w | h).

    Args:
        models: all with the same tokens, which must have the same numbers.
        weights: one each, none below 0, together 1.

    Raises:
        ConfigError: weights out of range, or models whose tokens differ.
    """

    models: tuple[LanguageModel, ...]
    weights: tuple[float, ...]
    size: int = field(init=False)
    start: int = field(init=False)
    eos: int | None = field(init=False)

    def __post_init__(self) -> None:
        if not self.models or len(self.models) != len(self.weights):
            raise ConfigError(
                f"{len(self.models)} models and {len(self.weights)} weights: need one each"
            )
        if min(self.weights) < 0 or not abs(sum(self.weights) - 1) < 1e-6:
            raise ConfigError(f"weights {self.weights}: need none below 0, and a sum of 1")
        facts = {(m.size, m.eos) for m in self.models}
        if len(facts) > 1:
            raise ConfigError(
                f"models with different tokens (how many, which ends): {sorted(map(str, facts))}; "
                "make them with one vocabulary"
            )
        object.__setattr__(self, "size", self.models[0].size)
        object.__setattr__(self, "start", self.models[0].start)
        object.__setattr__(self, "eos", self.models[0].eos)

    @classmethod
    def fitted(cls, models: Sequence[LanguageModel], held_out: Sequences) -> Mixture:
        """Mix models with the weights that make held-out text likeliest."""
        log_probs = np.stack([model.token_log_probs(held_out) for model in models])
        return cls(tuple(models), tuple(mixture_weights(log_probs).tolist()))

    def initial_state(self, batch: int = 1) -> tuple[State, ...]:
        """State before the first token: that of each model, and whether they have begun."""
        return (np.zeros(batch, bool), *(m.initial_state(batch) for m in self.models))

    def step(self, tokens: NDArray[Any], state: State) -> tuple[NDArray[Any], State]:
        """See :class:`LanguageModel`; the first token fed is to each model its own beginning."""
        begun, *states = state
        parts: list[NDArray[np.float64]] = []
        after: list[State] = [np.ones_like(begun)]
        for model, weight, memory in zip(self.models, self.weights, states, strict=True):
            fed = np.where(begun, tokens, model.start)
            log_probs, memory = model.step(fed, memory)
            after.append(memory)
            if weight:
                parts.append(np.asarray(log_probs, np.float64) + np.log(weight))
        return np.logaddexp.reduce(parts), tuple(after)

    def token_log_probs(self, sequences: Sequences) -> NDArray[np.float64]:
        """Log-probability of each token; see :class:`LanguageModel`."""
        parts = [
            model.token_log_probs(sequences) + np.log(weight)
            for model, weight in zip(self.models, self.weights, strict=True)
            if weight
        ]
        return np.asarray(np.logaddexp.reduce(parts))


def mixture_weights(log_probs: NDArray[Any], *, tolerance: float = 1e-9) -> NDArray[np.float64]:
    """Weights that make held-out tokens likeliest, by expectation and maximisation.

    Each round gives every model the mean share that it has in the probability of a token. The
    likelihood has one maximum only, and no round lowers it.

    Args:
        log_probs: (M, N): what each of M models gives each of N tokens.
        tolerance: stop when a round gains less than this per token, in nats; 10,000 rounds at most.

    Returns:
        (M,), sum 1.

    Raises:
        ConfigError: no token, or one that no model can give.

    Source: Jelinek and Mercer 1980, "Interpolated estimation of Markov source parameters from
        sparse data".

    >>> mixture_weights(np.log([[0.5, 0.5], [0.1, 0.1]])).round(3).tolist()
    [1.0, 0.0]
    """
    given = np.asarray(log_probs, np.float64)
    if given.ndim != 2 or not given.size:
        raise ConfigError(f"log-probabilities of shape {given.shape}: need (models, tokens)")
    best = given.max(axis=0)
    if np.isnan(given).any() or not np.all(best > -np.inf):
        raise ConfigError("a held-out token has no probability in any model: leave it out")
    probs = np.exp(given - best)
    weights = np.full(len(given), 1 / len(given))
    before = -np.inf
    for _ in range(10_000):
        share = weights[:, None] * probs
        total = share.sum(axis=0)
        gained = float(np.log(total).mean())
        if gained - before < tolerance:
            break
        before = gained
        weights = (share / total).mean(axis=1)
    return np.asarray(weights / weights.sum())
