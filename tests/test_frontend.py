"""The front end: frames, chunks, causality, extremes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError
from wakeword.frontend import BINS, HOP, WINDOW, Frontend, check_samples, features

pymicro_features = pytest.importorskip("pymicro_features")

RNG = np.random.default_rng(5)
AUDIO = np.clip(RNG.standard_normal(12_345) * 3000, -32768, 32767).astype(np.int16)
WHOLE = features(AUDIO)


def square(n: int) -> NDArray[np.int16]:
    return np.where(np.arange(n) // 8 % 2, 32767, -32768).astype(np.int16)


@pytest.mark.parametrize("n", [0, 1, 159, 160, 479, 480, 481, 639, 640, 16_000])
def test_frame_count_follows_from_the_samples(n: int) -> None:
    frames = features(np.zeros(n, np.int16))
    assert frames.shape == (max(0, n // HOP - 2), BINS)
    assert frames.dtype == np.uint16


def test_values_are_the_integers_behind_the_library_s_floats() -> None:
    native = pymicro_features.MicroFrontend()
    rows = []
    for start in range(0, len(AUDIO) - HOP + 1, HOP):
        out = native.process_samples(AUDIO[start : start + HOP].tobytes())
        assert out.samples_read == HOP
        if out.features:
            rows.append(out.features)
    # 10 / 256, the scale of their feature, is exact in binary, so equality is asked for.
    np.testing.assert_array_equal(np.array(rows), WHOLE * (10 / 256))


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=12))
def test_any_chunking_equals_one_batch(cuts: list[int]) -> None:
    frontend = Frontend()
    parts = [frontend.feed(chunk) for chunk in np.split(AUDIO, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), WHOLE)


@pytest.mark.parametrize("t", [480, 481, 4_000, 8_159, 8_160])
def test_noise_after_t_changes_no_frame_that_ends_by_t(t: int) -> None:
    changed = AUDIO.copy()
    changed[t:] = square(len(AUDIO) - t)
    frames = features(changed)
    done = max(0, (t - WINDOW) // HOP + 1)
    np.testing.assert_array_equal(frames[:done], WHOLE[:done])
    assert not np.array_equal(frames[done:], WHOLE[done:])  # the test's own noise is heard


def test_reset_equals_a_new_object_after_garbage() -> None:
    frontend = Frontend()
    frontend.feed(square(5_001))
    frontend.finish()
    frontend.feed(square(77))
    frontend.reset()
    np.testing.assert_array_equal(frontend.feed(AUDIO), WHOLE)


def test_two_streams_do_not_mix() -> None:
    one, two = Frontend(), Frontend()
    parts = []
    for chunk in np.split(AUDIO, 15):
        parts.append(one.feed(chunk))
        two.feed(square(321))
    np.testing.assert_array_equal(np.concatenate(parts), WHOLE)


@pytest.mark.parametrize(
    ("n", "more"), [(479, 1), (480, 0), (800, 0), (801, 1), (959, 1), (100, 0)]
)
def test_finish_completes_the_last_hop_with_silence(n: int, more: int) -> None:
    frontend = Frontend()
    frontend.feed(AUDIO[:n])
    padded = np.concatenate((AUDIO[:n], np.zeros(-n % HOP, np.int16)))
    last = frontend.finish()
    assert last.shape == (more, BINS)
    np.testing.assert_array_equal(last, features(padded)[max(0, n // HOP - 2) :])


@pytest.mark.parametrize(
    "samples",
    [np.zeros(16_000, np.int16), np.full(16_000, 32767, np.int16), square(16_000)],
    ids=["silence", "DC", "clipping"],
)
def test_extremes_stay_in_range(samples: NDArray[np.int16]) -> None:
    frames = features(samples)
    # 672 is the largest seen for a full-scale square wave; the log of a 32-bit energy ends soon.
    assert frames.max() <= 1023


def test_silence_is_all_zero() -> None:
    assert not features(np.zeros(16_000, np.int16)).any()


def test_empty_feed_gives_nothing_and_changes_nothing() -> None:
    frontend = Frontend()
    frontend.feed(AUDIO[:1000])
    assert frontend.feed(np.zeros(0, np.int16)).shape == (0, BINS)
    np.testing.assert_array_equal(frontend.feed(AUDIO[1000:]), WHOLE[4:])


def test_strided_and_read_only_arrays_are_heard_alike() -> None:
    stereo = np.stack([AUDIO, AUDIO[::-1]], axis=1)
    left = stereo[:, 0]
    left.flags.writeable = False
    np.testing.assert_array_equal(features(left), WHOLE)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (AUDIO.astype(np.float32) / 32768, ("float32", "int16", "to_int16")),
        (AUDIO.astype(np.int32), ("int32", "to_int16")),
        (AUDIO.astype(">i2"), (">i2", "int16")),
        (AUDIO[None], ("(1, 12345)", "(N,)", "[:, 0]")),
        (AUDIO.tobytes(), ("bytes", "frombuffer")),
        ([0, 1], ("list", "numpy array")),
    ],
)
def test_wrong_audio_is_refused_with_value_rule_and_remedy(
    samples: object, said: tuple[str, ...]
) -> None:
    with pytest.raises(AudioFormatError) as caught:
        Frontend().feed(samples)  # type: ignore[arg-type]
    assert all(part in str(caught.value) for part in said)
    with pytest.raises(AudioFormatError):
        check_samples(samples)  # type: ignore[arg-type]


def test_refused_audio_leaves_the_stream_as_it_was() -> None:
    frontend = Frontend()
    first = frontend.feed(AUDIO[:1000])
    with pytest.raises(AudioFormatError):
        frontend.feed(AUDIO.astype(np.float64))  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate((first, frontend.feed(AUDIO[1000:]))), WHOLE)
