"""What a language model adds to the rank of a prefix, at each character or at each word's end.

A fusion is told one character after another. ``extend(memory, symbol)`` gives what the model adds
to the whole prefix so far, and the memory after it; ``finish(memory)`` what it adds to a text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import State, checked
from wakeword.errors import ConfigError
from wakeword.vocabulary import Vocabulary

if TYPE_CHECKING:
    from wakeword.language.model import LanguageModel

__all__ = ["CharFusion", "Fusion", "WordFusion"]


class Fusion(Protocol):
    """Something that judges a text while it grows."""

    def start(self) -> Any:
        """Memory before the first character."""
        ...

    def extend(self, memory: Any, symbol: str, /) -> tuple[float, Any]:
        """What it adds to the prefix with this character, and the memory after it."""
        ...

    def finish(self, memory: Any, /) -> float:
        """What it adds to the text that ends here."""
        ...


@dataclass(slots=True, eq=False)
class _Node:
    """A point of the text between two tokens of the language model."""

    score: float  # what the tokens so far add
    state: State  # before ``token``
    token: int  # the last one
    log_probs: NDArray[np.float64] | None = None  # (V,) of the next token, once asked for
    after: State = None
    next: dict[int, _Node] = field(default_factory=dict)


class _Reader:
    """Walks through a language model, asking it only for what is needed, and only once."""

    def __init__(self, model: LanguageModel, weight: float, bonus: float) -> None:
        if not 0 <= weight < np.inf:
            raise ConfigError(f"weight={weight}: need at least 0")
        if not np.isfinite(bonus):
            raise ConfigError(f"bonus={bonus}: need a finite number")
        self.model = model
        self.weight = weight
        self.bonus = bonus

    def root(self) -> _Node:
        """The beginning of a text."""
        return _Node(0.0, self.model.initial_state(1), self.model.start)

    def judged(self, node: _Node, token: int) -> float:
        """Weighted log-probability of a token."""
        if node.log_probs is None:
            log_probs, node.after = self.model.step(np.array([node.token]), node.state)
            node.log_probs = checked(log_probs, 1)[0]
        return self.weight * float(node.log_probs[token]) if self.weight else 0.0

    def onward(self, node: _Node, token: int, extra: float = 0.0) -> _Node:
        """The point after a token."""
        found = node.next.get(token)
        if found is None:
            score = node.score + self.judged(node, token) + self.bonus + extra
            found = node.next[token] = _Node(score, node.after, token)
        return found

    def ended(self, node: _Node) -> float:
        """What is added to a text that ends here."""
        eos = self.model.eos
        return node.score + (0.0 if eos is None else self.judged(node, eos))


class CharFusion:
    """A language model of characters: each adds weight x log-probability + bonus.

    Args:
        model: its tokens are ``vocabulary``'s.
        vocabulary: of characters.
        weight: of the language model, often called alpha; at least 0.
        bonus: for each character, often called beta: a language model prefers short texts.

    A character that the vocabulary does not know raises TextError.
    """

    def __init__(
        self, model: LanguageModel, vocabulary: Vocabulary, *, weight: float, bonus: float = 0.0
    ) -> None:
        if vocabulary.unit != "char":
            raise ConfigError("a vocabulary of words: need one of characters, or use WordFusion")
        self._reader = _Reader(model, weight, bonus)
        self._vocabulary = vocabulary

    def start(self) -> _Node:
        """Memory before the first character."""
        return self._reader.root()

    def extend(self, memory: _Node, symbol: str) -> tuple[float, _Node]:
        """What the model adds to the prefix with this character, and the memory after it."""
        number = int(self._vocabulary.encode(symbol)[0])
        node = self._reader.onward(memory, number)
        return node.score, node

    def finish(self, memory: _Node) -> float:
        """What the model adds to the text that ends here."""
        return self._reader.ended(memory)


class WordFusion:
    """A language model of words: each adds weight x log-probability + bonus at its end.

    Args:
        model: its tokens are ``vocabulary``'s.
        vocabulary: of words.
        weight: of the language model, often called alpha; at least 0.
        bonus: for each word, often called beta: a language model prefers few words.
        unknown: added to a word that the vocabulary has not, from the letter on where no word of
            the vocabulary begins that way; 0: any spelling goes; -inf: none.

    A word ends at a space. Its letters add nothing of the language model.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        weight: float,
        bonus: float = 0.0,
        unknown: float = -10.0,
    ) -> None:
        if vocabulary.unit != "word":
            raise ConfigError("a vocabulary of characters: need one of words, or use CharFusion")
        if not unknown <= 0:
            raise ConfigError(f"unknown={unknown}: need at most 0")
        if vocabulary.unk is None and unknown > -np.inf:
            raise ConfigError("a vocabulary without a mark for unknown words: set unknown=-inf")
        self._reader = _Reader(model, weight, bonus)
        self._vocabulary = vocabulary
        self._unknown = unknown
        words = set(vocabulary.symbols) - set(vocabulary.marks)
        self._words = {w: i for i, w in enumerate(vocabulary.symbols) if w in words}
        self._beginnings = {word[:end] for word in words for end in range(1, len(word) + 1)}

    def start(self) -> tuple[_Node, str]:
        """Memory before the first character."""
        return self._reader.root(), ""

    def extend(self, memory: tuple[_Node, str], symbol: str) -> tuple[float, tuple[_Node, str]]:
        """What the model adds to the prefix with this character, and the memory after it."""
        node, word = memory
        if symbol == " ":
            node = self._ended(node, word)
            return node.score, (node, "")
        word += symbol
        known = word in self._beginnings
        return node.score + (0.0 if known else self._unknown), (node, word)

    def finish(self, memory: tuple[_Node, str]) -> float:
        """What the model adds to the text that ends here."""
        return self._reader.ended(self._ended(*memory))

    def _ended(self, node: _Node, word: str) -> _Node:
        if not word:
            return node
        number = self._words.get(word)
        if number is not None:
            return self._reader.onward(node, number)
        unk = self._vocabulary.unk_id
        if unk is None:
            return _Node(-np.inf, node.state, node.token, node.log_probs, node.after)
        return self._reader.onward(node, unk, self._unknown)
