"""One step of any sequence model on TFLite or numpy: named arrays and a state in, the same out.

Inputs ``state_0``, ``state_1``, ... come back as outputs ``next_0``, ``next_1``, ...; all other
inputs and outputs have names of their own. The state stays in the graph's own numbers, so that it
is handed on to the bit; everything else is given and returned as real numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError, DeviceError, WakewordError
from wakeword.numpy_graph import MAX_ELEMENTS, MAX_OPERATORS, NumpyInterpreter
from wakeword.runtime import first_that_works, open_interpreter
from wakeword.tflite_graph import Graph, Tensor, read_graph
from wakeword.tflite_ops import SUPPORTED

__all__ = ["State", "StepGraph"]

State = tuple[NDArray[Any], ...]
"""What a graph remembers, each array (B, ...) in the graph's numbers; never changed in place."""
# Operators that only compute: no loop, no call, no variable, nothing custom.
PLAIN = SUPPORTED | {
    *("AVERAGE_POOL_2D", "BATCH_MATMUL", "CAST", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "EXP"),
    *("MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "PACK", "PAD", "RSQRT", "SLICE", "SPLIT_V"),
    *("SQUARED_DIFFERENCE", "SUM", "TRANSPOSE", "UNPACK"),
}


@dataclass(frozen=True, slots=True)
class _Port:
    """One input or output: its place in the interpreter and how it stores real numbers."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero: int

    def store(self, value: NDArray[Any]) -> NDArray[Any]:
        """Turn real numbers (B, ...), or whole ones for a whole input, into stored ones."""
        given = np.asarray(value)
        if given.shape[1:] != self.shape[1:]:
            raise ConfigError(f"{self.name} has shape {given.shape}: need (B, *{self.shape[1:]})")
        if self.dtype in (np.int32, np.int64) and not self.scale:
            if given.dtype.kind not in "iu":
                raise ConfigError(f"{self.name} is {given.dtype}: need whole numbers")
            return np.asarray(given, self.dtype)
        if not np.isfinite(given).all():
            raise WakewordError(
                f"{self.name} holds NaN or infinity: need finite numbers; look at what made them"
            )
        if not self.scale:
            return np.asarray(given, self.dtype)
        limits = np.iinfo(self.dtype)
        stored = np.rint(given.astype(np.float64) / self.scale) + self.zero
        return np.asarray(np.clip(stored, limits.min, limits.max), self.dtype)

    def real(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Turn stored numbers into real ones."""
        if not self.scale:
            return stored
        real = (stored.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)
        return np.asarray(real)


class StepGraph:
    """A step, ready to run.

    Args:
        model: content of a .tflite.
        inputs: names of its inputs, in its order.
        outputs: names of its outputs, in its order.
        runtime: "litert", "tflite-runtime", "tf" or "numpy"; None takes the first that works. numpy
            runs float32 and int8, not 16x8.

    Raises:
        BundleError: the model is damaged, holds an operator that does more than compute, or its
            ends are not as named.
        ConfigError: no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """

    def __init__(
        self,
        model: bytes,
        inputs: Sequence[str],
        outputs: Sequence[str],
        runtime: str | None = None,
    ) -> None:
        graph = read_graph(model)
        _check_plain(graph)
        ports_in = _ports(graph, inputs, graph.inputs, "inputs")
        ports_out = _ports(graph, outputs, graph.outputs, "outputs")
        count = sum(name.startswith("state_") for name in ports_in)
        try:
            self._states = [ports_in.pop(f"state_{i}") for i in range(count)]
            self._nexts = [ports_out.pop(f"next_{i}") for i in range(count)]
        except KeyError as exc:
            raise BundleError(f"the graph lacks {exc}: need state_i and next_i for each i") from exc
        for before, after in zip(self._states, self._nexts, strict=True):
            facts = [(p.shape, p.dtype, p.scale, p.zero) for p in (before, after)]
            if facts[0] != facts[1]:
                raise BundleError(
                    f"{before.name} is {facts[0]}, {after.name} {facts[1]}: need the same shape, "
                    "type and scale, or the state drifts; export the model again"
                )
        self._inputs, self._outputs = ports_in, ports_out
        self.runtime, self._interpreter = _open(model, graph, runtime)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input besides the state, for one row: (1, ...)."""
        return {name: port.shape for name, port in self._inputs.items()}

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output besides the state, for one row: (1, ...)."""
        return {name: port.shape for name, port in self._outputs.items()}

    @property
    def state_bytes(self) -> int:
        """Size of the state of one row."""
        return sum(int(np.prod(p.shape)) * p.dtype.itemsize for p in self._states)

    def initial_state(self, batch: int = 1) -> State:
        """Zero, in the numbers of the graph."""
        return tuple(np.full((batch, *p.shape[1:]), p.zero, p.dtype) for p in self._states)

    def run(
        self, values: Mapping[str, NDArray[Any]], state: State
    ) -> tuple[dict[str, NDArray[Any]], State]:
        """Run one step for B rows, one after the other.

        Args:
            values: each input by its name, (B, ...); real numbers, or whole ones for tokens.
            state: as returned by the last step or :meth:`initial_state`.

        Returns:
            Each output by its name, (B, ...), and the next state.

        Raises:
            ConfigError: names or shapes that are not those of the graph.
            WakewordError: NaN or infinity in an input.
        """
        if set(values) != set(self._inputs) or len(state) != len(self._states):
            raise ConfigError(
                f"inputs {sorted(values)} and {len(state)} states: need {sorted(self._inputs)} "
                f"and {len(self._states)}"
            )
        stored = [(port, port.store(values[name])) for name, port in self._inputs.items()]
        stored += list(zip(self._states, state, strict=True))
        rows = {len(array) for _, array in stored}
        if len(rows) != 1:
            raise ConfigError(f"inputs and state have {sorted(rows)} rows: need as many in each")
        interpreter = self._interpreter
        out: list[list[NDArray[Any]]] = [[] for _ in (*self._outputs, *self._nexts)]
        for row in range(rows.pop()):
            for port, array in stored:
                interpreter.set_tensor(port.index, array[row : row + 1])
            interpreter.invoke()
            for kept, port in zip(out, (*self._outputs.values(), *self._nexts), strict=True):
                kept.append(interpreter.get_tensor(port.index))
        ports = (*self._outputs.values(), *self._nexts)
        found = [
            np.concatenate(kept) if kept else np.zeros((0, *port.shape[1:]), port.dtype)
            for kept, port in zip(out, ports, strict=True)
        ]
        real = {
            name: port.real(array)
            for (name, port), array in zip(self._outputs.items(), found, strict=False)
        }
        return real, tuple(found[len(real) :])


def _check_plain(graph: Graph) -> None:
    if odd := sorted({op.name for op in graph.operators} - PLAIN):
        raise BundleError(
            f"the graph holds {', '.join(odd)}: a step only computes; export it without loops, "
            "variables and custom operators"
        )
    computed = sum(t.size for t in graph.tensors if t.data is None)
    if computed > MAX_ELEMENTS or len(graph.operators) > MAX_OPERATORS:
        raise BundleError(
            f"{computed} values by {len(graph.operators)} operators a step: need at most "
            f"{MAX_ELEMENTS} by {MAX_OPERATORS}"
        )


def _ports(
    graph: Graph, names: Sequence[str], indices: Sequence[int], side: str
) -> dict[str, _Port]:
    """Name the ends of a graph."""
    if len(names) != len(indices) or len(set(names)) != len(names):
        raise BundleError(f"{side} {list(names)}: the graph has {len(indices)}, each named once")
    return {name: _port(name, i, graph.tensors[i]) for name, i in zip(names, indices, strict=True)}


def _port(name: str, index: int, tensor: Tensor) -> _Port:
    if not tensor.shape or tensor.shape[0] != 1 or tensor.data is not None:
        raise BundleError(f"{name} has shape {tensor.shape}: need a row, (1, ...)")
    if tensor.dtype not in (np.float32, np.int8, np.int16, np.int32, np.int64):
        raise BundleError(f"{name} is {tensor.dtype}: need float32, int8, int16, int32 or int64")
    if tensor.dtype in (np.int8, np.int16) and len(tensor.scales) != 1:
        raise BundleError(f"{name} has {len(tensor.scales)} scales: need one")
    scale = float(tensor.scales[0]) if len(tensor.scales) else 0.0
    zero = int(tensor.zero_points[0]) if len(tensor.scales) else 0
    return _Port(name, index, tensor.shape, tensor.dtype, scale, zero)


def _open(model: bytes, graph: Graph, runtime: str | None) -> tuple[str, Any]:
    """Open the first runtime that works; what numpy refuses as damaged, no other runtime sees."""
    known = {op.name for op in graph.operators} <= SUPPORTED
    narrow = all(t.dtype != np.int16 for t in graph.tensors)
    readable = NumpyInterpreter(graph, len(model)) if known and narrow else None

    def open_with(name: str) -> tuple[str, Any]:
        if name != "numpy":
            return name, open_interpreter(model, name)
        if readable is not None:
            return name, readable
        raise DeviceError("numpy runs float32 and int8 of the operators it knows, not this")

    return first_that_works(runtime, open_with)
