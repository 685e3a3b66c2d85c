"""What recipes do with sentences: vocabularies, batches, tags found, how sure is sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.language.neural import log_softmax
from wakeword.spans import TagSearch
from wakeword.vocabulary import UNK, Vocabulary
from wakeword.words import KINDS, Coder
from wakeword_train.data.tagged import Sentence
from wakeword_train.sequence_metrics import span_f1

__all__ = ["Guess", "Symbols", "accuracy", "draw_sentences", "f1", "least_sure", "read_all"]

Array = NDArray[Any]
BATCH = 64


@dataclass(frozen=True, slots=True)
class Symbols:
    """What a model reads and what it tells.

    Attributes:
        coder: of words.
        tags, labels: what is told; None of what is not.
        counts: of each word number, how often it is in training.
    """

    coder: Coder
    tags: Vocabulary | None
    labels: Vocabulary | None
    counts: Array

    @classmethod
    def of(
        cls, sentences: Sequence[Sentence], *, affixes: bool, more: Iterable[str] = ()
    ) -> Symbols:
        """Collect the symbols of training sentences.

        Args:
            sentences: of training.
            affixes: whether to look at beginnings, ends and shapes of words too.
            more: words that are known besides, through their vectors.
        """
        kinds = list(KINDS) if affixes else ["words"]
        found: dict[str, Vocabulary] = {}
        for kind in kinds:
            seen = Counter(KINDS[kind](word) for s in sentences for word in s.words)
            others = [word for word in more if word not in seen] if kind == "words" else []
            least = 1 if kind == "words" else 2
            names = sorted((n for n in seen if seen[n] >= least), key=lambda n: (-seen[n], n))
            found[kind] = Vocabulary((UNK, *names, *others), "word", UNK)
            if kind == "words":
                counts = np.array([seen[symbol] for symbol in found[kind].symbols])
        tags = sorted({tag for s in sentences for tag in s.tags})
        tags += sorted({f"B-{t[2:]}" for t in tags if t[:2] == "I-"} - {*tags})
        labels = sorted({s.label for s in sentences} - {""})
        return cls(
            Coder(found),
            Vocabulary(tuple(tags), "word") if tags else None,
            Vocabulary(tuple(labels), "word") if labels else None,
            counts,
        )

    @property
    def sizes(self) -> list[int]:
        """Symbols of each column."""
        return [len(self.coder.vocabularies[kind]) for kind in self.coder.kinds]

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """All of them, as they go into a bundle."""
        told = {"tags": self.tags, "labels": self.labels}
        return {**self.coder.vocabularies, **{k: v for k, v in told.items() if v is not None}}


def draw_sentences(
    sentences: Sequence[Sentence], symbols: Symbols, *, batch: int, forget: float = 0.0
) -> Callable[[np.random.Generator, int], tuple[Array, ...]]:
    """Make batches of sentences of about the same length.

    Args:
        sentences: of training.
        symbols: theirs.
        batch: sentences of a batch.
        forget: a word that is n times in training is made unknown with the chance
            forget / (forget + n), so that the model learns what to do without (Kiperwasser and
            Goldberg 2016, arXiv:1603.04351).

    Returns:
        Gives (codes (B, T, kinds), mask (B, T), tags (B, T), labels (B,)); T a multiple of 8.
    """
    if not 1 <= batch <= len(sentences):
        raise ConfigError(f"batch={batch}: need 1 to the {len(sentences)} sentences there are")
    codes = [symbols.coder.encode(s.words) for s in sentences]
    tags = [_numbers(symbols.tags, s.tags or ("O",) * len(s.words)) for s in sentences]
    labels = np.array([_numbers(symbols.labels, (s.label,))[0] for s in sentences], np.int32)
    lengths = np.array([len(s.words) for s in sentences])
    chance = forget / (forget + np.maximum(symbols.counts, 1)) if forget else None
    pools = min(8, len(sentences) // batch)

    def draw(rng: np.random.Generator, number: int) -> tuple[Array, ...]:
        pool = rng.choice(len(codes), pools * batch, replace=False)
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        first = int(rng.integers(pools)) * batch
        rows = pool[first : first + batch]
        x, mask = _padded([codes[i] for i in rows], 8)
        if chance is not None:
            x[..., 0][rng.random(mask.shape) < chance[x[..., 0]]] = 0
        return x, mask, _padded([tags[i] for i in rows], 8)[0], labels[rows]

    return draw


@dataclass(frozen=True, slots=True)
class Guess:
    """What a model makes of sentences: tags of each, labels, and their probabilities (N, V)."""

    tags: list[list[str]]
    labels: list[str]
    probs: Array


def read_all(net: Any, symbols: Symbols, sentences: Sequence[Sentence]) -> Guess:
    """Let a model in TensorFlow read sentences."""
    import tensorflow as tf

    codes = [symbols.coder.encode(s.words) for s in sentences]
    search = TagSearch(symbols.tags.symbols) if symbols.tags else None
    tags: list[list[str]] = [[] for _ in codes]
    probs = np.zeros((len(codes), len(symbols.labels or ())), np.float32)
    order = sorted(range(len(codes)), key=lambda i: len(codes[i]))
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        x, mask = _padded([codes[i] for i in rows], 8)
        tag_logits, label_logits = net.read(tf.constant(x), tf.constant(mask))
        if search is not None:
            for row, scores in zip(rows, log_softmax(np.asarray(tag_logits)), strict=True):
                tags[row] = search(scores[: len(codes[row])])
        if symbols.labels is not None:
            probs[rows] = np.exp(log_softmax(np.asarray(label_logits)))
    labels = [symbols.labels.symbols[i] for i in probs.argmax(axis=1)] if symbols.labels else []
    return Guess(tags, labels, probs)


def f1(tags: Sequence[Sequence[str]], sentences: Sequence[Sentence], kind: str = "") -> float:
    """F1 of spans in %, of one kind or of all."""

    def only(found: Iterable[str]) -> list[str]:
        return [tag if kind in ("", tag[2:]) else "O" for tag in found]

    return 100 * span_f1([only(t) for t in tags], [only(s.tags) for s in sentences]).f1


def accuracy(labels: Sequence[str], sentences: Sequence[Sentence]) -> float:
    """Share of labels that are right, in %."""
    return 100 * float(np.mean([a == s.label for a, s in zip(labels, sentences, strict=True)]))


def least_sure(guess: Guess, sentences: Sequence[Sentence], share: float = 0.02) -> float:
    """Probability that all but ``share`` of the right labels of held-out sentences reach."""
    best = guess.probs.max(axis=1)
    right = best[[a == s.label for a, s in zip(guess.labels, sentences, strict=True)]]
    return round(float(np.quantile(right, share)), 4) if len(right) else 1.0


def _numbers(vocabulary: Vocabulary | None, names: Sequence[str]) -> NDArray[np.int32]:
    """Number tags or labels; zeros where the model tells none."""
    return np.zeros(len(names), np.int32) if vocabulary is None else vocabulary.encode(list(names))


def _padded(arrays: Sequence[Array], multiple: int) -> tuple[Array, NDArray[np.float32]]:
    """Stack arrays of unequal length, zeros behind, and where there is something."""
    longest = max(map(len, arrays))
    size = -(-longest // multiple) * multiple
    result = np.zeros((len(arrays), size, *arrays[0].shape[1:]), arrays[0].dtype)
    mask = np.zeros(result.shape[:2], np.float32)
    for i, array in enumerate(arrays):
        result[i, : len(array)], mask[i, : len(array)] = array, 1
    return result, mask
