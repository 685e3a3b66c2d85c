"""The heart of the daemon: sound in, events out to the actions of each word."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from wakeword.audio import RATE_HZ
from wakeword.daemon.capture import Captures
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.keeper import Keeper
from wakeword.daemon.once import Once
from wakeword.daemon.playback import Playback
from wakeword.daemon.quiet_hours import QuietHours
from wakeword.daemon.raised import Raised
from wakeword.daemon.ring import Ring
from wakeword.daemon.speakers import Enrolled
from wakeword.daemon.speech_gate import SpeechGate
from wakeword.daemon.stats import Stats
from wakeword.detector import Detection, Detector
from wakeword.microphone import Clock
from wakeword.sinks.event import AudioStream, Event, Utterance
from wakeword.sinks.outage import Outage
from wakeword.sinks.sink_set import SinkSet
from wakeword.sources import Chunk

if TYPE_CHECKING:
    from wakeword.web.monitor import Monitor

__all__ = ["Listener"]

RING = 5 * RATE_HZ  # what a new detector hears first, and what a command may begin with
REPEAT = RATE_HZ  # after a switch, a word that fired so recently is the same one
SILENT_S = 60  # of digital silence before the log says so

log = logging.getLogger("wakeword")


class Listener:
    """Feeds a detector and hands what it hears to the sinks.

    Everything here runs in the thread that listens, and nothing here waits.

    Args:
        config: words, their actions, and what follows a word.
        detector: for these words.
        sinks: take the events.
        stats: counts; others read them.
        clock: time.
        wall: seconds since 1970; looked at anew for every event, so it may jump.
        make_event: numbers the events.
        keeper: keeps clips for a person to judge; None keeps none.
        gate: hears whether anybody spoke; needed where a word has a ``speech``.
        enrolled: the voices of which one has to have said a word, where it matters.
        once: agrees with other machines who acts; None acts always.
        playback: knows whether the machine itself plays sound; None thinks it never does.
        monitor: shows on a page what goes on; None shows nothing.
    """

    def __init__(
        self,
        config: DaemonConfig,
        detector: Detector,
        sinks: SinkSet,
        *,
        stats: Stats,
        clock: Clock,
        wall: Callable[[], float],
        make_event: Callable[[Detection, int], Event],
        keeper: Keeper | None = None,
        gate: SpeechGate | None = None,
        enrolled: Enrolled | None = None,
        once: Once | None = None,
        playback: Playback | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.detector = detector
        self._playback = playback
        self._raised = Raised(config, detector)
        self._sinks = sinks
        self._stats = stats
        self._clock = clock
        self._wall = wall
        self._make_event = make_event
        self.keeper = keeper
        self._gate = gate
        self._enrolled = enrolled or {}
        self._once = once
        self.monitor = monitor
        self._claimed: dict[str, tuple[Event, list[str]]] = {}  # actions that wait for others
        self._ring = Ring(RING)
        self._captures = Captures(self._hand_on)
        self._heard = 0  # samples heard or lost so far
        self._start = 0  # where the detector's sample 0 lies in them
        self._fired: dict[str, int] = {}
        self._mute: dict[str, int] = {}
        self._silent = 0
        self._silence = Outage("microphone", clock)
        self._use(config)

    def _use(self, config: DaemonConfig) -> None:
        self.config = config
        self._quiet = {w: QuietHours.parse(c.quiet_hours) for w, c in config.words.items()}

    def hear(self, chunk: Chunk) -> None:
        """Take the next sound."""
        stats = self._stats
        began_s = time.thread_time()
        samples = chunk.samples
        self._heard += chunk.dropped
        self._start += chunk.dropped
        stats.dropped += chunk.dropped
        stats.overflows += chunk.overflows
        if chunk.restarted:
            stats.restarts += 1
            self.break_off()
        if self._playback is not None and self._playback.playing != stats.playing:
            stats.playing = self._playback.playing
            self._raised.follow(stats.playing)
        found = self.detector.feed(samples)
        self._ring.feed(samples)
        self._heard += len(samples)
        stats.samples += len(samples)
        self._captures.feed(samples)
        for detection in found:
            self._found(detection)
        if self.keeper is not None and not self._held():
            self.keeper.look(self.detector, self._ring, self._heard)
        if self.monitor is not None:
            self.monitor.look(chunk, self.detector, self._ring, self._heard)
        if self._claimed:
            self._decide()
        self._watch_silence(chunk)
        stats.last_audio_s = self._clock.now()
        stats.busy_s += time.thread_time() - began_s

    def switch(
        self,
        config: DaemonConfig,
        detector: Detector | None,
        gate: SpeechGate | None = None,
        enrolled: Enrolled | None = None,
    ) -> None:
        """Go on with other settings from the next sample on, without having missed one.

        A new detector first hears the last seconds again, so that a word that is being said now is
        heard whole; what it finds in them was decided before and is left out.

        Args:
            config: the new settings.
            detector: a new one for them, or None to keep the one there is.
            gate, enrolled: as at the start.
        """
        self._use(config)
        self._gate = gate
        self._enrolled = enrolled or {}
        detector = None if detector is self.detector else detector
        self._raised.switch(config, detector)
        if detector is None:
            return
        known = self._ring.last(RING)
        detector.reset()
        detector.feed(known)
        self.detector = detector
        self._start = self._heard - len(known)
        self._mute = {word: at + REPEAT for word, at in self._fired.items()}

    def finish(self) -> None:
        """The sound is over: hear the last word out, and hand on what was collected."""
        for detection in self.detector.finish():
            self._found(detection)
        while self._claimed:  # nobody is asked any more
            self._act(*self._claimed.popitem()[1])
        self._captures.stop()

    def break_off(self) -> None:
        """Forget the sound so far: what comes now has nothing to do with it."""
        self._captures.stop()
        if self.monitor is not None:
            self.monitor.finish(self._ring)
        if self.keeper is not None:
            self.keeper.reset()
        self.detector.reset()
        self._ring.reset()
        self._start = self._heard

    def _found(self, detection: Detection) -> None:
        """Make an event, and hand it to the word's actions."""
        at = self._start + detection.sample_index
        word = detection.word
        if at < self._mute.get(word, 0):
            return
        self._fired[word] = at
        self._stats.detections[word] += 1
        event = self._make_event(detection, self._start)
        if self.keeper is not None and not self._held():
            self.keeper.heard(event)
        fields: dict[str, object] = {"event": event.id, "word": word, "prob": round(event.prob, 6)}
        why_not = self._why_not(event, fields)
        if self.monitor is not None:
            self.monitor.heard(event, self.detector.thresholds[word], why_not)
        if why_not:
            log.info("heard %s, %.3f: %s", word, event.prob, why_not, extra={"fields": fields})
            return
        by = f", by {fields['speaker']}" if "speaker" in fields else ""
        log.info("heard %s, %.3f%s", word, event.prob, by, extra={"fields": fields})
        names = self.config.actions_of(word)
        later = [name for name in names if self._sinks.wants_audio(name)]
        now = [name for name in names if name not in later]
        if self._once is not None and self._once.claim(event):
            self._claimed[event.id] = (event, now)
        else:
            self._act(event, now)
        if later:
            self._begin(event, later, ())

    def _why_not(self, event: Event, fields: dict[str, object]) -> str:
        """Say why nothing is to be done about a word, and count it; empty where something is."""
        if self._held():
            return "samples are being recorded"
        if self._quiet[event.word].holds(datetime.fromtimestamp(self._wall()).time()):
            self._stats.quiet[event.word] += 1
            return "quiet hours"
        if self._raised.masks(event.word):
            self._stats.masked[event.word] += 1
            return "the machine plays sound"
        need = self.config.words[event.word].speech
        if need and self._gate is not None:
            speech = self._gate.speech_prob(self._ring.last(RING))
            fields["speech"] = round(speech, 6)
            if speech < need:
                self._stats.unspoken[event.word] += 1
                return f"speech {speech:.3f}, nobody spoke"
        return self._stranger(event, fields)

    def _stranger(self, event: Event, fields: dict[str, object]) -> str:
        """Say that no enrolled voice said a word, and count it; empty where one did, or any may."""
        speakers = self._enrolled.get(event.word)
        if speakers is None:
            return ""
        # Only up to where the word fired: what comes after may be somebody else.
        since = max(0, self._heard - event.sample)
        known = self._ring.last(RING)
        name, score = speakers.closest(known[: len(known) - since])
        fields["speaker"], fields["speaker_score"] = name, round(max(score, -1000.0), 3)
        need = self.config.words[event.word].speaker_score
        if score >= (speakers.space.threshold if need is None else need):
            return ""
        self._stats.strangers[event.word] += 1
        return f"no voice that is enrolled, {name or 'too little of one'} {score:.1f} at most"

    def _held(self) -> bool:
        """Tell whether samples are being recorded, so that words are said for nothing."""
        return self.monitor is not None and self.monitor.hold

    def _act(self, event: Event, names: list[str]) -> None:
        """Tell the actions that do not wait for the end of the command."""
        streams = [self._sinks.open(name, event) for name in names]
        if open_ones := [stream for stream in streams if stream is not None]:
            self._begin(event, (), open_ones)

    def _decide(self) -> None:
        """Act on what we won, and drop what another machine did."""
        for event, winner in self._once.decide() if self._once is not None else ():
            _, names = self._claimed.pop(event.id)
            if self._once is not None and winner == self._once.node:
                self._act(event, names)
                continue
            self._stats.elsewhere[event.word] += 1
            self._captures.drop(event)
            fields = {"event": event.id, "word": event.word, "winner": winner}
            log.info("%s is for %s", event.word, winner, extra={"fields": fields})

    def _begin(self, event: Event, names: Sequence[str], streams: Sequence[AudioStream]) -> None:
        """Begin to collect, and to stream, the command after a word."""
        since = max(0, self._heard - event.sample)
        known = self._ring.last(RING)
        self._captures.begin(event, names, streams, self.config.after, known, since)

    def _hand_on(self, event: Event, names: Sequence[str], utterance: Utterance) -> None:
        """Give a command to the actions that wait for it; none is due while others are asked."""
        for name in names if event.id not in self._claimed else ():
            self._sinks.put(name, event, utterance)

    def _watch_silence(self, chunk: Chunk) -> None:
        """Say once when a microphone gives nothing but zeros: it is muted, or broken."""
        if chunk.samples.any():
            self._silent = 0
            self._silence.over()
            return
        before, self._silent = self._silent, self._silent + len(chunk.samples)
        if before < SILENT_S * RATE_HZ <= self._silent:
            self._silence.failed(
                f"nothing but zeros for {SILENT_S} s; is it muted? (alsamixer; wakeword devices)"
            )
