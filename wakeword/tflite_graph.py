"""Read a .tflite file (a FlatBuffer) with the standard library and numpy only.

Just enough of TFLite's schema (:mod:`wakeword.tflite_schema`) to execute a small model, check it,
draw it or write it as C: the tensors of the subgraphs, their operators with the options they need,
and the signatures. Every offset is checked before it is followed, and the number of values read is
bounded, so a damaged or hostile file ends in :class:`BundleError` after a short time and without a
large allocation.

Source: the layout is "FlatBuffers Internals", https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError
from wakeword.tflite_schema import ACTIVATIONS, DTYPES, OP_NAMES, OPTIONS

__all__ = ["Graph", "Operator", "Signature", "Tensor", "read_graph", "read_subgraphs"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor: ``real = scale * (stored - zero_point)`` where ``scales`` is not empty."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scales: NDArray[np.float32]
    """Shape (0,): not quantised; (1,): one scale; (C,): one per index of ``axis``."""
    zero_points: NDArray[np.int64]
    """As long as ``scales``."""
    axis: int
    data: NDArray[Any] | None
    """Constant value with this shape and dtype, read-only; None where it is computed."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: tensor indices in and out (-1: an optional input left out), and its options."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    """Every option that :data:`~wakeword.tflite_schema.OPTIONS` lists; ``activation`` is a name."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Names the exporter gave to the subgraph's inputs and outputs, as tensor indices."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """One subgraph of a model."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signatures: Mapping[str, Signature]


