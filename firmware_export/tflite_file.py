"""Write a .tflite file from tensors, operators and subgraphs, laid out by ``flatbuffers``.

Only what a streaming model needs of TFLite's schema; :mod:`wakeword.tflite_graph` reads it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FileGraph", "FileOperator", "FileTensor", "write_tflite"]

# Name -> number in the schema.
_TYPES = {"int32": 2, "uint8": 3, "int8": 9, "resource": 13}
_CODES = {
    "ADD": 0, "ASSIGN_VARIABLE": 144, "CALL_ONCE": 129, "CONCATENATION": 2, "FULLY_CONNECTED": 9,
    "LOGISTIC": 14, "MUL": 18, "QUANTIZE": 114, "READ_VARIABLE": 143, "RESHAPE": 22,
    "STRIDED_SLICE": 45, "VAR_HANDLE": 142,
}  # fmt: skip
_VERSIONS = {
    "ADD": 2, "CONCATENATION": 2, "FULLY_CONNECTED": 4, "LOGISTIC": 2, "MUL": 2, "STRIDED_SLICE": 2,
}  # fmt: skip
# Operator -> type of its options, and their fields: name, number, kind.
_OPTIONS: Mapping[str, tuple[int, tuple[tuple[str, int, str], ...]]] = {
    "ADD": (11, ()),
    "ASSIGN_VARIABLE": (113, ()),
    "CALL_ONCE": (103, (("init_subgraph", 0, "int32"),)),
    "CONCATENATION": (10, (("axis", 0, "int32"),)),
    "FULLY_CONNECTED": (8, (("relu", 0, "int8"),)),
    "MUL": (21, ()),
    "QUANTIZE": (75, ()),
    "READ_VARIABLE": (112, ()),
    "RESHAPE": (17, ()),
    "STRIDED_SLICE": (32, ()),
    "VAR_HANDLE": (111, (("shared_name", 1, "string"),)),
}


@dataclass(frozen=True, slots=True, eq=False)
class FileTensor:
    """A tensor; ``data`` where it is constant, ``scale`` 0 where it is not quantised."""

    name: str
    kind: str
    shape: tuple[int, ...]
    scale: float = 0.0
    zero: int = 0
    data: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class FileOperator:
    """An operator on tensors by their place in the list."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class FileGraph:
    """One subgraph, made by appending."""

    name: str
    tensors: list[FileTensor] = field(default_factory=list)
    operators: list[FileOperator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def add(self, tensor: FileTensor) -> int:
        """Append a tensor and return its place."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def apply(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: object
    ) -> None:
        """Append an operator."""
        self.operators.append(FileOperator(name, tuple(inputs), tuple(outputs), options))


class _Writer:
    """A flatbuffer builder with the few shapes of value that the schema uses."""

    def __init__(self) -> None:
        import flatbuffers

        self.builder = flatbuffers.Builder(1 << 16)

    def numbers(self, values: Sequence[int] | Sequence[float], dtype: str) -> int:
        """A vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype)))

    def tables(self, offsets: Sequence[int]) -> int:
        """A vector of tables."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def table(self, size: int, *slots: Callable[[Any], None]) -> int:
        """A table of ``size`` fields; each slot sets one."""
        self.builder.StartObject(size)
        for slot in slots:
            slot(self.builder)
        return int(self.builder.EndObject())

    def aligned(self, data: bytes) -> int:
        """A vector of bytes aligned to 16, as constants are."""
        self.builder.StartVector(1, len(data), 16)
        self.builder.head = head = self.builder.Head() - len(data)
        self.builder.Bytes[head : head + len(data)] = data
        return int(self.builder.EndVector())


def _offset(number: int, value: int) -> Callable[[Any], None]:
    return lambda b: b.PrependUOffsetTRelativeSlot(number, value, 0)


def _number(number: int, kind: str, value: int) -> Callable[[Any], None]:
    name = {"int8": "Int8", "uint8": "Uint8", "int32": "Int32", "uint32": "Uint32"}[kind]
    return lambda b: getattr(b, f"Prepend{name}Slot")(number, value, 0)


def write_tflite(graphs: Sequence[FileGraph], description: str) -> bytes:
    """Return the content of the file; the main graph comes first."""
    w = _Writer()
    names = sorted({op.name for graph in graphs for op in graph.operators})
    buffers = [w.table(3)]
    subgraphs = [_subgraph(w, graph, names, buffers) for graph in graphs]
    codes = []
    for name in names:
        code = _CODES[name]
        codes.append(
            w.table(
                4,
                _number(0, "int8", min(code, 127)),
                _number(2, "int32", _VERSIONS.get(name, 1)),
                _number(3, "int32", code),
            )
        )
    parts = [w.tables(codes), w.tables(subgraphs), w.text(description), w.tables(buffers)]
    root = w.table(
        8, _number(0, "uint32", 3), *(_offset(i + 1, part) for i, part in enumerate(parts))
    )
    w.builder.Finish(root, b"TFL3")
    return bytes(w.builder.Output())


def _subgraph(w: _Writer, graph: FileGraph, names: Sequence[str], buffers: list[int]) -> int:
    tensors = [_tensor(w, tensor, buffers) for tensor in graph.tensors]
    operators = [_operator(w, op, names) for op in graph.operators]
    parts = [
        w.tables(tensors),
        w.numbers(graph.inputs, "<i4"),
        w.numbers(graph.outputs, "<i4"),
        w.tables(operators),
        w.text(graph.name),
    ]
    return w.table(5, *(_offset(i, part) for i, part in enumerate(parts)))


def _tensor(w: _Writer, tensor: FileTensor, buffers: list[int]) -> int:
    buffer = 0
    if tensor.data is not None:
        data = w.aligned(np.ascontiguousarray(tensor.data).tobytes())
        buffers.append(w.table(3, _offset(0, data)))
        buffer = len(buffers) - 1
    slots = [_offset(0, w.numbers(tensor.shape, "<i4")), _offset(3, w.text(tensor.name))]
    if tensor.scale:
        scale, zero = w.numbers([tensor.scale], "<f4"), w.numbers([tensor.zero], "<i8")
        slots.append(_offset(4, w.table(7, _offset(2, scale), _offset(3, zero))))
    numbers = [_number(1, "int8", _TYPES[tensor.kind]), _number(2, "uint32", buffer)]
    return w.table(10, *numbers, *slots)


def _operator(w: _Writer, op: FileOperator, names: Sequence[str]) -> int:
    slots = [
        _number(0, "uint32", names.index(op.name)),
        _offset(1, w.numbers(op.inputs, "<i4")),
        _offset(2, w.numbers(op.outputs, "<i4")),
    ]
    if op.name in _OPTIONS:
        kind, fields = _OPTIONS[op.name]
        inside = []
        for name, number, form in fields:
            if name not in op.options:
                continue
            value = op.options[name]
            slot = _offset(number, w.text(value)) if form == "string" else None
            inside.append(slot or _number(number, form, int(value)))
        slots += [_number(3, "uint8", kind), _offset(4, w.table(8, *inside))]
    return w.table(9, *slots)
