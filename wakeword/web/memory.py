"""The last lines of the log, for the page."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime, timezone
from typing import Any

__all__ = ["LogMemory"]

LINES = 100
LENGTH = 500


class LogMemory(logging.Handler):
    """Remembers lines from INFO on."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[dict[str, Any]] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="seconds")
        text = record.getMessage()[:LENGTH]
        self._lines.append({"at": at, "level": record.levelname.lower(), "text": text})

    def lines(self) -> list[dict[str, Any]]:
        """Return them, oldest first."""
        return list(self._lines)
