"""Recording one's own clips: the session, the shelf, the keys and the command; no microphone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword import cli, devices, microphone
from wakeword.audio import read_audio
from wakeword.cutter import Take
from wakeword.errors import ConfigError, DeviceError, WakewordError
from wakeword.record import PIECE, SHORTEST_PIECE, pieces
from wakeword.session import WAYS, Session
from wakeword.shelf import COLUMNS, TABLE, Shelf, read_table
from wakeword.sources import Chunk

RATE = 16_000
RNG = np.random.default_rng(11)
NOISE = RNG.standard_normal(60 * RATE)


def quiet(seconds: float) -> NDArray[np.int16]:
    """An ordinary room, about -61 dB."""
    return (NOISE[: round(seconds * RATE)] * 30).astype(np.int16)


def said(seconds: float = 0.6, level: float = 3000.0, seed: int = 0) -> NDArray[np.int16]:
    """Something like a word, and the silence that ends it."""
    word = np.random.default_rng(seed).uniform(-1, 1, round(seconds * RATE)) * level * 3**0.5
    return np.r_[quiet(0.5), np.clip(word, -32768, 32767).astype(np.int16), quiet(0.8)]


def chunks(*parts: NDArray[np.int16]) -> list[Chunk]:
    """Cut sound as a microphone does."""
    sound = np.concatenate(parts)
    return [Chunk(sound[at : at + 480]) for at in range(0, len(sound), 480)]


class Booth:
    """A session with somebody in it who does as scripted."""

    def __init__(self, *, wanted: int = 2, have: int = 0, ask: bool = False) -> None:
        self.kept: list[Take] = []
        self.said: list[str] = []
        self.complaints: list[str] = []
        self.session = Session(
            "computer", have=have, wanted=wanted, keep=self.kept.append, ask=ask,
            say=self.said.append, complain=self.complaints.append,
        )  # fmt: skip

    def hears(self, *parts: NDArray[np.int16]) -> bool:
        over = [self.session.hear(chunk) for chunk in chunks(*parts)]
        return over[-1]

    def presses(self, key: str) -> bool:
        return self.session.hear(Chunk(quiet(0.03)), key)


# ---- the session


def test_without_keys_what_passes_is_kept_until_there_are_enough() -> None:
    booth = Booth(wanted=2)
    assert not booth.hears(quiet(1.5), said(seed=1))
    assert booth.hears(said(seed=2))
    assert len(booth.kept) == 2
    assert booth.said[0].startswith("be silent for a second")
    assert booth.said[1:] == [
        f'1 of 2: say "computer", {WAYS[0]}',
        f'2 of 2: say "computer", {WAYS[1]}',
    ]
    assert booth.complaints == []


def test_what_is_kept_is_what_was_said() -> None:
    booth = Booth(wanted=1)
    word = said(seed=3)[RATE // 2 : RATE // 2 + RATE * 6 // 10]
    booth.hears(quiet(1.5), said(seed=3))
    (take,) = booth.kept
    heard = take.samples.astype(np.float64)
    at = int(np.argmax(np.correlate(heard, word.astype(np.float64), "valid")))
    np.testing.assert_array_equal(take.samples[at : at + len(word)], word)


def test_a_session_that_goes_on_counts_on() -> None:
    booth = Booth(have=18, wanted=20)
    booth.hears(quiet(1.5))
    assert booth.said[-1] == f'19 of 20: say "computer", {WAYS[18 % len(WAYS)]}'


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (said(level=130), "too quiet"),
        (said(level=40_000), "clipped"),
        (said(seconds=0.12), "too short"),
        (said(seconds=3), "too long"),
    ],
)
def test_what_is_wrong_is_said_and_asked_for_again(sound: NDArray[np.int16], why: str) -> None:
    booth = Booth()
    assert not booth.hears(quiet(1.5), sound)
    assert booth.kept == []
    assert [complaint.split(":")[0] for complaint in booth.complaints] == [why]
    assert booth.said[1:] == [f'1 of 2: say "computer", {WAYS[0]}'] * 2
    booth.hears(said())
    assert len(booth.kept) == 1


def test_a_word_said_while_the_room_is_learned_is_not_kept() -> None:
    booth = Booth()
    booth.hears(quiet(0.6), said(seconds=0.3)[RATE // 2 :][: RATE // 2], quiet(3))
    assert booth.kept == []
    booth.hears(said())
    assert len(booth.kept) == 1


def test_silence_is_noticed_and_given_up_where_nobody_can_press_a_key() -> None:
    booth = Booth()
    with pytest.raises(
        DeviceError, match=r"nothing heard for 10 s: the loudest was -60 dB.*gave up after 60 s"
    ):
        booth.hears(quiet(2), *[quiet(20)] * 4)
    assert len(booth.complaints) == 5
    patient = Booth(ask=True)
    assert not patient.hears(quiet(2), *[quiet(20)] * 4)
    assert len(patient.complaints) == 8


@pytest.mark.parametrize("level", [0, 1])
def test_a_dead_microphone_is_called_dead(level: int) -> None:
    booth = Booth()
    booth.hears(
        np.full(12 * RATE, 700, np.int16) + np.arange(12 * RATE, dtype=np.int16) % 2 * level
    )
    assert "is the microphone muted" in booth.complaints[0]


def test_a_gap_within_a_word_begins_again_and_one_between_words_does_not_matter() -> None:
    booth = Booth()
    booth.hears(quiet(1.5), said()[: RATE * 3 // 4])
    for loss in ({"dropped": 500}, {"overflows": 1}, {"restarted": True}):
        booth.session.hear(Chunk(quiet(0.03), **loss))
    booth.hears(quiet(1))
    assert booth.complaints == ["some of the sound was lost on its way"]
    assert booth.kept == []
    booth.hears(said())
    assert len(booth.kept) == 1


# ---- the keys of a session


def test_enter_keeps_a_take_and_nothing_else_does() -> None:
    booth = Booth(ask=True)
    booth.hears(quiet(1.5), said(seed=1))
    assert "enter keeps it" in booth.said[-1]
    booth.hears(said(seed=2), said(seed=3))  # talk while it is judged is not recorded
    assert booth.kept == []
    assert not booth.presses("x")
    assert not booth.presses("\n")
    assert len(booth.kept) == 1
    assert booth.said[-1] == f'2 of 2: say "computer", {WAYS[1]}'
    booth.hears(said(seed=4))
    assert booth.presses("\n")
    assert len(booth.kept) == 2


def test_r_records_again_and_s_goes_on_to_another_way_of_saying_it() -> None:
    booth = Booth(ask=True)
    booth.hears(quiet(1.5), said())
    booth.presses("r")
    assert booth.said[-1] == f'1 of 2: say "computer", {WAYS[0]}'
    booth.hears(said())
    booth.presses("s")
    assert booth.said[-1] == f'1 of 2: say "computer", {WAYS[1]}'
    booth.presses("s")  # before anything was said
    assert booth.said[-1] == f'1 of 2: say "computer", {WAYS[2]}'
    assert booth.kept == []


def test_keys_that_answer_nothing_do_nothing() -> None:
    booth = Booth(ask=True)
    booth.hears(quiet(1.5))
    before = list(booth.said)
    booth.presses("\n")
    booth.presses("r")
    assert (booth.said, booth.kept) == (before, [])


@pytest.mark.parametrize("heard", [quiet(0.5), quiet(2), np.r_[quiet(1.5), said()]])
def test_q_stops_at_any_time(heard: NDArray[np.int16]) -> None:
    booth = Booth(ask=True)
    booth.hears(heard)
    assert booth.presses("q")
    assert booth.kept == []


def test_the_sound_of_the_key_is_not_taken_for_the_word() -> None:
    booth = Booth(ask=True)
    booth.hears(quiet(1.5), said())
    booth.presses("\n")
    booth.hears(said(seconds=0.25)[RATE // 2 :])  # the key, at once
    assert booth.said[-1] == f'2 of 2: say "computer", {WAYS[1]}'
    booth.hears(said(seed=5))
    assert "enter keeps it" in booth.said[-1]
    assert booth.complaints == []


# ---- ordinary sound


@given(cuts=st.lists(st.integers(0, 70 * RATE), max_size=6))
@settings(max_examples=20)
def test_pieces_hold_everything_in_order_however_it_comes(cuts: list[int]) -> None:
    sound = np.arange(70 * RATE, dtype=np.int64).astype(np.int16)
    cut = list(pieces(Chunk(part) for part in np.split(sound, sorted(cuts)) if len(part)))
    assert [len(piece) for piece in cut] == [PIECE, PIECE, 10 * RATE]
    np.testing.assert_array_equal(np.concatenate(cut), sound)


def test_pieces_end_at_the_limit_at_gaps_and_leave_out_scraps() -> None:
    second = Chunk(np.ones(RATE, np.int16))
    assert [len(p) for p in pieces([second] * 9, limit=5 * RATE + 7)] == [5 * RATE + 7]
    gap = Chunk(second.samples, dropped=1)
    assert [len(p) for p in pieces([second] * 4 + [gap] * 2 + [second] * 3)] == [4 * RATE, 4 * RATE]
    assert list(pieces([second] * (SHORTEST_PIECE // RATE - 1))) == []


# ---- the shelf

FACTS: dict[str, Any] = {"when": "2026-11-21", "device": "USB Mic", "level_db": -23.44,
                         "peak_db": -8.0, "snr_db": 31.0}  # fmt: skip


def test_clips_are_numbered_and_the_table_says_what_they_are(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "new" / "folder", "Hey Computer", "Zoë B.")
    for seed in (1, 2):
        shelf.add(said(seed=seed), **FACTS)
    names = ["hey_computer/Zoë_B/0001.flac", "hey_computer/Zoë_B/0002.flac"]
    rows = read_table(shelf.root)
    assert [row.file for row in rows] == names
    assert {(r.label, r.speaker, r.kind, r.level_db, r.when) for r in rows} == {
        ("Hey Computer", "Zoë B.", "positive", "-23.4", "2026-11-21")
    }
    for seed, name in enumerate(names, start=1):
        assert soundfile.info(str(shelf.root / name)).subtype == "PCM_16"
        np.testing.assert_array_equal(read_audio(shelf.root / name), said(seed=seed))


def test_numbers_go_on_and_are_never_used_again(tmp_path: Path) -> None:
    Shelf(tmp_path, "computer", "ann").add(said(), **FACTS)
    (tmp_path / "computer/ann/0007.flac").write_bytes(b"mine")
    shelf = Shelf(tmp_path, "computer", "ann")
    assert shelf.count() == 2
    assert shelf.add(said(seed=1), **FACTS).file == "computer/ann/0008.flac"
    (tmp_path / "computer/ann/0001.flac").unlink()
    assert shelf.add(said(seed=2), **FACTS).file == "computer/ann/0009.flac"
    assert (tmp_path / "computer/ann/0007.flac").read_bytes() == b"mine"
    assert Shelf(tmp_path, "computer", "bob").count() == 0


def test_the_shelf_knows_the_sound_of_what_is_on_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "computer", "ann")
    assert not shelf.has(said())
    shelf.add(said(), **FACTS)
    for each in (shelf, Shelf(tmp_path, "computer", "ann")):
        assert each.has(said())
        assert not each.has(said()[1:])


def test_an_interrupted_write_leaves_no_clip_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path, "computer", "ann")
    shelf.add(said(), **FACTS)
    whole = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    before = (tmp_path / TABLE).read_bytes()

    def interrupted(path: str, *_: Any, **__: Any) -> None:
        Path(path).write_bytes(b"fLaC and half of the r")
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shelf.add(said(seed=1), **FACTS)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == whole
    assert (tmp_path / TABLE).read_bytes() == before


def test_a_clip_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "computer", "ann")
    (tmp_path / "computer/ann/.0001.flac.part").mkdir(parents=True)
    with pytest.raises((WakewordError, OSError), match=r"0001\.flac"):
        shelf.add(said(), **FACTS)


def test_a_table_that_somebody_edited_is_kept(tmp_path: Path) -> None:
    head = ["note", *COLUMNS[::-1]]
    (tmp_path / TABLE).write_text("\t".join(head) + "\n" + "\t".join(["x"] * len(head)))
    Shelf(tmp_path, "computer", "ann").add(said(), **{**FACTS, "device": "a\tb\nc"})
    lines = (tmp_path / TABLE).read_text().splitlines()
    assert lines[1] == "\t".join(["x"] * len(head))
    assert read_table(tmp_path)[1].device == "a b c"
    assert read_table(tmp_path)[1].file == "computer/ann/0001.flac"
    (tmp_path / TABLE).write_text("file\tlabel\nx\ty\n")
    with pytest.raises(ConfigError, match=r"recordings\.tsv:2: need the columns file, label"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("phrase", "speaker", "why"),
    [
        ("...", "ann", 'phrase "..."'),
        ("computer", "/", 'speaker "/"'),
        ("Negative", "ann", "folder"),
    ],
)
def test_names_that_no_folder_can_have_are_refused(phrase: str, speaker: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Shelf(Path("x"), phrase, speaker)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "../../etc", "../..\\passwd")
    assert shelf.folder.resolve().is_relative_to(tmp_path.resolve())


# ---- keys of a terminal


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_keys_come_one_by_one_without_waiting_and_the_terminal_is_given_back() -> None:
    import termios

    from wakeword.keys import terminal_keys

    ours, theirs = os.openpty()
    with open(theirs, encoding="ascii", closefd=True) as terminal:  # noqa: PTH123 - a number
        before = termios.tcgetattr(theirs)
        with terminal_keys(terminal) as poll:
            assert poll() == ""
            os.write(ours, b"R\rs\x04")
            assert [poll() for _ in range(5)] == ["r", "\n", "s", "q", ""]
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


# ---- the command


@pytest.fixture
def mic(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Put a microphone in place that hears what it is given."""
    asked: dict[str, Any] = {}

    def put(*parts: NDArray[np.int16], then: type[BaseException] | None = None) -> dict[str, Any]:
        class Fake:
            def __init__(self, device: int | str | None, **settings: Any) -> None:
                asked.update(device=device, **settings)

            def __iter__(self) -> Iterator[Chunk]:
                yield from chunks(*parts)
                if then is not None:
                    raise then

        found = devices.InputDevice(0, "USB Mic", "ALSA", 1, RATE, True)
        monkeypatch.setattr(devices, "load_sounddevice", lambda: None)
        monkeypatch.setattr(devices, "find_device", lambda _, __: found)
        monkeypatch.setattr(microphone, "Microphone", Fake)
        return asked

    return put


