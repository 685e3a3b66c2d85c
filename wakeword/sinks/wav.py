"""A WAV in memory."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ

__all__ = ["wav_bytes"]


def wav_bytes(samples: NDArray[np.int16]) -> bytes:
    """Return 16 kHz mono samples (N,) as the content of a WAV file.

    >>> wav_bytes(np.zeros(2, np.int16))[:4]
    b'RIFF'
    """
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return held.getvalue()
