"""Keep what was heard, and what nearly was, to be judged by a person later: `wakeword review`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wakeword.audio import RATE_HZ
from wakeword.daemon.ring import Ring
from wakeword.daemon.settings import ReviewConfig
from wakeword.detector import Detection, Detector
from wakeword.microphone import Clock
from wakeword.sinks.clips import write_clip
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.worker import WorkerSink

__all__ = ["Keeper"]

CLIP = 3 * RATE_HZ  # the word and what surrounds it
LONGEST = 2 * RATE_HZ  # a score that stays up is ended after this, so that its clip holds it
SPACING = 10 * RATE_HZ  # between near misses of a word: a noisy hour must not fill the folder
FALL = 0.8  # of the level at which it began, at which a rise is over
WAITING = 8


@dataclass(slots=True)
class _Rise:
    """A word's score is up."""

    began: int
    peak: float
    peak_at: int
    event: Event | None = None


class Keeper:
    """Watches the scores of a detector, and writes a clip for each time that one was up.

    Args:
        config: where, how much, and how near.
        thresholds: per word.
        make_event: numbers near misses; not the one that numbers events.
        clock: time.
    """

    def __init__(
        self,
        config: ReviewConfig,
        thresholds: Mapping[str, float],
        make_event: Callable[[Detection, int], Event],
        clock: Clock,
    ) -> None:
        self.thresholds = thresholds
        """In force; exchanged at a reload."""
        self.sink = _ClipSink(config, clock)
        self._near = config.near
        self._make_event = make_event
        self._rises: dict[str, _Rise] = {}
        self._last: dict[str, int] = {}

    def heard(self, event: Event) -> None:
        """Note that a word fired; the rise that it belongs to becomes a detection."""
        rise = self._rises.setdefault(event.word, _Rise(event.sample, event.prob, event.sample))
        rise.peak = max(rise.peak, event.prob)
        rise.event = event

    def look(self, detector: Detector, ring: Ring, heard: int) -> None:
        """Look at the scores after a chunk; ``heard`` counts the samples so far."""
        for word, prob in zip(detector.words, detector.probs.tolist(), strict=True):
            level = self._near * self.thresholds[word]
            rise = self._rises.get(word)
            if rise is None:
                if prob >= level:
                    self._rises[word] = _Rise(heard, prob, heard)
                continue
            if prob > rise.peak:
                rise.peak, rise.peak_at = prob, heard
            if prob < FALL * level or heard - rise.began >= LONGEST:
                del self._rises[word]
                self._end(word, rise, ring, heard)

    def reset(self) -> None:
        """Forget scores that are up: the sound broke off."""
        self._rises.clear()

    def _end(self, word: str, rise: _Rise, ring: Ring, heard: int) -> None:
        """Write a clip, unless near misses come too close."""
        if rise.event is None:
            if heard - self._last.get(word, -SPACING) < SPACING:
                return
            self._last[word] = heard
        event = rise.event or self._make_event(Detection(word, heard, rise.peak), 0)
        found = Event(event.id, word, rise.peak, event.sample, event.at)
        kind = "near" if rise.event is None else "heard"
        self.sink.threshold[event.id] = self.thresholds[word]
        dropped = self.sink.dropped
        clip = ring.last(CLIP)
        at = rise.peak_at if rise.event is None else rise.event.sample
        self.sink.put(found, Utterance(clip, max(0, len(clip) - (heard - at)), kind))
        if self.sink.dropped > dropped:
            del self.sink.threshold[event.id]


class _ClipSink(WorkerSink):
    """Writes clips in a thread of its own."""

    def __init__(self, config: ReviewConfig, clock: Clock) -> None:
        super().__init__("review", clock, waiting=WAITING, wants_audio=True)
        self.threshold: dict[str, float] = {}
        self._config = config

    def handle(self, event: Event, utterance: Utterance | None) -> None:
        """Write one; raise OSError where the disk refuses."""
        threshold = self.threshold.pop(event.id)
        if utterance is not None:
            note = {
                **event.fields(), "threshold": threshold, "kind": utterance.ended,
                "word_end": utterance.word_end,
            }  # fmt: skip
            limit = int(self._config.limit_mb * 1_000_000)
            write_clip(Path(self._config.folder), event.id, utterance.samples, note, limit)
