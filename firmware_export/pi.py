"""The Pi target: a folder or archive with a bundle, this runtime, and a script that installs
both."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import wakeword
from firmware_export.emit import fill, new_folder, packaged, plain, write_files
from wakeword.audio import read_audio
from wakeword.bundle import Bundle
from wakeword.errors import ExportError
from wakeword.files import beside
from wakeword.sinks.wav import wav_bytes

__all__ = ["archive_pi", "write_pi"]

_ARCHIVES = (".tar.gz", ".tgz")


def write_pi(bundle: Bundle, out: Path, *, force: bool) -> dict[str, Any]:
    """Write a folder, or an archive where ``out`` ends in .tar.gz.

    Raises:
        ExportError: it exists and ``force`` is not set, or the disk refuses.
    """
    if out.name.endswith(_ARCHIVES):
        if out.exists() and not force:
            raise ExportError(f"{out}: exists; choose another name, or --force to replace it")
        content = archive_pi(bundle)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with beside(out) as partial:
                partial.write_bytes(content)
        except OSError as exc:
            raise ExportError(f"{out}: cannot be written: {exc}") from exc
    else:
        with new_folder(out, force=force) as folder:
            write_files(folder, _files(bundle))
    return {"written": str(out), "install": "on the Pi: sh install.sh"}


def archive_pi(bundle: Bundle) -> bytes:
    """The same files as a .tar.gz, below a folder ``wakeword``; equal bundles give equal bytes."""
    packed = io.BytesIO()
    # The time in the gzip header and in each entry would make every archive another one.
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for name, content in sorted(_files(bundle).items()):
            entry = tarfile.TarInfo(f"wakeword/{name}")
            data = content.encode() if isinstance(content, str) else content
            entry.size = len(data)
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed_bytes = packed.getvalue()
    return packed_bytes[:4] + bytes(4) + packed_bytes[8:]


def _files(bundle: Bundle) -> dict[str, str | bytes]:
    """Everything by its path."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in bundle.name)
    # The folder is filled in on the Pi, where it is known.
    values = {"NAME": name, "WORDS": plain(", ".join(bundle.words)), "HOME": "@HOME@"}
    files: dict[str, str | bytes] = {
        path: fill(text, values) for path, text in packaged("templates/pi").items()
    }
    package = Path(str(wakeword.__file__)).parent
    for source in sorted(package.rglob("*.py")):
        files[f"lib/wakeword/{source.relative_to(package).as_posix()}"] = source.read_bytes()
    files[f"{name}.tflite"] = bundle.model_bytes
    text = bundle.path.with_suffix(".json").read_text(encoding="utf-8")
    if bundle.model != f"{name}.tflite":
        text = text.replace(f'"{bundle.model}"', f'"{name}.tflite"', 1)
    files[f"{name}.json"] = text
    # The demo as WAV, which needs no library for FLAC to read.
    files["check.wav"] = wav_bytes(read_audio(package / "demo" / "computer.flac"))
    return files
