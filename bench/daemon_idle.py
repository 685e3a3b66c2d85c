"""What the daemon costs beside the bare detector, in real time, with nobody saying anything.

    python bench/daemon_idle.py --seconds 120 --markdown docs/BENCHMARKS.md

Two processes hear the same noise at the same time, in 30 ms chunks that come when a microphone
would hand them over: one has a detector of three words and nothing else, the other is the daemon
with MQTT (a real mosquitto) and the metrics page, asked every 15 s. What counts is the CPU time of
each process while it listens.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from daemon_day import free_port, wait_for
from machine import machine, put_section, versions
from peers import ROOT, noise

RATE_HZ = 16_000
CHUNK = 480
SCRAPE_S = 15.0
WORDS = ("computer", "jarvis", "alexa")
CONFIG = """
state = "{folder}"
[audio]
source = "stdin"
[word.computer]
[word.jarvis]
[word.alexa]
[metrics]
address = "127.0.0.1:{metrics}"
[action.home]
kind = "mqtt"
host = "127.0.0.1"
port = {mqtt}
node = "bench"
"""


def paced(seconds: float) -> Iterator[Any]:
    """Yield chunks of noise when they are due; the first two seconds warm up."""
    import numpy as np

    sound = np.frombuffer(noise(30.0), np.int16)
    chunks = [sound[at : at + CHUNK] for at in range(0, len(sound), CHUNK)]
    began = time.monotonic()
    for number in range(int((seconds + 2) * RATE_HZ / CHUNK)):
        time.sleep(max(0.0, began + number * CHUNK / RATE_HZ - time.monotonic()))
        yield chunks[number % len(chunks)]


class Meter:
    """CPU seconds of the process, from two seconds after the start on."""

    def __init__(self) -> None:
        self.count = 0
        self._began = 0.0

    def tick(self) -> None:
        self.count += 1
        if self.count == 2 * RATE_HZ // CHUNK:
            self._began = time.process_time()

    def spent_s(self) -> float:
        return time.process_time() - self._began


def bare(seconds: float) -> float:
    """The detector alone."""
    from wakeword import Detector

    detector = Detector.load(*WORDS)
    meter = Meter()
    for samples in paced(seconds):
        detector.feed(samples)
        meter.tick()
    return meter.spent_s()


def daemon(seconds: float, config: Path) -> float:
    """The daemon around it."""
    from wakeword.daemon.service import Service
    from wakeword.sources import Chunk

    meter = Meter()
    spent = []

    def sound() -> Iterator[Chunk]:
        for samples in paced(seconds):
            yield Chunk(samples)
            meter.tick()
        spent.append(meter.spent_s())

    Service(config, source=sound()).run()
    return spent[0]


def measure(seconds: float, folder: Path) -> dict[str, float]:
    """Run both at once."""
    mqtt, metrics = free_port(), free_port()
    broker = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if broker is None:
        raise SystemExit("mosquitto is missing: apt install mosquitto")
    (folder / "w.toml").write_text(CONFIG.format(folder=folder, mqtt=mqtt, metrics=metrics))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([broker, "-p", str(mqtt)], **quiet)  # type: ignore[call-overload]
    try:
        command = [sys.executable, __file__, "--seconds", str(seconds), "--as"]
        runs = {
            "bare": subprocess.Popen([*command, "bare"], stdout=subprocess.PIPE, text=True),
            "daemon": subprocess.Popen(
                [*command, str(folder / "w.toml")], stdout=subprocess.PIPE, text=True
            ),
        }
        url = f"http://127.0.0.1:{metrics}/metrics"
        wait_for(lambda: reachable(url))
        while any(run.poll() is None for run in runs.values()):
            time.sleep(SCRAPE_S)
            reachable(url)
        return {name: float(run.communicate()[0].split()[-1]) for name, run in runs.items()}
    finally:
        server.kill()
        server.wait()


def reachable(url: str) -> bool:
    """Ask for the metrics, as Prometheus would."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # nosec B310 # our own page
            return bool(answer.read())
    except OSError:
        return False


def page(run: dict[str, Any]) -> str:
    """Write the result as Markdown."""
    spent, seconds = run["spent"], run["seconds"]
    rows = [
        f"| {name} | {spent[key]:.3f} | {100 * spent[key] / seconds:.3f} |"
        for key, name in (("bare", "detector alone"), ("daemon", "daemon"))
    ]
    ratio = spent["daemon"] / spent["bare"]
    return "\n".join([
        "## What the daemon costs", "",
        f"`{run['command']}`, {run['date']}. {run['machine']}. {run['versions']}.", "",
        f"Three words, 30 ms chunks in real time, {seconds:g} s.", "",
        "| | CPU s | % of a core |", "|---|---|---|", *rows, "",
        f"The daemon took {ratio:.2f} times the CPU time of the detector.",
    ])  # fmt: skip


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--markdown", type=Path, help="write the table into this page")
    parser.add_argument("--as", dest="what", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.what:
        print(bare(args.seconds) if args.what == "bare" else daemon(args.seconds, Path(args.what)))
        return 0
    with tempfile.TemporaryDirectory(prefix="idle-") as name:
        spent = measure(args.seconds, Path(name))
    run = {
        "command": f"python bench/daemon_idle.py --seconds {args.seconds:g}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(("wakeword", "ai-edge-litert", "paho-mqtt", "prometheus-client")),
        "seconds": args.seconds,
        "spent": spent,
    }
    if args.json:
        args.json.write_text(json.dumps(run, indent=1) + "\n")
    if args.markdown:
        put_section(args.markdown, "daemon idle", page(run))
    print(page(run))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
