"""Streaming to a real Wyoming server, and to one that fails in every way we could think of."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event as Message
from wyoming.server import AsyncEventHandler
from wyoming.wake import Detection

from tests.daemon_kit import CLOCK, PATIENCE_S, event, until
from tests.test_daemon_listener import Bench, demo, plain
from tests.test_daemon_once import Fixed
from wakeword.daemon.actions import ActionConfig, SatelliteConfig
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.hub import Hub, close_server
from wakeword.sinks import satellite
from wakeword.sinks.event import Event
from wakeword.sinks.satellite import AT_ONCE, SatelliteSink
from wakeword.sinks.sink_set import SinkSet

RATE_HZ = 16_000
SECOND = np.arange(RATE_HZ, dtype=np.int16)
Answer = Callable[["Handler", Message], Awaitable[bool]]


async def listen(handler: Handler, message: Message) -> bool:
    return True


class Handler(AsyncEventHandler):
    """What the library gives to write a server with."""

    def __init__(self, peer: Peer, *streams: Any) -> None:
        super().__init__(*streams)
        self.peer = peer
        self.messages: list[Message] = []
        peer.calls.append(self.messages)

    async def handle_event(self, event: Message) -> bool:
        self.messages.append(event)
        return await self.peer.answer(self, event)


class Peer:
    """A Wyoming server in a thread of its own; it is the library's, or a function of ours."""

    def __init__(self, port: int = 0, tls: Any = None) -> None:
        self.calls: list[list[Message]] = []
        self.answer: Answer = listen
        self.raw: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None
        self.raw = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(self._open(port, tls), self._loop)
        self._server = opened.result(PATIENCE_S)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _open(self, port: int, tls: Any) -> asyncio.Server:
        return await asyncio.start_server(self._client, "127.0.0.1", port, ssl=tls)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.raw is not None:
                await self.raw(reader, writer)
            else:
                await Handler(self, reader, writer).run()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _end(self) -> None:
        await close_server(self._server)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(5):  # transports that were aborted close their sockets
            await asyncio.sleep(0)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def sink_for(hub: Hub, port: int, timeout_s: float = PATIENCE_S, **more: Any) -> SatelliteSink:
    config = SatelliteConfig(address=f"127.0.0.1:{port}", timeout_s=timeout_s, **more)
    return SatelliteSink("ear", config, hub, CLOCK)


def stream(sink: SatelliteSink, number: int = 1, seconds: int = 1) -> None:
    """Stream whole seconds, in pieces, as the listener does."""
    session = sink.open(event(number))
    assert session is not None
    for _ in range(seconds):
        for piece in np.split(SECOND, 20):
            session.feed(piece)
    session.end()


def heard(messages: list[Message]) -> NDArray[np.int16]:
    """The sound in what a server was told, which must be in order."""
    assert Detection.is_type(messages[0].type)
    assert AudioStart.is_type(messages[1].type)
    start = AudioStart.from_event(messages[1])
    assert (start.rate, start.width, start.channels) == (RATE_HZ, 2, 1)
    assert AudioStop.is_type(messages[-1].type)
    chunks = [AudioChunk.from_event(m) for m in messages[2:-1]]
    sound = np.concatenate([np.frombuffer(c.audio, "<i2") for c in chunks])
    at = 0
    for chunk in chunks:
        assert chunk.timestamp == round(1000 * at / RATE_HZ)
        at += chunk.samples
    assert AudioStop.from_event(messages[-1]).timestamp == round(1000 * at / RATE_HZ)
    return sound


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_real_server_gets_the_word_and_all_of_the_sound(hub: Hub, peer: Peer) -> None:
    async def write_down(handler: Handler, message: Message) -> bool:
        if AudioStop.is_type(message.type):
            await handler.write_event(Transcript(text="light on").event())
            return False
        return True

    peer.answer = write_down
    sink = sink_for(hub, peer.port)
    stream(sink, 1, seconds=3)
    until(lambda: sink.delivered == 1 and not sink._sessions)
    stream(sink, 2)
    until(lambda: sink.delivered == 2 and len(peer.calls) == 2)
    until(lambda: len(peer.calls[1]) == 23)
    first = Detection.from_event(peer.calls[0][0])
    assert (first.name, first.context) == ("computer", {"id": "run-1"})
    np.testing.assert_array_equal(heard(peer.calls[0]), np.tile(SECOND, 3))
    np.testing.assert_array_equal(heard(peer.calls[1]), SECOND)
    assert (sink.pending, sink.dropped) == (0, 0)
    sink.stop(PATIENCE_S)


