"""What sinks are given: that a word was heard, and for some the sound that followed it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.detector import Detection

__all__ = [
    "AudioStream",
    "Event",
    "ServingSink",
    "Sink",
    "StreamingSink",
    "Utterance",
    "new_events",
]


@dataclass(frozen=True, slots=True)
class Event:
    """A word was heard.

    Attributes:
        id: unlike that of any other event, ever; the same whenever this one is sent again.
        word: as in the configuration.
        prob: smoothed probability, in [0, 1].
        sample: 16 kHz samples since the daemon began to hear.
        at: when, UTC, by the clock of this machine, which may have been wrong.
    """

    id: str
    word: str
    prob: float
    sample: int
    at: str

    def fields(self) -> dict[str, Any]:
        """What others are told."""
        return {
            "id": self.id, "word": self.word, "prob": round(self.prob, 6),
            "sample": self.sample, "time_s": self.sample / RATE_HZ, "at": self.at,
        }  # fmt: skip

    def to_json(self) -> bytes:
        """One JSON object, ASCII, without a line's end."""
        return json.dumps(self.fields()).encode("ascii")


@dataclass(frozen=True, slots=True)
class Utterance:
    """The sound from before the word to the end of the command after it.

    Attributes:
        samples: int16 (N,), 16 kHz mono.
        word_end: index into ``samples`` at which the word fired.
        ended: "silence", "limit", "nothing" (no command came) or "stopped" (the sound broke off).
    """

    samples: NDArray[np.int16]
    word_end: int
    ended: str


class Sink(Protocol):
    """What is done when a word was heard."""

    @property
    def name(self) -> str:
        """As in the configuration."""

    @property
    def wants_audio(self) -> bool:
        """Whether it waits for the command after the word; else it is told at once."""

    @property
    def pending(self) -> int:
        """Events taken but not delivered yet."""

    @property
    def delivered(self) -> int:
        """Events done with, as promised."""

    @property
    def dropped(self) -> int:
        """Events given up."""

    def start(self) -> None:
        """Begin; connections are made later, by themselves."""

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Take an event; neither blocks nor raises."""

    def stop(self, grace_s: float) -> None:
        """End, leaving at most so much time for what is under way."""


class AudioStream(Protocol):
    """Takes the sound of one command as it comes; its methods neither block nor raise."""

    @property
    def stopped(self) -> bool:
        """Whether no more is wanted."""

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Take the next samples (N,), 16 kHz mono; the first time those before the word fired."""

    def end(self) -> None:
        """The command is over."""


@runtime_checkable
class StreamingSink(Sink, Protocol):
    """A sink that hears the command after the word while it is said."""

    def open(self, event: Event) -> AudioStream | None:
        """Begin; neither blocks nor raises. None where it cannot, which it counts itself."""


@runtime_checkable
class ServingSink(Sink, Protocol):
    """A sink to which others connect."""

    def renew(self) -> None:
        """Read the certificate again; ConfigError where it cannot be used."""


def new_events(
    wall: Callable[[], float], run: str | None = None
) -> Callable[[Detection, int], Event]:
    """Return what makes events of detections, numbered within this run of the daemon.

    Args:
        wall: seconds since 1970.
        run: tells this run from all others; None takes 64 random bits.
    """
    prefix = os.urandom(8).hex() if run is None else run
    count = 0

    def make(found: Detection, start: int) -> Event:
        nonlocal count
        count += 1
        at = datetime.fromtimestamp(wall(), timezone.utc).isoformat(timespec="milliseconds")
        return Event(f"{prefix}-{count}", found.word, found.prob, start + found.sample_index, at)

    return make
