"""Pictures: nothing is lost by the thinning, and what is drawn is what was heard."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.detector import Detection
from wakeword.errors import ConfigError
from wakeword.plot import Envelope, ScorePlot

RNG = np.random.default_rng(5)


@settings(max_examples=50)
@given(
    count=st.integers(1, 3000),
    cuts=st.lists(st.integers(0, 3000), max_size=5),
    step=st.integers(1, 50),
)
def test_an_envelope_keeps_every_peak_in_its_place(count: int, cuts: list[int], step: int) -> None:
    values = RNG.standard_normal(count)
    positions = np.arange(count) * step
    envelope = Envelope(bins=64)
    for at, part in zip(
        np.split(positions, sorted(cuts)), np.split(values, sorted(cuts)), strict=True
    ):
        envelope.feed(at, part)
    start, low, high = envelope.ranges()
    assert len(start) <= 64
    for first, lowest, highest in zip(start, low, high, strict=True):
        inside = values[(positions >= first) & (positions < first + envelope.width)]
        assert (lowest, highest) == (inside.min(), inside.max())
    assert low.min() == values.min()
    assert high.max() == values.max()


def test_an_empty_envelope_has_no_bins() -> None:
    envelope = Envelope()
    envelope.feed(np.zeros(0, int), np.zeros(0))
    assert len(envelope.ranges()[0]) == 0


def a_plot(detections: int = 2) -> ScorePlot:
    pytest.importorskip("matplotlib")
    plot = ScorePlot({"yes": 0.8, "no": 0.6}, title="a.wav")
    for second in range(20):
        samples = (RNG.standard_normal(16_000) * 1000).astype(np.int16)
        indices = np.arange(second * 16_000 + 480, (second + 1) * 16_000, 480)
        plot.add(samples, RNG.random((len(indices), 2)).astype(np.float32), indices)
    for number in range(detections):
        plot.mark(Detection("no", 16_000 * (number + 1) % 320_000, 0.7))
    return plot


@pytest.mark.parametrize(
    ("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")]
)
def test_pictures_are_written_in_the_form_of_their_name(
    tmp_path: Path, name: str, magic: bytes
) -> None:
    a_plot().save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_the_picture_shows_scores_thresholds_and_detections_in_seconds() -> None:
    figure = a_plot(detections=2)._figure()
    wave, yes, no = figure.axes
    assert wave.get_title(loc="left") == "a.wav"
    assert [axes.get_title(loc="left") for axes in (yes, no)] == ["yes", "no"]
    assert no.get_xlim() == (0, 20)
    assert "seconds" in no.get_xlabel()
    dashed = [line.get_ydata()[0] for line in no.lines if line.get_linestyle() == "--"]
    assert dashed == [0.6]
    (marks,) = (line for line in no.lines if line.get_marker() == "v")
    assert list(marks.get_xdata()) == [1.0, 2.0]
    assert [text.get_text() for text in no.texts] == ["2.00 s: 0.70"]  # no room after the first
    assert not [line for line in yes.lines if line.get_marker() == "v"]
    labels = [text.get_text() for text in no.get_legend().get_texts()]
    assert labels == ["score of each step", "threshold 0.6 (of the smoothed score)", "2 detected"]


def test_many_detections_are_ticks_that_hide_nothing() -> None:
    wave, _, no = a_plot(detections=500)._figure().axes
    assert len(wave.lines) == 0
    (marks,) = (line for line in no.lines if line.get_marker() == "|")
    assert len(marks.get_xdata()) == 500
    assert not no.texts


def test_a_silent_recording_is_drawn_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = ScorePlot({"yes": 0.8}, title="silence")
    plot.add(np.zeros(800, np.int16), np.zeros((1, 1), np.float32), np.array([800]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.save(tmp_path / "a.png")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.bmp: pictures are \.png"):
        a_plot().save(tmp_path / "a.bmp")
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r'pip install "wakeword\[plot\]"'):
        ScorePlot({"yes": 0.8}, title="")
