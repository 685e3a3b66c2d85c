"""Fetch one large file: in pieces, resumed after an interrupt, checked, and renamed when complete.

What has arrived lies beside the file, in ``NAME.part``; the same call goes on from there. Nothing
takes the file's own name before its length and its digest are right.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from wakeword.errors import WakewordError

__all__ = ["DownloadError", "check_file", "download", "home"]

PIECE = 1 << 18  # bytes
TIMEOUT_S = 30.0
TRIES = 5  # in a row without one new byte
Progress = Callable[[str, int, int], None]


class DownloadError(WakewordError):
    """A file could not be fetched, or is not the file that was promised."""


class _CutOffError(Exception):
    """The connection ended before the file did."""


def home() -> Path:
    """Name the folder where packs and voices are kept: $WAKEWORD_HOME, or in the user's cache."""
    own = os.environ.get("WAKEWORD_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else Path(cache or Path.home() / ".cache") / "wakeword"


def download(
    url: str,
    path: Path,
    *,
    digest: str = "",
    size: int = 0,
    force: bool = False,
    progress: Progress = lambda *_: None,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Fetch ``url`` into ``path``.

    Args:
        url: http or https.
        path: the file to make; its folder is made too.
        digest: ``sha256:HEX`` or ``md5:HEX`` of the file; empty where nobody knows it.
        size: bytes of the file; 0 takes the server's word.
        force: replace a file that is there and is another one.
        progress: called with (name of the file, bytes here, bytes in all or 0).
        wait: sleeps for a number of seconds between two tries.

    Returns:
        Whether anything was fetched: False when the right file was there already.

    Raises:
        DownloadError: with the reason and what to do.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: only http and https are fetched; copy other files by hand")
    if path.exists() and not force:
        if digest:
            check_file(path, digest, remedy="remove it, or --force to replace it")
        return False
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.is_file() and part.stat().st_size > 0
        _fetch(url, part, size, progress, wait)
        try:
            _check_part(part, size, digest, url)
        except DownloadError:
            part.unlink()
            if not resumed:
                raise
            # What lay there was the beginning of another file.
            _fetch(url, part, size, progress, wait)
            try:
                _check_part(part, size, digest, url)
            except DownloadError:
                part.unlink()
                raise
        part.replace(path)
    except OSError as exc:
        raise DownloadError(_trouble(exc, path, part)) from exc
    return True


def check_file(path: Path, digest: str, *, remedy: str) -> None:
    """Compare a file with its digest, ``sha256:HEX`` or ``md5:HEX``.

    Raises:
        DownloadError: it differs; the message ends with ``remedy``.
    """
    kind, _, expected = digest.partition(":")
    with path.open("rb") as file:
        found = hashlib.new(kind)
        while piece := file.read(1 << 20):
            found.update(piece)
    if found.hexdigest() != expected.lower():
        raise DownloadError(
            f"{path}: not the file that was expected: its {kind} is {found.hexdigest()}, not "
            f"{expected.lower()}; {remedy}"
        )


def _check_part(part: Path, size: int, digest: str, url: str) -> None:
    """Check what arrived before it gets its name."""
    if size and part.stat().st_size != size:
        raise DownloadError(
            f"{url}: {part.stat().st_size} bytes arrived, {size} were promised: another file lies "
            "there now"
        )
    if digest:
        remedy = f"what came from {url} was thrown away; try again, or name another source"
        check_file(part, digest, remedy=remedy)


def _fetch(
    url: str, part: Path, size: int, progress: Progress, wait: Callable[[float], None]
) -> None:
    """Append to ``part`` until the server says that it is complete."""
    tries = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        if size and before == size:
            return
        try:
            _once(url, part, before, size, progress)
            return
        except _CutOffError as exc:
            after = part.stat().st_size if part.is_file() else 0
            tries = 0 if after > before else tries + 1
            if tries == TRIES:
                raise DownloadError(
                    f"{url}: the connection breaks off ({exc}); {after} bytes are here, and the "
                    "same command goes on from there"
                ) from exc
            wait(float(min(2**tries, 30)))


def _once(url: str, part: Path, have: int, size: int, progress: Progress) -> None:
    """Make one request and write what it brings."""
    request = urllib.request.Request(url, headers={"User-Agent": "wakeword"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    host = urlsplit(url).netloc
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # nosec B310 # fetch checks
            # A server that ignores Range sends the file from its beginning.
            start = _start_of(answer.headers.get("Content-Range", ""))
            have = have if answer.status == 206 and start == have else 0
            length = answer.headers.get("Content-Length")
            total = size or (have + int(length) if length else 0)
            _check_space(part, total - have)
            with part.open("ab" if have else "wb") as file:
                _copy(answer, file, part.name.removesuffix(".part"), have, total, progress)
            if length and part.stat().st_size < have + int(length):
                raise _CutOffError(f"{part.stat().st_size} of {have + int(length)} bytes")
    except urllib.error.HTTPError as exc:
        if exc.code == 416 and have:  # nothing is left to send
            if exc.headers.get("Content-Range", "") != f"bytes */{have}":
                part.unlink()
                raise _CutOffError("what was here is longer than the file") from exc
            return
        if exc.code >= 500:
            raise _CutOffError(f"HTTP {exc.code} from {host}") from exc
        hint = "is there no such file any more?" if exc.code in (404, 410) else "try again later"
        raise DownloadError(f"{url}: HTTP {exc.code} {exc.reason}: {hint}") from exc
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, TimeoutError):
            raise _CutOffError(f"no answer within {TIMEOUT_S:g} s") from exc
        raise DownloadError(
            f"{host} cannot be reached ({exc.reason}): is this machine offline? Fetch {url} "
            f"elsewhere and put it at {part.with_name(part.name.removesuffix('.part'))}"
        ) from exc
    except (
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as exc:  # no answer
        raise _CutOffError(str(exc) or type(exc).__name__) from exc


def _start_of(content_range: str) -> int:
    """Read the first byte's place from ``bytes 5-9/10``; -1 when there is none."""
    first = content_range.removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


def _copy(
    answer: BinaryIO, file: BinaryIO, name: str, have: int, total: int, progress: Progress
) -> None:
    """Write what arrives, piece by piece, so that an interrupt loses none of it."""
    while True:
        progress(name, have, total)
        try:
            piece = answer.read(PIECE)
        except (http.client.HTTPException, OSError) as exc:  # of the connection, not of the disk
            raise _CutOffError(str(exc) or type(exc).__name__) from exc
        if not piece:
            return
        file.write(piece)
        have += len(piece)


def _check_space(part: Path, needed: int) -> None:
    """Say before the download, not at its end, that the disk is too small."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{needed - free} bytes too few")


def _trouble(exc: OSError, path: Path, part: Path) -> str:
    """Say what the disk did not do."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path.parent}: no space is left ({exc}); free some or choose another folder; what "
            f"has arrived stays in {part.name}, and the same command goes on from there"
        )
    return f"{path}: cannot be written: {exc}"
