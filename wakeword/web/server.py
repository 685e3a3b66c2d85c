"""The page's server: tornado, bounded, on the daemon's thread for servers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakeword.daemon.port import Port
from wakeword.daemon.settings import WebConfig
from wakeword.errors import ConfigError
from wakeword.sinks.outage import Outage
from wakeword.web.guard import host_names, is_loopback, read_token, token_path
from wakeword.web.memory import LogMemory
from wakeword.web.monitor import Monitor
from wakeword.web.recorder import Recorder

if TYPE_CHECKING:
    from wakeword.daemon.service import Service

__all__ = ["Feed", "WebServer"]

CONNECTIONS = 8  # per page that may be open: browsers use six
HEAD_BYTES = 8192
BODY_BYTES = 8192
BUFFER_BYTES = 65_536
IDLE_S = 30.0  # for a whole head, and between requests
BODY_S = 10.0
BEHIND = 100  # messages, 10 s of sound, that a page may be behind before it is cut off
ABANDONED_S = 60.0  # without an open page, after which samples are no longer recorded

log = logging.getLogger("wakeword")


class Feed:
    """The messages for one open page; None ends it."""

    def __init__(self, stream: Any) -> None:
        self.messages: asyncio.Queue[str | None] = asyncio.Queue(BEHIND)
        self._stream = stream

    def put(self, message: str | None) -> None:
        """Take a message; a page that does not read is cut off."""
        try:
            self.messages.put_nowait(message)
        except asyncio.QueueFull:
            self._stream.close()


class WebServer(Port):
    """Serves the page, its messages and what it asks for.

    Args:
        config: where, and who may.
        service: what the page shows and changes.
        monitor: hands over sound and scores.

    Raises:
        ConfigError: tornado is missing; the certificate or the token cannot be used.
    """

    def __init__(self, config: WebConfig, service: Service, monitor: Monitor) -> None:
        super().__init__(config, HEAD_BYTES)
        try:
            import tornado.web  # noqa: F401 - whether it is there is the question
        except ImportError as exc:
            raise ConfigError('[web] needs tornado: pip install "wakeword[web]"') from exc
        state = service.config.state
        self.service = service
        self.monitor = monitor
        self.tls = self._tls is not None
        self.loopback = is_loopback(self.host)
        self.names = host_names(config.names, loopback=self.loopback)
        self.token: str | None = None
        path = token_path(config, state)
        if path is not None:
            self.token = read_token(path)
            log.info("web: the token that the page asks for is in %s", path)
            if not self.loopback and not self.tls:
                log.warning(
                    "web: no cert_file: who listens on the way can read the token and the sound"
                )
        self.feeds: set[Feed] = set()
        self.files = ThreadPoolExecutor(1, "web")
        """What reads and writes files, one after the other."""
        self.memory = LogMemory()
        self.recorder = Recorder(
            Path(config.recordings or state / "recordings"),
            monitor,
            lambda fields: self.tell("record", fields),
        )
        self.started_s = service.clock.now()
        self._trouble = Outage("web", service.clock)
        self._http: Any = None

    async def open(self) -> None:
        """Bind and serve; OSError where the port is taken."""
        from wakeword.web.app import Bounded, application

        logging.getLogger("tornado").addHandler(_Told(self._trouble))
        logging.getLogger("tornado").propagate = False
        log.addHandler(self.memory)
        key = hashlib.sha256(f"cookie {self.token or secrets.token_hex()}".encode()).hexdigest()
        self._http = Bounded(
            application(self, key), ssl_options=self._tls,
            max_header_size=HEAD_BYTES, max_body_size=BODY_BYTES, max_buffer_size=BUFFER_BYTES,
            idle_connection_timeout=IDLE_S, body_timeout=BODY_S,
        )  # fmt: skip
        self._http.limit = CONNECTIONS * self.config.clients
        for listening in _bound(self.host, self.port):
            self.port = listening.getsockname()[1]
            self._http.add_socket(listening)
        self.monitor.tell = self.tell

    async def close(self) -> None:
        """Stop serving, and keep the last sample."""
        self.monitor.tell = lambda kind, fields: None
        self.monitor.watched = False
        for feed in self.feeds:
            feed.put(None)
        if self._http is not None:
            self._http.stop()
            await self._http.close_all_connections()
        await asyncio.get_running_loop().run_in_executor(self.files, self.recorder.close)
        self.files.shutdown(wait=False)
        log.removeHandler(self.memory)
        tornado = logging.getLogger("tornado")
        for handler in [h for h in tornado.handlers if isinstance(h, _Told)]:
            tornado.removeHandler(handler)

    def tell(self, kind: str, fields: dict[str, Any]) -> None:
        """Tell every open page something; from any thread."""
        if self.feeds:
            text = f"event: {kind}\ndata: {json.dumps(fields, separators=(',', ':'))}\n\n"
            self.service.servers.hub().post(self._send, text)

    def _send(self, text: str) -> None:
        for feed in list(self.feeds):
            feed.put(text)

    def join(self, feed: Feed) -> bool:
        """Let a page have messages, unless there are too many."""
        if len(self.feeds) >= self.config.clients:
            return False
        self.feeds.add(feed)
        self.monitor.watched = True
        return True

    def leave(self, feed: Feed) -> None:
        """A page has gone."""
        self.feeds.discard(feed)
        self.monitor.watched = bool(self.feeds)
        self.look_back()

    def look_back(self) -> None:
        """See in a minute whether anybody is there who waits for what is recorded."""
        asyncio.get_running_loop().call_later(ABANDONED_S, self._abandon)

    def _abandon(self) -> None:
        if not self.feeds:
            self.recorder.abandon()


def _bound(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host; tornado's own function leaves some open when one fails."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, _, _, _, address in dict.fromkeys(found):
            used = sockets[0].getsockname()[1] if sockets else port
            one = socket.create_server((str(address[0]), used), family=family)
            one.setblocking(False)
            sockets.append(opened.enter_context(one))
        opened.pop_all()
    return sockets


class _Told(logging.Handler):
    """Says once in our log what tornado has to say; nothing in it was chosen by a stranger."""

    def __init__(self, trouble: Outage) -> None:
        super().__init__(logging.WARNING)
        self._trouble = trouble

    def emit(self, record: logging.LogRecord) -> None:
        exc = record.exc_info[1] if record.exc_info else None
        self._trouble.failed(f"{record.msg} ({exc!r})" if exc is not None else record.msg)
