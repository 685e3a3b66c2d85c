"""Run a program when a word was heard: no shell, a time limit, never in the way of listening."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

from wakeword.daemon.actions import CommandConfig
from wakeword.errors import WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.wav import wav_bytes
from wakeword.sinks.worker import WorkerSink

__all__ = ["CommandSink", "program_env", "run_program"]


class CommandSink(WorkerSink):
    """Runs a program for each event, one at a time, in the order in which they came.

    The program finds WAKEWORD_ID, WAKEWORD_WORD, WAKEWORD_PROB and WAKEWORD_AT in its environment,
    and on its standard input the event as JSON, or the sound as a WAV. Nothing of an event goes
    into its arguments.
    """

    def __init__(self, name: str, config: CommandConfig, clock: Clock) -> None:
        audio = config.stdin == "audio"
        super().__init__(name, clock, waiting=config.waiting, wants_audio=audio)
        self.config = config

    def handle(self, event: Event, utterance: Utterance | None) -> None:
        """Run it; raise WakewordError where it does not start, fails, or takes too long."""
        stdin = event.to_json() + b"\n" if utterance is None else wav_bytes(utterance.samples)
        extra = {
            "WAKEWORD_ID": event.id,
            "WAKEWORD_WORD": event.word,
            "WAKEWORD_PROB": f"{event.prob:.6f}",
            "WAKEWORD_AT": event.at,
        }
        run_program(self.config.run, stdin, extra, self.config.timeout_s)


def program_env() -> dict[str, str]:
    """Return our environment without what belongs to us alone.

    The service manager's socket is ours: a program must not speak in our name.
    """
    return {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_PID")}


def run_program(
    run: tuple[str, ...], stdin: bytes, extra: dict[str, str], timeout_s: float
) -> None:
    """Run a program to its end, in a process group of its own.

    Args:
        run: program and arguments.
        stdin: its standard input; what it prints goes where the daemon's own log goes.
        extra: added to its environment.
        timeout_s: after which the group is killed.

    Raises:
        WakewordError: it does not start, ends with an exit code other than 0, or takes too long.
    """
    try:
        process = subprocess.Popen(
            run,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=program_env() | extra,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        raise WakewordError(f"{run[0]}: cannot be run ({exc}); check the path in run") from exc
    try:
        process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        raise WakewordError(
            f"{run[0]}: took longer than timeout_s={timeout_s:g} and was killed"
        ) from exc
    finally:
        # Also what it left behind in its group; the group is gone where nothing was.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        raise WakewordError(f"{run[0]}: ended with exit code {process.returncode}; need 0")
