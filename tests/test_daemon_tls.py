"""TLS from files: who is believed, who is refused, and certificates that are renewed meanwhile."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wyoming.event import read_event, write_event
from wyoming.ping import Ping, Pong

from tests.daemon_kit import PATIENCE_S, Receiver, event, until
from tests.test_daemon_wyoming import models
from tests.test_sinks_webhook import sink_for
from wakeword.cli import main
from wakeword.daemon.hub import Hub
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.tls import client_context, server_context
from wakeword.daemon.wyoming_server import WyomingServer
from wakeword.errors import ConfigError, WakewordError
from wakeword.sinks.post import post

trustme = pytest.importorskip("trustme", reason="trustme is not installed")


class Authority:
    """Somebody who signs certificates, and the files that come of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._ca = trustme.CA()
        self.file = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *hosts: str) -> tuple[str, str]:
        """Return the files of a certificate and its key; the same names every time."""
        issued = self._ca.issue_cert(*hosts)
        cert, key = (self.folder / f"{self.name}-server.{end}" for end in ("pem", "key"))
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return str(cert), str(key)


@pytest.fixture
def home(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "home")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


@contextlib.contextmanager
def serving(hub: Hub, **config: Any) -> Iterator[WyomingServer]:
    server = WyomingServer(ServerConfig(address="127.0.0.1:0", **config), models)
    hub.call(server.open())
    try:
        yield server
    finally:
        hub.call(server.close())


def ping(port: int, context: ssl.SSLContext) -> str | None:
    """Say ping with the real library's messages, and return what comes back."""
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
        wrapped.makefile("rwb") as stream,
    ):
        write_event(Ping(text="x").event(), stream)
        answer = read_event(stream)
        return None if answer is None else Pong.from_event(answer).text


def test_wyoming_over_tls_serves_who_believes_it_and_nobody_in_the_clear(
    hub: Hub, home: Authority, stranger: Authority
) -> None:
    cert, key = home.issue("127.0.0.1")
    with serving(hub, cert_file=cert, key_file=key) as server:
        assert ping(server.port, client_context(home.file)) == "x"
        for ca in (stranger.file, None):
            with pytest.raises(ssl.SSLCertVerificationError):
                ping(server.port, client_context(ca))
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.settimeout(PATIENCE_S)
            plain.sendall(b'{"type": "ping"}\n')
            with contextlib.suppress(ConnectionResetError):
                assert b"pong" not in plain.recv(1000)
        assert ping(server.port, client_context(home.file)) == "x"


def test_a_client_without_a_certificate_is_not_served_where_one_is_asked_for(
    hub: Hub, home: Authority, stranger: Authority
) -> None:
    cert, key = home.issue("127.0.0.1")
    with serving(hub, cert_file=cert, key_file=key, client_ca_file=home.file) as server:
        for known in (None, stranger.issue("client")):
            context = client_context(home.file)
            if known is not None:
                context.load_cert_chain(*known)
            with contextlib.suppress(ssl.SSLError, ConnectionResetError, BrokenPipeError):
                assert ping(server.port, context) is None
        context = client_context(home.file)
        context.load_cert_chain(*home.issue("client"))
        assert ping(server.port, context) == "x"


def test_a_renewed_certificate_is_shown_after_a_reload_and_a_broken_one_is_not(
    hub: Hub, home: Authority
) -> None:
    cert, key = home.issue("127.0.0.1")
    with serving(hub, cert_file=cert, key_file=key) as server:
        first = ssl.get_server_certificate(("127.0.0.1", server.port))
        home.issue("127.0.0.1", "kitchen.local")
        assert ssl.get_server_certificate(("127.0.0.1", server.port)) == first
        server.renew()
        second = ssl.get_server_certificate(("127.0.0.1", server.port))
        assert second != first
        Path(cert).write_text("half a certificate")
        with pytest.raises(ConfigError, match="cannot be used"):
            server.renew()
        assert ssl.get_server_certificate(("127.0.0.1", server.port)) == second
        assert ping(server.port, client_context(home.file)) == "x"


