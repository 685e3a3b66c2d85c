"""Record samples for the page, in a thread of its own, out of the sound that the detector hears."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.cutter import Take, frame_levels_db
from wakeword.errors import ConfigError, WakewordError
from wakeword.keys import ENTER
from wakeword.record import keep_piece, keep_take, pieces
from wakeword.session import DEAD_DB, DEAD_MICROPHONE, Session, describe
from wakeword.shelf import Recording, Shelf
from wakeword.sources import Chunk
from wakeword.web.monitor import Monitor

__all__ = ["ANSWERS", "Plan", "Recorder"]

ANSWERS = {"keep": ENTER, "again": "r", "skip": "s", "stop": "q"}
LIMIT = 500  # clips in one go
LONGEST_MIN = 120  # of ordinary sound in one go
WAITING = 300  # chunks, about 9 s of a microphone, that may wait for the disk
PATIENCE_S = 5.0

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record.

    Args:
        phrase: what is said; empty for ordinary sound.
        speaker: who speaks, or whose room it is.
        count: clips there should be in the end, or minutes of ordinary sound.

    Raises:
        ConfigError: a name that no folder can have, or too much at once.
    """

    phrase: str
    speaker: str
    count: int

    def __post_init__(self) -> None:
        most, what = (LIMIT, "clips") if self.phrase else (LONGEST_MIN, "minutes")
        if not 1 <= self.count <= most:
            raise ConfigError(f"{self.count} {what}: need 1 to {most}")


class Recorder:
    """At most one recording at a time.

    Args:
        root: the folder, laid out as `wakeword record` does and ``--positives`` takes it.
        monitor: gives the sound; while samples of a word are recorded no action is run.
        tell: takes what the page is to show, from any thread.
    """

    def __init__(
        self, root: Path, monitor: Monitor, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self.root = root
        self._monitor = monitor
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._chunks: queue.Queue[Chunk | None] = queue.Queue()
        self._keys: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lost = 0
        self._state: dict[str, Any] = {"running": False}
        self.take: NDArray[np.int16] | None = None
        """The take that waits for somebody to say whether it is good, int16 (N,)."""

    def state(self) -> dict[str, Any]:
        """What the page shows of it."""
        return self._state

    def start(self, plan: Plan, device: str) -> None:
        """Begin.

        Raises:
            ConfigError: one is going on, or there are enough clips already.
            WakewordError: the folder cannot be made.
        """
        if self._thread is not None and self._thread.is_alive():
            raise ConfigError("samples are being recorded already: stop that first")
        shelf = Shelf(self.root, plan.phrase, plan.speaker)
        have = shelf.count()
        if plan.phrase and have >= plan.count:
            raise ConfigError(f"{have} clips are there already: ask for more than {have}")
        try:
            shelf.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise WakewordError(f"{shelf.folder}: cannot be made ({exc.strerror})") from exc
        self._chunks = queue.Queue(WAITING)
        self._keys = queue.SimpleQueue()
        self._lost = 0
        self.take = None
        self._state = {
            "running": True, "phrase": plan.phrase, "speaker": plan.speaker, "have": have,
            "wanted": plan.count, "said": "", "complaint": "", "waiting": None, "kept": [],
            "folder": str(shelf.folder),
        }  # fmt: skip
        self._thread = threading.Thread(
            target=self._run, args=(plan, shelf, device), name="record", daemon=True
        )
        self._monitor.hold = bool(plan.phrase)
        self._monitor.tap = self._hear
        self._thread.start()

    def answer(self, what: str) -> None:
        """Say what to do with the take that waits: one of ANSWERS."""
        if what == "stop":
            self.stop()
        else:
            self._keys.put(ANSWERS[what])

    def stop(self) -> None:
        """End the recording; what was kept stays."""
        self._monitor.tap = None
        while True:
            try:
                self._chunks.put_nowait(None)
                return
            except queue.Full:
                self._chunks.get_nowait()

    def abandon(self) -> None:
        """Nobody looks any more: end what needs somebody, for until then words do nothing."""
        if self._state["running"] and self._state["phrase"]:
            log.info("recording: ended, because its page was closed")
            self.stop()

    def close(self) -> None:
        """End, and wait until the last clip is on the disk."""
        self.stop()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _hear(self, chunk: Chunk) -> None:
        """Take sound from the thread that listens; what does not fit is counted as lost."""
        try:
            self._chunks.put_nowait(replace(chunk, dropped=chunk.dropped + self._lost))
            self._lost = 0
        except queue.Full:
            self._lost += len(chunk.samples)

    def _sound(self) -> Iterator[Chunk]:
        """Yield the sound until it is to stop."""
        while (chunk := self._chunks.get()) is not None:
            yield chunk

    def _run(self, plan: Plan, shelf: Shelf, device: str) -> None:
        """Record, and say why it ended."""
        why = ""
        try:
            if plan.phrase:
                self._takes(plan, shelf, device)
            else:
                self._room(plan, shelf, device)
        except (WakewordError, OSError) as exc:
            why = str(exc)
            log.error("recording: %s", why)
        except Exception:  # the page must not wait for a thread that is gone
            why = "a mistake of ours; the log has it"
            log.exception("recording")
        finally:
            self._monitor.tap = None
            self._monitor.hold = False
            self.take = None
            self._show(running=False, waiting=None, said="", complaint=why)

    def _takes(self, plan: Plan, shelf: Shelf, device: str) -> None:
        """Ask for the phrase until there are enough clips."""

        def kept(take: Take) -> None:
            self._kept(shelf, keep_take(shelf, take, date.today(), device))

        session = Session(
            plan.phrase, have=shelf.count(), wanted=plan.count, keep=kept, ask=True,
            say=lambda text: self._show(said=text),
            complain=lambda text: self._show(complaint=text),
        )  # fmt: skip
        for chunk in self._sound():
            key = "" if self._keys.empty() else self._keys.get()
            if key:
                self._show(complaint="")
            before = session.waiting
            over = session.hear(chunk, key)
            if session.waiting is not before:
                take = session.waiting
                self.take = None if take is None else take.samples
                self._show(waiting=None if take is None else describe(take))
            if over:
                return

    def _room(self, plan: Plan, shelf: Shelf, device: str) -> None:
        """Keep ordinary sound, in pieces of half a minute."""
        self._show(said=f"recording {plan.count} minutes of ordinary sound: do what you always do")
        for piece in pieces(self._sound(), limit=plan.count * 60 * RATE_HZ):
            if frame_levels_db(piece).max() <= DEAD_DB:
                raise WakewordError(DEAD_MICROPHONE)
            self._kept(shelf, keep_piece(shelf, piece, date.today(), device))

    def _kept(self, shelf: Shelf, row: Recording) -> None:
        """Show that a clip was kept."""
        self._show(have=shelf.count(), complaint="", kept=[*self._state["kept"], row.file][-5:])

    def _show(self, **changes: Any) -> None:
        """Change what the page shows."""
        self._state = {**self._state, **changes}
        self._tell(self._state)
