"""A sound card without the air, for tests that listen live.

A private PulseAudio daemon with a null sink stands in for the sound card: what is played into the
sink comes out of its monitor, which PortAudio reaches as the default microphone through ALSA's
pulse plugin. Debian: pulseaudio pulseaudio-utils libasound2-plugins libportaudio2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.daemon_kit import PATIENCE_S

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "wakeword" / "demo" / "computer.flac"
SHIPPED = ROOT / "wakeword" / "models" / "computer_jarvis.json"
PLUGINS = [*Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")]


def why_not() -> str | None:
    """Say what is missing to run these tests, if anything is."""
    for tool in ("pulseaudio", "paplay", "pactl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: pulseaudio pulseaudio-utils)"
    if not PLUGINS:
        return "ALSA's pulse plugin is not installed (Debian: libasound2-plugins)"
    try:
        import sounddevice  # noqa: F401 - whether it loads is the question
    except (ImportError, OSError) as exc:
        return f"no PortAudio: {exc}"
    for path in (DEMO, SHIPPED):
        if not path.is_file():
            return f"{path.name} is not there yet"
    return None


REASON = why_not()


class SoundCard:
    """A PulseAudio daemon of our own, that can be unplugged."""

    def __init__(self, folder: Path) -> None:
        home, run = folder / "home", folder / "run"
        home.mkdir()
        run.mkdir(mode=0o700)
        (home / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n", encoding="utf-8"
        )
        self._socket = run / "native"
        self._log = folder / "pulseaudio.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "ALSA_"))},
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_RUNTIME_PATH": str(run),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PYTHONPATH": str(ROOT),
        }

    def plug(self) -> None:
        """Start the daemon, and wait until it answers."""
        modules = [
            f"module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            "module-null-sink sink_name=air",
        ]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        for module in modules:
            command += ["-L", module]
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode:
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                pytest.fail("pulseaudio does not start:\n" + self._log.read_text())
            time.sleep(0.05)

    def unplug(self) -> None:
        """Kill the daemon: to everybody connected, the device is gone."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(PATIENCE_S)

    def play(self, path: Path) -> None:
        """Play a recording to its end."""
        command = ["paplay", "--device=air", str(path)]
        subprocess.run(command, env=self.env, check=True, timeout=PATIENCE_S)
