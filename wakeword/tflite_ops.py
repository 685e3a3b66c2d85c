"""TFLite operators as numpy functions: float32, and int8 as TFLite's reference kernels round it.

``build`` turns one operator of a :class:`wakeword.tflite_graph.Graph` into a :class:`Kernel`. All
that depends on constants alone is worked out then: int8 activations become tables of 256 entries,
int8 sums and products tables of 65,536 (every pair of inputs), and a matrix product runs in the
floating point type that holds every partial sum exactly, as numpy has no fast integer product.

int8 LOGISTIC and TANH are TFLite's: the float function in a table. TFLite Micro's reference kernels
compute them in fixed point instead and can differ by one step.

Source: ``tensorflow/lite/kernels`` and its ``internal/reference`` in TensorFlow 2.21; the integer
arithmetic is in :mod:`wakeword.int8`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.cells import sigmoid
from wakeword.errors import BundleError
from wakeword.int8 import Ints, Rescale, dequantize, quantization, quantize, round_half_away
from wakeword.tflite_graph import Operator, Tensor

__all__ = ["SUPPORTED", "Kernel", "build"]

Array = NDArray[Any]

# Every int8 value, at the place of the byte that stores it: 0..127, -128..-1.
_BYTES: Ints = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
_RANGES = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}


@dataclass(frozen=True, slots=True)
class Kernel:
    """``run`` takes the values of tensors ``inputs`` and returns one array, or a list of them."""

    run: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def build(operator: Operator, tensors: Sequence[Tensor]) -> Kernel:
    """Prepare one operator.

    Raises:
        BundleError: an operator, a type or an option that is not supported, or shapes that do not
            fit together.
    """
    if operator.name not in _BUILDERS:
        raise BundleError(
            f"the numpy runtime has no operator {operator.name}; install ai-edge-litert, "
            f"or use only {', '.join(sorted(_BUILDERS))}"
        )
    counts, builder = _BUILDERS[operator.name]
    ids = operator.inputs if operator.name == "FULLY_CONNECTED" else _present(operator)
    if not counts[0] <= len(ids) <= counts[1] or not operator.outputs:
        raise BundleError(f"damaged model: {operator.name} with {len(ids)} inputs")
    return builder(
        operator, [tensors[i] for i in ids if i >= 0], tensors[operator.outputs[0]], tensors
    )


def _present(operator: Operator) -> tuple[int, ...]:
    if min(operator.inputs, default=0) < 0:
        raise BundleError(f"damaged model: {operator.name} lacks an input")
    return operator.inputs


def _unsupported(operator: Operator, why: str) -> BundleError:
    return BundleError(f"the numpy runtime cannot run {operator.name}: {why}")


def _same_type(operator: Operator, *tensors: Tensor) -> bool:
    """True: all int8; False: all float32."""
    types = {t.dtype for t in tensors}
    if types not in ({np.dtype(np.int8)}, {np.dtype(np.float32)}):
        raise _unsupported(operator, f"types {sorted(map(str, types))}; all float32 or all int8")
    return tensors[0].dtype == np.int8


def _check_shape(operator: Operator, got: tuple[int, ...], tensor: Tensor) -> None:
    if got != tensor.shape:
        raise BundleError(f"damaged model: {operator.name} gives {got}, {tensor.shape} is declared")


def _constant(operator: Operator, tensor: Tensor) -> Array:
    if tensor.data is None:
        raise _unsupported(operator, f"{tensor.name!r} must be a constant")
    return tensor.data


def _integers(operator: Operator, tensor: Tensor) -> list[int]:
    """A constant list of indices."""
    values = _constant(operator, tensor)
    if values.dtype not in (np.int32, np.int64):
        raise BundleError(f"damaged model: {operator.name} has indices of type {values.dtype}")
    return [int(v) for v in values.ravel()]


def _real_range(operator: Operator) -> tuple[float, float]:
    """Least and greatest output of the fused activation (or of RELU, RELU6 themselves)."""
    name = operator.options.get("activation", operator.name)
    if name not in _RANGES:
        raise _unsupported(operator, f"fused activation {name}")
    return _RANGES[name]


def _byte_range(operator: Operator, out: Tensor) -> tuple[int, int]:
    """The same in the units of an int8 output."""
    scale, zero = quantization(out)
    low, high = _real_range(operator)
    low8 = (
        -128
        if low == -np.inf
        else max(-128, zero + round_half_away(float(np.float32(low) / scale)))
    )
    high8 = (
        127 if high == np.inf else min(127, zero + round_half_away(float(np.float32(high) / scale)))
    )
    return low8, high8


def _float_clamp(operator: Operator) -> Callable[[Array], Array]:
    low, high = _real_range(operator)
    if high != np.inf:
        return lambda x: np.minimum(np.maximum(x, np.float32(low)), np.float32(high))
    if low != -np.inf:
        return lambda x: np.maximum(x, np.float32(low))
    return lambda x: x


def _to_bytes(x: Ints, low: int, high: int) -> NDArray[np.int8]:
    return np.minimum(np.maximum(x, low), high).astype(np.int8)


def _table_kernel(operator: Operator, table: NDArray[np.int8]) -> Kernel:
    """Look up one value for each byte."""
    return Kernel(lambda x: table.take(x.view(np.uint8)), operator.inputs, operator.outputs)


def _binary(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    """ADD, SUB, MUL with broadcasting."""
    a, b = ins
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as exc:
        raise BundleError(f"damaged model: {operator.name} of {a.shape} and {b.shape}") from exc
    _check_shape(operator, shape, out)
    if not _same_type(operator, a, b, out):
        function = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[operator.name]
        clamp = _float_clamp(operator)
        return Kernel(lambda x, y: clamp(function(x, y)), operator.inputs, operator.outputs)
    (scale_a, zero_a), (scale_b, zero_b), (scale, zero) = map(quantization, (a, b, out))
    if operator.name == "MUL":
        pairs = (_BYTES[:, None] - zero_a) * (_BYTES[None, :] - zero_b)
        rescaled = Rescale([float(scale_a * scale_b / scale)], once=False)(
            pairs
        )  # float32, as TFLite
    else:
        twice = 2 * float(max(scale_a, scale_b))
        sign = -1 if operator.name == "SUB" else 1
        of_a = Rescale([float(scale_a) / twice], once=False)((_BYTES - zero_a) << 20)
        of_b = Rescale([float(scale_b) / twice], sign, once=False)((_BYTES - zero_b) << 20)
        rescaled = Rescale([twice / (2.0**20 * float(scale))], once=False)(
            of_a[:, None] + of_b[None, :]
        )
    table = _to_bytes(rescaled + zero, *_byte_range(operator, out)).ravel()

    def run(x: Array, y: Array) -> Array:
        index = x.view(np.uint8).astype(np.intp)
        index <<= 8
        return table.take(index + y.view(np.uint8))

    return Kernel(run, operator.inputs, operator.outputs)


def _activation(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    """LOGISTIC and TANH."""
    _check_shape(operator, ins[0].shape, out)
    if not _same_type(operator, ins[0], out):
        function = sigmoid if operator.name == "LOGISTIC" else np.tanh
        return Kernel(function, operator.inputs, operator.outputs)
    (scale_in, zero_in), (scale, zero) = quantization(ins[0]), quantization(out)
    x = (scale_in * (_BYTES - zero_in).astype(np.float32)).astype(np.float64)
    y = sigmoid(x) if operator.name == "LOGISTIC" else np.tanh(x)
    table = quantize(y.astype(np.float32) * (1 / scale), np.float32(1), zero)
    return _table_kernel(operator, table)


def _relu(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    _check_shape(operator, ins[0].shape, out)
    if not _same_type(operator, ins[0], out):
        return Kernel(_float_clamp(operator), operator.inputs, operator.outputs)
    (scale_in, zero_in), (scale, zero) = quantization(ins[0]), quantization(out)
    rescaled = Rescale([float(scale_in / scale)], once=False)(_BYTES - zero_in) + zero
    return _table_kernel(operator, _to_bytes(rescaled, *_byte_range(operator, out)))


def _fully_connected(
    operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]
) -> Kernel:
    """Matrix product with constant weights (units, depth) and an optional bias."""
    x, w = ins[:2]
    weights = _constant(operator, w)
    bias = _constant(operator, ins[2]) if len(ins) == 3 else None
    if weights.ndim != 2 or operator.options["weights_format"] != 0:
        raise _unsupported(operator, f"weights of shape {w.shape}; need (units, depth)")
    units, depth = weights.shape
    if depth == 0 or x.size % depth or out.size != x.size // depth * units:
        raise BundleError(f"damaged model: {operator.name} of {x.shape} and {w.shape}")
    if bias is not None and bias.shape != (units,):
        raise BundleError(f"damaged model: {operator.name} has {units} units, bias {bias.shape}")
    shape = out.shape
    place = operator.inputs[:1]
    if not _same_type(operator, x, w, out):
        if bias is not None and bias.dtype != np.float32:
            raise _unsupported(operator, f"a bias of {bias.dtype} with float32 weights")
        matrix = np.ascontiguousarray(weights.T, np.float32)
        add = np.zeros(units, np.float32) if bias is None else bias
        clamp = _float_clamp(operator)
        return Kernel(
            lambda v: clamp((v.reshape(-1, depth) @ matrix + add).reshape(shape)),
            place,
            operator.outputs,
        )
    if bias is not None and bias.dtype != np.int32:
        raise _unsupported(operator, f"a bias of {bias.dtype} with int8 weights")
    if w.zero_points.any() or len(w.scales) not in (1, units) or (len(w.scales) > 1 and w.axis):
        raise _unsupported(operator, "weights need zero point 0 and one scale, or one per unit")
    (scale_x, zero_x), (scale, zero) = quantization(x), quantization(out)
    rescale = Rescale([float(scale_x) * float(s) / float(scale) for s in w.scales], once=True)
    whole = weights.astype(np.int64)
    offset = -zero_x * whole.sum(axis=1) + (0 if bias is None else bias.astype(np.int64))
    # float32 holds integers up to 2**24 exactly, in whatever order BLAS adds them.
    exact = np.float32 if 128 * np.abs(whole).sum(axis=1).max() < 2**24 else np.float64
    table = np.ascontiguousarray(weights.T, exact)
    low, high = _byte_range(operator, out)

    def run(v: Array) -> Array:
        total = (v.reshape(-1, depth).astype(exact) @ table).astype(np.int64) + offset
        return _to_bytes(rescale(total) + zero, low, high).reshape(shape)

    return Kernel(run, place, operator.outputs)


def _convert(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    """QUANTIZE and DEQUANTIZE."""
    x = ins[0]
    _check_shape(operator, x.shape, out)
    types = (operator.name, str(x.dtype), str(out.dtype))
    if types == ("QUANTIZE", "float32", "int8"):
        scale, zero = quantization(out)
        return Kernel(lambda v: quantize(v, scale, zero), operator.inputs, operator.outputs)
    if types == ("QUANTIZE", "int8", "int8"):
        (scale_in, zero_in), (scale, zero) = quantization(x), quantization(out)
        rescaled = Rescale([float(scale_in) / float(scale)], once=False)(_BYTES - zero_in) + zero
        return _table_kernel(operator, _to_bytes(rescaled, -128, 127))
    if types == ("DEQUANTIZE", "int8", "float32"):
        scale, zero = quantization(x)
        return Kernel(lambda v: dequantize(v, scale, zero), operator.inputs, operator.outputs)
    raise _unsupported(operator, f"{x.dtype} to {out.dtype}")


def _reshape(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the declared output shape is the answer."""
    if ins[0].size != out.size or ins[0].dtype != out.dtype:
        raise BundleError(f"damaged model: {operator.name} of {ins[0].shape} to {out.shape}")
    shape = out.shape
    return Kernel(lambda x: x.reshape(shape), operator.inputs[:1], operator.outputs)


