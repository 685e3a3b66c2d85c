"""ARPA files of n-gram models, out and in: the text form that KenLM, SRILM and others share.

Probabilities are logarithms to base 10. <s>, </s> and <unk> are written in place of a vocabulary's
own marks. White space and what cannot be printed would break a line, so in a model of characters
such a one is written by its number, U+0020.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError
from wakeword.files import beside
from wakeword.language.ngram import NgramModel, Table, find
from wakeword.vocabulary import BOS, EOS, UNK, Unit, Vocabulary

__all__ = ["read_arpa", "write_arpa"]

MAX_BYTES = 1 << 30
MAX_GRAMS = 20_000_000
MAX_ORDER = 10
MAX_LINE = 100_000  # bytes
SHORTEST = 4  # bytes of a line with an n-gram, "0\ta\n"
NEVER = -99.0  # log10, as others write what cannot come
LN10 = math.log(10)
BY_NUMBER = re.compile(r"U\+([0-9A-F]{4,6})")
COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")


def write_arpa(model: NgramModel, path: Path) -> None:
    """Write a model; the file is there as a whole or not at all.

    Raises:
        ConfigError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as partial, partial.open("wb") as file:
            file.writelines(line.encode() for line in _lines(model))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}; choose another") from exc


def _lines(model: NgramModel) -> Iterator[str]:
    vocabulary, size, eos = model.vocabulary, model.size, model.eos
    names = [_spelled(vocabulary, i) for i in range(size)]
    left_out = vocabulary.bos_id  # <s> is written from the mark that ends
    yield "\\data\\\n"
    for k, table in enumerate(model.tables, 1):
        extra = (1 if left_out is None else 0) if k == 1 else 0
        yield f"ngram {k}={len(table.keys) + extra}\n"
    grams = [(name,) for name in names]
    for k, table in enumerate(model.tables, 1):
        yield f"\n\\{k}-grams:\n"
        log_prob = np.maximum(table.log_prob.astype(np.float64) / LN10, NEVER)
        backoff = np.maximum(table.backoff.astype(np.float64) / LN10, NEVER)
        if k == 1:
            yield f"{NEVER:g}\t{BOS}\t{backoff[eos]:.7g}\n"
            for i, name in enumerate(names):
                if i != left_out:
                    more = "" if i == eos else f"\t{backoff[i]:.7g}"
                    yield f"{log_prob[i]:.7g}\t{name}{more}\n"
            grams[eos] = (BOS,)  # from here on it stands first
            continue
        before, last = np.divmod(table.keys, size)
        grams = [(*grams[b], names[w]) for b, w in zip(before, last, strict=True)]
        for gram, p, b in zip(grams, log_prob, backoff, strict=True):
            yield f"{p:.7g}\t{' '.join(gram)}" + (f"\t{b:.7g}\n" if b else "\n")
    yield "\n\\end\\\n"


def _spelled(vocabulary: Vocabulary, number: int) -> str:
    symbol = vocabulary.symbols[number]
    if symbol == vocabulary.eos:
        return EOS
    if symbol == vocabulary.unk:
        return UNK
    if symbol in (BOS, EOS, UNK) and number != vocabulary.bos_id:
        raise ConfigError(f"symbol {symbol}: an ARPA file means something else by it; rename it")
    if vocabulary.unit == "char" and (symbol.isspace() or not symbol.isprintable()):
        return f"U+{ord(symbol):04X}"
    return symbol


