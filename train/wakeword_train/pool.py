"""Worker processes that end with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from wakeword.errors import WakewordError

__all__ = ["check_parent", "spawn_pool"]


def check_parent(wait_s: float | None = 0.0) -> None:
    """End this process at once if the one that started it has died.

    Args:
        wait_s: seconds to wait for that; None waits until it happens.
    """
    parent = parent_process()
    if parent is None:  # nobody's worker
        return
    parent.join(wait_s)
    if not parent.is_alive():
        os._exit(1)


def _start(initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """Begin a worker: it leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A killed parent tells its workers nothing: they would wait for their next job for ever.
    threading.Thread(target=check_parent, args=(None,), daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


@contextmanager
def spawn_pool(
    processes: int,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of spawned workers; leaving it on an error drops the jobs not yet begun.

    Workers are spawned, not forked: a forked child would inherit the locks of its parent's threads.

    Args:
        processes: workers, at least 1.
        initializer: called once in each worker.
        initargs: what it is called with.

    Raises:
        WakewordError: a worker was killed, or its initializer failed.
    """
    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_start, initargs=(initializer, initargs)
    )
    try:
        yield pool
    except BaseException as exc:
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(exc, BrokenProcessPool):
            raise WakewordError(
                f"a worker process ended before its job was done ({exc}): it was killed, perhaps "
                "for lack of memory, or could not begin (see above); run again with fewer "
                "--processes; finished work is kept"
            ) from exc
        raise
    pool.shutdown(wait=True)
