"""Characters or words as numbers, and back: what a sequence model knows of its alphabet.

A vocabulary is a value. It travels with its model as JSON and tells what it does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError, TextError

__all__ = ["BOS", "EOS", "MAX_CHARACTERS", "UNK", "Unit", "Vocabulary"]

Unit = Literal["char", "word"]
UNITS = ("char", "word")
BOS, EOS, UNK = "<s>", "</s>", "<unk>"
"""What begins and ends a sentence and stands for what is not known, named as in ARPA files."""
MAX_CHARACTERS = 1_000_000
"""Of one text, unless the caller allows more: a line of megabytes is a mistake or an attack."""
MAX_SYMBOLS = 1_000_000
MAX_SYMBOL_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Symbols and their numbers: a symbol's number is its place.

    Args:
        symbols: each once, none empty; of unit "char" single characters, marks aside.
        unit: "char": a text is its characters; "word": its words, apart by white space.
        unk: the mark that stands for every other symbol; None refuses those.
        bos: the mark that begins a sequence, or None.
        eos: the mark that ends one, or None. A character such as a line feed may be a mark.

    Raises:
        ConfigError: a symbol twice, empty or not of the unit; a mark that is no symbol.

    >>> names = Vocabulary(("\\n", "a", "b"), eos="\\n")
    >>> names.encode("abba", eos=True).tolist()
    [1, 2, 2, 1, 0]
    >>> names.decode([1, 2, 0, 2])  # what follows the end does not count
    'ab'
    """

    symbols: tuple[str, ...]
    unit: Unit = "char"
    unk: str | None = None
    bos: str | None = None
    eos: str | None = None
    _ids: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ConfigError(f"unit={self.unit!r}: choose one of {', '.join(UNITS)}")
        if not 1 <= len(self.symbols) <= MAX_SYMBOLS:
            raise ConfigError(f"{len(self.symbols)} symbols: need 1 to {MAX_SYMBOLS}")
        ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(ids) < len(self.symbols):
            twice = next(s for s, count in Counter(self.symbols).items() if count > 1)
            raise ConfigError(f"symbol {_show(twice)} is there twice: need each once")
        marks = self.marks
        for mark in marks:
            if mark not in ids:
                raise ConfigError(f"mark {_show(mark)} is not among the symbols: add it")
        if len(set(marks)) < len(marks):
            raise ConfigError(f"marks {marks}: unk, bos and eos must differ")
        for symbol in self.symbols:
            if symbol in marks:
                continue
            if self.unit == "char" and len(symbol) != 1:
                raise ConfigError(f"symbol {_show(symbol)}: need one character")
            if self.unit == "word" and symbol.split() != [symbol]:
                raise ConfigError(f"symbol {_show(symbol)}: need a word without white space")
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def of_chars(
        cls,
        texts: Iterable[str],
        *,
        unk: str | None = None,
        bos: str | None = None,
        eos: str | None = None,
    ) -> Vocabulary:
        """Make one of all characters in ``texts``: the marks first, then in order.

        >>> Vocabulary.of_chars(["hello"], eos=EOS).symbols
        ('</s>', 'e', 'h', 'l', 'o')
        """
        marks = tuple(mark for mark in (bos, eos, unk) if mark is not None)
        chars: set[str] = set()
        for text in texts:
            chars.update(text)
        return cls((*marks, *sorted(chars - set(marks))), "char", unk, bos, eos)

    @classmethod
    def of_words(
        cls,
        sentences: Iterable[Sequence[str]],
        *,
        limit: int | None = None,
        least: int = 1,
        unk: str | None = UNK,
        bos: str | None = None,
        eos: str | None = EOS,
    ) -> Vocabulary:
        """Make one of the most frequent words: the marks first, then by count, equals by spelling.

        Args:
            sentences: each a sequence of words.
            limit: symbols at most, marks included.
            least: times a word must be seen.
            unk: see the class, as for ``bos`` and ``eos``.

        >>> Vocabulary.of_words([["b", "a", "b"], ["c"]], limit=4).symbols
        ('</s>', '<unk>', 'b', 'a')
        """
        marks = tuple(mark for mark in (bos, eos, unk) if mark is not None)
        counts: Counter[str] = Counter()
        for sentence in sentences:
            counts.update(sentence)
        for mark in marks:
            counts.pop(mark, None)
        words = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
        room = None if limit is None else max(limit - len(marks), 0)
        return cls((*marks, *words[:room]), "word", unk, bos, eos)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    @property
    def marks(self) -> tuple[str, ...]:
        """Those of unk, bos and eos that there are."""
        return tuple(mark for mark in (self.unk, self.bos, self.eos) if mark is not None)

    @property
    def unk_id(self) -> int | None:
        """Number of the unknown symbol."""
        return None if self.unk is None else self._ids[self.unk]

    @property
    def bos_id(self) -> int | None:
        """Number of the mark that begins."""
        return None if self.bos is None else self._ids[self.bos]

    @property
    def eos_id(self) -> int | None:
        """Number of the mark that ends."""
        return None if self.eos is None else self._ids[self.eos]

    def end(self) -> int:
        """Give the number of the mark that ends.

        Raises:
            ConfigError: there is none.
        """
        return self._mark("eos", self.eos_id)

    def split(self, text: str) -> list[str]:
        """Cut a text into units: its characters, or its words."""
        return list(text) if self.unit == "char" else text.split()

    def join(self, symbols: Iterable[str]) -> str:
        """Put units together again."""
        return ("" if self.unit == "char" else " ").join(symbols)

    def encode(
        self,
        text: str | Sequence[str],
        *,
        bos: bool = False,
        eos: bool = False,
        limit: int = MAX_CHARACTERS,
    ) -> NDArray[np.int32]:
        """Number the units of a text.

        Args:
            text: a string, or its units.
            bos: put the mark that begins in front.
            eos: put the mark that ends behind.
            limit: characters, or units of a sequence, at most.

        Returns:
            Shape (T,), int32, at least one number besides the marks.

        Raises:
            TextError: nothing in it, too long, an unknown unit where there is no ``unk``, or a mark
                within it.
            ConfigError: a mark is asked for that there is not.
        """
        if len(text) > limit:
            raise TextError(
                f"a text of {len(text):,} {'characters' if isinstance(text, str) else 'units'}: "
                f"need at most {limit:,}; cut it into pieces"
            )
        units = self.split(text) if isinstance(text, str) else text
        if not units:
            what = "characters" if self.unit == "char" else "words"
            raise TextError(f"a text without {what}: need at least one")
        numbers: list[int] = []
        if bos:
            numbers.append(self._mark("bos", self.bos_id))
        forbidden = {mark for mark in (self.bos, self.eos) if mark is not None}
        ids, unk = self._ids, self.unk_id
        for place, unit in enumerate(units):
            number = ids.get(unit, unk)
            if number is None:
                raise TextError(
                    f"{_show(unit)} ({self.unit} {place + 1} of the text) is not among the "
                    f"{len(self)} symbols of the model, which knows no others: leave it out"
                )
            if unit in forbidden:
                raise TextError(
                    f"{_show(unit)} ({self.unit} {place + 1} of the text) marks where a text "
                    "begins or ends: leave it out, or give the parts one by one"
                )
            numbers.append(number)
        if eos:
            numbers.append(self._mark("eos", self.eos_id))
        return np.array(numbers, np.int32)

    def decode(self, numbers: Iterable[int]) -> str:
        """Give the text of numbers, up to the end mark and without the one that begins.

        Raises:
            TextError: a number that no symbol has.
        """
        symbols: list[str] = []
        for number in numbers:
            if not 0 <= number < len(self.symbols):
                raise TextError(f"number {number}: need 0 to {len(self.symbols) - 1}")
            symbol = self.symbols[number]
            if symbol == self.eos:
                break
            if symbol != self.bos:
                symbols.append(symbol)
        return self.join(symbols)

    def to_json(self) -> dict[str, Any]:
        """Give plain values for a JSON file."""
        return {
            "unit": self.unit, "unk": self.unk, "bos": self.bos, "eos": self.eos,
            "symbols": list(self.symbols),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> Vocabulary:
        """Read what :meth:`to_json` gave, from a stranger too.

        Raises:
            BundleError: anything else.
        """
        if not isinstance(data, dict) or set(data) != {"unit", "unk", "bos", "eos", "symbols"}:
            raise BundleError("vocabulary: need unit, unk, bos, eos and symbols, no more")
        symbols = data["symbols"]
        if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
            raise BundleError("vocabulary: symbols must be a list of texts")
        if any(not isinstance(data[mark], (str, type(None))) for mark in ("unk", "bos", "eos")):
            raise BundleError("vocabulary: unk, bos and eos must be texts or null")
        if any(len(s) > MAX_SYMBOL_LENGTH for s in symbols):
            raise BundleError(f"vocabulary: a symbol has over {MAX_SYMBOL_LENGTH} characters")
        try:
            return cls(tuple(symbols), data["unit"], data["unk"], data["bos"], data["eos"])
        except (ConfigError, TypeError) as exc:
            raise BundleError(f"vocabulary: {exc}") from exc

    def _mark(self, name: str, number: int | None) -> int:
        if number is None:
            raise ConfigError(f"{name}: this vocabulary has no such mark")
        return number


def _show(symbol: str) -> str:
    """Quote a symbol, cut where it is long, with its code where it is one character."""
    if len(symbol) == 1:
        return f"{symbol!r} (U+{ord(symbol):04X})"
    return repr(symbol if len(symbol) <= 40 else symbol[:40] + "...")
