"""A user's own folders: what is found in them, how it is split, and what is complained about."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword import cli
from wakeword.errors import ConfigError
from wakeword.shelf import Shelf
from wakeword_train.data.complaints import Complaint, check, summary, usable
from wakeword_train.data.manifest import Clip, trains
from wakeword_train.data.recordings import read_folder, session_of, split_note, split_speakers

RATE = 16_000


def said(seconds: float = 0.6, level: float = 3000.0, seed: int = 0) -> NDArray[np.int16]:
    """A room, something like a word, and the room again."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    sound = rng.standard_normal(RATE // 2 + count + RATE * 4 // 5) * 30
    sound[RATE // 2 :][:count] += rng.uniform(-1, 1, count) * level * 3**0.5
    return np.clip(sound, -32768, 32767).astype(np.int16)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write recordings below a folder, each with a sound of its own unless it is given."""
    count = 0

    def write(*names: str, sound: NDArray[np.int16] | None = None, rate_hz: int = RATE) -> Path:
        nonlocal count
        for name in names:
            count += 1
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            samples = said(seed=count) if sound is None else sound
            soundfile.write(str(tmp_path / name), samples, rate_hz)
        return tmp_path

    return write


def facts(folder: Path, clips: list[Clip]) -> list[tuple[str, str]]:
    return [(Path(c.file).relative_to(folder.resolve()).as_posix(), c.speaker) for c in clips]


# ---- reading folders


def test_the_speaker_is_the_first_folder_and_the_phrases_own_is_none(
    put: Callable[..., Path],
) -> None:
    folder = put("ann/1.wav", "ann/monday/2.flac", "bob/3.ogg", "4.wav", "Hey_Computer/eve/5.wav")
    found = facts(folder, read_folder(folder, "wake", "hey computer"))
    assert dict(found) == {
        "ann/1.wav": "ann", "ann/monday/2.flac": "ann", "bob/3.ogg": "bob", "4.wav": "",
        "Hey_Computer/eve/5.wav": "eve",
    }  # fmt: skip
    assert found == sorted(found)


def test_any_rate_and_any_channels_are_read(put: Callable[..., Path]) -> None:
    stereo = np.stack([said(), said()], 1)
    put("a.wav", sound=stereo, rate_hz=44_100)
    folder = put("b.flac", sound=said(), rate_hz=8000)
    clips = read_folder(folder, "wake", "computer")
    seconds = len(said())
    assert [c.dur_s for c in clips] == pytest.approx([seconds / 44_100, seconds / 8000])
    assert {c.kind for c in check(clips)} <= {"few", "long"}
    assert [Path(clip.file).is_absolute() for clip in clips] == [True, True]


def test_recordings_are_the_users_own_and_may_train(put: Callable[..., Path]) -> None:
    (clip,) = read_folder(put("a.wav"), "wake", "computer")
    assert (clip.licence, clip.source.split("/")[0]) == ("your own", "own recordings")
    assert (clip.label, clip.kind, clip.start_s) == ("computer", "wake", 0.0)
    assert trains(clip)


def test_what_cannot_be_read_is_named_and_left_out(
    put: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = put("a.wav")
    (folder / "b.wav").write_text("no audio")
    (folder / "c.m4a").write_bytes(bytes(100))
    (folder / "d.flac").touch()
    (folder / "notes.txt").write_text("no recording")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "._a.wav").write_text("what a Mac leaves behind")
    assert [Path(c.file).name for c in read_folder(folder, "wake", "computer")] == ["a.wav"]
    assert [r.getMessage().split(":")[0].rpartition("/")[2] for r in caplog.records] == [
        "b.wav", "c.m4a", "d.flac",
    ]  # fmt: skip
    assert "ffmpeg -i c.m4a c.flac" in caplog.text
    (folder / "a.wav").unlink()
    with pytest.raises(ConfigError, match="none of 3 recordings can be read"):
        read_folder(folder, "wake", "computer")


def test_a_folder_that_is_none_or_empty_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone: no such folder"):
        read_folder(tmp_path / "gone", "wake", "computer")
    with pytest.raises(ConfigError, match="no recordings in it"):
        read_folder(tmp_path, "wake", "computer")
    (tmp_path / "a.wav").touch()
    with pytest.raises(ConfigError, match="is a file: name the folder"):
        read_folder(tmp_path / "a.wav", "wake", "computer")


# ---- folders that wakeword record made


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two people say one phrase, one of them another; and ordinary sound."""
    seed = 0
    for phrase, speaker, when in (
        ("hey computer", "Ann B.", "2026-11-20"), ("hey computer", "bob", "2026-11-21"),
        ("jarvis", "bob", "2026-11-21"), ("", "Ann B.", "2026-11-21"),
    ):  # fmt: skip
        for _ in range(2):
            seed += 1
            Shelf(tmp_path, phrase, speaker).add(
                said(seed=seed), when=when, device="mic", level_db=-20, peak_db=-5, snr_db=30
            )
    return tmp_path


def test_the_table_says_who_speaks_and_when(recorded: Path) -> None:
    clips = read_folder(recorded, "wake", "Hey_Computer")
    assert [(c.speaker, session_of(c)) for c in clips] == [
        ("Ann B.", "2026-11-20"), ("Ann B.", "2026-11-20"), ("bob", "2026-11-21"),
        ("bob", "2026-11-21"),
    ]  # fmt: skip


def test_of_the_whole_folder_only_what_is_meant_is_taken(
    recorded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [name for name, _ in facts(recorded, read_folder(recorded, "speech", "own"))]
    assert names == ["negative/Ann_B/0001.flac", "negative/Ann_B/0002.flac"]
    assert "6 of 8 recordings left out: they are not of kind negative" in caplog.text
    names = [name for name, _ in facts(recorded, read_folder(recorded, "wake", "jarvis"))]
    assert names == ["jarvis/bob/0001.flac", "jarvis/bob/0002.flac"]
    with pytest.raises(ConfigError, match='names nothing that is recordings of "alexa"'):
        read_folder(recorded, "wake", "alexa")


def test_a_folder_asked_for_by_name_is_taken_for_what_it_is_said_to_be(
    recorded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(read_folder(recorded / "jarvis", "speech", "own")) == 2
    assert caplog.text == ""
    clips = read_folder(recorded / "jarvis" / "bob", "wake", "computer")
    assert [c.speaker for c in clips] == ["bob", "bob"]
    assert 'recorded as "jarvis", taken for "computer"' in caplog.text
    with pytest.raises(ConfigError):  # but nothing makes a phrase of ordinary sound
        read_folder(recorded / "negative", "wake", "computer")


def test_a_clip_without_a_row_lies_where_its_speaker_is(recorded: Path) -> None:
    for name in ("hey_computer/eve", "negative/eve"):
        (recorded / name).mkdir()
        soundfile.write(str(recorded / name / "0001.flac"), said(seed=99), RATE)
    by_name = dict(facts(recorded, read_folder(recorded, "wake", "hey computer")))
    assert by_name["hey_computer/eve/0001.flac"] == "eve"
    assert len(by_name) == 5
    assert len(read_folder(recorded, "noise", "own")) == 3


def test_what_the_command_records_is_what_training_reads(
    put: Callable[..., Path], tmp_path: Path
) -> None:
    put("long.wav", sound=np.concatenate([said(seed=n) for n in range(5)]))
    out = tmp_path / "r"
    command = ["record", "computer", "--speaker", "ann", "--out", str(out), "--from"]
    assert cli.main([*command, str(tmp_path / "long.wav")]) == 0
    clips = read_folder(out, "wake", "computer")
    assert [c.speaker for c in clips] == ["ann"] * 5
    assert {c.kind for c in check(clips)} == {"few"}


# ---- the split


def clip(speaker: str, number: int = 0, kind: str = "wake", when: str = "") -> Clip:
    source = f"own recordings/{when}" if when else "own recordings"
    name = f"/{kind}/{speaker}/{when}/{number}.wav"
    return Clip(name, 0, 1, kind, "computer", speaker, "your own", source)


def crowd(**counts: int) -> list[Clip]:
    return [clip(speaker, n) for speaker, count in counts.items() for n in range(count)]


def parts_of(clips: list[Clip], seed: int = 0) -> dict[str, set[str]]:
    """Speaker to the parts that have clips of them."""
    parts = split_speakers(clips, seed)
    assert set(parts) == {c.file for c in clips}
    return {c.speaker: {parts[d.file] for d in clips if d.speaker == c.speaker} for c in clips}


@pytest.mark.parametrize(
    ("people", "sizes"),
    [(2, (1, 0, 1)), (3, (2, 0, 1)), (4, (2, 1, 1)), (10, (6, 2, 2)), (25, (15, 5, 5))],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_people_are_split_and_none_is_in_two_parts(
    people: int, sizes: tuple[int, int, int], seed: int
) -> None:
    parts = parts_of([c for n in range(people) for c in crowd(**{f"p{n}": 3})], seed)
    assert all(len(some) == 1 for some in parts.values())
    assert tuple(list(parts.values()).count({p}) for p in ("train", "dev", "test")) == sizes


@given(seed=st.integers(0, 99), counts=st.lists(st.integers(1, 9), min_size=2, max_size=8))
def test_who_has_the_most_clips_trains_and_the_order_does_not_matter(
    seed: int, counts: list[int]
) -> None:
    clips = crowd(**{f"p{n}": count for n, count in enumerate(counts)}, most=10)
    parts = split_speakers(clips, seed)
    assert {parts[c.file] for c in clips if c.speaker == "most"} == {"train"}
    assert "test" in parts.values()
    shuffled = random.Random(seed).sample(clips, len(clips))
    assert split_speakers(shuffled, seed) == parts


def test_another_seed_draws_other_people() -> None:
    clips = crowd(**{f"p{n}": 1 for n in range(12)}, most=2)
    assert len({tuple(split_speakers(clips, seed).values()) for seed in range(5)}) > 1


def test_a_voice_is_in_one_part_whatever_it_says() -> None:
    clips = crowd(ann=9, bob=3) + [clip("bob", n, "speech") for n in range(50)]
    assert parts_of(clips) == {"ann": {"train"}, "bob": {"test"}}


def test_sound_without_the_phrase_is_split_from_three_groups_on() -> None:
    two = [clip(name, n, "noise") for name in ("tv", "fan") for n in range(4)]
    assert set(split_speakers(two, 0).values()) == {"train"}
    three = [*two, clip("street", 0, "noise")]
    assert sorted("".join(some) for some in parts_of(three).values()) == ["test", "train", "train"]


def test_one_person_on_one_day_trains_and_nothing_is_left_to_test_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clips = [clip("ann", n, when="2026-11-20") for n in range(40)]
    assert set(split_speakers(clips, 0).values()) == {"train"}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "NOTHING IS LEFT TO TEST ON" in record.getMessage()


def test_recordings_of_nobody_in_particular_count_as_one_person(
    caplog: pytest.LogCaptureFixture,
) -> None:
    days = [clip("", n, when=f"2026-11-2{n % 2}") for n in range(40)]
    assert set(split_speakers(days, 0).values()) == {"train"}
    assert "nobody knows who speaks in 40 of 40 recordings" in caplog.text
    caplog.clear()
    mixed = [*crowd(ann=5), *days]  # ann may be among them
    assert set(split_speakers(mixed, 0).values()) == {"train"}
    assert "NOTHING IS LEFT TO TEST ON" in caplog.text


def test_one_persons_last_day_tests_when_enough_is_left() -> None:
    early = [clip("ann", n, when="2026-11-20") for n in range(10)]
    late = [clip("ann", n, when="2026-11-21") for n in range(5)]
    talk = [clip("ann", 1, "speech", when=day) for day in ("2026-11-20", "2026-11-21")]
    parts = split_speakers([*late, *early, *talk], 3)
    assert {c.file for c in (*late, talk[1])} == {f for f, p in parts.items() if p == "test"}
    assert "5 recordings of 2026-11-21 test, 10 of earlier days train" in split_note(
        early + late, parts
    )
    for some in (early[:9] + late, early + late[:4]):
        assert set(split_speakers(some, 3).values()) == {"train"}


def test_the_note_says_who_tests_and_what_is_not_known() -> None:
    clips = crowd(a=5, b=2, c=2, d=2)
    note = split_note(clips, split_speakers(clips, 0))
    assert note == (
        "4 people: 2 train, 1 choose the threshold, 1 test, whom training does not hear"
    )
    clips.append(clip("", 0))
    note = split_note(clips, split_speakers(clips, 0))
    assert note.endswith("but 1 recordings that train do not say whose they are")
    assert split_note([clip("ann", 0, "noise")], {}) == ""


# ---- complaints


def complaints(folder: Path, label: str = "computer") -> dict[str, list[Complaint]]:
    """Kind to complaints, of a folder of positives; "few" is left out."""
    found: dict[str, list[Complaint]] = {}
    for complaint in check(read_folder(folder, "wake", label)):
        if complaint.kind != "few":
            found.setdefault(complaint.kind, []).append(complaint)
    return found


def test_good_recordings_get_no_complaint(put: Callable[..., Path]) -> None:
    assert check(read_folder(put(*(f"{n}.wav" for n in range(10))), "wake", "computer")) == []


@pytest.mark.parametrize(
    ("sound", "kind", "text", "left_out"),
    [
        (np.zeros(RATE, np.int16), "silent", "-70 dB", True),
        (said(level=40_000), "clipped", "% of its samples", False),
        (said()[: RATE // 10], "short", "0.10 s", True),
        (said(2.6), "long", "at most 2.3 s", False),
        (np.r_[said(), said()[:1000].repeat(50)], "long", 'record "computer" --from', False),
        (np.r_[said(seed=1), said(seed=2)], "several", "hold 2 utterances", False),
        (np.tile(said(), 5), "several", "5 utterances in it; cut it", True),
        (np.zeros(0, np.int16), "empty", "holds no samples", True),
    ],
)
def test_each_fault_is_found(
    put: Callable[..., Path], sound: NDArray[np.int16], kind: str, text: str, left_out: bool
) -> None:
    put("good.wav")
    folder = put("bad.wav", sound=sound)
    found = complaints(folder)
    assert list(found) == [kind]
    (complaint,) = found[kind]
    assert Path(complaint.file).name == "bad.wav"
    assert text in complaint.text
    assert complaint.left_out == left_out


def test_a_recording_damaged_in_its_middle_is_named_and_left_out(put: Callable[..., Path]) -> None:
    folder = put("good.wav", "bad.wav")
    whole = (folder / "bad.wav").read_bytes()
    (folder / "bad.wav").write_bytes(whole[: len(whole) // 2])
    clips = read_folder(folder, "wake", "computer")
    found = check(clips)
    assert [(c.kind, c.left_out) for c in found] == [("unreadable", True), ("few", False)]
    assert [Path(c.file).name for c in usable(clips, found)] == ["good.wav"]


def test_useless_recordings_are_fatal_only_if_all_are(put: Callable[..., Path]) -> None:
    clips = read_folder(put("a.wav", sound=np.zeros(RATE, np.int16)), "wake", "computer")
    with pytest.raises(ConfigError, match=r"none of 1 recordings is of use.*a\.wav: silent"):
        usable(clips, check(clips))
    assert usable([], []) == []


def test_the_same_sound_counts_once_also_among_the_negatives(put: Callable[..., Path]) -> None:
    put("p/a.wav", sound=said(seed=1))
    put("p/b.flac", sound=said(seed=1))
    folder = put("n/c.wav", sound=said(seed=1))
    clips = [
        *read_folder(folder / "p", "wake", "computer"),
        *read_folder(folder / "n", "speech", "x"),
    ]
    twins = [c for c in check(clips) if c.kind == "duplicate"]
    assert [(Path(c.file).name, c.left_out) for c in twins] == [("b.flac", True), ("c.wav", True)]
    assert "among those of kind wake" in twins[1].text


def test_ordinary_sound_may_be_as_long_and_as_full_of_words_as_it_likes(
    put: Callable[..., Path],
) -> None:
    folder = put("tv.wav", sound=np.concatenate([said(seed=n) for n in range(9)]))
    assert check(read_folder(folder, "speech", "own")) == []


def test_a_length_unlike_the_others_is_suspicious(put: Callable[..., Path]) -> None:
    for n in range(9):
        put(f"{n}.wav", sound=said(0.6 + n / 50, seed=n))
    folder = put("x.wav", sound=said(2.0, seed=99))
    found = complaints(folder)
    assert {kind: [Path(c.file).name for c in some] for kind, some in found.items()} == {
        "odd": ["x.wav"]
    }
    assert "2.00 s of speech where 0.69 s are usual" in found["odd"][0].text


def test_a_few_recordings_are_enough_to_go_on_but_are_called_few(put: Callable[..., Path]) -> None:
    clips = read_folder(put("1.wav", "2.wav", "3.wav"), "wake", "hey_computer")
    (complaint,) = check(clips)
    assert complaint.text.startswith("3 recordings of the phrase are few")
    assert 'wakeword record "hey computer"' in complaint.text
    assert usable(clips, [complaint]) == clips


def test_a_summary_is_short_and_complete() -> None:
    some = [Complaint(f"{n}.wav", "silent", "silent", True) for n in range(5)]
    some.append(Complaint("", "few", "few"))
    some.append(replace(some[0], kind="clipped", left_out=False))
    assert summary(some) == [
        "0.wav: silent (left out)", "1.wav: silent (left out)", "2.wav: silent (left out)",
        "2 more: silent (left out)", "few", "0.wav: silent",
    ]  # fmt: skip


def test_progress_goes_from_none_to_all(put: Callable[..., Path]) -> None:
    seen: list[tuple[str, int, int]] = []
    check(read_folder(put("1.wav", "2.wav"), "noise", "own"), lambda *step: seen.append(step))
    assert seen == [("check recordings", n, 2) for n in (0, 1, 2)]
