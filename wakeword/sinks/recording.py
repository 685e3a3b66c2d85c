"""Keep the sound of the command after the word, in a folder that does not grow without end."""

from __future__ import annotations

from pathlib import Path

from wakeword.daemon.actions import RecordingConfig
from wakeword.microphone import Clock
from wakeword.sinks.clips import write_clip
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.worker import WorkerSink

__all__ = ["RecordingSink"]

WAITING = 8


class RecordingSink(WorkerSink):
    """Writes ``ID.wav`` and then ``ID.json``, each whole: who sees the JSON finds the WAV."""

    def __init__(self, name: str, config: RecordingConfig, clock: Clock) -> None:
        super().__init__(name, clock, waiting=WAITING, wants_audio=True)
        self.config = config

    def handle(self, event: Event, utterance: Utterance | None) -> None:
        """Write it, and remove the oldest; raise OSError where the disk refuses."""
        if utterance is None:
            return
        after = {"word_end": utterance.word_end, "ended": utterance.ended}
        limit = int(self.config.limit_mb * 1_000_000)
        note = {**event.fields(), **after}
        write_clip(Path(self.config.folder), event.id, utterance.samples, note, limit)
