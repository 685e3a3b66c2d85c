"""From a score per step to events: smoothing, threshold, hysteresis and a refractory time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from math import fsum

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["Decider", "DecisionConfig", "events"]

_SAMPLES_PER_MS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionConfig:
    """When a word counts as heard.

    Args:
        threshold: smoothed probability, in (0, 1], from which the word fires.
        release: the word can fire again only after the smoothed probability fell below this;
            in [0, threshold]. None takes 0.8 x threshold, see :attr:`release_level`.
        smooth_steps: model steps in the moving average, 1 to 1000.
        refractory_ms: silence after an event, 0 to 60000.

    Raises:
        ConfigError: a value is out of its range.
    """

    threshold: float = 0.5
    release: float | None = None
    smooth_steps: int = 3
    refractory_ms: int = 1000

    def __post_init__(self) -> None:
        if not (_is_number(self.threshold) and 0 < self.threshold <= 1):
            raise ConfigError(f"threshold={self.threshold!r}: need 0 < threshold <= 1")
        if self.release is not None and not (
            _is_number(self.release) and 0 <= self.release <= self.threshold
        ):
            raise ConfigError(
                f"release={self.release!r}: need 0 <= release <= threshold={self.threshold}"
            )
        for name, low, high in (("smooth_steps", 1, 1000), ("refractory_ms", 0, 60_000)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(f"{name}={value!r}: need a whole number from {low} to {high}")

    @property
    def release_level(self) -> float:
        """The release in force: as given, or 0.8 x threshold."""
        return 0.8 * self.threshold if self.release is None else self.release

    def with_threshold(self, threshold: float) -> DecisionConfig:
        """Return the same settings at another threshold; a given release keeps its ratio to it."""
        release = self.release
        if release is not None and _is_number(threshold):
            release = min(release * threshold / self.threshold, threshold)
        return replace(self, threshold=threshold, release=release)


def _is_number(value: object) -> bool:
    """Tell whether the value is a finite number and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Decider:
    """One word's decision over a stream of probabilities.

    The average of the last ``smooth_steps`` probabilities (those before the start count as 0) fires
    when it reaches the threshold, the word is armed, and the refractory time since the last event
    is over. It is armed at the start and again whenever the average is below the release level.

    Args:
        config: the settings.
        strict: microWakeWord's rule: the average is 0 until the window is full, and must lie above
            the threshold, not at it.

    Plain Python floats: on single numbers they cost a tenth of numpy calls.

    >>> decider = Decider(DecisionConfig(smooth_steps=1))
    >>> decider.feed(np.array([0.2, 0.9, 0.9]), np.array([480, 960, 1440]))
    [(960, 0.9)]
    """

    def __init__(self, config: DecisionConfig, *, strict: bool = False) -> None:
        self._strict = strict
        self._use(config)
        self._width = config.smooth_steps
        self._refractory = config.refractory_ms * _SAMPLES_PER_MS
        self.reset()

    def _use(self, config: DecisionConfig) -> None:
        self.config = config
        self._level = math.nextafter(config.threshold, 2) if self._strict else config.threshold
        self._release = config.release_level

    def set_threshold(self, threshold: float) -> None:
        """Go on at another threshold from the next probability on.

        Raises:
            ConfigError: not in (0, 1].
        """
        self._use(self.config.with_threshold(threshold))

    def reset(self) -> None:
        """Forget the stream; the threshold stays."""
        self._window: deque[float] = deque(maxlen=self._width)
        self._armed = True
        self._fired_at: int | None = None
        self.prob = 0.0
        """The latest smoothed probability."""

    def push(self, prob: float, sample_index: int) -> float | None:
        """Take one probability and return the smoothed one if the word fires on it, else None."""
        window = self._window
        window.append(prob)
        if self._strict and len(window) < self._width:
            return None
        # fsum is exact and the same in every Python; sum() is neither.
        self.prob = average = fsum(window) / self._width
        if average < self._release:
            self._armed = True
            return None
        if not self._armed or average < self._level:
            return None
        if self._fired_at is not None and sample_index - self._fired_at < self._refractory:
            return None
        self._armed = False
        self._fired_at = sample_index
        return average

    def feed(
        self, probs: NDArray[np.floating], sample_indices: NDArray[np.integer]
    ) -> list[tuple[int, float]]:
        """Take the next probabilities and return the events among them.

        Args:
            probs: shape (T,), in [0, 1], oldest first.
            sample_indices: shape (T,), where each was scored, in samples, increasing.

        Returns:
            (sample index, smoothed probability) of each event.

        Raises:
            ConfigError: the shapes differ or are not (T,).
        """
        if np.ndim(probs) != 1 or np.shape(probs) != np.shape(sample_indices):
            raise ConfigError(
                f"probs {np.shape(probs)}, sample_indices {np.shape(sample_indices)}: "
                "need the same shape (T,)"
            )
        found = []
        for prob, index in zip(probs.tolist(), sample_indices.tolist(), strict=True):
            average = self.push(prob, index)
            if average is not None:
                found.append((index, average))
        return found


def events(
    probs: NDArray[np.floating], sample_indices: NDArray[np.integer], config: DecisionConfig
) -> list[tuple[int, float]]:
    """Return the events of a whole stream of probabilities, from a fresh :class:`Decider`.

    Args:
        probs: shape (T,), in [0, 1].
        sample_indices: shape (T,), in samples, increasing.
        config: the settings.

    Returns:
        (sample index, smoothed probability) of each event.

    Raises:
        ConfigError: the shapes differ or are not (T,).
    """
    return Decider(config).feed(probs, sample_indices)
