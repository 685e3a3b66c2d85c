"""Microphone, raw samples and files as streams, without hardware and without waiting."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wakeword import devices, microphone
from wakeword.audio import Resampler, read_audio
from wakeword.errors import AudioFormatError, ConfigError, DeviceError
from wakeword.microphone import BlockQueue, Microphone
from wakeword.sources import BLOCK_MS, Chunk, file_chunks, raw_chunks

NOISE = (np.random.default_rng(3).standard_normal(48_000) * 5000).astype(np.int16)


class EndOfScriptError(Exception):
    """Nothing more will ever happen."""


@dataclass
class World:
    """A clock that jumps from one scripted event to the next."""

    script: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    time: float = 0.0
    sleeps: list[float] = field(default_factory=list)

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.script.append((when, what))
        self.script.sort(key=lambda entry: entry[0])

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._run_until(self.time + seconds, threading.Event())

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._run_until(self.time + seconds, event)
        return event.is_set()

    def _run_until(self, deadline: float, event: threading.Event) -> None:
        while not event.is_set():
            if not self.script:
                raise EndOfScriptError
            when, what = self.script[0]
            if when > deadline:
                self.time = deadline
                return
            self.script.pop(0)
            self.time = when
            what()


class FakeStream:
    def __init__(self, sd: FakeSoundDevice, **settings: Any) -> None:
        self.sd, self.settings = sd, settings
        self.closed = 0
        if sd.refuse(settings):
            raise sd.PortAudioError("Invalid sample rate")

    def start(self) -> None:
        self.sd.running = self

    def close(self, *, ignore_errors: bool) -> None:
        assert ignore_errors
        self.closed += 1

    def deliver(self, samples: NDArray[np.int16], overflow: bool = False) -> None:
        block = bytearray(samples.tobytes())
        frames = len(samples) // self.settings["channels"]
        status = SimpleNamespace(input_overflow=overflow)
        self.settings["callback"](memoryview(block), frames, None, status)
        block[:] = bytes(len(block))  # PortAudio reuses its buffer

    def end(self) -> None:
        self.settings["finished_callback"]()


def device(name: str, channels: int = 1, rate_hz: float = 16_000.0, api: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "max_input_channels": channels,
        "default_samplerate": rate_hz,
        "hostapi": api,
    }


class FakeSoundDevice:
    """The part of the module sounddevice that is used, with devices that come and go."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *plugged: dict[str, Any]) -> None:
        self.plugged = list(plugged)
        self.seen = list(plugged)  # PortAudio looks only when it starts
        self.running: FakeStream | None = None
        self.opened: list[dict[str, Any]] = []
        self.refuse: Callable[[dict[str, Any]], bool] = lambda settings: False
        self.started = True

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}, {"name": "JACK"}]

    def query_devices(self, kind: str | None = None) -> Any:
        if not self.started:
            raise self.PortAudioError("PortAudio not initialized")
        if kind is None:
            return self.seen
        inputs = [i for i, d in enumerate(self.seen) if d["max_input_channels"]]
        if not inputs:
            raise self.PortAudioError("Error querying device -1")
        return {"index": inputs[0]}

    def RawInputStream(self, **settings: Any) -> FakeStream:  # noqa: N802 - sounddevice's name
        self.opened.append(settings)
        return FakeStream(self, **settings)

    def _terminate(self) -> None:
        if not self.started:
            raise self.PortAudioError("PortAudio not initialized")
        assert self.running is None or self.running.closed, "a stream outlived PortAudio"
        self.started = False

    def _initialize(self) -> None:
        self.seen = list(self.plugged)
        self.started = True

    def deliver(self, *args: Any, **kwargs: Any) -> None:
        assert self.running is not None
        self.running.deliver(*args, **kwargs)

    def end(self) -> None:
        assert self.running is not None
        self.running.end()


def listen(mic: Microphone) -> list[Chunk]:
    """Everything heard until the script ends."""
    chunks: list[Chunk] = []
    try:
        for chunk in mic:
            chunks.append(chunk)
    except EndOfScriptError:
        pass
    return chunks


def heard(chunks: list[Chunk]) -> NDArray[np.int16]:
    return np.concatenate([c.samples for c in chunks])


# ---- microphone


