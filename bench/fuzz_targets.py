"""What strangers can send to the daemon, each as a function of bytes that must never raise.

`bench/fuzz.py` drives them. A target is made once in a process and called for every input; what the
daemon answers to, refuses or cuts off is fine, everything else is a mistake of ours. To add one,
write what returns the function of bytes, and name it in TARGETS with inputs to begin with.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tornado.iostream import IOStream

from wakeword.daemon.actions import AssistConfig, SocketConfig
from wakeword.daemon.metrics_page import HEAD_BYTES, MetricsServer
from wakeword.daemon.once import INBOX, Once
from wakeword.daemon.once_broker import OnceBroker
from wakeword.daemon.service import Service
from wakeword.daemon.settings import ServerConfig, WebConfig
from wakeword.daemon.wyoming_server import WyomingServer
from wakeword.daemon.wyoming_wire import (
    HEADER_BYTES,
    PAYLOAD_BYTES,
    WireError,
    read_message,
    write_message,
)
from wakeword.detector import Detection
from wakeword.errors import WakewordError
from wakeword.microphone import SystemClock
from wakeword.sinks import post as post_module
from wakeword.sinks.assist import AssistSink
from wakeword.sinks.event import Event
from wakeword.sinks.satellite import _Session
from wakeword.sinks.socket_lines import SocketSink, _Client
from wakeword.web.app import Base
from wakeword.web.monitor import Monitor
from wakeword.web.server import WebServer

Target = Callable[[bytes], None]
FORM = {"rate": 16_000, "width": 2, "channels": 1}
MESSAGES = [
    write_message("describe"),
    write_message("ping", {"text": "x"}),
    write_message("detect", {"names": ["computer"]}) + write_message("audio-start", FORM),
    write_message("audio-chunk", {**FORM, "timestamp": 3}, b"\1\0" * 40)
    + write_message("audio-stop"),
    write_message("audio-chunk", {"rate": 44_100, "width": 3, "channels": 2}, b"abcdef" * 9),
    b'{"type": "audio-chunk", "data": {"rate": 8000}, "data_length": 13, "payload_length": 2}\n'
    b'{"channels":1}ab',
    b'{"type": "audio-start", "data": null, "data_length": null, "payload_length": 0}\n',
]  # fmt: skip
ANSWERS = [
    write_message("transcript", {"text": "on"}),
    write_message("error", {"text": "no", "code": "x"}),
    write_message("audio-chunk", FORM, b"ab") + write_message("voice-stopped"),
]
SPOKEN = [
    write_message("describe") + write_message("ping", {"text": "x"}),
    write_message("audio-start", FORM) + write_message("audio-chunk", FORM, b"abcd")
    + write_message("audio-stop"),
    write_message("audio-chunk", {"rate": 44_100, "width": 3, "channels": 2}, b"abcdef" * 9),
    write_message("transcript", {"text": "on"}) + write_message("synthesize", {"text": "ok"}),
    write_message("error", {"text": "no", "code": "x"}) + write_message("run-satellite"),
    write_message("pause-satellite") + write_message("voice-stopped"),
    write_message("timer-finished", {"id": "1"}),
]  # fmt: skip
FIRST_LINES = [b"sesame\nmore", b"sesame\r\n", b"sesam\n", b"GET / HTTP/1.1\r\n", b"x" * 3000]
REQUESTS = [
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /metrics?a=b HTTP/1.0\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\n\r\n",
]
REPLIES = [
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 x\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 301 x\r\nLocation: http://y/\r\nContent-Length: 99\r\n\r\nshort",
]
ORDER = (
    b"POST /api/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
BODIES = {
    b"threshold": b'{"word": "computer", "threshold": 0.5, "save": true}',
    b"microphones": b'{"device": "USB", "save": true}',
    b"record": b'{"do": "start", "phrase": "../x", "speaker": "me", "count": 3}',
    b"review": b'{"id": "../x", "label": "drop"}',
}
QUESTIONS = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
    b"GET /static/main.js HTTP/1.0\r\nHost: [::1]:1\r\nIf-None-Match: x\r\n\r\n",
    b"GET /api/figures?word=computer&threshold=0.7 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/review/..%2fx.wav HTTP/1.1\r\nHost: localhost\r\nCookie: wakeword-1=2|1:0\r\n\r\n",
    b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\ntoken=x",
    b"POST /api/review HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    b"0\r\n\r\n",
    *(ORDER % (name, len(body), body) for name, body in BODIES.items()),
]
CLAIMS = [
    b'{"kind": "heard", "word": "computer", "node": "den", "prob": 0.9}',
    b'{"kind": "taken", "word": "computer", "node": "bath", "prob": 1e308}',
    b'{"kind": "heard", "word": "\\ud800", "node": "x", "prob": NaN}',
]


class Writer:
    """Takes what a server answers, as a stream would, and keeps it."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.transport = self

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return len(self.sent)  # nobody reads

    def get_extra_info(self, name: str) -> Any:
        return self

    def setsockopt(self, *_: int) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    close = abort


