"""Cepstra equal those of CMU Sphinx, chunk by chunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.audio import iter_audio
from wakeword.errors import AudioFormatError
from wakeword.mfcc import COEFFICIENTS, HOP, WINDOW, Mfcc

DEMO = Path(__file__).parents[1] / "wakeword" / "demo" / "computer.flac"
SOUND = np.concatenate(list(iter_audio(DEMO, 16_000)))
# Frames 0, 789 (the loudest) and 796 of the demo by pocketsphinx 5.1.1, whose decoder writes them
# with mfclogdir; settings: lowerf 133.33334, upperf 6855.4976, nfilt 40, transform legacy, lifter
# 0, remove_noise, dither and cmn off.
SPHINX = {
    0: (-1.036863, -1.720733, 0.338891, -0.23112, 0.145368, -0.285134, 0.276786, -0.294259,
        0.065636, 0.016122, 0.016316, 0.021202, 0.02447),
    789: (15.115358, 0.992715, -1.416504, 0.202977, -0.76693, -0.24615, 0.112166, -0.765107,
          0.212721, -0.27794, 0.120956, -0.270038, -0.340886),
    796: (15.035622, 0.852323, -0.942949, -0.11686, -0.791669, -0.372394, 0.467995, -0.61858,
          -0.015168, -0.119823, -0.258244, 0.169552, -0.487439),
}  # fmt: skip


def test_frames_are_those_of_sphinx() -> None:
    frames = Mfcc().feed(SOUND)
    assert len(frames) == (len(SOUND) - WINDOW) // HOP + 1
    for place, wanted in SPHINX.items():
        np.testing.assert_allclose(frames[place], wanted, atol=5e-6)  # Sphinx counts in float32


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    whole = Mfcc().feed(SOUND[:4000])
    one = Mfcc()
    one.feed(SOUND[4000:5000])
    one.reset()
    parts = [one.feed(chunk) for chunk in np.split(SOUND[:4000], sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_silence_is_finite_and_other_sound_refused() -> None:
    frames = Mfcc().feed(np.zeros(2000, np.int16))
    assert frames.shape == (10, COEFFICIENTS)
    assert np.isfinite(frames).all()
    for wrong in (np.zeros(9, np.float32), np.zeros((9, 2), np.int16)):
        with pytest.raises(AudioFormatError, match="one channel of int16"):
            Mfcc().feed(wrong)  # type: ignore[arg-type]