@pytest.mark.parametrize("kind", ["transcript", "voice-stopped", "audio-stop"])
def test_a_server_that_has_enough_is_sent_no_more(hub: Hub, peer: Peer, kind: str) -> None:
    async def enough(handler: Handler, message: Message) -> bool:
        if AudioChunk.is_type(message.type) and len(handler.messages) == 5:
            await handler.write_event(Message(kind, {"text": "on"}))
        return not AudioStop.is_type(message.type)

    peer.answer = enough
    sink = sink_for(hub, peer.port)
    session = sink.open(event(1))
    assert session is not None
    until(lambda: not session.feed(SECOND[:160]) and session.stopped)  # nobody says that it ended
    until(lambda: sink.delivered == 1)
    until(lambda: AudioStop.is_type(peer.calls[0][-1].type))
    heard(peer.calls[0])
    assert sink.dropped == 0


def test_a_server_that_answers_late_is_waited_for(hub: Hub, peer: Peer) -> None:
    finished = threading.Event()

    async def slowly(handler: Handler, message: Message) -> bool:
        if AudioStop.is_type(message.type):
            await asyncio.sleep(0.3)  # it thinks
            await handler.write_event(Transcript(text="on").event())
            assert await asyncio.wait_for(handler.reader.read(), PATIENCE_S) == b""
            finished.set()  # and nobody hung up before it was done
            return False
        return True

    peer.answer = slowly
    sink = sink_for(hub, peer.port)
    stream(sink)
    assert finished.wait(PATIENCE_S)
    until(lambda: not sink._sessions)
    assert sink.delivered == 1


