"""A small model of sequences for the tests of decoders, and the search that tries everything."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

EOS = 0


class Toy:
    """The next token depends on the last two and on the row's source; the state is nested."""

    def __init__(self, seed: int, *, sources: int = 1, size: int = 4, spread: float = 2.0) -> None:
        rng = np.random.default_rng(seed)
        self.size = size
        self.sources = sources
        scores = rng.normal(size=(sources, size, size, size)) * spread
        self.table = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
        self.widest = 0  # rows of the largest batch so far

    def state(self) -> Any:
        """Before the first token: which source, and (last token, how many there were)."""
        count = self.sources
        return np.arange(count), (np.zeros(count, int), np.zeros((count, 1)))

    def step(self, tokens: NDArray[Any], state: Any) -> tuple[NDArray[Any], Any]:
        source, (last, seen) = state
        self.widest = max(self.widest, len(tokens))
        assert len(tokens) == len(source) == len(last) == len(seen)
        return self.table[source, last, tokens], (source, (np.asarray(tokens), seen + 1))

    def log_prob(self, source: int, tokens: Any) -> float:
        """Of the tokens and the end, by the definition."""
        before, last, total = 0, EOS, 0.0
        for token in [*tokens, EOS]:
            total += self.table[source, before, last, token]
            before, last = last, token
        return float(total)

    def everything(self, max_tokens: int) -> list[tuple[int, ...]]:
        """All sequences that end within ``max_tokens``, the end included."""
        others = [t for t in range(self.size) if t != EOS]
        return [
            text for n in range(max_tokens) for text in itertools.product(others, repeat=n)
        ]  # fmt: skip
