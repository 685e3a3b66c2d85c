"""Enrolled voices: what is described, who passes, what a file may hold, what the daemon does."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.test_daemon_config import written
from tests.test_daemon_listener import Bench, demo, plain
from wakeword.cli import main
from wakeword.daemon.config import DaemonConfig, read_config
from wakeword.daemon.service import Service
from wakeword.daemon.settings import WordConfig
from wakeword.daemon.speakers import (
    FEWEST,
    MOST,
    Speakers,
    Voice,
    enrolled,
    read_speakers,
    refused,
    write_speakers,
)
from wakeword.daemon.voice import LOOK_BACK, SIZE, shipped_space, voice_vector
from wakeword.errors import ConfigError

RATE_HZ = 16_000
FIRED = plain()[0][1]  # where "computer" fires in the demonstration


def word(*, pitch: float = 1.0, noise: float = 0.0, gain: float = 1.0, seed: int = 0) -> Any:
    """The word of the demonstration, spoken by a smaller head where ``pitch`` is above 1."""
    sound = demo()[:FIRED].astype(np.float32)
    if pitch != 1:
        sound = soxr.resample(sound, RATE_HZ * pitch, RATE_HZ)
    sound = gain * sound + np.random.default_rng(seed).normal(0, 1, len(sound)) * noise
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def place(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    vector = voice_vector(sound)
    assert vector is not None
    return shipped_space().place(vector)


def voice(pitch: float = 1.0) -> Voice:
    return Voice.of(place(word(pitch=pitch, noise=30, seed=n)) for n in range(5))


def test_a_vector_is_finite_and_the_level_is_not_in_it() -> None:
    loud, quiet = voice_vector(word()), voice_vector(word(gain=0.25))
    assert loud is not None
    assert quiet is not None
    assert loud.shape == (SIZE,)
    assert np.isfinite(loud).all()
    np.testing.assert_allclose(loud, quiet, atol=0.1)  # what rounding to int16 leaves


def test_pitch_is_in_octaves_what_was_changed() -> None:
    low, high = voice_vector(word()), voice_vector(word(pitch=1.25))
    assert low is not None
    assert high is not None
    assert high[-2] - low[-2] == pytest.approx(np.log(1.25), abs=0.05)


def test_only_the_last_seconds_are_looked_at() -> None:
    sound = np.concatenate([np.full(RATE_HZ, 3000, np.int16), np.tile(word(), 2)])
    assert len(sound) > LOOK_BACK
    whole, end = voice_vector(sound), voice_vector(sound[-LOOK_BACK:])
    assert whole is not None
    assert end is not None
    np.testing.assert_array_equal(whole, end)


@pytest.mark.parametrize(
    "sound",
    [np.zeros(0, np.int16), np.zeros(800, np.int16), np.zeros(48_000, np.int16)],
    ids=["nothing", "little", "silence"],
)  # fmt: skip
def test_where_there_is_no_voice_there_is_no_vector(sound: NDArray[np.int16]) -> None:
    assert voice_vector(sound) is None
    own = Speakers("computer", {"ann": voice()})
    assert own.closest(sound) == ("", -np.inf)


@settings(max_examples=50)
@given(st.integers(0, 50_000), st.integers(0, 2**32 - 1), st.sampled_from([1, 100, 32767]))
def test_any_sound_gives_a_finite_vector_or_none(size: int, seed: int, peak: int) -> None:
    sound = np.random.default_rng(seed).integers(-peak - 1, peak + 1, size).astype(np.int16)
    vector = voice_vector(sound)
    assert vector is None or np.isfinite(vector).all()


def test_the_same_voice_scores_above_another_and_the_closest_is_named() -> None:
    own = Speakers("computer", {"ann": voice(), "bob": voice(0.8)})
    threshold = own.space.threshold
    for pitch, name in ((1.0, "ann"), (0.8, "bob")):
        found, score = own.closest(word(pitch=pitch, noise=40, seed=99))
        assert found == name
        assert score > threshold
    _, score = own.closest(word(pitch=1.3, noise=40, seed=99))
    assert score < threshold
    places = [place(word(noise=30, seed=n)) for n in range(4)]
    assert refused(places, own.space, threshold) == 0
    assert refused([*places, place(word(pitch=1.3))], own.space, threshold) >= 1


# ---- files


def test_a_file_is_read_as_it_was_written_and_is_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "voices.json"
    write_speakers(path, Speakers("computer", {"ann": voice()}))
    assert path.stat().st_mode & 0o077 == 0
    found = read_speakers(path, "computer")
    assert list(found.voices) == ["ann"]
    assert found.voices["ann"].clips == 5
    np.testing.assert_allclose(found.voices["ann"].place, voice().place, rtol=1e-5)


def changed(path: Path, **changes: Any) -> Path:
    write_speakers(path, Speakers("computer", {"ann": voice()}))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "wakeword speakers 0"}, "no file of voices of this version"),
        ({"space": "0" * 12}, "enrolled with another version of wakeword"),
        ({"word": "jarvis"}, "voices that said 'jarvis', not 'computer'"),
        ({"word": None}, "voices that said None"),
        ({"speakers": {}}, "need 1 to 50 voices"),
        ({"speakers": {str(n): {} for n in range(MOST + 1)}}, "need 1 to 50 voices"),
        ({"speakers": {"ann": {"clips": 0, "place": [0.0] * SIZE}}}, "'ann' is damaged"),
        ({"speakers": {"ann": {"clips": 3, "place": [0.0] * 3}}}, "'ann' is damaged"),
        ({"speakers": {"ann": {"clips": 3, "place": [float("nan")] * SIZE}}}, "'ann' is damaged"),
        ({"speakers": {"ann": [1]}}, "'ann' is damaged"),
    ],
)
def test_a_wrong_file_is_refused_and_says_what_to_do(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_speakers(changed(tmp_path / "v.json", **changes), "computer")
    assert "enrol" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"1" * 2_000_000])
def test_what_is_no_file_of_voices_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"v\.json"):
        read_speakers(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        read_speakers(tmp_path / "none")
    with pytest.raises(ConfigError, match="let this user read it"):
        read_speakers(tmp_path)


# ---- the command


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A folder of recordings, in one of which nothing is said."""
    folder = tmp_path / "takes"
    folder.mkdir()
    for n in range(4):
        soundfile.write(folder / f"{n}.wav", word(noise=20, seed=n), RATE_HZ)
    soundfile.write(folder / "none.wav", np.zeros(RATE_HZ, np.int16), RATE_HZ)
    return folder


