"""What was measured of a word, at a threshold that somebody thinks of.

The report that `wakeword train` lays beside a bundle (``NAME-report.json``) holds the counts at
every threshold. A bundle alone holds them at one or a few: between and beyond these the counts are
only bounded, since a higher threshold misses more and wakes less.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.bundle import Bundle
from wakeword.errors import ConfigError
from wakeword.intervals import rate_interval, share_interval

__all__ = ["figures", "read_report"]

REPORT_BYTES = 4_000_000
STEP = 100  # a report counts at every hundredth, and between where a count changes
CLOSE = 5e-4  # thresholds that differ by less are written alike
TINY = 1e-9

Row = dict[str, Any]


def read_report(bundle: Bundle, folder: Path | None = None) -> Mapping[str, Any] | None:
    """Return the report beside a bundle, or in another folder.

    Returns:
        None where there is none, or it is about another model.
    """
    for place in (bundle.path.parent, folder):
        for ending in ("report", "evaluation"):
            report = None if place is None else _read(place / f"{bundle.name}-{ending}.json")
            if report is not None and report.get("sha256") == bundle.sha256:
                return report
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON object of a sensible size."""
    try:
        with path.open("rb") as file:
            content = file.read(REPORT_BYTES + 1)
        found = json.loads(content) if len(content) <= REPORT_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def figures(
    bundle: Bundle, word: str, threshold: float, report: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Say how often a word is missed, and how often it is heard where nobody said it.

    Args:
        bundle: knows the word.
        word: which.
        threshold: in (0, 1].
        report: of this bundle, from `read_report`.

    Returns:
        ``basis``: "report", "bundle" or "none"; ``tested``: what was heard, in words; ``misses``
        and ``alarms``: rows with a ``name``, the ``events`` counted in ``trials`` clips or hours,
        the ``rate`` with the ``low`` and ``high`` end of its exact 95 % interval, and ``bound``:
        "" (measured here), "least" or "most" (measured at another threshold, ``at``, and the truth
        is no less, or no more). Only measured counts are in it.

    Raises:
        ConfigError: the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold={threshold}: need 0 < threshold <= 1")
    if report is not None:
        try:
            found = _of_curve(report["words"][word]["curve"], threshold)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ConfigError):
            found = None  # no report of ours
        if found is not None:
            tested = str(report.get("tested", ""))
            return {"basis": "report", "tested": tested, **found}
    points = bundle.operating_points.get(word, ())
    if not points:
        return {"basis": "none", "tested": "", "misses": [], "alarms": []}
    return {"basis": "bundle", "tested": "", **_of_points(points, threshold)}


def _of_curve(curve: Mapping[str, Any], threshold: float) -> dict[str, list[Row]] | None:
    """Read the counts off a report; between two that were tried, the worse one."""
    levels = np.asarray(curve["threshold"], np.float64)
    below = int(np.searchsorted(levels, threshold + TINY, side="right")) - 1
    if below < 0:
        return None
    # Every hundredth was tried, and what is not listed counts as the one before.
    above = int(np.searchsorted(levels, math.ceil(threshold * STEP - TINY) / STEP + TINY)) - 1
    above = min(above, int(np.searchsorted(levels, threshold - TINY)))
    misses = [
        _share(name, int(counts[above]), int(curve["clips"][name]), threshold)
        for name, counts in curve["misses"].items()
    ]
    parts = {
        name: (int(counts[below]), float(curve["hours"][name]))
        for name, counts in curve["false_alarms"].items()
    }
    if len(parts) > 1:
        events, hours = (sum(numbers) for numbers in zip(*parts.values(), strict=True))
        parts = {"all": (int(events), hours), **parts}
    alarms = [_per_hour(name, n, hours, threshold) for name, (n, hours) in parts.items()]
    return {"misses": misses, "alarms": alarms}


def _of_points(points: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, list[Row]]:
    """Bound the counts by the nearest points that were measured."""
    names = list(dict.fromkeys(str(point["set"]) for point in points))
    misses: list[Row] = []
    alarms: dict[tuple[int, float, float], Row] = {}  # sets of words share the sound without them
    for name in names:
        own = sorted((p for p in points if p["set"] == name), key=lambda p: float(p["threshold"]))
        below = [p for p in own if p["threshold"] <= threshold + CLOSE][-1:]
        above = [p for p in own if p["threshold"] >= threshold - CLOSE][:1]
        # "test, clean, noise" is a part of "test, clean": its misses are the same ones.
        part = any(name.startswith(f"{other}, ") for other in names)
        for point in below if below == above else below + above:
            at, alarm = point["threshold"], (point["false_alarms"], point["hours"])
            bounds = ("least", "most") if at < threshold else ("most", "least")
            if abs(at - threshold) <= CLOSE:
                bounds = ("", "")
            if not part:
                misses.append(_share(name, point["misses"], point["clips"], at, bounds[0]))
            alarms.setdefault((*alarm, at), _per_hour(name, *alarm, at, bounds[1]))
    return {"misses": misses, "alarms": sorted(alarms.values(), key=lambda row: -row["trials"])}


def _share(name: str, events: int, trials: int, at: float, bound: str = "") -> Row:
    """Make a row of misses."""
    low, high = share_interval(events, trials)
    return {"name": name, "events": events, "trials": trials, "rate": events / trials,
            "low": low, "high": high, "at": at, "bound": bound}  # fmt: skip


def _per_hour(name: str, events: int, hours: float, at: float, bound: str = "") -> Row:
    """Make a row of false alarms."""
    low, high = rate_interval(events, hours)
    return {"name": name, "events": events, "trials": hours, "rate": events / hours,
            "low": low, "high": high, "at": at, "bound": bound}  # fmt: skip
