"""The command ``wakeword assistant``: a wake word, then a command, then what it asks for."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from wakeword.assistant import STAGES, Assistant, Heard, Understood, load_assistant
from wakeword.audio import RATE_HZ
from wakeword.daemon.endpoint import Endpointer
from wakeword.daemon.settings import AfterConfig
from wakeword.detector import Detection, Detector
from wakeword.quiet import quiet_runtime
from wakeword.sentences import Reading
from wakeword.sources import BLOCK_MS, Chunk, file_chunks

__all__ = ["assistant", "commands"]

BEFORE = 4 * RATE_HZ
"""Samples before the word fired: they tell the level of the room."""
AFTER = AfterConfig(before_ms=0)
log = logging.getLogger("wakeword")


def assistant(args: argparse.Namespace) -> int:
    """Hear commands in a file or live, or read one, and print what each stage makes of it."""
    with contextlib.nullcontext() if args.verbose else quiet_runtime():
        helper = load_assistant(args.folder, runtime=args.runtime)
    for name in helper.missing:
        stage = STAGES[name]
        remedy = "there is no recipe for one yet"
        if stage.command:
            remedy = f"make one with `{stage.command} --out {args.folder}`"
        log.warning("no model for %s (%s): %s", name, stage.about, remedy)
    if args.text is not None:
        _report(args, helper, None, None, helper.understand(args.text), args.text)
        return 0
    chunks = _chunks(args)
    if args.no_wake:
        _tell(args, helper, None, _whole(helper, chunks))
        return 0
    from wakeword.commands import open_detector

    detector, _ = open_detector(args)
    helper.kilobytes = {"wake": detector.size / 1000, **helper.kilobytes}
    log.info("say %s, wait a moment, and give a command", " or ".join(detector.words))
    count = 0
    for found, heard in commands(detector, helper, chunks):
        count += 1
        _tell(args, helper, found, heard)
    if not count:
        log.warning("no %s was heard; --no-wake takes all of it as a command",
                    " or ".join(detector.words))  # fmt: skip
    return 0


def commands(
    detector: Detector, helper: Assistant, chunks: Iterable[Chunk]
) -> Iterator[tuple[Detection, Heard | None]]:
    """Wait for a word, hear the command after it, and begin again.

    Yields:
        The word, and what was heard; None where silence followed, or there is no model for speech.
    """
    before = np.zeros(0, np.int16)
    total = start = 0  # samples heard, and where the detector's first one lies among them
    spent_ms = 0.0  # by the detector since the last command
    ended: Endpointer | None = None
    found: Detection | None = None
    for chunk in chunks:
        samples = chunk.samples
        total += chunk.dropped + len(samples)
        if found is None or ended is None:
            if chunk.dropped or chunk.restarted:
                detector.reset()
                start = total - len(samples)
            before = np.concatenate([before, samples])[-BEFORE:]
            began = time.perf_counter()
            fired = detector.feed(samples)
            spent_ms += 1000 * (time.perf_counter() - began)
            if fired:
                word, at, prob = fired[0].word, fired[0].sample_index, fired[0].prob
                found = Detection(word, start + at, prob)
                ended = Endpointer(AFTER, before)
                helper.reset()
                helper.milliseconds["wake"], spent_ms = spent_ms, 0.0
            continue
        utterance = ended.feed(samples)
        if helper.recogniser is not None:
            helper.feed(samples)
        if utterance is not None:
            yield found, _heard(helper, utterance.ended)
            detector.reset()
            start, before, found = total, np.zeros(0, np.int16), None
    if found is not None:
        yield found, _heard(helper, "stopped")


def _heard(helper: Assistant, ended: str) -> Heard | None:
    """Write a command that has ended, if there was one."""
    return None if ended == "nothing" or helper.recogniser is None else helper.finish()


def _whole(helper: Assistant, chunks: Iterable[Chunk]) -> Heard:
    """Hear all of a recording as one command."""
    helper.reset()
    for chunk in chunks:
        helper.feed(chunk.samples)
    return helper.finish()


def _chunks(args: argparse.Namespace) -> Iterable[Chunk]:
    """Open the file or the microphone."""
    if args.file is not None:
        return file_chunks(args.file, RATE_HZ * BLOCK_MS // 1000, channel=args.channel)
    from wakeword.microphone import Microphone

    device = args.device
    chosen = int(device) if device is not None and device.isdecimal() else device
    return Microphone(chosen, channel=args.channel)


def _tell(
    args: argparse.Namespace, helper: Assistant, found: Detection | None, heard: Heard | None
) -> None:
    """Read what was heard, if it was anything, and print it."""
    text = heard.text.lower() if heard is not None else ""
    understood = helper.understand(text, heard) if text else Understood()
    _report(args, helper, found, heard, understood, text)


def _report(
    args: argparse.Namespace,
    helper: Assistant,
    found: Detection | None,
    heard: Heard | None,
    understood: Understood,
    text: str,
) -> None:
    """Print what each stage made of a command, and what it took."""
    fields: dict[str, Any] = {}
    if found is not None:
        fields["wake"] = {"word": found.word, "time_s": found.sample_index / RATE_HZ,
                          "prob": round(found.prob, 6)}  # fmt: skip
    if heard is not None:
        fields["transcript"] = {"with_words": heard.text, "letters_alone": heard.plain,
                                "not_known": list(heard.strange)}  # fmt: skip
    for name in ("intent", "entities", "sentiment"):
        reading: Reading | None = getattr(understood, name)
        if reading is not None:
            fields[name] = _reading(reading)
    if understood.domain:
        fields["intent"]["domain"] = understood.domain
    fields["values"] = [list(value) for value in understood.values]
    silent = "nothing was said" if helper.recogniser else "there is no model for speech"
    fields["doubts"] = list(understood.doubts) or ([] if text else [silent])
    fields["action"] = understood.action
    fields["ms"] = {name: round(ms, 2) for name, ms in helper.milliseconds.items()}
    fields["kB"] = {name: round(size, 1) for name, size in helper.kilobytes.items()}
    if args.json:
        print(json.dumps(fields, ensure_ascii=False), flush=True)
        return
    print("\n".join(_lines(fields)), flush=True)


def _reading(reading: Reading) -> dict[str, Any]:
    """What is printed of a reading."""
    found: dict[str, Any] = {}
    if reading.label:
        found.update(label=reading.label, prob=round(reading.prob, 4), sure=reading.sure)
    if reading.tags:
        found["spans"] = [list(span) for span in reading.spans]
    return {**found, "unknown": list(reading.unknown)}


def _lines(fields: dict[str, Any]) -> Iterator[str]:
    """Put the same into words."""
    if wake := fields.get("wake"):
        yield f"wake word   {wake['word']} at {wake['time_s']:.2f} s ({wake['prob']:.2f})"
    if heard := fields.get("transcript"):
        yield f"heard       {heard['with_words'] or '(nothing)'}"
        yield f"by letters  {heard['letters_alone'] or '(nothing)'}"
    for name in ("intent", "entities", "sentiment"):
        if name in fields:
            yield f"{name:11s} {_in_words(fields[name])}"
    for doubt in fields["doubts"]:
        yield f"not sure    {doubt}"
    yield f"action      {fields['action'] or 'none'}"
    sizes = fields["kB"]
    parts = [
        f"{name} {ms:.1f} ms" + (f" ({sizes[name]:,.0f} kB)" if name in sizes else "")
        for name, ms in fields["ms"].items()
        if name in sizes or ms >= 0.05
    ]
    yield f"cost        {', '.join(parts) or 'none'}"


def _in_words(reading: dict[str, Any]) -> str:
    """Say a reading in a line."""
    parts: list[str] = []
    if "label" in reading:
        domain = f"{reading['domain']}: " if reading.get("domain") else ""
        sure = "" if reading["sure"] else ", not sure"
        parts.append(f"{domain}{reading['label']} ({reading['prob']:.2f}{sure})")
    spans: Sequence[Sequence[str]] = reading.get("spans", ())
    parts += [f"{kind}={words!r}" for kind, words in spans]
    if reading["unknown"]:
        parts.append(f"words not known: {', '.join(reading['unknown'])}")
    return " ".join(parts) or "none"
