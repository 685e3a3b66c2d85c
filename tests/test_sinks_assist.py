"""A satellite of Home Assistant: its side played by the real client of that protocol."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event as Message
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.satellite import PauseSatellite, RunSatellite
from wyoming.snd import Played
from wyoming.timer import TimerFinished
from wyoming.tts import Synthesize
from wyoming.vad import VoiceStarted, VoiceStopped
from wyoming.wake import Detection

from tests.daemon_kit import CLOCK, PATIENCE_S, event, until
from tests.test_daemon_listener import Bench, demo
from wakeword.daemon.actions import ActionConfig, AssistConfig
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.hub import Hub
from wakeword.errors import ConfigError
from wakeword.sinks import assist, assist_command, assist_port, player
from wakeword.sinks.assist import AssistSink
from wakeword.sinks.make import sink_maker
from wakeword.sinks.sink_set import SinkSet

RATE_HZ = 16_000
BEFORE = np.full(24_000, 7, np.int16)
SECOND = np.arange(RATE_HZ, dtype=np.int16)
KEEP = "import sys; open(sys.argv[1], 'ab').write(b'%s:' % sys.argv[2].encode() + sys.stdin.buffer.read())"  # noqa: E501 - one program
HANG = "import sys, time; open(sys.argv[1], 'ab').write(b'x'); time.sleep(600)"


class HomeAssistant:
    """The other side, in a thread of its own, by the library's client."""

    def __init__(self, port: int, *, drives: bool = True) -> None:
        self.messages: list[Message] = []
        self.gone = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._client = AsyncTcpClient("127.0.0.1", port)
        self._do(self._client.connect())
        self._reading = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        if drives:
            self.say(RunSatellite(), Describe())
            until(lambda: self.of("info"), "info")

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while (message := await self._client.read_event()) is not None:
                self.messages.append(message)
        self.gone.set()

    def say(self, *what: Any) -> None:
        for one in what:
            self._do(self._client.write_event(one if isinstance(one, Message) else one.event()))

    def of(self, kind: str) -> list[Message]:
        return [m for m in list(self.messages) if m.type == kind]

    def sound(self) -> NDArray[np.int16]:
        chunks = [AudioChunk.from_event(m) for m in self.of("audio-chunk")]
        at = 0
        for chunk in chunks:
            assert (chunk.rate, chunk.width, chunk.channels) == (RATE_HZ, 2, 1)
            assert chunk.timestamp == round(1000 * at / RATE_HZ)
            at += chunk.samples
        return np.frombuffer(b"".join(c.audio for c in chunks), "<i2")

    def close(self) -> None:
        self._do(self._client.disconnect())
        self._reading.cancel()
        self._do(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


class Home:
    """A satellite and those who connect to it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.sinks: list[AssistSink] = []
        self.others: list[HomeAssistant] = []

    def sink(self, **settings: Any) -> AssistSink:
        settings = {"answers": False, "address": "127.0.0.1:0", "name": "kitchen", **settings}
        config = AssistConfig(**settings)
        sink = AssistSink("assist", config, ("computer", "jarvis"), self.hub, CLOCK)
        sink.start()
        self.sinks.append(sink)
        return sink

    def assistant(self, sink: AssistSink, **how: Any) -> HomeAssistant:
        other = HomeAssistant(sink.port, **how)
        self.others.append(other)
        return other


@pytest.fixture
def home(hub: Hub) -> Iterator[Home]:
    home = Home(hub)
    yield home
    for other in home.others:
        other.close()
    for sink in home.sinks:
        sink.stop(PATIENCE_S)


def speak(sink: AssistSink, number: int = 1, *, ends: bool = True) -> Any:
    """A word, and a second of sound after it, as the listener hands them over."""
    stream = sink.open(event(number))
    assert stream is not None
    stream.feed(BEFORE)
    for piece in np.split(SECOND, 20):
        stream.feed(piece)
    if ends:
        stream.end()
    return stream


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def test_describe_gives_what_home_assistant_takes_for_a_satellite(home: Home) -> None:
    sink = home.sink(area="Kitchen")
    ha = home.assistant(sink)
    info = Info.from_event(ha.of("info")[0])
    assert info.satellite is not None
    assert (info.satellite.name, info.satellite.area) == ("kitchen", "Kitchen")
    assert info.satellite.installed
    assert info.satellite.active_wake_words == ["computer", "jarvis"]
    assert [m.phrase for m in info.wake[0].models] == ["computer", "jarvis"]
    assert info.asr == info.tts == info.snd == []
    ha.say(Ping(text="there?"))
    until(lambda: ha.of("pong"))
    assert Pong.from_event(ha.of("pong")[0]).text == "there?"


def test_a_command_arrives_whole_with_its_word_and_its_pipeline(home: Home) -> None:
    sink = home.sink()
    ha = home.assistant(sink)
    speak(sink)
    until(lambda: ha.of("audio-stop"))
    kinds = [m.type for m in ha.messages if m.type not in ("info", "audio-chunk")]
    assert kinds == ["detection", "run-pipeline", "audio-stop"]
    word = Detection.from_event(ha.of("detection")[0])
    assert (word.name, word.context) == ("computer", {"id": "run-1"})
    run = RunPipeline.from_event(ha.of("run-pipeline")[0])
    assert (run.start_stage, run.end_stage) == (PipelineStage.ASR, PipelineStage.HANDLE)
    assert not run.restart_on_end
    # Of the 1.5 s before the word fired the last 0.1: the rest is the word itself.
    np.testing.assert_array_equal(ha.sound(), np.concatenate([BEFORE[:1600], SECOND]))
    assert AudioStop.from_event(ha.of("audio-stop")[0]).timestamp == 1100
    assert sink.pending == 1
    ha.say(VoiceStarted(timestamp=1), Transcript(text="light on"), Synthesize(text="ok"))
    until(lambda: sink.delivered == 1)
    speak(sink, 2)
    until(lambda: len(ha.of("audio-stop")) == 2)
    assert (sink.dropped, sink.pending) == (0, 1)


@pytest.mark.parametrize(
    "said", [VoiceStopped(timestamp=9), Transcript(text="on"), Error(text="no", code="x")]
)
def test_once_it_has_enough_it_is_sent_no_more(home: Home, said: Any) -> None:
    sink = home.sink()
    ha = home.assistant(sink)
    stream = speak(sink, ends=False)
    until(lambda: ha.of("audio-chunk"))
    ha.say(said)
    until(lambda: sink.delivered == 1)
    assert stream.stopped
    stream.feed(SECOND)
    stream.end()
    ha.say(Ping())
    until(lambda: ha.of("pong"))
    assert not ha.of("audio-stop")
    assert len(ha.sound()) == 1600 + RATE_HZ


def test_a_word_within_a_command_belongs_to_it(home: Home) -> None:
    sink = home.sink()
    ha = home.assistant(sink)
    speak(sink, ends=False)
    assert sink.open(event(2)) is None
    assert sink.dropped == 1
    until(lambda: ha.of("detection"))
    ha.say(Transcript(text="on"))
    until(lambda: sink.delivered == 1)
    speak(sink, 3)
    until(lambda: len(ha.of("detection")) == 2)


def test_what_was_understood_is_not_waited_for_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assist_command, "ANSWER_S", 0.05)
    sink = home.sink()
    home.assistant(sink)
    speak(sink)
    until(lambda: sink.delivered == 1)
    assert sink.pending == 0


def test_paused_it_gets_nothing_until_it_asks_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    sink = home.sink()
    ha = home.assistant(sink)
    ha.say(PauseSatellite(), Ping())
    until(lambda: ha.of("pong"))
    assert [sink.open(event(n)) for n in range(3)] == [None] * 3
    assert sink.dropped == 3
    (line,) = warnings(caplog)
    assert "muted there" in line
    ha.say(RunSatellite(), Ping())
    until(lambda: len(ha.of("pong")) == 2)
    speak(sink)
    until(lambda: ha.of("audio-stop"))
    assert "works again" in warnings(caplog)[1]


def test_an_hour_without_it_is_said_once_and_the_next_word_is_served(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    sink = home.sink()
    for minute in range(60):
        assert sink.open(event(minute)) is None
    assert sink.dropped == 60
    assert len(warnings(caplog)) == 1
    ha = home.assistant(sink)
    speak(sink)
    until(lambda: ha.of("audio-stop"))
    assert len(warnings(caplog)) == 2


def test_killed_in_the_middle_of_a_command_it_costs_that_word_alone(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    sink = home.sink()
    with socket.create_connection(("127.0.0.1", sink.port)) as killed:
        killed.sendall(b'{"type": "run-satellite"}\n')
        until(lambda: sink._link is not None)
        stream = speak(sink, ends=False)
        killed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    until(lambda: not stream.feed(SECOND) and sink.dropped == 1)
    assert stream.stopped
    assert len(warnings(caplog)) == 1
    ha = home.assistant(sink)
    speak(sink, 2)
    until(lambda: ha.of("audio-stop"))


def test_a_word_for_one_that_just_left_is_not_counted_as_heard(home: Home) -> None:
    sink = home.sink()
    ha = home.assistant(sink)
    link = sink._link
    ha.close()
    home.others.remove(ha)
    until(lambda: sink._link is None)
    sink._link = link  # as the thread that listens saw it a moment ago
    held = threading.Event()
    home.hub.post(held.wait)
    stream = sink.open(event(1))
    assert stream is not None
    sink._link = None
    held.set()
    until(lambda: sink.dropped == 1)
    assert stream.stopped
    assert (sink.delivered, sink.pending) == (0, 0)


def test_one_that_does_not_read_is_cut_off(home: Home) -> None:
    sink = home.sink()
    with socket.create_connection(("127.0.0.1", sink.port)) as deaf:
        deaf.sendall(b'{"type": "run-satellite"}\n')
        until(lambda: sink._link is not None)
        stream = speak(sink, ends=False)
        until(lambda: not stream.feed(SECOND) and stream.stopped)
        until(lambda: sink._link is None)
    assert sink.dropped == 1


def test_one_that_fell_silent_is_let_go_and_makes_room(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(assist_port, "SILENT_S", 0.1)
    sink = home.sink()
    ha = home.assistant(sink)
    ha.say(Ping())  # and then its machine lost its power
    assert ha.gone.wait(PATIENCE_S)
    until(lambda: sink._link is None)
    assert "silent for 0.1 s" in caplog.text
    second = home.assistant(sink)
    assert second.of("info")


def test_a_second_one_is_refused_while_the_first_is_there(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    sink = home.sink()
    first = home.assistant(sink)
    for _ in range(3):
        second = home.assistant(sink, drives=False)
        second.say(Describe())
        until(lambda second=second: second.of("info"))  # type: ignore[misc]
        second.say(RunSatellite())
        assert second.gone.wait(PATIENCE_S)
    speak(sink)
    until(lambda: first.of("audio-stop"))
    said = [line for line in warnings(caplog) if "wants the sound, too" in line]
    assert len(said) == 1
    first.say(Transcript(text="on"))
    first.close()
    home.others.remove(first)
    until(lambda: sink._link is None)
    third = home.assistant(sink)
    speak(sink, 2)
    until(lambda: third.of("audio-stop"))


def test_only_peers_are_served(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    strict = home.sink(peers=("192.0.2.0/24", "::1"))
    for _ in range(3):
        assert home.assistant(strict, drives=False).gone.wait(PATIENCE_S)
    assert len([line for line in warnings(caplog) if "is none of peers" in line]) == 1
    assert home.assistant(home.sink(peers=("127.0.0.0/8",))).of("info")
    home.sink(address="0.0.0.0:0", announce=False)
    assert len([line for line in warnings(caplog) if "whoever reaches the port" in line]) == 1
    with pytest.raises(ConfigError, match="need addresses, or networks"):
        AssistConfig(peers=("kitchen",))


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"type": "' + b"x" * 100_000,
        b'{"type": "audio-start", "data": {"rate": "x"}}\n',
        b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, '
        b'"payload_length": 3}\nabc',
    ],
)
def test_garbage_ends_the_connection_and_not_the_satellite(home: Home, garbage: bytes) -> None:
    sink = home.sink(answers=True, player=("true",))
    with socket.create_connection(("127.0.0.1", sink.port)) as bad:
        bad.settimeout(PATIENCE_S)
        bad.sendall(b'{"type": "run-satellite"}\n' + garbage)
        with contextlib.suppress(ConnectionResetError):
            assert bad.recv(1) == b""
    until(lambda: sink._link is None)
    assert home.assistant(sink).of("info")


def test_what_it_says_before_it_drives_is_not_played_and_unknown_things_are_left_alone(
    home: Home, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    sink = home.sink(answers=True, player=(sys.executable, "-c", KEEP, str(heard), "{rate}"))
    stranger = home.assistant(sink, drives=False)
    stranger.say(*answer(SECOND), Message("no-such-thing", {"a": 1}), Ping())
    until(lambda: stranger.of("pong"))
    assert not stranger.of("played")
    assert not heard.exists()


def answer(sound: NDArray[Any], rate: int = 22_050, channels: int = 1) -> list[Any]:
    """What Home Assistant says, in pieces."""
    width = sound.dtype.itemsize
    step = 1024 * channels
    return [
        AudioStart(rate, width, channels, timestamp=0),
        *(
            AudioChunk(rate, width, channels, sound[at : at + step].tobytes())
            for at in range(0, len(sound), step)
        ),
        AudioStop(),
    ]


def test_its_answers_are_played_one_after_the_other_and_it_is_told(
    home: Home, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    sink = home.sink(answers=True, player=(sys.executable, "-c", KEEP, str(heard), "{rate}"))
    ha = home.assistant(sink)
    wide = np.repeat(SECOND.astype("<i4") << 16, 2)  # 32 bits, two channels
    ha.say(*answer(SECOND), *answer(wide, 44_100, 2))
    until(lambda: len(ha.of("played")) == 2)
    assert Played.is_type(ha.of("played")[0].type)
    expected = SECOND.astype("<i2").tobytes()
    assert heard.read_bytes() == b"22050:" + expected + b"44100:" + expected
    speak(sink)
    until(lambda: ha.of("run-pipeline"))
    assert RunPipeline.from_event(ha.of("run-pipeline")[0]).end_stage == PipelineStage.TTS


def test_a_word_breaks_off_what_is_being_said(home: Home, tmp_path: Path) -> None:
    started = tmp_path / "started"
    sink = home.sink(answers=True, player=(sys.executable, "-c", HANG, str(started)))
    ha = home.assistant(sink)
    ha.say(*answer(np.tile(SECOND, 20)), *answer(SECOND))
    until(lambda: started.exists() and started.read_bytes())
    speak(sink)
    until(lambda: ha.of("audio-stop"))
    assert sink._player is not None
    until(lambda: sink._player._process is None and not sink._player._unplayed)  # type: ignore[union-attr]
    assert not ha.of("played")
    assert started.read_bytes() == b"x"  # and what waited is not begun


def test_a_timer_that_is_over_rings(home: Home, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    sink = home.sink(answers=True, player=(sys.executable, "-c", KEEP, str(heard), "{rate}"))
    ha = home.assistant(sink)
    ha.say(TimerFinished(id="1"))
    until(lambda: heard.exists() and heard.stat().st_size > RATE_HZ)
    assert heard.read_bytes().startswith(b"16000:")


def test_a_player_that_fails_is_said_once_and_nothing_is_claimed_to_be_played(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    sink = home.sink(answers=True, player=("false",))
    ha = home.assistant(sink)
    for _ in range(3):
        ha.say(*answer(np.tile(SECOND, 10)))
    until(lambda: sink._player is not None and sink._player._outage.failures == 3)
    assert len(warnings(caplog)) == 1
    assert not ha.of("played")
    with pytest.raises(ConfigError, match="is no program here"):
        home.sink(answers=True, player=("/no/such",))


def test_what_waits_to_be_played_is_bounded(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(player, "UNPLAYED_BYTES", 100_000)
    sink = home.sink(answers=True, player=(sys.executable, "-c", HANG, str(tmp_path / "x")))
    ha = home.assistant(sink)
    ha.say(*answer(np.tile(SECOND, 20)), Ping())
    until(lambda: ha.of("pong"))
    assert sink._player is not None
    assert sink._player._unplayed <= 100_000
    assert len([line for line in warnings(caplog) if "the rest is left out" in line]) == 1


def test_without_a_player_it_says_how_far_it_goes(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    sink = home.sink(answers=True)
    assert "no paplay or aplay here" in caplog.text
    ha = home.assistant(sink)
    ha.say(*answer(SECOND), Ping())  # an announcement comes all the same
    until(lambda: ha.of("pong"))
    assert not ha.of("played")
    speak(sink)
    until(lambda: ha.of("run-pipeline"))
    assert RunPipeline.from_event(ha.of("run-pipeline")[0]).end_stage == PipelineStage.HANDLE


def test_it_is_announced_beside_the_engine_under_a_name_of_its_own(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    async def announce(config: AssistConfig, port: int, clock: Any) -> None:
        try:
            told.append((config.name, port))
            await asyncio.sleep(PATIENCE_S)
        finally:
            told.append(("withdrawn", port))

    monkeypatch.setattr(assist, "announce", announce)
    monkeypatch.setattr(assist, "can_announce", lambda config: "")
    sink = home.sink()
    until(lambda: told == [("kitchen-satellite", sink.port)])
    home.sinks.remove(sink)
    sink.stop(PATIENCE_S)
    until(lambda: told[1:] == [("withdrawn", sink.port)])


def test_other_settings_take_the_same_port_and_it_connects_again(
    home: Home, tmp_path: Path
) -> None:
    port = home.sink().port
    home.sinks.pop().stop(PATIENCE_S)
    sinks = SinkSet(sink_maker(lambda: home.hub, tmp_path, CLOCK))
    for before_ms in (100, 200):
        config = AssistConfig(address=f"127.0.0.1:{port}", answers=False, before_ms=before_ms)
        sinks.change({"assist": config}, {"assist": ("computer",)})
        sink = sinks.sinks()["assist"]
        assert isinstance(sink, AssistSink)
        ha = home.assistant(sink)
        speak(sink)
        until(lambda ha=ha: ha.of("audio-stop"))  # type: ignore[misc]
        assert len(ha.sound()) == before_ms * RATE_HZ // 1000 + RATE_HZ
    assert home.others[0].gone.wait(PATIENCE_S)
    sinks.stop()


def test_a_port_that_is_taken_is_said(home: Home) -> None:
    taken = home.sink()
    with pytest.raises(ConfigError, match="cannot be served at"):
        home.sink(address=f"127.0.0.1:{taken.port}")


def test_a_listener_streams_the_command_while_it_is_said_and_a_reload_keeps_the_connection(
    home: Home, tmp_path: Path
) -> None:
    bench = Bench()
    config = AssistConfig(address="127.0.0.1:0", answers=False, announce=False)
    sinks = SinkSet(sink_maker(lambda: home.hub, tmp_path, CLOCK))
    words = {"assist": ("computer", "jarvis")}
    actions: dict[str, ActionConfig] = {"assist": config}
    sinks.change(actions, words)
    sink = sinks.sinks()["assist"]
    assert isinstance(sink, AssistSink)
    ha = home.assistant(sink)
    bench.listener._sinks = sinks
    bench.listener.switch(DaemonConfig(words=bench.config.words, actions=actions), None)
    sinks.change(actions, words)  # nothing of it changed
    sinks.renew()
    bench.hear(demo(), 480)
    bench.listener.finish()
    until(lambda: ha.of("audio-stop"))
    first = Detection.from_event(ha.of("detection")[0])
    assert first.name == "computer"
    # The second word comes within the first command here, or begins one of its own once answered.
    sound = ha.sound()
    whole = demo()
    at = next(
        n for n in range(len(whole) - 1000) if np.array_equal(whole[n : n + 1000], sound[:1000])
    )
    np.testing.assert_array_equal(sound, whole[at : at + len(sound)])
    assert sink.dropped + sink.pending + sink.delivered == 2
    sinks.stop()
