"""Exact confidence intervals for a share of clips and for a rate of events, from counts alone.

No normal approximation: after 0 misses of 50, or 0 false alarms in 4 hours, it claims certainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["LEVEL", "rate_interval", "share_interval"]

LEVEL = 0.95


def _solve(falling: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Find where a falling function passes the target, by halving down to the last bit."""
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            return middle
        if falling(middle) > target:
            low = middle
        else:
            high = middle


def _log_factorials(count: int) -> NDArray[np.float64]:
    """Return log(i!) for i = 0 .. count."""
    return np.array([math.lgamma(i + 1) for i in range(count + 1)])


@lru_cache(maxsize=4096)
def share_interval(events: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Give the exact interval of a probability after ``events`` in ``trials`` (Clopper-Pearson).

    Args:
        events: how often it happened, 0 to ``trials``.
        trials: independent trials, at least 1.
        level: confidence in (0, 1); the rest is halved between both ends.

    Returns:
        Lowest and highest probability that the count does not refute.

    Raises:
        ConfigError: counts or level out of range.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

    >>> [round(end, 4) for end in share_interval(0, 10)]
    [0.0, 0.3085]
    """
    if not 0 <= events <= trials or trials < 1:
        raise ConfigError(
            f"events={events}, trials={trials}: need 0 <= events <= trials, trials >= 1"
        )
    _check_level(level)
    tail = (1 - level) / 2
    logs = _log_factorials(trials)
    ways = logs[trials] - logs - logs[::-1]

    def at_most(count: int, prob: float) -> float:
        """Chance of at most ``count`` of ``trials``."""
        i = np.arange(count + 1)
        terms = ways[: count + 1] + i * math.log(prob) + (trials - i) * math.log1p(-prob)
        return float(np.exp(terms).sum())

    low = _solve(lambda p: at_most(events - 1, p), 1 - tail, 0.0, 1.0) if events else 0.0
    high = _solve(lambda p: at_most(events, p), tail, 0.0, 1.0) if events < trials else 1.0
    return low, high


@lru_cache(maxsize=4096)
def rate_interval(events: int, hours: float, level: float = LEVEL) -> tuple[float, float]:
    """Give the exact interval of a rate after ``events`` in ``hours`` (Garwood's, for Poisson).

    Args:
        events: how often it happened, at least 0.
        hours: how long was listened, above 0.
        level: confidence in (0, 1); the rest is halved between both ends.

    Returns:
        Lowest and highest rate, per hour, that the count does not refute.

    Raises:
        ConfigError: counts or level out of range.

    Source: Garwood 1936, doi:10.1093/biomet/28.3-4.437.

    >>> [round(end, 3) for end in rate_interval(0, 1.0)]
    [0.0, 3.689]
    """
    if events < 0 or not 0 < hours < math.inf:
        raise ConfigError(f"events={events}, hours={hours}: need events >= 0 and hours > 0")
    _check_level(level)
    tail = (1 - level) / 2
    logs = _log_factorials(events)

    def at_most(count: int, mean: float) -> float:
        """Chance of at most ``count``."""
        i = np.arange(count + 1)
        return float(np.exp(i * math.log(mean) - mean - logs[: count + 1]).sum())

    far = events + 40 * math.sqrt(events + 1) - math.log(tail)
    low = _solve(lambda m: at_most(events - 1, m), 1 - tail, 0.0, far) if events else 0.0
    high = _solve(lambda m: at_most(events, m), tail, 0.0, far)
    return low / hours, high / hours


def _check_level(level: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not 0 < level < 1:
        raise ConfigError(f"level={level}: need a confidence between 0 and 1, such as 0.95")
