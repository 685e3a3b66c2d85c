"""Where Home Assistant connects to a satellite, and one such connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wakeword.daemon.actions import AssistConfig
from wakeword.daemon.wyoming_port import UNSENT_BYTES, WyomingPort
from wakeword.daemon.wyoming_wire import Message, WireError, read_message, write_message
from wakeword.sinks.satellite import BEHIND_BYTES

if TYPE_CHECKING:
    from wakeword.sinks.assist import AssistSink

__all__ = ["AssistPort", "Link"]

SILENT_S = 20.0  # without a message of one who asked whether we are there, after which it is not


class Link:
    """One connection; used in the hub's thread alone."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.asks = False
        """Whether it asks, again and again, whether we are there."""
        self.rate_hz = 0
        """Of what it speaks now; 0 while it does not."""
        self._writer = writer

    @property
    def unsent(self) -> int:
        """Bytes that it has not taken."""
        return int(self._writer.transport.get_write_buffer_size())

    @property
    def peer(self) -> object:
        """Its address."""
        return self._writer.get_extra_info("peername")

    def send(self, kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> None:
        """Send a message, unless it hung up."""
        if not self._writer.transport.is_closing():
            self._writer.write(write_message(kind, data, payload))

    def cut(self) -> None:
        """Hang up at once; the connection's own task sees it."""
        self._writer.transport.abort()


class AssistPort(WyomingPort):
    """Where Home Assistant connects; hands on what it says to the sink."""

    def __init__(self, sink: AssistSink, config: AssistConfig) -> None:
        super().__init__(config, f"action {sink.name}", config.peers)
        self._sink = sink

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer message after message; see the base."""
        link = Link(writer)
        try:
            while (message := await self._read(reader, link)) is not None:
                self._sink.take(link, message)
                if link.unsent > UNSENT_BYTES + BEHIND_BYTES:
                    raise WireError("does not read what it is sent")
        finally:
            self._sink.left(link)

    async def _read(self, reader: asyncio.StreamReader, link: Link) -> Message | None:
        """Read a message; who asked whether we are there has to go on asking."""
        if not link.asks:
            return await read_message(reader)
        try:
            return await asyncio.wait_for(read_message(reader), SILENT_S)
        except asyncio.TimeoutError as exc:
            raise WireError(f"silent for {SILENT_S:g} s") from exc
