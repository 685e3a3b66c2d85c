"""Files of voices: on this machine's disk, or in memory where a process was sent their content."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

__all__ = ["carry", "is_file", "open_file", "place"]

_carried: dict[Path, NDArray[np.uint8]] = {}  # what this process was sent


def carry(files: Mapping[Path, NDArray[np.uint8]]) -> None:
    """Take files over from another machine, in place of all that were before."""
    _carried.clear()
    _carried.update(files)


def is_file(path: Path) -> bool:
    """Tell whether a file is here or was sent."""
    return path in _carried or path.is_file()


def open_file(path: Path) -> IO[bytes]:
    """Open a file to read.

    Raises:
        OSError: it is neither here nor was it sent.
    """
    return io.BytesIO(_carried[path].data) if path in _carried else path.open("rb")


@contextmanager
def place(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give files a place on this disk, for libraries that read no memory, until it is left."""
    if not _carried.keys() >= set(paths):
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="wakeword-voices-") as folder:
        for path in paths:
            (Path(folder) / path.name).write_bytes(_carried[path].data)
        yield tuple(Path(folder) / path.name for path in paths)
