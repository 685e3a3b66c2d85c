"""Clips in a folder: ``ID.wav``, and ``ID.json`` beside it that says what it is; bounded."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.files import beside
from wakeword.sinks.wav import wav_bytes

__all__ = ["make_room", "read_note", "write_clip", "write_note"]

NOTE_BYTES = 65_536


def write_clip(
    folder: Path, key: str, samples: NDArray[np.int16], note: Mapping[str, Any], limit: int
) -> None:
    """Write a clip, each file whole and the note last, and remove the oldest to make room.

    Args:
        folder: made if missing.
        key: stem of the two files.
        samples: (N,), 16 kHz mono.
        note: what it is; any JSON object.
        limit: bytes that the folder may hold.

    Raises:
        OSError: the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = wav_bytes(samples)
    make_room(folder, limit - len(content) - NOTE_BYTES)
    _write(folder / f"{key}.wav", content)
    write_note(folder / f"{key}.json", note)


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write a note, whole; OSError where the disk refuses."""
    _write(path, json.dumps(note).encode("ascii") + b"\n")


def read_note(path: Path) -> dict[str, Any] | None:
    """Read a note; None where there is none, or it is damaged."""
    try:
        with path.open("rb") as file:
            note = json.loads(file.read(NOTE_BYTES))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def make_room(folder: Path, room: int) -> None:
    """Remove the oldest clips until the rest is at most ``room`` bytes; labelled ones go last."""
    found = []
    for path in folder.glob("*.wav"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((state.st_mtime_ns, state.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= room:
        return
    labelled = {
        path for _, _, path in found if (read_note(path.with_suffix(".json")) or {}).get("label")
    }
    for _, size, path in sorted(found, key=lambda clip: (clip[2] in labelled, clip)):
        if total <= room:
            return
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        total -= size


def _write(path: Path, content: bytes) -> None:
    """Write whole, for the user alone to read."""
    with beside(path) as partial:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
