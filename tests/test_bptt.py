"""Backpropagation through time by hand: equal to TensorFlow's and to finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.cells import GRU, LSTM, SimpleGRU, SimpleRNN, hard_sigmoid
from wakeword.errors import ConfigError
from wakeword_train.bptt import (
    backward,
    clip_by_global_norm,
    clip_by_value,
    forward,
    global_norm,
    reach,
)

Array = NDArray[Any]
STEPS, BATCH, FEATURES, UNITS = 6, 3, 4, 5


def drawn(make: Callable[..., Any], seed: int = 0, dtype: Any = np.float64, **more: Any) -> Any:
    """A cell with random weights, biases and peepholes."""
    rng = np.random.default_rng(seed)
    gates = {SimpleRNN: 1, SimpleGRU: 2, GRU: 3, LSTM: 4}[make]  # type: ignore[index]
    after = more.pop("reset_after", False)

    def draw(*shape: int) -> Array:
        return rng.normal(0, 0.6, shape).astype(dtype)

    bias = draw(2, gates * UNITS) if after else draw(gates * UNITS)
    if more.pop("peepholes", False):
        more["peephole"] = draw(3, UNITS)
    return make(
        kernel=draw(FEATURES, gates * UNITS),
        recurrent=draw(UNITS, gates * UNITS),
        bias=bias,
        **more,
    )


CELLS: dict[str, Callable[..., Any]] = {
    "rnn": lambda **k: drawn(SimpleRNN, **k),
    "simplified gru": lambda **k: drawn(SimpleGRU, **k),
    "gru": lambda **k: drawn(GRU, reset_after=True, **k),
    "gru, reset before": lambda **k: drawn(GRU, **k),
    "lstm": lambda **k: drawn(LSTM, **k),
    "lstm, peepholes": lambda **k: drawn(LSTM, peepholes=True, **k),
}
EVERY = pytest.mark.parametrize("name", CELLS)


def inputs(dtype: Any = np.float64) -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(STEPS, BATCH, FEATURES)).astype(dtype)
    return x, rng.normal(size=(STEPS, BATCH, UNITS)).astype(dtype)


def loss(cell: Any, x: Array, weight: Array) -> float:
    """A sum over all outputs, by the cell's own steps: not by what is tested."""
    state, total = cell.initial_state(BATCH), 0.0
    for x_t, w_t in zip(x, weight, strict=True):
        y, state = cell.step(x_t, state)
        total += float((y * w_t).sum())
    return total


@EVERY
def test_it_equals_finite_differences(name: str) -> None:
    cell, (x, weight) = CELLS[name](), inputs()
    found = backward(forward(cell, x), weight)
    step = 1e-6
    for field, gradient in found.weights.items():
        array = getattr(cell, field)
        for place in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                sides.append(loss(replace(cell, **{field: moved}), x, weight))
            # float64: steps of 1e-6 leave errors of about 1e-9
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / 2 / step, abs=1e-6)
    for place in [(0, 0, 0), (2, 1, 3), (5, 2, 1)]:
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            sides.append(loss(cell, moved, weight))
        assert found.x[place] == pytest.approx((sides[0] - sides[1]) / 2 / step, abs=1e-6)


