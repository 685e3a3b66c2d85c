"""What the tests of the daemon share: events, a clock that need not be waited for, patience."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from wakeword.microphone import SystemClock
from wakeword.sinks.event import Event

PATIENCE_S = 60.0  # how long anything may take on a busy machine before it counts as broken
CLOCK = SystemClock()


def event(number: int, word: str = "computer") -> Event:
    return Event(f"run-{number}", word, 0.9, 16_000 * number, "2026-11-21T12:00:00.000+00:00")


def until(fact: Callable[[], object], what: str = "it") -> None:
    """Wait until something that other threads or programs do has happened."""
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline, f"{what} never happened"
        time.sleep(0.005)


class QuickClock:
    """Short waits are over at once, and time has passed; a wait for work is a real one."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if seconds >= 600:
            return event.wait(PATIENCE_S)
        if not event.is_set():
            self.waits.append(seconds)
            self.time += seconds
        return event.is_set()


class Receiver:
    """A real HTTP server that answers as told, and remembers what it took, by id."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []  # statuses to give first; then 204
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[str] = []
        self.before_answer: Callable[[Any], bool] = lambda handler: True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((dict(self.headers), body))
                if not outer.before_answer(self):
                    return
                status = outer.answers.pop(0) if outer.answers else 204
                if 200 <= status < 300 and (key := json.loads(body)["id"]) not in outer.taken:
                    outer.taken.append(key)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/heard?room=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        self._server.server_close()
