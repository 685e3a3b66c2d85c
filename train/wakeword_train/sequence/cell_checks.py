"""How far the forms of a recurrent layer are apart: Keras, numpy, gradients, TFLite steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wakeword.step_graph import StepGraph
from wakeword_train.bptt import backward, forward
from wakeword_train.layers import CELLS, Recurrent, Stack
from wakeword_train.sequence.export import follow, stack_graphs
from wakeword_train.step_export import Scheme

__all__ = ["bptt_error", "difference_error", "drawn_layer", "forward_error", "loop_errors"]

Floats = NDArray[np.float32]
KERAS = {
    "rnn": keras.layers.SimpleRNN,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
}
"""The cells that Keras has too."""


def drawn_layer(cell: str, units: int, features: int, rng: np.random.Generator) -> Recurrent:
    """Make a layer whose weights are all drawn, biases and peepholes too."""
    layer = CELLS[cell](units)
    layer.build((None, None, features))
    layer.built = True
    for weight in layer.weights:
        deviation = 1 / np.sqrt(units) if len(weight.shape) > 1 else 0.3
        weight.assign(rng.normal(0, deviation, weight.shape).astype(np.float32))
    return layer


def forward_error(cell: str, layer: Recurrent, x: Floats) -> float:
    """Largest difference of a layer over x (B, T, F) to Keras's with its weights, and to numpy's.

    Cells that Keras lacks are compared with the numpy cell alone.
    """
    ours = np.asarray(layer(x))
    numpy_cell, rows = layer.cell(), []
    state = numpy_cell.initial_state(len(x))
    for t in range(x.shape[1]):
        y, state = numpy_cell.step(x[:, t], state)
        rows.append(y)
    error = float(np.abs(np.stack(rows, 1) - ours).max())
    if cell in KERAS:
        theirs = KERAS[cell](layer.units, return_sequences=True)
        theirs.build(x.shape)
        theirs.set_weights(layer.get_weights())
        error = max(error, float(np.abs(np.asarray(theirs(x)) - ours).max()))
    return error


def bptt_error(layer: Recurrent, x: Floats, dy: Floats) -> float:
    """Largest difference of our gradients to GradientTape's, for a loss sum(y * dy)."""
    found = backward(forward(layer.cell(), x.transpose(1, 0, 2)), dy.transpose(1, 0, 2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * dy)
    theirs = tape.gradient(loss, layer.trainable_weights)
    return max(
        float(np.abs(ours - np.asarray(other)).max())
        for ours, other in zip(found.weights.values(), theirs, strict=True)
    )


def difference_error(
    layer: Recurrent, x: Floats, dy: Floats, rng: np.random.Generator, places: int = 40
) -> float:
    """Largest difference of our gradients to finite differences in float64, at some weights."""
    plain = layer.cell()
    fields = [f for f in ("kernel", "recurrent", "bias", "peephole")
              if getattr(plain, f, None) is not None]  # fmt: skip
    wide = {f: getattr(plain, f).astype(np.float64) for f in fields}
    x64, dy64 = x.transpose(1, 0, 2).astype(np.float64), dy.transpose(1, 0, 2).astype(np.float64)

    def loss(weights: dict[str, Any]) -> float:
        return float((forward(type(plain)(**weights), x64).y * dy64).sum())

    found = backward(forward(type(plain)(**wide), x64), dy64).weights
    worst, step = 0.0, 1e-6
    for _ in range(places):
        field = fields[int(rng.integers(len(fields)))]
        place = tuple(int(rng.integers(n)) for n in wide[field].shape)
        sides = []
        for sign in (1, -1):
            moved = wide[field].copy()
            moved[place] += sign * step
            sides.append(loss({**wide, field: moved}))
        slope = (sides[0] - sides[1]) / (2 * step)
        worst = max(worst, abs(slope - float(found[field][place])))
    return worst


def loop_errors(
    layer: Recurrent, x: Floats, schemes: Sequence[Scheme], runtime: str | None = None
) -> dict[Scheme, tuple[float, float]]:
    """Difference of the TFLite step to the layer, its state going round in its own numbers.

    Args:
        layer: to export.
        x: shape (B, T, F); the first row is what it runs on, the others calibrate.
        schemes: to export in.
        runtime: see :class:`wakeword.step_graph.StepGraph`.

    Returns:
        For each scheme the mean and the largest absolute difference of y over the T steps.
    """
    stack = Stack([layer])
    seen = follow(stack.step, "x", x[1:].transpose(1, 0, 2), stack.initial_state(len(x) - 1))
    graphs = stack_graphs(
        stack, tf.TensorSpec((1, x.shape[2]), tf.float32, name="x"), tf.identity,
        lambda y: {"y": tf.identity(y)}, schemes=schemes, seen=seen,
    )  # fmt: skip
    exact = np.asarray(layer(x[:1]))[0]
    errors = {}
    for scheme, file in graphs.items():
        graph = StepGraph(file.model, file.inputs, file.outputs, runtime)
        state, rows = graph.initial_state(), []
        for x_t in x[0]:
            found, state = graph.run({"x": x_t[None]}, state)
            rows.append(found["y"][0])
        difference = np.abs(np.stack(rows) - exact)
        errors[scheme] = float(difference.mean()), float(difference.max())
    return errors
