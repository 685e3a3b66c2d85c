"""Know when the machine itself plays sound, from what its sound server hands to the loudspeakers.

That sound comes from a program which writes it to its standard output, `parec` at the monitor of
the default sink unless another is named. Not from PortAudio: looking for a lost microphone restarts
it under whatever else it does, and through ALSA monitors have no names.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.daemon.endpoint import FRAME, level_db
from wakeword.daemon.settings import PlaybackConfig
from wakeword.errors import WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.command import program_env
from wakeword.sinks.outage import Outage

__all__ = ["BACKOFF_S", "Playback", "PlaybackLevel", "monitor_program"]

MONITOR = (
    "parec", "--device=@DEFAULT_MONITOR@", f"--rate={RATE_HZ}", "--channels=1", "--format=s16le",
    "--latency-msec=40", "--client-name=wakeword",
)  # fmt: skip
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)  # waits before the monitor is tried again
SLICE_S = 0.25  # how often a wait for sound looks whether it is to stop
STEADY_S = 2.0  # of sound before it counts as back: one that comes and goes is said once
IDLE_S = 1.0  # without a sample: a sink that sleeps plays nothing
FALL_DB = 6.0  # below the level at which playback begins it is over, after a while
SAID_BYTES = 500  # of what the program says before it ends
READ_BYTES = 16_384


class PlaybackLevel:
    """Tells from the samples alone whether something is played; any chunking tells the same.

    A frame of 20 ms as loud as ``level_db`` begins it. It is over when no frame was louder than
    6 dB below that for ``hold_ms``: a pause between two sentences is none, and rooms echo.

    >>> level = PlaybackLevel(PlaybackConfig(hold_ms=100))
    >>> loud, quiet = np.full(320, 3000, np.int16), np.zeros(1600, np.int16)
    >>> level.feed(loud), level.feed(quiet[:1280]), level.feed(quiet[1280:])
    (True, True, False)
    """

    def __init__(self, config: PlaybackConfig) -> None:
        self._begin_db = config.level_db
        self._hold = config.hold_ms * RATE_HZ // 1000
        self.reset()

    def reset(self) -> None:
        """Nothing is played."""
        self.playing = False
        self._quiet = 0
        self._rest = np.zeros(0, np.int16)

    def feed(self, samples: NDArray[np.int16]) -> bool:
        """Take the next samples (N,), 16 kHz mono, and tell whether something is played now."""
        data = np.concatenate([self._rest, samples])
        count = len(data) // FRAME
        self._rest = data[count * FRAME :]
        for db in level_db(data[: count * FRAME].reshape(-1, FRAME)).tolist():
            if db >= self._begin_db:
                self.playing = True
            self._quiet = 0 if db >= self._begin_db - FALL_DB else self._quiet + FRAME
            if self._quiet >= self._hold:
                self.playing = False
        return self.playing


class Playback:
    """Listens to the monitor in a thread of its own, for as long as there is one.

    ``playing`` may be read at any time. Without a monitor it is False, words are heard as if there
    were no such setting, and the monitor is tried again and again.

    Args:
        config: the settings.
        clock: time.
    """

    def __init__(self, config: PlaybackConfig, clock: Clock) -> None:
        self.playing = False
        self._config = config
        self._clock = clock
        self._stopping = threading.Event()
        self._outage = Outage("playback, monitor", clock)
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End."""
        self._stopping.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        """Listen, and when that ended by itself, again later."""
        while not self._stopping.is_set():
            try:
                self._listen()
            except (WakewordError, OSError) as exc:
                self._outage.failed(f"{exc}; words are heard as without it")
            self.playing = False
            tries = max(1, self._outage.failures)
            self._clock.wait(self._stopping, BACKOFF_S[min(tries, len(BACKOFF_S)) - 1])

    def _listen(self) -> None:
        """Run the program once, until it ends or we are to stop.

        Raises:
            WakewordError: there is none, or it ended by itself.
            OSError: it cannot be run.
        """
        program = monitor_program(self._config)
        process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program_env(),
            start_new_session=True,
        )
        try:
            said = self._read(process)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        if not self._stopping.is_set():
            why = said.decode("utf-8", "replace").strip()
            raise WakewordError(f"{program[0]} ended" + (f" ({why})" if why else ""))

    def _read(self, process: subprocess.Popen[bytes]) -> bytes:
        """Read sound to its end, or until we are to stop; return the last that was said of it."""
        if process.stdout is None or process.stderr is None:
            return b""
        sound, words = process.stdout.fileno(), process.stderr.fileno()
        pipes = [sound, words]
        level = PlaybackLevel(self._config)
        said, odd = b"", b""
        heard, heard_s = 0, self._clock.now()
        while not self._stopping.is_set() and sound in pipes:
            ready = select.select(pipes, [], [], SLICE_S)[0]
            if words in ready:
                told = os.read(words, READ_BYTES)
                said = (said + told)[-SAID_BYTES:]
                if not told:
                    pipes.remove(words)
            if sound in ready:
                data = os.read(sound, READ_BYTES)
                if not data:
                    pipes.remove(sound)
                whole, odd = odd + data, b""
                if len(whole) % 2:
                    whole, odd = whole[:-1], whole[-1:]
                self.playing = level.feed(np.frombuffer(whole, "<i2"))
                heard, heard_s = heard + len(whole) // 2, self._clock.now()
                if heard >= STEADY_S * RATE_HZ:
                    self._outage.over()
            elif self._clock.now() - heard_s >= IDLE_S:
                level.reset()
                self.playing = False
        if words in pipes and select.select([words], [], [], 0)[0]:
            said = (said + os.read(words, READ_BYTES))[-SAID_BYTES:]
        return said


def monitor_program(config: PlaybackConfig) -> tuple[str, ...]:
    """Return the program that writes what is played, as raw 16-bit mono samples of 16 kHz.

    Raises:
        WakewordError: there is none.
    """
    program = config.run or MONITOR
    if shutil.which(program[0]) is None:
        raise WakewordError(
            f"[playback] run: {program[0]!r} is no program here (apt install pulseaudio-utils, "
            "also for PipeWire)"
        )
    return program
