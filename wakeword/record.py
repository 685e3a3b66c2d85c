"""Record one's own clips: from a microphone, guided, or out of recordings that exist."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, iter_audio
from wakeword.cutter import Cutter, Take, fault, frame_levels_db, room_db
from wakeword.errors import AudioFormatError, DeviceError
from wakeword.meter import CLEAR, Meter, level_db
from wakeword.session import DEAD_DB, DEAD_MICROPHONE, Session
from wakeword.shelf import Recording, Shelf
from wakeword.sources import Chunk, file_chunks

__all__ = ["cut_file", "keep_piece", "keep_take", "pieces", "record"]

COUNT = 20  # clips, unless --count says otherwise
MINUTES = 5.0  # of ordinary sound, unless --minutes says otherwise
PIECE = 30 * RATE_HZ  # samples of ordinary sound in one file
SHORTEST_PIECE = 3 * RATE_HZ  # what is left at the end or before a gap is dropped below it

log = logging.getLogger("wakeword")


def record(args: argparse.Namespace) -> int:
    """Record, or cut files, as the command line says; return the exit code."""
    shelf = Shelf(Path(args.out), "" if args.negative else args.phrase, args.speaker)
    shelf.folder.mkdir(parents=True, exist_ok=True)  # before anybody has spoken in vain
    before = shelf.count()
    code = 0
    try:
        if args.files:
            code = _from_files(args, shelf)
        elif args.negative:
            _from_room(args, shelf)
        else:
            _from_speaker(args, shelf)
    finally:
        now = shelf.count()
        early = not (args.files or args.negative) and before < now < (args.count or COUNT)
        more = "; the same command goes on from here" if early else ""
        if now > before or args.files:
            log.info("%d new, %d in %s%s", now - before, now, shelf.folder, more)
    return code


def _from_speaker(args: argparse.Namespace, shelf: Shelf) -> None:
    """Ask somebody to say the phrase, until there are enough clips."""
    wanted = args.count or COUNT
    if shelf.count() >= wanted:
        log.info("%d clips are there already; for more: --count %d", wanted, wanted + COUNT)
        return
    device, chunks = _microphone(args)

    def keep(take: Take) -> None:
        _print(args, shelf, keep_take(shelf, take, date.today(), device))

    with _terminal(args) as (keys, meter):
        session = Session(
            args.phrase, have=shelf.count(), wanted=wanted, ask=keys is not None,
            keep=keep, say=log.info, complain=lambda why: log.warning("again, please: %s", why),
        )  # fmt: skip
        for chunk in chunks:
            if session.hear(chunk, keys() if keys else ""):
                break
            if meter is not None:
                meter.update(chunk.samples, np.zeros(0, np.float32))


def _from_room(args: argparse.Namespace, shelf: Shelf) -> None:
    """Record the ordinary sound of a room."""
    minutes = args.minutes or MINUTES
    but = f' but do not say "{args.phrase}",' if args.phrase else ""
    log.info("recording %g minutes: do what you always do,%s Ctrl-C ends it", minutes, but)
    device, chunks = _microphone(args)
    with _terminal(args, keys=False) as (_, meter):

        def shown() -> Iterator[Chunk]:
            for chunk in chunks:
                if meter is not None:
                    meter.update(chunk.samples, np.zeros(0, np.float32))
                yield chunk

        for piece in pieces(shown(), limit=round(minutes * 60 * RATE_HZ)):
            if frame_levels_db(piece).max() <= DEAD_DB:
                raise DeviceError(DEAD_MICROPHONE)
            _print(args, shelf, keep_piece(shelf, piece, date.today(), device))


def _from_files(args: argparse.Namespace, shelf: Shelf) -> int:
    """Cut recordings into clips; one that cannot be read does not stop the others."""
    code = 0
    for name in args.files:
        path = Path(name)
        try:
            if args.negative:
                _pieces_of_file(args, shelf, path)
            else:
                _takes_of_file(args, shelf, path)
        except AudioFormatError as exc:
            log.error("%s", exc)
            code = 1
    return code


def _takes_of_file(args: argparse.Namespace, shelf: Shelf, path: Path) -> None:
    """Keep what is good of a recording, and say why the rest is not."""
    found = known = 0
    for take in cut_file(path, args.channel):
        found += 1
        if args.count and shelf.count() >= args.count:
            log.info("%d clips are there: enough", args.count)
            return
        if why := fault(take, args.phrase):
            log.warning("%s: %.1f s: left out, %s", path, take.start / RATE_HZ, why)
        elif shelf.has(take.samples):
            known += 1
        else:
            _print(args, shelf, keep_take(shelf, take, _written(path), path.name))
    if known:
        log.info("%s: %d of its clips were there already", path, known)
    if not found:
        log.warning("%s: no utterance stands out from the sound around it", path)


def _pieces_of_file(args: argparse.Namespace, shelf: Shelf, path: Path) -> None:
    """Keep a recording of ordinary sound, in pieces."""
    for piece in pieces(file_chunks(path, channel=args.channel)):
        if frame_levels_db(piece).max() > DEAD_DB and not shelf.has(piece):
            _print(args, shelf, keep_piece(shelf, piece, _written(path), path.name))


def cut_file(path: Path, channel: int | None = None) -> Iterator[Take]:
    """Yield the utterances in a recording of any length, in constant memory.

    The room is learned from the whole file first, so that a word at its very beginning is found.

    Args:
        path: any audio file that can be read.
        channel: 0-based channel, or None for the mean of all.

    Raises:
        AudioFormatError: it cannot be read.
        ConfigError: no such channel.
    """
    levels = [frame_levels_db(samples) for samples in iter_audio(path, channel=channel)]
    cutter = Cutter(room_db=room_db(np.concatenate(levels)))
    for samples in iter_audio(path, channel=channel):
        yield from cutter.feed(samples)
    yield from cutter.finish()


def pieces(chunks: Iterable[Chunk], *, limit: int = sys.maxsize) -> Iterator[NDArray[np.int16]]:
    """Cut ordinary sound into pieces of half a minute, so that little is lost at an interrupt.

    Args:
        chunks: the sound; a gap in it ends a piece.
        limit: samples after which it ends.

    Yields:
        int16 (N,). What is left at the end, before a gap or at Ctrl-C comes too, if it is 3 s or
        longer; after Ctrl-C, KeyboardInterrupt follows.
    """
    held = np.zeros(0, np.int16)
    left = limit
    interrupt: KeyboardInterrupt | None = None
    try:
        for chunk in chunks:
            if (chunk.dropped or chunk.overflows or chunk.restarted) and len(held):
                if len(held) >= SHORTEST_PIECE:
                    yield held
                held = held[:0]
            held = np.concatenate([held, chunk.samples[:left]])
            left -= len(chunk.samples[:left])
            while len(held) >= PIECE:
                yield held[:PIECE]
                held = held[PIECE:]
            if left <= 0:
                break
    except KeyboardInterrupt as exc:
        interrupt = exc
    if len(held) >= SHORTEST_PIECE:
        yield held
    if interrupt is not None:
        raise interrupt


def keep_take(shelf: Shelf, take: Take, when: date, source: str) -> Recording:
    """Put an utterance on the shelf, and return its row; errors as `Shelf.add`."""
    return shelf.add(
        take.samples, when=when.isoformat(), device=source,
        level_db=take.level_db, peak_db=take.peak_db, snr_db=take.snr_db,
    )  # fmt: skip


def keep_piece(shelf: Shelf, piece: NDArray[np.int16], when: date, source: str) -> Recording:
    """Put a piece of ordinary sound (N,) on the shelf, and return its row."""
    loud = piece.astype(np.float64)
    return shelf.add(
        piece, when=when.isoformat(), device=source, level_db=level_db(float(np.var(loud))),
        peak_db=level_db(float(np.abs(loud).max()) ** 2), snr_db=None,
    )  # fmt: skip


def _print(args: argparse.Namespace, shelf: Shelf, row: Recording) -> None:
    """Print what was recorded: a row as JSON, or the name of the file."""
    if sys.stderr.isatty():
        print(CLEAR, end="", file=sys.stderr, flush=True)  # the line must not run into the meter
    line = json.dumps(asdict(row), ensure_ascii=False) if args.json else shelf.root / row.file
    print(line, flush=True)


def _written(path: Path) -> date:
    """Return the day on which a file was last changed: the best guess at when it was recorded."""
    return date.fromtimestamp(path.stat().st_mtime)


def _microphone(args: argparse.Namespace) -> tuple[str, Iterator[Chunk]]:
    """Return the name of the microphone, and what it hears."""
    from wakeword.devices import find_device, load_sounddevice
    from wakeword.microphone import Microphone

    device = args.device
    if device is not None and device.isdecimal():
        device = int(device)
    name = find_device(load_sounddevice(), device).name
    return name, iter(Microphone(device, channel=args.channel))


@contextlib.contextmanager
def _terminal(
    args: argparse.Namespace, *, keys: bool = True
) -> Iterator[tuple[Callable[[], str] | None, Meter | None]]:
    """Give the keys and the meter, where there is a terminal and they are wanted."""
    from wakeword.keys import terminal_keys

    seen = sys.stderr.isatty()
    meter = Meter(sys.stderr, {}) if seen and not (args.quiet or args.json) else None
    with contextlib.ExitStack() as stack:
        if meter is not None:
            stack.callback(meter.clear)
        pressed = None
        if keys and seen and sys.stdin.isatty() and not args.yes:
            pressed = stack.enter_context(terminal_keys(sys.stdin))
        yield pressed, meter
