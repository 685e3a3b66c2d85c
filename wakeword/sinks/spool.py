"""A bounded queue on disk that survives a crash at any moment.

One file for each entry, ``000000000017.entry``. It is written beside its name, brought to the disk,
and then renamed, so there are whole entries only. What a crash left half written has another name
and is removed at the next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

from wakeword.errors import ConfigError, WakewordError

__all__ = ["MAX_BYTES", "Spool"]

MAX_BYTES = 64_000  # an event is some 150
ENTRY = re.compile(r"(\d{12})\.entry")

log = logging.getLogger("wakeword")


class Spool:
    """Entries in the order in which they were put, oldest first.

    Args:
        folder: made if missing; belongs to this object alone while it is open.
        keep: entries at most; the oldest goes for a new one.

    Raises:
        ConfigError: another process has it open, or it cannot be made.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigError(f"{folder}: no queue can be kept there ({exc.strerror})") from exc
        try:
            _lock(self._lock)
        except OSError as exc:
            os.close(self._lock)
            raise ConfigError(
                f"{folder}: another daemon uses it; stop that one, or set another state folder"
            ) from exc
        self._numbers = self._recover()
        self._next = self._numbers[-1] + 1 if self._numbers else 1

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, content: bytes) -> int:
        """Add an entry; once this returns, no crash loses it.

        Returns:
            How many old entries went to make room.

        Raises:
            OSError: the disk refuses; nothing changed.
            WakewordError: longer than MAX_BYTES.
        """
        if len(content) > MAX_BYTES:
            raise WakewordError(f"entry of {len(content)} bytes: need at most {MAX_BYTES}")
        path = self._path(self._next)
        partial = path.with_suffix(".part")
        try:
            _write(partial, content)
            partial.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        self._numbers.append(self._next)
        self._next += 1
        _sync_folder(self.folder)
        gone = 0
        while len(self._numbers) > self.keep:
            self.done(self._numbers[0])
            gone += 1
        return gone

    def first(self) -> tuple[int, bytes] | None:
        """Return number and content of the oldest entry, or None if there is none."""
        while self._numbers:
            number = self._numbers[0]
            try:
                with self._path(number).open("rb") as file:
                    content = file.read(MAX_BYTES + 1)
            except OSError as exc:
                log.warning("%s: lost (%s)", self._path(number), exc.strerror)
                content = b""
            if 0 < len(content) <= MAX_BYTES:
                return number, content
            self.done(number)
        return None

    def done(self, number: int) -> None:
        """Remove an entry; where the disk refuses it goes from the queue, and may come again."""
        self._numbers.remove(number)
        try:
            self._path(number).unlink(missing_ok=True)
        except OSError as exc:
            log.warning("%s: cannot be removed (%s)", self._path(number), exc.strerror)

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.entry"

    def _recover(self) -> list[int]:
        """Find the whole entries, and remove the halves."""
        for path in self.folder.glob("*.part"):
            path.unlink(missing_ok=True)
        names = (ENTRY.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in names if match)


def _lock(handle: int) -> None:
    """Take the lock that ends with the process; OSError where another has it."""
    try:
        import fcntl
    except ImportError:  # no Unix: the user takes care of it
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write(path: Path, content: bytes) -> None:
    """Write a new file and bring it to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
