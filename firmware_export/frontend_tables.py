"""The constants of the audio front end, from their formulas.

480-sample Hann window in 12 bits; twiddle factors of a complex FFT of 256 points and of the step
that splits it into 512 real points, in 15 bits; 41 triangles on the mel scale from 125 to 7500 Hz
in 12 bits; the gain of PCAN over the noise as parabolas per octave; and log2(1 + x) - x in 16 bits.

Source: the parameters are those of tensorflow/lite/experimental/microfrontend as ESPHome and
``pymicro-features`` set them; PCAN: Wang et al. 2017, doi:10.1109/ICASSP.2017.7953242. The values
are checked by comparing the features with that library's, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["FrontendTables", "frontend_tables"]

WINDOW, BINS, POINTS = 480, 40, 512
_BIN_HZ = 31.25
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0
# Where the library's float arithmetic falls on the other side of a half than ours; its integers are
# what all models were trained with, so they are the definition.
_WINDOW_TIES = {17: 1}
_WEIGHT_TIES = {149: 1, 221: 1}
_STRENGTH, _OFFSET, _GAIN_BITS, _NOISE_BITS = 0.95, 80.0, 21, 7


@dataclass(frozen=True, slots=True)
class FrontendTables:
    """Integers as the C has them.

    Attributes:
        window: 480 factors.
        order: where sample pair n goes.
        twiddles: real part in the low, imaginary part in the high 16 bits; ``split`` too.
        first: the first FFT bin that counts.
        ends: the bin after the last of each of the 41 rising halves of a triangle.
        weights: per bin, the share of the triangle it falls out of, of 4096.
        gains: of PCAN: for a noise of 0 and 1, then value, slope and curve per octave.
        logs: log2(1 + i / 128) - i / 128 in 16 bits.
    """

    window: tuple[int, ...]
    order: tuple[int, ...]
    twiddles: tuple[int, ...]
    split: tuple[int, ...]
    first: int
    ends: tuple[int, ...]
    weights: tuple[int, ...]
    gains: tuple[int, ...]
    logs: tuple[int, ...]


def frontend_tables() -> FrontendTables:
    """Compute all tables.

    >>> tables = frontend_tables()
    >>> tables.first, tables.ends[-1], len(tables.weights)
    (5, 241, 236)
    """
    arg = np.float32(math.pi * 2 / WINDOW)
    window = [
        _WINDOW_TIES.get(i, 0)
        + math.floor(float(np.float32(0.5 - 0.5 * math.cos(float(arg) * (i + 0.5)))) * 4096 + 0.5)
        for i in range(WINDOW)
    ]
    half = POINTS // 2
    ends, weights, first = _triangles()
    return FrontendTables(
        tuple(window),
        tuple(_reversed_digits(n) for n in range(half)),
        tuple(_turn(-2 * math.pi * k / half) for k in range(3 * half // 4)),
        tuple(_turn(-math.pi * (k / half + 0.5)) for k in range(1, half // 2 + 1)),
        first,
        ends,
        weights,
        _gains(),
        tuple(round(65536 * (math.log2(1 + i / 128) - i / 128)) for i in range(129)),
    )


def _turn(phase: float) -> int:
    """exp(i phase) in 15 bits: real part low, imaginary part high."""
    re, im = (math.floor(0.5 + 32767 * f(phase)) for f in (math.cos, math.sin))
    return (re & 0xFFFF) | (im & 0xFFFF) << 16


def _reversed_digits(n: int) -> int:
    """The four base-4 digits of n, last first."""
    return (n & 3) << 6 | (n & 12) << 2 | (n & 48) >> 2 | n >> 6


def _mel(hz: float) -> np.float32:
    """Frequency on the mel scale."""
    # In float32 throughout, as the library was compiled.
    scaled = float(np.float32(hz) / np.float32(700))
    mel: np.float32 = np.float32(float(np.float32(math.log1p(scaled))) * 1127)
    return mel


def _triangles() -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Ends, weights and first bin; all mel values are held in float32."""
    low = _mel(_LOW_HZ)
    spacing = (_mel(_HIGH_HZ) - low) / np.float32(BINS + 1)
    centres = [np.float32(low + spacing * np.float32(i + 1)) for i in range(BINS + 1)]
    first = int(1.5 + _LOW_HZ / _BIN_HZ)
    at, ends, weights = first, [], []
    below = low
    for centre in centres:
        while _mel(at * _BIN_HZ) <= centre:
            share = np.float32((centre - _mel(at * _BIN_HZ)) / (centre - below))
            weights.append(math.floor(float(share) * 4096 + 0.5) + _WEIGHT_TIES.get(at, 0))
            at += 1
        ends.append(at)
        below = centre
    return tuple(ends), tuple(weights), first


def _gains() -> tuple[int, ...]:
    """Gain of the noise estimate x: for x = 0 and 1, then value, slope and curve per octave."""

    def gain(x: int) -> int:
        level = np.float32(x) / np.float32(1 << _NOISE_BITS) + np.float32(_OFFSET)
        real = np.float32(1 << _GAIN_BITS) * np.power(level, np.float32(-_STRENGTH))
        return min(32767, int(real + np.float32(0.5)))

    found = [gain(0), gain(1)]
    for octave in range(2, 33):
        start = 1 << (octave - 1)
        end = start + start - 1 if octave == 32 else 2 * start
        one, two = gain(start + (start >> 1)) - gain(start), gain(end) - gain(start)
        found += [gain(start), 4 * one - two, two - (4 * one - two)]
    return tuple(found)
