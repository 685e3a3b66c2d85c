"""One engine in one process: load it, stream audio through it, print what that cost as JSON.

Started by ``peers.py``: ``python engines.py ENGINE AUDIO CHUNK STARTED [BUNDLE]``. AUDIO is raw
int16 at 16 kHz, CHUNK a count of samples, STARTED the monotonic clock of the parent when it started
this process. Imports are inside the engines: each pays for its own, and only for its own.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

RATE_HZ = 16_000
Feed = Callable[[bytes], int]


def ours(bundle: str) -> Feed:
    """This package, as anyone uses it: int16 arrays in, detections out."""
    import numpy as np

    from wakeword import Detector

    detector = Detector.load(bundle)
    return lambda chunk: len(detector.feed(np.frombuffer(chunk, np.int16)))


def pymicro(_: str) -> Feed:
    """The loop of pymicro-wakeword's own command line."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    word, features = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
    return lambda chunk: sum(
        bool(word.process_streaming(frame)) for frame in features.process_streaming(chunk)
    )


def pyopen(_: str) -> Feed:
    """The loop of pyopen-wakeword's own command line."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    word, features = OpenWakeWord.from_builtin(Model.ALEXA), OpenWakeWordFeatures.from_builtin()
    return lambda chunk: sum(
        prob > 0.5
        for frame in features.process_streaming(chunk)
        for prob in word.process_streaming(frame)
    )


ENGINES: dict[str, Callable[[str], Feed]] = {"ours": ours, "pymicro": pymicro, "pyopen": pyopen}


def peak_mb() -> float:
    """Most memory this process ever had resident.

    Not ru_maxrss where Linux tells better: that is carried over from the parent's fork.
    """
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Measure and print."""
    engine, audio, chunk_text, started, *rest = sys.argv[1:]
    size = 2 * int(chunk_text)
    data = Path(audio).read_bytes()
    feed = ENGINES[engine](rest[0] if rest else "")
    loaded_cpu = time.process_time()
    chunks = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    first = -(-2 * RATE_HZ // size)
    for chunk in chunks[:first]:
        feed(chunk)
    ready, ready_cpu = time.monotonic() - float(started), time.process_time()
    fired = 0
    for chunk in chunks[first:]:
        fired += feed(chunk)
    spent = time.process_time() - ready_cpu
    seconds = (len(chunks) - first) * size / (2 * RATE_HZ)
    print(
        json.dumps(
            {
                "cpu_ms_per_s": 1000 * spent / seconds,
                "load_cpu_s": loaded_cpu,
                "ready_s": ready,
                "peak_mb": peak_mb(),
                "seconds": seconds,
                "fired": fired,
            }
        )
    )


if __name__ == "__main__":
    main()
