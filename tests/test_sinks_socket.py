"""JSON lines on a unix socket or a port: a hundred clients, one that never reads, a crash."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, event, until
from wakeword.daemon.actions import SocketConfig
from wakeword.daemon.hub import Hub
from wakeword.errors import ConfigError
from wakeword.sinks import socket_lines
from wakeword.sinks.socket_lines import BUFFER_BYTES, LINE_BYTES, STRANGERS, SocketSink


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "events.sock"


LOOPBACK = "127.0.0.1:0"


def serve(hub: Hub, where: Path | str, clients: int = 128, **more: Any) -> SocketSink:
    """Serve at a path, or at an address; what else lies in the folder ``state``."""
    at = {"address": where} if isinstance(where, str) else {"path": str(where)}
    state = more.pop("state", Path("/nonexistent"))
    config = SocketConfig(**at, clients=clients, **more)
    sink = SocketSink("lines", config, hub, CLOCK, state)
    sink.start()
    return sink


def connect(stack: ExitStack, where: Path | SocketSink) -> socket.socket:
    """Connect to a path, or to the port of a sink."""
    if isinstance(where, Path):
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(PATIENCE_S)
        client.connect(str(where))
    else:
        address = ("127.0.0.1", where.port)
        client = stack.enter_context(socket.create_connection(address, PATIENCE_S))
    return client


@pytest.fixture(params=["path", "port"])
def where(request: pytest.FixtureRequest, path: Path) -> Path | str:
    return path if request.param == "path" else LOOPBACK


def place(sink: SocketSink, where: Path | str) -> Path | SocketSink:
    """Where clients of a sink connect."""
    return where if isinstance(where, Path) else sink


def test_a_hundred_clients_hear_every_event_in_order(hub: Hub, where: Path | str) -> None:
    sink = serve(hub, where)
    with ExitStack() as stack:
        clients = [connect(stack, place(sink, where)) for _ in range(100)]
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
    assert not (isinstance(where, Path) and where.exists())


def test_a_client_that_never_reads_is_cut_off_and_costs_the_others_nothing(
    hub: Hub, where: Path | str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = serve(hub, where)
    with ExitStack() as stack:
        deaf = connect(stack, place(sink, where))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        good = connect(stack, place(sink, where))
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
    hub: Hub, where: Path | str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = serve(hub, where, clients=2)
    with ExitStack() as stack:
        kept = [connect(stack, place(sink, where)) for _ in range(2)]
        until(lambda: sink.clients == 2)
        for _ in range(10):
            assert connect(stack, place(sink, where)).recv(1) == b""
        sink.put(event(1), None)
        assert all(client.recv(100) for client in kept)
        kept[0].close()
        until(lambda: sink.clients == 1)
        connect(stack, place(sink, where))
        until(lambda: sink.clients == 2)
    sink.stop(1)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "2 are connected; more are refused" in said[0]


def test_a_connection_made_while_the_daemon_ends_is_closed(hub: Hub, where: Path | str) -> None:
    for _ in range(10):
        sink = serve(hub, where)
        with ExitStack() as stack:
            client = connect(stack, place(sink, where))
            sink.stop(1)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


def test_garbage_from_a_client_is_thrown_away(hub: Hub, where: Path | str) -> None:
    sink = serve(hub, where)
    with ExitStack() as stack:
        client = connect(stack, place(sink, where))
        until(lambda: sink.clients == 1)
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


@pytest.fixture
def asking(hub: Hub, tmp_path: Path) -> Iterator[SocketSink]:
    """A port that asks for a token."""
    sink = serve(hub, LOOPBACK, clients=4, token_file=str(tmp_path / "token"))
    yield sink
    sink.stop(1)


def test_only_loopback_asks_for_no_token(hub: Hub, tmp_path: Path) -> None:
    sink = serve(hub, "0.0.0.0:0", state=tmp_path)
    made = tmp_path / "socket_token"
    assert sink.token == made.read_text().strip()
    assert len(sink.token) >= 43
    assert made.stat().st_mode & 0o777 == 0o600
    sink.stop(1)
    near = serve(hub, LOOPBACK)
    assert near.token is None
    near.stop(1)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_who_sends_the_token_hears_what_comes_from_then_on(
    asking: SocketSink, ending: bytes
) -> None:
    with ExitStack() as stack:
        client = connect(stack, asking)
        until(lambda: asking._strangers)
        asking.put(event(1), None)  # not for one who gave no token
        token = str(asking.token).encode()
        client.sendall(token[:5])
        client.sendall(token[5:] + ending)
        until(lambda: asking.clients == 1)
        asking.put(event(2), None)
        assert json.loads(client.recv(1000))["id"] == "run-2"


@pytest.mark.parametrize(
    "said",
    [
        b"wrong\n",
        b"\n",
        b"TOKEN\x1d\n",
        b"\xff\xfe\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"x" * LINE_BYTES,
    ],
)
def test_who_sends_another_token_is_cut_off_and_it_is_said_once(
    asking: SocketSink, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            client = connect(stack, asking)
            client.sendall(said.replace(b"TOKEN", str(asking.token).encode()))
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        good = connect(stack, asking)
        good.sendall(str(asking.token).encode() + b"\n")
        until(lambda: asking.clients == 1)
    assert caplog.text.count("sent another one; cut off") == 1
    assert str(asking.token) not in caplog.text


def test_who_sends_no_token_is_let_go_and_keeps_nobody_out(
    asking: SocketSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_lines, "TOKEN_S", 600)
    token = str(asking.token).encode() + b"\n"
    with ExitStack() as stack:
        member = connect(stack, asking)
        member.sendall(token)
        until(lambda: asking.clients == 1)
        waiting = [connect(stack, asking) for _ in range(STRANGERS)]
        until(lambda: len(asking._strangers) == STRANGERS)
        with contextlib.suppress(ConnectionResetError):
            assert connect(stack, asking).recv(1) == b""
        asking.put(event(1), None)
        assert json.loads(member.recv(1000))["id"] == "run-1"
        waiting.pop().close()
        until(lambda: len(asking._strangers) == STRANGERS - 1)
        monkeypatch.setattr(socket_lines, "TOKEN_S", 0.05)
        late = connect(stack, asking)
        with contextlib.suppress(ConnectionResetError):
            assert late.recv(1) == b""
        assert asking.clients == 1


def test_over_tls_the_token_is_for_us_alone_and_a_renewed_certificate_is_shown(
    hub: Hub, tmp_path: Path
) -> None:
    pytest.importorskip("trustme", reason="trustme is not installed")
    from tests.test_daemon_tls import Authority
    from wakeword.daemon.tls import client_context

    home = Authority(tmp_path, "home")
    cert, key = home.issue("127.0.0.1")
    sink = serve(hub, LOOPBACK, token_file=str(tmp_path / "token"), cert_file=cert, key_file=key)
    shown = set()
    with ExitStack() as stack:
        for n in range(2):
            wrapped = stack.enter_context(
                client_context(home.file).wrap_socket(
                    connect(stack, sink), server_hostname="127.0.0.1"
                )
            )
            shown.add(wrapped.getpeercert(binary_form=True))
            wrapped.sendall(str(sink.token).encode() + b"\n")
            until(lambda n=n: sink.clients == n + 1)  # type: ignore[misc]
            home.issue("127.0.0.1")
            sink.renew()
        sink.put(event(1), None)
        assert json.loads(wrapped.recv(1000))["id"] == "run-1"
        assert len(shown) == 2
        plain = connect(stack, sink)
        plain.sendall(str(sink.token).encode() + b"\n")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(1) in (b"", b"\x15")  # an alert, at most
        with pytest.raises(ssl.SSLCertVerificationError):
            client_context().wrap_socket(connect(stack, sink), server_hostname="127.0.0.1")
    sink.stop(1)


def test_a_port_that_is_taken_is_said(hub: Hub) -> None:
    sink = serve(hub, LOOPBACK)
    with pytest.raises(ConfigError, match="cannot be served at"):
        serve(hub, f"127.0.0.1:{sink.port}")
    sink.stop(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give one of the two"),
        ({"path": "x", "address": LOOPBACK}, "give one of the two"),
        ({"path": "x", "token_file": "y"}, "need address"),
        ({"address": "here"}, "need HOST:PORT"),
        ({"address": LOOPBACK, "cert_file": "x"}, "give both"),
        ({"address": LOOPBACK, "clients": 0}, "need 1 to 1000"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SocketConfig(**settings)
