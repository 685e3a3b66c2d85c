"""The one feature front end: 16 kHz mono int16 in, 40 channels every 10 ms out.

It is the TFLite Micro audio front end (30 ms window, 10 ms hop, 40 channels from 125 to 7500 Hz,
noise reduction, PCAN gain control, log) in the library ``pymicro-features``, the same code that
ESPHome devices run. Training, the Pi and the tests all come through here.

Source: tensorflow/lite/experimental/microfrontend, and Wang et al. 2017, "Trainable frontend for
robust and far-field keyword spotting", doi:10.1109/ICASSP.2017.7953242, for PCAN.
"""

from __future__ import annotations

from struct import Struct

import numpy as np
from micro_features_cpp import create_frontend, process_samples
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError

__all__ = ["BINS", "HOP", "RATE_HZ", "WINDOW", "Frontend", "check_samples", "features", "heard_at"]

RATE_HZ = 16_000
HOP = 160
WINDOW = 480
BINS = 40

_HOP_BYTES = 2 * HOP
# The library gives its integers times 0.0390625, so this brings them back exactly.
_RAW_PER_FEATURE = 25.6
_INT16 = np.dtype(np.int16)
_pack_frame = Struct(f"{BINS}d").pack


def heard_at(steps: int, stride: int) -> NDArray[np.int64]:
    """Samples heard at each step of a model that takes ``stride`` frames a step; shape (steps,).

    >>> heard_at(3, stride=2).tolist()
    [640, 960, 1280]
    """
    return (np.arange(1, steps + 1, dtype=np.int64) * stride - 1) * HOP + WINDOW


def check_samples(samples: NDArray[np.int16]) -> None:
    """Refuse anything but one channel of native int16.

    Raises:
        AudioFormatError: ``samples`` is no array, or its dtype or shape differs.

    >>> check_samples(np.zeros(160, np.float32))
    Traceback (most recent call last):
    wakeword.errors.AudioFormatError: samples are float32: need int16; \
convert with wakeword.audio.to_int16
    """
    if not isinstance(samples, np.ndarray):
        raise AudioFormatError(
            f"samples are a {type(samples).__name__}: need a numpy array of int16; "
            "for raw bytes use numpy.frombuffer(data, '<i2')"
        )
    if samples.dtype != _INT16:
        raise AudioFormatError(
            f"samples are {samples.dtype}: need int16; convert with wakeword.audio.to_int16"
        )
    if samples.ndim != 1:
        raise AudioFormatError(
            f"samples have shape {samples.shape}: need one channel, shape (N,); "
            "pick one with samples[:, 0]"
        )


class Frontend:
    """Raw features of one audio stream.

    Frame t covers the samples 160 t .. 160 t + 479, so the first comes after three hops. The value
    of a frame depends on nothing after its window, and on no chunk boundary.

    >>> Frontend().feed(np.zeros(640, np.int16)).shape
    (2, 40)
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream: what follows equals a new object, bit for bit."""
        self._native = create_frontend()
        self._rest = b""

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
        """Take the next samples and return the frames they complete.

        Args:
            samples: shape (N,), int16, any N from 0.

        Returns:
            Shape (T, 40), uint16, raw front-end units (at most about 670), oldest frame first.

        Raises:
            AudioFormatError: not one channel of int16.
        """
        check_samples(samples)
        data = self._rest + samples.tobytes() if self._rest else samples.tobytes()
        native = self._native
        frames = []
        start = 0
        for stop in range(_HOP_BYTES, len(data) + 1, _HOP_BYTES):
            values = process_samples(native, data[start:stop])[0]
            start = stop
            if values:
                # struct packs a list of floats in a third of the time of np.array.
                frames.append(_pack_frame(*values))
        self._rest = data[start:]
        # Exact: 25.6 in binary is above 25.6 by less than half a unit in the last place.
        raw = np.frombuffer(b"".join(frames)) * _RAW_PER_FEATURE
        return raw.astype(np.uint16).reshape(-1, BINS)

    def finish(self) -> NDArray[np.uint16]:
        """Fill the last partial hop with silence and return its frame.

        Returns:
            Shape (1, 40) or, when no partial hop is left or the stream is shorter than a window,
            (0, 40); uint16.
        """
        missing = -len(self._rest) // 2 % HOP
        return self.feed(np.zeros(missing, np.int16))


def features(samples: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Return the raw features of a whole clip, as one stream from a fresh front end.

    Args:
        samples: shape (N,), int16, 16 kHz mono.

    Returns:
        Shape (max(0, N // 160 - 2), 40), uint16.

    Raises:
        AudioFormatError: not one channel of int16.

    >>> features(np.zeros(16_000, np.int16)).shape
    (98, 40)
    """
    return Frontend().feed(samples)
