"""Write an export beside where it belongs and rename it there, so that it is whole or not there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from wakeword.errors import ExportError

__all__ = ["c_array", "fill", "new_folder", "packaged", "plain", "write_files"]


def packaged(folder: str) -> dict[str, str]:
    """Texts that come with this package, by their path below ``folder``."""
    found: dict[str, str] = {}

    def walk(place: Path, prefix: str) -> None:
        for entry in sorted(place.iterdir()):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    walk(entry, f"{prefix}{entry.name}/")
            else:
                found[prefix + entry.name] = entry.read_text(encoding="utf-8")

    walk(Path(str(files("firmware_export"))) / folder, "")
    return found


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in place of ``@NAME@``.

    Raises:
        ExportError: a name is left without a value.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ExportError(f"template: no value for {found[1]}")
        return values[found[1]]

    return re.sub("@([A-Z_]+)@", value, template)


def plain(text: str) -> str:
    """Text that means nothing to YAML, Markdown, C, a shell or systemd."""
    return "".join(c for c in text if c.isalnum() or c in " -_.,'")


def c_array(content: bytes) -> str:
    """Bytes as the inside of a C array."""
    rows = [content[i : i + 16] for i in range(0, len(content), 16)]
    return "\n".join("    " + " ".join(f"0x{b:02x}," for b in row) for row in rows)


def write_files(folder: Path, texts: Mapping[str, str | bytes]) -> None:
    """Write files below a folder, making the folders between."""
    for name, content in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """Give a folder to fill; when all went well it takes the place of ``out``.

    Raises:
        ExportError: ``out`` exists and ``force`` is not set, or is no folder; or the disk refuses.
    """
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise ExportError(f"{out}: exists; choose another name, or --force to replace it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as base:
            fresh = Path(base) / "new"
            fresh.mkdir()
            yield fresh
            if out.exists():
                out.rename(Path(base) / "old")
            fresh.rename(out)
    except OSError as exc:
        raise ExportError(f"{out}: cannot be written: {exc}") from exc
