"""A port at which Wyoming is spoken: bounded, and rid of who sends what is no message."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket

from wakeword.daemon.port import Port
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.wyoming_wire import HEADER_BYTES, WireError
from wakeword.microphone import SystemClock
from wakeword.sinks.outage import Outage

__all__ = ["UNSENT_BYTES", "WyomingPort"]

UNSENT_BYTES = 65_536  # answers a client may leave unread before it is cut off

log = logging.getLogger("wakeword")


class WyomingPort(Port):
    """Base of what speaks Wyoming; a subclass gives ``answer``.

    Args:
        config: where, and how many at once.
        name: as the log calls it.
        peers: addresses or networks that are served; none serves all that reach the port.
    """

    def __init__(
        self, config: ServerConfig, name: str = "wyoming", peers: tuple[str, ...] = ()
    ) -> None:
        super().__init__(config, HEADER_BYTES)
        clock = SystemClock()
        self._name = name
        self._peers = [ipaddress.ip_network(peer, strict=False) for peer in peers]
        self._full = Outage(f"{name}, clients", clock)
        self._foreign = Outage(f"{name}, strangers", clock)
        self._broken = Outage(f"{name}, messages", clock)
        self.clients = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves, or sends what is no message."""
        peer = writer.get_extra_info("peername")
        if self._peers and not self._welcome(peer):
            self._foreign.failed(f"{peer} is none of peers; refused")
            writer.transport.abort()
            return
        if self.clients >= self.config.clients:
            self._full.failed(f"{self.clients} are connected; more are refused")
            writer.transport.abort()
            return
        self._full.over()
        self.clients += 1
        with contextlib.suppress(OSError):  # a satellite that lost its power says no good-bye
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await self.answer(reader, writer)
            self._broken.over()
        except WireError as exc:
            self._broken.failed(f"client {peer}: {exc}; cut off")
        except OSError as exc:
            log.debug("%s, client %s: %s", self._name, peer, exc)
        finally:
            self.clients -= 1
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer message after message.

        Raises:
            WireError: the client is to be cut off, and why.
        """
        raise NotImplementedError

    def _welcome(self, peer: object) -> bool:
        """Tell whether a client's address is one that is served."""
        if not isinstance(peer, tuple):
            return False
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._peers)
