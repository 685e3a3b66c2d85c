"""From the graph of a bundle to a short list of integer operations that C can do.

Everything that depends on constants alone is worked out here: factors become integers, functions of
one byte become tables, and the zero point of a product's input goes into its bias. What is left are
four operations on rows of int8. Anything else in the graph is refused with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_export.layout import reads
from firmware_export.micro_int8 import Factor, factor, logistic_table, rescale, tanh_table
from firmware_export.program import Dense, Lookup, Operation, Product, Program, Sum
from wakeword.bundle import Bundle
from wakeword.errors import BundleError, ExportError
from wakeword.graph_check import check_graph
from wakeword.int8 import quantization, quantize, round_half_away
from wakeword.tflite_graph import Graph, Operator, Tensor, read_graph

__all__ = ["lower"]

_ACTIVATIONS = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0)}
_ACTIVATIONS["RELU_N1_TO_1"] = (-1.0, 1.0)
_PAIRS = ("ADD", "FULLY_CONNECTED", "MUL", "SUB")
_SCORES = (np.float32(1 / 256), -128)
_STATE = (np.float32(1 / 128), 0)


def lower(bundle: Bundle) -> Program:
    """Turn a bundle into a program.

    Raises:
        ExportError: it is no int8 bundle of ours, or has an operator, a type or a scale that the
            exported code does not know.
    """
    if bundle.kind != "wakeword":
        raise ExportError(
            f"{bundle.path}: a microWakeWord model; it runs on ESPHome as it is, only bundles of "
            "ours are exported"
        )
    try:
        graph = read_graph(bundle.model_bytes)
        check_graph(graph, bundle)
        return _program(graph, bundle)
    except BundleError as exc:
        raise ExportError(f"{bundle.path}: {exc}") from exc


def _program(graph: Graph, bundle: Bundle) -> Program:
    for tensor in graph.tensors:
        if tensor.dtype not in (np.int8, np.int32):
            raise ExportError(
                f"{bundle.path}: tensor {tensor.name!r} is {tensor.dtype}; need int8 throughout: "
                "train or convert the bundle as int8"
            )
    ins = dict(zip(bundle.inputs, graph.inputs, strict=True))
    outs = dict(zip(bundle.outputs, graph.outputs, strict=True))
    layers = range(len(ins) - 1)
    if quantization(graph.tensors[outs["scores"]]) != _SCORES:
        raise ExportError(
            f"{bundle.path}: scores of scale {quantization(graph.tensors[outs['scores']])}; need "
            "1/256 and zero point -128, what a sigmoid gives"
        )
    for i in layers:
        if quantization(graph.tensors[ins[f"state_{i}"]]) != _STATE:
            raise ExportError(f"{bundle.path}: state_{i} must have scale 1/128 and zero point 0")
    # A reshape only renames a row.
    same: dict[int, int] = {}
    operations: list[Operation] = []
    for operator in graph.operators:
        least = 2 if operator.name in _PAIRS else 1
        if len(operator.outputs) != 1 or sum(i >= 0 for i in operator.inputs) < least:
            raise ExportError(f"{bundle.path}: damaged model: {operator.name} lacks a tensor")
        if operator.name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            same[operator.outputs[0]] = same.get(operator.inputs[0], operator.inputs[0])
            continue
        if operator.name not in _LOWER:
            raise ExportError(
                f"{bundle.path}: operator {operator.name} cannot be exported; the exporter knows "
                f"{', '.join(sorted(_LOWER))} and RESHAPE"
            )
        tensors = [graph.tensors[i] for i in operator.inputs if i >= 0]
        rows = [same.get(i, i) for i in operator.inputs]
        out = graph.tensors[operator.outputs[0]]
        operations.append(_LOWER[operator.name](operator, tensors, out, rows))
    sizes = {i: t.size for i, t in enumerate(graph.tensors) if t.data is None and i not in same}
    frames = graph.tensors[ins["frames"]]
    raw: NDArray[np.float32] = np.arange(65536, dtype=np.float32) / np.float32(256)
    program = Program(
        bundle.words,
        bundle.stride,
        bundle.kernel,
        ins["frames"],
        same.get(outs["scores"], outs["scores"]),
        tuple(ins[f"state_{i}"] for i in layers),
        tuple(same.get(outs[f"next_{i}"], outs[f"next_{i}"]) for i in layers),
        sizes,
        tuple(operations),
        quantize(raw, *quantization(frames)),
        1 / (256 * float(frames.scales[0])),
    )
    _check_rows(program, bundle)
    return program


def _check_rows(program: Program, bundle: Bundle) -> None:
    """Every row is written once and before it is read, and no next state is an input."""
    known = {program.frames, *program.states}
    for operation in program.operations:
        if not set(reads(operation)) <= known or operation.y in known:
            raise ExportError(f"{bundle.path}: damaged model: its operators are out of order")
        known.add(operation.y)
    ends = {program.scores, *program.nexts}
    if (
        not ends <= known
        or ends & {program.frames, *program.states}
        or (len(ends) != 1 + len(program.nexts))
    ):
        raise ExportError(f"{bundle.path}: damaged model: an output is not computed")


def _clamp(operator: Operator, out: Tensor) -> tuple[int, int, int]:
    """Zero point, lowest and highest stored value of an output."""
    scale, zero = quantization(out)
    name = operator.options.get("activation", operator.name)
    if name not in _ACTIVATIONS:
        raise ExportError(f"{operator.name} with a fused {name} cannot be exported; use RELU")
    low, high = (
        None if real is None else zero + round_half_away(float(np.float32(real) / scale))
        for real in _ACTIVATIONS[name]
    )
    return zero, -128 if low is None else max(-128, low), 127 if high is None else min(127, high)


def _fits(operator: Operator, largest: int, by: Factor) -> None:
    """The C doubles a number, shifted left, in 32 bits before it multiplies."""
    if largest << max(by[1], 0) >= 2**30:
        raise ExportError(
            f"{operator.name}: sums up to {largest} times 2**{by[1]} do not fit 31 bits; "
            "train again with smaller weights"
        )


def _dense(operator: Operator, ins: Sequence[Tensor], out: Tensor, rows: Sequence[int]) -> Dense:
    x, w = ins[:2]
    if w.data is None or w.dtype != np.int8 or len(w.shape) != 2 or x.size != w.shape[1]:
        raise ExportError(f"FULLY_CONNECTED of {x.shape} and {w.shape}: need constant int8 weights")
    if w.zero_points.any() or len(w.scales) != 1:
        raise ExportError(
            f"FULLY_CONNECTED has {len(w.scales)} weight scales; need one, with zero point 0"
        )
    if operator.options["weights_format"] != 0 or out.size != w.shape[0]:
        raise ExportError(f"FULLY_CONNECTED of {x.shape} and {w.shape} gives {out.shape}")
    (scale_x, zero_x), (scale, _) = quantization(x), quantization(out)
    whole = w.data.astype(np.int64)
    bias = -zero_x * whole.sum(axis=1)
    if len(ins) > 2:
        given = ins[2].data
        if given is None or given.dtype != np.int32 or given.shape != (w.shape[0],):
            raise ExportError("FULLY_CONNECTED: need a constant int32 bias, or none")
        bias = bias + given.astype(np.int64)
    largest = int((np.abs(bias) + 128 * np.abs(whole).sum(axis=1)).max())
    # The product of the scales is taken in double, as TFLite does.
    by = factor(float(scale_x) * float(w.scales[0]) / float(scale))
    _fits(operator, largest, by)
    return Dense(rows[0], operator.outputs[0], w.data, bias, by, *_clamp(operator, out))


def _pair(ins: Sequence[Tensor], out: Tensor, operator: Operator) -> None:
    if len(ins) != 2 or any(t.shape != out.shape or t.data is not None for t in ins):
        raise ExportError(
            f"{operator.name} of {[t.shape for t in ins]}: need two computed rows of one shape"
        )


def _sum(operator: Operator, ins: Sequence[Tensor], out: Tensor, rows: Sequence[int]) -> Sum:
    _pair(ins, out, operator)
    (scale_a, zero_a), (scale_b, zero_b), (scale, _) = map(quantization, (*ins, out))
    twice = 2 * float(max(scale_a, scale_b))
    by = factor(twice / (2.0**20 * float(scale)))
    _fits(operator, 2**28, by)
    return Sum(
        rows[0],
        rows[1],
        operator.outputs[0],
        out.size,
        zero_a,
        zero_b,
        factor(float(scale_a) / twice),
        factor(float(scale_b) / twice),
        operator.name == "SUB",
        by,
        *_clamp(operator, out),
    )


def _product(
    operator: Operator, ins: Sequence[Tensor], out: Tensor, rows: Sequence[int]
) -> Product:
    _pair(ins, out, operator)
    (scale_a, zero_a), (scale_b, zero_b), (scale, _) = map(quantization, (*ins, out))
    by = factor(float(np.float32(scale_a) * np.float32(scale_b) / np.float32(scale)))
    _fits(operator, 2**16, by)
    return Product(
        rows[0], rows[1], operator.outputs[0], out.size, zero_a, zero_b, by, *_clamp(operator, out)
    )


def _lookup(operator: Operator, ins: Sequence[Tensor], out: Tensor, rows: Sequence[int]) -> Lookup:
    (scale_in, zero_in), (scale, zero) = quantization(ins[0]), quantization(out)
    if operator.name in ("LOGISTIC", "TANH"):
        expected = _SCORES if operator.name == "LOGISTIC" else _STATE
        if (scale, zero) != expected:
            raise ExportError(f"{operator.name} of scale {scale}, zero point {zero}: {expected}")
        make = logistic_table if operator.name == "LOGISTIC" else tanh_table
        table = make(float(scale_in), zero_in)
    else:
        zero, low, high = _clamp(operator, out)
        by = factor(float(scale_in) / float(scale))
        stored = np.arange(256, dtype=np.uint8).view(np.int8).tolist()
        values = [rescale(s - zero_in, by) + zero for s in stored]
        table = np.clip(values, low, high).astype(np.int8)
    return Lookup(rows[0], operator.outputs[0], out.size, table)


_Lower = Callable[[Operator, Sequence[Tensor], Tensor, Sequence[int]], Operation]
_LOWER: Mapping[str, _Lower] = {
    "ADD": _sum,
    "FULLY_CONNECTED": _dense,
    "LOGISTIC": _lookup,
    "MUL": _product,
    "RELU": _lookup,
    "RELU6": _lookup,
    "RELU_N1_TO_1": _lookup,
    "SUB": _sum,
    "TANH": _lookup,
}
