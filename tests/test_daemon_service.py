"""The daemon as a process: systemd's protocol, reload, metrics, faults around it, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon_kit import PATIENCE_S, QuickClock, Receiver, until
from wakeword.audio import read_audio
from wakeword.daemon.notify import Notifier

ROOT = Path(__file__).parents[1]
DEMO = read_audio(ROOT / "wakeword/demo/computer.flac")
HISS = np.random.default_rng(5).normal(0, 20, 16_000).astype(np.int16)
CONFIG = """
state = "state"
[audio]
source = "stdin"
[word.computer]
[word.jarvis]
actions = ["lines"]
[action.lines]
kind = "socket"
path = "s"
"""


class Daemon:
    """``wakeword daemon`` in a process of its own, fed by hand."""

    def __init__(self, folder: Path, config: str, **env: str) -> None:
        self.folder = folder
        self.config = folder / "w.toml"
        self.config.write_text(config)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.tells: list[str] = []  # what systemd was told; its queue holds 10 only
        self.told = threading.Event()
        self._systemd = threading.Thread(target=self._read_notify)
        self._systemd.start()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wakeword", "daemon", "--config", str(self.config)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(folder / "notify"),
                 "WATCHDOG_USEC": "400000", **env},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.log: list[str] = []
        self._stdin = self.process.stdin
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.log.append(line.decode())

    def _read_notify(self) -> None:
        while (told := self.notify.recv(4096).decode()) != "END OF TEST":
            self.tells.append(told)
            self.told.set()

    def hear(self, *sounds: np.ndarray) -> None:  # type: ignore[type-arg]
        for sound in sounds:
            self._stdin.write(sound.tobytes())
        self._stdin.flush()

    def says(self, text: str) -> str:
        until(lambda: any(text in line for line in self.log), f"{text!r} in {self.log}")
        return next(line for line in self.log if text in line)

    def end(self) -> int:
        if not self._stdin.closed:
            self._stdin.close()
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def close(self) -> None:
        self.process.kill()
        self.end()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as us:
            us.sendto(b"END OF TEST", str(self.folder / "notify"))
        self._systemd.join(PATIENCE_S)
        self.notify.close()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short: a socket's path has 100 bytes


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(folder, CONFIG)
    yield daemon
    daemon.close()


def test_ready_when_sound_comes_watchdog_while_it_does_and_a_clean_end(daemon: Daemon) -> None:
    daemon.says("listening for: computer, jarvis")
    assert not daemon.told.wait(0.3)  # no sound: not ready, and the watchdog goes hungry
    daemon.hear(HISS)
    until(lambda: len(daemon.tells) >= 2)
    assert daemon.tells[:2] == ["READY=1\nSTATUS=listening for computer, jarvis", "WATCHDOG=1"]
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(PATIENCE_S) == 0
    until(lambda: daemon.tells[-1] == "STOPPING=1")
    daemon.says("stopped after")
    assert not (daemon.folder / "s").exists()


def test_sighup_takes_a_new_word_and_a_new_action_over_and_keeps_connections(
    daemon: Daemon,
) -> None:
    daemon.hear(DEMO)
    daemon.says("heard jarvis")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(daemon.folder / "s"))
        lines = client.makefile("rb")
        out = daemon.folder / "out"
        daemon.config.write_text(
            CONFIG.replace(
                "[word.computer]",
                "[word.alexa]\nactions = ['lines']\n[word.computer]\nactions = ['new']",
            )
            + f"[action.new]\nkind = 'command'\nrun = ['dd', 'of={out}', 'status=none']\n"
        )
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: not daemon.hear(HISS[:800]) and "taken over" in "".join(daemon.log))
        daemon.hear(DEMO)
        until(lambda: out.exists() and out.stat().st_size > 20)
        assert json.loads(out.read_text())["word"] == "computer"
        heard = [json.loads(lines.readline())["word"] for _ in range(2)]
        lines.close()
    assert "jarvis" in heard  # the client from before the reload hears on
    ready = "READY=1\nSTATUS=listening for alexa, computer, jarvis"
    until(lambda: ready in daemon.tells)
    (reloading,) = [t for t in daemon.tells if t.startswith("RELOADING=1\nMONOTONIC_USEC=")]
    assert daemon.tells.index(reloading) < daemon.tells.index(ready)


def test_a_bundle_that_was_made_anew_is_taken_over_without_a_gap(folder: Path) -> None:
    shipped = ROOT / "wakeword/models/computer_jarvis.json"
    own = folder / "own.json"
    data = json.loads(shipped.read_text())
    data["model"] = "own.tflite"
    (folder / "own.tflite").write_bytes(shipped.with_suffix(".tflite").read_bytes())
    own.write_text(json.dumps(data))
    config = '[metrics]\naddress = "127.0.0.1:0"\n[audio]\nsource = "stdin"\n'
    config += "".join(f'[word.{w}]\nmodel = "own.json"\n' for w in ("computer", "jarvis"))
    daemon = Daemon(folder, config)
    try:
        port = daemon.says("metrics at").split()[-1]
        fed = len(DEMO)
        daemon.hear(DEMO)
        daemon.says("heard jarvis")
        for decision in data["decision"].values():
            decision["threshold"] = 0.999  # as if it were another model: no word reaches that
        own.write_text(json.dumps(data))
        daemon.process.send_signal(signal.SIGHUP)
        while not any("taken over" in line for line in daemon.log):
            daemon.hear(HISS[:800])
            fed += 800
            time.sleep(0.005)
        daemon.hear(DEMO, HISS)
        fed += len(DEMO) + len(HISS)

        def counted(name: str) -> float:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                found = re.search(rf"(?m)^{name} (\S+)$", answer.read().decode())
            assert found is not None
            return float(found[1])

        until(lambda: counted("wakeword_audio_seconds_total") * 16_000 >= fed - 480)
        assert counted("wakeword_audio_dropped_seconds_total") == 0
        assert counted('wakeword_detections_total{word="computer"}') == 1
        assert counted('wakeword_detections_total{word="jarvis"}') == 1
        assert counted("wakeword_reloads_total") == 1
    finally:
        daemon.close()


def test_a_wrong_configuration_at_reload_leaves_all_as_it_was(daemon: Daemon) -> None:
    daemon.hear(HISS)
    daemon.says("listening for")
    daemon.config.write_text("[word.nothing]\n")
    daemon.process.send_signal(signal.SIGHUP)
    assert "no shipped word" in daemon.says("configuration stays as it was")
    daemon.hear(DEMO)
    daemon.says("heard computer")
    assert daemon.end() == 0


def test_the_end_of_the_sound_is_the_end_and_the_last_word_is_heard(daemon: Daemon) -> None:
    daemon.hear(DEMO)
    assert daemon.end() == 0
    daemon.says("heard jarvis")


def test_a_stop_does_not_wait_for_sound(daemon: Daemon) -> None:
    daemon.says("listening for")
    began = time.monotonic()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - began < PATIENCE_S / 2


def test_metrics_count_what_happened(folder: Path) -> None:
    daemon = Daemon(folder, CONFIG + "[metrics]\naddress = '127.0.0.1:0'\n")
    try:
        port = re.findall(r"port (\d+)", daemon.says("metrics at"))[0]
        daemon.hear(DEMO, HISS)
        daemon.says("heard jarvis")
        until(lambda: value(page(port), "wakeword_audio_seconds_total") > len(DEMO) / 16_000)
        text = page(port)
        assert value(text, 'wakeword_detections_total{word="computer"}') == 1
        assert value(text, 'wakeword_delivered_total{action="lines"}') == 2
        assert value(text, 'wakeword_pending{action="lines"}') == 0
        assert 0 < value(text, "wakeword_real_time_factor") < 1
        assert 0 <= value(text, "wakeword_last_audio_age_seconds") < PATIENCE_S
        for head in (b"POST /metrics HTTP/1.1", b"GET /../etc/passwd HTTP/1.1"):
            assert ask(port, head + b"\r\n\r\n").split()[1] in (b"405", b"404")
        fuzz(port)
        assert value(page(port), "wakeword_reloads_total") == 0
    finally:
        daemon.close()


def fuzz(port: str) -> None:
    """Send what no browser sends; each is answered or hung up on, and the page stays."""

    @settings(max_examples=60)
    @given(st.binary(max_size=200) | st.just(b"A" * 20_000))
    def any_request(data: bytes) -> None:
        answer = ask(port, data)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")

    any_request()


def ask(port: str, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(port))) as client:
        client.settimeout(PATIENCE_S)
        answer = b""
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65_536):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


def page(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        text: str = answer.read().decode()
    return text


def value(text: str, name: str) -> float:
    (found,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(found.rpartition(" ")[2])


def test_kill_9_of_the_daemon_loses_no_event_that_was_stored(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = CONFIG.replace('actions = ["lines"]\n', "") + (
        f"[action.hook]\nkind = 'webhook'\nurl = 'http://127.0.0.1:{port}/'\n"
    )
    first = Daemon(folder, config)
    first.hear(DEMO, HISS)
    queue = folder / "state" / "webhooks" / "hook"
    until(lambda: queue.is_dir() and len(list(queue.glob("*.entry"))) == 2)
    first.process.kill()
    first.close()
    (folder / "notify").unlink()
    with Receiver(port) as receiver:
        second = Daemon(folder, config)  # finds the socket that the first one left, too
        second.hear(DEMO, HISS)
        until(lambda: len(receiver.taken) == 4)
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(PATIENCE_S) == 0
        second.close()
    bodies = [json.loads(body) for _, body in receiver.requests]
    assert [body["word"] for body in bodies] == ["computer", "jarvis"] * 2
    assert len({body["id"] for body in bodies}) == 4
    assert not list(queue.glob("*.entry"))


def test_json_log_is_one_object_a_line_with_the_event_s_id(folder: Path) -> None:
    daemon = Daemon(folder, 'log = "json"\n' + CONFIG)
    try:
        daemon.hear(DEMO)
        daemon.says("heard jarvis")
        assert daemon.end() == 0
        records = [json.loads(line) for line in daemon.log if line.startswith("{")]
        (heard,) = [r for r in records if r.get("word") == "computer"]
        assert heard["level"] == "info"
        assert heard["event"].endswith("-1")
        assert 0 < heard["prob"] <= 1
    finally:
        daemon.close()


def test_starved_of_processor_time_it_catches_up_and_misses_no_word(daemon: Daemon) -> None:
    """Stopped in the middle of a word, while the sound goes on into a pipe of 2 s."""
    daemon.hear(DEMO[:16_000])
    daemon.says("listening for")
    until(lambda: daemon.tells)
    daemon.process.send_signal(signal.SIGSTOP)
    daemon.hear(DEMO[16_000:30_000])
    daemon.process.send_signal(signal.SIGCONT)
    daemon.hear(DEMO[30_000:])
    assert daemon.end() == 0
    daemon.says("heard computer")
    daemon.says("heard jarvis")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"WATCHDOG_USEC": "8000000"}, 3),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())}, 3),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({}, 0),
    ],
)
def test_the_watchdog_is_fed_four_times_as_often_as_asked(
    folder: Path, env: dict[str, str], expected: int
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "n"))
        systemd.setblocking(False)
        clock = QuickClock()
        notifier = Notifier(clock, {"NOTIFY_SOCKET": str(folder / "n"), **env})
        for _ in range(50):  # 5 s of sound
            notifier.alive()
            clock.time += 0.1
        told = 0
        try:
            while systemd.recv(100) == b"WATCHDOG=1":
                told += 1
        except BlockingIOError:
            pass
        assert told == expected
        notifier.close()


def test_a_service_manager_that_is_gone_costs_nothing() -> None:
    for address in ("/no/such/socket", "@no-such", "vsock:1", ""):
        notifier = Notifier(QuickClock(), {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"})
        notifier.ready("x")
        notifier.alive()
        notifier.close()
        notifier.tell("X=1")
