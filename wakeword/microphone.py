"""A live microphone: PortAudio's callbacks, a bounded queue, and patience when it is unplugged."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wakeword.audio import RATE_HZ, Resampler, check_rate, mix_down
from wakeword.devices import InputDevice, find_device, load_sounddevice, rescan
from wakeword.errors import ConfigError, DeviceError
from wakeword.sources import BLOCK_MS, Chunk

__all__ = ["BlockQueue", "Clock", "Microphone", "SystemClock"]

QUEUE_MS = 2_000  # how far the consumer may fall behind before samples are dropped
SILENCE_S = 2.0  # no callback for so long: the device is gone, though nobody said so
BACKOFF_S = (0.25, 0.5, 1.0, 2.0, 5.0)  # waits before each try to reopen; the last repeats
REPORT_S = 5.0  # at most one line about lost samples in this time
COMMON_RATES_HZ = (48_000, 44_100, 16_000)  # tried when a device refuses its own default

log = logging.getLogger("wakeword")


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> float:
        """Seconds since any fixed moment."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; return whether it is."""


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event."""
        return event.wait(seconds)


class BlockQueue:
    """A bounded queue between PortAudio's thread and ours.

    ``put`` only copies, counts and returns. When the queue is full the new block is dropped, and
    the next one that fits says how many frames are missing before it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.filled = threading.Event()
        self.ended = False
        self._blocks: deque[tuple[bytes, int, int]] = deque()
        self._dropped = 0
        self._overflows = 0

    def put(self, data: Any, frames: int, overflow: bool) -> None:
        """Take a block from the callback; never blocks, never raises for want of room."""
        self._overflows += overflow
        if len(self._blocks) >= self.limit:
            self._dropped += frames
        else:
            self._blocks.append((bytes(data), self._dropped, self._overflows))
            self._dropped = self._overflows = 0
        self.filled.set()

    def end(self) -> None:
        """Say that no block will come any more."""
        self.ended = True
        self.filled.set()

    def take(self) -> tuple[bytes, int, int] | None:
        """Return the oldest (block, frames dropped before it, overflows before it), or None."""
        if self._blocks:
            return self._blocks.popleft()
        self.filled.clear()
        # A put between the two lines above has its block seen here, and its event lost harmlessly.
        return self._blocks.popleft() if self._blocks else None


