"""Detection error trade-off: misses against false alarms, and what the counts can show."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from wakeword.intervals import share_interval
from wakeword.metrics import Curve, OperatingPoint

__all__ = ["det_figure", "det_plot"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito's


def det_figure(curves: Mapping[str, Curve], live: Mapping[str, OperatingPoint], title: str) -> Any:
    """Draw one curve per condition on log-log axes.

    Bands are the exact 95 % intervals of the misses. A cross is the threshold in use, its arms both
    intervals. The grey zone holds rates below one false alarm in all the hours there are: nothing
    there is verified. A count of 0 has no place on a log axis and is drawn at half an event.

    Args:
        curves: by condition, of the same negatives.
        live: operating point in use, by condition.
        title: over the picture.

    Returns:
        A matplotlib Figure that belongs to no window.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5.5), dpi=120, layout="constrained")
    axes: Any = figure.add_subplot()
    hours = sum(next(iter(curves.values())).hours)
    for colour, (name, curve) in zip(_cycle(len(curves)), curves.items(), strict=True):
        rate = np.maximum(curve.false_alarms.sum(axis=1), 0.5) / hours
        ends = [share_interval(int(misses), curve.clips) for misses in curve.misses]
        low, high = 100 * np.array(ends).T
        floor = 50 / curve.clips
        share = np.maximum(100 * curve.misses / curve.clips, floor)
        order = np.lexsort((-share, rate))
        label = f"{name} ({curve.clips} clips)"
        axes.plot(rate[order], share[order], color=colour, label=label, lw=1.5)
        axes.fill_between(
            rate[order],
            np.maximum(low, floor / 10)[order],
            high[order],
            color=colour,
            alpha=0.15,
            lw=0,
        )
        if name in live:
            _cross(axes, live[name], colour, hours, floor)
    axes.set(xscale="log", yscale="log", title=title)
    axes.set(xlabel=f"false alarms per hour ({hours:.2f} h)", ylabel="missed, %")
    axes.set(xlim=(0.4 / hours, max(10.0, 20 / hours)), ylim=(0.1, 110))
    axes.axvspan(0.4 / hours, 1 / hours, color="0.85", zorder=0)
    axes.text(
        0.42 / hours,
        0.12,
        "fewer than one event:\nnot verified",
        fontsize=8,
        color="0.35",
        va="bottom",
    )
    axes.grid(which="both", color="0.9", lw=0.5)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right", fontsize=9)
    return figure


def det_plot(curves: Mapping[str, Curve], live: Mapping[str, OperatingPoint], title: str) -> bytes:
    """Give the picture of `det_figure` as a PNG."""
    png = io.BytesIO()
    det_figure(curves, live, title).savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def _cycle(count: int) -> list[str]:
    """Give ``count`` colours."""
    return [COLOURS[n % len(COLOURS)] for n in range(count)]


def _cross(axes: Any, point: OperatingPoint, colour: str, hours: float, floor: float) -> None:
    """Mark one operating point with both of its intervals."""
    x, y = max(point.fa_per_hour, 0.5 / hours), max(100 * point.frr, floor)
    axes.errorbar(
        x, y,
        xerr=[[x - max(min(point.fa_low, x), 1e-6)], [point.fa_high - x]],
        yerr=[[y - max(min(100 * point.frr_low, y), 1e-6)], [100 * point.frr_high - y]],
        color=colour, fmt="o", ms=5, lw=1, capsize=3,
    )  # fmt: skip
