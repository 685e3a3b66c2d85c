"""What the page costs the thread that listens, beside the detector, for a second of sound.

    python bench/page_cost.py

Each figure is the least of five rounds over a minute of the recording that ships, in 30 ms chunks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from machine import machine

from wakeword import Detector
from wakeword.audio import RATE_HZ, read_audio
from wakeword.daemon.ring import Ring
from wakeword.sources import Chunk
from wakeword.web.monitor import Monitor

ROOT = Path(__file__).parents[1]
CHUNK = RATE_HZ * 3 // 100
SECONDS = 60
ROUNDS = 5


def main() -> None:
    sound = read_audio(ROOT / "wakeword/demo/computer.flac")
    starts = [(n * CHUNK) % (len(sound) - CHUNK) for n in range(SECONDS * RATE_HZ // CHUNK)]
    chunks = [Chunk(sound[at : at + CHUNK]) for at in starts]
    detector = Detector.load("computer", "jarvis")
    print(machine())
    print(f"detector, two words: {ms(lambda c, n: detector.feed(c.samples), chunks):.2f} ms")
    for watched in (False, True):
        monitor, ring = Monitor(), Ring(5 * RATE_HZ)
        monitor.watched = watched
        monitor.tell = lambda kind, fields: json.dumps(fields)

        def look(chunk: Chunk, heard: int, monitor: Monitor = monitor, ring: Ring = ring) -> None:
            monitor.look(chunk, detector, ring, heard)

        print(f"page, {'one open' if watched else 'none open'}: {ms(look, chunks):.2f} ms")


def ms(work: Callable[[Chunk, int], object], chunks: list[Chunk]) -> float:
    """Milliseconds of processor time for a second of sound."""
    times = []
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for number, chunk in enumerate(chunks, start=1):
            work(chunk, number * CHUNK)
        times.append(time.thread_time() - began_s)
    return 1000 * min(times) / SECONDS


if __name__ == "__main__":
    main()
