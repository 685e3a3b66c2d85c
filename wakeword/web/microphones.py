"""Which microphones there are, for the page."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from wakeword.devices import input_devices
from wakeword.errors import DeviceError

if TYPE_CHECKING:
    from wakeword.daemon.service import Service

__all__ = ["microphones"]

PATIENCE_S = 10.0


def microphones(service: Service) -> list[dict[str, Any]]:
    """List what can record: ``name``, audio system (``api``), and whether it is the default.

    PortAudio looks for devices only when it starts, and one that listens must not be stopped for
    it: so a process of its own looks. That one may not see the device that we hold open.

    Raises:
        DeviceError: PortAudio is missing or fails.
    """
    if service.sounddevice is not None:
        return [
            {"name": d.name, "api": d.api, "default": d.default}
            for d in input_devices(service.sounddevice)
        ]
    command = [sys.executable, "-m", "wakeword", "devices", "--json"]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise DeviceError(f"the microphones cannot be listed ({exc})") from exc
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DeviceError((lines or ["the microphones cannot be listed"])[-1])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [{name: row[name] for name in ("name", "api", "default")} for row in rows]