def test_samples_arrive_copied_and_in_order() -> None:
    sd, world = FakeSoundDevice(device("mic")), World()
    for i in range(5):
        world.at(0.03 * i, lambda i=i: sd.deliver(NOISE[480 * i : 480 * (i + 1)]))  # type: ignore[misc]
    chunks = listen(Microphone(sounddevice=sd, clock=world))
    np.testing.assert_array_equal(heard(chunks), NOISE[: 480 * 5])
    assert all(c.dropped == 0 and c.overflows == 0 and not c.restarted for c in chunks)
    assert sd.running is not None
    assert sd.running.closed == 1


def test_the_devices_own_rate_is_used_and_resampled() -> None:
    sd, world = FakeSoundDevice(device("mic", rate_hz=48_000.0)), World()
    world.at(0, lambda: sd.deliver(NOISE))
    chunks = listen(Microphone(sounddevice=sd, clock=world))
    assert sd.opened[0]["samplerate"] == 48_000
    np.testing.assert_array_equal(heard(chunks), Resampler(48_000).feed(NOISE))


def test_a_given_rate_is_the_only_one_tried() -> None:
    sd, world = FakeSoundDevice(device("mic", rate_hz=48_000.0)), World()
    sd.refuse = lambda settings: True
    with pytest.raises(DeviceError, match=r"mic: cannot be opened at 8000 Hz.*--device"):
        list(Microphone(rate_hz=8000, sounddevice=sd, clock=world))
    assert {s["samplerate"] for s in sd.opened} == {8000}


def test_a_device_that_refuses_its_own_rate_is_opened_at_a_common_one() -> None:
    sd, world = FakeSoundDevice(device("mic", rate_hz=96_000.0)), World()
    sd.refuse = lambda settings: settings["samplerate"] != 44_100
    listen(Microphone(sounddevice=sd, clock=world))
    assert sd.running is not None
    assert sd.running.settings["samplerate"] == 44_100


def test_an_array_without_mono_is_opened_whole_and_averaged() -> None:
    sd, world = FakeSoundDevice(device("array", channels=4)), World()
    sd.refuse = lambda settings: settings["channels"] != 4
    frames = np.array([[4, 8, 12, 16], [-4, -8, -12, -16]], np.int16)
    world.at(0, lambda: sd.deliver(frames.ravel()))
    assert heard(listen(Microphone(sounddevice=sd, clock=world))).tolist() == [10, -10]


@pytest.mark.parametrize("whole", [False, True])
def test_a_chosen_channel_is_heard_alone(whole: bool) -> None:
    sd, world = FakeSoundDevice(device("array", channels=4)), World()
    sd.refuse = lambda settings: whole and settings["channels"] != 4
    frames = np.array([[4, 8, 12, 16], [-4, -8, -12, -16]], np.int16)
    world.at(0, lambda: sd.deliver(frames[:, : 4 if whole else 2].ravel()))
    assert heard(listen(Microphone(channel=1, sounddevice=sd, clock=world))).tolist() == [8, -8]


def test_a_channel_the_device_lacks_is_refused() -> None:
    sd = FakeSoundDevice(device("array", channels=4))
    with pytest.raises(ConfigError, match=r"channel=4: array has 4.*choose 0 to 3"):
        list(Microphone(channel=4, sounddevice=sd, clock=World()))


def test_a_full_queue_drops_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    sd, world = FakeSoundDevice(device("mic", rate_hz=48_000.0)), World()
    limit = microphone.QUEUE_MS // BLOCK_MS
    block = NOISE[:1440]

    def too_much() -> None:  # the consumer is asleep while limit + 5 blocks come
        for _ in range(limit + 5):
            sd.deliver(block)

    world.at(0, too_much)
    world.at(1, lambda: sd.deliver(block))
    chunks = listen(Microphone(sounddevice=sd, clock=world))
    assert [c.dropped for c in chunks if c.dropped] == [5 * 480]
    assert chunks[-1].dropped == 5 * 480  # said where the gap is
    assert "0.15 s of audio dropped" in caplog.text


def test_portaudios_own_overflow_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    sd, world = FakeSoundDevice(device("mic")), World()
    world.at(0, lambda: sd.deliver(NOISE[:480]))
    world.at(1, lambda: sd.deliver(NOISE[:480], overflow=True))
    chunks = listen(Microphone(sounddevice=sd, clock=world))
    assert [c.overflows for c in chunks] == [0, 1]
    assert "1 overflows in the audio system" in caplog.text