class Ear:
    """A detector that hears a word wherever a piece of sound begins with an odd sample."""

    words = ("computer", "jarvis")

    def detector(self, words: Sequence[str]) -> Ear:
        return self

    @property
    def bundles(self) -> list[Any]:
        return []

    def reset(self) -> None:
        pass

    def feed(self, samples: Any) -> list[Detection]:
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise AssertionError(f"{samples.dtype} {samples.shape}: need int16 (N,)")
        return [Detection("computer", 0, 0.9)] if len(samples) and samples[0] % 2 else []


def stream_of(data: bytes, limit: int) -> asyncio.StreamReader:
    """A stream that brings these bytes and ends."""
    reader = asyncio.StreamReader(limit=limit)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def need(fact: bool, what: object) -> None:
    """Fail, whatever Python was started with."""
    if not fact:
        raise AssertionError(str(what))


def wyoming_messages() -> Target:
    """Bytes to messages."""
    loop = asyncio.new_event_loop()

    async def read(data: bytes) -> None:
        reader = stream_of(data, HEADER_BYTES)
        try:
            while (message := await read_message(reader)) is not None:
                need(isinstance(message.type, str), message)
                need(isinstance(message.data, dict), message)
                need(len(message.payload) <= PAYLOAD_BYTES, len(message.payload))
        except WireError as exc:
            need(len(str(exc)) < 200, exc)

    return lambda data: loop.run_until_complete(read(data))


def wyoming_client() -> Target:
    """A client of the Wyoming server: what it sends, to its end."""
    loop = asyncio.new_event_loop()
    models: Any = Ear()
    server = WyomingServer(ServerConfig(address="127.0.0.1:0"), lambda: models)

    async def talk(data: bytes) -> None:
        writer: Any = Writer()
        await server.serve(stream_of(data, HEADER_BYTES), writer)
        need(writer.closed, "a client is left open")
        need(server.clients == 0, "a client is counted for ever")
        need(len(writer.sent) < 200_000, f"{len(writer.sent)} bytes for a client that never reads")

    return lambda data: loop.run_until_complete(talk(data))


def satellite_peer() -> Target:
    """What a satellite's peer answers."""
    loop = asyncio.new_event_loop()

    async def hear(data: bytes) -> None:
        session = _Session(None, None)  # type: ignore[arg-type] # it only listens here
        try:
            await session._hear(stream_of(data, HEADER_BYTES))
        except WireError as exc:
            need(len(str(exc)) < 300, exc)
        need(session.stopped, "a peer that is gone is streamed to")

    return lambda data: loop.run_until_complete(hear(data))


