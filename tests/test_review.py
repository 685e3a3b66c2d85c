"""Keeping what was heard and nearly heard, labelling it, and the threshold that follows from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S
from wakeword import Detector
from wakeword.audio import read_audio
from wakeword.cli import main
from wakeword.daemon.keeper import CLIP, SPACING, Keeper
from wakeword.daemon.ring import Ring
from wakeword.daemon.settings import ReviewConfig
from wakeword.errors import ConfigError
from wakeword.review import above, advice, ask_all, clips_in, set_labels
from wakeword.sinks.clips import make_room, write_clip
from wakeword.sinks.event import Event, new_events

ROOT = Path(__file__).parents[1]


class Scores:
    """A detector of one word whose scores are given."""

    words = ("computer",)

    def __init__(self) -> None:
        self.prob = 0.0

    @property
    def probs(self) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([self.prob], np.float32)


def keep(folder: Path, probs: list[float], heard_at: int | None = None) -> list[dict[str, Any]]:
    """Feed one score for every 480 samples and return the notes that are written."""
    config = ReviewConfig(folder=str(folder), near=0.5)
    keeper = Keeper(config, {"computer": 0.8}, new_events(lambda: 0.0, run="near"), CLOCK)
    keeper.sink.start()
    scores, ring = Scores(), Ring(80_000)
    for n, prob in enumerate(probs):
        ring.feed(np.full(480, n, np.int16))
        scores.prob = prob
        if n == heard_at:
            keeper.heard(Event("run-1", "computer", prob, 480 * n, "2026-11-21T00:00:00+00:00"))
        keeper.look(scores, ring, 480 * (n + 1))  # type: ignore[arg-type]
    keeper.sink.stop(PATIENCE_S)
    assert keeper.sink.threshold == {}
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_a_near_miss_is_kept_with_its_peak_and_its_sound(tmp_path: Path) -> None:
    (note,) = keep(tmp_path, [0.0] * 150 + [0.45, 0.7, 0.5, 0.35, 0.1] + [0.0] * 5)
    assert (note["kind"], note["word"], note["threshold"]) == ("near", "computer", 0.8)
    assert note["prob"] == pytest.approx(0.7)
    clip = read_audio(tmp_path / f"{note['id']}.wav")
    assert len(clip) == CLIP
    assert clip[note["word_end"] - 1] == 151  # where it was highest
    assert clip[-1] == 154  # 0.1 lies under 0.8 of the level of 0.4; 0.35 does not


def test_a_detection_is_kept_under_the_id_of_its_event(tmp_path: Path) -> None:
    (note,) = keep(tmp_path, [0.5, 0.85, 0.95, 0.2], heard_at=1)
    assert (note["kind"], note["id"]) == ("heard", "run-1")
    assert note["prob"] == pytest.approx(0.95)
    assert note["word_end"] == 480  # of four chunks; the word fired after the first


def test_what_stays_far_below_the_threshold_is_not_kept(tmp_path: Path) -> None:
    assert keep(tmp_path, [0.39, 0.0] * 100) == []


def test_a_noisy_hour_does_not_fill_the_folder(tmp_path: Path) -> None:
    count = 3 * SPACING // 480
    notes = keep(tmp_path, [0.5, 0.0] * (count // 2))
    assert len(notes) == 3


def test_a_score_that_never_falls_is_kept_while_its_sound_is_there(tmp_path: Path) -> None:
    notes = keep(tmp_path, [0.6] * (CLIP // 480))
    assert len(notes) == 1


def test_the_shipped_recording_gives_the_clips_of_its_words(tmp_path: Path) -> None:
    detector = Detector.load("computer_jarvis")
    config = ReviewConfig(folder=str(tmp_path))
    thresholds = {"computer": 0.71, "jarvis": 0.75}
    keeper = Keeper(config, thresholds, new_events(lambda: 0.0, run="near"), CLOCK)
    keeper.sink.start()
    ring = Ring(80_000)
    make = new_events(lambda: 0.0, run="run")
    sound = read_audio(ROOT / "wakeword/demo/computer.flac")
    for at in range(0, len(sound), 480):
        found = detector.feed(sound[at : at + 480])
        ring.feed(sound[at : at + 480])
        for detection in found:
            keeper.heard(make(detection, 0))
        keeper.look(detector, ring, at + 480)
    keeper.sink.stop(PATIENCE_S)
    heard = [clip.word for clip in clips_in(tmp_path) if clip.kind == "heard"]
    assert sorted(heard) == ["computer", "jarvis"]
    for clip in clips_in(tmp_path):  # what is kept is what was heard: it fires again
        if clip.kind == "heard":
            detector.reset()
            again = detector.feed(read_audio(clip.wav)) + detector.finish()
            assert clip.word in [d.word for d in again]


def clip(folder: Path, key: str, prob: float, label: str = "", kind: str = "heard") -> None:
    note = {"word": "computer", "prob": prob, "threshold": 0.7, "kind": kind, "label": label,
            "at": f"2026-11-21T00:00:{len(list(folder.glob('*.wav'))):02d}+00:00"}  # fmt: skip
    write_clip(folder, key, np.zeros(1600, np.int16), note, 10_000_000)


def test_advice_counts_what_each_threshold_hears(tmp_path: Path) -> None:
    for n, (prob, label) in enumerate(
        [(0.9, "yes")] * 8 + [(0.75, "yes")] * 3 + [(0.5, "yes")] + [(0.72, "no")] * 11
    ):
        clip(tmp_path, f"c{n}", prob, label)
    said = advice(clips_in(tmp_path)).splitlines()
    rows = [" ".join(line.split()) for line in said[1:3]]
    assert rows == [
        "computer 0.700 11 of 12 11 of 11 in force",
        "computer 0.721 11 of 12 0 of 11 none false",
    ]
    assert not any("too few" in line for line in said)


def test_advice_says_when_clips_are_too_few(tmp_path: Path) -> None:
    clip(tmp_path, "a", 0.9, "yes")
    assert "fewer than 10 labelled yes and no: too few to tell" in advice(clips_in(tmp_path))
    assert advice([]) == "no clip is here yet"


@pytest.mark.parametrize(("probs", "expected"), [([0.72], 0.721), ([0.7199], 0.72), ([], None)])
def test_the_lowest_threshold_above_all(probs: list[float], expected: float | None) -> None:
    assert above(probs) == expected


def test_people_are_asked_for_what_has_no_label(tmp_path: Path) -> None:
    for key, label in (("a", ""), ("b", "yes"), ("c", ""), ("d", ""), ("e", ""), ("f", "")):
        clip(tmp_path, key, 0.8, label)
    answers = iter(["p", "Y", "what", "n", "s", "d", "q"])
    played: list[str] = []
    ask_all(clips_in(tmp_path), lambda line: next(answers), lambda path: played.append(path.name))
    assert played == ["a.wav", "a.wav", "c.wav", "d.wav", "e.wav", "f.wav"]
    labels = {c.note.stem: c.label for c in clips_in(tmp_path)}
    assert labels == {"a": "yes", "b": "yes", "c": "no", "d": "", "f": ""}
    assert not (tmp_path / "e.wav").exists()


def test_the_end_of_the_input_ends_the_questions(tmp_path: Path) -> None:
    def end(line: str) -> str:
        raise EOFError

    clip(tmp_path, "a", 0.8)
    ask_all(clips_in(tmp_path), end, lambda path: None)
    assert clips_in(tmp_path)[0].label == ""


def test_labelled_clips_go_last_when_there_is_no_room(tmp_path: Path) -> None:
    for n, label in enumerate(["yes", "", "", "no"]):
        clip(tmp_path, f"c{n}", 0.8, label)
        os.utime(tmp_path / f"c{n}.wav", (n, n))
    size = (tmp_path / "c0.wav").stat().st_size
    make_room(tmp_path, 3 * size)
    assert {c.note.stem for c in clips_in(tmp_path)} == {"c0", "c2", "c3"}
    make_room(tmp_path, size)
    assert {c.note.stem for c in clips_in(tmp_path)} == {"c3"}


def test_what_is_no_clip_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "b.json").write_text('{"word": "x"}')
    (tmp_path / "c.json").write_bytes(b"\xff")
    clip(tmp_path, "d", 0.8)
    (tmp_path / "d.wav").unlink()
    assert clips_in(tmp_path) == []


def test_the_command_lists_labels_and_judges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path, "a", 0.8)
    assert main(["review", str(tmp_path), "--label", "no", "a"]) == 0
    assert main(["review", str(tmp_path), "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "no"
    assert main(["review", str(tmp_path), "--suggest"]) == 0
    assert "0.801" in capsys.readouterr().out
    assert main(["review", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="need yes or no"):
        set_labels([], "maybe", ["a"])
    with pytest.raises(ConfigError, match="b: no such clip"):
        set_labels([], "yes", ["b"])


CONFIG = "# mine\n[word.computer]\nthreshold = 0.7 # kept\n"


@pytest.mark.parametrize(
    ("labels", "said", "threshold"),
    [
        ([(0.9, "yes")] * 10 + [(0.72, "no")] * 10, "computer: 0.700 becomes 0.721", 0.721),
        (
            [(0.9, "yes")] * 9 + [(0.72, "no")] * 10,
            "stays at 0.700; fewer than 10 labelled yes",
            0.7,
        ),
        ([(0.9, "yes")] * 10 + [(0.95, "no")] * 10, "10 of 10 that were said would be missed", 0.7),
        ([(0.9, "yes")] * 10 + [(0.6991, "no")] * 10, "no other threshold would be better", 0.7),
    ],
)
def test_a_better_threshold_is_written_into_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: list[tuple[float, str]],
    said: str, threshold: float,
) -> None:  # fmt: skip
    pytest.importorskip("tomlkit", reason="tomlkit is not installed")
    for n, (prob, label) in enumerate(labels):
        clip(tmp_path / "clips", f"c{n}", prob, label)
    config = tmp_path / "w.toml"
    config.write_text(CONFIG)
    assert main(["review", str(tmp_path / "clips"), "--apply", str(config)]) == 0
    assert said in capsys.readouterr().out
    assert config.read_text() == CONFIG.replace("0.7", f"{threshold:g}", 1)


def test_a_word_that_the_configuration_lacks_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tomlkit", reason="tomlkit is not installed")
    for n in range(20):
        clip(tmp_path / "clips", f"c{n}", 0.9 if n % 2 else 0.72, "yes" if n % 2 else "no")
    (tmp_path / "w.toml").write_text("[word.jarvis]\n")
    arguments = ["review", str(tmp_path / "clips"), "--apply", str(tmp_path / "w.toml")]
    assert main(arguments) == 1
    assert "has no [word.computer]" in capsys.readouterr().err
