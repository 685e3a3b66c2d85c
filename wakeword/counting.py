"""Counting events in recorded scores, at every threshold at once.

The rule is the one that runs live (`wakeword.decide`): one hit per utterance, one false alarm per
event. Windows or frames in place of events would flatter an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError

__all__ = [
    "Curve",
    "Stream",
    "Utterance",
    "checked",
    "fired",
    "inside",
    "smooth",
    "sweep",
    "with_utterances",
]

SAMPLES_PER_MS = 16
SAMPLES_PER_HOUR = 57_600_000
LOWEST = 0.01  # thresholds below this are not tried
PEAKS = 300  # thresholds taken from the scores of each part, and of the utterances

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """The scores of one recording in which the word is said once.

    Args:
        probs: shape (T,), in [0, 1], oldest first.
        indices: shape (T,), samples heard at each score, increasing.
        word_start: sample at which the word begins.
        word_end: sample at which it ends.
        tolerance: samples after the end within which a detection is still its own.
        condition: how it was heard ("clean", "10dB").
        source: where the recording comes from.
        file: the recording, so that it can be heard again.
    """

    probs: NDArray[np.floating[Any]]
    indices: Ints
    word_start: int
    word_end: int
    tolerance: int = 700 * SAMPLES_PER_MS
    condition: str = "clean"
    source: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """The scores of one recording in which the word is never said.

    ``samples`` is what counts as listened to: leave padding and gaps between clips out of it.
    ``part`` names the kind of sound; false alarms are counted in each part by itself. ``source``
    is where the recording comes from; ``pieces`` are the files in it, each with the sample at which
    it begins.
    """

    probs: NDArray[np.floating[Any]]
    indices: Ints
    samples: int
    part: str = "negatives"
    source: str = ""
    pieces: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Counts at each of P thresholds, ascending.

    ``misses`` (P,), ``doubles`` (P,) second detections of the same utterance, ``strays`` (P,)
    detections in recordings of the word but outside its window; ``false_alarms`` (P, parts).
    """

    config: DecisionConfig
    strict: bool
    thresholds: Floats
    clips: int
    misses: Ints
    doubles: Ints
    strays: Ints
    parts: tuple[str, ...]
    hours: tuple[float, ...]
    false_alarms: Ints


def smooth(probs: NDArray[np.floating[Any]], width: int, *, strict: bool = False) -> Floats:
    """Average each probability with the ones before it, exactly as `wakeword.decide.Decider` does.

    Args:
        probs: shape (T,), in [0, 1], oldest first.
        width: steps in the average; those before the start count as 0.
        strict: microWakeWord's rule, 0 until the window is full.

    Returns:
        Shape (T,).

    >>> smooth(np.array([0.5, 1.0, 1.0]), 2).tolist()
    [0.25, 0.75, 1.0]
    """
    values = probs.tolist()
    averages = [fsum(values[max(0, t - width + 1) : t + 1]) / width for t in range(len(values))]
    if strict:
        averages[: width - 1] = [0.0] * min(width - 1, len(values))
    return np.array(averages, np.float64)


def fired(
    smoothed: Floats, indices: Ints, config: DecisionConfig, thresholds: Floats, strict: bool
) -> Iterator[tuple[int, Ints]]:
    """Run Decider at all thresholds at once: yield (sample index, rows of thresholds that fire).

    The same recurrence as Decider's, with one armed flag and one ready time per threshold. A step
    below every release only arms, so the second and later ones of such a run are skipped.
    """
    at = [config.with_threshold(float(t)).release_level for t in thresholds]
    releases = np.array(at, np.float64)
    levels = np.nextafter(thresholds, 2) if strict else thresholds
    loud = smoothed >= releases.min()
    steps = np.flatnonzero(loud | np.concatenate([[False], loud[:-1]]))
    reached = np.searchsorted(levels, smoothed[steps], side="right").tolist()
    held = np.searchsorted(releases, smoothed[steps], side="right").tolist()
    wait = config.refractory_ms * SAMPLES_PER_MS
    armed = np.ones(len(thresholds), bool)
    ready = np.full(len(thresholds), np.iinfo(np.int64).min)
    for index, fires, keeps in zip(indices[steps].tolist(), reached, held, strict=True):
        armed[keeps:] = True
        if fires:
            rows = np.flatnonzero(armed[:fires] & (ready[:fires] <= index))
            if len(rows):
                armed[rows] = False
                ready[rows] = index + wait
                yield index, rows


