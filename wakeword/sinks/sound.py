"""Play a short sound when a word was heard, by a player that is there anyway."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.daemon.actions import SoundConfig
from wakeword.errors import WakewordError
from wakeword.microphone import Clock
from wakeword.sinks.command import run_program
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.wav import wav_bytes
from wakeword.sinks.worker import WorkerSink

__all__ = ["SoundSink", "chime"]

PLAYERS: tuple[tuple[str, ...], ...] = (("pw-play",), ("paplay",), ("aplay", "-q"))
TONES_HZ = (660.0, 880.0)
TONE_MS = 90
LIMIT_S = 10.0
WAITING = 1  # a sound for something long past only confuses


def chime(volume: float) -> NDArray[np.int16]:
    """Make two short rising tones that fade in and out.

    Args:
        volume: peak as a share of full scale, in (0, 1].

    Returns:
        (N,), int16, 16 kHz mono.
    """
    n = RATE_HZ * TONE_MS // 1000
    fade = np.hanning(n)
    tones = [fade * np.sin(2 * np.pi * hz / RATE_HZ * np.arange(n)) for hz in TONES_HZ]
    scaled = np.rint(np.concatenate(tones) * volume * 32767)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


class SoundSink(WorkerSink):
    """Plays a sound for each event; in a process of its own, since PortAudio is the listener's."""

    def __init__(self, name: str, config: SoundConfig, clock: Clock) -> None:
        super().__init__(name, clock, waiting=WAITING)
        self.config = config
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._file = config.file

    def handle(self, event: Event, utterance: Utterance | None) -> None:
        """Play it; raise WakewordError where that does not work."""
        player = self.config.player or next((p for p in PLAYERS if shutil.which(p[0])), ())
        if not player:
            names = ", ".join(p[0] for p in PLAYERS)
            raise WakewordError(f"no player: need one of {names} (apt install alsa-utils)")
        if self._file is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wakeword-")
            path = Path(self._folder.name) / "chime.wav"
            path.write_bytes(wav_bytes(chime(self.config.volume)))
            self._file = str(path)
        run_program((*player, self._file), b"", {}, LIMIT_S)

    def stop(self, grace_s: float) -> None:
        """End, and remove the chime."""
        super().stop(grace_s)
        if self._folder is not None:
            self._folder.cleanup()
