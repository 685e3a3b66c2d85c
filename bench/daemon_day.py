"""A day of sound through the whole daemon, as fast as it goes: is anything lost, does memory grow?

    python bench/daemon_day.py --hours 24 --markdown docs/BENCHMARKS.md

A minute of changing noise with a recording of two words in it is heard again and again by
`wakeword.daemon.service.Service`, with a webhook, MQTT, lines at a unix socket and at a port, a
program and the metrics page switched on. Whoever receives runs in another process and writes down
every id. CPU time and memory are those of the daemon's process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from long_run import resident_mb
from machine import machine, put_section, versions
from peers import ROOT, noise

RATE_HZ = 16_000
CHUNK = 480  # as the microphone hands over
PATIENCE_S = 120.0
CONFIG = """
state = "{folder}/state"
[audio]
source = "stdin"
[word.computer]
[word.jarvis]
[action.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/"
[action.lines]
kind = "socket"
path = "{folder}/s"
[action.far]
kind = "socket"
address = "127.0.0.1:{far}"
[action.program]
kind = "command"
run = ["true"]
timeout_s = 60
waiting = 1000
[metrics]
address = "127.0.0.1:0"
"""
MQTT = """
[action.home]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
node = "bench"
"""


def receive(folder: Path, mqtt_port: int, far: int) -> None:
    """Take events over HTTP, both sockets and MQTT, and write each id down; runs until killed."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    files = {
        n: (folder / f"{n}.ids").open("w", buffering=1) for n in ("hook", "lines", "far", "home")
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            files["hook"].write(json.loads(body)["id"] + "\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    def lines(name: str, family: int, address: Any) -> None:
        client = socket.socket(family)
        while client.connect_ex(address):
            client.close()
            time.sleep(0.05)
            client = socket.socket(family)
        (folder / f"{name} connected").touch()
        with client:
            for line in client.makefile("rb"):
                files[name].write(json.loads(line)["id"] + "\n")

    for to in (("lines", socket.AF_UNIX, str(folder / "s")),
               ("far", socket.AF_INET, ("127.0.0.1", far))):  # fmt: skip
        threading.Thread(target=lines, args=to, daemon=True).start()
    if mqtt_port:
        from paho.mqtt import client as paho

        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _d, m: files["home"].write(
            json.loads(m.payload)["id"] + "\n"
        )
        client.connect("127.0.0.1", mqtt_port)
        client.subscribe("wakeword/bench/event", qos=1)
        client.loop_start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (folder / "port").write_text(str(server.server_address[1]))
    server.serve_forever()


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(fact: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit("gave up waiting")
        time.sleep(0.01)


def day(minutes: int, marks: list[int], folder: Path) -> dict[str, Any]:
    """Hear so many minutes; return counts, and CPU seconds and memory at each mark."""
    import numpy as np

    from wakeword.audio import read_audio
    from wakeword.daemon.service import Service
    from wakeword.sources import Chunk

    logging.getLogger("wakeword").setLevel(logging.WARNING)
    broker, mqtt_port = None, 0
    if mosquitto := shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"):
        mqtt_port = free_port()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        broker = subprocess.Popen([mosquitto, "-p", str(mqtt_port)], **quiet)  # type: ignore[call-overload]
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", mqtt_port)) == 0)
    far = free_port()
    command = [sys.executable, __file__, "--receive", str(folder), "--mqtt-port", str(mqtt_port)]
    command += ["--far-port", str(far)]
    receiver = subprocess.Popen(command)
    try:
        wait_for(lambda: (folder / "port").exists() and (folder / "port").read_text())
        text = CONFIG.format(folder=folder, far=far, port=(folder / "port").read_text())
        (folder / "w.toml").write_text(text + (MQTT.format(port=mqtt_port) if mqtt_port else ""))
        minute = np.frombuffer(noise(60.0), np.int16).copy()
        words = read_audio(ROOT / "wakeword/demo/computer.flac")
        minute[20 * RATE_HZ : 20 * RATE_HZ + len(words)] = words
        chunks = [Chunk(minute[at : at + CHUNK]) for at in range(0, len(minute), CHUNK)]
        taken: list[dict[str, float]] = []

        def sound() -> Iterator[Chunk]:
            wait_for(lambda: all((folder / f"{n} connected").exists() for n in ("lines", "far")))
            began = time.process_time()
            for number in range(1, minutes + 1):
                yield from chunks
                if number in marks:
                    scrape(service)
                    taken.append({"minutes": number, "cpu_s": time.process_time() - began,
                                  "rss_mb": resident_mb()})  # fmt: skip
            sinks = service.sinks.sinks()
            wait_for(lambda: not any(sink.pending for sink in sinks.values()))
            counts.update({n: (s.delivered, s.dropped) for n, s in sinks.items()})

        counts: dict[str, tuple[int, int]] = {}
        service = Service(folder / "w.toml", source=sound())
        service.run()
        heard = sum(service.stats.detections.values())
        found: dict[str, Any] = {
            "minutes": minutes,
            "samples_fed": len(minute) * minutes,
            "samples_heard": service.stats.samples,
            "detections": heard,
            "sinks": {},
            "marks": taken,
        }
        for name, (delivered, dropped) in counts.items():
            path = folder / f"{name}.ids"
            if path.exists():
                wait_for(lambda p=path: len(p.read_text().split()) >= heard)  # type: ignore[misc]
            ids = path.read_text().split() if path.exists() else None
            found["sinks"][name] = {
                "delivered": delivered, "dropped": dropped,
                "received": None if ids is None else len(ids),
                "different": None if ids is None else len(set(ids)),
            }  # fmt: skip
        return found
    finally:
        receiver.kill()
        receiver.wait()
        if broker is not None:
            broker.kill()
            broker.wait()


def scrape(service: Any) -> None:
    """Ask for the metrics, as Prometheus would."""
    url = f"http://127.0.0.1:{service.port('metrics')}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # nosec B310 # our own page
        answer.read()


def page(run: dict[str, Any]) -> str:
    """Write the result as Markdown."""
    found = run["result"]
    lines = [
        "## A day of the daemon", "",
        f"`{run['command']}`, {run['date']}. {run['machine']}. {run['versions']}.", "",
        f"{found['samples_fed']} samples fed, {found['samples_heard']} heard; "
        f"{found['detections']} words heard.", "",
        "| action | delivered | dropped | received | different ids |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, sink in found["sinks"].items():
        seen = ["" if sink[k] is None else str(sink[k]) for k in ("received", "different")]
        lines.append(f"| {name} | {sink['delivered']} | {sink['dropped']} | {' | '.join(seen)} |")
    lines += ["", "| after, h of sound | CPU s | memory in use, MB |", "|---|---|---|"]
    lines += [
        f"| {m['minutes'] / 60:.1f} | {m['cpu_s']:.1f} | {m['rss_mb']:.1f} |"
        for m in found["marks"]
    ]
    growth = found["marks"][-1]["rss_mb"] - found["marks"][0]["rss_mb"]
    return "\n".join([*lines, "", f"Memory changed by {growth:+.2f} MB after the first mark."])


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--markdown", type=Path, help="write the tables into this page")
    parser.add_argument("--receive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mqtt-port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--far-port", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.receive:
        receive(args.receive, args.mqtt_port, args.far_port)
        return 0
    minutes = round(args.hours * 60)
    step = max(1, minutes // 12)
    marks = sorted({min(10, minutes), *range(step, minutes + 1, step), minutes})
    with tempfile.TemporaryDirectory(prefix="day-") as name:
        result = day(minutes, [m for m in marks if m >= min(10, minutes)], Path(name))
    run = {
        "command": f"python bench/daemon_day.py --hours {args.hours:g}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(("wakeword", "ai-edge-litert", "paho-mqtt", "prometheus-client")),
        "result": result,
    }
    if args.json:
        args.json.write_text(json.dumps(run, indent=1) + "\n")
    if args.markdown:
        put_section(args.markdown, "daemon day", page(run))
    print(page(run))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
