"""Stream the microphone to a Wyoming server after a word, for as long as somebody speaks."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.daemon.actions import SatelliteConfig
from wakeword.daemon.hub import Hub
from wakeword.daemon.tls import client_context
from wakeword.daemon.wyoming_wire import HEADER_BYTES, WireError, read_message, write_message
from wakeword.errors import WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.event import AudioStream, Event, Utterance
from wakeword.sinks.outage import Outage

__all__ = ["SatelliteSink"]

AT_ONCE = 4  # connections; a peer that hangs must not gather them
BEHIND_BYTES = 2 * 10 * RATE_HZ  # that may wait for a peer: what was said before the word, and more
ENOUGH = ("audio-stop", "voice-stopped", "transcript", "pause-satellite")  # the peer wants no more
FORM = {"rate": RATE_HZ, "width": 2, "channels": 1}

log = logging.getLogger("wakeword")


class SatelliteSink:
    """Connects for every word, sends ``detection`` and the sound from before it, and hangs up.

    Each word is streamed once or counted as dropped; a command that comes late is of no use.

    Args:
        name: as in the configuration.
        config: the settings.
        hub: where it runs.
        clock: time, for the log.

    Raises:
        ConfigError: the certificate of the authority cannot be read.
    """

    wants_audio = False

    def __init__(self, name: str, config: SatelliteConfig, hub: Hub, clock: Clock) -> None:
        self.name = name
        self.config = config
        self.delivered = 0
        self.dropped = 0
        self.hub = hub
        self._sessions: set[_Session] = set()
        self._peer = Outage(f"action {name}, peer", clock)
        self._full = Outage(f"action {name}, connections", clock)
        if config.tls:
            client_context(config.ca_file)

    @property
    def pending(self) -> int:
        """Commands that are not whole at the peer yet."""
        return sum(not session.counted for session in list(self._sessions))

    def start(self) -> None:
        """Nothing to do: a connection is made for every word."""

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Count an event that came while this sink was being exchanged: its sound is gone."""
        self.dropped += 1

    def open(self, event: Event) -> AudioStream | None:
        """Begin to stream; None where too many connections hang."""
        if len(self._sessions) >= AT_ONCE:
            self.dropped += 1
            self._full.failed(f"{AT_ONCE} are busy; a word is not streamed")
            return None
        self._full.over()
        session = _Session(self, event)
        self._sessions.add(session)
        self.hub.spawn(session.run())
        return session

    def stop(self, grace_s: float) -> None:
        """Let what is under way end, for at most so long."""
        if self._sessions:
            self.hub.call(self._close(grace_s), grace_s + 5)

    async def _close(self, grace_s: float) -> None:
        deadline_s = asyncio.get_running_loop().time() + grace_s
        while self.pending and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.01)
        for session in list(self._sessions):
            session.cancel()
        for _ in range(3):
            await asyncio.sleep(0)

    def done(self, session: _Session, why: object) -> None:
        """Count a session, in the hub's thread; ``why`` it failed, or None."""
        if session.counted:
            return
        session.counted = True
        if why is None:
            self.delivered += 1
            self._peer.over()
        else:
            self.dropped += 1
            self._peer.failed(why)

    def forget(self, session: _Session) -> None:
        """Let another one take its place."""
        self._sessions.discard(session)


class _Session:
    """One word's way to the peer. ``feed`` and ``end`` neither block nor raise."""

    def __init__(self, sink: SatelliteSink, event: Event) -> None:
        self.stopped = False
        """Whether the peer wants no more, or is gone."""
        self.counted = False
        self._sink = sink
        self._event = event
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._behind = 0
        self._deadline_s: float | None = None
        self._task: asyncio.Task[None] | None = None

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Send samples (N,), 16 kHz mono."""
        if not self.stopped and len(samples):
            self._sink.hub.post(self._put, samples.astype("<i2").tobytes())

    def end(self) -> None:
        """The command is over."""
        self._sink.hub.post(self._put, None)

    def cancel(self) -> None:
        """Give up, in the hub's thread."""
        if self._task is not None:
            self._task.cancel()

    def _put(self, data: bytes | None) -> None:
        if data is None:
            self._set_deadline()
        else:
            self._behind += len(data)
        self._queue.put_nowait(data)

    def _set_deadline(self) -> None:
        """From now on the peer has ``timeout_s`` for all that is left."""
        loop = asyncio.get_running_loop()
        if self._deadline_s is None:
            self._deadline_s = loop.time() + self._sink.config.timeout_s

    def _left_s(self) -> float:
        """How long the next step may take."""
        timeout_s = self._sink.config.timeout_s
        if self._deadline_s is None:
            return timeout_s
        return min(timeout_s, max(0.001, self._deadline_s - asyncio.get_running_loop().time()))

    async def run(self) -> None:
        """Stream to the end."""
        self._task = asyncio.current_task()
        why: object = "broken off: the daemon ends, or has other settings"
        try:
            await self._talk()
            why = None
        except (asyncio.TimeoutError, TimeoutError):
            why = f"not taken within timeout_s={self._sink.config.timeout_s:g}"
        except (OSError, WakewordError) as exc:
            why = exc or type(exc).__name__
        finally:
            self.stopped = True
            self._sink.done(self, why)
            self._sink.forget(self)

    async def _talk(self) -> None:
        """Connect, send, and hear what the peer says."""
        config = self._sink.config
        host, port = config.host_port
        tls = client_context(config.ca_file) if config.tls else None
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(host, port, limit=HEADER_BYTES, ssl=tls), config.timeout_s
        )
        hearing = asyncio.ensure_future(self._hear(reader))
        try:
            # Drained means: the system has it. Not high=0, which over TLS (3.11) never drains.
            writer.transport.set_write_buffer_limits(high=1, low=0)
            await self._send(writer, hearing)
            self._sink.done(self, None)
            await asyncio.wait([hearing], timeout=self._left_s())
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, hearing: asyncio.Future[bool]) -> None:
        """Send the word, the sound, and its end."""
        event = self._event
        writer.write(
            write_message(
                "detection", {"name": event.word, "timestamp": 0, "context": {"id": event.id}}
            )
        )
        writer.write(write_message("audio-start", {**FORM, "timestamp": 0}))
        sent = 0
        while not self.stopped and (data := await self._queue.get()) is not None:
            if self._behind > BEHIND_BYTES:
                raise WireError(f"over {BEHIND_BYTES} bytes behind; cut off")
            chunk = {**FORM, "timestamp": round(500 * sent / RATE_HZ)}
            writer.write(write_message("audio-chunk", chunk, data))
            await asyncio.wait_for(writer.drain(), self._left_s())
            sent += len(data)
            self._behind -= len(data)
        if hearing.done():
            hearing.result()  # raises what went wrong
        self._set_deadline()
        writer.write(write_message("audio-stop", {"timestamp": round(500 * sent / RATE_HZ)}))
        await asyncio.wait_for(writer.drain(), self._left_s())

    async def _hear(self, reader: asyncio.StreamReader) -> bool:
        """Read what the peer says until it has enough; return whether it said so.

        Raises:
            WireError: it hung up while there was more, or says that something went wrong.
        """
        try:
            while (message := await read_message(reader)) is not None:
                if message.type == "error":
                    text = str(message.data.get("text", ""))[:200]
                    raise WireError(f"says that something went wrong: {text}")
                if message.type in ENOUGH:
                    return True
            if not self.counted and self._deadline_s is None:
                raise WireError("hung up in the middle of a command")
            return False
        finally:
            self.stopped = True
            self._queue.put_nowait(None)  # who waits there for sound need not