def _same_scale(operator: Operator, *tensors: Tensor) -> None:
    """Moving int8 values about keeps their meaning only if scale and zero point agree."""
    if _same_type(operator, *tensors) and len({quantization(t) for t in tensors}) > 1:
        raise _unsupported(operator, "its int8 tensors have different scales")


def _split(operator: Operator, ins: list[Tensor], out: Tensor, all_: Sequence[Tensor]) -> Kernel:
    x = ins[1]
    axis = _integers(operator, ins[0])[0] if ins[0].size == 1 else len(x.shape)
    parts = len(operator.outputs)
    outs = [all_[i] for i in operator.outputs]
    if not -len(x.shape) <= axis < len(x.shape) or x.shape[axis] % parts:
        raise BundleError(f"damaged model: SPLIT of {x.shape} into {parts} along axis {axis}")
    size = x.shape[axis] // parts
    axis %= len(x.shape)
    for tensor in outs:
        _check_shape(operator, (*x.shape[:axis], size, *x.shape[axis + 1 :]), tensor)
    _same_scale(operator, x, *outs)
    before = (slice(None),) * axis
    cuts = [(*before, slice(i * size, (i + 1) * size)) for i in range(parts)]
    if parts == 1:
        return Kernel(lambda v: v, operator.inputs[1:], operator.outputs)
    return Kernel(lambda v: [v[cut] for cut in cuts], operator.inputs[1:], operator.outputs)


