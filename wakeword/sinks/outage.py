"""Say once that something is wrong, and once that it is over."""

from __future__ import annotations

import logging

from wakeword.microphone import Clock

__all__ = ["Outage"]

log = logging.getLogger("wakeword")


class Outage:
    """One thing that can fail again and again, and its two lines in the log.

    Args:
        what: what fails, as the log names it.
        clock: time.
    """

    def __init__(self, what: str, clock: Clock) -> None:
        self.what = what
        self._clock = clock
        self.failures = 0
        """How often it failed since it last worked."""
        self._since = 0.0

    def failed(self, why: object) -> None:
        """Note a failure; the first is logged, and each later one for --verbose alone."""
        self.failures += 1
        if self.failures == 1:
            self._since = self._clock.now()
            log.warning("%s: %s", self.what, why, extra={"fields": {"what": self.what}})
        else:
            log.debug("%s: %s (time %d)", self.what, why, self.failures)

    def over(self) -> None:
        """Note that it works; logged if it did not before."""
        if self.failures:
            fields = {"what": self.what, "failures": self.failures}
            log.warning(
                "%s: works again after %.0f s",
                self.what,
                self._clock.now() - self._since,
                extra={"fields": fields},
            )
        self.failures = 0
