from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.decode import collapse, ctc_loss
from wakeword.errors import ConfigError, WakewordError

SEEDS = st.integers(0, 10_000)


def all_paths(logits: NDArray[np.float64], labels: list[int], blank: int) -> float:
    """The loss by its definition."""
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    paths = itertools.product(range(logits.shape[1]), repeat=len(logits))
    kept = [
        sum(log_probs[t, k] for t, k in enumerate(path))
        for path in paths
        if collapse(path, blank).tolist() == labels
    ]
    return -float(np.logaddexp.reduce(kept))


def fits(labels: list[int], frames: int) -> bool:
    return frames >= len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


@settings(max_examples=40)
@given(seed=SEEDS, blank=st.integers(0, 2), data=st.data())
def test_the_loss_is_the_sum_over_all_paths(seed: int, blank: int, data: st.DataObject) -> None:
    symbols = st.sampled_from([k for k in range(3) if k != blank])
    labels = data.draw(st.lists(symbols, max_size=3))
    frames = data.draw(st.integers(1, 6).filter(lambda n: fits(labels, n)))
    logits = np.random.default_rng(seed).normal(size=(frames, 3)) * 3
    assert np.isclose(ctc_loss(logits, labels, blank)[0], all_paths(logits, labels, blank))


@settings(max_examples=20)
@given(seed=SEEDS, labels=st.lists(st.integers(1, 3), max_size=4))
def test_the_gradient_is_that_of_differences(seed: int, labels: list[int]) -> None:
    logits = np.random.default_rng(seed).normal(size=(8, 4))
    _, gradient = ctc_loss(logits, labels)
    for place in np.ndindex(*logits.shape):
        nudge = np.zeros_like(logits)
        nudge[place] = 1e-5
        slope = (ctc_loss(logits + nudge, labels)[0] - ctc_loss(logits - nudge, labels)[0]) / 2e-5
        assert abs(slope - gradient[place]) < 1e-8  # the error of the difference, about 1e-10
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)  # a softmax is in front


@pytest.mark.slow
def test_loss_and_gradient_equal_tensorflows() -> None:
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    for blank in (0, 4):
        logits = rng.normal(size=(3, 40, 5)).astype(np.float32) * 3
        symbols = [k for k in range(5) if k != blank]
        labels = rng.choice(symbols, size=(3, 9)).astype(np.int32)
        lengths, frames = np.array([9, 5, 1]), np.array([40, 33, 12])
        with tf.GradientTape() as tape:
            given_ = tf.constant(logits)
            tape.watch(given_)
            theirs = tf.nn.ctc_loss(
                labels, given_, lengths, frames, logits_time_major=False, blank_index=blank
            )
        slopes = tape.gradient(theirs, given_).numpy()
        for i in range(3):
            loss, gradient = ctc_loss(logits[i, : frames[i]], labels[i, : lengths[i]], blank)
            assert abs(loss - float(theirs[i])) <= 1e-4
            np.testing.assert_allclose(gradient, slopes[i, : frames[i]], atol=1e-4)


def test_long_and_sharp_input_neither_over_nor_underflows() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2000, 30)) * 100
    loss, gradient = ctc_loss(logits, rng.integers(1, 30, 300))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("frames", "labels", "message"),
    [
        (2, [1, 2, 1], "2 frames for 3 labels: need at least 3"),
        (3, [1, 1, 1], "need at least 5"),
        (3, [3], "need 0 to 2"),
        (3, [0], "the blank"),
        (3, [-1], "need 0 to 2"),
    ],
)
def test_labels_that_cannot_be_are_named(frames: int, labels: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ctc_loss(np.zeros((frames, 3)), labels)


@pytest.mark.parametrize("logits", [np.zeros(3), np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_logits_that_are_none_are_named(logits: NDArray[np.float64]) -> None:
    with pytest.raises(WakewordError, match="logits of shape"):
        ctc_loss(logits, [])


def test_oracle_counts_paths() -> None:
    assert np.isclose(all_paths(np.zeros((2, 2)), [1], 0), -np.log(3 / 4))
    assert fits([1, 1], 3)
    assert not fits([1, 1], 2)
