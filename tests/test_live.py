"""`wakeword listen` and `record`, live: real PortAudio and real time; only the air is missing."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.daemon_kit import PATIENCE_S
from tests.sound_card import DEMO, REASON, ROOT, SoundCard
from wakeword import Detector
from wakeword.audio import read_audio

MODEL = "computer"
WORD = "computer"
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


class Listener:
    """A command in a process of its own, its output read as it comes."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-m", "wakeword.cli", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines = {"out": queue.Queue[str](), "err": queue.Queue[str]()}
        pipes = {"out": self.process.stdout, "err": self.process.stderr}
        self._readers = [threading.Thread(target=self._read, args=pipe) for pipe in pipes.items()]
        for reader in self._readers:
            reader.start()
        self.log: list[str] = []

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines[name].put(line)

    def forget(self) -> None:
        """Leave out the detections that have come so far."""
        while not self._lines["out"].empty():
            self._lines["out"].get()

    def stop(self) -> None:
        """End the process, if it still runs, and the threads that read it."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)

    def says(self, text: str) -> str:
        """Wait for a line on stderr that contains the text."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._lines["err"].get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"never said {text!r}, only:\n{''.join(self.log)}")
            self.log.append(line)
            if text in line:
                return line

    def detects(self) -> dict[str, Any]:
        """Wait for a detection."""
        try:
            found: dict[str, Any] = json.loads(self._lines["out"].get(timeout=PATIENCE_S))
        except queue.Empty:
            pytest.fail("heard nothing")
        return found


@pytest.fixture
def listener(card: SoundCard) -> Iterator[Listener]:
    listener = Listener(card.env, "listen", "--json", MODEL)
    yield listener
    listener.stop()


def test_a_word_played_live_is_printed_at_once_and_ctrl_c_ends_it(
    card: SoundCard, listener: Listener
) -> None:
    assert "44100 Hz" in listener.says("listening to default")  # so it is resampled, too
    card.play(DEMO)
    found = listener.detects()  # while it runs: the line was flushed
    assert found["word"] == WORD
    assert found["time_s"] > 0
    listener.process.send_signal(signal.SIGINT)
    assert listener.process.wait(PATIENCE_S) == 130


def test_listening_goes_on_when_the_device_is_unplugged_and_returns(
    card: SoundCard, listener: Listener
) -> None:
    listener.says("listening to default")
    card.play(DEMO)
    first = listener.detects()
    card.unplug()
    listener.says("device lost")
    card.plug()
    listener.says("device back")
    listener.forget()
    card.play(DEMO)
    second = listener.detects()
    assert (first["word"], second["word"]) == (WORD, WORD)
    assert second["time_s"] > first["time_s"]
    assert listener.process.poll() is None


def test_a_word_played_live_is_recorded_and_ctrl_c_leaves_whole_clips(
    card: SoundCard, tmp_path: Path
) -> None:
    recorder = Listener(card.env, "record", WORD, "--json", "--out", str(tmp_path / "own"))
    try:
        recorder.says(f'1 of 20: say "{WORD}"')
        card.play(DEMO)
        row = recorder.detects()
        recorder.process.send_signal(signal.SIGINT)
        assert recorder.process.wait(PATIENCE_S) == 130
    finally:
        recorder.stop()
    assert (row["label"], row["device"], row["kind"]) == (WORD, "default", "positive")
    files = [path for path in (tmp_path / "own").rglob("*") if path.is_file()]
    clips = {path: read_audio(path) for path in files if path.name != "recordings.tsv"}
    assert all(len(samples) > 4000 for samples in clips.values())
    detector = Detector.load(MODEL)
    found = detector.feed(clips[tmp_path / "own" / row["file"]]) + detector.finish()
    assert [detection.word for detection in found] == [WORD]
