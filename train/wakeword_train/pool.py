"""Workers: processes here, that end with the process that started them, or of a Ray cluster."""

from __future__ import annotations

import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import WakewordError

__all__ = ["ArrayFile", "Files", "Queue", "Workers", "end_with_parent", "spawn_pool", "workers"]

Result = TypeVar("Result")
AHEAD = 2  # jobs of each worker under way, done or waiting: it is never idle, and few results lie


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """Among ``initargs``, the array in a ``.npy`` file: mapped here, sent to a cluster once."""

    path: Path

    def load(self) -> NDArray[Any]:
        """Map the file."""
        array: NDArray[Any] = np.load(self.path, mmap_mode="r")
        return array


@dataclass(frozen=True, slots=True)
class Files:
    """Among ``initargs``, path to content (bytes as uint8) of files that workers elsewhere lack.

    Workers of this machine get an empty mapping: for them the files are where they are.
    """

    paths: tuple[Path, ...]


class Workers(Protocol):
    """Who does jobs; made by :func:`workers`."""

    def map(
        self, function: Callable[..., Result], jobs: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[int, Result]]:
        """Do ``function(*job)`` for each job; both are pickled.

        Yields:
            (number of the job, its result), in the order in which they are done. Jobs are handed
            out as results are fetched, so that few of either lie in memory.
        """


class Queue(ABC):
    """Workers that are handed jobs one by one."""

    def map(
        self, function: Callable[..., Result], jobs: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[int, Result]]:
        """Do jobs, as :meth:`Workers.map` says."""
        waiting: dict[Any, int] = {}
        numbered = enumerate(jobs)
        while True:
            for number, job in islice(numbered, max(AHEAD * self.workers() - len(waiting), 0)):
                waiting[self.begin(function, job)] = number
            if not waiting:
                return
            for key in self.wait(waiting):
                yield waiting.pop(key), self.result(key)

    @abstractmethod
    def workers(self) -> int:
        """Count the workers there are now."""

    @abstractmethod
    def begin(self, function: Callable[..., Any], job: Sequence[Any]) -> Any:
        """Hand out a job; returns a key for it."""

    @abstractmethod
    def wait(self, waiting: Collection[Any]) -> Collection[Any]:
        """Wait for at least one of these jobs; returns those that are done."""

    @abstractmethod
    def result(self, key: Any) -> Any:
        """Give the result of a job that is done, or raise its error."""


def end_with_parent() -> None:
    """Wait until the process that started this one has died, and end this one."""
    parent = parent_process()
    if parent is None:  # nobody's worker
        return
    parent.join()
    os._exit(1)


class _Here:
    """This process itself."""

    def map(
        self, function: Callable[..., Result], jobs: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[int, Result]]:
        """Do jobs, one after another."""
        for number, job in enumerate(jobs):
            yield number, function(*job)


class _Spawned(Queue):
    """Processes of this machine."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int) -> None:
        self._pool = pool
        self._processes = processes

    def workers(self) -> int:
        return self._processes

    def begin(self, function: Callable[..., Any], job: Sequence[Any]) -> Future[Any]:
        return self._pool.submit(function, *job)

    def wait(self, waiting: Collection[Future[Any]]) -> Collection[Future[Any]]:
        return wait(waiting, return_when=FIRST_COMPLETED).done

    def result(self, key: Future[Any]) -> Any:
        return key.result()


def _initialize(initializer: Callable[..., object] | None, initargs: Sequence[Any]) -> None:
    """Begin a worker of this machine."""
    if initializer is not None:
        initializer(*(_here(argument) for argument in initargs))


def _here(argument: Any) -> Any:
    """Give what an argument stands for."""
    if isinstance(argument, ArrayFile):
        return argument.load()
    return {} if isinstance(argument, Files) else argument


@contextmanager
def workers(
    processes: int,
    initializer: Callable[..., object] | None = None,
    initargs: Sequence[Any] = (),
    *,
    ray: str | None = None,
) -> Iterator[Workers]:
    """Open workers; leaving them on an error drops the jobs not yet begun.

    Args:
        processes: of this machine; 0 works in this process itself.
        initializer: called once in each worker, before its first job.
        initargs: what it is called with: values to pickle, :class:`ArrayFile`, :class:`Files`.
        ray: address of a Ray cluster, to work there instead of here.

    Raises:
        ConfigError: Ray is missing here, or its workers have other versions than we.
        WakewordError: a worker was killed, or its initializer failed; on a cluster, more often than
            a job is tried again, or the cluster cannot be reached.
    """
    if ray is not None:
        from wakeword_train.cluster import ray_workers

        with ray_workers(ray, initializer, initargs) as found:
            yield found
    elif not processes:
        _initialize(initializer, initargs)
        yield _Here()
    else:
        with spawn_pool(processes, _initialize, (initializer, tuple(initargs))) as pool:
            yield _Spawned(pool, processes)


def _start(initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """Begin a worker: it leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A killed parent tells its workers nothing: they would wait for their next job for ever.
    threading.Thread(target=end_with_parent, daemon=True).start()
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