def test_lost_samples_are_logged_at_most_every_few_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sd, world = FakeSoundDevice(device("mic")), World()
    for i in range(120):
        world.at(0.1 * i, lambda: sd.deliver(NOISE[:480], overflow=True))
    listen(Microphone(sounddevice=sd, clock=world))
    counts = [r.args[1] for r in caplog.records if "fell behind" in r.msg]  # type: ignore[index]
    assert counts == [1, 50, 50]  # at 0 s, 5 s and 10 s


@pytest.mark.parametrize("how", ["stream ends", "silence"])
def test_an_unplugged_device_is_waited_for_and_reopened(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    usb = device("USB Mic: Audio (hw:1,0)", rate_hz=48_000.0)
    back = device("USB Mic: Audio (hw:2,0)", rate_hz=16_000.0)  # another card number and rate
    sd, world = FakeSoundDevice(device("speaker", channels=0), usb), World()
    world.at(0.1, lambda: sd.deliver(NOISE[:4800]))

    def unplug() -> None:
        sd.plugged = []
        if how == "stream ends":
            sd.end()

    def plug() -> None:
        sd.plugged = [device("webcam"), device("webcam of another"), back]

    world.at(0.2, unplug)
    world.at(20.0, plug)
    for i in range(5):  # one of them right after it is opened again
        world.at(20.5 + i, lambda: sd.deliver(NOISE[:480]))
    chunks = listen(Microphone(1, sounddevice=sd, clock=world))
    assert [c.restarted for c in chunks][:2] == [False, True]
    assert not any(c.restarted for c in chunks[2:])
    np.testing.assert_array_equal(chunks[1].samples, NOISE[:480])
    assert sd.opened[-1]["device"] == 2  # the microphone, not what took its number
    assert [r.msg.split(":")[0] for r in caplog.records] == ["device lost", "device back"]
    assert world.sleeps[:5] == [0.25, 0.5, 1.0, 2.0, 5.0]
    assert set(world.sleeps[5:]) <= {5.0}


def test_quiet_audio_is_not_taken_for_a_lost_device(caplog: pytest.LogCaptureFixture) -> None:
    sd, world = FakeSoundDevice(device("mic")), World()
    for i in range(100):
        world.at(1.9 * i, lambda: sd.deliver(np.zeros(480, np.int16)))
    assert len(listen(Microphone(sounddevice=sd, clock=world))) == 100
    assert not caplog.records


def test_a_device_that_opens_but_stays_silent_is_not_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sd, world = FakeSoundDevice(device("mic")), World()
    world.at(0.1, lambda: sd.deliver(NOISE[:480]))
    for second in range(30, 100):
        world.at(second, sd.end)  # it opens, and soon ends again
    assert len(listen(Microphone(sounddevice=sd, clock=world))) == 1
    assert len(sd.opened) > 5
    assert [r.msg.split(":")[0] for r in caplog.records] == ["device lost"]


def test_what_came_before_the_loss_is_still_heard() -> None:
    sd, world = FakeSoundDevice(device("mic")), World()

    def burst_then_gone() -> None:
        sd.deliver(NOISE[:480])
        sd.deliver(NOISE[480:960])
        sd.plugged = []
        sd.end()

    world.at(0, burst_then_gone)
    world.at(60, lambda: None)
    np.testing.assert_array_equal(
        heard(listen(Microphone(sounddevice=sd, clock=world))), NOISE[:960]
    )


def test_a_device_missing_at_the_start_is_an_error_not_a_wait() -> None:
    world = World()
    with pytest.raises(DeviceError, match=r"no device can record.*group audio"):
        list(Microphone(sounddevice=FakeSoundDevice(), clock=world))
    assert not world.sleeps


def test_ctrl_c_closes_the_device() -> None:
    sd, world = FakeSoundDevice(device("mic")), World()

    def interrupt() -> None:
        raise KeyboardInterrupt

    world.at(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(Microphone(sounddevice=sd, clock=world))
    assert sd.running is not None
    assert sd.running.closed == 1


def test_ctrl_c_while_waiting_for_a_lost_device_closes_nothing_twice() -> None:
    sd, world = FakeSoundDevice(device("mic")), World()

    def interrupt() -> None:
        raise KeyboardInterrupt

    def unplug() -> None:
        sd.plugged = []
        sd.end()

    world.at(1, unplug)
    world.at(9, interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(Microphone(sounddevice=sd, clock=world))
    assert sd.running is not None
    assert sd.running.closed == 1


def test_the_queue_says_where_blocks_are_missing() -> None:
    queue = BlockQueue(2)
    for i in range(5):
        queue.put(bytes([i]), 10, i == 3)
    assert [queue.take(), queue.take(), queue.take()] == [(b"\0", 0, 0), (b"\1", 0, 0), None]
    queue.put(b"x", 10, False)
    assert queue.take() == (b"x", 30, 1)
    assert not queue.filled.is_set() or queue.take() is None


# ---- which device


def choices() -> FakeSoundDevice:
    return FakeSoundDevice(
        device("speaker", channels=0),
        device("Built-in"),
        device("USB Mic One", channels=2),
        device("USB Mic Two"),
        device("USB Mic"),
    )


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(None, 1), (2, 2), ("built", 1), ("usb mic one", 2), ("USB MIC", 4), ("two", 3)],
)
def test_a_device_is_found_by_index_or_part_of_its_name(
    wanted: int | str | None, index: int
) -> None:
    assert devices.find_device(choices(), wanted).index == index


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (0, "device 0: no such input device"),  # it only plays
        (9, "device 9: no such input device; choose one of: 1 Built-in; 2 USB Mic One"),
        ("radio", "device 'radio': no such input device"),
        ("mic ", "device 'mic ': several match; choose one of: 2 USB Mic One; 3 USB Mic Two"),
    ],
)
def test_a_device_that_is_not_clear_lists_the_choices(wanted: int | str, says: str) -> None:
    with pytest.raises(DeviceError) as caught:
        devices.find_device(choices(), wanted)
    assert says in str(caught.value)


