from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wakeword.cells import GRU, LSTM, SimpleGRU, SimpleRNN, sigmoid
from wakeword.errors import ConfigError

FEATURES, UNITS, STEPS, BATCH = 5, 7, 20, 3


def draw(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape).astype(np.float32)


def unroll(cell: Any, x: Any) -> Any:
    """x (B, T, F) -> y (B, T, H)."""
    state = cell.initial_state(len(x))
    ys = []
    for t in range(x.shape[1]):
        y, state = cell.step(x[:, t], state)
        ys.append(y)
    return np.stack(ys, axis=1)


def cells(rng: np.random.Generator) -> dict[str, Any]:
    def sized(gates: int) -> dict[str, Any]:
        return {
            "kernel": draw(rng, FEATURES, gates * UNITS),
            "recurrent": draw(rng, UNITS, gates * UNITS),
            "bias": draw(rng, gates * UNITS),
        }

    return {
        "SimpleRNN": SimpleRNN(**sized(1)),
        "SimpleGRU": SimpleGRU(**sized(2)),
        "GRU": GRU(**sized(3)),
        "GRU reset_after": GRU(**{**sized(3), "bias": draw(rng, 2, 3 * UNITS)}),
        "LSTM": LSTM(**sized(4)),
        "LSTM peephole": LSTM(**sized(4), peephole=draw(rng, 3, UNITS)),
    }


ALL = list(cells(np.random.default_rng(0)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "GRU reset_after", "LSTM"])
def test_cell_equals_keras(name: str) -> None:
    keras = pytest.importorskip("tensorflow").keras
    rng = np.random.default_rng(1)
    cell = cells(rng)[name]
    options = {"reset_after": cell.reset_after} if name.startswith("GRU") else {}
    layer = getattr(keras.layers, name.split()[0])(UNITS, return_sequences=True, **options)
    x = draw(rng, BATCH, STEPS, FEATURES)
    layer.build(x.shape)
    layer.set_weights([cell.kernel, cell.recurrent, cell.bias])
    # float32 sums of 12 products in another order, carried through 20 steps
    np.testing.assert_allclose(unroll(cell, x), layer(x).numpy(), atol=1e-5)


def logistic(v: float) -> float:
    return float(1 / (1 + np.exp(-v)))


def test_simple_gru_equals_its_equations_written_out_unit_by_unit() -> None:
    rng = np.random.default_rng(2)
    cell = cells(rng)["SimpleGRU"]
    x, h = draw(rng, FEATURES), draw(rng, UNITS)
    expected = []
    for j in range(UNITS):

        def total(column: int) -> float:
            from_x = sum(float(x[k]) * float(cell.kernel[k, column]) for k in range(FEATURES))
            from_h = sum(float(h[k]) * float(cell.recurrent[k, column]) for k in range(UNITS))
            return from_x + from_h + float(cell.bias[column])

        z = logistic(total(j))
        expected.append(z * np.tanh(total(UNITS + j)) + (1 - z) * float(h[j]))
    y, state = cell.step(x, h)
    np.testing.assert_allclose(y, expected, rtol=1e-5)  # float32 against float64
    assert state is y


def test_peephole_lstm_equals_its_equations_written_out_unit_by_unit() -> None:
    rng = np.random.default_rng(3)
    cell = cells(rng)["LSTM peephole"]
    x, h, c = draw(rng, FEATURES), draw(rng, UNITS), draw(rng, UNITS)
    new_h, new_c = [], []
    for j in range(UNITS):
        total = []
        for gate in range(4):
            column = gate * UNITS + j
            from_x = sum(float(x[k]) * float(cell.kernel[k, column]) for k in range(FEATURES))
            from_h = sum(float(h[k]) * float(cell.recurrent[k, column]) for k in range(UNITS))
            total.append(from_x + from_h + float(cell.bias[column]))
        p, before = cell.peephole[:, j], float(c[j])
        enter, forget = logistic(total[0] + p[0] * before), logistic(total[1] + p[1] * before)
        after = forget * before + enter * np.tanh(total[2])
        new_c.append(after)
        new_h.append(logistic(total[3] + p[2] * after) * np.tanh(after))
    y, (got_h, got_c) = cell.step(x, (h, c))
    np.testing.assert_allclose(got_c, new_c, rtol=2e-5)  # float32 against float64
    np.testing.assert_allclose(got_h, new_h, rtol=2e-5)
    assert y is got_h


def test_zero_peepholes_change_nothing() -> None:
    rng = np.random.default_rng(4)
    plain = cells(rng)["LSTM"]
    peeping = LSTM(
        kernel=plain.kernel,
        recurrent=plain.recurrent,
        bias=plain.bias,
        peephole=np.zeros((3, UNITS), np.float32),
    )
    x = draw(rng, BATCH, STEPS, FEATURES)
    np.testing.assert_array_equal(unroll(plain, x), unroll(peeping, x))


@pytest.mark.parametrize("name", ALL)
def test_a_batch_equals_its_rows_one_by_one(name: str) -> None:
    rng = np.random.default_rng(5)
    cell, x = cells(rng)[name], draw(rng, BATCH, STEPS, FEATURES)
    together = unroll(cell, x)
    for row in range(BATCH):
        state = cell.initial_state()
        for t in range(STEPS):
            y, state = cell.step(x[row, t], state)
            # matrix and vector products add in another order
            np.testing.assert_allclose(y, together[row, t], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_huge_inputs_stay_finite_and_step_leaves_its_arguments_alone(name: str) -> None:
    rng = np.random.default_rng(6)
    cell = cells(rng)[name]
    x = draw(rng, FEATURES) * np.float32(1e30)
    state = cell.initial_state()
    copy = np.array(state)
    with np.errstate(all="raise", under="ignore"):
        y, new = cell.step(x, state)
        y, _ = cell.step(x, new)
    assert np.all(np.isfinite(y))
    assert np.all(np.abs(y) <= 1)
    np.testing.assert_array_equal(np.array(state), copy)
    assert y.dtype == np.float32


def test_sigmoid_equals_its_definition_and_saturates_quietly() -> None:
    x = np.linspace(-20, 20, 401)
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-13)
    with np.errstate(all="raise", under="ignore"):
        ends = sigmoid(np.array([-np.inf, -1e30, 1e30, np.inf], np.float32))
    assert ends.tolist() == [0, 0, 1, 1]
    assert ends.dtype == np.float32


@pytest.mark.parametrize("kind", [SimpleRNN, SimpleGRU, GRU, LSTM])
@pytest.mark.parametrize("field", ["kernel", "recurrent", "bias"])
def test_weights_that_do_not_fit_are_refused(kind: Any, field: str) -> None:
    gates = {SimpleRNN: 1, SimpleGRU: 2, GRU: 3, LSTM: 4}[kind]
    arrays = {
        "kernel": np.zeros((FEATURES, gates * UNITS)),
        "recurrent": np.zeros((UNITS, gates * UNITS)),
        "bias": np.zeros(gates * UNITS),
    }
    kind(**arrays)
    arrays[field] = arrays[field][..., 1:]
    with pytest.raises(ConfigError, match="need"):
        kind(**arrays)
