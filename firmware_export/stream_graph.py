"""Turn the one-step graph of a bundle into a streaming graph of the operators ESPHome registers.

Those have neither TANH nor SUB, and the state must live in resource variables. Three changes make
up for that, and each keeps the stored bytes of every tensor as they were:

- tanh(x) = 2 sigmoid(2 x) - 1. The sums that lead to x are declared twice as large by doubling the
  scales of weights and outputs; a sigmoid then gives in 1/256 the bytes that tanh gave in 1/128.
- So a state h is carried as (h + 1) / 2, with the same bytes. Products that read it get weights of
  twice the scale and the sum of their weights in the bias.
- h - n becomes h + (-1) n, with the scales of all that hangs on the difference halved.

Source: the list of operators is what ``register_streaming_ops_`` of ESPHome's micro_wake_word has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.tflite_file import FileGraph, FileTensor
from wakeword.bundle import Bundle
from wakeword.errors import ExportError
from wakeword.frontend import BINS
from wakeword.int8 import quantization
from wakeword.tflite_graph import Graph, Operator, read_graph

__all__ = ["ESPHOME_OPERATORS", "INPUT_SCALE", "stream_graphs"]

ESPHOME_OPERATORS = frozenset(
    {
        *("CALL_ONCE", "VAR_HANDLE", "RESHAPE", "READ_VARIABLE", "STRIDED_SLICE", "CONCATENATION"),
        *("ASSIGN_VARIABLE", "CONV_2D", "MUL", "ADD", "MEAN", "FULLY_CONNECTED", "LOGISTIC"),
        *("QUANTIZE", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "PACK"),
        "SPLIT_V",
    }
)
INPUT_SCALE = float(np.float32(26 / 255))
"""Of a microWakeWord model's input, per unit of 25.6 raw counts; its zero point is -128."""
_RAW_PER_FEATURE = 25.6
_RAW_PER_UNIT = 256
_HALF = (1 / 256, -128)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """How much larger the new tensor's scale is, and whether it stands for (x + 1) / 2."""

    factor: float = 1.0
    half: bool = False


def stream_graphs(
    bundle: Bundle, word: str, input_scale: float = INPUT_SCALE
) -> tuple[FileGraph, FileGraph]:
    """Return the main graph and the one that sets the variables at the start.

    Args:
        bundle: ours, int8, with the reset gate behind the recurrent product.
        word: the one score that is kept.
        input_scale: of the frames, per 25.6 raw counts.

    Raises:
        ExportError: the graph has another shape than the trainer gives.
    """
    graph = read_graph(bundle.model_bytes)
    return _Rewriter(graph, bundle, word, input_scale).run()


