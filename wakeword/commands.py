"""What each command of the command line does; every function takes parsed arguments."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, iter_audio
from wakeword.bundle import find_bundle, read_bundle, shipped
from wakeword.detector import Detection, Detector
from wakeword.errors import AudioFormatError, ConfigError
from wakeword.quiet import quiet_runtime
from wakeword.sources import Chunk, raw_chunks

__all__ = [
    "assistant",
    "daemon",
    "detect",
    "devices",
    "info",
    "listen",
    "models",
    "record",
    "review",
    "score",
    "speakers",
    "web",
]

DEFAULT_MODEL = "computer_jarvis"
CHUNK = RATE_HZ  # samples read from a file at once
TAIL = RATE_HZ // 2  # silence after a recording, as Detector.finish hears it

log = logging.getLogger("wakeword")


def detect(args: argparse.Namespace) -> int:
    """Print the words in each file; a file that cannot be read does not stop the others."""
    detector, _ = open_detector(args)
    code = 0
    for path in args.files:
        try:
            for found in detections(detector, path, args.channel):
                fields = {"file": path, **_fields(found, found.sample_index)}
                _print(args, fields, prefix=f"{path}: " if len(args.files) > 1 else "")
        except AudioFormatError as exc:
            log.error("%s", exc)
            code = 1
    return code


def detections(detector: Detector, path: str, channel: int | None) -> Iterator[Detection]:
    """Run the detector over one file, from a fresh start."""
    detector.reset()
    for samples in iter_audio(path, CHUNK, channel=channel):
        yield from detector.feed(samples)
    yield from detector.finish()


def listen(args: argparse.Namespace) -> int:
    """Print words as they are heard, until the stream ends or Ctrl-C."""
    if args.list_devices:
        return devices(args)
    detector, thresholds = open_detector(args)
    meter = None
    if not args.json and not args.quiet and sys.stderr.isatty():
        from wakeword.meter import Meter

        meter = Meter(sys.stderr, thresholds)
    log.info("listening for: %s; Ctrl-C stops", ", ".join(detector.words))
    try:
        _listen(args, detector, meter)
    finally:
        if meter is not None:
            meter.clear()
    return 0


def _listen(args: argparse.Namespace, detector: Detector, meter: Any) -> None:
    """Feed the detector from the source, and print what it hears."""
    start = 0  # where the detector's sample 0 lies in all that was heard or lost
    heard = 0
    for chunk in _live(args):
        heard += chunk.dropped
        start += chunk.dropped
        if chunk.restarted:
            detector.reset()
            start = heard
        heard += len(chunk.samples)
        found = detector.feed(chunk.samples)
        if found and meter is not None:
            meter.clear()
        for detection in found:
            _print_live(args, detection, start)
        if meter is not None:
            meter.update(chunk.samples, detector.probs)
    for detection in detector.finish():
        _print_live(args, detection, start)


def _live(args: argparse.Namespace) -> Iterator[Chunk]:
    """Open standard input or the microphone."""
    if args.stdin:
        stdin: Any = sys.stdin.buffer  # its declared type lacks read1
        yield from raw_chunks(stdin, rate_hz=args.rate or RATE_HZ)
        return
    from wakeword.microphone import Microphone

    device = args.device
    if device is not None and device.isdecimal():
        device = int(device)
    yield from Microphone(device, channel=args.channel, rate_hz=args.rate)


def _print_live(args: argparse.Namespace, found: Detection, start: int) -> None:
    """Print a detection with the time of day, and flush: somebody may be waiting for it."""
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    _print(args, {**_fields(found, start + found.sample_index), "at": at}, prefix="")


def _fields(found: Detection, sample: int) -> dict[str, Any]:
    """Return what is printed of a detection; a float32 carries no more than six digits."""
    return {
        "word": found.word,
        "prob": round(found.prob, 6),
        "sample": sample,
        "time_s": sample / RATE_HZ,
    }


def _print(args: argparse.Namespace, fields: dict[str, Any], prefix: str) -> None:
    """Print a detection as JSON, or as time, word and score."""
    if args.json:
        print(json.dumps(fields, ensure_ascii=False), flush=True)
    else:
        time_s, word, prob = fields["time_s"], fields["word"], fields["prob"]
        print(f"{prefix}{time_s:9.2f} s  {word}  {prob:.3f}", flush=True)


def review(args: argparse.Namespace) -> int:
    """Judge what the daemon kept."""
    from wakeword import review as module

    return module.review(args)


def speakers(args: argparse.Namespace) -> int:
    """Enrol voices."""
    from wakeword.daemon import enrol as module

    return module.speakers(args)


def web(args: argparse.Namespace) -> int:
    """Show what is heard on a page."""
    from wakeword.web import command as module

    return module.web(args)


def score(args: argparse.Namespace) -> int:
    """Print one row for every step of the model, or draw them."""
    if args.plot is not None:
        return _plot(args)
    detector, _ = open_detector(args)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if not args.json:
        table.writerow(["sample", "time_s", *detector.words])
    for _, rows, indices in scores(detector, args.file, args.channel):
        for row, sample in zip(rows.tolist(), indices.tolist(), strict=True):
            probs = [round(prob, 6) for prob in row]
            if args.json:
                by_word = dict(zip(detector.words, probs, strict=True))
                fields = {"sample": sample, "time_s": sample / RATE_HZ, "probs": by_word}
                print(json.dumps(fields, ensure_ascii=False))
            else:
                table.writerow([sample, sample / RATE_HZ, *probs])
    return 0


def _plot(args: argparse.Namespace) -> int:
    """Draw the recording, its scores and its detections."""
    from wakeword.plot import ScorePlot

    target = _new_file(args.plot, force=args.force)
    detector, thresholds = open_detector(args)
    plot = ScorePlot(thresholds, title=Path(args.file).name)
    for samples, rows, indices in scores(detector, args.file, args.channel):
        plot.add(samples, rows, indices)
    for found in detections(detector, args.file, args.channel):
        plot.mark(found)
    plot.save(target)
    log.info("wrote %s", target)
    return 0


def scores(
    detector: Detector, path: str, channel: int | None
) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.int64]]]:
    """Yield samples (N,), raw scores (T, W) and sample indices (T,) of a file, from a fresh start.

    The last half second is the silence after the recording that `detect` hears too.
    """
    detector.reset()
    for samples in iter_audio(path, CHUNK, channel=channel):
        yield samples, *detector.scores(samples)
    silence = np.zeros(TAIL, np.int16)
    yield silence, *detector.scores(silence)


def devices(args: argparse.Namespace) -> int:
    """List what can record."""
    from wakeword.devices import input_devices, load_sounddevice
    from wakeword.tables import table

    found = input_devices(load_sounddevice())
    names = ("index", "name", "api", "channels", "rate_hz", "default")
    rows = [[getattr(device, name) for name in names] for device in found]
    if args.json:
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
    elif rows:
        shown = [[*row[:-1], "default" if row[-1] else ""] for row in rows]
        print(table([["index", "name", "system", "channels", "Hz", ""], *shown]))
    else:
        log.warning("nothing here can record; plug in a microphone")
    return 0


def record(args: argparse.Namespace) -> int:
    """Record clips of one's own."""
    from wakeword import record as module

    return module.record(args)


