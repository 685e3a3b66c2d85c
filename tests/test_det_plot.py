"""The picture of misses against false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from wakeword.decide import DecisionConfig
from wakeword.intervals import rate_interval, share_interval
from wakeword.metrics import Curve, operating_point

pytest.importorskip("matplotlib", reason="pictures need the extra `plot`")

from wakeword_train.det_plot import det_figure, det_plot


def made_up(misses: list[int], alarms: list[int]) -> Curve:
    zero = np.zeros(len(misses), np.int64)
    return Curve(
        config=DecisionConfig(),
        strict=False,
        thresholds=np.linspace(0.1, 0.9, len(misses)),
        clips=50,
        misses=np.array(misses),
        doubles=zero,
        strays=zero,
        parts=("speech", "noise"),
        hours=(3.0, 1.0),
        false_alarms=np.column_stack([alarms, zero]),
    )


CURVE = made_up([0, 1, 5, 50], [40, 8, 1, 0])


def test_a_curve_holds_misses_in_percent_against_alarms_per_hour() -> None:
    line = det_figure({"clean": CURVE}, {}, "toy").axes[0].get_lines()[0]
    drawn = sorted(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True))
    # counts of 0 lie at half an event: 0.5 in 4 h, and half a clip of 50
    assert drawn == [(0.125, 100.0), (0.25, 10.0), (2.0, 2.0), (10.0, 1.0)]


def test_the_band_is_the_exact_interval() -> None:
    axes = det_figure({"clean": CURVE}, {}, "toy").axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    low, high = share_interval(5, 50)
    at = corners[np.isclose(corners[:, 0], 0.25), 1]
    assert (at.min(), at.max()) == pytest.approx((100 * low, 100 * high))


def test_the_cross_spans_both_intervals() -> None:
    point = operating_point(CURVE, 1)  # 1 of 50 missed, 8 alarms in 4 h
    axes = det_figure({"clean": CURVE}, {"clean": point}, "toy").axes[0]
    arms = [s for c in axes.containers for bar in c[2] for s in bar.get_segments()]
    assert arms[0][:, 0].tolist() == pytest.approx(list(rate_interval(8, 4.0)))
    assert arms[1][:, 1].tolist() == pytest.approx([100 * x for x in share_interval(1, 50)])


def test_what_the_hours_cannot_verify_is_grey() -> None:
    axes = det_figure({"clean": CURVE}, {}, "toy").axes[0]
    zone = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert zone.x1 == pytest.approx(1 / 4)  # one event in the four hours there are
    assert "not verified" in axes.texts[0].get_text()


def test_perfect_and_hopeless_counts_draw_without_a_warning() -> None:
    for misses in ([0, 0], [50, 50]):
        curve = made_up(misses, [0, 0])
        png = det_plot({"clean": curve, "0dB": curve}, {"clean": operating_point(curve, 0)}, "toy")
        assert png.startswith(b"\x89PNG")


def test_the_same_counts_give_the_same_bytes() -> None:
    assert det_plot({"clean": CURVE}, {}, "toy") == det_plot({"clean": CURVE}, {}, "toy")
