"""What every test has: no failure because a machine is slow, and a disk without room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.sound_card import SoundCard
    from wakeword.daemon.hub import Hub

SLOW = [HealthCheck.too_slow]
settings.register_profile("any machine", deadline=None, suppress_health_check=SLOW)
settings.load_profile("any machine")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[SoundCard]:
    """A sound card, plugged in."""
    from tests.sound_card import SoundCard  # it looks for PortAudio

    card = SoundCard(tmp_path)
    card.plug()
    yield card
    card.unplug()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The thread of what listens and connects, running."""
    from wakeword.daemon.hub import Hub

    hub = Hub()
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