def test_voices_are_enrolled_listed_and_removed(
    tmp_path: Path, takes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "voices.json")
    assert main(["speakers", path, "--word", "computer", "--add", "ann", str(takes)]) == 0
    out = capsys.readouterr().out
    assert "heard in 4 of 5 recordings; measured against the others of them 0 would" in out
    assert "ann: 4 clips of 'computer'" in out
    clips = [str(takes / f"{n}.wav") for n in range(3)]
    assert main(["speakers", path, "--add", "bob", *clips, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert listed == {"word": "computer", "speakers": {"ann": 4, "bob": 3}}
    assert main(["speakers", path, "--remove", "ann"]) == 0
    assert capsys.readouterr().out == "bob: 3 clips of 'computer'\n"


def test_of_a_reviewed_folder_those_labelled_yes_are_taken(
    tmp_path: Path, takes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(4):
        note = {
            "word": "computer", "prob": 0.9, "threshold": 0.7, "kind": "heard", "at": str(n),
            "label": "yes" if n else "no",
        }  # fmt: skip
        (takes / f"{n}.json").write_text(json.dumps(note))
    path = str(tmp_path / "voices.json")
    assert main(["speakers", path, "--word", "computer", "--add", "ann", str(takes)]) == 0
    assert "ann: 3 clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--add", "ann", "TAKES"], "new; name the word with --word"),
        (["--add", "ann", "--word", "computer"], "name recordings as well"),
        (["--add", "ann", "TAKES/0.wav", "--word", "computer"], "in 1 of 1 recordings; need 3"),
        (["--add", "ann", "TAKES", "--word", "alexa", "--model", "computer"], "not 'alexa'"),
        (["--add", "x" * 65, "TAKES", "--word", "computer"], "need 1 to 64 letters"),
        ([], "there is no such file"),
        (["--remove", "ann"], "there is no such file"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line_and_writes_nothing(
    tmp_path: Path, takes: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    path = tmp_path / "voices.json"
    filled = [a.replace("TAKES", str(takes)) for a in arguments]
    assert main(["speakers", str(path), *filled]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not path.exists()


def test_the_last_voice_and_a_missing_one_are_not_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "voices.json"
    write_speakers(path, Speakers("computer", {"ann": voice()}))
    assert main(["speakers", str(path), "--remove", "bob"]) == 1
    assert main(["speakers", str(path), "--remove", "ann"]) == 1
    assert "the last voice" in capsys.readouterr().err
    assert list(read_speakers(path).voices) == ["ann"]


# ---- the daemon


def heard_with(voices: dict[str, Speakers], **settings: Any) -> Bench:
    bench = Bench()
    words = {
        name: WordConfig(
            **(settings if name in voices else {}),
            **({"speakers_file": "x"} if name in voices else {}),
        )
        for name in bench.config.words
    }
    config = DaemonConfig(words=words, actions=bench.config.actions)
    bench.listener.switch(config, None, None, voices)
    bench.hear(demo(), 480)
    bench.listener.finish()
    return bench


def test_an_enrolled_voice_wakes_the_word_and_others_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mine = heard_with({"computer": Speakers("computer", {"ann": voice()})})
    assert mine.heard() == plain()
    assert not mine.stats.strangers
    assert ", by ann" in caplog.text
    others = heard_with({"computer": Speakers("computer", {"bob": voice(1.4)})})
    assert others.heard() == [found for found in plain() if found[0] != "computer"]
    assert others.stats.strangers["computer"] == 1
    assert others.stats.detections["computer"] == 1
    assert "no voice that is enrolled, bob" in caplog.text


def test_the_score_that_is_needed_can_be_set() -> None:
    own = {"computer": Speakers("computer", {"ann": voice()})}
    assert "computer" not in [w for w, _ in heard_with(own, speaker_score=100.0).heard()]
    other = {"computer": Speakers("computer", {"bob": voice(1.4)})}
    assert heard_with(other, speaker_score=-100.0).heard() == plain()


def test_a_file_that_is_missing_ends_the_start_and_refuses_a_reload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[audio]\nsource = "stdin"\n[word.computer]\nspeakers_file = "voices.json"\n'
    path = written(tmp_path, text)
    assert main(["daemon", "--check", "--config", str(path)]) == 1
    assert "enrol anew: wakeword speakers" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"voices\.json: there is no such file"):
        Service(path, source=iter(())).run()
    write_speakers(tmp_path / "voices.json", Speakers("computer", {"ann": voice()}))
    assert main(["daemon", "--check", "--config", str(path)]) == 0
    assert "computer: only ann" in capsys.readouterr().out
    service = Service(path, source=iter(()))
    changed(tmp_path / "voices.json", space="0" * 12)
    with pytest.raises(ConfigError, match="enrolled with another version"):
        service._reload(lambda _: read_config(path))
    assert enrolled({"computer": WordConfig()}) == {}
    assert FEWEST >= 3


def test_a_score_without_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="speaker_score without speakers_file"):
        WordConfig(speaker_score=1.0)
    with pytest.raises(ConfigError, match="need -100 to 100"):
        WordConfig(speakers_file="x", speaker_score=101.0)