def _strided_slice(
    operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]
) -> Kernel:
    x, options = ins[0], operator.options
    begin, end, stride = (_integers(operator, t) for t in ins[1:])
    if options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
        raise _unsupported(operator, "ellipsis, new axis and offset are not known")
    if not len(begin) == len(end) == len(stride) <= len(x.shape) or 0 in stride:
        raise BundleError(f"damaged model: STRIDED_SLICE of {x.shape} from {begin} to {end}")
    cut: list[int | slice] = []
    for i, (first, last, by) in enumerate(zip(begin, end, stride, strict=True)):
        if options["shrink_axis_mask"] >> i & 1:
            if not -x.shape[i] <= first < x.shape[i]:
                raise BundleError(f"damaged model: index {first} of {x.shape[i]}")
            cut.append(first)
        else:
            start = None if options["begin_mask"] >> i & 1 else first
            cut.append(slice(start, None if options["end_mask"] >> i & 1 else last, by))
    key = tuple(cut)
    _check_shape(operator, np.broadcast_to(np.int8(0), x.shape)[key].shape, out)
    _same_scale(operator, x, out)
    return Kernel(lambda v: v[key], operator.inputs[:1], operator.outputs)


def _concatenation(
    operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]
) -> Kernel:
    axis = operator.options["axis"]
    _same_scale(operator, *ins, out)
    if operator.options["activation"] != "NONE":
        raise _unsupported(operator, "a fused activation")
    try:
        parts = [np.broadcast_to(np.int8(0), t.shape) for t in ins]
        if out.size != sum(t.size for t in ins):
            raise ValueError("sizes")
        got = np.concatenate(parts, axis).shape
    except ValueError as exc:
        shapes = [t.shape for t in ins]
        raise BundleError(f"damaged model: CONCATENATION of {shapes} on axis {axis}") from exc
    _check_shape(operator, got, out)
    return Kernel(lambda *v: np.concatenate(v, axis), operator.inputs, operator.outputs)


