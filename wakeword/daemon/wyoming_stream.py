"""One client's sound: at the rate and in the form in which it comes, to detections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, Resampler, mix_down, to_int16
from wakeword.daemon.models import Models
from wakeword.daemon.wyoming_wire import Message, WireError
from wakeword.detector import Detector

__all__ = ["WyomingStream", "form_of", "pcm"]

RATES_HZ = (8_000, 192_000)
CHANNELS = 8
WIDTHS = {1: "u1", 2: "<i2", 4: "<i4"}
SLICE = RATE_HZ // 2  # samples after which other clients get their turn

Send = Callable[[str, Mapping[str, Any]], None]


def form_of(message: Message) -> tuple[int, int, int]:
    """Return rate in Hz, bytes a sample, and channels of ``audio-start`` or ``audio-chunk``.

    Raises:
        WireError: a form of sound that nobody sends.
    """
    return (
        _whole(message, "rate", *RATES_HZ),
        _whole(message, "width", 1, 4),
        _whole(message, "channels", 1, CHANNELS),
    )


def pcm(payload: bytes, width: int, channels: int) -> NDArray[Any]:
    """Make samples (N,) of raw PCM: unsigned 8 bits, or signed 16, 24 or 32, little endian.

    Raises:
        WireError: not a whole number of frames.
    """
    if len(payload) % (width * channels):
        raise WireError(f"payload of {len(payload)} bytes: need whole frames of {width * channels}")
    if width == 3:  # to the upper bytes of four
        wide = np.zeros((len(payload) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(payload, np.uint8).reshape(-1, 3)
        samples: NDArray[Any] = wide.reshape(-1).view("<i4")
    else:
        samples = np.frombuffer(payload, WIDTHS[width])
    if width != 2:
        samples = to_int16(samples)
    return mix_down(samples.reshape(-1, channels))


class WyomingStream:
    """The detector of one client, made when its sound begins.

    Args:
        models: what there is to listen for; may be exchanged before :meth:`choose`.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self._words: Sequence[str] = models.words
        self._detector: Detector | None = None
        self._resampler: Resampler | None = None
        self._clock_ms = 0.0  # the client's own time at the end of what was fed
        self._found = 0

    def choose(self, names: Sequence[str]) -> list[str]:
        """Listen for these words from now on, or for all if there is none; return unknown ones."""
        known = self.models.words
        self._words = [w for w in known if w in names] if names else known
        self._detector = None
        return [name for name in names if name not in known]

    async def take(self, message: Message, send: Send) -> None:
        """Take ``audio-start``, ``audio-chunk`` or ``audio-stop``, and send what was heard.

        Raises:
            WireError: a form of sound that nobody sends.
            WakewordError: the detector cannot be made.
        """
        if message.type == "audio-start":
            await self._begin(message)
        elif message.type == "audio-chunk":
            await self._chunk(message, send)
        else:
            await self._end(send)

    async def _begin(self, message: Message) -> None:
        """Start anew."""
        if self._detector is not None:
            self._detector.reset()
        self._resampler = None
        self._found = 0
        self._clock_ms = _time_ms(message)

    async def _chunk(self, message: Message, send: Send) -> None:
        """Hear one piece."""
        rate_hz, width, channels = form_of(message)
        if self._resampler is None or self._resampler.rate_hz != rate_hz:
            self._resampler = Resampler(rate_hz)
        if message.data.get("timestamp") is not None:
            self._clock_ms = _time_ms(message)
        samples = pcm(message.payload, width, channels)
        await self._feed(self._resampler.feed(samples), send)
        self._clock_ms += 1000 * len(samples) / rate_hz

    async def _end(self, send: Send) -> None:
        """Hear the last word out, and say so if there was none."""
        if self._resampler is not None:
            await self._feed(self._resampler.finish(), send)
            await self._feed(np.zeros(SLICE, np.int16), send)
        if not self._found:
            send("not-detected", {})
        await self._begin(Message("audio-start"))

    async def _feed(self, samples: NDArray[np.int16], send: Send) -> None:
        """Run the detector, in slices between which others are served."""
        if not self._words or not len(samples):
            return
        if self._detector is None:
            make = self.models.detector
            loop = asyncio.get_running_loop()
            self._detector = await loop.run_in_executor(None, make, list(self._words))
        for at in range(0, len(samples), SLICE):
            for found in self._detector.feed(samples[at : at + SLICE]):
                self._found += 1
                send("detection", {"name": found.word, "timestamp": round(self._clock_ms)})
            if len(samples) > SLICE:
                await asyncio.sleep(0)


def _whole(message: Message, name: str, low: int, high: int) -> int:
    """Return a whole number of a message's data."""
    value = message.data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise WireError(f"{name}={str(value)[:40]}: need a whole number from {low} to {high}")
    return value


def _time_ms(message: Message) -> float:
    """Return the timestamp of a message, 0 where it has none."""
    value = message.data.get("timestamp")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        return 0.0
    return float(value)
