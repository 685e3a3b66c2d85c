"""The form of the daemon's log: text for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

__all__ = ["JournalFormatter", "JsonFormatter", "TextFormatter", "daemon_log"]

PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))

log = logging.getLogger("wakeword")


def _time(record: logging.LogRecord) -> str:
    """Say when, in UTC."""
    return datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")


class TextFormatter(logging.Formatter):
    """``TIME level message``, one line whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return f"{_time(record)} {record.levelname.lower()} {_one_line(super().format(record))}"


class JournalFormatter(logging.Formatter):
    """``<priority>message``: the journal has the time, and makes a level of the number."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        priority = next(number for level, number in PRIORITIES if record.levelno >= level)
        return f"<{priority}>{_one_line(super().format(record))}"


class JsonFormatter(logging.Formatter):
    """One object: time, level, message, and the fields of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            **getattr(record, "fields", {}),
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": super().format(record),
        }
        return json.dumps(fields, ensure_ascii=False, default=str)


def _one_line(text: str) -> str:
    """Keep what others send from forging lines of its own."""
    return " ".join(text.split())


@contextmanager
def daemon_log(form: str) -> Iterator[None]:
    """Write the log in the form asked for, to stderr, in place of the command's own form."""
    formatter: logging.Formatter
    if form == "json":
        formatter = JsonFormatter()
    elif os.environ.get("JOURNAL_STREAM"):
        formatter = JournalFormatter()
    else:
        formatter = TextFormatter()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    before = log.handlers[:]
    log.handlers[:] = [handler]
    try:
        yield
    finally:
        log.handlers[:] = before
