"""Cutting utterances out of a stream, on synthetic sound whose words are known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.audio import read_audio
from wakeword.cutter import (
    FRAME,
    LONGEST,
    MARGIN,
    SILENCE,
    Cutter,
    Take,
    fault,
    frame_levels_db,
    length_limits,
    room_db,
)
from wakeword.errors import AudioFormatError

RATE = 16_000
RNG = np.random.default_rng(5)
ROOM = RNG.standard_normal(20 * RATE) * 30  # about -61 dB


def word(seconds: float, level: float = 3000.0) -> NDArray[np.float64]:
    """Something as loud as a word, with a stop of 100 ms in its middle."""
    count = round(seconds * RATE)
    sound = np.random.default_rng(count).standard_normal(count) * level
    if seconds > 0.4:
        sound[count // 2 : count // 2 + RATE // 10] = 0
    return sound


def scene(
    words: list[tuple[float, NDArray[np.float64]]], seconds: float, room: float = 1.0
) -> NDArray[np.int16]:
    """Lay words, each at its second, into a room."""
    sound = ROOM[: round(seconds * RATE)] * room
    for at, samples in words:
        sound[round(at * RATE) : round(at * RATE) + len(samples)] += samples
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


AUDIO = scene([(1.0, word(0.5)), (3.0, word(0.9, 600)), (5.0, word(0.3)), (7.7, word(0.3))], 8.0)


def batch(audio: NDArray[np.int16], **settings: float) -> list[Take]:
    cutter = Cutter(**settings)
    return cutter.feed(audio) + cutter.finish()


def same(some: list[Take], others: list[Take]) -> bool:
    """Tell whether takes are equal, sample by sample."""
    return len(some) == len(others) and all(
        (a.start, a.word, a.room_db) == (b.start, b.word, b.room_db)
        and np.array_equal(a.samples, b.samples)
        for a, b in zip(some, others, strict=True)
    )


def test_the_scene_has_four_words_the_last_cut_off_by_the_end() -> None:
    takes = batch(AUDIO)
    assert [round((t.start + t.word[0]) / RATE, 1) for t in takes] == [1.0, 3.0, 5.0, 7.7]
    assert takes[3].start + len(takes[3].samples) == len(AUDIO)


# ---- the gates of every streaming part


@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=8))
@settings(max_examples=40)
def test_any_chunking_equals_one_batch(cuts: list[int]) -> None:
    cutter = Cutter()
    takes = [take for chunk in np.split(AUDIO, sorted(cuts)) for take in cutter.feed(chunk)]
    assert same(takes + cutter.finish(), batch(AUDIO))


def test_sample_by_sample_equals_one_batch() -> None:
    cutter, part = Cutter(), AUDIO[: RATE * 9 // 4 + 7]
    takes = [take for i in range(len(part)) for take in cutter.feed(part[i : i + 1])]
    assert takes
    assert same(takes + cutter.finish(), batch(part))


@given(at=st.integers(0, len(AUDIO)))
@settings(max_examples=30)
def test_what_comes_later_changes_nothing_in_the_takes_that_ended(at: int) -> None:
    spoilt = AUDIO / np.float32(32768)
    spoilt[at:] = np.nan
    spoilt[at + 100 :] = np.random.default_rng(at).uniform(-1, 1, len(spoilt[at + 100 :]))
    takes = Cutter().feed(AUDIO[:at])
    assert same(Cutter().feed(spoilt)[: len(takes)], takes)


@given(at=st.integers(0, len(AUDIO)), known=st.sampled_from([None, -55.0]))
@settings(max_examples=30)
def test_reset_equals_new(at: int, known: float | None) -> None:
    cutter = Cutter(room_db=known)
    cutter.feed(AUDIO[:at])
    cutter.reset()
    fresh = Cutter(room_db=known)
    assert (cutter.busy, cutter.room_db) == (fresh.busy, fresh.room_db)
    assert same(cutter.feed(AUDIO) + cutter.finish(), fresh.feed(AUDIO) + fresh.finish())


def test_finish_starts_anew() -> None:
    cutter = Cutter()
    first = cutter.feed(AUDIO) + cutter.finish()
    assert same(cutter.feed(AUDIO) + cutter.finish(), first)


def test_memory_does_not_grow_with_the_stream() -> None:
    cutter = Cutter()
    for _ in range(5):
        cutter.feed(AUDIO[: 6 * RATE])
        assert len(cutter._held) < (LONGEST + 2 * MARGIN) * FRAME


def test_a_batch_of_several_channels_is_refused() -> None:
    with pytest.raises(AudioFormatError, match=r"shape \(2, 100\).*mix_down"):
        Cutter().feed(np.zeros((2, 100), np.int16))


# ---- what is cut


@given(
    lengths=st.lists(st.floats(0.15, 1.5), min_size=1, max_size=4),
    gap=st.floats(SILENCE * 0.02 + 0.1, 1.5),
    snr=st.sampled_from([5.0, 20.0, 300.0]),
    room=st.sampled_from([0.0, 1.0, 10.0]),
)
@settings(max_examples=40)
def test_every_word_is_in_one_take_and_whole(
    lengths: list[float], gap: float, snr: float, room: float
) -> None:
    words, at = [], 1.0
    for seconds in lengths:
        words.append((at, word(seconds, min(9000.0, max(room, 4.0) * 30 * snr))))
        at += seconds + gap
    audio = scene(words, at + 1, room)
    takes = batch(audio)
    assert len(takes) == len(words)
    last = 0
    for take, (begins, sound) in zip(takes, words, strict=True):
        stop = take.start + len(take.samples)
        np.testing.assert_array_equal(take.samples, audio[take.start : stop])
        first, end = round(begins * RATE), round(begins * RATE) + len(sound)
        assert last <= take.start  # no two overlap
        last = stop
        # The margin is around it; frames are 20 ms and know their word to one of them.
        assert take.start <= first - (MARGIN - 1) * FRAME
        assert stop >= min(end + (MARGIN - 1) * FRAME, len(audio))
        assert abs(take.start + take.word[0] - first) <= FRAME
        assert abs(take.start + take.word[1] - end) <= FRAME


def test_a_soft_beginning_and_a_soft_end_belong_to_the_word() -> None:
    soft = RNG.standard_normal(RATE * 3 // 10) * 30 * 2.4  # 8.6 dB above the room: begins nothing
    assert batch(scene([(1.0, soft)], 3.0)) == []
    (take,) = batch(scene([(1.0, np.r_[soft, word(0.4, 600), soft])], 4.0))
    assert take.start + take.word[0] == pytest.approx(RATE, abs=FRAME)
    assert take.seconds == pytest.approx(1.0, abs=0.041)


def test_a_click_begins_nothing_and_prolongs_nothing() -> None:
    click = RNG.standard_normal(RATE // 100) * 9000
    assert batch(scene([(1.0, click), (2.0, click)], 4.0)) == []
    (take,) = batch(scene([(1.0, word(0.5)), (1.8, click)], 4.0))
    assert take.seconds == pytest.approx(0.5, abs=0.021)


def test_a_constant_offset_changes_nothing() -> None:
    centred, off = batch(AUDIO // 2), batch(AUDIO // 2 + np.int16(900))
    assert [(t.start, t.word) for t in off] == [(t.start, t.word) for t in centred]


def test_noise_that_begins_is_cut_once_and_then_is_the_room() -> None:
    fan = RNG.standard_normal(13 * RATE) * 1000
    takes = batch(scene([(2.0, fan), (12.0, word(0.6, 9000))], 15.0))
    assert [round(t.seconds, 1) for t in takes] == [LONGEST / 50, 0.6]
    assert takes[1].room_db == pytest.approx(-30, abs=1)


def test_nothing_begins_before_the_room_is_known_unless_it_is_told() -> None:
    at_once = scene([(0.0, word(0.4))], 2.0)
    assert batch(at_once) == []
    (take,) = batch(at_once, room_db=-61)
    assert (take.start, take.word[0]) == (0, 0)
    assert np.isinf(Cutter().room_db)


def test_digital_silence_is_no_room() -> None:
    padded = np.r_[np.zeros(RATE, np.int16), scene([], 1.0, room=2.0), np.zeros(RATE, np.int16)]
    assert room_db(frame_levels_db(padded)) == -70
    assert batch(padded, room_db=-70) == []  # -55 dB: what a gate lets through is no word


def test_levels_are_of_full_scale_without_their_offset() -> None:
    square = np.tile(np.int16([-32768, 32767]), FRAME)
    np.testing.assert_allclose(frame_levels_db(square), [0, 0], atol=1e-3)
    assert frame_levels_db(np.full(FRAME, 5000, np.int16)).tolist() == [-70]
    assert frame_levels_db(np.zeros(FRAME - 1, np.int16)).shape == (0,)


def test_a_take_measures_itself() -> None:
    take = Take(np.tile(np.int16([3277, -3277]), 4000), 0, (0, 8000), -60.0)
    assert take.level_db == pytest.approx(-20, abs=0.01)
    assert take.peak_db == pytest.approx(-20, abs=0.01)
    assert take.snr_db == pytest.approx(40, abs=0.01)
    assert take.seconds == 0.5


# ---- what is wrong with a take


def made(level: float = 3000.0, seconds: float = 0.6, offset: int = 0, room: float = -60.0) -> Take:
    tone = np.sin(np.arange(round(seconds * RATE)) * 0.3) * level * 2**0.5 + offset
    samples = np.clip(tone, -32768, 32767).astype(np.int16)
    return Take(samples, 0, (0, len(samples)), room)


@pytest.mark.parametrize(
    ("take", "why"),
    [
        (made(level=60), "too quiet: -55 dB"),
        (made(level=25_000), "clipped"),
        (made(seconds=0.1), "too short: 0.1 s"),
        (made(seconds=4.5), "too long: 4.5 s"),
        (made(room=-29), "too little above the room: 8 dB"),
        (made(offset=6000), "off centre by 18 %"),
    ],
)
def test_each_fault_is_named(take: Take, why: str) -> None:
    assert fault(take, "computer").startswith(why)


def test_a_good_take_has_no_fault() -> None:
    assert fault(made(), "computer") == ""


@pytest.mark.parametrize("phrase", ["a", "hey computer", "小爱同学", "x" * 200])
def test_any_phrase_has_a_shortest_and_a_longest_time(phrase: str) -> None:
    shortest, longest = length_limits(phrase)
    assert 0.2 <= shortest < longest <= 4.0 or len(phrase) == 200


SHARED = os.environ.get("WAKEWORD_SHARED")


@pytest.mark.skipif(SHARED is None, reason="WAKEWORD_SHARED is not set: no recordings of people")
def test_recordings_of_people_who_say_one_word_hold_one_take() -> None:
    folder = Path(SHARED or "") / "data" / "audio" / "wake" / "computer"
    files = sorted(folder.iterdir())[::6]
    assert len(files) > 30
    for path in files:
        audio = read_audio(path)
        (take,) = batch(audio, room_db=room_db(frame_levels_db(audio)))
        assert fault(take, "computer") in ("", fault(made(level=25_000), "computer"))
