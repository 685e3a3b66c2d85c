"""Play sound as it comes, through a program that reads raw samples; nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable

from wakeword.errors import ConfigError, WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.command import program_env
from wakeword.sinks.outage import Outage

__all__ = ["UNPLAYED_BYTES", "Player", "player_program"]

PLAYERS = (
    ("paplay", "--raw", "--format=s16le", "--channels=1", "--rate={rate}"),
    ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}"),
)
UNPLAYED_BYTES = 4 * 2**20  # a minute and a half at 22,050 Hz; more is left out
SLACK_S = 10.0  # for the program to end once it has everything

_Item = tuple[int, "int | bytes | Callable[[], None] | None"]


def player_program(run: tuple[str, ...]) -> tuple[str, ...]:
    """Return the program that plays raw 16-bit mono samples of ``{rate}`` Hz; empty: none is here.

    Args:
        run: as configured; empty takes the first there is of paplay and aplay.

    Raises:
        ConfigError: the configured one is not here.
    """
    if run and shutil.which(run[0]) is None:
        raise ConfigError(f"player: {run[0]!r} is no program here; give its whole path")
    return run or next((p for p in PLAYERS if shutil.which(p[0])), ())


class Player:
    """Plays one piece after the other, in a thread of its own; no method but ``close`` waits.

    Args:
        name: as the log calls it.
        program: with its arguments; in them ``{rate}`` stands for the rate in Hz.
        clock: time, for the log.
    """

    def __init__(self, name: str, program: tuple[str, ...], clock: Clock) -> None:
        self._program = program
        self._outage = Outage(f"{name}, player", clock)
        self._full = Outage(f"{name}, unplayed sound", clock)
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._age = 0  # what is older was stopped
        self._unplayed = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()

    def begin(self, rate_hz: int) -> None:
        """A piece begins, of so many samples a second."""
        self._items.put((self._age, rate_hz))

    def feed(self, data: bytes) -> None:
        """Take more of the piece: 16-bit little-endian mono; too much is left out, and said."""
        with self._lock:
            full = self._unplayed + len(data) > UNPLAYED_BYTES
            if not full:
                self._unplayed += len(data)
        if full:
            self._full.failed(f"over {UNPLAYED_BYTES} bytes; the rest is left out")
            return
        self._items.put((self._age, data))

    def end(self, played: Callable[[], None] | None = None) -> None:
        """The piece is whole; ``played`` is called, in the player's thread, once it was played."""
        self._items.put((self._age, played))

    def stop(self) -> None:
        """Break off what is played, and leave out what waits."""
        with self._lock:
            self._age += 1
            if self._process is not None:
                _kill(self._process)

    def close(self, grace_s: float) -> None:
        """Break off, and end."""
        self.stop()
        self._items.put(None)
        self._thread.join(grace_s)

    def _run(self) -> None:
        """Do what waits, one after the other."""
        while (item := self._items.get()) is not None:
            age, what = item
            if isinstance(what, bytes):
                with self._lock:
                    self._unplayed -= len(what)
            try:
                if age != self._age:
                    self._finish()
                elif isinstance(what, bytes):
                    self._write(what)
                elif isinstance(what, int):
                    self._start(what, age)
                elif self._finish():
                    self._outage.over()
                    self._full.over()
                    if what is not None:
                        what()
            except (WakewordError, OSError) as exc:
                with contextlib.suppress(WakewordError):
                    self._finish()
                if age == self._age:  # not one that we stopped
                    self._outage.failed(exc)
        with contextlib.suppress(WakewordError):
            self._finish()

    def _start(self, rate_hz: int, age: int) -> None:
        """Start the program."""
        self._finish()
        run = [part.replace("{rate}", str(rate_hz)) for part in self._program]
        process = subprocess.Popen(
            run, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=program_env(),
            start_new_session=True,
        )  # fmt: skip
        with self._lock:
            self._process = process
            if age != self._age:
                _kill(process)

    def _write(self, data: bytes) -> None:
        """Hand on sound; it waits here for the loudspeaker."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _finish(self) -> bool:
        """Let the program play the rest; return whether there was one, and it did.

        Raises:
            WakewordError: it failed.
        """
        process = self._process
        if process is None:
            return False
        try:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            code = process.wait(SLACK_S)
        except subprocess.TimeoutExpired:
            code = None
        with self._lock:
            self._process = None
        _kill(process)
        process.wait()
        if code == 0:
            return True
        if code != -signal.SIGKILL:
            what = "did not end" if code is None else f"ended with exit code {code}"
            raise WakewordError(f"{self._program[0]} {what}")
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