def sweep(
    utterances: Sequence[Utterance],
    streams: Sequence[Stream],
    config: DecisionConfig,
    *,
    thresholds: Sequence[float] | Floats | None = None,
    strict: bool = False,
) -> Curve:
    """Count misses and false alarms at every threshold worth trying.

    Args:
        utterances: recordings of the word, at least one.
        streams: recordings without it, at least one with samples.
        config: how scores become events; its release keeps its ratio to the threshold.
        thresholds: in (0, 1]. None takes 0.01 to 1 in steps of 0.01, the peaks of the utterances
            (at most 300, by rank) and the 300 highest peaks of each part of the streams, which is
            where one more of them fires.
        strict: microWakeWord's rule, see `wakeword.decide.Decider`.

    Returns:
        The curve. Its counts are those of Decider at each threshold.

    Raises:
        ConfigError: no utterances or no hours of streams, a score that is not finite, or a
            threshold out of range.
    """
    heard = [checked(u.probs, u.indices, config, strict) for u in utterances]
    other = [checked(s.probs, s.indices, config, strict) for s in streams]
    parts = tuple(dict.fromkeys(s.part for s in streams))
    hours = {p: sum(s.samples for s in streams if s.part == p) / SAMPLES_PER_HOUR for p in parts}
    if not utterances or not parts or min(hours.values()) <= 0:
        raise ConfigError(
            f"{len(utterances)} utterances, hours of negatives {hours}: need at least one "
            "recording of the word, and some sound without it in every part"
        )
    if thresholds is None:
        levels = _grid(utterances, heard, streams, other)
    else:
        levels = np.unique(np.asarray(thresholds, np.float64))
    misses, doubles, strays = _heard(utterances, heard, config, levels, strict)
    alarms = np.zeros((len(levels), len(parts)), np.int64)
    for stream, smoothed in zip(streams, other, strict=True):
        column = parts.index(stream.part)
        for _, rows in fired(smoothed, stream.indices, config, levels, strict):
            alarms[rows, column] += 1
    return Curve(
        config=config,
        strict=strict,
        thresholds=levels,
        clips=len(utterances),
        misses=misses,
        doubles=doubles,
        strays=strays,
        parts=parts,
        hours=tuple(hours[p] for p in parts),
        false_alarms=alarms,
    )


def _heard(
    utterances: Sequence[Utterance],
    smoothed: Sequence[Floats],
    config: DecisionConfig,
    levels: Floats,
    strict: bool,
) -> tuple[Ints, Ints, Ints]:
    """Count misses, doubles and strays at each level."""
    found = np.zeros(len(levels), np.int64)
    doubles, strays = np.zeros_like(found), np.zeros_like(found)
    for utterance, averages in zip(utterances, smoothed, strict=True):
        hit = np.zeros(len(levels), bool)
        for index, rows in fired(averages, utterance.indices, config, levels, strict):
            if inside(utterance, index):
                doubles[rows] += hit[rows]
                hit[rows] = True
            else:
                strays[rows] += 1
        found += hit
    return len(utterances) - found, doubles, strays


def with_utterances(curve: Curve, utterances: Sequence[Utterance]) -> Curve:
    """Give the same curve, thresholds and streams kept, for other utterances: one condition, say.

    Raises:
        ConfigError: no utterances.
    """
    if not utterances:
        raise ConfigError("0 utterances: need at least one recording of the word")
    smoothed = [checked(u.probs, u.indices, curve.config, curve.strict) for u in utterances]
    misses, doubles, strays = _heard(
        utterances, smoothed, curve.config, curve.thresholds, curve.strict
    )
    return replace(curve, clips=len(utterances), misses=misses, doubles=doubles, strays=strays)


def checked(
    probs: NDArray[np.floating[Any]], indices: Ints, config: DecisionConfig, strict: bool
) -> Floats:
    """Smooth, after a look at shapes and values."""
    if probs.ndim != 1 or probs.shape != indices.shape:
        raise ConfigError(f"probs {probs.shape}, indices {indices.shape}: need the same shape (T,)")
    if not np.isfinite(probs).all():
        raise ConfigError("a score is not finite: the model is broken, and its counts mean nothing")
    return smooth(probs, config.smooth_steps, strict=strict)


def inside(utterance: Utterance, index: int) -> bool:
    """Tell whether a detection belongs to the word: from its start to its end and the tolerance."""
    return utterance.word_start <= index <= utterance.word_end + utterance.tolerance


def _grid(
    utterances: Sequence[Utterance],
    heard: Sequence[Floats],
    streams: Sequence[Stream],
    other: Sequence[Floats],
) -> Floats:
    """Choose thresholds: even steps, and the values at which a count changes."""
    tops = [
        float(
            smoothed[(u.indices >= u.word_start) & (u.indices <= u.word_end + u.tolerance)].max(
                initial=0
            )
        )
        for u, smoothed in zip(utterances, heard, strict=True)
    ]
    ranks = np.linspace(0, len(tops) - 1, min(PEAKS, len(tops))).round().astype(int)
    values = [np.linspace(LOWEST, 1, 100), np.sort(tops)[ranks]]
    for part in {s.part for s in streams}:
        peaks = [_peaks(x) for s, x in zip(streams, other, strict=True) if s.part == part]
        values.append(np.sort(np.concatenate(peaks))[-PEAKS:])
    levels = np.unique(np.concatenate(values))
    return levels[(levels >= LOWEST) & (levels <= 1)]


def _peaks(smoothed: Floats) -> Floats:
    """Return the values of the local maxima, a flat top once."""
    around = np.concatenate([[-1.0], smoothed, [-1.0]])
    return smoothed[(smoothed > around[:-2]) & (smoothed >= around[2:])]
