"""JSON lines on a unix socket or a port, to all who are connected; who does not read is let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from pathlib import Path

from wakeword.daemon.actions import SocketConfig
from wakeword.daemon.hub import Hub, close_server
from wakeword.daemon.port import HANDSHAKE_S
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.tls import Certificate
from wakeword.errors import ConfigError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.outage import Outage
from wakeword.web.guard import read_token, same, socket_token_path

__all__ = ["BUFFER_BYTES", "SocketSink"]

BUFFER_BYTES = 65_536  # what waits for one client; some 400 events
MODE = 0o660
STRANGERS = 16  # connections that may be about to send the token
TOKEN_S = 5.0  # for it
LINE_BYTES = 2048  # of it
CLOSE_S = 0.5  # for clients to read the rest when the daemon ends

log = logging.getLogger("wakeword")


class SocketSink:
    """Writes each event as one line to every client; what a client sends is thrown away.

    Whoever connects hears what comes from then on. A client with BUFFER_BYTES unread is cut off,
    so that it costs no more memory, and the others lose nothing. Where there is a token it has to
    be a client's first line; until then it is none, and it has TOKEN_S.

    Args:
        name: as in the configuration.
        config: the settings.
        hub: where it runs.
        clock: time.
        state: folder in which a token lies that no setting names.

    Raises:
        ConfigError: the certificate or the token cannot be used.
    """

    wants_audio = False

    def __init__(
        self, name: str, config: SocketConfig, hub: Hub, clock: Clock, state: Path
    ) -> None:
        self.name = name
        self.config = config
        self.delivered = 0
        self.dropped = 0
        self.port = 0
        self.token: str | None = None
        self._hub = hub
        self._clients: set[asyncio.Transport] = set()
        self._strangers: set[asyncio.Transport] = set()  # who gave no token yet
        self._server: asyncio.Server | None = None
        self._closing = False
        self._deaf = Outage(f"action {name}, client", clock)
        self._many = Outage(f"action {name}, clients", clock)
        self._wrong = Outage(f"action {name}, token", clock)
        self._tls = Certificate(config.server) if config.address is not None else None
        token_file = socket_token_path(config, state)
        if token_file is not None:
            self.token = read_token(token_file)
            log.info("action %s: clients send the token in %s first", name, token_file)
            if self._tls is not None and self._tls.context is None:
                log.warning("action %s: no cert_file: who listens on the way can read", name)

    @property
    def pending(self) -> int:
        """Nothing waits here: a client is behind, or it is not."""
        return 0

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def start(self) -> None:
        """Serve; raise ConfigError where the path or the port is taken or cannot be made."""
        if self.config.path is None:
            try:
                self._server = self._hub.call(self._serve_port(self.config.server))
            except OSError as exc:
                raise ConfigError(
                    f"address={self.config.address!r}: cannot be served at ({exc.strerror})"
                ) from exc
            host = self.config.server.host_port[0]
            log.info("action %s at %s port %d", self.name, host, self.port)
            return
        path = Path(self.config.path)
        _clear(path)
        try:
            self._server = self._hub.call(self._serve_path(path))
        except OSError as exc:
            raise ConfigError(f"path={path}: no socket can be made there ({exc})") from exc

    def renew(self) -> None:
        """Read the certificate again; ConfigError where it cannot be used."""
        if self._tls is not None:
            self._tls.renew()

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Send an event to all."""
        self._hub.post(self._send, event.to_json() + b"\n")

    def stop(self, grace_s: float) -> None:
        """Send what is under way, close, and remove the socket."""
        if self._server is not None:
            self._hub.call(self._close(self._server))
        if self._server is not None and self.config.path is not None:
            with contextlib.suppress(OSError):
                Path(self.config.path).unlink(missing_ok=True)

    async def _serve_port(self, config: ServerConfig) -> asyncio.Server:
        host, port = config.host_port
        tls = self._tls.context if self._tls is not None else None
        server = await self._hub.loop.create_server(
            lambda: _Client(self), host, port, ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_S if tls else None,
        )  # fmt: skip
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve_path(self, path: Path) -> asyncio.Server:
        server = await self._hub.loop.create_unix_server(lambda: _Client(self), str(path))
        path.chmod(MODE)
        return server

    async def _close(self, server: asyncio.Server) -> None:
        self._closing = True
        await close_server(server)
        for client in list(self._strangers):
            client.abort()
        for client in list(self._clients):
            client.close()  # once what it has not read yet is sent
        deadline_s = self._hub.loop.time() + CLOSE_S
        while self._clients and self._hub.loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for client in list(self._clients):
            client.abort()
        await asyncio.sleep(0)

    def _send(self, line: bytes) -> None:
        """Write a line to each client, in the hub's thread."""
        for client in list(self._clients):
            if client.get_write_buffer_size() + len(line) > BUFFER_BYTES:
                self.dropped += 1
                self._deaf.failed(f"{BUFFER_BYTES} bytes unread; cut off")
                self._clients.discard(client)
                client.abort()
            else:
                client.write(line)
        self.delivered += 1

    def came(self, client: asyncio.Transport) -> None:
        """Take a new connection, or refuse it."""
        if self.token is None:
            self.joined(client)
        elif self._closing or len(self._strangers) >= STRANGERS:
            self._wrong.failed(f"{STRANGERS} have not sent it yet; more are refused")
            client.abort()
        else:
            self._strangers.add(client)
            self._hub.loop.call_later(TOKEN_S, self._late, client)

    def told(self, client: asyncio.Transport, line: bytes) -> None:
        """Take the first line of one who has to send the token."""
        self._strangers.discard(client)
        said = line.rstrip(b"\r").decode("utf-8", "replace")
        if self.token is not None and same(said, self.token):
            self._wrong.over()
            self.joined(client)
        else:
            self._wrong.failed(f"{client.get_extra_info('peername')} sent another one; cut off")
            client.abort()

    def _late(self, client: asyncio.Transport) -> None:
        """Let go who sent no token in time."""
        if client in self._strangers:
            self._wrong.failed(f"{client.get_extra_info('peername')} sent none; cut off")
            client.abort()

    def joined(self, client: asyncio.Transport) -> None:
        """Take a new client, or refuse it."""
        if self._closing:
            client.abort()
            return
        if len(self._clients) >= self.config.clients:
            self._many.failed(f"{self.config.clients} are connected; more are refused")
            client.abort()
            return
        self._many.over()
        if self.config.path is None:
            with contextlib.suppress(OSError):
                found = client.get_extra_info("socket")
                # One that lost its power says no good-bye; and the system would hold megabytes.
                found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._clients.add(client)

    def left(self, client: asyncio.Transport) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._strangers.discard(client)


class _Client(asyncio.Protocol):
    """One connection. What it sends is read, so that its end is seen, and thrown away."""

    def __init__(self, sink: SocketSink) -> None:
        self._sink = sink
        self._transport: asyncio.Transport | None = None
        self._line: bytes | None = None if sink.token is None else b""  # None: it may listen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._sink.came(transport)

    def data_received(self, data: bytes) -> None:
        if self._line is None or self._transport is None:
            return
        self._line += data[:LINE_BYTES]
        if b"\n" in self._line or len(self._line) >= LINE_BYTES:
            line, self._line = self._line.partition(b"\n")[0], None
            self._sink.told(self._transport, line)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._sink.left(self._transport)


def _clear(path: Path) -> None:
    """Remove a socket that a killed daemon left behind; leave everything else alone.

    Raises:
        ConfigError: something else is there, or somebody serves there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"path={path}: its folder cannot be made ({exc.strerror})") from exc
        return
    except OSError as exc:
        raise ConfigError(f"path={path}: cannot be looked at ({exc.strerror})") from exc
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"path={path}: something else is there; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ConfigError(f"path={path}: another program serves there; stop it or choose another path")