def test_a_client_that_never_shakes_hands_is_let_go(
    hub: Hub, home: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakeword.daemon.port.HANDSHAKE_S", 0.05)
    cert, key = home.issue("127.0.0.1")
    with (
        serving(hub, cert_file=cert, key_file=key) as server,
        socket.create_connection(("127.0.0.1", server.port)) as mute,
    ):
        mute.settimeout(PATIENCE_S)
        with contextlib.suppress(ConnectionResetError):
            assert mute.recv(1) == b""


class TlsReceiver(Receiver):
    """A webhook's receiver with a certificate."""

    def __init__(self, cert: str, key: str) -> None:
        super().__init__()
        context = server_context(cert, key)
        # The handshake is left to the handler's thread: a client that breaks it off stops nobody.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.port}/heard"


def test_a_webhook_believes_its_own_authority_and_no_other(
    home: Authority, stranger: Authority, tmp_path: Path
) -> None:
    with TlsReceiver(*home.issue("127.0.0.1")) as receiver:
        assert post(receiver.url, b'{"id": "a"}', {}, PATIENCE_S, home.file) == 204
        for ca in (stranger.file, None):
            with pytest.raises(WakewordError, match="CERTIFICATE_VERIFY_FAILED"):
                post(receiver.url, b'{"id": "b"}', {}, PATIENCE_S, ca)
        assert receiver.taken == ["a"]  # the others were told nothing
        sink = sink_for(receiver.url, tmp_path / "q", ca_file=home.file)
        sink.start()
        sink.put(event(1), None)
        until(lambda: sink.delivered == 1)
        sink.stop(PATIENCE_S)
        assert receiver.taken == ["a", "run-1"]


def test_a_certificate_for_another_name_is_refused(home: Authority) -> None:
    with (
        TlsReceiver(*home.issue("elsewhere.example")) as receiver,
        pytest.raises(WakewordError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        post(receiver.url, b'{"id": "a"}', {}, PATIENCE_S, home.file)


def test_a_tls_receiver_that_freezes_cannot_hold_a_request(home: Authority) -> None:
    hold = threading.Event()
    with TlsReceiver(*home.issue("127.0.0.1")) as receiver:
        receiver.before_answer = lambda handler: not hold.wait(PATIENCE_S)
        with pytest.raises(WakewordError, match="no whole answer within"):
            post(receiver.url, b'{"id": "a"}', {}, 0.5, home.file)
        hold.set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[wyoming]\naddress = '127.0.0.1:0'\ncert_file = 'home.pem'", "give both, or none"),
        ("[wyoming]\naddress = '127.0.0.1:0'\nclient_ca_file = 'home.pem'", "give all three"),
        (
            "[metrics]\naddress = '127.0.0.1:0'\ncert_file = 'x'\nkey_file = 'x'",
            r"\[metrics\] cert",
        ),
        ("[action.a]\nkind = 'webhook'\nurl = 'https://x'\nca_file = 'x'", r"x: no certificate"),
        ("[action.a]\nkind = 'webhook'\nurl = 'http://x'\nca_file = 'home.pem'", "need https"),
        ("[action.a]\nkind = 'mqtt'\nhost = 'x'\nca_file = 'home.pem'", "write tls = true"),
        ("[action.a]\nkind = 'mqtt'\nhost = 'x'\ntls = true\nca_file = 'x'", "no certificate can"),
    ],
)
def test_check_finds_what_is_wrong_with_certificates(
    tmp_path: Path, home: Authority, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "w.toml"
    path.write_text(f"[word.computer]\n{text}\n")
    assert main(["daemon", "--check", "--config", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


def test_a_key_with_a_passphrase_is_refused_and_asks_nobody(home: Authority) -> None:
    from cryptography.hazmat.primitives import serialization

    cert, key = home.issue("127.0.0.1")
    loaded = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    Path(key).write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="needs a passphrase"):
        server_context(cert, key)
