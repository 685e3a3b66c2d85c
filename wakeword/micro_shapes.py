"""The shapes that operators of a microWakeWord model give, worked out from their inputs.

Source: ``tensorflow/lite/kernels``; stricter where a damaged file could do harm there: 8 bits only,
constants where models have constants, and bounds on windows, paddings and scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from wakeword.errors import BundleError
from wakeword.graph_check import Quantised, quantised
from wakeword.int8 import quantize_multiplier
from wakeword.tflite_graph import Operator, Tensor
from wakeword.tflite_ops import build

__all__ = ["SHAPES", "output_shapes", "stored"]

MAX_WINDOW = 1_024
"""Of filters, strides, dilations and paddings."""

Shape = tuple[int, ...]
_Tensors = Sequence[Tensor]


def stored(name: str, tensor: Tensor) -> Quantised:
    """Return how an 8-bit tensor stores reals.

    Raises:
        BundleError: it is of another type, or has no usable scale and zero point.
    """
    if tensor.dtype not in (np.int8, np.uint8):
        raise BundleError(f"{name} is {tensor.dtype}, need int8 or uint8")
    how = quantised(name, tensor.dtype, tensor.scales.tolist(), tensor.zero_points.tolist())
    if not 2.0**-40 <= how.scale <= 2.0**40:
        raise BundleError(f"{name} has scale {how.scale:g}, need 2**-40 to 2**40")
    return how


def output_shapes(operator: Operator, tensors: Sequence[Tensor]) -> list[Shape]:
    """Return the shape of each output of an operator in :data:`SHAPES`.

    Raises:
        BundleError: its inputs or options do not fit together.
    """
    fewest, most, shapes = SHAPES[operator.name]
    ids = operator.inputs
    if len(ids) == 3 and ids[2] < 0 and (fewest, most) == (2, 3):
        ids = ids[:2]  # no bias
    if not fewest <= len(ids) <= most or min(ids) < 0 or not operator.outputs:
        raise BundleError(f"damaged model: {operator.name} with {len(ids)} inputs")
    return shapes(operator, [tensors[i] for i in ids], tensors)


def _refuse(operator: Operator, *what: object) -> BundleError:
    return BundleError(f"damaged model: {operator.name} of {', '.join(map(str, what))}")


def _as_numpy(operator: Operator, _: _Tensors, tensors: _Tensors) -> list[Shape]:
    """The shapes declared, if the numpy runtime agrees: it checks as strictly."""
    build(operator, tensors)
    return [tensors[i].shape for i in operator.outputs]


def _add(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    """As numpy has it; and TFLite aborts where the output's scale is too small for the inputs'."""
    widest = max(stored(t.name, t).scale for t in ins)
    if 2 * widest >= 2.0**20 * stored("a sum", tensors[operator.outputs[0]]).scale:
        raise _refuse(operator, f"scale {widest:g}, too large for that of its output")
    return _as_numpy(operator, ins, tensors)


def _integers(operator: Operator, tensor: Tensor, shape: Shape | None = None) -> list[int]:
    """A constant list of int32, of this shape if given."""
    if tensor.data is None or tensor.dtype != np.int32 or shape not in (None, tensor.shape):
        raise _refuse(operator, f"{tensor.name!r}, which is no constant of whole numbers")
    return [int(v) for v in tensor.data.ravel()]


def _axis(operator: Operator, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise _refuse(operator, f"axis {axis} of {rank}")
    return axis % rank


def _window(operator: Operator, size: int, over: int, side: str) -> int:
    """Outputs along one side: a window of ``size`` moved over ``over`` values."""
    options = operator.options
    stride: int = options[f"stride_{side}"]
    dilation: int = options.get(f"dilation_{side}", 1)
    if not all(1 <= n <= MAX_WINDOW for n in (size, stride, dilation)):
        raise _refuse(operator, f"filter {size}, stride {stride}, dilation {dilation}")
    if options["padding"] not in (0, 1):
        raise _refuse(operator, f"padding {options['padding']}")
    span = 1 if options["padding"] == 0 else (size - 1) * dilation + 1  # 0: same, 1: valid
    return (over - span) // stride + 1


def _convolution(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    """CONV_2D with filters (O, h, w, C), DEPTHWISE_CONV_2D with (1, h, w, O)."""
    x, w, out = ins[0], ins[1], tensors[operator.outputs[0]]
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    if len(x.shape) != 4 or len(w.shape) != 4 or w.data is None or w.dtype != np.int8:
        raise _refuse(operator, x.shape, w.shape, w.dtype)
    many, height, width, deep = w.shape
    channels, axis = (deep, 3) if depthwise else (many, 0)
    if depthwise:
        fits = many == 1 and deep == x.shape[3] * operator.options["depth_multiplier"]
    else:
        fits = deep == x.shape[3]
    if not fits or w.zero_points.any() or len(w.scales) not in (1, channels):
        raise _refuse(operator, x.shape, w.shape, f"{len(w.scales)} scales")
    if len(w.scales) > 1 and w.axis != axis:
        raise _refuse(operator, f"scales along axis {w.axis}")
    if len(ins) > 2:
        _integers(operator, ins[2], (channels,))
    _factors(operator, x, w, out)
    rows = _window(operator, height, x.shape[1], "h")
    return [(x.shape[0], rows, _window(operator, width, x.shape[2], "w"), channels)]


def _factors(operator: Operator, x: Tensor, w: Tensor, out: Tensor) -> None:
    """The factors from products to outputs must fit the integer arithmetic."""
    of_x, of_out = stored(x.name, x).scale, stored(out.name, out).scale
    for scale in w.scales:
        quantize_multiplier(of_x * float(scale) / of_out)
    if operator.options["activation"] not in ("NONE", "RELU", "RELU_N1_TO_1", "RELU6"):
        raise _refuse(operator, f"activation {operator.options['activation']}")


def _fully_connected(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    build(operator, tensors)
    x, (units, depth) = ins[0], ins[1].shape
    if not operator.options["keep_num_dims"]:
        return [(x.size // depth, units)]
    return [(*x.shape[:-1], units)] if x.shape[-1:] == (depth,) else []


def _pool(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    x, options = ins[0], operator.options
    _unscaled(operator, ins, tensors)
    if len(x.shape) != 4 or options["activation"] not in ("NONE", "RELU", "RELU_N1_TO_1", "RELU6"):
        raise _refuse(operator, x.shape, options["activation"])
    rows = _window(operator, options["filter_h"], x.shape[1], "h")
    return [(x.shape[0], rows, _window(operator, options["filter_w"], x.shape[2], "w"), x.shape[3])]


def _unscaled(operator: Operator, ins: _Tensors, tensors: _Tensors) -> None:
    """Values that are only moved about keep dtype and scale."""
    places = (*ins, *(tensors[i] for i in operator.outputs))
    if len({stored(t.name, t) for t in places}) > 1:
        raise _refuse(operator, "tensors of different scales")


def _mean(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    x = ins[0]
    axes = {_axis(operator, a, len(x.shape)) for a in _integers(operator, ins[1])}
    of_x, of_out = stored(x.name, x).scale, stored("mean", tensors[operator.outputs[0]]).scale
    quantize_multiplier(of_x / of_out)
    if operator.options["keep_dims"]:
        return [tuple(1 if i in axes else n for i, n in enumerate(x.shape))]
    return [tuple(n for i, n in enumerate(x.shape) if i not in axes)]


def _pad(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    x = ins[0]
    _unscaled(operator, ins[:1], tensors)
    sizes = _integers(operator, ins[1], (len(x.shape), 2))
    if not all(0 <= n <= MAX_WINDOW for n in sizes) or len(x.shape) > 4:
        raise _refuse(operator, x.shape, sizes)
    before_after = zip(sizes[::2], sizes[1::2], strict=True)
    return [tuple(n + a + b for n, (a, b) in zip(x.shape, before_after, strict=True))]


def _pack(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    _unscaled(operator, ins, tensors)
    shape = ins[0].shape
    if operator.options["count"] != len(ins) or any(t.shape != shape for t in ins):
        raise _refuse(operator, *(t.shape for t in ins))
    axis = _axis(operator, operator.options["axis"], len(shape) + 1)
    return [(*shape[:axis], len(ins), *shape[axis:])]


def _split_v(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    x, count = ins[0], len(operator.outputs)
    _unscaled(operator, ins[:1], tensors)
    sizes = _integers(operator, ins[1], (count,))
    where = _integers(operator, ins[2])
    axis = _axis(operator, where[0], len(x.shape))
    if (
        operator.options["num_splits"] != count
        or len(where) != 1
        or min(sizes) < 1
        or sum(sizes) != x.shape[axis]
    ):
        raise _refuse(operator, x.shape, sizes)
    return [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]


def _reshape(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    """To the shape in the second input, where one -1 stands for what is left."""
    _unscaled(operator, ins[:1], tensors)
    x = ins[0]
    wanted = list(operator.options["new_shape"])
    if len(ins) > 1:
        wanted = _integers(operator, ins[1], (ins[1].size,))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or min(wanted, default=1) < -1 or known < 1 or x.size % known:
        raise _refuse(operator, x.shape, wanted)
    return [tuple(x.size // known if n == -1 else n for n in wanted)]


def _quantize(operator: Operator, ins: _Tensors, tensors: _Tensors) -> list[Shape]:
    of_x = stored(ins[0].name, ins[0])
    of_out = stored("the output of QUANTIZE", tensors[operator.outputs[0]])
    quantize_multiplier(of_x.scale / of_out.scale)
    return [ins[0].shape]


# Operator -> fewest and most inputs, shapes of its outputs.
SHAPES: dict[str, tuple[int, int, Callable[[Operator, _Tensors, _Tensors], list[Shape]]]] = {
    "ADD": (2, 2, _add),
    "AVERAGE_POOL_2D": (1, 1, _pool),
    "CONCATENATION": (1, 64, _as_numpy),
    "CONV_2D": (2, 3, _convolution),
    "DEPTHWISE_CONV_2D": (2, 3, _convolution),
    "FULLY_CONNECTED": (2, 3, _fully_connected),
    "LOGISTIC": (1, 1, _as_numpy),
    "MAX_POOL_2D": (1, 1, _pool),
    "MEAN": (2, 2, _mean),
    "MUL": (2, 2, _as_numpy),
    "PACK": (1, 64, _pack),
    "PAD": (2, 2, _pad),
    "QUANTIZE": (1, 1, _quantize),
    "RESHAPE": (1, 2, _reshape),
    "SPLIT_V": (3, 3, _split_v),
    "STRIDED_SLICE": (4, 4, _as_numpy),
}