class _Buffer:
    """The file's bytes, each access checked and each value counted (constants are not counted)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # Offsets may lead to the same bytes again and again, so a small file could keep us busy for
        # ever. A trigger model needs about 2,500 values; a million take under a second.
        self.left = 1_000_000

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise BundleError("damaged model: it describes itself in more than a million values")

    def unpack(self, fmt: str, at: int) -> Any:
        self.spend(1)
        size = struct.calcsize("<" + fmt)
        if not 0 <= at <= len(self.data) - size:
            raise BundleError(
                f"damaged model: offset {at} lies outside its {len(self.data)} bytes; copy it again"
            )
        return struct.unpack_from("<" + fmt, self.data, at)[0]

    def vector(self, at: int, itemsize: int) -> tuple[int, int]:
        """Start and length of a vector whose items take ``itemsize`` bytes each."""
        count: int = self.unpack("I", at)
        if count * itemsize > len(self.data) - at - 4:
            raise BundleError(f"damaged model: {count} items at offset {at} run past its end")
        return at + 4, count


class _Table:
    """A FlatBuffer table: fields found through a list of 16-bit offsets."""

    def __init__(self, buffer: _Buffer, at: int) -> None:
        self.buffer, self.at = buffer, at
        self.vtable = at - buffer.unpack("i", at)
        self.vtable_size = buffer.unpack("H", self.vtable)
        self.size = buffer.unpack("H", self.vtable + 2)

    def field(self, index: int) -> int | None:
        """Where field ``index`` is stored, or None if it has its default."""
        slot = 4 + 2 * index
        if slot + 2 > self.vtable_size:
            return None
        offset: int = self.buffer.unpack("H", self.vtable + slot)
        if offset >= max(self.size, 4):
            raise BundleError(f"damaged model: field {index} lies outside its table at {self.at}")
        return self.at + offset if offset else None

    def scalar(self, index: int, fmt: str, default: Any) -> Any:
        at = self.field(index)
        return default if at is None else self.buffer.unpack(fmt, at)

    def follow(self, index: int) -> int | None:
        """Where the offset stored in field ``index`` leads."""
        at = self.field(index)
        return None if at is None else at + self.buffer.unpack("I", at)

    def table(self, index: int) -> _Table | None:
        at = self.follow(index)
        return None if at is None else _Table(self.buffer, at)

    def string(self, index: int) -> str:
        at = self.follow(index)
        if at is None:
            return ""
        start, count = self.buffer.vector(at, 1)
        self.buffer.spend(count)
        try:
            return self.buffer.data[start : start + count].decode("utf-8")
        except UnicodeDecodeError as exc:  # LiteRT's Python interface would raise it, later
            raise BundleError(f"damaged model: the text at offset {start} is not UTF-8") from exc

    def numbers(self, index: int, dtype: str) -> NDArray[Any]:
        """Vector of numbers; empty where it is absent."""
        at = self.follow(index)
        if at is None:
            return np.zeros(0, dtype)
        start, count = self.buffer.vector(at, np.dtype(dtype).itemsize)
        self.buffer.spend(count)
        return np.frombuffer(self.buffer.data, dtype, count, start)

    def indices(self, index: int) -> tuple[int, ...]:
        return tuple(self.numbers(index, "<i4").tolist())

    def tables(self, index: int, read: Callable[[_Table], T]) -> tuple[T, ...]:
        """``read`` applied to each table of a vector."""
        at = self.follow(index)
        if at is None:
            return ()
        start, count = self.buffer.vector(at, 4)
        places = range(start, start + 4 * count, 4)
        return tuple(read(_Table(self.buffer, p + self.buffer.unpack("I", p))) for p in places)

    def bytes_at(self, index: int) -> tuple[int, int]:
        """Start and length of a byte vector, not copied and not counted."""
        at = self.follow(index)
        return (0, 0) if at is None else self.buffer.vector(at, 1)


def read_graph(model: bytes) -> Graph:
    """Read the main (first) subgraph of a .tflite file; errors as :func:`read_subgraphs`.

    >>> read_graph(b"RIFF....WAVE")
    Traceback (most recent call last):
    ...
    wakeword.errors.BundleError: not a TFLite model: bytes 4..8 are b'....', expected b'TFL3'
    """
    return read_subgraphs(model)[0]


def read_subgraphs(model: bytes) -> tuple[Graph, ...]:
    """Read all subgraphs of a .tflite file, the main one first.

    Args:
        model: the whole file. It is kept alive: constants are read-only views into it.

    Raises:
        BundleError: not a TFLite model, damaged, or it stores tensors in a way not read here
            (sparse, external, or of a type without a numpy equivalent).
    """
    if model[4:8] != b"TFL3":
        raise BundleError(f"not a TFLite model: bytes 4..8 are {model[4:8]!r}, expected b'TFL3'")
    buffer = _Buffer(bytes(model))
    root = _Table(buffer, buffer.unpack("I", 0))
    version = root.scalar(0, "I", 0)
    if version != 3:
        raise BundleError(f"TFLite schema version {version}: only version 3 is read")
    codes = root.tables(1, _read_code)
    blobs = root.tables(4, _read_blob)
    signed = root.tables(7, lambda table: (table.scalar(4, "I", 0), table))
    subgraphs = root.tables(2, lambda table: table)
    if not subgraphs:
        raise BundleError("damaged model: it has no subgraph")
    return tuple(
        _read_subgraph(table, codes, blobs, [t for which, t in signed if which == i])
        for i, table in enumerate(subgraphs)
    )


def _read_subgraph(
    subgraph: _Table,
    codes: tuple[tuple[str, int], ...],
    blobs: tuple[tuple[int, int], ...],
    signed: Sequence[_Table],
) -> Graph:
    tensors = subgraph.tables(0, lambda table: _read_tensor(table, blobs))
    operators = subgraph.tables(3, lambda table: _read_operator(table, codes, len(tensors)))
    inputs, outputs = subgraph.indices(1), subgraph.indices(2)
    _check_indices(inputs + outputs, len(tensors), "the subgraph", lowest=0)
    signatures = dict(_read_signature(table, len(tensors)) for table in signed)
    return Graph(tensors, operators, inputs, outputs, signatures)


def _read_code(table: _Table) -> tuple[str, int]:
    """Operator name and version. Codes above 126 do not fit the old 8-bit field."""
    code = max(table.scalar(0, "b", 0), table.scalar(3, "i", 0))
    name = OP_NAMES.get(code, f"builtin operator {code}")
    if name == "CUSTOM":
        name = f"custom operator {table.string(1)!r}"
    return name, table.scalar(2, "i", 1)


def _read_blob(table: _Table) -> tuple[int, int]:
    """Start and length of a constant's bytes."""
    if table.scalar(1, "Q", 0) > 1:
        raise BundleError("this model stores constants outside the FlatBuffer; re-export it")
    return table.bytes_at(0)


