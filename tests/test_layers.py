"""Layers: a sequence equals its steps, the numpy cells, Keras, and the step that is exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.errors import ConfigError

keras = pytest.importorskip("keras", reason="layers need the extra `train`")
tf = pytest.importorskip("tensorflow")

from wakeword_train.layers import (  # noqa: E402 - after the skip
    GRU,
    LSTM,
    AdditiveAttention,
    Bidirectional,
    SimpleGRU,
    SimpleRNN,
    Stack,
    remember,
)

Floats = NDArray[np.float32]
BATCH, STEPS, FEATURES, UNITS = 3, 9, 5, 7
# float32 sums of up to 12 products in another order, through 9 steps: at most 4e-7 measured
CLOSE = 1e-6

LAYERS: dict[str, Callable[[], Any]] = {
    "rnn": lambda: SimpleRNN(UNITS),
    "simplified gru": lambda: SimpleGRU(UNITS),
    "gru": lambda: GRU(UNITS),
    "gru, reset before": lambda: GRU(UNITS, reset_after=False),
    "lstm": lambda: LSTM(UNITS),
    "lstm, hard gates": lambda: LSTM(UNITS, hard=True),
    "lstm, peepholes": lambda: LSTM(UNITS, peepholes=True),
    "stack": lambda: Stack([LSTM(UNITS, peepholes=True), GRU(UNITS)]),
}
EVERY = pytest.mark.parametrize("name", LAYERS)


def shaken(layer: Any, seed: int = 1) -> Any:
    """Build and draw all weights anew: a zero bias or peephole would hide an error."""
    layer.build((None, None, FEATURES))
    layer.built = True
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.6, weight.shape).astype(np.float32))
    return layer


def inputs(seed: int = 2) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, (BATCH, STEPS, FEATURES)).astype(np.float32)


def mask() -> NDArray[np.bool_]:
    """Lengths 9, 4 and 1, and a hole."""
    there = np.arange(STEPS) < np.array([9, 4, 1])[:, None]
    there[0, 3] = False
    return there


def numpy_cells(layer: Any) -> list[Any]:
    return layer.cells() if isinstance(layer, Stack) else [layer.cell()]


def by_cells(layer: Any, x: Floats, there: NDArray[np.bool_] | None = None) -> Floats:
    """Run the numpy cells over sequences, holding y and the state where nothing is there."""
    for cell in numpy_cells(layer):
        state, y, rows = cell.initial_state(len(x)), np.zeros((len(x), UNITS), np.float32), []
        for t in range(x.shape[1]):
            new_y, new = cell.step(x[:, t], state)
            if there is not None:
                now = there[:, t, None]
                new_y = np.where(now, new_y, y)
                new = tf.nest.map_structure(lambda a, b, n=now: np.where(n, a, b), new, state)
            y, state = new_y, new
            rows.append(y)
        x = np.stack(rows, axis=1)
    return x


@EVERY
def test_a_sequence_equals_its_steps(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), inputs()
    whole, last = layer(x, return_state=True)
    state, rows = layer.initial_state(BATCH), []
    for t in range(STEPS):
        y, state = layer.step(tf.constant(x[:, t]), state)
        rows.append(y)
    assert np.std(whole) > 0.1
    np.testing.assert_allclose(np.stack(rows, 1), whole, atol=CLOSE)
    for ours, theirs in zip(tf.nest.flatten(state), tf.nest.flatten(last), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=CLOSE)
    assert layer.streamable


@EVERY
@pytest.mark.parametrize("masked", [False, True])
def test_a_sequence_equals_the_numpy_cells(name: str, masked: bool) -> None:
    layer, x = shaken(LAYERS[name]()), inputs()
    there = mask() if masked else None
    np.testing.assert_allclose(layer(x, mask=there), by_cells(layer, x, there), atol=CLOSE)


@EVERY
def test_the_step_that_is_exported_equals_the_step(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), tf.constant(inputs()[:, 0])
    _, state = layer.step(x, layer.initial_state(BATCH))
    for ours, theirs in zip(
        tf.nest.flatten(layer.plain_step(x, state)),
        tf.nest.flatten(layer.step(x, state)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=CLOSE)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: SimpleRNN(UNITS), lambda: keras.layers.SimpleRNN(UNITS, return_sequences=True)),
        (lambda: GRU(UNITS), lambda: keras.layers.GRU(UNITS, return_sequences=True)),
        (
            lambda: GRU(UNITS, reset_after=False),
            lambda: keras.layers.GRU(UNITS, return_sequences=True, reset_after=False),
        ),
        (lambda: LSTM(UNITS), lambda: keras.layers.LSTM(UNITS, return_sequences=True)),
    ],
    ids=["rnn", "gru", "gru, reset before", "lstm"],
)
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_keras_with_its_weights(ours: Any, theirs: Any, masked: bool) -> None:
    layer, keras_layer, x = shaken(ours()), theirs(), inputs()
    keras_layer.build(x.shape)
    keras_layer.set_weights(layer.get_weights())
    there = mask() if masked else None
    np.testing.assert_allclose(layer(x, mask=there), keras_layer(x, mask=there), atol=CLOSE)


@EVERY
def test_what_the_mask_hides_changes_nothing(name: str) -> None:
    layer, x, there = shaken(LAYERS[name]()), inputs(), mask()
    spoilt = np.where(there[:, :, None], x, np.float32(9.0))
    np.testing.assert_array_equal(layer(spoilt, mask=there), layer(x, mask=there))


@EVERY
def test_a_sequence_can_be_cut_anywhere(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), inputs()
    whole = np.asarray(layer(x))
    for cut in range(1, STEPS):
        first, state = layer(x[:, :cut], return_state=True)
        rest = layer(x[:, cut:], initial_state=state)
        np.testing.assert_allclose(np.concatenate([first, rest], 1), whole, atol=CLOSE)


@EVERY
def test_gradients_flow_to_every_weight(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), inputs()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(x, mask=mask())))
    for weight, gradient in zip(
        layer.trainable_weights, tape.gradient(loss, layer.trainable_weights), strict=True
    ):
        assert np.abs(gradient).max() > 0, weight.path


def test_a_new_lstm_remembers() -> None:
    layer = LSTM(2)
    layer.build((None, None, 1))
    assert np.asarray(layer.bias).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("layer", "kept"),
    [
        (SimpleGRU(500), lambda bias: -bias[:500]),
        (GRU(500), lambda bias: bias[0, :500]),
        (GRU(500, reset_after=False), lambda bias: bias[:500]),
        (LSTM(500), lambda bias: bias[500:1000]),
    ],
    ids=["simplified gru", "gru", "gru, reset before", "lstm"],
)
def test_a_layer_can_begin_with_long_memories(layer: Any, kept: Any) -> None:
    layer.build((None, None, 1))
    remember(layer, 100, np.random.default_rng(0))
    # A gate that keeps f of the state each step forgets within 1 / (1 - f) steps.
    steps = 1 + np.exp(kept(np.asarray(layer.bias)))
    assert 2 <= steps.min() < 4
    assert 96 < steps.max() <= 100
    if isinstance(layer, LSTM):
        np.testing.assert_array_equal(layer.bias[:500], -layer.bias[500:1000])
        assert np.abs(layer.bias[1000:]).max() == 0
    with pytest.raises(ConfigError, match="steps=2"):
        remember(layer, 2, np.random.default_rng(0))


def both_ways() -> Any:
    return shaken(Bidirectional(GRU(UNITS), LSTM(UNITS)))


def test_two_directions_equal_two_layers_by_hand() -> None:
    layer, x, there = both_ways(), inputs(), mask()
    y = np.asarray(layer(x, mask=there))
    assert y.shape == (BATCH, STEPS, 2 * UNITS)
    np.testing.assert_allclose(y[..., :UNITS], layer.forward(x, mask=there), atol=CLOSE)
    for row in range(BATCH):
        valid = np.flatnonzero(there[row])
        alone = layer.backward(x[row : row + 1, valid[::-1]])
        np.testing.assert_allclose(y[row, valid, UNITS:], alone[0, ::-1], atol=CLOSE)


def test_two_directions_equal_keras() -> None:
    layer, x, there = shaken(Bidirectional(GRU(UNITS), GRU(UNITS))), inputs(), mask()
    there[0, 3] = True  # Keras, too, holds its output in a hole, but turns it round with the rest
    theirs = keras.layers.Bidirectional(keras.layers.GRU(UNITS, return_sequences=True))
    theirs.build(x.shape)
    theirs.set_weights(layer.get_weights())
    ours, keras_y = np.asarray(layer(x, mask=there)), np.asarray(theirs(x, mask=there))
    np.testing.assert_allclose(ours[there], keras_y[there], atol=CLOSE)


def test_two_directions_do_not_stream() -> None:
    layer = both_ways()
    assert not layer.streamable
    assert not Stack([layer, GRU(UNITS)]).streamable
    with pytest.raises(ConfigError, match="has no step"):
        layer.step(tf.zeros((1, FEATURES)), layer.initial_state(1))


def test_the_state_after_two_directions_is_that_of_both() -> None:
    layer, x = both_ways(), inputs()
    _, (ahead, behind) = layer(x, return_state=True)
    np.testing.assert_allclose(ahead, layer.forward(x)[:, -1], atol=CLOSE)
    np.testing.assert_allclose(behind[0], layer.backward(x, reverse=True)[:, 0], atol=CLOSE)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_numpy_and_its_equations(masked: bool) -> None:
    rng = np.random.default_rng(5)
    query = rng.normal(0, 1, (BATCH, 4)).astype(np.float32)
    memory = inputs()
    there = mask() if masked else None
    layer = AdditiveAttention(6)
    layer(query, memory)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 1, weight.shape).astype(np.float32))
    context, weights = layer(query, memory, there)
    mine, shares = layer.cell()(query, memory, there)
    np.testing.assert_allclose(mine, context, atol=CLOSE)
    np.testing.assert_allclose(shares, weights, atol=CLOSE)
    np.testing.assert_allclose(np.sum(weights, 1), 1, atol=CLOSE)
    cell = layer.cell()
    for row in range(BATCH):  # one energy at a time
        energies = np.array(
            [
                cell.energy @ np.tanh(query[row] @ cell.of_query + m @ cell.of_memory + cell.bias)
                for m in memory[row]
            ]
        )
        shares = np.exp(energies) * (1 if there is None else there[row])
        shares /= shares.sum()
        np.testing.assert_allclose(weights[row], shares, atol=CLOSE)
        np.testing.assert_allclose(context[row], shares @ memory[row], atol=CLOSE)


def test_a_place_that_is_masked_gets_no_attention_whatever_it_holds() -> None:
    layer, x, there = AdditiveAttention(6), inputs(), mask()
    query = x[:, 0]
    context, weights = layer(query, x, there)
    assert np.asarray(weights)[~there].max() == 0
    spoilt = np.where(there[:, :, None], x, np.float32(7.0))
    np.testing.assert_array_equal(layer(query, spoilt, there)[0], context)


@pytest.mark.parametrize("make", [GRU, LSTM, SimpleRNN, SimpleGRU, AdditiveAttention])
def test_sizes_below_one_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError, match="units=0"):
        make(0)


def test_a_stack_needs_layers_and_a_share_to_drop() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Stack([])
    with pytest.raises(ConfigError, match=r"dropout=1\.0"):
        Stack([GRU(2)], dropout=1.0)
