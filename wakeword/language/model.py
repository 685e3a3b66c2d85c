"""One object for every language model: a next-token distribution, and what follows from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.sampling import sample
from wakeword.decode.steps import State, Step, checked, take
from wakeword.errors import ConfigError, TextError

__all__ = ["LanguageModel", "Sequences", "SteppedModel"]

Sequences = Sequence[Sequence[int] | NDArray[Any]]
"""Sentences as token numbers, without the tokens that begin and end them."""

BATCH = 64


class LanguageModel(ABC):
    """A distribution over sequences, given one token at a time.

    Attributes:
        size: V, tokens there are.
        start: the token fed first.
        eos: the token that ends a sequence, and is then predicted; None: a sequence just stops.

    Whoever makes one gives these, ``initial_state`` and ``step``.
    """

    size: int
    start: int
    eos: int | None

    @abstractmethod
    def initial_state(self, batch: int = 1) -> State:
        """State before the first token: a nested tuple of arrays with first axis B."""

    @abstractmethod
    def step(self, tokens: NDArray[Any], state: State) -> tuple[NDArray[Any], State]:
        """(B,) tokens and state -> (B, V) natural logarithms of the next token's probabilities."""

    def token_log_probs(self, sequences: Sequences) -> NDArray[np.float64]:
        """Log-probability of each token, the ends included, one sequence after the other.

        Returns:
            (sum of lengths,), natural logarithm; a length counts the end where there is one.

        Raises:
            TextError: a number that no token has, or nothing at all to predict.
        """
        full = self._with_ends(sequences)
        found: list[NDArray[np.float64]] = [np.zeros(0)] * len(full)
        # Long ones together, so that few rows wait for others.
        order = sorted(range(len(full)), key=lambda i: -len(full[i]))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            for row, log_probs in zip(rows, self._walk([full[i] for i in rows]), strict=True):
                found[row] = log_probs
        return np.concatenate(found)

    def logprob(self, sequence: Sequence[int] | NDArray[Any]) -> float:
        """Log-probability of a sequence and its end: the sum over its steps, in nats."""
        return float(self.token_log_probs([sequence]).sum())

    def perplexity(self, sequences: Sequences) -> float:
        """exp of minus the mean log-probability of a token, the ends counted as tokens."""
        return math.exp(-float(self.token_log_probs(sequences).mean()))

    def bits_per_token(self, sequences: Sequences) -> float:
        """Logarithm of the perplexity to base 2."""
        return -float(self.token_log_probs(sequences).mean()) / math.log(2)

    def sample(
        self,
        rng: np.random.Generator,
        *,
        count: int = 1,
        prompt: Sequence[int] | NDArray[Any] = (),
        temperature: float = 1.0,
        max_tokens: int = 200,
    ) -> list[NDArray[np.int32]]:
        """Draw sequences.

        Args:
            rng: the same gives the same.
            count: how many.
            prompt: tokens that each begins with, part of what is given back.
            temperature: see `wakeword.decode.sample`.
            max_tokens: after the prompt, the end included.
        """
        first = np.asarray(prompt, np.int32).reshape(-1)
        drawn = sample(
            self.step, self.initial_state(count), start=[self.start, *first], eos=self.eos, rng=rng,
            rows=count, temperature=temperature, max_tokens=max_tokens,
        )  # fmt: skip
        return [np.concatenate([first, found.tokens]) for found in drawn]

    def _with_ends(self, sequences: Sequences) -> list[NDArray[np.int64]]:
        end = [] if self.eos is None else [self.eos]
        full = [np.concatenate([np.asarray(s, np.int64).reshape(-1), end]) for s in sequences]
        full = [np.asarray(s, np.int64) for s in full]
        if not sum(map(len, full)):
            raise TextError("no tokens: need at least one sequence with something in it")
        for s in full:
            if len(s) and (s.min() < 0 or s.max() >= self.size):
                wrong = int(s[(s < 0) | (s >= self.size)][0])
                raise TextError(
                    f"token {wrong}: need 0 to {self.size - 1}; encode the text with the "
                    "vocabulary that this model was made with"
                )
        return full

    def _walk(self, full: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """Go through sequences step by step; lengths fall."""
        lengths = np.array([len(s) for s in full])
        result = [np.zeros(n) for n in lengths]
        tokens = np.full(len(full), self.start)
        state = self.initial_state(len(full))
        for t in range(lengths[0]):
            rows = int((lengths > t).sum())
            if rows < len(tokens):
                tokens, state = tokens[:rows], take(state, np.arange(rows))
            log_probs, state = self.step(tokens, state)
            log_probs = checked(log_probs, rows)
            tokens = np.array([s[t] for s in full[:rows]])
            for row in range(rows):
                result[row][t] = log_probs[row, tokens[row]]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class SteppedModel(LanguageModel):
    """A language model out of a step, such as that of a neural one.

    Args:
        size, start, eos: see :class:`LanguageModel`.
        run: the step.
        zero: makes the state of a batch before the first token.
    """

    size: int
    start: int
    eos: int | None
    run: Step
    zero: Callable[[int], State]

    def __post_init__(self) -> None:
        for name, token in (("start", self.start), ("eos", self.eos)):
            if token is not None and not 0 <= token < self.size:
                raise ConfigError(f"{name}={token}: need 0 to {self.size - 1}")

    def initial_state(self, batch: int = 1) -> State:
        """State before the first token."""
        return self.zero(batch)

    def step(self, tokens: NDArray[Any], state: State) -> tuple[NDArray[Any], State]:
        """See :class:`LanguageModel`."""
        return self.run(tokens, state)
