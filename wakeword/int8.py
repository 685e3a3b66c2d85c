"""TFLite's int8 arithmetic: scales, zero points, and integers multiplied by real factors.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", doi:10.1109/CVPR.2018.00286, as TensorFlow 2.21 has it in
``tensorflow/lite/kernels/internal`` (``quantization_util.cc``, ``common.h``, ``reference``). Which
rounding serves which operator was found by comparing with that version's reference kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError
from wakeword.tflite_graph import Tensor

__all__ = [
    "Rescale",
    "dequantize",
    "quantization",
    "quantize",
    "quantize_multiplier",
    "round_half_away",
]

Array = NDArray[Any]
Ints = NDArray[np.int64]


def quantize_multiplier(real: float) -> tuple[int, int]:
    """``real`` as ``multiplier * 2**(shift - 31)`` with 31 bits of multiplier.

    Raises:
        BundleError: ``real`` is not in [0, 2**30).

    >>> quantize_multiplier(0.75)
    (1610612736, 0)
    """
    if not 0 <= real < 2.0**30:
        raise BundleError(f"damaged model: its scales ask for a factor of {real:g}")
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def round_half_away(x: float) -> int:
    """Nearest integer, ties away from zero, as C's ``round``."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


class Rescale:
    """Multiply integers by real factors as TFLite does, with one rounding or with two.

    The matrix product rounds once (ties up); every other operator rounds the doubled high half of
    the product (ties up) and then the right shift (ties away from zero), as gemmlowp did.

    Args:
        factors: one real factor, or one for each index of the last axis.
        sign: 1, or -1 for the second input of SUB.
        once: round once.

    >>> Rescale([0.25], once=True)(np.array([5, 6, -6])).tolist()
    [1, 2, -1]
    >>> Rescale([0.25], once=False)(np.array([5, 6, -6])).tolist()  # 1.25 -> 3 / 2 -> 2
    [2, 2, -2]
    """

    def __init__(self, factors: Sequence[float], sign: int = 1, *, once: bool) -> None:
        pairs = [quantize_multiplier(f) for f in factors]
        multipliers, shifts = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
        if len(pairs) == 1:
            multipliers, shifts = multipliers[0], shifts[0]
        self.once = once
        self.multiplier = multipliers * sign
        self.left = np.maximum(shifts, 0)
        self.right = np.maximum(-shifts, 0)
        self.half = (1 << self.right) >> 1
        # -1 where a negative value still has a tie to break: it goes away from zero.
        self.down = -(self.right > 0).astype(np.int64)
        self.shift = 31 - shifts
        self.round = np.int64(1) << (self.shift - 1)

    def __call__(self, x: Ints) -> Ints:
        """``x``: integers of 32 bits at most, after the left shift too."""
        if self.once:
            return np.asarray((x * self.multiplier + self.round) >> self.shift)
        high = ((x << self.left) * self.multiplier + (1 << 30)) >> 31
        return np.asarray((high + self.half + (self.down & (high >> 63))) >> self.right)


def quantize(real: Array, scale: np.float32, zero: int) -> NDArray[np.int8]:
    """float32 to int8: round half away from zero, then clip. NaN becomes -128.

    >>> quantize(np.array([0.25, -0.25, 9], np.float32), np.float32(0.5), 3).tolist()
    [4, 2, 21]
    """
    ratio = np.asarray(real, np.float32) / scale
    rounded = np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + zero
    clipped = np.fmin(np.fmax(rounded, -128), 127)
    return np.asarray(clipped, np.int8)


def dequantize(stored: Array, scale: np.float32, zero: int) -> NDArray[np.float32]:
    """int8 to float32, rounded once.

    >>> dequantize(np.array([4, -128], np.int8), np.float32(0.5), 3).tolist()
    [0.5, -65.5]
    """
    return ((stored.astype(np.float64) - zero) * float(scale)).astype(np.float32)


def quantization(tensor: Tensor) -> tuple[np.float32, int]:
    """Scale and zero point of an int8 tensor.

    Raises:
        BundleError: it has none, one per channel, or values no model needs.
    """
    if tensor.dtype != np.int8 or len(tensor.scales) != 1:
        raise BundleError(
            f"tensor {tensor.name!r} ({tensor.dtype}, {len(tensor.scales)} scales): "
            "need int8 with one scale for the whole tensor"
        )
    scale, zero = np.float32(tensor.scales[0]), int(tensor.zero_points[0])
    if not -128 <= zero <= 127 or not 2.0**-40 <= scale <= 2.0**40:
        raise BundleError(
            f"damaged model: tensor {tensor.name!r} has scale {scale} and zero point {zero}"
        )
    return scale, zero
