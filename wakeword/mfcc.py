"""Cepstra of speech as CMU Sphinx makes them, for models that learned from such frames.

13 coefficients, 100 frames a second, of 16 kHz sound; any chunking gives the same frames.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.errors import AudioFormatError

__all__ = ["COEFFICIENTS", "HOP", "WINDOW", "Mfcc"]

COEFFICIENTS = 13
HOP = RATE_HZ // 100
WINDOW = 410  # 25.625 ms
_FFT = 512
_FILTERS = 40
_LOW_HZ, _HIGH_HZ = 133.33334, 6855.4976
_EMPHASIS = 0.97
_FLOOR = 1e-4  # added to a filter's power, in squared steps of int16


class Mfcc:
    """Turns sound into frames of cepstra.

    Each frame: pre-emphasis x_n - 0.97 x_(n-1), Hamming window of 410 samples, power spectrum of
    512 points, 40 triangles of unit area whose edges lie on the mel scale and on a point of the
    spectrum, logarithm, and the cosine transform c_k = 1/40 sum_i log(m_i) cos(pi k (i + 1/2) / 40)
    in which the first filter counts half, as Sphinx's own ("legacy") does.

    Source: the front end of SphinxBase, fe_sigproc.c, with its settings of 2001 to 2010.

    >>> Mfcc().feed(np.zeros(1000, np.int16)).shape
    (4, 13)
    """

    def __init__(self) -> None:
        self._window = np.hamming(WINDOW)
        self._filters = _mel_filters()
        cosines = np.cos(math.pi / _FILTERS * np.outer(np.arange(_FILTERS) + 0.5,
                                                       np.arange(COEFFICIENTS)))  # fmt: skip
        cosines[0] /= 2
        self._cosines = cosines / _FILTERS
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._rest = np.zeros(1)  # the sample before the first window: silence

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Take samples (N,), int16, 16 kHz mono; give the frames (T, 13) that are complete.

        Raises:
            AudioFormatError: anything else than one channel of int16.
        """
        if samples.ndim != 1 or samples.dtype != np.int16:
            raise AudioFormatError(
                f"samples of shape {samples.shape}, {samples.dtype}: need one channel of int16"
            )
        held = np.concatenate([self._rest, samples])
        count = max(0, (len(held) - 1 - WINDOW) // HOP + 1)
        self._rest = held[count * HOP :]
        if not count:
            return np.zeros((0, COEFFICIENTS), np.float32)
        sound = held[1:] - _EMPHASIS * held[:-1]
        rows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[: count * HOP : HOP]
        power = np.abs(np.fft.rfft(rows * self._window, _FFT)) ** 2
        mel: NDArray[Any] = np.log(power @ self._filters + _FLOOR)
        return np.asarray(mel @ self._cosines, np.float32)


def _mel_filters() -> NDArray[np.float64]:
    """Weights (257, 40) of the triangles, each of area 1 in Hz."""
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, _FILTERS + 2) / 2595) - 1)
    step = RATE_HZ / _FFT
    edges = np.floor(edges / step + 0.5) * step
    hz = np.arange(_FFT // 2 + 1) * step
    found = np.zeros((len(hz), _FILTERS))
    for i, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising = (hz - left) / (centre - left)
        falling = (right - hz) / (right - centre)
        found[:, i] = np.clip(np.minimum(rising, falling), 0, None) * 2 / (right - left)
    return found
