"""A long stream: does listening stay as cheap as it began, and does memory stay flat?

    python bench/long_run.py --markdown docs/BENCHMARKS.md

One detector in one process hears a minute of changing noise over and over, in 80 ms chunks, as fast
as it can. CPU time is that of the process; memory is what is resident at each mark.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from machine import machine, put_section, versions
from peers import ROOT, noise

RATE_HZ = 16_000
CHUNK = 1_280


def resident_mb() -> float:
    """Memory in use now; where the system does not say, the peak so far."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def long_run(bundle: str, marks_min: list[float]) -> list[dict[str, float]]:
    """Listen up to the last mark; give CPU seconds and memory at each."""
    import numpy as np

    from wakeword import Detector

    detector = Detector.load(bundle)
    minute = np.frombuffer(noise(60.0), np.int16)
    chunks = [minute[at : at + CHUNK] for at in range(0, len(minute), CHUNK)]
    for chunk in chunks[:25]:  # 2 s: caches and allocators are warm
        detector.feed(chunk)
    found, heard, fired = [], 0, 0
    began = time.process_time()
    for mark in marks_min:
        while heard < mark * 60 * RATE_HZ:
            chunk = chunks[heard // CHUNK % len(chunks)]
            fired += len(detector.feed(chunk))
            heard += len(chunk)
        found.append(
            {"minutes": mark, "cpu_s": time.process_time() - began, "rss_mb": resident_mb(),
             "detections": fired}
        )  # fmt: skip
    return found


def page(run: dict[str, Any]) -> str:
    """Write the result as Markdown."""
    marks = run["marks"]
    first, last = marks[0], marks[-1]
    times = last["minutes"] / first["minutes"]
    lines = [
        "## A long stream", "",
        f"`{run['command']}`, {run['date']}. {run['machine']}. {run['versions']}.", "",
        "| after, min | CPU s | CPU ms per second of audio | memory in use, MB |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for mark in marks:
        rate = 1000 * mark["cpu_s"] / (60 * mark["minutes"])
        lines.append(
            f"| {mark['minutes']:g} | {mark['cpu_s']:.2f} | {rate:.2f} | {mark['rss_mb']:.1f} |"
        )
    growth = last["rss_mb"] - first["rss_mb"]
    cost = last["cpu_s"] / first["cpu_s"]
    lines += ["", f"{times:g} times the audio took {cost:.2f} times the CPU time; "
              f"memory changed by {growth:+.2f} MB."]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", default="computer_jarvis", help="default: the shipped one")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 20, 30, 40, 50, 60])
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--markdown", type=Path, help="write the table into this page")
    args = parser.parse_args()
    result = {
        "command": f"python bench/long_run.py --bundle {Path(args.bundle).name}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(("wakeword", "ai-edge-litert", "pymicro-features", "numpy")),
        "marks": long_run(args.bundle, sorted(args.minutes)),
    }
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.markdown:
        put_section(args.markdown, "long run", page(result))
    print(page(result))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
