"""Commands after words, while they are being said: collected whole, or handed on as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.daemon.endpoint import Endpointer
from wakeword.daemon.settings import AfterConfig
from wakeword.sinks.event import AudioStream, Event, Utterance

__all__ = ["Captures"]

AT_ONCE = 4  # commands at once; a word said again begins another

HandOn = Callable[[Event, Sequence[str], Utterance], None]


@dataclass(slots=True)
class _Capture:
    """One command: who waits for all of it, and who hears it now."""

    event: Event
    names: Sequence[str]
    streams: list[AudioStream]
    endpointer: Endpointer
    sent: int  # samples that the streams have


class Captures:
    """Those that are going on.

    Args:
        hand_on: takes a command that ended, for the actions that wait for it.
    """

    def __init__(self, hand_on: HandOn) -> None:
        self._hand_on = hand_on
        self._going: list[_Capture] = []

    def begin(
        self,
        event: Event,
        names: Sequence[str],
        streams: Sequence[AudioStream],
        config: AfterConfig,
        known: NDArray[np.int16],
        since: int,
    ) -> None:
        """Begin with a word that fired in the past.

        Args:
            event: the word.
            names: actions that wait for the whole command.
            streams: are fed from before the word on.
            config: what belongs to a command.
            known: the last sound (N,), newest last.
            since: samples since the word fired.
        """
        cut = max(0, len(known) - since)
        endpointer = Endpointer(config, known[:cut])
        if len(self._going) >= AT_ONCE:
            self._end(self._going.pop(0))
        before = endpointer.before
        capture = _Capture(event, names, list(streams), endpointer, len(before))
        for stream in streams:
            stream.feed(before)
        if self._feed(capture, known[cut:]):
            self._going.append(capture)

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Take the next samples (N,)."""
        if self._going:
            self._going = [capture for capture in self._going if self._feed(capture, samples)]

    def drop(self, event: Event) -> None:
        """Forget a command that nobody waits for any more."""
        self._going = [capture for capture in self._going if capture.event.id != event.id]

    def stop(self) -> None:
        """End all, with what there is."""
        going, self._going = self._going, []
        for capture in going:
            self._end(capture)

    def _feed(self, capture: _Capture, samples: NDArray[np.int16]) -> bool:
        """Feed one; return whether it goes on."""
        capture.streams = [stream for stream in capture.streams if not stream.stopped]
        if not (capture.names or capture.streams):
            return False
        utterance = capture.endpointer.feed(samples)
        # Streams have every sample so far. A command ends after the last of them, never before.
        part = samples if utterance is None else utterance.samples[capture.sent :]
        capture.sent += len(part)
        for stream in capture.streams:
            stream.feed(part)
        if utterance is None:
            return True
        self._over(capture, utterance)
        return False

    def _end(self, capture: _Capture) -> None:
        """End one with what there is."""
        self._over(capture, capture.endpointer.stop())

    def _over(self, capture: _Capture, utterance: Utterance) -> None:
        """Tell everybody who was concerned."""
        for stream in capture.streams:
            stream.end()
        self._hand_on(capture.event, capture.names, utterance)