def _gather(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    """Rows of a constant table, as an embedding takes them."""
    table, index = ins
    rows = _constant(operator, table)
    if operator.options["axis"] or operator.options["batch_dims"] or index.dtype != np.int32:
        raise _unsupported(operator, "need rows by int32 numbers")
    _check_shape(operator, (*index.shape, *table.shape[1:]), out)
    _same_scale(operator, table, out)
    return Kernel(lambda i: rows.take(i, axis=0), operator.inputs[1:], operator.outputs)


def _softmax(operator: Operator, ins: list[Tensor], out: Tensor, _: Sequence[Tensor]) -> Kernel:
    _check_shape(operator, ins[0].shape, out)
    if _same_type(operator, ins[0], out):
        raise _unsupported(operator, "int8 is not implemented; end the model in a sigmoid")
    beta = np.float32(operator.options["beta"])

    def run(x: Array) -> Array:
        powers = np.exp((x - x.max(axis=-1, keepdims=True)) * beta)
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    return Kernel(run, operator.inputs, operator.outputs)


_Builder = Callable[[Operator, list[Tensor], Tensor, Sequence[Tensor]], Kernel]
# Operator -> (fewest and most inputs), builder.
_BUILDERS: dict[str, tuple[tuple[int, int], _Builder]] = {
    "ADD": ((2, 2), _binary),
    "CONCATENATION": ((1, 64), _concatenation),
    "DEQUANTIZE": ((1, 1), _convert),
    "EXPAND_DIMS": ((2, 2), _reshape),
    "FULLY_CONNECTED": ((2, 3), _fully_connected),
    "GATHER": ((2, 2), _gather),
    "LOGISTIC": ((1, 1), _activation),
    "MUL": ((2, 2), _binary),
    "QUANTIZE": ((1, 1), _convert),
    "RELU": ((1, 1), _relu),
    "RELU6": ((1, 1), _relu),
    "RELU_N1_TO_1": ((1, 1), _relu),
    "RESHAPE": ((1, 2), _reshape),
    "SOFTMAX": ((1, 1), _softmax),
    "SPLIT": ((2, 2), _split),
    "SQUEEZE": ((1, 1), _reshape),
    "STRIDED_SLICE": ((4, 4), _strided_slice),
    "SUB": ((2, 2), _binary),
    "TANH": ((1, 1), _activation),
}
SUPPORTED = frozenset(_BUILDERS)
"""Names of the operators that :func:`build` knows."""
