"""What the figures of the speaker check are counted with."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.daemon.voice import SIZE, VoiceSpace

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def bench() -> Any:
    before = list(sys.path)
    sys.path.insert(0, str(BENCH))
    try:
        spec = importlib.util.spec_from_file_location("bench_speakers", BENCH / "speakers.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_the_equal_rate_is_where_both_errors_meet(bench: Any) -> None:
    own, others = np.array([1.0, 2, 3, 4]), np.array([-4.0, -3, -2, -1])
    assert bench.equal_rate(own, others)[0] == 0
    rate, level = bench.equal_rate(np.array([0.0, 2, 3, 4]), np.array([-1.0, -2, -3, 1]))
    assert rate == 0.25
    assert 0 < level <= 1
    assert bench.equal_rate(others, own)[0] == 1  # a score with the wrong sign


def test_noise_is_as_far_below_the_word_as_asked(bench: Any) -> None:
    rng = np.random.default_rng(1)
    sound = np.rint(rng.normal(0, 3000, 16_000)).astype(np.int16)
    noise = rng.normal(0, 50, 100_000)
    added = bench.noisy(sound, noise, 10.0, rng).astype(float) - sound
    loud = np.sort(sound.astype(float) ** 2)[-len(sound) // 3 :].mean()
    assert 10 * np.log10(loud / np.mean(added**2)) == pytest.approx(10, abs=0.2)


def test_nobody_is_tested_with_what_enrolled_him_nor_as_his_own_stranger(bench: Any) -> None:
    space = VoiceSpace(np.ones(SIZE), np.eye(SIZE), np.full(SIZE, 9.0), 0.0, "")
    rng = np.random.default_rng(2)
    heard = [
        ("computer", name, centre + rng.normal(0, 1, SIZE))
        for name, centre in (("ann", 0.0), ("bob", 9.0), ("eve", -9.0))
        for _ in range(5)
    ]
    own, others = bench.trials(space, heard, heard, ("computer",))
    assert len(own) == 3 * (5 - bench.ENROLLED)
    assert len(others) == 3 * 2 * 5
    assert own.min() > 0 > others.max()
    few, none = bench.trials(space, heard[:3], heard[:3], ("computer",))
    assert len(few) == len(none) == 0
