"""The daemon's sound: sources that wait for a device, and that can be told to stop."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any

from wakeword.audio import RATE_HZ
from wakeword.daemon.settings import AudioConfig
from wakeword.devices import load_sounddevice, rescan
from wakeword.errors import DeviceError
from wakeword.microphone import BACKOFF_S, Clock, Microphone
from wakeword.sinks.outage import Outage
from wakeword.sources import Chunk, raw_chunks

__all__ = ["StopListening", "StoppableClock", "StoppableStream", "chunks"]

SLICE_S = 0.25  # how often a wait looks whether it is to stop

log = logging.getLogger("wakeword")


class StopListening(Exception):  # noqa: N818 - no error: somebody asked for it
    """Raised within a source that waits, to end it."""


class StoppableClock:
    """A clock whose waits end with StopListening once it is time to stop.

    A signal handler only sets a flag: it may run while the interrupted thread holds any lock.
    """

    def __init__(self, clock: Clock, stopped: Callable[[], bool]) -> None:
        self._clock = clock
        self._stopped = stopped

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Sleep, in slices."""
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, in slices."""
        deadline_s = self._clock.now() + seconds
        while True:
            if self._stopped():
                raise StopListening
            left_s = deadline_s - self._clock.now()
            if self._clock.wait(event, max(0.0, min(SLICE_S, left_s))):
                return True
            if left_s <= SLICE_S:
                return False


class StoppableStream:
    """Standard input, read so that a signal ends the wait for it."""

    def __init__(self, handle: int, stopped: Callable[[], bool]) -> None:
        self._handle = handle
        self._stopped = stopped

    def read1(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes as soon as there are any, none at the end."""
        while not select.select([self._handle], [], [], SLICE_S)[0]:
            if self._stopped():
                raise StopListening
        return os.read(self._handle, size)


def chunks(
    config: AudioConfig, clock: Clock, stopped: Callable[[], bool], sounddevice: Any = None
) -> Iterator[Chunk]:
    """Yield the sound that a configuration names; patient with a microphone that is not there yet.

    Args:
        config: the source; not "none".
        clock: time.
        stopped: tells whether to end.
        sounddevice: the module of that name; None imports it.

    Raises:
        StopListening: ``stopped`` became true during a wait.
        DeviceError: a library is missing.
        ConfigError: the device has no such channel.
    """
    clock = StoppableClock(clock, stopped)
    if config.source == "stdin":
        yield from raw_chunks(StoppableStream(0, stopped), rate_hz=config.rate_hz or RATE_HZ)
        return
    sd = sounddevice or load_sounddevice()
    absent = Outage("microphone", clock)
    tries = 0
    while True:
        microphone = Microphone(
            config.device,
            channel=config.channel,
            rate_hz=config.rate_hz,
            sounddevice=sd,
            clock=clock,
        )
        try:
            for chunk in microphone:
                absent.over()
                yield chunk
        except DeviceError as exc:  # it never opened: once it has, it is waited for
            absent.failed(f"{exc}; waiting for it")
        clock.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
        tries += 1
        try:
            rescan(sd)
        except DeviceError as exc:
            absent.failed(exc)
