"""Data that R saved (.rda): vectors, factors, lists and data frames, and nothing that runs.

Only the binary form is read, which ``save()`` writes; functions and other code are refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["parse_rda", "read_rda"]

MAX_BYTES = 1 << 28
MAX_DEPTH = 200
NA_INTEGER = -(2**31)
# Types of items, as R's "R Internals" numbers them.
SYMBOL, PAIRS, ENVIRONMENT, CHARS, LOGICAL, INTEGER, REAL = 1, 2, 4, 9, 10, 13, 14
STRINGS, LIST, POINTER, RAW, ALTERNATIVE, REFERENCE = 16, 19, 22, 24, 238, 255
NOTHING = {254, 253, 252, 251, 250, 242, 241}  # NULL, and environments that every R has
NAMESPACES = {247, 248, 249}
OPENERS: dict[bytes, Any] = {b"\xfd7zXZ": lzma.open, b"\x1f\x8b": gzip.open, b"BZh": bz2.open}


def read_rda(path: Path) -> dict[str, Any]:
    """Read a file that R's ``save()`` wrote.

    Returns:
        Name of each object to it: a vector is an array (text: objects of str and None; a missing
        whole number or truth makes the array float64 with NaN), a factor the text of its levels, a
        list or data frame a dict of its parts where they have names, else a list.

    Raises:
        ConfigError: it cannot be read, is no such file, damaged, or holds code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(5)
        openers = [found for start, found in OPENERS.items() if head.startswith(start)]
        with openers[0](path, "rb") if openers else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: over {MAX_BYTES:,} bytes unpacked: too large for this reader")
    try:
        return parse_rda(content)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def parse_rda(content: bytes) -> dict[str, Any]:
    """Parse an unpacked file; see :func:`read_rda`."""
    if content[:7] not in (b"RDX2\nX\n", b"RDX3\nX\n"):
        raise ConfigError(f"begins with {content[:7]!r}: need data saved by R in its binary form")
    reader = _Reader(content, 7)
    version, _, _ = reader.ints(3)
    if version != int(content[3:4]):
        raise ConfigError(f"version {version} in a file of version {content[3:4]!r}")
    if version == 3:
        reader.take(reader.length())  # the encoding that the writer had
    try:
        saved = reader.item()
    except (TypeError, ValueError, OverflowError) as exc:  # a part of another type than it must be
        raise ConfigError(f"damaged before byte {reader.at}: {exc}") from exc
    if not isinstance(saved, dict) or not all(isinstance(name, str) for name in saved):
        raise ConfigError("holds no named objects")
    return saved


