"""Arrays on disk that are there whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import WakewordError

__all__ = ["load_array", "remove_partial", "save_array"]

STALE_S = 3_600.0  # what was left half-written is this old before it is removed
PARTIAL = ".part.npy"


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array beside its name and rename it, so that the name never holds half of it.

    Raises:
        WakewordError: it cannot be written; nothing is left behind.
    """
    partial = path.with_name(f"{path.stem}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise WakewordError(
            f"{path}: cannot write {array.nbytes / 1e6:.1f} MB ({exc}): make room on the disk and "
            "run again; what is finished is kept"
        ) from exc


def load_array(
    path: Path, shape: tuple[int, ...], dtype: type[np.generic]
) -> NDArray[np.generic] | None:
    """Open an array, memory-mapped; None where the file is missing, cut short or no such array."""
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written; what is being written now stays."""
    for left in folder.glob(f"*{PARTIAL}"):
        if time.time() - left.stat().st_mtime > STALE_S:
            left.unlink(missing_ok=True)