class _Rewriter:
    """Walks the operators in order and writes their counterparts."""

    def __init__(self, graph: Graph, bundle: Bundle, word: str, input_scale: float) -> None:
        self.graph, self.bundle = graph, bundle
        self.column = bundle.words.index(word)
        self.main, self.first = FileGraph("main"), FileGraph("start")
        self.input_scale = input_scale
        self.place: dict[int, int] = {}
        self.producer = {op.outputs[0]: op for op in graph.operators}
        self.readers: dict[int, int] = {}
        for op in graph.operators:
            for i in op.inputs:
                self.readers[i] = self.readers.get(i, 0) + 1
        ins = dict(zip(bundle.inputs, graph.inputs, strict=True))
        outs = dict(zip(bundle.outputs, graph.outputs, strict=True))
        self.frames, self.scores = ins["frames"], outs["scores"]
        layers = range(len(ins) - 1)
        self.states = [ins[f"state_{i}"] for i in layers]
        self.nexts = [outs[f"next_{i}"] for i in layers]
        self.meaning = self._meanings()
        self.odds = self._odds()

    def refuse(self, why: str) -> ExportError:
        return ExportError(
            f"{self.bundle.path}: {why}; ESPHome's operators run only models with the reset gate "
            "behind the recurrent product, as the presets tiny, small and base have it"
        )

    def _odds(self) -> set[int]:
        """Find the log odds of the words: what the scores are made of, and what that sums up."""
        found = {self.producer[self.scores].inputs[0]}
        for op in reversed(self.graph.operators):
            if op.name == "ADD" and op.outputs[0] in found:
                found.update(op.inputs)
        return found

    def _meanings(self) -> dict[int, _Meaning]:
        """Work out, for every tensor, how its new form relates to the old."""
        found = {i: _Meaning(half=True) for i in self.states}
        for op in self.graph.operators:
            out = op.outputs[0]
            if op.name == "TANH":
                self._double(op.inputs[0], found)
                found[out] = _Meaning(half=True)
            elif op.name == "SUB":
                if not all(found.get(i, _Meaning()).half for i in op.inputs):
                    raise self.refuse("SUB of something else than two states")
                found[out] = _Meaning(factor=0.5)
            elif op.name == "MUL":
                first, second = (found.get(i, _Meaning()) for i in op.inputs)
                if first.half or second.half:
                    raise self.refuse("MUL of a state")
                found[out] = _Meaning(factor=first.factor * second.factor)
            elif op.name == "ADD":
                kinds = [found.get(i, _Meaning()) for i in op.inputs]
                if any(k.half for k in kinds):
                    other = next(k for k in kinds if not k.half)
                    if other.factor != 0.5:
                        raise self.refuse("ADD of a state and something that is no difference")
                    found[out] = _Meaning(half=True)
                else:
                    found.setdefault(out, kinds[0])
        if not all(found.get(i, _Meaning()).half for i in self.nexts):
            raise self.refuse("a next state that is no mixture of tanh and state")
        return found

    def _double(self, tensor: int, found: dict[int, _Meaning]) -> None:
        """Declare a tensor, and the sums and products that it comes from, twice as large."""
        op = self.producer.get(tensor)
        if op is None or self.readers.get(tensor, 0) != 1:
            raise self.refuse("tanh of a value that something else reads too")
        found[tensor] = _Meaning(factor=2.0)
        if op.name == "ADD":
            for i in op.inputs:
                self._double(i, found)
        elif op.name == "MUL":
            sums = [i for i in op.inputs if self.producer[i].name == "FULLY_CONNECTED"]
            if len(sums) != 1:
                raise self.refuse("tanh of a product without exactly one matrix product")
            self._double(sums[0], found)
        elif op.name != "FULLY_CONNECTED":
            raise self.refuse(f"tanh of what {op.name} gives")

    def new(self, old: int) -> tuple[float, int]:
        """Scale and zero point of a tensor in the new graph."""
        scale, zero = quantization(self.graph.tensors[old])
        meaning = self.meaning.get(old, _Meaning())
        return _HALF if meaning.half else (float(scale) * meaning.factor, zero)

    def row(self, name: str, shape: tuple[int, ...], how: tuple[float, int]) -> int:
        """Append a computed int8 tensor."""
        return self.main.add(FileTensor(name, "int8", shape, *how))

    def out(self, old: int) -> int:
        """Append the counterpart of a computed tensor."""
        shape = self.graph.tensors[old].shape
        self.place[old] = self.row(f"t{old}", shape, self.new(old))
        return self.place[old]

    def constant(self, name: str, kind: str, data: NDArray[Any], scale: float = 0.0) -> int:
        return self.main.add(FileTensor(name, kind, data.shape, scale, 0, data))

    def variable(self, name: str, shape: tuple[int, ...], how: tuple[float, int], zero: int) -> int:
        """Append a variable that starts as ``zero`` everywhere; return its handle."""
        handles = []
        for graph in (self.main, self.first):
            handle = graph.add(FileTensor(f"{name}_handle", "resource", ()))
            graph.apply("VAR_HANDLE", (), (handle,), shared_name=name)
            handles.append(handle)
        start = np.full(shape, zero, np.int8)
        value = self.first.add(FileTensor(f"{name}_start", "int8", shape, *how, start))
        self.first.apply("ASSIGN_VARIABLE", (handles[1], value), ())
        return handles[0]

    def run(self) -> tuple[FileGraph, FileGraph]:
        main = self.main
        main.apply("CALL_ONCE", (), (), init_subgraph=1)
        window = self._window()
        handles = []
        for i, state in enumerate(self.states):
            shape = self.graph.tensors[state].shape
            handles.append(self.variable(f"state_{i}", shape, _HALF, 0))
            self.place[state] = self.row(f"state_{i}", shape, _HALF)
            main.apply("READ_VARIABLE", (handles[i],), (self.place[state],))
        self.place[self.frames] = window
        for op in self.graph.operators:
            _WRITERS.get(op.name, _Rewriter.unknown)(self, op)
        for handle, after in zip(handles, self.nexts, strict=True):
            main.apply("ASSIGN_VARIABLE", (handle, self.place[after]), ())
        found = main.add(FileTensor("probability", "uint8", (1, 1), 1 / 256, 0))
        main.apply("QUANTIZE", (self.place[self.scores],), (found,))
        main.outputs.append(found)
        return main, self.first

    def _window(self) -> int:
        """The new frames behind those that are kept from the step before."""
        main, stride, kernel = self.main, self.bundle.stride, self.bundle.kernel
        how = (self.input_scale, -128)
        frames = self.row("frames", (1, stride, BINS), how)
        main.inputs.append(frames)
        if kernel == stride:
            return frames
        kept = (1, kernel - stride, BINS)
        handle = self.variable("frames_kept", kept, how, -128)
        before = self.row("frames_before", kept, how)
        main.apply("READ_VARIABLE", (handle,), (before,))
        window = self.row("window", (1, kernel, BINS), how)
        main.apply("CONCATENATION", (before, frames), (window,), axis=1)
        cut = [
            self.constant(name, "int32", np.array(values, np.int32))
            for name, values in (
                ("begin", (0, stride, 0)),
                ("end", (1, kernel, BINS)),
                ("step", (1, 1, 1)),
            )
        ]
        after = self.row("frames_after", kept, how)
        main.apply("STRIDED_SLICE", (window, *cut), (after,))
        main.apply("ASSIGN_VARIABLE", (handle, after), ())
        return window

    def unknown(self, op: Operator) -> None:
        raise self.refuse(f"operator {op.name}")

    def _reshape(self, op: Operator) -> None:
        old = op.inputs[0]
        shape = self.graph.tensors[op.outputs[0]].shape
        how = (self.input_scale, -128) if old == self.frames else self.new(old)
        place = self.row(f"t{op.outputs[0]}", shape, how)
        into = self.constant("shape", "int32", np.array(shape, np.int32))
        self.main.apply("RESHAPE", (self.place[old], into), (place,))
        self.place[op.outputs[0]] = place
        if old == self.frames:
            self.frames = op.outputs[0]

    def _dense(self, op: Operator) -> None:
        tensors = self.graph.tensors
        x, w, bias = (tensors[i] for i in op.inputs)
        if w.data is None or bias.data is None or op.options["activation"] not in ("NONE", "RELU"):
            raise self.refuse("a matrix product without constant weights and bias")
        weights, ints = w.data, bias.data.astype(np.int64)
        of_x, of_w = float(quantization(x)[0]), float(w.scales[0])
        name, new_x = f"w{op.inputs[1]}", self.new(op.inputs[0])[0]
        if op.inputs[0] == self.frames:
            # The same reals in other units: 25.6 raw counts in place of 256.
            new_x = self.input_scale
            ratio = of_x / (new_x * _RAW_PER_FEATURE / _RAW_PER_UNIT)
            ints = np.rint(ints * ratio).astype(np.int64)
            of_w *= _RAW_PER_FEATURE / _RAW_PER_UNIT
        elif self.meaning.get(op.inputs[0], _Meaning()).half:
            ints = ints - 128 * weights.astype(np.int64).sum(axis=1)
            of_w *= of_x / new_x
        of_w *= self.meaning.get(op.outputs[0], _Meaning()).factor
        if op.outputs[0] in self.odds:
            weights, ints = weights[self.column :][:1], ints[self.column :][:1]
        shape = (1, len(weights))
        place = self.row(f"t{op.outputs[0]}", shape, self.new(op.outputs[0]))
        matrix = self.constant(name, "int8", np.ascontiguousarray(weights), of_w)
        add = self.constant(f"b{op.inputs[2]}", "int32", ints.astype(np.int32), new_x * of_w)
        relu = int(op.options["activation"] == "RELU")
        places = (self.place[op.inputs[0]], matrix, add)
        self.main.apply("FULLY_CONNECTED", places, (place,), relu=relu)
        self.place[op.outputs[0]] = place

    def _plain(self, op: Operator) -> None:
        """ADD, MUL and LOGISTIC as they are, in the new scales."""
        places = tuple(self.place[i] for i in op.inputs)
        out = op.outputs[0]
        if out == self.scores:
            place = self.place[out] = self.row("score", (1, 1), _HALF)
        elif out in self.odds:
            place = self.place[out] = self.row(f"t{out}", (1, 1), self.new(out))
        else:
            place = self.out(out)
        self.main.apply(op.name, places, (place,))

    def _tanh(self, op: Operator) -> None:
        self.main.apply("LOGISTIC", (self.place[op.inputs[0]],), (self.out(op.outputs[0]),))

    def _difference(self, op: Operator) -> None:
        """a - b as a + (-1) b."""
        a, b = op.inputs
        shape = self.graph.tensors[b].shape
        minus = self.constant("minus", "int8", np.full(shape, -128, np.int8), 1 / 128)
        negative = self.row(f"n{b}", shape, (1 / 256, 127))
        self.main.apply("MUL", (self.place[b], minus), (negative,))
        self.main.apply("ADD", (self.place[a], negative), (self.out(op.outputs[0]),))


_WRITERS: Mapping[str, Any] = {
    "ADD": _Rewriter._plain,
    "FULLY_CONNECTED": _Rewriter._dense,
    "LOGISTIC": _Rewriter._plain,
    "MUL": _Rewriter._plain,
    "RESHAPE": _Rewriter._reshape,
    "SUB": _Rewriter._difference,
    "TANH": _Rewriter._tanh,
}
