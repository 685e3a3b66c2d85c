"""While the machine itself plays sound: how that is known, what it changes, and what may fail."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.daemon_kit import CLOCK, PATIENCE_S, QuickClock, until
from tests.test_daemon_listener import RATE_HZ, Bench, demo, detector, plain
from wakeword import Detector
from wakeword.cli import main
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.playback import BACKOFF_S, STEADY_S, Playback, PlaybackLevel
from wakeword.daemon.raised import raised
from wakeword.daemon.settings import PlaybackConfig, WordConfig
from wakeword.errors import ConfigError

CONFIG = PlaybackConfig(hold_ms=500)


def tone(seconds: float, db: float) -> NDArray[np.int16]:
    """A tone of a level, in dB of full scale."""
    n = np.arange(int(seconds * RATE_HZ))
    peak = 32768 * 2**0.5 * 10 ** (db / 20)
    return np.rint(peak * np.sin(2 * np.pi * 1000 / RATE_HZ * n)).astype(np.int16)


def quiet(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * RATE_HZ), np.int16)


# ---- the level


def test_sound_begins_it_at_once_and_silence_ends_it_after_a_while() -> None:
    level = PlaybackLevel(CONFIG)
    assert not level.feed(quiet(1))
    assert level.feed(tone(0.02, -49))
    assert level.feed(quiet(0.48))
    assert not level.feed(quiet(0.02))


def test_a_pause_shorter_than_the_hold_is_none() -> None:
    level = PlaybackLevel(CONFIG)
    states = [level.feed(part) for part in (tone(0.1, -30), quiet(0.4)) * 5]
    assert all(states)


def test_between_the_two_levels_it_stays_as_it_is() -> None:
    level = PlaybackLevel(CONFIG)
    assert not level.feed(tone(3, -52))  # too soft to begin it
    level.feed(tone(0.1, -40))
    assert level.feed(tone(3, -52))  # and loud enough to go on
    assert not level.feed(tone(3, -58))


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 3 * RATE_HZ), max_size=8))
def test_any_chunking_tells_the_same(cuts: list[int]) -> None:
    sound = np.concatenate([quiet(0.3), tone(0.5, -40), quiet(0.9), tone(0.31, -20), quiet(0.99)])
    expected = {}
    level = PlaybackLevel(CONFIG)
    for at in range(0, len(sound), 320):
        expected[at + 320] = level.feed(sound[at : at + 320])
    level, at = PlaybackLevel(CONFIG), 0
    for part in np.split(sound, sorted(cuts)):
        now = level.feed(part)
        at += len(part)
        assert now == expected.get(at // 320 * 320, False)


# ---- the thresholds


class Switch:
    """A monitor that is told what it hears."""

    playing = False


def bench_with(words: dict[str, WordConfig], raise_by: float) -> tuple[Bench, Switch]:
    bench, switch = Bench(), Switch()
    config = DaemonConfig(
        words=words, actions=bench.config.actions, playback=PlaybackConfig(raise_by=raise_by)
    )
    bench.listener._playback = switch  # type: ignore[assignment]
    bench.listener.switch(config, None)
    return bench, switch


@pytest.fixture
def words() -> Iterator[dict[str, WordConfig]]:
    plain()  # before thresholds are moved
    yield {"computer": WordConfig(), "jarvis": WordConfig(playing=0.0)}
    for word, threshold in Detector.load("computer_jarvis").thresholds.items():
        detector().set_threshold(word, threshold)  # shared by the tests


def test_a_word_that_must_be_more_certain_is_not_heard_and_another_is(
    words: dict[str, WordConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench, switch = bench_with(words, raise_by=1.0 - detector().thresholds["computer"])
    switch.playing = True
    bench.hear(demo())
    assert bench.heard() == plain()[1:]  # computer does not reach 1.0; jarvis does not mind
    assert bench.stats.playing
    switch.playing = False
    bench.hear(demo())
    assert [word for word, _ in bench.heard()] == ["jarvis", "computer", "jarvis"]
    said = [r.message for r in caplog.records if r.message.startswith("playback")]
    assert said == [
        "playback: the machine plays sound; computer needs 1.000",
        "playback: the machine is silent; thresholds are as before",
    ]
    assert bench.listener.detector.thresholds == Detector.load("computer_jarvis").thresholds


def test_a_word_that_would_need_more_than_one_is_counted_and_does_nothing(
    words: dict[str, WordConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench, switch = bench_with(words, raise_by=1.0)
    switch.playing = True
    bench.hear(demo())
    assert bench.heard() == plain()[1:]
    assert dict(bench.stats.masked) == {"computer": 1}
    assert "computer does nothing" in caplog.text
    assert re.search(r"heard computer, 0\.\d+: the machine plays sound", caplog.text)


def test_a_slight_raise_leaves_a_clear_word_alone(words: dict[str, WordConfig]) -> None:
    bench, switch = bench_with(words, raise_by=0.02)
    switch.playing = True
    bench.hear(demo())
    assert [word for word, _ in bench.heard()] == ["computer", "jarvis"]


def test_a_reload_while_something_is_played_keeps_thresholds_up(
    words: dict[str, WordConfig],
) -> None:
    bench, switch = bench_with(words, raise_by=0.1)
    switch.playing = True
    bench.hear(demo()[:3200])
    new = Detector.load("computer_jarvis", thresholds={"computer": 0.6})
    bench.listener.switch(bench.listener.config, new)
    assert new.thresholds["computer"] == pytest.approx(0.7)
    switch.playing = False
    bench.hear(demo()[3200:6400])
    assert new.thresholds["computer"] == 0.6


@settings(max_examples=10)
@given(threshold=st.floats(0.05, 1.0))
def test_a_threshold_set_later_hears_what_one_set_at_first_does(threshold: float) -> None:
    first = Detector.load("computer_jarvis", thresholds={"computer": threshold})
    later = detector()
    later.set_threshold("computer", threshold)
    later.reset()
    try:
        assert later.feed(demo()) == first.feed(demo())
        with pytest.raises(ConfigError, match="the words here are"):
            later.set_threshold("hal", threshold)
    finally:
        for word, usual in Detector.load("computer_jarvis").thresholds.items():
            later.set_threshold(word, usual)


def test_what_words_need_is_added_up() -> None:
    plain_words = {"a": WordConfig(), "b": WordConfig(playing=0.5)}
    config = DaemonConfig(words=plain_words, playback=PlaybackConfig(raise_by=0.1))
    found = raised(config, {"a": 0.5, "b": 0.7})
    assert found == {"a": pytest.approx(0.6), "b": pytest.approx(1.2)}


# ---- the monitor


def program(code: str, *arguments: object) -> PlaybackConfig:
    """A monitor that is a little program; `say(n)` writes so many seconds of loud sound."""
    head = (
        "import os, sys, time\n"
        "def say(seconds, value=3000):\n"
        "    os.write(1, value.to_bytes(2, 'little') * int(16000 * seconds))\n"
    )
    run = (sys.executable, "-c", head + code, *map(str, arguments))
    return PlaybackConfig(run=run, hold_ms=100)


@pytest.fixture
def started() -> Iterator[list[Playback]]:
    running: list[Playback] = []
    yield running
    for playback in running:
        playback.stop(PATIENCE_S)
        assert not playback._thread.is_alive()


def start(started: list[Playback], config: PlaybackConfig, clock: QuickClock | None) -> Playback:
    playback = Playback(config, clock or CLOCK)
    started.append(playback)
    playback.start()
    return playback


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_a_program_writes_is_what_is_played(started: list[Playback], tmp_path: Path) -> None:
    code = (
        "say(0.1)\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01); say(0.01)\n"
        "say(0.3, 0)\ntime.sleep(600)\n"
    )
    playback = start(started, program(code, tmp_path / "go"), None)
    until(lambda: playback.playing)
    (tmp_path / "go").touch()
    until(lambda: not playback.playing)


def test_a_monitor_that_falls_silent_in_the_middle_plays_nothing(started: list[Playback]) -> None:
    playback = start(started, program("say(0.1); time.sleep(600)"), None)
    until(lambda: playback.playing)
    until(lambda: not playback.playing)  # a sink that sleeps hands no samples over


def test_a_monitor_that_vanishes_and_returns_is_said_once_each(
    started: list[Playback], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It dies five times, then cannot be had at all for as long, and then is there again."""
    code = (
        "count = len(os.listdir(sys.argv[1])); open(f'{sys.argv[1]}/{count}', 'w')\n"
        "if count in (0, 11):\n"
        "    say(3)\n"
        "    while count: time.sleep(0.01); say(0.01)\n"
        "if count < 6: say(0.1)\n"
        "print('connection refused', file=sys.stderr); sys.exit(1)\n"
    )
    clock = QuickClock()
    playback = start(started, program(code, tmp_path), clock)
    until(lambda: len(list(tmp_path.iterdir())) == 12 and playback.playing)
    until(lambda: len(warnings(caplog)) == 2)
    first, second = warnings(caplog)
    assert re.fullmatch(
        r"playback, monitor: \S+ ended \(connection refused\); words are heard as without it", first
    )
    assert second.startswith("playback, monitor: works again after")
    expected = [*BACKOFF_S, *[BACKOFF_S[-1]] * 10]
    waits = [w for w in clock.waits if w in BACKOFF_S]
    assert waits == expected[: len(waits)]
    assert STEADY_S < 3