def assistant_peer() -> Target:
    """Who says it is Home Assistant, at a satellite in the middle of a command."""
    loop = asyncio.new_event_loop()
    hub: Any = SimpleNamespace(loop=loop, post=lambda call, *args: call(*args))
    config = AssistConfig(address="127.0.0.1:0", answers=False)
    sink = AssistSink("assist", config, ("computer",), hub, SystemClock())
    spoken: list[bytes] = []
    sink._player = SimpleNamespace(  # type: ignore[assignment] # what it is told is looked at here
        begin=lambda rate: need(8000 <= rate <= 192_000, rate), feed=spoken.append,
        end=lambda played=None: played() if played else None, stop=lambda: None,
    )  # fmt: skip

    async def talk(data: bytes) -> None:
        writer: Any = Writer()
        begin = write_message("run-satellite")
        stream = stream_of(begin + data, HEADER_BYTES)
        serving = asyncio.ensure_future(sink._port.serve(stream, writer))
        await asyncio.sleep(0)
        command = sink.open(Event("run-1", "computer", 0.9, 0, "2026"))
        if command is not None:
            command.feed(np.zeros(1600, np.int16))
            command.end()
        await serving
        need(writer.closed, "a client is left open")
        need(sink._port.clients == 0, "a client is counted for ever")
        need(sink._link is None, "one that is gone is streamed to")
        need(sink.pending == 0, "a command is under way for ever")
        need(all(len(piece) % 2 == 0 for piece in spoken), "half a sample is played")
        spoken.clear()
        loop._scheduled.clear()  # type: ignore[attr-defined] # what looks back in half a minute

    return lambda data: loop.run_until_complete(talk(data))


def socket_client() -> Target:
    """A client of the port for JSON lines, which asks for a token."""
    loop = asyncio.new_event_loop()
    folder = Path(tempfile.mkdtemp())
    hub: Any = SimpleNamespace(loop=loop, post=lambda call, *args: call(*args))
    config = SocketConfig(address="127.0.0.1:0", token_file=str(folder / "token"))
    sink = SocketSink("lines", config, hub, SystemClock(), folder)
    known = FIRST_LINES[0].partition(b"\n")[0]
    sink.token = known.decode()

    class Wire(asyncio.Transport):
        closed = False
        sent = b""

        def write(self, data: Any) -> None:
            self.sent += data

        def abort(self) -> None:
            self.closed = True

        def get_write_buffer_size(self) -> int:
            return 0

    def connect(data: bytes) -> None:
        wire, client = Wire({"socket": Writer()}), _Client(sink)
        client.connection_made(wire)
        for at in range(0, len(data), 700):
            if not wire.closed:
                client.data_received(data[at : at + 700])
        sink.put(Event("run-1", "computer", 0.9, 0, "2026"), None)
        knows = data.partition(b"\n")[0].rstrip(b"\r") == known and b"\n" in data
        need(knows == bool(wire.sent), "an event for who does not know the token, or none")
        client.connection_lost(None)
        need(not sink._clients and not sink._strangers, "a client that is gone is written to")
        loop._scheduled.clear()  # type: ignore[attr-defined] # what looks back in five seconds

    return connect


def metrics_page() -> Target:
    """A client of the metrics page."""
    loop = asyncio.new_event_loop()
    service: Any = None
    server = MetricsServer(ServerConfig(address="127.0.0.1:0"), service)
    server._page = lambda: b"wakeword_audio_seconds_total 1.0\n"

    async def ask(data: bytes) -> None:
        writer: Any = Writer()
        await server.serve(stream_of(data, HEAD_BYTES), writer)
        status = writer.sent[:12]
        need(status in (b"", b"HTTP/1.1 200", b"HTTP/1.1 404", b"HTTP/1.1 405"), status)
        need(writer.closed, "a client is left open")
        if status == b"HTTP/1.1 200":
            need(b"/metrics" in data, "the page for somebody who asked for something else")

    return lambda data: loop.run_until_complete(ask(data))