def _read_tensor(table: _Table, blobs: tuple[tuple[int, int], ...]) -> Tensor:
    name = table.string(3)
    code = table.scalar(1, "b", 0)
    if code not in DTYPES:
        raise BundleError(f"tensor {name!r} has TFLite type {code}, which is not read here")
    if table.field(6) is not None:
        raise BundleError(f"tensor {name!r} is stored sparse; re-export it dense")
    dtype = np.dtype(DTYPES[code])
    shape = table.indices(0)
    if any(n < 0 for n in shape):
        raise BundleError(f"tensor {name!r} has shape {shape}: every dimension must be known")
    scales, zeros, axis = _read_quantization(table.table(4), name, shape)
    data = None
    which = table.scalar(2, "I", 0)
    if which >= max(len(blobs), 1):
        raise BundleError(f"damaged model: tensor {name!r} uses buffer {which} of {len(blobs)}")
    start, count = blobs[which] if blobs else (0, 0)
    if count:
        if count != math.prod(shape) * dtype.itemsize:
            raise BundleError(
                f"damaged model: tensor {name!r} has {count} bytes, "
                f"its shape {shape} of {dtype} needs {math.prod(shape) * dtype.itemsize}"
            )
        flat = np.frombuffer(table.buffer.data, dtype, math.prod(shape), start)
        data = flat.reshape(shape)
    return Tensor(name, shape, dtype, scales, zeros, axis, data)


def _read_quantization(
    table: _Table | None, name: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Scales, zero points and their axis; two empty arrays for a tensor that is not quantised."""
    if table is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    scales, zeros = table.numbers(2, "<f4"), table.numbers(3, "<i8")
    axis = table.scalar(6, "i", 0)
    if len(zeros) == 0:
        zeros = np.zeros(len(scales), np.int64)
    if len(scales) != len(zeros):
        raise BundleError(
            f"damaged model: tensor {name!r} has {len(scales)} scales, {len(zeros)} zero points"
        )
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise BundleError(f"damaged model: tensor {name!r} has a scale that is not positive")
    if np.any(np.abs(zeros) > 32768):
        raise BundleError(f"damaged model: tensor {name!r} has a zero point outside 16 bits")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise BundleError(
            f"damaged model: tensor {name!r} of shape {shape} has {len(scales)} scales, axis {axis}"
        )
    return scales, zeros, axis


def _read_operator(table: _Table, codes: tuple[tuple[str, int], ...], tensors: int) -> Operator:
    which = table.scalar(0, "I", 0)
    if which >= len(codes):
        raise BundleError(f"damaged model: operator code {which} of {len(codes)}")
    name, version = codes[which]
    inputs, outputs = table.indices(1), table.indices(2)
    _check_indices(inputs, tensors, name, lowest=-1)
    _check_indices(outputs, tensors, name, lowest=0)
    options: dict[str, Any] = {}
    stored, kind = table.table(4), table.scalar(3, "B", 0)
    expected, fields = OPTIONS.get(name, (kind, ()))
    if stored is not None and kind != expected:
        raise BundleError(f"damaged model: {name} has options of type {kind}, not {expected}")
    for key, field, fmt, default in fields:
        if stored is None:
            options[key] = default
        elif fmt == "vector":
            options[key] = stored.indices(field)
        elif fmt == "string":
            options[key] = stored.string(field)
        else:
            options[key] = stored.scalar(field, fmt, default)
    if "activation" in options:
        code = options["activation"]
        if not 0 <= code < len(ACTIVATIONS):
            raise BundleError(f"damaged model: {name} has fused activation {code}")
        options["activation"] = ACTIVATIONS[code]
    return Operator(name, version, inputs, outputs, options)


def _read_signature(table: _Table, tensors: int) -> tuple[str, Signature]:
    """Key and signature."""

    def pair(entry: _Table) -> tuple[str, int]:
        return entry.string(0), entry.scalar(1, "I", 0)

    key = table.string(2)
    inputs, outputs = dict(table.tables(0, pair)), dict(table.tables(1, pair))
    where = f"signature {key!r}"
    _check_indices((*inputs.values(), *outputs.values()), tensors, where, lowest=0)
    return key, Signature(inputs, outputs)


def _check_indices(indices: tuple[int, ...], count: int, where: str, lowest: int) -> None:
    for index in indices:
        if not lowest <= index < count:
            raise BundleError(f"damaged model: {where} refers to tensor {index} of {count}")
