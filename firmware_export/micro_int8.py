"""The integer arithmetic of TFLite Micro's reference kernels, as far as a trigger model needs it.

It differs from that of TFLite and LiteRT in two ways: sigmoid and tanh are computed in fixed point,
not as a float function in a table, and matrix products are rounded twice as all else is.

Source: the algorithms of gemmlowp's fixed-point functions (exponential by table of powers and a
fourth-order polynomial, quotient by three Newton steps), and Jacob et al. 2018,
doi:10.1109/CVPR.2018.00286. Checked value by value against the TFLite Micro interpreter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wakeword.int8 import quantize_multiplier, round_half_away

__all__ = ["Factor", "factor", "logistic_table", "rescale", "tanh_table"]

Factor = tuple[int, int]
"""A real factor as ``multiplier * 2**(shift - 31)``."""

_MAX32 = 2**31 - 1
_INPUT_BITS = 4  # integer bits of the fixed-point argument: it lies in (-16, 16)
# exp(-2**k) for k = -2 .. 4, in units of 2**-31.
_POWERS = tuple((k, min(_MAX32, round(math.exp(-(2.0**k)) * 2**31))) for k in range(-2, 5))
_EXP_EIGHTH = round(math.exp(-0.125) * 2**31)
_THIRD = round(2**31 / 3)
_48_17 = round(48 / 17 * 2**29)
_32_17 = round(32 / 17 * 2**29)


def factor(real: float) -> Factor:
    """Return a real factor as integers.

    Raises:
        BundleError: it is not in [0, 2**30).
    """
    return quantize_multiplier(real)


def _high(a: int, b: int) -> int:
    """The doubled high half of a product, rounded to nearest, ties up."""
    return min((a * b + (1 << 30)) >> 31, _MAX32)


def _divide(x: int, power: int) -> int:
    """x / 2**power, rounded to nearest, ties away from zero."""
    if power == 0:
        return x
    rest = x & ((1 << power) - 1)
    return (x >> power) + (rest > ((1 << power) - 1 >> 1) + (x < 0))


def _times(x: int, power: int) -> int:
    """x * 2**power, saturated to 32 bits."""
    return max(-_MAX32 - 1, min(_MAX32, x << power))


def rescale(x: int, by: Factor) -> int:
    """Multiply an integer by a factor: the left shift first, then two roundings.

    >>> rescale(5, (1 << 30, 0)), rescale(-5, (1 << 30, -1))
    (3, -1)
    """
    multiplier, shift = by
    return _divide(_high(x << max(shift, 0), multiplier), max(-shift, 0))


def _exp_negative(a: int, integer_bits: int) -> int:
    """exp(a) for a <= 0; a in units of 2**(integer_bits - 31), the result of 2**-31."""
    if a == 0:
        return _MAX32
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    part = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    # A polynomial around -1/8.
    x = _times(part, integer_bits) + (1 << 28)
    x2 = _high(x, x)
    x3, x4 = _high(x2, x), _high(x2, x2)
    tail = _divide(_high(_divide(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_EIGHTH + _high(_EXP_EIGHTH, x + tail)
    rest = part - a
    for k, power in _POWERS:
        if k < integer_bits and rest >> (fraction + k) & 1:
            result = _high(result, power)
    return result


def _newton(half: int) -> int:
    """1 / half in units of 2**-29, for half in [1/2, 1] in units of 2**-31."""
    x = _48_17 - _high(half, _32_17)
    for _ in range(3):
        x += _times(_high(x, (1 << 29) - _high(half, x)), 2)
    return x


def _half_sum(a: int) -> int:
    """(a + 1) / 2 in units of 2**-31, rounded away from zero."""
    return (a + _MAX32 + 1) // 2


def _logistic(a: int) -> int:
    """Sigmoid of ``a`` in units of 2**-27; the result in units of 2**-31."""
    if a == 0:
        return 1 << 30
    whole = _times(_newton(_half_sum(_exp_negative(-abs(a), _INPUT_BITS))), 1)
    return whole if a > 0 else _MAX32 - whole


def _tanh(a: int) -> int:
    """tanh of ``a`` in units of 2**-27; the result in units of 2**-31."""
    if a == 0:
        return 0
    # Read with one integer bit more, the same number is twice as large.
    exp = _exp_negative(-abs(a), _INPUT_BITS + 1)
    size = _times(_newton(_half_sum(exp)) - (1 << 29), 2)
    return size if a > 0 else -size


def _argument(scale: float) -> tuple[Factor, int]:
    """From stored input to units of 2**-27, and the input from which the result is saturated."""
    fraction, shift = math.frexp(float(scale) * 2 ** (31 - _INPUT_BITS))
    multiplier = round_half_away(fraction * 2**31)
    limit = ((1 << _INPUT_BITS) - 1) * 2.0 ** (31 - _INPUT_BITS) / 2.0**shift
    return (multiplier, shift), math.floor(limit)


def _table(scale: float, zero: int, function: str) -> NDArray[np.int8]:
    """What each stored byte becomes, at the place of that byte read as unsigned."""
    by, radius = _argument(scale)
    table = np.empty(256, np.int8)
    for stored in range(-128, 128):
        x = stored - zero
        if abs(x) >= radius:
            value = 127 if x > 0 else -128
        elif function == "tanh":
            value = _divide(_tanh(rescale(x, by)), 24)
        else:
            value = _divide(_logistic(rescale(x, by)), 23) - 128
        table[stored & 255] = max(-128, min(127, value))
    return table


def logistic_table(scale: float, zero: int) -> NDArray[np.int8]:
    """Sigmoid of an int8 input, for an output of scale 1/256 and zero point -128.

    >>> logistic_table(1 / 16, 0)[0]
    np.int8(0)
    """
    return _table(scale, zero, "logistic")


def tanh_table(scale: float, zero: int) -> NDArray[np.int8]:
    """tanh of an int8 input, for an output of scale 1/128 and zero point 0.

    >>> tanh_table(1 / 16, 0)[[0, 127]].tolist()
    [0, 127]
    """
    return _table(scale, zero, "tanh")
