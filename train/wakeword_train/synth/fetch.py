"""Fetch voices: Kokoro's two files, or a voice of Piper by its name."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from wakeword.errors import ConfigError
from wakeword_train.download import DownloadError, download
from wakeword_train.synth.kokoro import MODEL_FILE, VOICES_FILE

__all__ = ["KOKORO", "Wanted", "fetch", "kokoro_files", "piper_files"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: where it lies below a base URL, its own name, length and digest."""

    path: str
    name: str
    size: int
    digest: str


# The release of kokoro-onnx with the model of January 2025, Apache-2.0. GitHub does not show a sum
# for files of that age; these are of the files as several projects that pin them, too, found them,
# and of the ones that the shipped model was trained with. (The release model-files-v1.1 has another
# model under the same name, 114 MB.)
KOKORO_URL = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
KOKORO = (
    Wanted(
        MODEL_FILE, MODEL_FILE, 92_361_271,
        "sha256:6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    ),
    Wanted(
        VOICES_FILE, VOICES_FILE, 28_214_398,
        "sha256:bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d",
    ),
)  # fmt: skip
# The voices of Piper, each with its licence in a file MODEL_CARD. The listing has lengths and MD5
# sums, which tell a damaged file, not a forged one: for that we rely on https.
PIPER_URL = "https://huggingface.co/rhasspy/piper-voices/resolve/main"
LISTING = "voices.json"
VOICE = re.compile(r"([a-z]+)_([A-Z0-9]+)-([\w.]+)-([\w.]+)")


def kokoro_files(sha256: Sequence[str] = ()) -> tuple[Wanted, ...]:
    """List Kokoro's files, or others of the same names.

    Args:
        sha256: sums of other files, one for each; none keeps the ones that are known.

    Raises:
        ConfigError: not one sum for each file, or not a sum.
    """
    if not sha256:
        return KOKORO
    if len(sha256) != len(KOKORO) or not all(re.fullmatch("[0-9a-fA-F]{64}", s) for s in sha256):
        names = " and ".join(f.name for f in KOKORO)
        raise ConfigError(f"--sha256: give {len(KOKORO)} sums of 64 hex digits: of {names}")
    return tuple(
        Wanted(f.path, f.name, 0, f"sha256:{s}") for f, s in zip(KOKORO, sha256, strict=True)
    )


def piper_files(voice: str, listing: dict[str, Any]) -> tuple[Wanted, ...]:
    """List the files of a voice of Piper.

    Args:
        voice: LANGUAGE_REGION-NAME-QUALITY, as ``en_US-lessac-medium``.
        listing: what ``voices.json`` says.

    Returns:
        Its ``.onnx``, ``.onnx.json`` and, as ``VOICE.MODEL_CARD``, what it was made from.

    Raises:
        ConfigError: no such voice; near ones are named.
    """
    if voice not in listing:
        near = get_close_matches(voice, listing, 3, 0.4) or sorted(listing)[:3]
        form = "" if VOICE.fullmatch(voice) else "; a name is LANGUAGE_REGION-NAME-QUALITY"
        raise ConfigError(f"piper:{voice}: no such voice{form}; near: {', '.join(near)}")
    try:
        files = [
            Wanted(path, _name(path, voice), int(about["size_bytes"]), f"md5:{about['md5_digest']}")
            for path, about in listing[voice]["files"].items()
        ]
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"{LISTING}: not as expected at {voice} ({exc!r})") from exc
    if {f"{voice}.onnx", f"{voice}.onnx.json"} - {f.name for f in files}:
        raise ConfigError(f"{LISTING}: names no model for {voice}")
    return tuple(files)


def _name(path: str, voice: str) -> str:
    """Name a file of a voice in a folder of many voices."""
    name = path.rpartition("/")[2]
    return name if name.startswith(voice) else f"{voice}.{name}"


def fetch(
    what: str,
    to: Path,
    *,
    url: str = "",
    sha256: Sequence[str] = (),
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Path]:
    """Fetch voices into a folder; files that are there and right are kept.

    Args:
        what: ``kokoro``, or ``piper:VOICE``.
        to: the folder.
        url: another place with the same files at the same paths below it.
        sha256: sums of Kokoro's files there, if they are others.
        force: replace files that are there and are others.
        progress: called with (file, bytes, bytes in all).

    Returns:
        The files.

    Raises:
        ConfigError: nothing of that name, or bad sums.
        DownloadError: see :func:`wakeword_train.download.download`.
    """
    kind, _, voice = what.partition(":")
    if what == "kokoro":
        base, files = url or KOKORO_URL, kokoro_files(sha256)
    elif kind == "piper" and voice:
        if sha256:
            raise ConfigError(
                "--sha256 is for kokoro: the listing of Piper's voices has their sums"
            )
        base = url or PIPER_URL
        files = piper_files(voice, _listing(base.rstrip("/")))
    else:
        raise ConfigError(
            f"--download {what!r}: choose kokoro, or piper:VOICE as in piper:en_US-lessac-medium"
        )
    for file in files:
        download(
            f"{base.rstrip('/')}/{file.path}", to / file.name,
            digest=file.digest, size=file.size, force=force, progress=progress,
        )  # fmt: skip
    return [to / file.name for file in files]


def _listing(base: str) -> dict[str, Any]:
    """Read which voices of Piper there are."""
    with tempfile.TemporaryDirectory(prefix="wakeword-") as folder:
        path = Path(folder) / LISTING
        try:
            download(f"{base}/{LISTING}", path)
        except DownloadError as exc:
            # Of no use to anybody by itself, so say no more of where it would lie.
            raise DownloadError(
                f"the list of Piper's voices cannot be fetched: {str(exc).partition(' Fetch ')[0]} "
                f"A voice of your own: --piper NAME.onnx, with NAME.onnx.json beside it"
            ) from exc
        try:
            listing: dict[str, Any] = dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as exc:
            raise DownloadError(f"{base}/{LISTING}: no list of voices ({exc})") from exc
    return listing
