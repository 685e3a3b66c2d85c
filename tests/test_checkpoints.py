"""Of the averages of a run, the one that missed the fewest is kept."""

from __future__ import annotations

import numpy as np
import pytest

from wakeword_train.checkpoints import Checkpoints, Model, asking

pytest.importorskip("tensorflow")


def _set(model: object, value: float) -> None:
    weights = [np.full_like(w, value) for w in model.get_weights()]  # type: ignore[attr-defined]
    model.set_weights(weights)  # type: ignore[attr-defined]


def test_the_latest_of_the_best_averages_is_kept_also_after_a_break() -> None:
    import keras

    model = keras.Sequential([keras.Input((None, 40)), keras.layers.Dense(2, name="words")])
    missed = iter([0.3, 0.1, 0.2, 0.1, 0.4])
    asked = []

    def check(told: Model) -> float:
        # Of frames of 256 each word gets the sum of its 40 weights, and its offset.
        asked.append(float(told(np.full((1, 1, 40), 256, np.uint16))[0, 0, 0]) / 41)
        return next(missed)

    def begin() -> Checkpoints:
        return Checkpoints(model, asking(model, 1, check))

    kept = begin()
    for value in (1.0, 2.0, 3.0):
        _set(model, value)
        kept.add()
        kept.look()
    state = kept.state()
    kept = begin()
    kept.restore(state)
    for value in (4.0, 5.0):
        _set(model, value)
        kept.add()
        kept.look()
    assert asked == pytest.approx([1, 1.5, 2, 2.5, 3])  # averages, the model's own left alone
    assert kept.fewest == 0.1
    assert kept.weights is not None
    assert {float(np.unique(w)[0]) for w in kept.weights} == {2.5}
    np.testing.assert_array_equal(np.unique(model.get_weights()[0]), [5.0])


def test_without_a_check_the_last_average_is_kept() -> None:
    import keras

    model = keras.Sequential([keras.Input((None, 40)), keras.layers.Dense(1)])
    kept = Checkpoints(model, asking(model, 1, None))
    assert kept.weights is None
    for value in (1.0, 2.0):
        _set(model, value)
        kept.add()
        assert kept.look() is None
    assert kept.weights is not None
    assert float(np.unique(kept.weights[0])[0]) == 1.5
