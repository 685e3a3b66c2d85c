"""Write a file so that it is there as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wakeword.errors import ConfigError

__all__ = ["write_file"]


def write_file(path: Path, content: bytes) -> None:
    """Write beside the name, then rename; the folder is made if missing.

    Raises:
        ConfigError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}; choose another") from exc