def test_a_server_that_is_down_for_an_hour_is_said_once_and_served_when_it_is_back(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sink = sink_for(hub, port)
    for number in range(60):  # a word a minute
        stream(sink, number)
        until(lambda number=number: sink.dropped == number + 1)  # type: ignore[misc]
        until(lambda: not sink._sessions)
    assert len(warnings(caplog)) == 1
    peer = Peer(port)
    try:
        stream(sink, 100)
        until(lambda: sink.delivered == 1)
        until(lambda: peer.calls and len(peer.calls[0]) == 23)
        np.testing.assert_array_equal(heard(peer.calls[0]), SECOND)
    finally:
        peer.close()
    assert len(warnings(caplog)) == 2
    assert "works again" in warnings(caplog)[1]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(5000)  # in the middle of a message


async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(PATIENCE_S)


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    while await reader.read(1000):
        pass


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"type": "' + b"x" * 100_000)
    while await reader.read(1000):
        pass


@pytest.mark.parametrize(
    ("failure", "timeout_s", "said"),
    [
        (hang_up, PATIENCE_S, "hung up in the middle|reset|Broken pipe|Connection lost"),
        (never_read, 0.3, "not taken within timeout_s=0.3|bytes behind"),
        (garbage, PATIENCE_S, "header: not JSON"),
        (flood, PATIENCE_S, "header: need a line of at most"),
    ],
)
def test_a_server_that_fails_in_the_middle_costs_one_word_and_one_line(
    hub: Hub, peer: Peer, caplog: pytest.LogCaptureFixture, failure: Any, timeout_s: float,
    said: str,
) -> None:  # fmt: skip
    peer.raw = failure
    sink = sink_for(hub, peer.port, timeout_s)
    for number in (1, 2):
        session = sink.open(event(number))
        assert session is not None
        piece = SECOND if failure is never_read else SECOND[:1600]  # to fill the system's buffers
        until(lambda s=session, p=piece: not s.feed(p) and s.stopped)  # type: ignore[misc]
        until(lambda number=number: sink.dropped == number)  # type: ignore[misc]
        until(lambda: not sink._sessions)
    (line,) = warnings(caplog)
    assert line.startswith("action ear, peer: ")
    assert re.search(said, line)
    peer.raw = None
    sink = sink_for(hub, peer.port)
    stream(sink, 3)
    until(lambda: sink.delivered == 1)


def test_a_server_that_says_error_is_quoted(
    hub: Hub, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(handler: Handler, message: Message) -> bool:
        await handler.write_event(Error(text="no model\nforged line").event())
        return not AudioStop.is_type(message.type)

    peer.answer = refuse
    sink = sink_for(hub, peer.port)
    session = sink.open(event(1))
    assert session is not None
    until(lambda: not session.feed(SECOND[:160]) and sink.dropped == 1)
    assert "says that something went wrong: no model" in caplog.text


def test_connections_that_hang_are_bounded_and_said_once(
    hub: Hub, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.raw = never_read
    sink = sink_for(hub, peer.port)
    going = [sink.open(event(n)) for n in range(AT_ONCE)]
    assert None not in going
    assert sink.open(event(9)) is None
    assert sink.open(event(10)) is None
    assert sink.dropped == 2
    assert len(warnings(caplog)) == 1
    sink.stop(0.05)  # and the daemon's end does not wait for them
    assert (sink.dropped, sink.pending) == (2 + AT_ONCE, 0)


def test_what_waits_for_a_slow_server_is_bounded(hub: Hub, peer: Peer) -> None:
    peer.raw = never_read
    sink = sink_for(hub, peer.port)
    session = sink.open(event(1))
    assert session is not None
    until(lambda: not session.feed(SECOND) and session._behind > satellite.BEHIND_BYTES)  # type: ignore[attr-defined]
    session.end()
    sink.stop(0.05)
    assert sink.dropped == 1


def test_over_tls_only_who_is_believed_hears_anything(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("trustme", reason="trustme is not installed")
    from tests.test_daemon_tls import Authority
    from wakeword.daemon.tls import server_context

    home, stranger = Authority(tmp_path, "home"), Authority(tmp_path, "stranger")
    peer = Peer(tls=server_context(*home.issue("127.0.0.1")))
    try:
        suspicious = sink_for(hub, peer.port, tls=True, ca_file=stranger.file)
        stream(suspicious)
        until(lambda: suspicious.dropped == 1)
        assert peer.calls == []
        sink = sink_for(hub, peer.port, tls=True, ca_file=home.file)
        stream(sink)
        until(lambda: sink.delivered == 1)
        until(lambda: peer.calls and len(peer.calls[0]) == 23)
        np.testing.assert_array_equal(heard(peer.calls[0]), SECOND)
    finally:
        peer.close()


# ---- from the listener


def listening_bench(hub: Hub, port: int) -> tuple[Bench, SatelliteSink]:
    """A listener with a satellite beside its other actions."""
    bench = Bench()
    sink = sink_for(hub, port)
    actions: dict[str, ActionConfig] = {**bench.config.actions, "ear": sink.config}

    def make(name: str, config: ActionConfig, words: Any) -> Any:
        return sink if name == "ear" else bench._make(name, config, words)

    sinks = SinkSet(make)
    sinks.change(actions, dict.fromkeys(actions, ()))
    bench.listener._sinks = sinks
    bench.listener.switch(DaemonConfig(words=bench.config.words, actions=actions), None)
    return bench, sink


@pytest.mark.parametrize("size", [160, 480, 8000])
def test_a_satellite_hears_what_a_recording_keeps(hub: Hub, peer: Peer, size: int) -> None:
    bench, sink = listening_bench(hub, peer.port)
    bench.hear(demo(), size)
    bench.listener.finish()
    until(lambda: sink.delivered == 2)
    until(lambda: all(AudioStop.is_type(call[-1].type) for call in peer.calls))
    kept = [u for _, u in bench.sinks["audio"].events if u is not None]
    in_order = sorted(peer.calls, key=lambda call: str(call[0].data["context"]["id"]))
    found = [heard(call) for call in in_order]
    assert len(found) == len(kept) == 2
    for streamed, utterance in zip(found, kept, strict=True):
        np.testing.assert_array_equal(streamed, utterance.samples)
    assert bench.heard() == plain()


def test_sound_is_streamed_while_the_command_is_said(hub: Hub, peer: Peer) -> None:
    bench, _ = listening_bench(hub, peer.port)
    fired = plain()[0][1]
    bench.hear(demo()[: fired + 4000])
    until(lambda: peer.calls and len(peer.calls[0]) > 5)
    assert not AudioStop.is_type(peer.calls[0][-1].type)
    bench.listener.finish()


@pytest.mark.parametrize(("winner", "count"), [("den", 2), ("attic", 0)])
def test_only_the_machine_that_acts_streams(hub: Hub, peer: Peer, winner: str, count: int) -> None:
    bench, sink = listening_bench(hub, peer.port)
    bench.listener._once = Fixed(winner)  # type: ignore[assignment]
    bench.hear(demo())
    bench.listener.finish()
    until(lambda: sink.delivered == count)
    until(lambda: all(AudioStop.is_type(call[-1].type) for call in peer.calls))
    assert len(peer.calls) == count
    if count:
        kept = [u for _, u in bench.sinks["audio"].events if u is not None]
        streamed = {len(heard(call)) for call in peer.calls}
        assert streamed == {len(u.samples) for u in kept}


def test_a_satellite_that_is_exchanged_when_the_word_comes_counts_it(hub: Hub) -> None:
    sink = sink_for(hub, 9)
    sink.put(Event("run-1", "computer", 0.9, 0, ""), None)
    assert sink.dropped == 1