def test_a_program_that_talks_without_end_fills_nothing(started: list[Playback]) -> None:
    code = (
        "say(0.1)\nfor n in range(3000): os.write(2, b'x' * 1000)\n"
        "while True: say(0.1); time.sleep(0.01)\n"
    )
    playback = start(started, program(code), None)
    until(lambda: playback.playing)


def test_a_program_that_closes_its_stderr_is_heard_all_the_same(started: list[Playback]) -> None:
    playback = start(started, program("os.close(2)\nwhile True: say(0.1); time.sleep(0.05)"), None)
    until(lambda: playback.playing)


def test_the_service_manager_s_socket_is_not_handed_on(
    started: list[Playback], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    code = "open(sys.argv[1], 'w').write(str('NOTIFY_SOCKET' in os.environ) + '.')\nsay(600)"
    start(started, program(code, tmp_path / "told"), None)
    until(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text() == "False.")


def test_a_program_that_is_not_there_is_said_once_and_waited_for(
    started: list[Playback], caplog: pytest.LogCaptureFixture
) -> None:
    clock = QuickClock()
    playback = start(started, PlaybackConfig(run=("/no/such",)), clock)
    until(lambda: len(clock.waits) > 20)
    assert not playback.playing
    assert len(warnings(caplog)) == 1
    assert "'/no/such' is no program here" in caplog.text


# ---- the configuration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[word.computer]\nplaying = 0.1", r"\[word.computer\] playing: needs \[playback\]"),
        ("[word.computer]\nplaying = 2\n[playback]", "playing=2.0: need 0 to 1"),
        ("[word.computer]\n[playback]\nraise_by = -1", r"raise_by=-1.0: need 0 to 1"),
        ("[word.computer]\n[playback]\nhold_ms = 5", "hold_ms=5: need 100 to 60000"),
        ("[word.computer]\n[playback]\nrun = ['/no/such']", r"run: '/no/such' is no program here"),
    ],
)
def test_check_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "w.toml").write_text(text)
    assert main(["daemon", "--check", "--config", str(tmp_path / "w.toml")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


def test_check_says_what_words_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "[word.computer]\nthreshold = 0.7\n[word.jarvis]\nplaying = 1\n[playback]\nrun = ['sh']"
    (tmp_path / "w.toml").write_text(text)
    assert main(["daemon", "--check", "--config", str(tmp_path / "w.toml")]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "computer: it needs 0.850 while the machine plays sound",
        "jarvis: nothing is done while the machine plays sound",
    ]
