"""`wakeword listen` and `record`, live: real PortAudio and real time; only the air is missing.

A private PulseAudio daemon with a null sink stands in for the sound card: what is played into the
sink comes out of its monitor, which PortAudio reaches as the default microphone through ALSA's
pulse plugin. Debian: pulseaudio pulseaudio-utils libasound2-plugins libportaudio2.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from wakeword import Detector
from wakeword.audio import read_audio

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "wakeword" / "demo" / "computer.flac"
SHIPPED = ROOT / "wakeword" / "models" / "computer_jarvis.json"
MODEL = "computer"
WORD = "computer"
PATIENCE_S = 30.0  # how long anything may take on a busy machine before it counts as broken
PLUGINS = [*Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")]


def why_not() -> str | None:
    """Say what is missing to run these tests, if anything is."""
    for tool in ("pulseaudio", "paplay", "pactl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: pulseaudio pulseaudio-utils)"
    if not PLUGINS:
        return "ALSA's pulse plugin is not installed (Debian: libasound2-plugins)"
    try:
        import sounddevice  # noqa: F401 - whether it loads is the question
    except (ImportError, OSError) as exc:
        return f"no PortAudio: {exc}"
    for path in (DEMO, SHIPPED):
        if not path.is_file():
            return f"{path.name} is not there yet"
    return None


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


class SoundCard:
    """A PulseAudio daemon of our own, that can be unplugged."""

    def __init__(self, folder: Path) -> None:
        home, run = folder / "home", folder / "run"
        home.mkdir()
        run.mkdir(mode=0o700)
        (home / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n", encoding="utf-8"
        )
        self._socket = run / "native"
        self._log = folder / "pulseaudio.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "ALSA_"))},
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_RUNTIME_PATH": str(run),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PYTHONPATH": str(ROOT),
        }

    def plug(self) -> None:
        """Start the daemon, and wait until it answers."""
        modules = [
            f"module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            "module-null-sink sink_name=air",
        ]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        for module in modules:
            command += ["-L", module]
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode:
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                pytest.fail("pulseaudio does not start:\n" + self._log.read_text())
            time.sleep(0.05)

    def unplug(self) -> None:
        """Kill the daemon: to everybody connected, the device is gone."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(PATIENCE_S)

    def play(self, path: Path) -> None:
        """Play a recording to its end."""
        command = ["paplay", "--device=air", str(path)]
        subprocess.run(command, env=self.env, check=True, timeout=PATIENCE_S)


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
def card(tmp_path: Path) -> Iterator[SoundCard]:
    card = SoundCard(tmp_path)
    card.plug()
    yield card
    card.unplug()


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
