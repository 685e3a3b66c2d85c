"""Write a file so that it is there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = ["write_file"]


def write_file(path: Path, content: bytes) -> None:
    """Write beside the name, then rename; the folder is made if missing.

    Raises:
        ConfigError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as partial:
            partial.write_bytes(content)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}; choose another") from exc