def test_one_device_under_several_audio_systems_is_no_doubt() -> None:
    sd = FakeSoundDevice(device("USB Mic (1)"), device("USB Mic (1) long", api=1))
    assert devices.find_device(sd, "usb").index == 0


def test_input_devices_are_listed_with_their_facts() -> None:
    listed = devices.input_devices(choices())
    assert [(d.index, d.channels, d.default) for d in listed] == [
        (1, 1, True),
        (2, 2, False),
        (3, 1, False),
        (4, 1, False),
    ]
    assert listed[0].api == "ALSA"
    assert listed[0].rate_hz == 16_000


def test_missing_libraries_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match=r'pip install "wakeword\[listen\]"'):
        next(iter(Microphone()))
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeviceError, match="apt install libportaudio2"):
        next(iter(Microphone()))


# ---- raw samples on a pipe


class Drip(io.BytesIO):
    """A pipe that gives a few bytes at a time, odd numbers of them."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(min(size or 7, 7))


@pytest.mark.parametrize("kind", [io.BytesIO, Drip])
def test_raw_samples_come_back_however_they_are_cut(kind: type[io.BytesIO]) -> None:
    got = heard(list(raw_chunks(kind(NOISE[:5000].astype("<i2").tobytes()))))
    np.testing.assert_array_equal(got, NOISE[:5000])


def test_an_odd_last_byte_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    got = heard(list(raw_chunks(Drip(NOISE[:100].astype("<i2").tobytes() + b"\x01"))))
    np.testing.assert_array_equal(got, NOISE[:100])
    assert "1 byte left out" in caplog.text


def test_raw_samples_of_another_rate_are_resampled_to_the_end() -> None:
    got = heard(list(raw_chunks(io.BytesIO(NOISE.astype("<i2").tobytes()), rate_hz=48_000)))
    r = Resampler(48_000)
    np.testing.assert_array_equal(got, np.concatenate([r.feed(NOISE), r.finish()]))


def test_chunks_of_a_live_pipe_are_not_held_back() -> None:
    class Live(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return NOISE[:10].astype("<i2").tobytes()  # for ever; a waiting reader would hang

    chunks = raw_chunks(Live())
    assert [len(next(chunks).samples) for _ in range(3)] == [10, 10, 10]


def test_an_empty_pipe_or_a_wav_file_is_refused() -> None:
    with pytest.raises(AudioFormatError, match="held no samples"):
        list(raw_chunks(io.BytesIO(b"")))
    with pytest.raises(AudioFormatError, match="arecord -t raw"):
        list(raw_chunks(io.BytesIO(b"RIFF" + bytes(100))))


def test_a_file_is_a_source_too(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "a.wav"), NOISE, 16_000)
    got = heard(list(file_chunks(tmp_path / "a.wav", 1000)))
    np.testing.assert_array_equal(got, read_audio(tmp_path / "a.wav"))


def test_nothing_is_logged_louder_than_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sd, world = FakeSoundDevice(device("mic")), World()
    listen(Microphone(sounddevice=sd, clock=world))
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("INFO", "listening to mic at 16000 Hz")
    ]
