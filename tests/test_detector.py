"""The detector: chunks, causality, reset, what it refuses, and how models are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import wakeword.bundle
from wakeword import Detection, Detector
from wakeword.bundle import read_bundle, write_bundle
from wakeword.decide import events
from wakeword.errors import AudioFormatError, BundleError, ConfigError
from wakeword.frontend import features
from wakeword.model import open_model

DATA = Path(__file__).parent / "data"
TINY = DATA / "tiny_step.json"


def bursts(seconds: int, seed: int = 4) -> NDArray[np.int16]:
    """Noise that changes its loudness and its colour twice a second."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(2 * seconds):
        width = int(rng.integers(1, 65))
        noise = rng.standard_normal(8_000 + width - 1)
        smooth = np.convolve(noise, np.ones(width) / np.sqrt(width), "valid")
        parts.append(smooth * 10 ** rng.uniform(1, 4))
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


def square(n: int) -> NDArray[np.int16]:
    return np.where(np.arange(n) // 8 % 2, 32767, -32768).astype(np.int16)


AUDIO = bursts(8)[:123_457]
DETECTOR = Detector.load(TINY)
HEARD = DETECTOR.feed(AUDIO)
SCORES, INDICES = Detector.load(TINY).scores(AUDIO)


@pytest.fixture
def two_strides(tmp_path: Path) -> Path:
    """The same graph called once a frame in place of every third: another stride."""
    tiny = read_bundle(TINY)
    return write_bundle(
        tmp_path / "every_frame",
        model=tiny.model_bytes,
        words=["ja", "nein"],
        stride=2,
        kernel=6,
        inputs=tiny.inputs,
        outputs=tiny.outputs,
        decision={"ja": tiny.decision["yes"], "nein": tiny.decision["no"]},
    ).path


def test_detections_are_the_decisions_on_the_model_s_scores() -> None:
    bundle = read_bundle(TINY)
    model = open_model(bundle)
    frames = features(AUDIO)
    count = len(frames) // 3
    probs, _ = model.run(frames[: 3 * count], model.initial_state())
    # step s ends with frame 3 s + 2, whose window ends 480 samples after it began
    indices = 160 * (3 * np.arange(count) + 2) + 480
    np.testing.assert_array_equal(SCORES, probs)
    np.testing.assert_array_equal(INDICES, indices)
    assert (SCORES.dtype, INDICES.dtype) == (np.float32, np.int64)
    expected = [
        Detection(word, index, prob)
        for column, word in enumerate(bundle.words)
        for index, prob in events(probs[:, column], indices, bundle.decision[word])
    ]
    assert {d.word for d in HEARD} == {"yes", "no"}
    assert sorted(HEARD, key=lambda d: (d.word, d.sample_index)) == sorted(
        expected, key=lambda d: (d.word, d.sample_index)
    )
    assert [d.sample_index for d in HEARD] == sorted(d.sample_index for d in HEARD)
    assert DETECTOR.words == ("yes", "no")


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=12))
def test_any_chunking_gives_the_same_detections(cuts: list[int]) -> None:
    DETECTOR.reset()
    heard = [d for chunk in np.split(AUDIO, sorted(cuts)) for d in DETECTOR.feed(chunk)]
    assert heard == HEARD


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=12))
def test_any_chunking_gives_the_same_scores(cuts: list[int]) -> None:
    DETECTOR.reset()
    parts = [DETECTOR.scores(chunk) for chunk in np.split(AUDIO, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate([s for s, _ in parts]), SCORES)
    np.testing.assert_array_equal(np.concatenate([i for _, i in parts]), INDICES)


@pytest.mark.parametrize("size", [1, 160, 1280])
def test_fixed_chunks_give_the_same_detections(size: int) -> None:
    audio = AUDIO[:40_000]
    whole = Detector.load(TINY).feed(audio)
    assert whole
    detector = Detector.load(TINY)
    chunks = [audio[i : i + size] for i in range(0, len(audio), size)]
    assert [d for chunk in chunks for d in detector.feed(chunk)] == whole


@pytest.mark.parametrize("t", [8_000, 50_000, 100_001])
def test_noise_after_t_changes_nothing_up_to_t(t: int) -> None:
    changed = AUDIO.copy()
    changed[t:] = square(len(AUDIO) - t)
    heard = Detector.load(TINY).feed(changed)
    assert [d for d in heard if d.sample_index <= t] == [d for d in HEARD if d.sample_index <= t]
    scores, indices = Detector.load(TINY).scores(changed)
    np.testing.assert_array_equal(scores[indices <= t], SCORES[t >= INDICES])
    assert not np.array_equal(scores[indices > t], SCORES[t < INDICES])


@pytest.mark.parametrize("runtime", [None, "numpy"])  # None: the TFLite runtime there is
def test_reset_equals_a_new_object_after_garbage(runtime: str | None) -> None:
    audio = AUDIO[:60_000]
    fresh = Detector.load(TINY, runtime=runtime)
    used = Detector.load(TINY, runtime=runtime)
    used.feed(square(7_777))
    used.finish()
    used.scores(square(123))
    used.reset()
    np.testing.assert_array_equal(used.probs, np.zeros(2, np.float32))
    assert used.feed(audio) == fresh.feed(audio)
    np.testing.assert_array_equal(used.probs, fresh.probs)
    used.reset()
    np.testing.assert_array_equal(
        used.scores(audio)[0], Detector.load(TINY, runtime=runtime).scores(audio)[0]
    )


@pytest.mark.parametrize(
    "samples",
    [np.zeros(32_000, np.int16), np.full(32_000, -32_768, np.int16), square(32_000)],
    ids=["silence", "DC", "clipping"],
)
def test_extremes_give_finite_probabilities(samples: NDArray[np.int16]) -> None:
    detector = Detector.load(TINY)
    scores, _ = detector.scores(samples)
    assert len(scores) == 66
    assert scores.min() >= 0
    assert scores.max() <= 1
    for detection in Detector.load(TINY).feed(samples):
        assert 0 <= detection.prob <= 1


def test_empty_feed_gives_nothing_and_changes_nothing() -> None:
    detector = Detector.load(TINY)
    empty = np.zeros(0, np.int16)
    assert detector.feed(empty) == []
    scores, indices = detector.scores(empty)
    assert (scores.shape, indices.shape) == ((0, 2), (0,))
    assert detector.feed(AUDIO[:50_000]) + detector.feed(empty) == [
        d for d in HEARD if d.sample_index <= 50_000
    ]


def test_finish_hears_half_a_second_of_silence() -> None:
    cut = HEARD[3].sample_index - 800  # the score was on its way up
    padded = np.concatenate((AUDIO[:cut], np.zeros(8_000, np.int16)))
    expected = Detector.load(TINY).feed(padded)
    detector = Detector.load(TINY)
    assert detector.feed(AUDIO[:cut]) + detector.finish() == expected


def test_wrong_audio_is_refused_and_the_stream_stays() -> None:
    detector = Detector.load(TINY)
    first = detector.feed(AUDIO[:60_000])
    for wrong in (AUDIO / 32_768, AUDIO.astype(np.int32), AUDIO[None], AUDIO.tobytes()):
        with pytest.raises(AudioFormatError, match="need"):
            detector.feed(wrong)  # type: ignore[arg-type]
    with pytest.raises(AudioFormatError, match=r"float64: need int16.*wakeword.audio.to_int16"):
        detector.scores(AUDIO / 32_768)  # type: ignore[arg-type]
    assert first + detector.feed(AUDIO[60_000:]) == HEARD


def test_probs_is_the_latest_smoothed_score() -> None:
    detector = Detector.load(TINY)
    np.testing.assert_array_equal(detector.probs, [0, 0])
    detector.feed(AUDIO)
    smooth = [SCORES[-3:, 0].mean(dtype=np.float64), SCORES[-2:, 1].mean(dtype=np.float64)]
    assert detector.probs.dtype == np.float32
    np.testing.assert_allclose(detector.probs, smooth, rtol=1e-6)  # float32
    advanced = Detector.load(TINY)
    advanced.scores(AUDIO)
    np.testing.assert_array_equal(advanced.probs, detector.probs)


def test_thresholds_override_those_of_the_bundle() -> None:
    deaf = Detector.load(TINY, thresholds={"yes": 1.0})
    assert {d.word for d in deaf.feed(AUDIO)} == {"no"}
    keen = Detector.load(TINY, thresholds={"yes": 0.05, "no": 0.6})
    first = keen.feed(AUDIO)[0]
    assert (first.word, first.prob < 0.8) == ("yes", True)


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"maybe": 0.5}, r"thresholds for \['maybe'\]: the words here are \['yes', 'no'\]"),
        ({"yes": 1.5}, r"threshold=1\.5: need"),
        ({"no": float("nan")}, "threshold=nan: need"),
    ],
)
def test_wrong_thresholds_are_refused(thresholds: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Detector.load(TINY, thresholds=thresholds)


def test_two_strides_share_one_front_end(two_strides: Path) -> None:
    both = Detector.load(TINY, two_strides)
    assert both.words == ("yes", "no", "ja", "nein")
    scores, indices = both.scores(AUDIO)
    other, other_indices = Detector.load(two_strides).scores(AUDIO)
    np.testing.assert_array_equal(indices, np.union1d(INDICES, other_indices))
    np.testing.assert_array_equal(other_indices[:3], [640, 960, 1280])
    for columns, alone, at in (
        (slice(0, 2), SCORES, INDICES),
        (slice(2, 4), other, other_indices),
    ):
        # before a model's first score 0, then its latest
        filled = np.concatenate((np.zeros((1, 2), np.float32), alone))
        np.testing.assert_array_equal(
            scores[:, columns], filled[np.searchsorted(at, indices, side="right")]
        )
    both.reset()
    parts = [both.scores(chunk) for chunk in np.split(AUDIO, [1, 500, 1_000, 2_222, 99_999])]
    np.testing.assert_array_equal(np.concatenate([s for s, _ in parts]), scores)
    np.testing.assert_array_equal(np.concatenate([i for _, i in parts]), indices)
    both.reset()
    heard = both.feed(AUDIO)
    assert [d for d in heard if d.word in ("yes", "no")] == HEARD
    assert [d for d in heard if d.word in ("ja", "nein")] == Detector.load(two_strides).feed(AUDIO)
    assert [d.sample_index for d in heard] == sorted(d.sample_index for d in heard)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships one bundle, tiny_step."""
    (tmp_path / "models").mkdir()
    for suffix in (".json", ".tflite"):
        shutil.copy(DATA / f"tiny_step{suffix}", tmp_path / "models")
    monkeypatch.setattr(wakeword.bundle, "__file__", str(tmp_path / "bundle.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models" / "tiny_step.json"


def test_word_stem_and_path_are_found(shelf: Path) -> None:
    assert Detector.load("no").words == ("no",)
    assert Detector.load("no").feed(AUDIO) == [d for d in HEARD if d.word == "no"]
    scores, _ = Detector.load("no").scores(AUDIO)
    np.testing.assert_array_equal(scores, SCORES[:, 1:])
    assert Detector.load("tiny_step").words == ("yes", "no")
    assert Detector.load(str(shelf)).words == ("yes", "no")
    assert Detector.load(shelf.with_suffix(".tflite")).words == ("yes", "no")


def test_words_of_one_bundle_share_its_model(shelf: Path) -> None:
    detector = Detector.load("no", "yes")
    assert detector.words == ("no", "yes")
    assert len(detector._ears) == 1
    heard = detector.feed(AUDIO)
    assert sorted(heard, key=lambda d: (d.sample_index, d.word)) == sorted(
        HEARD, key=lambda d: (d.sample_index, d.word)
    )
    np.testing.assert_array_equal(Detector.load("no", "yes").scores(AUDIO)[0], SCORES[:, ::-1])
    assert Detector.load("yes", shelf).words == ("yes", "no")


def test_unknown_word_lists_what_there_is(shelf: Path) -> None:
    with pytest.raises(ConfigError, match=r"'alexia': .*there are: no, tiny_step, yes"):
        Detector.load("alexia")


def test_nothing_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model given"):
        Detector.load()
    with pytest.raises(BundleError, match="no such file"):
        Detector.load(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="runtime='abacus'"):
        Detector.load(TINY, runtime="abacus")


def test_one_word_from_two_models_is_refused() -> None:
    with pytest.raises(ConfigError, match="'yes': two models report it"):
        Detector.load(TINY, DATA / "tiny_step_float.json")


def test_bundle_and_words_are_checked_by_the_constructor() -> None:
    bundle = read_bundle(TINY)
    assert Detector([(bundle, None)]).words == ("yes", "no")
    with pytest.raises(ConfigError, match=r"'alexa': .* has only \['yes', 'no'\]"):
        Detector([(bundle, ["alexa"])])
