"""What TensorBoard draws of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["Events"]


class Events:
    """Write numbers for TensorBoard; without a folder, nothing."""

    def __init__(self, folder: Path | None) -> None:
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(str(folder)) if folder else None

    def tell(self, batch: int, **values: Any) -> None:
        """Write numbers of a batch."""
        if self._writer is None:
            return
        with self._writer.as_default(step=batch):
            for name, value in values.items():
                self._tf.summary.scalar(name, float(value))
        self._writer.flush()
