"""Workers of a Ray cluster, on machines that share no disk with this one.

A job is a Ray task: a worker or a machine that is lost costs its jobs under way, which run again
elsewhere, and machines that join are used. What workers begin with goes through Ray's object store,
to each machine once. They write no files; results come back to the process that asked for them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle  # nosec B403 # between our own processes
import platform
import socket
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import wakeword
import wakeword_train
from wakeword.errors import ConfigError, WakewordError
from wakeword_train.pool import ArrayFile, Files, Queue

__all__ = ["ray_workers", "versions"]

TRIES = 3  # times that a job is begun again when its worker or machine is lost
REACHED_S = 10.0
POOL = "WAKEWORD_POOL"
# What decides the bytes of a clip or a window, beside our own code.
LIBRARIES = (
    "kokoro-onnx", "numpy", "onnx", "onnxruntime", "praat-parselmouth", "pyroomacoustics", "scipy",
    "soundfile", "soxr",
)  # fmt: skip
log = logging.getLogger(__name__)


def versions() -> dict[str, str]:
    """Tell what decides the bytes that come of a seed: Python, libraries, and our own code.

    Returns:
        Name to version; libraries that are missing are left out.
    """
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    digest = hashlib.sha256()
    for package in (wakeword, wakeword_train):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return found | {"wakeword's code": digest.hexdigest()[:8]}


@contextmanager
def ray_workers(
    address: str, initializer: Callable[..., object] | None, initargs: Sequence[Any]
) -> Iterator[Queue]:
    """Open workers on every core of a cluster; see :func:`wakeword_train.pool.workers`.

    Each has a process of its own, which ends some time after its last job.

    Args:
        address: as ``ray.init`` takes it: ``HOST:6379``, ``auto``, or ``local`` to start a cluster
            on this machine. A connection that is open already is used, and is left open.
        initializer: called once in each worker.
        initargs: what it is called with.
    """
    ray = _connect(address)
    pool = uuid.uuid4().hex
    beginning = [pool, versions(), initializer, [_put(ray, one) for one in initargs]]
    queue = _Tasks(ray, pool, ray.put(beginning))
    try:
        yield queue
    except ray.exceptions.RayError as exc:
        raise WakewordError(
            f"the cluster gave a job up after {TRIES + 1} tries ({_first_line(exc)}): its workers "
            "may lack memory, or what is installed here; finished work is kept: run again"
        ) from exc
    finally:
        queue.cancel()


def _connect(address: str) -> Any:
    """Import Ray and connect to the cluster, unless we are connected; returns the library."""
    # A cluster that we start ourselves reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as exc:
        raise ConfigError("--ray needs Ray: pip install 'wakeword[cluster]'") from exc
    if not ray.is_initialized():
        host, _, port = address.rpartition(":")
        try:
            if port.isdecimal():  # Ray itself would try for minutes
                socket.create_connection((host.rpartition("/")[2], int(port)), REACHED_S).close()
            ray.init(address=address, logging_level="WARNING")
        except (OSError, RuntimeError, ValueError) as exc:
            raise WakewordError(
                f"--ray {address}: no cluster there ({_first_line(exc)}): start one with "
                "`ray start --head`, and name it by the address that this prints"
            ) from exc
    return ray


def _put(ray: Any, argument: Any) -> Any:
    """Put what workers lack into the object store."""
    if isinstance(argument, ArrayFile):
        # A plain view of the mapped file is stored without another copy of it.
        return ray.put(np.asarray(argument.load()))
    if isinstance(argument, Files):
        return {path: ray.put(np.fromfile(path, np.uint8)) for path in argument.paths}
    return argument


class _Tasks(Queue):
    """Jobs as tasks of Ray, one for each core."""

    def __init__(self, ray: Any, pool: str, beginning: Any) -> None:
        self._ray = ray
        self._beginning = [beginning]  # within a list it stays a reference, read once a worker
        # Workers with another environment are other processes: those of an earlier pool, with
        # what they have loaded, end.
        self._run = ray.remote(_run).options(
            num_cpus=1, max_retries=TRIES, runtime_env={"env_vars": {POOL: pool}}
        )
        self._waiting: set[Any] = set()

    def workers(self) -> int:
        """Count the cores of the machines that are there now."""
        return max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def begin(self, function: Callable[..., Any], job: Sequence[Any]) -> Any:
        """Hand out a job."""
        key = self._run.remote(self._beginning, function, *job)
        self._waiting.add(key)
        return key

    def wait(self, waiting: Collection[Any]) -> Collection[Any]:
        """Wait for a job, and for its result to be here."""
        done: Collection[Any] = self._ray.wait(list(waiting))[0]
        return done

    def result(self, key: Any) -> Any:
        """Give a result."""
        self._waiting.discard(key)
        try:
            return pickle.loads(self._ray.get(key))  # nosec B301 # our own workers made it
        except self._ray.exceptions.RayTaskError as exc:
            raise exc.cause from None  # as the worker raised it

    def cancel(self) -> None:
        """Drop what nobody waits for any more."""
        for key in self._waiting:
            self._ray.cancel(key)


_begun = ""  # the pool that this worker is of


def _run(beginning: Sequence[Any], function: Callable[..., Any], *job: Any) -> bytes:
    """Do a job in a worker, which begins with its first one; returns the result, pickled.

    As it is, an array would lie in the object store for as long as anybody keeps it.
    """
    global _begun
    if _begun != os.environ[POOL]:
        _initialize(*beginning)
        _begun = os.environ[POOL]
    return pickle.dumps(function(*job), pickle.HIGHEST_PROTOCOL)


def _initialize(beginning: Any) -> None:
    """Begin a worker: make sure that it is as we are, and fetch what it needs."""
    import ray

    _, theirs, initializer, initargs = ray.get(beginning)
    if wrong := _differences(theirs, versions()):
        raise ConfigError(
            f"a worker on {platform.node()} has other versions, which may give other bytes for the "
            f"same seed: {wrong}; install the same ones there"
        )
    if initializer is not None:
        initializer(*(_fetch(argument) for argument in initargs))


def _fetch(argument: Any) -> Any:
    """Get from the object store what :func:`_put` put there."""
    import ray

    if isinstance(argument, ray.ObjectRef):
        return ray.get(argument)
    if isinstance(argument, dict):
        return {name: _fetch(value) for name, value in argument.items()}
    return argument


def _differences(ours: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Name what differs from the process that asks, among what that one has.

    >>> _differences({"numpy": "2.1", "soxr": "1"}, {"numpy": "2.0", "onnx": "1"})
    'numpy 2.0 instead of 2.1, soxr none instead of 1'
    """
    return ", ".join(
        f"{name} {here.get(name, 'none')} instead of {wanted}"
        for name, wanted in ours.items()
        if here.get(name) != wanted
    )


def _first_line(exc: BaseException) -> str:
    """Shorten what Ray says, which can be a page."""
    return next(iter(str(exc).strip().splitlines()), type(exc).__name__)
