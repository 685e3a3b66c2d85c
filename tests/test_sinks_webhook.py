"""Webhooks against a real HTTP server that fails in every way we could think of."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon_kit import CLOCK, PATIENCE_S, QuickClock, Receiver, event, until
from wakeword.daemon.actions import WebhookConfig
from wakeword.errors import ConfigError, WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.post import post, signature
from wakeword.sinks.webhook import BACKOFF_S, IN_MEMORY, WebhookSink

ROOT = Path(__file__).parents[1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def sink_for(
    url: str, folder: Path, clock: Clock | None = None, keep: int = 1000, timeout_s: float = 10.0,
    secret_file: str | None = None, ca_file: str | None = None,
) -> WebhookSink:  # fmt: skip
    config = WebhookConfig(
        url=url, keep=keep, timeout_s=timeout_s, secret_file=secret_file, ca_file=ca_file
    )
    return WebhookSink("hook", config, folder, clock or QuickClock(), wall=lambda: 1_700_000_000.9)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_an_event_is_posted_once_with_its_id(receiver: Receiver, tmp_path: Path) -> None:
    sink = sink_for(receiver.url, tmp_path)
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    assert (sink.pending, sink.dropped) == (0, 0)
    sink.stop(PATIENCE_S)
    ((headers, body),) = receiver.requests
    assert json.loads(body) == json.loads(event(1).to_json())
    assert headers["Wakeword-Id"] == "run-1"
    assert headers["Content-Type"] == "application/json"
    assert "Wakeword-Signature" not in headers


def test_the_signature_covers_the_time_and_the_body(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef0123\n")
    sink = sink_for(receiver.url, tmp_path / "q", secret_file=str(tmp_path / "secret"))
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    ((headers, body),) = receiver.requests
    assert headers["Wakeword-Timestamp"] == "1700000000"
    # As a receiver would write it.
    expected = hmac.new(b"0123456789abcdef0123", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["Wakeword-Signature"] == f"sha256={expected}"


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    with pytest.raises(ConfigError, match=r"7 bytes; need 16 to 4096 \(openssl rand -hex 32\)"):
        sink_for("http://localhost", tmp_path / "q", secret_file=str(tmp_path / "secret"))


def test_failures_are_retried_with_back_off_and_said_once(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500, 503, 429, 404, 301, 408, 500, 500]
    clock = QuickClock()
    sink = sink_for(receiver.url, tmp_path, clock)
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert len(receiver.requests) == 9
    assert receiver.taken == ["run-1"]
    # The wait may be interrupted by the event's own wake-up and resumed, never shortened.
    assert clock.time - 1000.0 == pytest.approx(sum([*BACKOFF_S, 60.0, 60.0]))
    said = lines(caplog)
    assert len(said) == 2
    assert "status 500; need 2xx" in said[0]
    assert "works again after 2" in said[1]  # 233 s


def test_an_event_that_the_receiver_never_takes_does_not_hold_up_the_rest(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [422]
    sink = sink_for(receiver.url, tmp_path)
    sink.start()
    sink.put(event(1), None)
    sink.put(event(2), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert receiver.taken == ["run-2"]
    assert sink.dropped == 1


def test_events_wait_for_a_receiver_that_is_down_even_over_a_restart(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = sink_for(f"http://127.0.0.1:{port}/", tmp_path, CLOCK)
    first.start()
    for n in range(1, 6):
        first.put(event(n), None)
    until(lambda: len(list(tmp_path.glob("*.entry"))) == 5)
    first.stop(PATIENCE_S)
    assert (first.delivered, first.dropped, first.pending) == (0, 0, 5)
    with Receiver(port) as receiver:
        second = sink_for(f"http://127.0.0.1:{port}/", tmp_path)
        second.start()
        second.put(event(6), None)
        until(lambda: second.delivered == 6)
        second.stop(PATIENCE_S)
    assert receiver.taken == [f"run-{n}" for n in range(1, 7)]


def test_a_receiver_killed_in_the_middle_of_its_answer_gets_the_event_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    def die_once(handler: object) -> bool:
        receiver.before_answer = lambda handler: True
        handler.wfile.write(b"HTTP/1.1 2")  # type: ignore[attr-defined]
        handler.connection.close()  # type: ignore[attr-defined]
        return False

    receiver.before_answer = die_once
    sink = sink_for(receiver.url, tmp_path)
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert [headers["Wakeword-Id"] for headers, _ in receiver.requests] == ["run-1", "run-1"]
    assert receiver.taken == ["run-1"]


def test_a_receiver_that_trickles_cannot_hold_a_request(receiver: Receiver) -> None:
    hold = threading.Event()

    def trickle(handler: object) -> bool:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")  # type: ignore[attr-defined]
        try:
            while not hold.wait(0.02):  # each byte comes well within the socket's own limit
                handler.wfile.write(b"a")  # type: ignore[attr-defined]
        except OSError:
            pass
        return False

    receiver.before_answer = trickle
    with pytest.raises(WakewordError, match=r"no whole answer within timeout_s=0.3"):
        post(receiver.url, b'{"id": "a"}', {}, 0.3)
    hold.set()


def test_a_hanging_receiver_does_not_hold_the_queue_when_the_sink_is_exchanged(
    receiver: Receiver, tmp_path: Path
) -> None:
    hold = threading.Event()
    receiver.before_answer = lambda handler: not hold.wait(PATIENCE_S)
    first = sink_for(receiver.url, tmp_path)
    first.start()
    first.put(event(1), None)
    until(lambda: receiver.requests)
    first.put(event(2), None)
    first.stop(0.05)
    with Receiver() as other:
        second = sink_for(other.url, tmp_path)
        second.start()
        until(lambda: second.delivered == 2)
        second.stop(PATIENCE_S)
        assert other.taken == ["run-1", "run-2"]
    hold.set()


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [302]
    assert post(receiver.url, b'{"id": "a"}', {}, 5) == 302
    assert len(receiver.requests) == 1


def test_what_is_no_http_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(WakewordError, match="no answer"):
            post(f"http://127.0.0.1:{server.getsockname()[1]}", b'{"id": "a"}', {}, 5)
        thread.join()


@given(st.binary(max_size=300))
def test_any_answer_is_a_status_or_an_error(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        connect = socket.create_connection
        socket.create_connection = lambda *_, **__: ours.dup()  # type: ignore[assignment]
        try:
            assert 100 <= post("http://x/", b"{}", {}, 5) <= 999
        except WakewordError as exc:
            if "no answer" not in str(exc):
                raise
        finally:
            socket.create_connection = connect


def test_events_wait_in_memory_while_the_disk_refuses(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The disk of the test of the spool is really full; here a folder that went away is enough."""
    receiver.answers = [503] * 3
    sink = sink_for(receiver.url, tmp_path / "q")
    for path in (tmp_path / "q").iterdir():
        path.unlink()
    (tmp_path / "q").rmdir()
    for n in (1, 2, 3):
        sink.put(event(n), None)
    sink.start()
    until(lambda: sink.delivered == 3)
    sink.stop(PATIENCE_S)
    assert receiver.taken == ["run-1", "run-2", "run-3"]
    assert sum("queue on disk" in line for line in lines(caplog)) == 1


