"""What became of each recording at one threshold: the counts of `wakeword.metrics`, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.counting import fired, inside
from wakeword.decide import DecisionConfig
from wakeword.intervals import share_interval
from wakeword.metrics import Stream, Utterance, smooth
from wakeword_train.report.facts import Share

__all__ = ["Alarm", "Outcome", "alarms_of", "near_alarms", "outcome_of", "share_of"]

SAMPLES_PER_MS = 16
APART = 32_000  # samples; nearer peaks are one event to a listener


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One recording of the word.

    ``late_ms`` counts from the word's end, None: missed. ``peak`` is the highest smoothed score
    within the word's window, ``index`` the sample at which it was detected or, if missed, of the
    peak; ``smoothed`` (T,) are all scores.
    """

    utterance: Utterance
    late_ms: float | None
    peak: float
    index: int
    smoothed: NDArray[np.float64]

    @property
    def heard(self) -> bool:
        """Whether it was detected."""
        return self.late_ms is not None


@dataclass(frozen=True, slots=True, eq=False)
class Alarm:
    """A place in a stream without the word where it fired, or came near it.

    ``index`` is the sample of the event, or of the peak where nothing fired; ``peak`` the highest
    smoothed score of the second after it.
    """

    stream: Stream
    index: int
    peak: float
    fired: bool
    smoothed: NDArray[np.float64]

    @property
    def piece(self) -> tuple[int, str]:
        """Start and file of the recording that set it off: the last one begun, or the first."""
        begun = [piece for piece in self.stream.pieces if piece[0] <= self.index]
        return begun[-1] if begun else self.stream.pieces[0]


def outcome_of(utterance: Utterance, config: DecisionConfig, *, strict: bool = False) -> Outcome:
    """Say what became of a recording of the word; `wakeword.metrics.listen` counts the same."""
    smoothed = smooth(utterance.probs, config.smooth_steps, strict=strict)
    level = np.array([config.threshold])
    own = [
        index
        for index, _ in fired(smoothed, utterance.indices, config, level, strict)
        if inside(utterance, index)
    ]
    window = [inside(utterance, index) for index in utterance.indices.tolist()]
    peak = float(smoothed[window].max(initial=0))
    if own:
        late = (own[0] - utterance.word_end) / SAMPLES_PER_MS
        return Outcome(utterance, late, peak, own[0], smoothed)
    highest = utterance.indices[window][smoothed[window].argmax()] if any(window) else 0
    return Outcome(utterance, None, peak, int(highest), smoothed)


def alarms_of(
    streams: Iterable[Stream], config: DecisionConfig, *, strict: bool = False
) -> list[Alarm]:
    """List all false alarms, the highest score first; `wakeword.metrics.sweep` counts as many."""
    found = []
    level = np.array([config.threshold])
    for stream in streams:
        smoothed = smooth(stream.probs, config.smooth_steps, strict=strict)
        for index, _ in fired(smoothed, stream.indices, config, level, strict):
            after = (stream.indices >= index) & (stream.indices < index + APART // 2)
            found.append(Alarm(stream, index, float(smoothed[after].max()), True, smoothed))
    return sorted(found, key=lambda alarm: -alarm.peak)


def near_alarms(
    streams: Iterable[Stream], config: DecisionConfig, most: int, *, strict: bool = False
) -> list[Alarm]:
    """List where it came nearest to a false alarm: the highest peaks at which nothing fired.

    Peaks within 2 s of an event, or of a higher peak, are the same sound and are left out.
    """
    found: list[Alarm] = []
    level = np.array([config.threshold])
    for stream in streams:
        smoothed = smooth(stream.probs, config.smooth_steps, strict=strict)
        near = [i for i, _ in fired(smoothed, stream.indices, config, level, strict)]
        left = np.ones(len(smoothed), bool)
        for index in near:
            left &= np.abs(stream.indices - index) > APART
        for _ in range(most):
            if not left.any():
                break
            step = int(np.where(left, smoothed, -1).argmax())
            index = int(stream.indices[step])
            found.append(Alarm(stream, index, float(smoothed[step]), False, smoothed))
            left &= np.abs(stream.indices - index) > APART
    return sorted(found, key=lambda alarm: -alarm.peak)[:most]


def share_of(outcomes: Sequence[Outcome]) -> Share:
    """Count the misses.

    Raises:
        ConfigError: no outcomes.
    """
    misses = sum(not one.heard for one in outcomes)
    low, high = share_interval(misses, len(outcomes))
    return Share(misses, len(outcomes), misses / len(outcomes), low, high)
