"""Keep the sound of the command after the word, in a folder that does not grow without end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wakeword.daemon.actions import RecordingConfig
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.wav import wav_bytes
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
        folder = Path(self.config.folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = wav_bytes(utterance.samples)
        note = event.to_json()[:-1] + (
            f', "word_end": {utterance.word_end}, "ended": "{utterance.ended}"}}\n'
        ).encode("ascii")
        room = int(self.config.limit_mb * 1_000_000) - len(content) - len(note)
        _make_room(folder, room)
        _write(folder / f"{event.id}.wav", content)
        _write(folder / f"{event.id}.json", note)


def _make_room(folder: Path, room: int) -> None:
    """Remove the oldest recordings until what stays is at most ``room`` bytes."""
    found = []
    for path in folder.glob("*.wav"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((state.st_mtime_ns, state.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= room:
            return
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        total -= size


def _write(path: Path, content: bytes) -> None:
    """Write beside the name, then rename."""
    partial = path.with_name(f".{path.name}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
