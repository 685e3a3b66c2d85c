"""No test fails because a machine is slow, those that Hypothesis makes up included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.sound_card import SoundCard

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
