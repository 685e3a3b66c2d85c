"""How well a word is heard: misses against false alarms per hour, exact intervals, latency.

The events are counted by `wakeword.counting`. What the hours at hand cannot verify is refused: see
`check_support`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wakeword.counting import (
    SAMPLES_PER_MS,
    Curve,
    Ints,
    Stream,
    Utterance,
    checked,
    fired,
    inside,
    smooth,
    sweep,
    with_utterances,
)
from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError
from wakeword.intervals import rate_interval, share_interval

__all__ = [
    "Curve",
    "Hits",
    "OperatingPoint",
    "Rate",
    "Stream",
    "Utterance",
    "at_false_alarms",
    "at_misses",
    "check_support",
    "listen",
    "operating_point",
    "rates",
    "smooth",
    "sweep",
    "unverified",
    "with_utterances",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """False alarms in one part of the negatives, with the exact 95 % interval of their rate."""

    part: str
    false_alarms: int
    hours: float
    fa_per_hour: float
    fa_low: float
    fa_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What to expect at one threshold. Shares in [0, 1]; intervals are exact, 95 %.

    ``asdict`` gives what a bundle stores. ``fa_per_hour`` is 0 where nothing fired; the claim that
    this supports is ``fa_high``, and :meth:`text` says so.
    """

    threshold: float
    frr: float
    frr_low: float
    frr_high: float
    misses: int
    clips: int
    fa_per_hour: float
    fa_low: float
    fa_high: float
    false_alarms: int
    hours: float
    set: str

    def text(self) -> str:
        """Say it in one line."""
        return (
            f"threshold {self.threshold:.3f}: {100 * self.frr:.1f} % missed "
            f"({self.misses} of {self.clips}; 95 % interval {100 * self.frr_low:.1f} to "
            f"{100 * self.frr_high:.1f} %), "
            + rate_text(self.false_alarms, self.hours, self.fa_low, self.fa_high)
        )


def rate_text(false_alarms: int, hours: float, low: float, high: float) -> str:
    """Say a rate in words, and no number below what the hours can show."""
    if not false_alarms:
        return f"no false alarm in {hours:.2f} h: at most {high:.2g} per hour"
    count = f"{false_alarms} in {hours:.2f} h; {low:.2g} to {high:.2g}"
    return f"{false_alarms / hours:.2g} false alarms per hour ({count})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """How a set of utterances was heard at one threshold.

    ``median_ms``, ``p90_ms`` and ``p95_ms``: from the end of the word to the detection, of those
    heard; negative where it fired before the end, NaN-free: None where none was heard.
    """

    clips: int
    misses: int
    doubles: int
    strays: int
    frr: float
    frr_low: float
    frr_high: float
    median_ms: float | None
    p90_ms: float | None
    p95_ms: float | None


def rates(curve: Curve, row: int) -> list[Rate]:
    """Give the false alarms of each part at one threshold of the curve."""
    pairs = zip(curve.parts, curve.false_alarms[row].tolist(), curve.hours, strict=True)
    return [_rate(part, count, hours) for part, count, hours in pairs]


def _rate(part: str, false_alarms: int, hours: float) -> Rate:
    """Count to rate, with its interval."""
    low, high = rate_interval(false_alarms, hours)
    return Rate(
        part=part, false_alarms=false_alarms, hours=hours, fa_per_hour=false_alarms / hours,
        fa_low=low, fa_high=high,
    )  # fmt: skip


def operating_point(curve: Curve, row: int, name: str = "") -> OperatingPoint:
    """State the row's counts as an operating point; ``name`` says on which set they were made."""
    misses, alarms = int(curve.misses[row]), int(curve.false_alarms[row].sum())
    rate = _rate(name, alarms, sum(curve.hours))
    low, high = share_interval(misses, curve.clips)
    return OperatingPoint(
        threshold=float(curve.thresholds[row]), frr=misses / curve.clips, frr_low=low,
        frr_high=high, misses=misses, clips=curve.clips, fa_per_hour=rate.fa_per_hour,
        fa_low=rate.fa_low, fa_high=rate.fa_high, false_alarms=alarms, hours=rate.hours, set=name,
    )  # fmt: skip


def check_support(fa_per_hour: float, hours: float) -> None:
    """Refuse a rate of false alarms that the hours at hand cannot verify.

    The rule: at the asked rate at least one event must be expected, ``fa_per_hour * hours >= 1``.
    Below that the only count that passes is 0, which a detector three times worse also gives by
    luck one time in twenty. With 0 events in H hours the claim is an upper bound: 3.7 / H at 95 %
    (two-sided, as all intervals here).

    Raises:
        ConfigError: the rate is not above 0, or needs more hours.

    >>> check_support(0.1, 4.2)
    Traceback (most recent call last):
    wakeword.errors.ConfigError: 0.1 false alarms per hour cannot be verified with 4.20 h of \
negatives: one event must be expected; add recordings up to 10 h, or ask for 0.24 or more
    """
    if not 0 < fa_per_hour < math.inf:
        raise ConfigError(f"fa_per_hour={fa_per_hour}: need a rate above 0")
    if fa_per_hour * hours < 1:
        more, least = math.ceil(10 / fa_per_hour) / 10, math.ceil(100 / hours) / 100
        raise ConfigError(
            f"{fa_per_hour:g} false alarms per hour cannot be verified with {hours:.2f} h of "
            "negatives: one event must be expected; add recordings up to "
            f"{more:g} h, or ask for {least:g} or more"
        )


