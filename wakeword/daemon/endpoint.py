"""Where the command after a word begins and ends, from the level of the sound alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.daemon.settings import AfterConfig
from wakeword.sinks.event import Utterance

__all__ = ["Endpointer", "level_db"]

FRAME = RATE_HZ // 50  # 20 ms: shorter than a syllable, longer than a period of a voice
LOUD_MS = 60  # of speech before it counts: a click is shorter
FLOOR_DB = -65.0  # quieter than any room: keeps digital silence from making all else speech
PAUSE_MS = 100  # after which what is loud is no longer the end of the word itself
WORD_MS = 600  # after which it is not either: words fire that soon after their end
FLOOR_SHARE = 20  # percentile of the frames before, taken as the level of the room


def level_db(frames: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the level of each frame, (T, N) to (T,), in dB of full scale; -120 of nothing."""
    power = np.mean(np.square(frames.astype(np.float64) / 32768), axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


class Endpointer:
    """Collects one command: from before the word until silence follows, or time is up.

    The room's level is a low percentile of the sound before the word fired, the word in it. Speech
    is what lies ``margin_db`` above. Any chunking gives the same command.

    Args:
        config: the settings.
        before: the sound up to the moment at which the word fired, (N,), newest last; all of it
            tells the level of the room, its last ``before_ms`` are handed on.
    """

    def __init__(self, config: AfterConfig, before: NDArray[np.int16]) -> None:
        self._config = config
        self.before = before[len(before) - min(len(before), _samples(config.before_ms)) :]
        """What of the sound before is handed on."""
        self._parts = [self.before]
        whole = before[len(before) % FRAME :].reshape(-1, FRAME)
        room = np.percentile(level_db(whole), FLOOR_SHARE) if len(whole) else FLOOR_DB
        self._speech_db = max(float(room), FLOOR_DB) + config.margin_db
        self._rest = np.zeros(0, np.int16)
        self._taken = 0  # samples after the word that were looked at
        self._loud_ms = 0  # of speech without a pause
        self._quiet_ms = 0
        self._past_word = False
        self._begun = False

    def feed(self, samples: NDArray[np.int16]) -> Utterance | None:
        """Take the next samples and return the command once it has ended.

        Args:
            samples: (N,), int16, 16 kHz mono.

        Returns:
            The command, or None while it goes on. What comes after its end is left out.
        """
        data = np.concatenate([self._rest, samples])
        count = len(data) // FRAME
        frames = data[: count * FRAME].reshape(-1, FRAME)
        self._rest = data[count * FRAME :]
        for n, loud in enumerate((level_db(frames) > self._speech_db).tolist(), start=1):
            ended = self._frame(loud)
            if ended is not None:
                self._parts.append(frames[:n].reshape(-1))
                return self._whole(ended)
        self._parts.append(frames.reshape(-1))
        return None

    def stop(self) -> Utterance:
        """Return what there is, because no more sound comes."""
        self._parts.append(self._rest)
        return self._whole("stopped")

    def _frame(self, loud: bool) -> str | None:
        """Look at one frame and say how the command ended, if it did."""
        config = self._config
        step_ms = 1000 * FRAME // RATE_HZ
        self._taken += FRAME
        passed_ms = 1000 * self._taken / RATE_HZ
        self._quiet_ms = 0 if loud else self._quiet_ms + step_ms
        self._past_word |= self._quiet_ms >= PAUSE_MS or passed_ms >= WORD_MS
        self._loud_ms = self._loud_ms + step_ms if loud and self._past_word else 0
        self._begun |= self._loud_ms >= LOUD_MS
        if self._begun and self._quiet_ms >= config.silence_ms:
            return "silence"
        if not self._begun and passed_ms >= config.wait_ms:
            return "nothing"
        return "limit" if passed_ms >= config.limit_ms else None

    def _whole(self, ended: str) -> Utterance:
        """Put the parts together."""
        return Utterance(np.concatenate(self._parts), len(self.before), ended)


def _samples(milliseconds: float) -> int:
    """Convert to samples, rounded up."""
    return math.ceil(milliseconds * RATE_HZ / 1000)