@dataclass(slots=True)
class _Open:
    """A running PortAudio stream and what is needed to read it."""

    stream: Any
    queue: BlockQueue
    device: InputDevice
    rate_hz: int
    channels: int

    def close(self) -> None:
        """Close the stream, once: PortAudio forgets its address when it rescans."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close(ignore_errors=True)  # it may be dead already


class Microphone:
    """A live microphone through PortAudio, as an endless iterator of `Chunk`.

    It runs at the device's own default rate and is resampled to 16 kHz. The callback only copies
    into a bounded queue. When the stream ends by itself or falls silent (no callbacks; quiet audio
    is no silence), the device is looked for until it returns, by name: "device lost" and "device
    back" go to the log ``wakeword`` as warnings.

    Args:
        device: index, or a part of the name, or None for the system's default.
        channel: 0-based channel; None asks for mono, or averages all where there is no mono.
        rate_hz: the rate to open the device at; None for its own default.
        sounddevice: the module of that name, or one that behaves like it; None imports it.
        clock: time; None for the real one.

    Raises (when iterated):
        DeviceError: sounddevice or PortAudio is missing, or the device cannot be opened the first
            time. Once it has been open, it is waited for.
        ConfigError: the device has no such channel, or the rate is out of range.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        channel: int | None = None,
        rate_hz: float | None = None,
        sounddevice: Any = None,
        clock: Clock | None = None,
    ) -> None:
        self.device = device
        self.channel = channel
        self.rate_hz = None if rate_hz is None else check_rate(rate_hz, "--rate", ConfigError)
        self._sounddevice = sounddevice
        self._clock = clock or SystemClock()
        self._lost_samples = 0
        self._lost_times = 0
        self._next_report_s = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        sd = self._sounddevice or load_sounddevice()
        running = self._open(sd, self.device)
        device = running.device
        log.info("listening to %s at %d Hz", device.name, running.rate_hz)
        restarted = False
        try:
            while True:
                try:
                    yield from self._read(running, restarted)
                except DeviceError as exc:
                    log.warning("device lost: %s; waiting for it", exc)
                running.close()
                running = self._reopen(sd, device)
                restarted = True
                log.warning("device back: %s at %d Hz", running.device.name, running.rate_hz)
        finally:
            running.close()

    def _open(self, sd: Any, wanted: int | str | None) -> _Open:
        """Open the device in the first form it accepts."""
        device = find_device(sd, wanted)
        if self.channel is not None and not 0 <= self.channel < device.channels:
            raise ConfigError(
                f"channel={self.channel}: {device.name} has {device.channels}, counted from 0; "
                f"choose 0 to {device.channels - 1}"
            )
        # Some arrays open only with all their channels, some devices lie about their default rate.
        need = 1 if self.channel is None else self.channel + 1
        rates = [self.rate_hz] if self.rate_hz else [device.rate_hz, *COMMON_RATES_HZ]
        why: Exception | None = None
        for channels in dict.fromkeys([need, device.channels]):
            for rate_hz in dict.fromkeys(rates):
                try:
                    return _start(sd, device, rate_hz, channels)
                except (sd.PortAudioError, ValueError) as exc:
                    why = why or exc
        raise DeviceError(
            f"{device.name}: cannot be opened at {rates[0]} Hz ({why}); check that no other "
            "program holds it, or choose another with --device (see: wakeword devices)"
        ) from why

    def _reopen(self, sd: Any, device: InputDevice) -> _Open:
        """Wait for the device to come back; there is no end to patience."""
        # An index may belong to another device after a rescan; the name stays.
        wanted = device.base_name if isinstance(self.device, int) else self.device
        tries = 0
        while True:
            self._clock.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1
            try:
                rescan(sd)
                running = self._open(sd, wanted)
            except (DeviceError, ConfigError) as exc:
                log.debug("try %d: %s", tries, exc)
                continue
            # Some dead devices open and stay silent: it is back when the first block is there.
            if self._clock.wait(running.queue.filled, SILENCE_S) and not running.queue.ended:
                return running
            running.close()

    def _read(self, running: _Open, restarted: bool) -> Iterator[Chunk]:
        """Yield chunks until the stream is lost, which raises DeviceError."""
        queue, resampler = running.queue, Resampler(running.rate_hz)
        lost = overflowed = 0
        while True:
            block = queue.take()
            if block is None:
                if queue.ended:
                    raise DeviceError(f"{running.device.name} stopped")
                if not self._clock.wait(queue.filled, SILENCE_S):
                    raise DeviceError(f"{running.device.name} gave nothing for {SILENCE_S:g} s")
                continue
            data, dropped, overflows = block
            lost += round(dropped * RATE_HZ / running.rate_hz)
            overflowed += overflows
            if dropped or overflows:
                self._report(round(dropped * RATE_HZ / running.rate_hz), overflows)
            frames = np.frombuffer(data, np.int16).reshape(-1, running.channels)
            samples = resampler.feed(mix_down(frames, self.channel))
            if len(samples):
                yield Chunk(samples, lost, overflowed, restarted)
                lost = overflowed = 0
                restarted = False

    def _report(self, dropped: int, overflows: int) -> None:
        """Log lost samples, at most one line in REPORT_S."""
        self._lost_samples += dropped
        self._lost_times += overflows
        if self._clock.now() >= self._next_report_s:
            log.warning(
                "fell behind: %.2f s of audio dropped, %d overflows in the audio system",
                self._lost_samples / RATE_HZ,
                self._lost_times,
            )
            self._lost_samples = self._lost_times = 0
            self._next_report_s = self._clock.now() + REPORT_S


def _start(sd: Any, device: InputDevice, rate_hz: int, channels: int) -> _Open:
    """Open and start one stream, or raise what sounddevice raises."""
    queue = BlockQueue(QUEUE_MS // BLOCK_MS)

    def callback(data: Any, frames: int, _time: Any, status: Any) -> None:
        queue.put(data, frames, bool(status.input_overflow))

    stream = sd.RawInputStream(
        device=device.index,
        samplerate=rate_hz,
        channels=channels,
        dtype="int16",
        blocksize=round(rate_hz * BLOCK_MS / 1000),
        callback=callback,
        finished_callback=queue.end,
    )
    try:
        stream.start()
    except sd.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    return _Open(stream, queue, device, rate_hz, channels)
