"""A port at which something is served: bound, bounded, with TLS where a certificate is given."""

from __future__ import annotations

import asyncio
import contextlib

from wakeword.daemon.hub import close_server
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.tls import Certificate

__all__ = ["Port"]

HANDSHAKE_S = 5.0


class Port:
    """Base of the servers; a subclass gives ``serve``.

    Args:
        config: where, how many at once, and with which certificate.
        limit: bytes that may be read ahead of a client.

    Raises:
        ConfigError: the certificate cannot be used.
    """

    def __init__(self, config: ServerConfig, limit: int) -> None:
        self.config = config
        self.host, self.port = config.host_port
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._certificate = Certificate(config)
        self._tls = self._certificate.context

    async def open(self) -> None:
        """Bind and serve; OSError where the port is taken."""
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, limit=self._limit, ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
        )  # fmt: skip
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop serving; the hub ends the clients."""
        if self._server is not None:
            await close_server(self._server)

    def renew(self) -> None:
        """Read the certificate again, for the clients that come from now on.

        Raises:
            ConfigError: it cannot be used; the one before stays.
        """
        self._certificate.renew()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the hub ends: asyncio (3.11) logs a cancelled task as an error."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.serve(reader, writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client; closes ``writer`` and raises nothing."""
        raise NotImplementedError
