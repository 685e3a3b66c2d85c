"""What the daemon counts; plain numbers, written by the thread that listens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wakeword.audio import RATE_HZ

__all__ = ["Stats"]


@dataclass(slots=True)
class Stats:
    """Counts since the start.

    Attributes:
        samples: heard, 16 kHz.
        dropped: samples lost because we were late.
        overflows: times the audio system lost samples itself.
        restarts: times the device went and came back.
        reloads: configurations taken over while running.
        busy_s: seconds of processor time spent on the sound, by the thread that listens.
        last_audio_s: when the last sound came, by the monotonic clock; None before the first.
        detections: words heard, per word.
        quiet: words heard in their quiet hours, per word.
        unspoken: words heard where the voice detector heard nobody, per word.
        strangers: words that no enrolled voice said, per word.
        elsewhere: words on which another machine acted, per word.
        playing: whether the machine itself plays sound now.
        masked: words heard while it did that do nothing then, per word.
    """

    samples: int = 0
    dropped: int = 0
    overflows: int = 0
    restarts: int = 0
    reloads: int = 0
    busy_s: float = 0.0
    last_audio_s: float | None = None
    detections: Counter[str] = field(default_factory=Counter)
    quiet: Counter[str] = field(default_factory=Counter)
    unspoken: Counter[str] = field(default_factory=Counter)
    strangers: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)
    playing: bool = False
    masked: Counter[str] = field(default_factory=Counter)

    @property
    def audio_s(self) -> float:
        """Seconds of sound heard."""
        return self.samples / RATE_HZ

    @property
    def real_time_factor(self) -> float:
        """Processor seconds per second of sound; 0 before the first."""
        return self.busy_s / self.audio_s if self.samples else 0.0