def at_false_alarms(curve: Curve, fa_per_hour: float, name: str = "") -> OperatingPoint:
    """Find the fewest misses at a rate of false alarms that is held in every part by itself.

    A part holds the rate with at most ``fa_per_hour`` x its hours of events, at this threshold and
    at all higher ones. (A part with less than 1 / ``fa_per_hour`` hours therefore allows none; that
    is necessary, but verifies nothing for that part alone: see `unverified`.) Of the thresholds
    with the fewest misses the middle one is taken, where small changes of score matter least.

    Raises:
        ConfigError: all hours together cannot verify the rate (`check_support`), or no threshold
            holds it.
    """
    check_support(fa_per_hour, sum(curve.hours))
    allowed = np.floor(fa_per_hour * np.array(curve.hours) + 1e-9)
    held = np.all(curve.false_alarms <= allowed, axis=1)
    broken = np.flatnonzero(~held)
    first = int(broken[-1]) + 1 if len(broken) else 0
    if first == len(held):
        raise ConfigError(
            f"no threshold up to {curve.thresholds[-1]:.3f} holds {fa_per_hour:g} false alarms per "
            f"hour in each of {', '.join(curve.parts)}; train with more negatives, or allow more"
        )
    return operating_point(curve, _middle_of_best(curve, curve.misses, first), name)


def at_misses(curve: Curve, frr: float, name: str = "") -> OperatingPoint:
    """Find the fewest false alarms with at most this share of misses, middle of equals.

    Raises:
        ConfigError: ``frr`` outside [0, 1), or no threshold misses so few.
    """
    if not 0 <= frr < 1:
        raise ConfigError(f"frr={frr}: need a share in [0, 1)")
    enough = curve.misses <= frr * curve.clips + 1e-9
    if not enough.any():
        raise ConfigError(
            f"every threshold misses more than {100 * frr:g} %: the fewest is "
            f"{int(curve.misses.min())} of {curve.clips}; ask for more misses"
        )
    alarms = curve.false_alarms.sum(axis=1)
    return operating_point(
        curve, _middle_of_best(curve, np.where(enough, alarms, alarms.max() + 1), 0), name
    )


def unverified(curve: Curve, fa_per_hour: float) -> list[str]:
    """Name the parts too short to verify this rate alone, by the rule of `check_support`."""
    pairs = zip(curve.parts, curve.hours, strict=True)
    return [part for part, hours in pairs if fa_per_hour * hours < 1]


def _middle_of_best(curve: Curve, cost: Ints, first: int) -> int:
    """Give the row nearest the middle of the highest run of least cost, from ``first`` on."""
    best = np.flatnonzero(cost[first:] == cost[first:].min()) + first
    gaps = np.flatnonzero(np.diff(best) > 1)
    rows = best[gaps[-1] + 1 :] if len(gaps) else best
    levels = curve.thresholds[rows]
    return int(rows[np.abs(levels - (levels[0] + levels[-1]) / 2).argmin()])


def listen(
    utterances: Sequence[Utterance], config: DecisionConfig, *, strict: bool = False
) -> Hits:
    """Count hits and misses of a set at one threshold, and how late the hits came.

    Raises:
        ConfigError: no utterances.
    """
    late_ms: list[float] = []
    doubles = strays = 0
    level = np.array([config.threshold])
    for utterance in utterances:
        smoothed = checked(utterance.probs, utterance.indices, config, strict)
        found = [i for i, _ in fired(smoothed, utterance.indices, config, level, strict)]
        own = [i for i in found if inside(utterance, i)]
        strays += len(found) - len(own)
        doubles += len(own[1:])
        late_ms += [(i - utterance.word_end) / SAMPLES_PER_MS for i in own[:1]]
    misses = len(utterances) - len(late_ms)
    low, high = share_interval(misses, len(utterances))
    ranks = np.percentile(late_ms, [50, 90, 95]).tolist() if late_ms else [None] * 3
    return Hits(
        clips=len(utterances), misses=misses, doubles=doubles, strays=strays,
        frr=misses / len(utterances), frr_low=low, frr_high=high,
        median_ms=ranks[0], p90_ms=ranks[1], p95_ms=ranks[2],
    )  # fmt: skip