def test_what_came_while_the_disk_refused_is_stored_once_it_takes_again(
    tmp_path: Path,
) -> None:
    sink = sink_for("http://127.0.0.1:9/", tmp_path / "q")
    (tmp_path / "q").rename(tmp_path / "away")
    sink.put(event(1), None)
    sink.put(event(2), None)
    sink._store()
    assert sink.pending == 2
    (tmp_path / "away").rename(tmp_path / "q")
    sink.put(event(3), None)
    sink.stop(PATIENCE_S)  # brings to disk what is in memory
    entries = sorted((tmp_path / "q").glob("*.entry"))
    assert [json.loads(p.read_text())["id"] for p in entries] == ["run-1", "run-2", "run-3"]


def test_a_damaged_event_on_disk_is_removed_and_the_rest_goes_on(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "000000000001.entry").write_bytes(b'{"id": ')
    (tmp_path / "000000000002.entry").write_bytes(b"[1]")
    sink = sink_for(receiver.url, tmp_path)
    sink.start()
    sink.put(event(3), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert receiver.taken == ["run-3"]
    assert (sink.dropped, sink.pending) == (2, 0)
    assert caplog.text.count("is damaged; removed") == 2


def test_memory_is_bounded_while_nothing_is_taken(tmp_path: Path) -> None:
    sink = sink_for("http://127.0.0.1:9/", tmp_path)  # its thread never runs: the slowest disk
    for n in range(IN_MEMORY + 5):
        sink.put(event(n), None)
    assert (sink.pending, sink.dropped) == (IN_MEMORY, 5)
    sink.stop(0.1)


def test_kill_9_between_answer_and_removal_sends_the_same_id_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from tests.daemon_kit import CLOCK, event\n"
        "from wakeword.daemon.actions import WebhookConfig\n"
        "from wakeword.sinks.spool import Spool; from wakeword.sinks.webhook import WebhookSink\n"
        "Spool.done = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "config = WebhookConfig(url=sys.argv[1])\n"
        "sink = WebhookSink('hook', config, Path(sys.argv[2]), CLOCK)\n"
        "sink.start(); sink.put(event(1), None); sink._thread.join()\n"
    )
    command = [sys.executable, "-c", code, receiver.url, str(tmp_path), str(ROOT)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert receiver.taken == ["run-1"]
    sink = sink_for(receiver.url, tmp_path)
    sink.start()
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert len(receiver.requests) == 2
    assert receiver.taken == ["run-1"]  # who remembers ids sees it once


def test_a_clock_that_jumps_loses_nothing_and_hurries_nothing(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [500, 500, 500]
    times = iter([1e9, 2e9, 0.0, 1.5e9])
    clock = QuickClock()
    config = WebhookConfig(url=receiver.url)
    sink = WebhookSink("hook", config, tmp_path, clock, wall=lambda: next(times))
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert clock.time - 1000.0 == pytest.approx(sum(BACKOFF_S[:3]))


def test_signature_depends_on_every_part() -> None:
    whole = signature(b"k" * 16, "1", b"{}")
    others = [signature(b"j" * 16, "1", b"{}"), signature(b"k" * 16, "2", b"{}")]
    assert whole not in [*others, signature(b"k" * 16, "1", b"{ }")]
