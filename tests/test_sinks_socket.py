"""JSON lines on a unix socket: a hundred clients, one that never reads, and what a crash leaves."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, event, until
from wakeword.daemon.actions import SocketConfig
from wakeword.daemon.hub import Hub
from wakeword.errors import ConfigError
from wakeword.sinks.socket_lines import BUFFER_BYTES, SocketSink


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "events.sock"


def serve(hub: Hub, path: Path, clients: int = 128) -> SocketSink:
    sink = SocketSink("lines", SocketConfig(path=str(path), clients=clients), hub, CLOCK)
    sink.start()
    return sink


def connect(stack: ExitStack, path: Path) -> socket.socket:
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.settimeout(PATIENCE_S)
    client.connect(str(path))
    return client


def test_a_hundred_clients_hear_every_event_in_order(hub: Hub, path: Path) -> None:
    sink = serve(hub, path)
    with ExitStack() as stack:
        clients = [connect(stack, path) for _ in range(100)]
        until(lambda: sink.clients == 100)
        for n in range(20):
            sink.put(event(n), None)
        for client in clients:
            lines = stack.enter_context(client.makefile("rb"))
            assert [json.loads(lines.readline())["id"] for _ in range(20)] == [
                f"run-{n}" for n in range(20)
            ]
        assert (sink.delivered, sink.dropped) == (20, 0)
    until(lambda: sink.clients == 0, "clients forgotten")
    sink.stop(1)
    assert not path.exists()


def test_a_client_that_never_reads_is_cut_off_and_costs_the_others_nothing(
    hub: Hub, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = serve(hub, path)
    with ExitStack() as stack:
        deaf = connect(stack, path)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        good = connect(stack, path)
        lines = stack.enter_context(good.makefile("rb"))
        until(lambda: sink.clients == 2)
        size = len(event(1).to_json()) + 1
        count = 0
        while sink.clients == 2:  # what the kernel holds, and then what we hold
            count += 1
            sink.put(event(count), None)
            assert json.loads(lines.readline())["id"] == f"run-{count}"
            assert count * size < 40 * BUFFER_BYTES
        assert count * size > BUFFER_BYTES
        sink.put(event(0), None)
        assert json.loads(lines.readline())["id"] == "run-0"
    sink.stop(1)
    assert caplog.text.count("unread; cut off") == 1


def test_clients_beyond_the_limit_are_refused_and_said_once(
    hub: Hub, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = serve(hub, path, clients=2)
    with ExitStack() as stack:
        kept = [connect(stack, path) for _ in range(2)]
        until(lambda: sink.clients == 2)
        for _ in range(10):
            assert connect(stack, path).recv(1) == b""
        sink.put(event(1), None)
        assert all(client.recv(100) for client in kept)
        kept[0].close()
        until(lambda: sink.clients == 1)
        connect(stack, path)
        until(lambda: sink.clients == 2)
    sink.stop(1)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "2 are connected; more are refused" in said[0]


def test_a_connection_made_while_the_daemon_ends_is_closed(hub: Hub, path: Path) -> None:
    for _ in range(10):
        sink = serve(hub, path)
        with ExitStack() as stack:
            client = connect(stack, path)
            sink.stop(1)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


def test_garbage_from_a_client_is_thrown_away(hub: Hub, path: Path) -> None:
    sink = serve(hub, path)
    with ExitStack() as stack:
        client = connect(stack, path)
        client.sendall(b"\0garbage\n" * 50_000)
        sink.put(event(1), None)
        assert json.loads(client.recv(1000))["id"] == "run-1"
    sink.stop(1)


def test_a_socket_that_a_killed_daemon_left_is_replaced(hub: Hub, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    sink = serve(hub, path)
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(ConfigError, match="another program serves there"):
        serve(hub, path)
    sink.stop(1)


def test_a_file_in_its_place_is_left_alone(hub: Hub, path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(ConfigError, match="something else is there"):
        serve(hub, path)
    assert path.read_text() == "mine"