class _Reader:
    """Goes through the bytes once."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content = content
        self.at = at
        self.known: list[Any] = []  # symbols and environments, which later items refer to
        self.depth = 0

    def take(self, count: int) -> bytes:
        """Give the next bytes."""
        if count < 0 or self.at + count > len(self.content):
            raise ConfigError(f"ends within an item at byte {self.at}: cut off or damaged")
        self.at += count
        return self.content[self.at - count : self.at]

    def ints(self, count: int) -> list[int]:
        """Give the next whole numbers of four bytes."""
        return [int(n) for n in np.frombuffer(self.take(4 * count), ">i4")]

    def length(self) -> int:
        """Give the length of a vector."""
        (count,) = self.ints(1)
        if count == -1:
            high, low = np.frombuffer(self.take(8), ">u4").tolist()
            count = (high << 32) + low
        if not 0 <= count <= len(self.content):
            raise ConfigError(f"a length of {count} at byte {self.at}: damaged")
        return count

    def item(self) -> Any:
        """Read an item with all that is in it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConfigError(f"lists within lists, over {MAX_DEPTH} deep")
        (flags,) = self.ints(1)
        found = self._item(flags, flags & 255, bool(flags & 512))
        self.depth -= 1
        return found

    def _item(self, flags: int, kind: int, has_attributes: bool) -> Any:
        if kind in NOTHING:
            return None
        if kind == REFERENCE:
            number = flags >> 8 or self.ints(1)[0]
            if not 1 <= number <= len(self.known):
                raise ConfigError(f"refers to item {number} of {len(self.known)}: damaged")
            return self.known[number - 1]
        if kind == SYMBOL:
            name = self.item()
            self.known.append(name)
            return name
        if kind in NAMESPACES:
            _, count = self.ints(2)
            self.known.append(None)
            for _ in range(count):
                self.item()
            return None
        if kind == ENVIRONMENT:
            self.ints(1)
            self.known.append(None)
            for _ in range(4):
                self.item()
            return None
        if kind == POINTER:  # of data tables; means nothing in a file
            self.known.append(None)
            self.item()
            self.item()
            found: Any = None
        elif kind == PAIRS:
            return self._pairs(flags)
        elif kind == CHARS:
            (count,) = self.ints(1)
            return None if count == -1 else self.take(count).decode("utf-8", "replace")
        elif kind == ALTERNATIVE:
            return self._alternative()
        else:
            found = self._vector(kind)
        return _finished(found, self.item() if has_attributes else None)

    def _vector(self, kind: int) -> Any:
        sizes = {LOGICAL: ">i4", INTEGER: ">i4", REAL: ">f8", RAW: "u1"}
        if kind not in (*sizes, STRINGS, LIST):
            raise ConfigError(f"an item of type {kind} at byte {self.at}: need data, not code")
        count = self.length()
        if kind in sizes:
            dtype = np.dtype(sizes[kind])
            values = np.frombuffer(self.take(count * dtype.itemsize), dtype)
            return values.astype(dtype.newbyteorder("="))
        if 4 * count > len(self.content) - self.at:
            raise ConfigError(f"a list of {count} at byte {self.at}: damaged")
        items = [self.item() for _ in range(count)]
        return np.array(items, object) if kind == STRINGS else items

    def _pairs(self, flags: int) -> Any:
        """Read a chain of named values; one without a name gets its place."""
        found: dict[Any, Any] = {}
        while True:
            if flags & 512:
                self.item()
            name = self.item() if flags & 1024 else len(found)
            found[name] = self.item()
            (flags,) = self.ints(1)
            kind = flags & 255
            if kind in NOTHING:
                return found
            if kind != PAIRS:
                raise ConfigError(f"a chain that ends in an item of type {kind}: damaged")

    def _alternative(self) -> Any:
        """Read a vector that R keeps in a shorter form."""
        info, state, attributes = self.item(), self.item(), self.item()
        name = next(iter(info.values()), None) if isinstance(info, dict) else None
        if name in ("compact_intseq", "compact_realseq"):
            count, start, step = np.asarray(state, np.float64)
            if not 0 <= count <= MAX_BYTES // 8:
                raise ConfigError(f"a sequence of {count} numbers: damaged")
            values = start + step * np.arange(int(count))
            found: Any = values if name == "compact_realseq" else values.astype(np.int32)
        elif isinstance(name, str) and name.startswith("wrap_") and isinstance(state, list):
            found = state[0]
        elif name == "deferred_string" and isinstance(state, dict):
            numbers = np.asarray(next(iter(state.values())))
            found = np.array([f"{n:.15g}" for n in numbers], object)
        else:
            raise ConfigError(f"a vector in the form {name!r}, which this reader does not know")
        return _finished(found, attributes)


def _finished(found: Any, attributes: Any) -> Any:
    """Give names to the parts of a list, and the text of its levels to a factor."""
    named: dict[Any, Any] = attributes if isinstance(attributes, dict) else {}
    if isinstance(found, np.ndarray) and found.dtype == np.int32:
        if "levels" in named:
            return _factor(found, np.asarray(named["levels"], object))
        if np.any(found == NA_INTEGER):
            return np.where(found == NA_INTEGER, np.nan, found)
    if isinstance(found, list) and "names" in named:
        names = [str(name) for name in named["names"]]
        if len(names) != len(found):
            raise ConfigError(f"{len(names)} names for {len(found)} parts: damaged")
        return dict(zip(names, found, strict=True))
    shape = named.get("dim")
    if isinstance(found, np.ndarray) and isinstance(shape, np.ndarray):
        if int(np.prod(shape)) != len(found):
            raise ConfigError(f"{len(found)} numbers for the shape {shape.tolist()}: damaged")
        return found.reshape(shape, order="F")
    return found


def _factor(codes: NDArray[np.int32], levels: NDArray[np.object_]) -> NDArray[np.object_]:
    missing = codes == NA_INTEGER
    if np.any(~missing & ((codes < 1) | (codes > len(levels)))):
        raise ConfigError("a factor with a level that is not there: damaged")
    text = np.concatenate([levels, np.array([None], object)])
    return np.asarray(text[np.where(missing, len(levels), codes - 1)])
