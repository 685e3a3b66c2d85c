"""Post each event to a URL until the receiver took it, through restarts and outages."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from wakeword.daemon.actions import WebhookConfig
from wakeword.errors import ConfigError, WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.outage import Outage
from wakeword.sinks.post import post, signature
from wakeword.sinks.spool import Spool

__all__ = ["BACKOFF_S", "WebhookSink", "read_secret"]

BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)  # waits after a failure; the last repeats
IN_MEMORY = 200  # events kept while the disk refuses; beyond that the oldest goes
REFUSED = (400, 410, 413, 415, 422)  # the receiver will not take this event, however often asked
IDLE_S = 3600.0
MAX_SECRET = 4096

log = logging.getLogger("wakeword")


class WebhookSink:
    """Delivers events in order, each until the receiver answers 2xx.

    An event is on disk before the first attempt, and removed after a 2xx. A crash between the two
    sends it again, with the same ``Wakeword-Id``: a receiver that remembers ids sees it once.

    Args:
        name: as in the configuration.
        config: the settings.
        folder: of the queue on disk.
        clock: time.
        wall: seconds since 1970, for the signature.

    Raises:
        ConfigError: the secret cannot be read, or the queue is in use.
    """

    wants_audio = False

    def __init__(
        self,
        name: str,
        config: WebhookConfig,
        folder: Path,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.config = config
        self.delivered = 0
        self.dropped = 0
        self._clock = clock
        self._wall = wall
        self._secret = read_secret(config.secret_file)
        self._spool = Spool(folder, config.keep)
        self._new: deque[bytes] = deque()
        self._hand: bytes | None = None  # taken from there, and not on disk yet
        self._wake = threading.Event()
        self._stopping = False
        self._receiver = Outage(f"action {name}, receiver", clock)
        self._disk = Outage(f"action {name}, queue on disk", clock)
        self._full = Outage(f"action {name}, queue", clock)
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    @property
    def pending(self) -> int:
        """Events not delivered yet."""
        return len(self._new) + len(self._spool) + (self._hand is not None)

    def start(self) -> None:
        """Start the thread; what an earlier run left behind goes first."""
        if len(self._spool):
            log.info("action %s: %d events left from before", self.name, len(self._spool))
        self._thread.start()

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Take an event; the sink's thread writes it to disk, which may take its time."""
        if len(self._new) >= IN_MEMORY:
            self._new.popleft()
            self.dropped += 1
        self._new.append(event.to_json())
        self._wake.set()

    def stop(self, grace_s: float) -> None:
        """Bring what is in memory to disk, finish the request under way, and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(grace_s)
        # A receiver that hangs may hold the thread longer: it only waits for an answer then, and
        # whoever opens the queue next sends that event again, under the same id.
        self._store()
        self._spool.close()

    def _run(self) -> None:
        """Work until stopped; the thread must outlive a mistake of ours."""
        while not self._stopping:
            try:
                self._work()
            except Exception:
                log.exception("action %s: goes on in %g s", self.name, BACKOFF_S[-1])
                self._clock.wait(threading.Event(), BACKOFF_S[-1])

    def _work(self) -> None:
        """Store, deliver, wait; until stopped."""
        failures, next_try_s = 0, 0.0
        while not self._stopping:
            self._store()
            head = self._head()
            left_s = next_try_s - self._clock.now() if failures else 0.0
            if head is None or left_s > 0:
                self._clock.wait(self._wake, IDLE_S if head is None else left_s)
                self._wake.clear()
                continue
            number, body = head
            if self._deliver(body):
                failures = 0
                self._forget(number)
            else:
                next_try_s = self._clock.now() + BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1

    def _head(self) -> tuple[int | None, bytes] | None:
        """Return the oldest event; its number is None while it is in memory only."""
        first = self._spool.first()
        if first is not None:
            return first
        return None if self._hand is None else (None, self._hand)

    def _forget(self, number: int | None) -> None:
        """Remove an event that is done with."""
        if number is None:
            self._hand = None
        else:
            self._spool.done(number)

    def _store(self) -> None:
        """Bring new events to disk; where it refuses they wait in memory."""
        while self._hand is not None or self._new:
            if self._hand is None:
                self._hand = self._new.popleft()
            try:
                gone = self._spool.put(self._hand)
            except OSError as exc:
                self._disk.failed(f"{exc.strerror}; up to {IN_MEMORY} events wait in memory")
                return
            self._hand = None
            self._disk.over()
            if gone:
                self.dropped += gone
                self._full.failed(f"keep={self.config.keep} events wait; the oldest are dropped")

    def _deliver(self, body: bytes) -> bool:
        """Post one event; return whether it is done with."""
        try:
            key = str(json.loads(body)["id"])
        except (ValueError, KeyError, TypeError):
            self.dropped += 1
            log.warning("action %s: an event on disk is damaged; removed", self.name)
            return True
        timestamp = str(int(self._wall()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "wakeword",
            "Wakeword-Id": key,
            "Wakeword-Timestamp": timestamp,
        }
        if self._secret:
            headers["Wakeword-Signature"] = "sha256=" + signature(self._secret, timestamp, body)
        try:
            config = self.config
            status = post(config.url, body, headers, config.timeout_s, config.ca_file)
        except WakewordError as exc:
            self._receiver.failed(exc)
            return False
        if 200 <= status < 300:
            self.delivered += 1
            self._receiver.over()
            self._full.over()
            return True
        if status in REFUSED:
            self.dropped += 1
            log.warning("action %s: receiver refuses event: status %d", self.name, status)
            return True
        self._receiver.failed(f"status {status}; need 2xx")
        return False


def read_secret(path: str | None) -> bytes:
    """Read the key of the signature; the line's end does not belong to it."""
    if path is None:
        return b""
    try:
        with Path(path).open("rb") as file:
            secret = file.read(MAX_SECRET + 1).strip()
    except OSError as exc:
        raise ConfigError(f"secret_file={path}: cannot be read ({exc.strerror})") from exc
    if not 16 <= len(secret) <= MAX_SECRET:
        raise ConfigError(
            f"secret_file={path}: {len(secret)} bytes; need 16 to {MAX_SECRET} "
            "(openssl rand -hex 32)"
        )
    return secret
