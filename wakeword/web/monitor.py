"""What the page sees of the thread that listens: sound, scores, and what was heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.daemon.ring import Ring
from wakeword.detector import Detector
from wakeword.sinks.event import Event
from wakeword.sources import Chunk

__all__ = ["COLUMN", "Heard", "Monitor"]

COLUMN = RATE_HZ // 50  # samples that one column of the waveform stands for
FRAME = RATE_HZ // 10  # samples after which the page is told
KEPT = 30  # detections that can be played again
BEFORE = 2 * RATE_HZ  # of sound before a word fired that is kept of it
AFTER = RATE_HZ // 2  # and after


@dataclass(slots=True)
class Heard:
    """A detection, and its sound.

    Attributes:
        event: what the actions were told.
        threshold: in force then.
        why_not: why nothing was done; empty where something was, as configured.
        end: the sample with which its sound is complete.
        sound: int16 (N,); None until then.
    """

    event: Event
    threshold: float
    why_not: str
    end: int
    sound: NDArray[np.int16] | None = None

    def fields(self) -> dict[str, Any]:
        """What the page is told."""
        return {**self.event.fields(), "threshold": self.threshold, "why_not": self.why_not}


class Monitor:
    """Watches the listening thread, and hands on what it sees without making it wait.

    ``look`` and ``heard`` are called by the thread that listens, the rest by any other.

    Attributes:
        tell: takes a message, (kind, fields), and returns at once.
        watched: whether anybody looks; if not, no picture is made.
        tap: takes every chunk while samples are recorded; must return at once.
        hold: words are heard, and nothing is done: samples of one are being recorded.
    """

    def __init__(self) -> None:
        self.tell: Callable[[str, dict[str, Any]], None] = lambda kind, fields: None
        self.watched = False
        self.tap: Callable[[Chunk], None] | None = None
        self.hold = False
        self._kept: deque[Heard] = deque(maxlen=KEPT)
        self._waiting: list[Heard] = []  # for the rest of their sound
        self._rest = np.zeros(0, np.int16)  # samples that are in no picture yet
        self._scores: list[list[float]] = []
        self._dropped = 0

    def kept(self) -> list[Heard]:
        """Return the newest detections, oldest first."""
        return list(self._kept)

    def find(self, key: str) -> Heard | None:
        """Return the detection of an id, while it is kept."""
        return next((one for one in self.kept() if one.event.id == key), None)

    def heard(self, event: Event, threshold: float, why_not: str) -> None:
        """Note a detection, and why nothing was done about it."""
        one = Heard(event, threshold, why_not, event.sample + AFTER)
        self._kept.append(one)
        self._waiting.append(one)
        self.tell("heard", one.fields())

    def look(self, chunk: Chunk, detector: Detector, ring: Ring, heard: int) -> None:
        """Look at a chunk that was heard; ``heard`` counts the samples so far, it among them."""
        tap = self.tap
        if tap is not None:
            tap(chunk)
        if self._waiting:
            self._complete(ring, heard)
        if not self.watched:
            self._scores.clear()
            self._rest = self._rest[:0]
            return
        self._dropped += chunk.dropped
        self._rest = np.concatenate([self._rest, chunk.samples])
        self._scores.append([heard, *(round(prob, 4) for prob in detector.probs.tolist())])
        if len(self._rest) >= FRAME:
            self._show(heard)

    def finish(self, ring: Ring) -> None:
        """Keep what there is: the sound broke off."""
        for one in self._waiting:
            self._cut(one, ring, one.end)
        self._waiting.clear()

    def _complete(self, ring: Ring, heard: int) -> None:
        """Keep the sound of detections that is whole now."""
        for one in [w for w in self._waiting if heard >= w.end]:
            self._cut(one, ring, heard)
            self._waiting.remove(one)

    def _cut(self, one: Heard, ring: Ring, heard: int) -> None:
        """Copy the sound of a detection out of the last seconds."""
        late = max(0, heard - one.end)
        known = ring.last(BEFORE + AFTER + late)
        one.sound = known[: len(known) - late].copy()
        self.tell("sound", {"id": one.event.id})

    def _show(self, heard: int) -> None:
        """Tell what the last moment looked like."""
        count = len(self._rest) // COLUMN
        columns = self._rest[: count * COLUMN].reshape(count, COLUMN)
        self._rest = self._rest[count * COLUMN :]
        fields = {
            "end": heard - len(self._rest),
            "low": columns.min(axis=1).tolist(),
            "high": columns.max(axis=1).tolist(),
            "scores": self._scores,
            "dropped": self._dropped,
        }
        self._scores = []
        self._dropped = 0
        self.tell("frame", fields)
