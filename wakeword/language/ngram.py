"""An n-gram model with back-off weights: what Kneser-Ney estimates and ARPA files hold.

log p(w | h) is that of the n-gram (h, w) where it was seen; else the back-off weight of h, if it
has one, plus log p(w | h without its oldest token). The n-grams of each order lie sorted in arrays;
one is found by the place of its first k - 1 tokens among the shorter ones, and its last token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import State
from wakeword.errors import ConfigError
from wakeword.language.model import LanguageModel, Sequences
from wakeword.vocabulary import Vocabulary

__all__ = ["NgramModel", "Table", "find"]

NOTHING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The n-grams of one order k, sorted by key.

    Attributes:
        keys: (M,) int64: place of the first k - 1 tokens in the table before, times V, plus the
            last token. Of order 1 there is one for each token, and key and place are its number.
        log_prob: (M,) float32, natural logarithm; of order 1 that of a token that cannot come is
            -inf.
        backoff: (M,) float32, natural logarithm; 0 where no longer n-gram begins so.
    """

    keys: NDArray[np.int64]
    log_prob: NDArray[np.float32]
    backoff: NDArray[np.float32]


def find(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of keys in a sorted array; -1 where one is not there."""
    if not len(keys):
        return np.full(wanted.shape, NOTHING)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class NgramModel(LanguageModel):
    """An n-gram language model.

    The token that ends a sequence also begins it: fed to ``step`` it starts a new one, and as first
    token of an n-gram it is what ARPA files call <s>. A token of the vocabulary that begins one, if
    there is one, is read as that, and never predicted.

    Args:
        vocabulary: of the tokens; needs a mark that ends a sequence.
        tables: of order 1 to n.

    The state is an array (B, n - 1): place of the last k tokens in the table of order k, or -1.
    """

    vocabulary: Vocabulary
    tables: tuple[Table, ...]
    size: int = field(init=False)
    start: int = field(init=False)
    eos: int = field(init=False)

    def __post_init__(self) -> None:
        eos = self.vocabulary.eos_id
        if eos is None:
            raise ConfigError("this vocabulary marks no end of a sequence: make it with eos=")
        if not self.tables or len(self.tables[0].keys) != len(self.vocabulary):
            raise ConfigError(
                f"the model's 1-grams and the vocabulary's {len(self.vocabulary)} symbols differ"
            )
        object.__setattr__(self, "size", len(self.vocabulary))
        object.__setattr__(self, "start", eos)
        object.__setattr__(self, "eos", eos)

    @property
    def order(self) -> int:
        """n: tokens that an n-gram has at most."""
        return len(self.tables)

    def initial_state(self, batch: int = 1) -> NDArray[np.int64]:
        """State before the token that begins a sequence."""
        return np.full((batch, self.order - 1), NOTHING)

    def step(self, tokens: NDArray[Any], state: State) -> tuple[NDArray[Any], State]:
        """(B,) tokens and state -> (B, V) float32 log-probabilities of the next one, and state."""
        fed = np.asarray(tokens, np.int64)
        if fed.size and (fed.min() < 0 or fed.max() >= self.size):
            raise ConfigError(f"tokens {fed.min()} to {fed.max()}: need 0 to {self.size - 1}")
        begins = fed == self.eos
        if self.vocabulary.bos_id is not None:
            begins |= fed == self.vocabulary.bos_id
        fed = np.where(begins, self.eos, fed)
        context = np.full((len(fed), self.order - 1), NOTHING)
        if self.order > 1:
            context[:, 0] = fed
        for k in range(1, self.order - 1):
            before = np.where(begins, NOTHING, state[:, k - 1])
            context[:, k] = self._longer(k, before, fed)
        return np.stack([self._next(row) for row in context]), context

    def _longer(
        self, k: int, places: NDArray[np.int64], tokens: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Places in the table of order k + 1 of n-grams made longer by a token; -1: not there."""
        wanted = np.where(places == NOTHING, NOTHING, places * self.size + tokens)
        return find(self.tables[k].keys, wanted)

    def _next(self, context: NDArray[np.int64]) -> NDArray[np.float32]:
        """Distribution (V,) after a context."""
        log_prob = self.tables[0].log_prob.copy()
        for k, place in enumerate(context):
            if place == NOTHING:
                break  # no longer one can be there either
            log_prob += self.tables[k].backoff[place]
            longer = self.tables[k + 1]
            bounds = np.array([place * self.size, (place + 1) * self.size])
            first, last = np.searchsorted(longer.keys, bounds)
            log_prob[longer.keys[first:last] - bounds[0]] = longer.log_prob[first:last]
        return np.asarray(log_prob)

    def token_log_probs(self, sequences: Sequences) -> NDArray[np.float64]:
        """Log-probability of each token, all of them at once; see :class:`LanguageModel`."""
        full = self._with_ends(sequences)
        begin = np.array([self.eos])
        tokens = np.concatenate([part for s in full for part in (begin, s)])
        first = np.concatenate([[0], np.cumsum([len(s) + 1 for s in full])[:-1]])
        predicted = np.ones(len(tokens), bool)
        predicted[first] = False
        depth = _depth(len(tokens), first)
        result = self.tables[0].log_prob[tokens].astype(np.float64)
        # The mark is a context where it begins; where it ends, the depth keeps it from being one.
        place = tokens
        for k in range(1, self.order):
            before = np.concatenate([[NOTHING], place[:-1]])
            before[depth < k] = NOTHING
            there = before != NOTHING
            result[there] += self.tables[k - 1].backoff[before[there]]
            place = self._longer(k, before, tokens)
            seen = place != NOTHING
            result[seen] = self.tables[k].log_prob[place[seen]]
        return np.asarray(result[predicted])


def _depth(count: int, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``count`` places, how far it is from the last of ``first`` before or at it."""
    last = np.zeros(count, np.int64)
    last[first] = first
    return np.asarray(np.arange(count) - np.maximum.accumulate(last))
