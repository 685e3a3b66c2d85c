"""Misses counted while a model trains: pieces as the whole, and the rule of the threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wakeword.counting import Utterance
from wakeword.errors import ConfigError
from wakeword_train import validation
from wakeword_train.conditions import parse_condition
from wakeword_train.data.pack_file import DevStream
from wakeword_train.scoring import OTHER_WORDS
from wakeword_train.testset import Recording, TestSet
from wakeword_train.validation import Validation, checker, misses_of

RATE_HZ = 16_000
HOUR = 3_600 * RATE_HZ
STRIDE = 3


def loudness(x: NDArray[np.uint16]) -> NDArray[np.float32]:
    """A model of the loudness of its last 100 frames, told after each step."""
    level = x.mean(axis=2) / 1_000
    total = np.cumsum(level, axis=1)
    total[:, 100:] -= total[:, :-100].copy()
    steps = x.shape[1] // STRIDE
    told: NDArray[np.float32] = np.clip(total[:, STRIDE - 1 :: STRIDE] / 30, 0, 1)
    return told[:, :steps, None].astype(np.float32)


def _sound(frames: int, *, loud_at: int | None = None, seed: int = 0) -> NDArray[np.uint16]:
    x = np.random.default_rng(seed).integers(0, 2, (frames, 40)).astype(np.uint16)
    if loud_at is not None:
        x[loud_at - 30 : loud_at] = 1_000
    return x


def _said(loud: bool) -> tuple[str, NDArray[np.uint16], Utterance]:
    none = np.zeros(0)
    utterance = Utterance(
        probs=none, indices=none.astype(np.int64), word_start=150 * 160, word_end=200 * 160,
        source="studio",
    )  # fmt: skip
    return "yes", _sound(320, loud_at=200 if loud else None), utterance


def test_a_long_sound_in_pieces_is_told_as_the_whole() -> None:
    sounds = [_sound(n, loud_at=n // 2, seed=n) for n in (301, 330, 5_000, 2_400, 7_203)]
    for sound, told in zip(sounds, validation._ask(loudness, sounds, STRIDE), strict=True):
        whole = loudness(sound[None, : len(sound) // STRIDE * STRIDE])[0]
        assert told.shape == whole.shape
        # sums of other lengths, in float32
        np.testing.assert_allclose(told, whole, atol=1e-4)


@pytest.mark.parametrize(
    ("part", "source", "fires", "missed"),
    [
        ("speech", "reader", False, 0.25),
        ("speech", "reader", True, 1.0),  # louder for longer than the word
        (f"{OTHER_WORDS}: no", "studio", True, 1.0),  # by the word's own microphones: held
        (f"{OTHER_WORDS}: no", "elsewhere", True, 0.25),  # measured, not held
        (f"{OTHER_WORDS}: yes_please", "studio", True, 0.25),  # says the word
        ("noise", "street", True, 0.25),
    ],
)
def test_misses_are_counted_where_the_rate_is_held(
    part: str, source: str, fires: bool, missed: float
) -> None:
    loud = _sound(3_000)
    for at in (500, 1_500, 2_500):  # two events may be
        loud[at : at + 100] = 1_000
    streams = (
        DevStream("speech", "reader", 2 * HOUR, _sound(3_000, seed=2)),
        DevStream(part, source, HOUR // 2, loud if fires else _sound(3_000, seed=3)),
    )
    heard = Validation(("yes",), (*(_said(True) for _ in range(3)), _said(False)), streams)
    found = misses_of(loudness, heard, stride=STRIDE, smooth_steps=1, fa_per_hour=0.9)
    assert found == {"yes": missed}


def test_too_little_sound_verifies_nothing() -> None:
    stream = DevStream("speech", "reader", HOUR // 2, _sound(3_000))
    with pytest.raises(ConfigError, match="cannot be verified"):
        misses_of(
            loudness, Validation(("yes",), (_said(True),), (stream,)),
            stride=STRIDE, smooth_steps=1, fa_per_hour=1.0,
        )  # fmt: skip


def _recording(path: Path, seconds: float, label: str = "") -> Recording:
    noise = np.random.default_rng(0).normal(0, 900, round(seconds * RATE_HZ)).astype(np.int16)
    soundfile.write(path, noise, RATE_HZ)
    return Recording(path=path, name=path.name, label=label, source="studio")


def test_recordings_are_heard_once_and_short_ones_choose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = TestSet(
        clips=(
            _recording(tmp_path / "yes.wav", 1, "yes"),
            _recording(tmp_path / "no.wav", 1, "no"),
        ),
        streams=(("speech", _recording(tmp_path / "talk.wav", 36)),),
    )
    given = {"stride": STRIDE, "smooth_steps": 1}
    conditions = [parse_condition("clean"), parse_condition("0dB-pink")]
    assert checker(found, ["maybe"], conditions, (), fa_per_hour=1, **given) is None
    heard = []
    prepare = validation.prepare_validation

    def once(*args: object) -> Validation:
        heard.append(prepare(*args))  # type: ignore[arg-type]  # passed on as it came
        return heard[-1]

    monkeypatch.setattr(validation, "prepare_validation", once)
    often = checker(found, ["yes"], conditions, (), fa_per_hour=100, **given)
    assert often is not None
    assert often(loudness) == often(loudness)
    assert len(heard) == 1
    assert len(heard[0].said) == 2
    rare = checker(found, ["yes"], conditions, (), fa_per_hour=1, **given)
    assert rare is not None
    assert rare(loudness) == 1.0
    assert "cannot be compared" in caplog.text
