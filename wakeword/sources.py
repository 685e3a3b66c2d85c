"""Where audio comes from: raw samples on standard input, a file; a microphone has its own module.

Every source is an iterator of `Chunk`: int16, mono, 16 kHz, plus what went wrong just before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, Resampler, iter_audio
from wakeword.errors import AudioFormatError

__all__ = ["BLOCK_MS", "Chunk", "file_chunks", "raw_chunks"]

BLOCK_MS = 30  # how often a live source hands over: one step of the default model

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples, and what was lost before them.

    Attributes:
        samples: int16 (N,), 16 kHz mono, N at least 1.
        dropped: samples (16 kHz) thrown away just before these, because the consumer was late.
        overflows: how often PortAudio reported that it lost samples itself (it does not say how
            many).
        restarted: the device was lost and came back: what came before has nothing to do with this.
    """

    samples: NDArray[np.int16]
    dropped: int = 0
    overflows: int = 0
    restarted: bool = False


class ByteStream(Protocol):
    """What `raw_chunks` reads from, such as ``sys.stdin.buffer``."""

    def read1(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes as soon as there are any, none at the end."""


def file_chunks(
    path: str | Path, chunk_samples: int = RATE_HZ, *, channel: int | None = None
) -> Iterator[Chunk]:
    """Stream a file; arguments and errors as `wakeword.audio.iter_audio`."""
    for samples in iter_audio(path, chunk_samples, channel=channel):
        yield Chunk(samples)


def raw_chunks(stream: ByteStream, *, rate_hz: float = RATE_HZ) -> Iterator[Chunk]:
    """Stream raw PCM: int16, little endian, mono, no header.

    Chunks come as the bytes do, so a live pipe is not held up. A sample split between two reads is
    put together; an odd byte at the very end is left out, with a warning.

    Args:
        stream: binary, with ``read1``.
        rate_hz: rate of the samples, 4000 to 768000.

    Raises:
        AudioFormatError: the stream is a WAV file, or holds no sample.
        ConfigError: the rate is out of range.
    """
    resampler = Resampler(rate_hz)
    size = max(2, 2 * round(rate_hz * BLOCK_MS / 1000))
    odd = b""
    seen = 0
    while data := stream.read1(size):
        if seen == 0 and (odd + data).startswith(b"RIFF"):
            raise AudioFormatError(
                "standard input is a WAV file: need raw int16 samples; use `arecord -t raw`, or "
                "name the file: wakeword detect FILE"
            )
        data = odd + data
        whole = len(data) // 2 * 2
        odd = data[whole:]
        seen += whole
        samples = resampler.feed(np.frombuffer(data[:whole], dtype="<i2"))
        if len(samples):
            yield Chunk(samples)
    if odd:
        log.warning("standard input ended in the middle of a sample: 1 byte left out")
    if seen == 0:
        raise AudioFormatError(
            "standard input held no samples: need raw int16 little endian mono; "
            "look for an error of the program before the pipe"
        )
    rest = resampler.finish()
    if len(rest):
        yield Chunk(rest)