def read_arpa(
    path: Path, *, unit: Unit = "word", vocabulary: Vocabulary | None = None
) -> NgramModel:
    """Read a model, from a stranger too.

    Args:
        path: the file.
        unit: of the vocabulary that is made from the 1-grams, in their order.
        vocabulary: number the tokens by this one instead; it must have the same symbols.

    Raises:
        BundleError: not an ARPA file, a damaged or a huge one, or of other symbols; the message
            tells the line.
        ConfigError: it cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BundleError(
                f"{path}: {size:,} bytes: need at most {MAX_BYTES:,}; prune the model"
            )
        with path.open("rb") as file:
            return _Reader(path, file, size).model(unit, vocabulary)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc


class _Reader:
    """Reads one file, and knows at which line it is."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.file = file
        self.size = size
        self.number = 0

    def wrong(self, what: str) -> BundleError:
        return BundleError(f"{self.path}, line {self.number}: {what}")

    def line(self, until: str = "\\end\\") -> str:
        """Give the next line that is not empty; the file may not end before ``until``."""
        while True:
            raw = self.file.readline(MAX_LINE + 1)
            self.number += 1
            if not raw:
                raise self.wrong(f"the file ends before {until}: cut off, or no ARPA file")
            if len(raw) > MAX_LINE:
                raise self.wrong(f"a line of over {MAX_LINE:,} bytes: is this an ARPA file?")
            try:
                text = raw.decode().strip(" \t\r\n")
            except UnicodeDecodeError as exc:
                raise self.wrong("not UTF-8: convert the file") from exc
            if text:
                return text

    def model(self, unit: Unit, vocabulary: Vocabulary | None) -> NgramModel:
        """Read the whole."""
        counts = self.counts()
        given, first = self.unigrams(counts[0], unit, vocabulary)
        tables = [first]
        ids = {_spelled(given, i): i for i in range(len(given)) if i != given.bos_id}
        eos = ids[EOS]
        for k, count in enumerate(counts[1:], 2):
            tables.append(self.ngrams(k, count, tables, ids, eos))
        if self.line() != "\\end\\":
            raise self.wrong(
                f"more than the {counts[-1]} n-grams that the head counts, or no \\end\\"
            )
        return NgramModel(given, tuple(tables))

    def counts(self) -> list[int]:
        """Read the head: how many n-grams there are of each order."""
        for _ in range(1000):  # some tools write a preface
            if self.line("\\data\\") == "\\data\\":
                break
        else:
            raise self.wrong("no \\data\\ in the first 1,000 lines: this is no ARPA file")
        counts: list[int] = []
        line = self.line()
        while match := COUNT.fullmatch(line):
            if int(match[1]) != len(counts) + 1:
                raise self.wrong(f"ngram {match[1]}: need ngram {len(counts) + 1}")
            counts.append(int(match[2]))
            if len(counts) > MAX_ORDER or sum(counts) > MAX_GRAMS:
                raise self.wrong(
                    f"over order {MAX_ORDER} or {MAX_GRAMS:,} n-grams: prune the model"
                )
            line = self.line()
        if sum(counts) * SHORTEST > self.size:
            raise self.wrong(f"{sum(counts):,} n-grams in {self.size:,} bytes: the head is wrong")
        if not counts or line != "\\1-grams:":
            raise self.wrong(f"{line[:40]!r}: need 'ngram 1=COUNT' and so on, then \\1-grams:")
        return counts

    def grams(self, k: int, count: int) -> Iterator[tuple[float, list[str], float]]:
        """Read one section: log10 probability, tokens, log10 back-off weight."""
        for _ in range(count):
            text = self.line()
            parts = [part for part in re.split("[ \t]+", text) if part]
            if text.startswith("\\") and len(parts) == 1:
                raise self.wrong(
                    f"{text[:20]}: fewer {k}-grams than the {count} that the head counts"
                )
            if not k + 1 <= len(parts) <= k + 2:
                raise self.wrong(f"{len(parts)} fields: need a probability, {k} tokens, a weight")
            try:
                p = float(parts[0])
                backoff = float(parts[k + 1]) if len(parts) == k + 2 else 0.0
            except ValueError as exc:
                raise self.wrong(f"{exc}: need a number") from exc
            if not p <= 0.001 or not -1000 < backoff < 1000:
                raise self.wrong(f"{p}, {backoff}: need log10 of a probability, and of a weight")
            yield min(p, 0.0), parts[1 : k + 1], backoff

    def unigrams(
        self, count: int, unit: Unit, vocabulary: Vocabulary | None
    ) -> tuple[Vocabulary, Table]:
        """Read the 1-grams, and with them the vocabulary."""
        found: dict[str, tuple[float, float]] = {}
        for p, (name,), backoff in self.grams(1, count):
            name = UNK if name == UNK.upper() else name
            if name in found:
                raise self.wrong(f"{name[:40]!r} for the second time")
            found[name] = (p, backoff)
        begin = found.pop(BOS, (NEVER, 0.0))
        if EOS not in found:
            raise self.wrong(f"no {EOS} among the 1-grams: this model does not know how to end")
        if vocabulary is None:
            vocabulary = self.vocabulary(found, unit)
        names = [_spelled(vocabulary, i) for i in range(len(vocabulary))]
        here = {name for i, name in enumerate(names) if i != vocabulary.bos_id}
        if here != set(found):
            odd = sorted(here ^ set(found))
            raise self.wrong(
                f"{len(odd)} symbols are in the file or in the vocabulary alone, such as "
                f"{odd[0][:40]!r}: take the vocabulary that the file was made with"
            )
        log_prob = np.full(len(names), -np.inf)
        weights = np.zeros(len(names))
        for i, name in enumerate(names):
            if i != vocabulary.bos_id:
                log_prob[i], weights[i] = found[name]
        weights[names.index(EOS)] = begin[1]
        return vocabulary, _table(np.arange(len(names)), log_prob, weights)

    def vocabulary(self, found: Iterable[str], unit: Unit) -> Vocabulary:
        """Make a vocabulary of names, in their order."""
        names = list(found)
        symbols = [
            chr(int(m[1], 16))
            if unit == "char" and (m := BY_NUMBER.fullmatch(n)) and int(m[1], 16) < 0x110000
            else n
            for n in names
        ]
        try:
            return Vocabulary(tuple(symbols), unit, UNK if UNK in names else None, None, EOS)
        except ConfigError as exc:
            raise self.wrong(f"{exc}; is it a model of {unit}s?") from exc

    def ngrams(
        self, k: int, count: int, tables: list[Table], ids: dict[str, int], eos: int
    ) -> Table:
        """Read the n-grams of an order above 1."""
        if self.line() != f"\\{k}-grams:":
            raise self.wrong(
                f"need \\{k}-grams: here, after as many {k - 1}-grams as the head counts"
            )
        size = len(tables[0].keys)
        tokens = np.zeros((count, k), np.int32)
        values = np.zeros((count, 2))
        lines = np.zeros(count, np.int32)
        for row, (p, names, weight) in enumerate(self.grams(k, count)):
            for at, name in enumerate(names):
                begins = name == BOS
                if (name == EOS and at < k - 1) or (begins and at):
                    raise self.wrong(f"{name} in the middle of an n-gram")
                number = eos if begins else ids.get(UNK if name == UNK.upper() else name)
                if number is None:
                    raise self.wrong(f"{name[:40]!r} is not among the 1-grams")
                tokens[row, at] = number
            values[row] = p, weight
            lines[row] = self.number
        keys = tokens[:, 0].astype(np.int64)
        for level in range(2, k + 1):
            keys = keys * size + tokens[:, level - 1]
            if level == k:
                break
            keys = find(tables[level - 1].keys, keys)
            missing = np.flatnonzero(keys < 0)
            if len(missing):
                self.number = int(lines[missing[0]])
                raise self.wrong(
                    f"the first {level} tokens of this {k}-gram are no {level}-gram: an n-gram "
                    "needs its beginning; write the model without pruning beginnings"
                )
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        if np.any(keys[1:] == keys[:-1]):
            raise self.wrong(f"a {k}-gram is there twice: need each once")
        return _table(keys, values[order, 0], values[order, 1])


def _table(
    keys: NDArray[np.int64], log_prob: NDArray[np.float64], backoff: NDArray[np.float64]
) -> Table:
    """Make a table out of logarithms to base 10."""
    return Table(keys, _natural(log_prob), _natural(backoff))


def _natural(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn logarithms to base 10 into natural ones."""
    return np.where(values <= NEVER, -np.inf, values * LN10).astype(np.float32)