def daemon(args: argparse.Namespace) -> int:
    """Listen as a service, or help to set that up."""
    from wakeword.daemon.command import daemon as run

    return run(args)


def assistant(args: argparse.Namespace) -> int:
    """Hear commands and say what they ask for."""
    from wakeword import assistant_command as module

    return module.assistant(args)


def models(args: argparse.Namespace) -> int:
    """List the bundles that come with the package."""
    from wakeword.tables import table

    bundles = [read_bundle(path) for path in shipped().values()]
    if args.json:
        for b in bundles:
            fields = {"name": b.name, "words": b.words, "bytes": len(b.model_bytes)}
            print(json.dumps({**fields, "path": str(b.path)}, ensure_ascii=False))
    elif bundles:
        rows = [[b.name, ", ".join(b.words), len(b.model_bytes), str(b.path)] for b in bundles]
        print(table([["name", "words", "bytes", "path"], *rows]))
    else:
        log.warning("no model came with this installation")
    return 0


def info(args: argparse.Namespace) -> int:
    """Show what a bundle is, how good it was measured to be, and what it learned from."""
    from wakeword.tables import describe, describe_json

    bundle = read_bundle(args.bundle)
    print(describe_json(bundle) if args.json else describe(bundle))
    return 0


def open_detector(args: argparse.Namespace) -> tuple[Detector, dict[str, float]]:
    """Load the models asked for, or the shipped one; return the threshold of every word too.

    Raises:
        ConfigError: a threshold is out of range or for another word, or no model is there.
        WakewordError: a bundle or the runtime is at fault.
    """
    names: Sequence[str] = args.models
    if not names:
        names = [DEFAULT_MODEL] if DEFAULT_MODEL in shipped() else sorted(shipped())[:1]
    if not names:
        raise ConfigError("no model came with this installation: name the path of a bundle's .json")
    thresholds: dict[str, float] = {}
    for name in names:
        path, word = find_bundle(name)
        bundle = read_bundle(path)
        for one in [word] if word else bundle.words:
            thresholds[one] = bundle.decision[one].threshold
    overrides: dict[str, float] = {}
    for word, threshold in args.threshold:  # P is for every word, WORD=P for one; the later wins
        overrides.update(dict.fromkeys([word] if word else thresholds, threshold))
    with contextlib.nullcontext() if args.verbose else quiet_runtime():
        detector = Detector.load(*names, runtime=args.runtime, thresholds=overrides)
    return detector, {word: overrides.get(word, thresholds[word]) for word in detector.words}


def _new_file(path: str, *, force: bool) -> Path:
    """Return where to write a result, or refuse.

    Raises:
        ConfigError: it exists and ``force`` is not set, or its folder does not.
    """
    target = Path(path)
    if target.exists() and not force:
        raise ConfigError(f"{target}: exists; choose another name, or replace it with --force")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first")
    return target
