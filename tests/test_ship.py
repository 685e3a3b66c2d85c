"""The last stages of a bundle: its ledger, its thresholds, and what was measured at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wakeword.bundle import Bundle, read_bundle
from wakeword.decide import DecisionConfig
from wakeword.detector import Detector
from wakeword.errors import BundleError, ConfigError
from wakeword.metrics import Stream, Utterance
from wakeword_train.conditions import parse_condition
from wakeword_train.data.manifest import Clip
from wakeword_train.scoring import Scored, score
from wakeword_train.ship import CALIBRATE_ON, MEASURE_ON, calibrate, ledger, measure, rewrite
from wakeword_train.testset import Recording, TestSet

TINY = Path(__file__).parent / "data" / "tiny_step.json"


def clip(file: str, *, kind: str = "wake", label: str = "yes", dur_s: float = 1.8,
         licence: str = "CC0-1.0", source: str = "voices/a.wav") -> Clip:  # fmt: skip
    return Clip(file, 0.0, dur_s, kind, label, "someone", licence, source)


def test_the_ledger_has_a_row_for_each_collection_licence_and_use() -> None:
    clips = [
        clip("1.opus", source="voices/1.wav"),
        clip("2.opus", source="voices/2.wav", label="no"),
        clip("3.opus", source="voices/3.wav", licence="CC-BY-4.0"),
        clip("4.opus", source="voices/4.wav"),
        clip("5.opus", source="reader", kind="speech", label="book", dur_s=5_400),
        clip("6.opus", source="voices/6.wav"),
    ]
    parts = {"1.opus": "train", "2.opus": "train", "3.opus": "train", "4.opus": "test"}
    parts |= {"5.opus": "dev"}  # and 6.opus in none
    rows = ledger(clips, parts, {})
    assert rows == [
        {"name": "reader", "source": "book", "licence": "CC0-1.0", "clips": 1, "hours": 1.5,
         "used_for": "choosing the threshold"},
        {"name": "voices", "source": "yes", "licence": "CC0-1.0", "clips": 1, "hours": 0.001,
         "used_for": "testing"},
        {"name": "voices", "source": "yes", "licence": "CC-BY-4.0", "clips": 1, "hours": 0.001,
         "used_for": "training"},
        {"name": "voices", "source": "no, yes", "licence": "CC0-1.0", "clips": 2, "hours": 0.001,
         "used_for": "training"},
    ]  # fmt: skip


def test_the_ledger_does_not_depend_on_the_order_of_the_clips() -> None:
    clips = [clip(f"{n}", source=f"set {n % 3}/x", label=f"word {n}") for n in range(12)]
    parts = {c.file: ("train", "dev")[n % 2] for n, c in enumerate(clips)}
    assert ledger(clips[::-1], parts, {}) == ledger(clips, parts, {})


def test_items_of_one_stream_count_one_by_one() -> None:
    items = [clip("long.opus", kind="speech", label="book", dur_s=60, source="reader")] * 30
    (row,) = ledger(items, {"long.opus": "train"}, {})
    assert (row["clips"], row["hours"]) == (30, 0.5)


def test_only_what_training_used_is_said_to_be_used() -> None:
    clips = [clip("room", kind="rir"), clip("song", kind="music"), clip("own", licence="unstated")]
    rows = ledger(clips, dict.fromkeys(("room", "song", "own"), "train"), {})
    assert [row["clips"] for row in rows] == [1]  # the room


def test_a_source_with_many_words_names_four_and_counts_the_rest() -> None:
    clips = [clip(word, label=word) for word in "fbdcae"]
    (row,) = ledger(clips, dict.fromkeys("abcdef", "train"), {})
    assert row["source"] == "a, b, c, d, 2 more"


def test_synthetic_speech_has_rows_of_its_own() -> None:
    rows = ledger([], {}, {"words": (40, 0.01), "talk": (7, 0.02)})
    assert [row["name"] for row in rows] == ["synthetic speech: words", "synthetic speech: talk"]
    assert [row["clips"] for row in rows] == [40, 7]
    assert {row["used_for"] for row in rows} == {"training"}
    assert {row["licence"] for row in rows} == {"Apache-2.0"}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(TINY)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> TestSet:
    """Two clips of each word, 20 s of noise as a negative, and a room."""
    soundfile = pytest.importorskip("soundfile")
    folder, rng = tmp_path_factory.mktemp("heard"), np.random.default_rng(6)

    def write(name: str, seconds: float, label: str = "") -> Recording:
        path = folder / f"{name}.wav"
        soundfile.write(path, rng.normal(0, 0.05, round(16_000 * seconds)), 16_000)
        return Recording(path=path, name=path.name, label=label, source="made")

    clips = [write(f"{word}_{n}", 1, word) for word in ("yes", "no") for n in range(2)]
    noise = write("noise", 20)
    return TestSet(
        clips=tuple(clips), streams=(("noise", noise),), noises=(noise,),
        rirs=(write("room", 0.1),), talks=(noise,),
    )  # fmt: skip


def hear(bundle: Bundle, found: TestSet, *names: str) -> Scored:
    return score(Detector([(bundle, None)]), found, [parse_condition(name) for name in names])


def test_a_rate_that_the_hours_cannot_verify_is_refused(bundle: Bundle, heard: TestSet) -> None:
    # 20 s of noise and 2 s of the other word
    with pytest.raises(ConfigError, match=r"0\.5 false alarms per hour cannot be verified"):
        calibrate(bundle, hear(bundle, heard, "clean"), 0.5)


def test_calibration_chooses_thresholds_and_keeps_the_rest(bundle: Bundle, heard: TestSet) -> None:
    chosen = calibrate(bundle, hear(bundle, heard, *CALIBRATE_ON), 1e5)
    assert list(chosen) == ["yes", "no"]
    for word, config in chosen.items():
        was = bundle.decision[word]
        assert 0 < config.threshold < 1
        assert config.threshold == round(config.threshold, 3)
        assert config.smooth_steps == was.smooth_steps
        assert config.refractory_ms == was.refractory_ms


def test_a_word_that_speech_sounds_like_is_heard_all_the_same_with_a_warning(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    top = 255 / 256  # of an int8 model
    steps = 480 * np.arange(1, 101)
    peak = np.where((steps > 24_000) & (steps < 34_000), top, 0.0)
    said = Utterance(probs=peak, indices=steps, word_start=16_000, word_end=24_000)
    hour = 16_000 * 3_600
    speech = [
        Stream(probs=peak, indices=steps, samples=hour, part="speech") for _ in range(3)
    ]  # three false alarms in three hours, as sure as the word
    heard = Scored({word: [said] for word in bundle.words}, dict.fromkeys(bundle.words, speech))
    chosen = calibrate(bundle, heard, 0.5)
    assert all(0 < config.threshold <= top for config in chosen.values())
    assert "no threshold at which it is heard holds 0.5 false alarms per hour" in caplog.text


def test_what_was_measured_is_stated_at_the_bundles_own_thresholds(
    bundle: Bundle, heard: TestSet
) -> None:
    pytest.importorskip("scipy", reason="rooms need the extra `train`")
    points = measure(bundle, hear(bundle, heard, *MEASURE_ON))
    assert list(points) == ["yes", "no"]
    for word, rows in points.items():
        by_set = {row["set"]: row for row in rows}
        same_words = "test, clean, words, same recordings"
        assert list(by_set)[: len(MEASURE_ON)] == [f"test, {name}" for name in MEASURE_ON]
        assert set(list(by_set)[len(MEASURE_ON) :]) == {"test, clean, noise", same_words}
        assert {row["threshold"] for row in rows} == {bundle.decision[word].threshold}
        assert {row["clips"] for row in rows} == {2}
        whole, noise, words = rows[0], by_set["test, clean, noise"], by_set[same_words]
        # 20 s of noise, and the two seconds of the other word
        assert [noise["hours"], words["hours"]] == pytest.approx([20 / 3600, 2 / 3600])
        assert whole["hours"] == pytest.approx(22 / 3600)
        assert whole["false_alarms"] == noise["false_alarms"] + words["false_alarms"]


def test_a_rewritten_bundle_keeps_its_model_and_says_what_was_measured(
    bundle: Bundle, tmp_path: Path
) -> None:
    decision = {word: DecisionConfig(threshold=0.7, release=0.5) for word in bundle.words}
    rows = ledger([clip("1")], {"1": "train"}, {"words": (3, 0.001)})
    written = rewrite(
        bundle, decision=decision, operating_points={}, training={"seed": 1}, rows=rows,
        path=tmp_path / "again", force=False,
    )  # fmt: skip
    assert written.model_bytes == bundle.model_bytes
    assert written.inputs == bundle.inputs
    assert dict(written.decision) == decision
    assert list(written.ledger) == rows
    with pytest.raises(ConfigError, match=r"no decision for \['no'\]"):
        rewrite(
            bundle, decision={"yes": decision["yes"]}, operating_points={}, training={}, rows=[],
            path=tmp_path / "other", force=False,
        )  # fmt: skip
    assert not list(tmp_path.glob("other*"))
    with pytest.raises(BundleError, match="exists"):
        rewrite(
            bundle, decision=decision, operating_points={}, training={}, rows=[],
            path=tmp_path / "again", force=False,
        )  # fmt: skip