def test_record_prints_files_and_stops_when_there_are_enough(
    mic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = mic(quiet(1.5), said(seed=1), said(seed=2), said(seed=3))
    command = ["record", "hey you", "--out", str(tmp_path), "--count", "2", "--speaker", "ann"]
    assert cli.main([*command, "--device", "3", "--channel", "1"]) == 0
    out, err = capsys.readouterr()
    files = [str(tmp_path / "hey_you" / "ann" / name) for name in ("0001.flac", "0002.flac")]
    assert out.splitlines() == files
    assert '2 of 2: say "hey you"' in err
    assert "2 new, 2 in" in err
    assert asked == {"device": 3, "channel": 1}
    assert [row.device for row in read_table(tmp_path)] == ["USB Mic"] * 2
    assert cli.main(command) == 0
    assert "2 clips are there already; for more: --count 22" in capsys.readouterr().err


def test_ctrl_c_leaves_whole_clips_and_the_same_command_goes_on(
    mic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["record", "computer", "--json", "--yes", "--out", str(tmp_path), "--count", "2"]
    mic(quiet(1.5), said(seed=1), said(seed=2)[:RATE], then=KeyboardInterrupt)
    assert cli.main(command) == 130
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["computer/me/0001.flac"]
    assert "the same command goes on" in err
    mic(quiet(1.5), said(seed=3))
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["computer/me/0002.flac"]
    assert '2 of 2: say "computer"' in err
    files = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert files == ["0001.flac", "0002.flac", TABLE]


def test_a_terminal_gets_a_meter_and_its_keys_decide(
    mic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import contextlib

    from wakeword import keys

    pressed = iter([""] * 140 + ["\n"] + [""] * 100 + ["q"])  # 30 ms each
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(
        keys, "terminal_keys", lambda _: contextlib.nullcontext(lambda: next(pressed))
    )
    mic(quiet(1.5), said(seed=1), quiet(5), then=AssertionError)
    assert cli.main(["record", "computer", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'computer' / 'me' / '0001.flac'}\n"
    assert "\r\x1b[Kmic " in err
    assert "enter keeps it" in err


def test_negative_records_pieces_and_keeps_the_last_at_ctrl_c(
    mic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mic(quiet(34), then=KeyboardInterrupt)
    command = ["record", "computer", "--negative", "--speaker", "ann", "--out", str(tmp_path)]
    assert cli.main(command) == 130
    assert 'do not say "computer"' in capsys.readouterr().err
    rows = read_table(tmp_path)
    assert [(r.file, r.label, r.kind, r.snr_db) for r in rows] == [
        ("negative/ann/0001.flac", "", "negative", ""),
        ("negative/ann/0002.flac", "", "negative", ""),
    ]
    assert [len(read_audio(tmp_path / r.file)) / RATE for r in rows] == [30, 4]


def test_negative_ends_after_its_minutes_and_notices_a_dead_microphone(
    mic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["record", "--negative", "--minutes", "0.1", "--out", str(tmp_path)]
    mic(quiet(20), then=AssertionError)
    assert cli.main(command) == 0
    assert len(read_audio(tmp_path / "negative/me/0001.flac")) == 6 * RATE
    mic(np.zeros(20 * RATE, np.int16))
    assert cli.main(command) == 1
    assert "is the microphone muted" in capsys.readouterr().err
    assert len(read_table(tmp_path)) == 1


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A stereo recording at 44.1 kHz of three words and a cough."""
    import soxr

    sound = np.r_[
        said(seed=1)[RATE // 2 :], said(seed=2), said(seconds=0.12), said(seed=3), quiet(1)
    ]
    fast = soxr.resample(sound.astype(np.float64) / 32768, RATE, 44_100)
    path = tmp_path / "long.wav"
    soundfile.write(str(path), np.stack([fast, fast], 1), 44_100)
    os.utime(path, (1.7e9, 1.7e9))
    return path


def test_a_long_recording_is_cut_into_clips_once(
    long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["record", "computer", "--out", str(tmp_path / "r"), "--from", str(long)]
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "3.5 s: left out, too short: 0.12 s" in err
    rows = read_table(tmp_path / "r")
    assert {(r.device, r.when[:4]) for r in rows} == {("long.wav", "2023")}
    assert len(read_audio(tmp_path / "r" / rows[0].file)) == pytest.approx(0.9 * RATE, abs=700)
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "3 of its clips were there already" in err


def test_enough_of_a_recording_is_enough(long: Path, tmp_path: Path) -> None:
    command = ["record", "computer", "--out", str(tmp_path / "r"), "--count", "2"]
    assert cli.main([*command, "--from", str(long)]) == 0
    assert len(read_table(tmp_path / "r")) == 2


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(
    long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, still = tmp_path / "bad.wav", tmp_path / "still.wav"
    bad.write_text("no audio")
    soundfile.write(str(still), quiet(3), RATE)
    command = ["record", "computer", "--out", str(tmp_path / "r"), "--from"]
    assert cli.main([*command, str(bad), str(still), str(long)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert f"{bad}: cannot be read as audio" in err
    assert f"{still}: no utterance stands out" in err


def test_a_recording_of_ordinary_sound_is_kept_in_pieces_once(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "tv.wav"), np.r_[quiet(40), quiet(5)], RATE)
    command = ["record", "--negative", "--out", str(tmp_path / "r")]
    for _ in range(2):
        assert cli.main([*command, "--from", str(tmp_path / "tv.wav")]) == 0
    assert [row.file for row in read_table(tmp_path / "r")] == [
        "negative/me/0001.flac",
        "negative/me/0002.flac",
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "say which phrase"),
        (["computer", "--minutes", "3"], "--minutes is for --negative"),
        (["--negative", "--count", "3"], "--minutes in place of --count"),
        (["computer", "--from", "a.wav", "--device", "x"], "--from reads files"),
        (["computer", "--count", "0"], "--count 0: need more than 0"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["record", *arguments])
    assert left.value.code == 2
    assert why in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said_before_anybody_speaks(
    mic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    mic(then=AssertionError)
    assert cli.main(["record", "computer", "--out", str(tmp_path / "file")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