def page_client() -> Target:
    """A browser, or what says it is one, at the page; it may do all that the page can."""
    loop = asyncio.new_event_loop()
    folder = Path(tempfile.mkdtemp())
    path = folder / "wakeword.toml"
    path.write_text('state = "state"\n[word.computer]\n[review]\nfolder = "clips"\n')
    (folder / "beside").write_text("secret")
    device = {"name": "USB", "max_input_channels": 1, "default_samplerate": 16000, "hostapi": 0}
    devices = SimpleNamespace(
        PortAudioError=OSError, query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda kind=None: {"index": 0} if kind else [device],
    )  # fmt: skip
    service = Service(path, sounddevice=devices)
    service.request_change = lambda change: None  # type: ignore[method-assign] # nobody listens
    found: list[object] = []
    unexpected = Base.log_exception
    Base.log_exception = lambda self, kind, value, trace: (  # type: ignore[method-assign]
        None if self.expects(value) else found.append(value)
    )
    need(unexpected is not Base.log_exception, "the page's mistakes are not seen")

    async def start() -> WebServer:
        server = WebServer(WebConfig(address="127.0.0.1:0"), service, Monitor())
        server.recorder.start = lambda plan, device: None  # type: ignore[method-assign] # a thread
        await server.open()
        return server

    server = loop.run_until_complete(start())

    async def browse(data: bytes) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            server._http.handle_stream(IOStream(ours), ("127.0.0.1", 1))
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            answer = b""
            while server._http._open_count or server.feeds:  # for ever is found, too
                with contextlib.suppress(OSError):
                    answer += theirs.recv(65_536)
                if server.feeds:  # it goes, and whoever is told things next finds out
                    theirs.close()
                    server._send(": here\n\n")
                await asyncio.sleep(0)
        need(answer[:9] in (b"", b"HTTP/1.1 "), answer[:9])
        need(b"secret" not in answer, "a file that is none of the page")
        need(not found, found)

    return lambda data: loop.run_until_complete(browse(data))


class Wire:
    """A socket whose other side has answered already."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._answer)

    def sendall(self, data: bytes) -> None:
        pass

    def setsockopt(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass


def webhook_reply() -> Target:
    """What a webhook's receiver answers."""
    answer = [b""]
    socket.create_connection = lambda *_, **__: Wire(answer[0])  # type: ignore[assignment]

    class NoTimer:
        """The time limit has tests of its own; a thread for every input would measure threads."""

        daemon = False

        def __init__(self, *_: Any) -> None:
            self.start = self.cancel = lambda: None

    class Threading:
        Timer = NoTimer
        Event = __import__("threading").Event

    post_module.threading = Threading  # type: ignore[attr-defined]

    def deliver(data: bytes) -> None:
        answer[0] = data
        try:
            status = post_module.post("http://x/", b"{}", {}, 5.0)
            need(100 <= status <= 999, status)
        except WakewordError:
            pass

    return deliver


def once_message() -> Target:
    """What anybody says on the broker where machines agree who acts."""
    broker = OnceBroker.__new__(OnceBroker)
    broker.once = Once("kitchen", 0.0, SystemClock(), lambda message: True)

    class Message:
        retain = False
        payload = b""

    def receive(data: bytes) -> None:
        message = Message()
        message.payload = data
        broker._on_message(None, None, message)
        need(len(broker.once._inbox) <= INBOX, "the inbox grows")
        broker.once.decide()

    return receive


TARGETS: Mapping[str, tuple[Callable[[], Target], Sequence[bytes], float]] = {
    "wyoming messages": (wyoming_messages, MESSAGES, 0.2),
    "wyoming client": (wyoming_client, MESSAGES, 0.2),
    "satellite's peer": (satellite_peer, ANSWERS, 0.1),
    "assistant": (assistant_peer, SPOKEN, 0.1),
    "socket's client": (socket_client, FIRST_LINES, 0.1),
    "metrics page": (metrics_page, REQUESTS, 0.1),
    "page": (page_client, QUESTIONS, 1.0),
    "webhook's reply": (webhook_reply, REPLIES, 0.1),
    "once message": (once_message, CLAIMS, 0.1),
}
"""Name to what makes the target, inputs to begin with, and how many of the cases asked for: the
page, which is the largest, has as many as all others together."""


def quiet() -> None:
    """Keep the daemon's log from being what is measured."""
    logging.disable(logging.CRITICAL)
