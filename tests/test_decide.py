"""The decision: smoothing, threshold, hysteresis, refractory time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.decide import Decider, DecisionConfig, events
from wakeword.errors import ConfigError

PROBS = np.random.default_rng(3).random(300).astype(np.float32)
INDICES = 800 + 480 * np.arange(300)
CONFIG = DecisionConfig(threshold=0.6, release=0.5, smooth_steps=3, refractory_ms=100)


def fired(probs: list[float], config: DecisionConfig, step: int = 480) -> list[int]:
    """Numbers of the steps that fire."""
    found = events(np.array(probs), step * np.arange(len(probs)), config)
    return [index // step for index, _ in found]


def one(**changes: float) -> DecisionConfig:
    """Settings without smoothing or refractory time."""
    values = {"threshold": 0.5, "smooth_steps": 1, "refractory_ms": 0} | changes
    return DecisionConfig(**values)  # type: ignore[arg-type]


def reference(config: DecisionConfig) -> list[tuple[int, float]]:
    """The rule once more, written for whole arrays."""
    padded = np.concatenate((np.zeros(config.smooth_steps - 1), PROBS.astype(np.float64)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.smooth_steps)
    found: list[tuple[int, float]] = []
    armed = True
    for average, index in zip(windows.mean(axis=1), INDICES.tolist(), strict=True):
        armed = armed or average < config.release_level
        late = not found or index - found[-1][0] >= 16 * config.refractory_ms
        if armed and late and average >= config.threshold:
            found.append((index, average))
            armed = False
    return found


@pytest.mark.parametrize("smooth_steps", [1, 2, 3, 7])
@pytest.mark.parametrize("refractory_ms", [0, 100, 1000])
def test_events_equal_the_rule_written_for_arrays(smooth_steps: int, refractory_ms: int) -> None:
    config = DecisionConfig(
        threshold=0.6, release=0.45, smooth_steps=smooth_steps, refractory_ms=refractory_ms
    )
    expected = reference(config)
    assert expected  # the oracle has something to say
    got = events(PROBS, INDICES, config)
    assert [i for i, _ in got] == [i for i, _ in expected]
    # Two ways to add at most 7 numbers in float64.
    np.testing.assert_allclose([p for _, p in got], [p for _, p in expected], rtol=1e-15)


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 300), max_size=10))
def test_any_chunking_equals_one_batch(cuts: list[int]) -> None:
    decider = Decider(CONFIG)
    found = []
    for probs, indices in zip(
        np.split(PROBS, sorted(cuts)), np.split(INDICES, sorted(cuts)), strict=True
    ):
        found += decider.feed(probs, indices)
    assert found == events(PROBS, INDICES, CONFIG)


def test_reset_equals_a_new_object() -> None:
    decider = Decider(CONFIG)
    decider.feed(np.ones(10), np.arange(10))
    decider.reset()
    assert decider.prob == 0
    assert decider.feed(PROBS, INDICES) == events(PROBS, INDICES, CONFIG)


def test_fires_once_while_the_score_stays_up() -> None:
    assert fired([0.9] * 50, one()) == [0]


def test_fires_at_the_threshold_itself() -> None:
    assert fired([0.49, 0.5], one()) == [1]


def test_needs_the_release_to_fire_again() -> None:
    assert fired([0.9, 0.45, 0.9], one()) == [0]
    assert fired([0.9, 0.39, 0.9], one()) == [0, 2]
    assert fired([0.9, 0.45, 0.9], one(release=0.5)) == [0, 2]


def test_release_is_four_fifths_of_the_threshold_unless_given() -> None:
    assert one().release_level == pytest.approx(0.4)
    assert one(release=0.1).release_level == 0.1


def test_waits_the_refractory_time_to_the_sample() -> None:
    probs = np.array([0.9, 0.0, 0.9])
    config = one(refractory_ms=100)
    assert len(events(probs, np.array([0, 10, 1599]), config)) == 1
    assert len(events(probs, np.array([0, 10, 1600]), config)) == 2


def test_word_still_up_when_the_refractory_time_ends_fires_then() -> None:
    assert fired([0.9, 0, 0.9, 0.9, 0.9], one(refractory_ms=90)) == [0, 3]


def test_missing_steps_before_the_start_count_as_zero() -> None:
    assert fired([1, 1, 1], one(smooth_steps=4, threshold=0.75)) == [2]


def test_strict_waits_for_a_full_window_and_for_more_than_the_threshold() -> None:
    config = one(smooth_steps=2, threshold=0.5)
    steps = np.arange(3)
    assert Decider(config, strict=True).feed(np.array([1, 0.5, 0.5]), steps) == [(1, 0.75)]
    assert Decider(config, strict=True).feed(np.array([0.5, 0.5, 0.5]), steps) == []
    waiting = Decider(config, strict=True)
    waiting.push(1.0, 0)
    assert waiting.prob == 0


def test_the_average_does_not_drift() -> None:
    decider = Decider(one(smooth_steps=3))
    for step in range(20_000):
        decider.push(0.1 if step % 2 else 1e-9, step)
    for step in range(3):
        decider.push(0.0, 20_000 + step)
    assert decider.prob == 0.0


def test_with_threshold_keeps_the_ratio_of_a_given_release() -> None:
    assert one(release=0.25).with_threshold(0.8).release == pytest.approx(0.4)
    assert one().with_threshold(0.8).release is None
    assert one(release=0.5).with_threshold(0.1).release == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0},
        {"threshold": 1.01},
        {"threshold": float("nan")},
        {"threshold": True},
        {"threshold": "0.5"},
        {"release": 0.6},
        {"release": -0.1},
        {"release": float("nan")},
        {"smooth_steps": 0},
        {"smooth_steps": 2.0},
        {"smooth_steps": 1001},
        {"refractory_ms": -1},
        {"refractory_ms": 60_001},
        {"refractory_ms": None},
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes: dict[str, float]) -> None:
    (name,) = changes
    with pytest.raises(ConfigError, match=f"{name}=.*need"):
        one(**changes)


def test_threshold_override_out_of_range_is_refused() -> None:
    for bad in (0, 2, float("nan")):
        with pytest.raises(ConfigError, match="threshold"):
            one(release=0.3).with_threshold(bad)


def test_shapes_must_agree() -> None:
    with pytest.raises(ConfigError, match="same shape"):
        Decider(CONFIG).feed(np.zeros(3), np.zeros(2, np.int64))
    with pytest.raises(ConfigError, match="same shape"):
        Decider(CONFIG).feed(np.zeros((3, 1)), np.zeros((3, 1), np.int64))
