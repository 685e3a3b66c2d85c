"""What the tests of the page share: a daemon that hears what a test says, and how to speak HTTP."""

from __future__ import annotations

import json
import logging
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.daemon_kit import PATIENCE_S, until
from tests.test_sources import FakeSoundDevice, FakeStream
from wakeword.audio import RATE_HZ, read_audio
from wakeword.bundle import read_bundle, shipped
from wakeword.daemon.service import Service
from wakeword.sources import Chunk
from wakeword.web.server import WebServer

ROOT = Path(__file__).parents[1]
DEMO = read_audio(ROOT / "wakeword/demo/computer.flac")
HISS = np.random.default_rng(5).normal(0, 20, 60 * RATE_HZ).astype(np.int16)
SHIPPED = read_bundle(shipped()["computer_jarvis"])
OWN = SHIPPED.decision["computer"].threshold
CLEAN = SHIPPED.operating_points["computer"][0]
CONFIG = """
state = "state"
[word.computer]  # ours
# threshold = 0.71   # higher: fewer
[word.jarvis]
[review]
folder = "clips"
[web]
address = "127.0.0.1:0"
"""


class Air:
    """Sound that a test makes, as a source of chunks."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[NDArray[np.int16] | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        samples = self._queue.get()
        if samples is None:
            raise StopIteration
        return Chunk(samples)

    def put(self, samples: NDArray[np.int16] | None) -> None:
        self._queue.put(samples)


class Daemon:
    """A whole daemon with a page, in this process."""

    def __init__(
        self, folder: Path, config: str = CONFIG, *, sounddevice: Any = None, clock: Any = None
    ) -> None:
        self.path = folder / "w.toml"
        self.path.write_text(config)
        self.air = Air()
        self.service = Service(
            self.path, source=None if sounddevice else self.air, sounddevice=sounddevice,
            clock=clock,
        )  # fmt: skip
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        logging.getLogger("wakeword").setLevel(logging.INFO)  # as a command does
        try:
            self.service.run()
        except BaseException as exc:
            self._error = exc

    def __enter__(self) -> Daemon:
        self._thread.start()
        until(lambda: self._error or "web" in self.service.servers, "the page")
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.service.request_stop()
        self.air.put(None)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def server(self) -> WebServer:
        server = self.service.servers["web"]
        assert isinstance(server, WebServer)
        return server

    @property
    def port(self) -> int:
        return self.service.port("web")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, *parts: NDArray[np.int16]) -> None:
        """Have it hear something, as fast as its pages take the news."""
        samples = np.concatenate(parts)
        for start in range(0, len(samples), RATE_HZ // 2):
            piece = samples[start : start + RATE_HZ // 2]
            want = self.service.stats.samples + len(piece)
            for at in range(0, len(piece), 480):
                self.air.put(piece[at : at + 480])
            until(lambda want=want: self.service.stats.samples >= want, "hearing")  # type: ignore[misc]
            until(lambda: all(f.messages.empty() for f in list(self.server.feeds)), "telling")

    def raw(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes, and return status, headers (lower case) and body; status 0: hung up."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as wire:
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            return parsed(wire)

    def ask(
        self, path: str, body: Any = None, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request as a program would; ``_`` in names of headers stands for ``-``."""
        content = b"" if body is None else body
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers.setdefault("Content_Type", "application/json")
        given = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given["Content-Length"] = str(len(content))
        lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in given.items() if value]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as wire:
            wire.sendall(head + content)
            return parsed(wire)

    def json(self, path: str, body: Any = None) -> Any:
        """Ask, and return the answer, which must be a good one."""
        status, _, content = self.ask(path, body)
        assert status == 200, content
        return json.loads(content)


def parsed(wire: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read an answer to its end."""
    content = b""
    try:
        while piece := wire.recv(65_536):
            content += piece
    except ConnectionResetError:
        pass
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    words = first.split(" ")
    return (int(words[1]) if len(words) > 1 else 0), headers, body


LEVELS = {"Built in": 900, "Desk array": 9000}


class Desk(FakeSoundDevice):
    """Microphones that hum, each at its own level, as long as they are open."""

    def RawInputStream(self, **settings: Any) -> FakeStream:  # noqa: N802 - sounddevice's name
        stream = super().RawInputStream(**settings)
        level = LEVELS[self.seen[settings["device"]]["name"]]
        start, close, done = stream.start, stream.close, threading.Event()
        hum = np.tile(np.int16([level, -level]), 240)

        def work() -> None:
            while not done.wait(0.01):
                stream.deliver(hum)

        def begin() -> None:
            start()
            threading.Thread(target=work, daemon=True).start()

        def end(**how: Any) -> None:
            done.set()
            close(**how)

        stream.start, stream.close = begin, end  # type: ignore[method-assign]
        return stream
