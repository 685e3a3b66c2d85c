"""One thread with an event loop, for everything that serves other programs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wakeword.errors import DeviceError

__all__ = ["Hub", "close_server"]

T = TypeVar("T")
START_S = 10.0

log = logging.getLogger("wakeword")


async def close_server(server: asyncio.Server) -> None:
    """Stop serving, once the connections that are being accepted are there.

    One that is accepted and not made yet would not be closed by anybody: asyncio (3.11) fails to
    make it for a server that is closed.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()


class Hub:
    """Runs coroutines and callbacks beside the thread that listens."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[concurrent.futures.Future[None]] = set()
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = START_S) -> T:
        """Run a coroutine in the loop and return its result.

        Raises:
            DeviceError: it took too long.
            Exception: what the coroutine raised.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError as exc:
            future.cancel()
            raise DeviceError(f"no server within {timeout_s:g} s; the machine is too busy") from exc

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> concurrent.futures.Future[None]:
        """Run a coroutine beside all else, until it or the hub ends; what it raises is logged.

        Returns:
            What cancels it.
        """
        task = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: concurrent.futures.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("a server's work ended by a mistake of ours", exc_info=exc)

    def post(self, callback: Callable[..., None], *args: Any) -> None:
        """Have the loop call something soon; nothing happens once it is closed."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(callback, *args)

    def stop(self) -> None:
        """End every task, and the thread."""
        if self._thread.is_alive():
            self.call(self._cancel_all())
            self.post(self.loop.stop)
            self._thread.join(START_S)
        if not self._thread.is_alive():
            self.loop.close()

    async def _cancel_all(self) -> None:
        """Cancel the tasks that still run, and wait until they have tidied up."""
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # a connection that was just accepted is made, closed, and let go
            await asyncio.sleep(0)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
