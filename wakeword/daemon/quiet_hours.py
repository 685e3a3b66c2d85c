"""Times of day at which a word does nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from wakeword.errors import ConfigError

__all__ = ["QuietHours"]

SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Spans of local time; one whose end lies before its beginning goes over midnight.

    >>> night = QuietHours.parse(["22:00-07:00"])
    >>> night.holds(time(23, 30)), night.holds(time(6, 59)), night.holds(time(7, 0))
    (True, True, False)
    """

    spans: tuple[tuple[time, time], ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> QuietHours:
        """Read spans such as "22:00-07:00".

        Raises:
            ConfigError: not of that form, no time of day, or without length.
        """
        spans = []
        for text in texts:
            match = SPAN.fullmatch(text)
            try:
                if match is None:
                    raise ValueError
                hours = [int(part) for part in match.groups()]
                begin, end = time(hours[0], hours[1]), time(hours[2], hours[3])
            except ValueError as exc:
                raise ConfigError(
                    f'quiet_hours={text!r}: need HH:MM-HH:MM, such as "22:00-07:00"'
                ) from exc
            if begin == end:
                raise ConfigError(f"quiet_hours={text!r}: begins when it ends; leave it out")
            spans.append((begin, end))
        return cls(tuple(spans))

    def holds(self, now: time) -> bool:
        """Tell whether a time of day lies in one of the spans; the end does not belong to it."""
        return any(
            begin <= now < end if begin < end else now >= begin or now < end
            for begin, end in self.spans
        )
