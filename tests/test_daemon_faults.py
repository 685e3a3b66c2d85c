"""A year at home: an hour without a broker, clients that mean no good, a disk without room."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, QuickClock, Receiver, event, until
from tests.test_daemon_wyoming import demo, models, speak, talk, words
from tests.test_sinks_mqtt import BROKER, Broker
from tests.test_sinks_mqtt import sink_for as mqtt_sink
from tests.test_sinks_webhook import sink_for as webhook_sink
from wakeword.daemon import metrics_page, wyoming_wire
from wakeword.daemon.actions import RecordingConfig
from wakeword.daemon.hub import Hub
from wakeword.daemon.metrics_page import MetricsServer
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.wyoming_server import WyomingServer
from wakeword.sinks.event import Utterance
from wakeword.sinks.recording import RecordingSink
from wakeword.sinks.webhook import BACKOFF_S


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# ---- an hour without


@pytest.mark.skipif(BROKER is None, reason="mosquitto is not installed (Debian: mosquitto)")
def test_a_broker_that_is_down_for_an_hour_is_said_once_and_told_of_the_next_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path)
    broker.start()
    clock = QuickClock()
    sink = mqtt_sink(broker, tmp_path, hold_s=30, clock=clock)
    sink.start()
    try:
        until(lambda: sink._client.is_connected())
        sink.put(event(0), None)
        until(lambda: sink.delivered == 1)
        broker.kill()
        until(lambda: any("connection lost" in line for line in warnings(caplog)))
        began_s = clock.time
        for minute in range(1, 61):
            clock.time += 60
            sink.put(event(minute), None)  # too old after 30 s, which pass at once
            until(lambda minute=minute: sink.dropped == minute)  # type: ignore[misc]
        assert clock.time - began_s >= 3600
        assert sink.pending == 0
        broker.start()
        until(lambda: any("broker: works again" in line for line in warnings(caplog)))
        sink.put(event(99), None)
        until(lambda: sink.delivered == 2)
    finally:
        sink.stop(PATIENCE_S)
        broker.kill()
    said = [line.partition(":")[0] for line in warnings(caplog)]
    assert sorted(said) == ["action home, broker"] * 2 + ["action home, queue"] * 2


def test_a_receiver_that_is_down_for_an_hour_is_said_once_and_gets_every_event_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, clock = free_port(), QuickClock()
    sink = webhook_sink(f"http://127.0.0.1:{port}/", tmp_path, clock)
    sink.start()
    for number in range(1, 31):
        sink.put(event(number), None)
    until(lambda: clock.time >= 1000.0 + 3600)
    with Receiver(port) as receiver:
        until(lambda: sink.delivered == 30)
        sink.stop(PATIENCE_S)
    assert receiver.taken == [f"run-{number}" for number in range(1, 31)]
    assert len(receiver.requests) == 30
    first, last = warnings(caplog)
    assert "no answer" in first
    assert "works again after" in last
    whole = [wait for wait in clock.waits if wait in BACKOFF_S]
    assert whole.count(BACKOFF_S[-1]) > 50  # a minute between two tries, not a thousand tries


# ---- clients that mean no good


@contextlib.contextmanager
def wyoming(hub: Hub, clients: int) -> Iterator[WyomingServer]:
    server = WyomingServer(ServerConfig(address="127.0.0.1:0", clients=clients), models)
    hub.call(server.open())
    yield server
    hub.call(server.close())


def connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(PATIENCE_S)
    return client


def ended(client: socket.socket) -> bool:
    """Wait until the other side hangs up; what comes before is left out."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while client.recv(65_536):
            pass
    return True


def test_a_hundred_wyoming_clients_are_served_at_once_and_one_more_is_not(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with wyoming(hub, 100) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server.port)) for _ in range(100)]
        for _ in range(3):
            for number, client in enumerate(clients):
                client.sendall(b'{"type": "ping", "data": {"text": "%d"}}\n' % number)
            for number, client in enumerate(clients):
                lines = client.makefile("rb")
                assert b"pong" in lines.readline()
                assert lines.read(len(b'{"text": "%d"}' % number)) == b'{"text": "%d"}' % number
                lines.close()
        for _ in range(3):
            with connected(server.port) as late:
                assert ended(late)
        assert sum("more are refused" in line for line in warnings(caplog)) == 1
        for client in clients[:10]:
            client.close()
        until(lambda: server.clients == 90)
        assert words(talk(server, lambda client: speak(client, ["jarvis"], demo()))[0]) == [
            "jarvis"
        ]


def test_a_wyoming_client_that_never_reads_is_cut_off_and_the_others_are_served(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with wyoming(hub, 4) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENCE_S)
        deaf.connect(("127.0.0.1", server.port))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012 - until it is
            for _ in range(100_000):
                deaf.sendall(b'{"type": "describe"}\n' * 20)
        until(lambda: server.clients == 0)
        with connected(server.port) as other:
            other.sendall(b'{"type": "ping"}\n')
            assert b"pong" in other.recv(100)
    assert sum("does not read its answers" in line for line in warnings(caplog)) == 1


def test_wyoming_clients_that_stop_in_the_middle_of_a_message_are_let_go(
    hub: Hub, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_wire, "REST_S", 0.1)
    with wyoming(hub, 20) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server.port)) for _ in range(20)]
        for client in slow:
            client.sendall(b'{"type": "audio-chunk", "payload_length": 1000}\nonly a little')
        assert all(ended(client) for client in slow)
        until(lambda: server.clients == 0)
    assert sum("not whole within" in line for line in warnings(caplog)) == 1


def test_requests_that_never_end_do_not_hold_the_metrics_page(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_page, "PATIENCE_S", 0.2)
    service: Any = None
    server = MetricsServer(ServerConfig(address="127.0.0.1:0", clients=10), service)
    server._page = lambda: b"wakeword_x 1\n" * 1_000_000
    hub.call(server.open())
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(server.port)) for _ in range(30)]
        for client in held[:15]:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        for client in held[15:]:  # and these never read the 13 MB that they asked for
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        server._page = lambda: b"wakeword_x 1\n"
        until(lambda: b"200 OK" in asked(server.port))  # while the others still hold on
        until(lambda: server._open_count == 0)
    hub.call(server.close())


def asked(port: int) -> bytes:
    """Ask for the page once, as Prometheus does."""
    with connected(port) as client, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        return client.recv(1000)
    return b""


# ---- a disk without room


def test_a_recording_on_a_full_disk_is_said_once_and_the_next_one_is_kept(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = RecordingSink("keep", RecordingConfig(folder=str(small_disk / "kept")), CLOCK)
    sink.start()
    long = Utterance(np.ones(50_000, np.int16), 0, "limit")  # 100 KB
    short = Utterance(np.ones(2000, np.int16), 0, "silence")
    for number in range(3):
        sink.put(event(number), long)
        until(lambda number=number: sink.dropped == number + 1)  # type: ignore[misc]
    assert list((small_disk / "kept").iterdir()) == []  # no halves
    sink.put(event(9), short)
    until(lambda: sink.delivered == 1)
    sink.stop(PATIENCE_S)
    assert {path.name for path in (small_disk / "kept").iterdir()} == {"run-9.wav", "run-9.json"}
    first, last = warnings(caplog)
    assert "No space left on device" in first
    assert "works again" in last
