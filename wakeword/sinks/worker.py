"""A sink with a thread of its own and a bounded queue in front of it."""

from __future__ import annotations

import logging
import threading
from collections import deque

from wakeword.errors import WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.outage import Outage

__all__ = ["Job", "WorkerSink"]

Job = tuple[Event, Utterance | None]
IDLE_S = 3600.0

log = logging.getLogger("wakeword")


class WorkerSink:
    """Base of the sinks that do one event after the other; a subclass gives ``handle``.

    Args:
        name: as in the configuration.
        clock: time.
        waiting: events that may wait; a newer one is dropped then, said once.
        wants_audio: whether it waits for the command after the word.
    """

    def __init__(self, name: str, clock: Clock, *, waiting: int, wants_audio: bool = False) -> None:
        self.name = name
        self.clock = clock
        self.wants_audio = wants_audio
        self.waiting = waiting
        self.delivered = 0
        self.dropped = 0
        self.outage = Outage(f"action {name}", clock)
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self._full = Outage(f"action {name}, queue", clock)
        self._jobs: deque[Job] = deque()
        self._busy = 0
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    @property
    def pending(self) -> int:
        """Events taken but not done."""
        return len(self._jobs) + self._busy

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Queue an event, or drop it where too many wait."""
        if len(self._jobs) >= self.waiting:
            self.dropped += 1
            self._full.failed(f"{self.waiting} events wait; newer ones are dropped")
            return
        self._jobs.append((event, utterance))
        self.wake.set()

    def stop(self, grace_s: float) -> None:
        """Do what waits, for at most so long; count the rest as dropped."""
        self.stopping.set()
        self.wake.set()
        self._thread.join(grace_s)
        if self._thread.is_alive():
            log.warning("action %s: still busy after %g s; left alone", self.name, grace_s)
            self.dropped += len(self._jobs)

    def handle(self, event: Event, utterance: Utterance | None) -> None:
        """Do it, in the sink's own thread.

        Raises:
            WakewordError: it did not work; the event is dropped.
        """
        raise NotImplementedError

    def take(self) -> Job | None:
        """Return the next event that waits, if any."""
        if self._jobs:
            return self._jobs.popleft()
        self.wake.clear()
        # One put between the two lines above has its event cleared, but is seen here.
        return self._jobs.popleft() if self._jobs else None

    def _run(self) -> None:
        """Handle events until stopped and empty."""
        while True:
            # Counted as busy before it leaves the queue, so that `pending` never skips it.
            self._busy = 1
            job = self.take()
            if job is None:
                self._busy = 0
                if self.stopping.is_set():
                    return
                self.clock.wait(self.wake, IDLE_S)
                continue
            self._full.over()
            try:
                self.handle(*job)
            except (WakewordError, OSError) as exc:
                self.dropped += 1
                self.outage.failed(exc)
            except Exception as exc:  # the thread must outlive a mistake of ours
                self.dropped += 1
                log.exception("action %s: %s: %s", self.name, type(exc).__name__, exc)
            else:
                self.delivered += 1
                self.outage.over()
            self._busy = 0
