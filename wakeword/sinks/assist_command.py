"""One command's way from the microphone to the Home Assistant that is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.sinks.assist_port import Link
from wakeword.sinks.event import Event
from wakeword.sinks.satellite import BEHIND_BYTES, FORM

if TYPE_CHECKING:
    from wakeword.sinks.assist import AssistSink

__all__ = ["AssistCommand"]

ANSWER_S = 30.0  # for what was said to be written down, before the next word begins anew


class AssistCommand:
    """One command's way. ``feed`` and ``end`` neither block nor raise."""

    def __init__(self, sink: AssistSink, link: Link, event: Event) -> None:
        self.stopped = False
        """Whether no more is wanted."""
        self.counted = False
        self._sink = sink
        self._link = link
        self._event = event
        self._first = True
        self._sent = 0

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Send samples (N,), 16 kHz mono; of the first, which come before the word, only the end.

        So that the word itself is not written down as part of the command.
        """
        if self._first:
            self._first = False
            keep = self._sink.config.before_ms * RATE_HZ // 1000
            samples = samples[max(0, len(samples) - keep) :]
        if not self.stopped and len(samples):
            self._sink.hub.post(self._send, samples.astype("<i2").tobytes())

    def end(self) -> None:
        """The command is over."""
        self._sink.hub.post(self._stop)

    def begin(self) -> None:
        """Say that a word was heard, and what is to be done, in the hub's thread."""
        if not self._sink.serves(self._link):  # it left while the word was on its way here
            self.over("hung up")
            return
        event = self._event
        word = {"name": event.word, "timestamp": 0, "context": {"id": event.id}}
        self._link.send("detection", word)
        run = {
            "start_stage": "asr",
            "end_stage": self._sink.end_stage,
            "restart_on_end": False,
            "wake_word_name": event.word,
        }
        self._link.send("run-pipeline", run)

    def over(self, why: str) -> None:
        """It was taken, or lost for the reason given."""
        self.stopped = True
        if not self.counted:
            self.counted = True
            self._sink.done(why)

    def _send(self, data: bytes) -> None:
        if self.stopped:
            return
        if self._link.unsent > BEHIND_BYTES:
            self.over(f"over {BEHIND_BYTES} bytes behind; cut off")
            self._link.cut()
            return
        chunk = {**FORM, "timestamp": round(500 * self._sent / RATE_HZ)}
        self._link.send("audio-chunk", chunk, data)
        self._sent += len(data)

    def _stop(self) -> None:
        """Say that it is whole, and wait for what was understood."""
        if self.stopped:
            return
        self.stopped = True
        self._link.send("audio-stop", {"timestamp": round(500 * self._sent / RATE_HZ)})
        self._sink.hub.loop.call_later(ANSWER_S, self._late)

    def _late(self) -> None:
        """Nothing was answered: it has the sound, or it never took it."""
        self.over("does not read" if self._link.unsent else "")