@EVERY
def test_it_equals_the_gradients_of_tensorflow(name: str) -> None:
    tf = pytest.importorskip("tensorflow", reason="the reference needs the extra `train`")
    from wakeword_train import layers

    layer = {
        "rnn": lambda: layers.SimpleRNN(UNITS),
        "simplified gru": lambda: layers.SimpleGRU(UNITS),
        "gru": lambda: layers.GRU(UNITS),
        "gru, reset before": lambda: layers.GRU(UNITS, reset_after=False),
        "lstm": lambda: layers.LSTM(UNITS),
        "lstm, peepholes": lambda: layers.LSTM(UNITS, peepholes=True),
    }[name]()
    cell, (x, weight) = CELLS[name](dtype=np.float32), inputs(np.float32)
    found = backward(forward(cell, x), weight)
    layer.build((None, None, FEATURES))
    layer.built = True
    layer.set_weights([getattr(cell, field) for field in found.weights])
    turned = tf.constant(x.transpose(1, 0, 2))
    with tf.GradientTape() as tape:
        tape.watch(turned)
        value = tf.reduce_sum(layer(turned) * weight.transpose(1, 0, 2))
    *of_weights, of_x = tape.gradient(value, [*layer.trainable_weights, turned])
    # float32, sums of 18 products of order 1: 2e-6 measured
    for ours, theirs in zip(found.weights.values(), of_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(found.x, np.transpose(of_x, (1, 0, 2)), atol=1e-5)


@EVERY
def test_the_outputs_are_the_cells(name: str) -> None:
    cell, (x, _) = CELLS[name](), inputs()
    state, rows = cell.initial_state(BATCH), []
    for x_t in x:
        y, state = cell.step(x_t, state)
        rows.append(y)
    np.testing.assert_allclose(forward(cell, x).y, np.stack(rows), atol=1e-12)


@EVERY
def test_the_gradient_of_the_first_state_is_that_of_moving_it(name: str) -> None:
    cell, (x, weight) = CELLS[name](), inputs()
    start = cell.initial_state(BATCH)
    parts = list(start) if isinstance(start, tuple) else [start]
    states = backward(forward(cell, x), weight).states[0]
    for which in range(len(parts)):
        sides = []
        for sign in (1, -1):
            moved = [p.copy() for p in parts]
            moved[which][1, 2] += sign * 1e-6
            state = tuple(moved) if isinstance(start, tuple) else moved[0]
            sides.append(float((forward(cell, x, state).y * weight).sum()))
        slope = (sides[0] - sides[1]) / 2e-6
        assert states[1, which * UNITS + 2] == pytest.approx(slope, abs=1e-6)


def test_clipping_keeps_small_gradients_and_bounds_large_ones() -> None:
    rng = np.random.default_rng(1)
    gradients = {"a": rng.normal(size=(4, 4)), "b": rng.normal(size=3)}
    norm = global_norm(gradients)
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in gradients.values())))
    for same in (clip_by_global_norm(gradients, 2 * norm), clip_by_value(gradients, 100.0)):
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(same[name], gradient)
    short = clip_by_global_norm(gradients, norm / 3)
    assert global_norm(short) == pytest.approx(norm / 3)
    np.testing.assert_allclose(short["a"] * 3, gradients["a"])  # the same direction
    assert max(np.abs(g).max() for g in clip_by_value(gradients, 0.5).values()) == 0.5
    for clip in (clip_by_global_norm, clip_by_value):
        with pytest.raises(ConfigError, match="limit=0"):
            clip(gradients, 0.0)


def test_clipping_equals_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(2)
    gradients = {"a": rng.normal(size=(4, 4)), "b": rng.normal(size=3)}
    theirs, _ = tf.clip_by_global_norm(list(gradients.values()), 0.7)
    ours = clip_by_global_norm(gradients, 0.7)
    for one, other in zip(ours.values(), theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_gates_carry_a_gradient_further_than_a_plain_layer() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 8, FEATURES))
    plain = reach(CELLS["rnn"](), x, np.random.default_rng(4))
    lstm = CELLS["lstm"]()
    bias = lstm.bias.copy()
    bias[UNITS : 2 * UNITS] = 5  # an open forget gate
    gated = reach(replace(lstm, bias=bias), x, np.random.default_rng(4))
    assert plain.shape == gated.shape == (61,)
    assert plain[0] == gated[0] == 1
    assert plain[60] < 1e-3 * gated[60]


def test_the_picture_has_a_line_for_each_cell(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="drawing needs the extra `plot`")
    from wakeword_train.sequence.reach_plot import plot_reach

    norms = {"rnn": np.exp(-np.arange(9.0)), "lstm": np.ones(9)}
    plot_reach(norms, tmp_path / "new" / "both.png")
    plot_reach({"rnn": norms["rnn"]}, tmp_path / "one.png")
    both, one = ((tmp_path / n).read_bytes() for n in ("new/both.png", "one.png"))
    assert both[:4] == one[:4] == b"\x89PNG"
    assert both != one


def test_wrong_shapes_and_other_gates_are_refused() -> None:
    cell, (x, weight) = CELLS["lstm"](), inputs()
    with pytest.raises(ConfigError, match="need \\(T, B, F\\)"):
        forward(cell, x[0])
    with pytest.raises(ConfigError, match="need that of the outputs"):
        backward(forward(cell, x), weight[1:])
    with pytest.raises(ConfigError, match="other gates"):
        forward(replace(cell, gate=hard_sigmoid), x)
    with pytest.raises(ConfigError, match="another activation"):
        forward(replace(CELLS["rnn"](), activation=np.abs), x)
