"""The daemon on real sound servers: the microphone and what the machine plays vanish and return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from tests.daemon_kit import PATIENCE_S, until
from tests.sound_card import DEMO, REASON, ROOT, SoundCard
from wakeword.audio import RATE_HZ, read_audio
from wakeword.sinks.wav import wav_bytes

pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")

CONFIG = """
[word.computer]
actions = ["out"]
[action.out]
kind = "command"
run = ["sh", "-c", "cat >> \\"$0\\"", "OUT"]
"""


class LiveDaemon:
    """A daemon on a private sound server."""

    def __init__(self, card: SoundCard, folder: Path, more: str = "") -> None:
        self.out = folder / "out"
        config = folder / "w.toml"
        config.write_text(CONFIG.replace("OUT", str(self.out)) + more)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wakeword", "daemon", "--config", str(config)],
            cwd=ROOT, env=card.env, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.log.append(line.decode())

    def says(self, text: str, times: int = 1) -> None:
        until(lambda: self.count(text) >= times, f"{text!r} {times} times in {self.log}")

    def count(self, text: str) -> int:
        return sum(text in line for line in self.log)

    def acted(self) -> int:
        return len(self.out.read_text().splitlines()) if self.out.exists() else 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)


@pytest.fixture
def daemon(card: SoundCard, tmp_path: Path) -> Iterator[LiveDaemon]:
    daemon = LiveDaemon(card, tmp_path)
    yield daemon
    daemon.close()


def test_a_microphone_that_vanishes_and_returns_is_said_once_and_heard_again(
    card: SoundCard, daemon: LiveDaemon
) -> None:
    daemon.says("listening to default")
    card.play(DEMO)
    until(lambda: daemon.acted() == 1)
    card.unplug()
    daemon.says("device lost")
    card.plug()
    daemon.says("device back")
    card.play(DEMO)
    until(lambda: daemon.acted() == 2)
    assert (daemon.count("device lost"), daemon.count("device back")) == (1, 1)
    card.unplug()
    daemon.says("device lost", times=2)  # and is told to stop while it waits
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(PATIENCE_S) == 0


def test_a_microphone_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    card = SoundCard(tmp_path)  # nothing runs yet
    daemon = LiveDaemon(card, tmp_path)
    try:
        daemon.says("waiting for it")
        card.plug()
        daemon.says("microphone: works again")
        card.play(DEMO)
        until(lambda: daemon.acted() == 1)
        assert daemon.count("waiting for it") == 1
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE_S) == 0
    finally:
        daemon.close()
        card.unplug()


def test_without_time_to_run_sound_is_lost_and_said_and_the_next_word_is_heard(
    card: SoundCard, daemon: LiveDaemon
) -> None:
    daemon.says("listening to default")
    card.play(DEMO)  # seconds of sound: it runs
    until(lambda: daemon.acted() == 1)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    card.play(DEMO)
    os.kill(daemon.process.pid, signal.SIGCONT)
    # The sound server may have given up on it: then the device is opened anew, which takes seconds.
    until(lambda: (card.play(DEMO), daemon.acted() >= 2)[1], f"another word in {daemon.log}")
    assert daemon.process.poll() is None
    assert daemon.count("fell behind") <= 2


PLAYBACK = """
[playback]
raise_by = 1
hold_ms = 300
run = ["parec", "--server=SERVER", "--device=@DEFAULT_MONITOR@", "--rate=16000", "--channels=1",
       "--format=s16le", "--latency-msec=40"]
"""


class Music:
    """Something that plays for as long as it is wanted."""

    def __init__(self, card: SoundCard, folder: Path) -> None:
        file = folder / "music.wav"
        hiss = np.random.default_rng(2).normal(0, 3000, 60 * RATE_HZ).astype(np.int16)
        file.write_bytes(wav_bytes(hiss))
        command = ["paplay", "--device=air", str(file)]
        self._process = subprocess.Popen(command, env=card.env, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)


def test_a_word_is_left_alone_while_the_machine_plays_sound_and_the_monitor_may_vanish(
    card: SoundCard, tmp_path: Path
) -> None:
    """The microphone and the loudspeaker belong to two sound servers, so that one can go."""
    (tmp_path / "speaker").mkdir()
    speaker = SoundCard(tmp_path / "speaker")
    speaker.plug()
    word = tmp_path / "word.wav"
    word.write_bytes(wav_bytes(read_audio(DEMO)[: 5 * RATE_HZ // 2]))
    daemon = LiveDaemon(card, tmp_path, PLAYBACK.replace("SERVER", speaker.env["PULSE_SERVER"]))
    begins, ends = "the machine plays sound; computer does nothing", "the machine is silent"
    masked = ": the machine plays sound"
    try:
        daemon.says("listening to default")
        music = Music(speaker, tmp_path)
        daemon.says(begins)
        card.play(word)
        daemon.says(masked)
        music.stop()
        daemon.says(ends)
        assert daemon.acted() == 0
        card.play(word)
        until(lambda: daemon.acted() == 1)
        music = Music(speaker, tmp_path)
        daemon.says(begins, times=2)
        speaker.unplug()  # the monitor vanishes in the middle of a song
        daemon.says("playback, monitor: parec ended")
        daemon.says(ends, times=2)
        music.stop()
        card.play(word)
        until(lambda: daemon.acted() == 2)
        speaker.plug()
        music = Music(speaker, tmp_path)
        daemon.says(begins, times=3)
        daemon.says("playback, monitor: works again")
        music.stop()
        assert (daemon.acted(), daemon.count("parec ended")) == (2, 1)
        assert daemon.count("device lost") == 0
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE_S) == 0
    finally:
        daemon.close()
        speaker.unplug()
