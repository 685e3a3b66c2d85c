"""A sentence as words, and each word as what a model sees of it: itself, its ends, its shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, TextError
from wakeword.vocabulary import Vocabulary

__all__ = ["KINDS", "MAX_SENTENCE", "MAX_WORDS", "Coder", "shape", "split_sentence"]

MAX_SENTENCE = 10_000
"""Characters of one sentence: more is no sentence but a file without line ends."""
MAX_WORDS = 1_000
_WORD = re.compile(r"\w+(?:[-'’.&/]\w+)*|[^\w\s]")
_CONTRACTION = re.compile(r"(?i)(n['’]t|['’](?:s|m|d|ll|re|ve))$")
_RUNS = ((re.compile(r"[^\W\d_a-zß-öø-ÿ]+"), "X"), (re.compile(r"[^\W\d_X]+"), "x"),
         (re.compile(r"\d+"), "0"))  # fmt: skip


def shape(word: str) -> str:
    """Tell how a word is written: runs of capitals, small letters and digits as one each.

    >>> [shape(w) for w in ("Harry", "NATO", "A-4", "iPod", "don't", "1999", "?")]
    ['Xx', 'X', 'X-0', 'xXx', "x'x", '0', '?']
    """
    for pattern, sign in _RUNS:
        word = pattern.sub(sign, word)
    return word[:8]


# What a model may see of a word, by the names of its vocabularies.
KINDS: Mapping[str, Callable[[str], str]] = {
    "words": str.lower,
    "prefixes": lambda word: word[:3].lower(),
    "suffixes": lambda word: word[-3:].lower(),
    "shapes": shape,
}


def split_sentence(text: str, *, contractions: bool = False) -> list[str]:
    """Cut a sentence into words and signs.

    Args:
        text: what somebody wrote.
        contractions: cut n't, 's and their like off, as many corpora do.

    Raises:
        TextError: nothing but white space, or far too long for a sentence.

    >>> split_sentence("It isn't Don's wi-fi, is it?", contractions=True)
    ['It', 'is', "n't", 'Don', "'s", 'wi-fi', ',', 'is', 'it', '?']
    """
    if len(text) > MAX_SENTENCE:
        raise TextError(
            f"a sentence of {len(text):,} characters: need at most {MAX_SENTENCE:,}; give one "
            "sentence at a time"
        )
    words = [word for word in _WORD.findall(text) if word != "_"]
    if contractions:
        words = [part for word in words for part in _CONTRACTION.split(word) if part]
    if not words:
        raise TextError("a sentence without words: need at least one")
    return words


@dataclass(frozen=True, slots=True)
class Coder:
    """Turns words into numbers, a column for each kind of symbol.

    Args:
        vocabularies: by names of `KINDS`, "words" among them, each with a mark for the unknown.

    Raises:
        BundleError: other names, or no such mark.

    >>> words = Vocabulary(("<unk>", "go", "on"), "word", "<unk>")
    >>> Coder({"words": words}).encode(["Go", "home"]).tolist()
    [[1], [0]]
    """

    vocabularies: Mapping[str, Vocabulary]

    def __post_init__(self) -> None:
        if not set(self.vocabularies) <= set(KINDS) or "words" not in self.vocabularies:
            raise BundleError(
                f"vocabularies {sorted(self.vocabularies)}: need words, and of {', '.join(KINDS)} "
                "no others"
            )
        for name, vocabulary in self.vocabularies.items():
            if vocabulary.unk is None:
                raise BundleError(f"{name}: a vocabulary without a mark for what is unknown")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(kind for kind in KINDS if kind in self.vocabularies)

    def encode(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Give the numbers of words, (T, kinds).

        Raises:
            TextError: no word, an empty one, or too many.
        """
        if not 1 <= len(words) <= MAX_WORDS or not all(words):
            raise TextError(f"a sentence of {len(words):,} words: need 1 to {MAX_WORDS}, not empty")
        columns = [
            self.vocabularies[kind].encode([KINDS[kind](word) for word in words])
            for kind in self.kinds
        ]
        return np.stack(columns, axis=1)

    def unknown(self, words: Sequence[str]) -> list[str]:
        """List the words that the model has never seen."""
        known = self.vocabularies["words"]
        return [word for word in words if word.lower() not in known]
