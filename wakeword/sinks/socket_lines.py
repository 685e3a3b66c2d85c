"""JSON lines on a unix socket, to everybody who is connected; who does not read is let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from pathlib import Path

from wakeword.daemon.actions import SocketConfig
from wakeword.daemon.hub import Hub, close_server
from wakeword.errors import ConfigError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.outage import Outage

__all__ = ["BUFFER_BYTES", "SocketSink"]

BUFFER_BYTES = 65_536  # what waits for one client; some 400 events
MODE = 0o660
CLOSE_S = 0.5  # for clients to read the rest when the daemon ends

log = logging.getLogger("wakeword")


class SocketSink:
    """Writes each event as one line to every client; what a client sends is thrown away.

    Whoever connects hears what comes from then on. A client with BUFFER_BYTES unread is cut off,
    so that it costs no more memory, and the others lose nothing.

    Args:
        name: as in the configuration.
        config: the settings.
        hub: where it runs.
        clock: time.
    """

    wants_audio = False

    def __init__(self, name: str, config: SocketConfig, hub: Hub, clock: Clock) -> None:
        self.name = name
        self.config = config
        self.delivered = 0
        self.dropped = 0
        self._hub = hub
        self._clients: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self._closing = False
        self._deaf = Outage(f"action {name}, client", clock)
        self._many = Outage(f"action {name}, clients", clock)

    @property
    def pending(self) -> int:
        """Nothing waits here: a client is behind, or it is not."""
        return 0

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def start(self) -> None:
        """Serve; raise ConfigError where the path is taken or cannot be made."""
        path = Path(self.config.path)
        _clear(path)
        try:
            self._server = self._hub.call(self._serve(path))
        except OSError as exc:
            raise ConfigError(f"path={path}: no socket can be made there ({exc})") from exc

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Send an event to all."""
        self._hub.post(self._send, event.to_json() + b"\n")

    def stop(self, grace_s: float) -> None:
        """Send what is under way, close, and remove the socket."""
        if self._server is not None:
            self._hub.call(self._close(self._server))
            with contextlib.suppress(OSError):
                Path(self.config.path).unlink(missing_ok=True)

    async def _serve(self, path: Path) -> asyncio.Server:
        server = await self._hub.loop.create_unix_server(lambda: _Client(self), str(path))
        path.chmod(MODE)
        return server

    async def _close(self, server: asyncio.Server) -> None:
        self._closing = True
        await close_server(server)
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
        self._clients.add(client)

    def left(self, client: asyncio.Transport) -> None:
        """Forget a client."""
        self._clients.discard(client)


class _Client(asyncio.Protocol):
    """One connection. What it sends is read, so that its end is seen, and thrown away."""

    def __init__(self, sink: SocketSink) -> None:
        self._sink = sink
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._sink.joined(transport)

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
