"""Cells: one layer in four forms that agree, and how long it remembers.

Checks every recurrent layer against Keras, GradientTape, finite differences and its own TFLite
steps, then trains three of them on the adding problem and draws how far their gradients reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wakeword.sequence_bundle import write_sequence_bundle
from wakeword_train.bptt import reach
from wakeword_train.layers import CELLS, SimpleRNN, Stack, remember
from wakeword_train.sequence.adding import BASELINE, adding
from wakeword_train.sequence.cell_checks import (
    bptt_error,
    difference_error,
    drawn_layer,
    forward_error,
    loop_errors,
)
from wakeword_train.sequence.export import stack_graphs
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.reach_plot import plot_reach
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.table import Row
from wakeword_train.step_export import SCHEMES

LEDGER: Sequence[dict[str, str]] = ()  # all data is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``steps`` long is the adding problem; ``checked`` are the cells of the checks."""

    steps: int = 150
    units: int = 64
    batch: int = 64
    batches: int = 1_500
    rate: float = 5e-3
    test: int = 2_000
    loop: int = 400
    checked: tuple[str, ...] = tuple(CELLS)
    adders: tuple[tuple[str, str], ...] = (("rnn", ">= .15"), ("gru", "<= .01"), ("lstm", "<= .01"))


CONFIG = Config()
SMALL = Config(steps=10, units=16, batches=60, test=200, checked=("lstm",))


def load(run: Run) -> Any:
    """Draw the test part of the adding problem."""
    return adding(run.rng("test"), run.config.test, run.config.steps)


def build(run: Run, data: Any) -> dict[str, Any]:
    """Make an adder of each cell: a layer, and one sum of its last output."""
    models = {}
    for cell, _ in run.config.adders:
        inputs = keras.Input((run.config.steps, 2))
        layer = CELLS[cell](run.config.units, name=cell)
        y = layer(inputs)
        if not isinstance(layer, SimpleRNN):
            remember(layer, run.config.steps, run.rng("memories"))
        models[cell] = keras.Model(inputs, keras.layers.Dense(1, name="sum")(y[:, -1]))
    return models


def fit(run: Run, data: Any, models: dict[str, Any]) -> None:
    """Train the adders."""
    config = run.config
    valid = adding(run.rng("validation"), min(config.test, 500), config.steps)
    for cell, model in models.items():

        def loss(x: Any, y: Any, model: Any = model) -> Any:
            return tf.reduce_mean(tf.square(model(x, training=True) - y))

        run.fit(
            cell, model, lambda rng, _: adding(rng, config.batch, config.steps), loss,
            FitConfig(batches=config.batches, rate=config.rate, check_every=100),
            check=partial(error, model, *valid),
        )  # fmt: skip


def error(model: Any, x: Any, y: Any) -> float:
    """Mean squared error of an adder."""
    rows = [np.asarray(model(x[i : i + 500])) for i in range(0, len(x), 500)]
    return float(np.mean((np.concatenate(rows) - y) ** 2))


def evaluate(run: Run, data: Any, models: dict[str, Any]) -> list[Row]:
    """Compare the forms of each cell, then measure the adders."""
    config, rng = run.config, run.rng("checks")
    worst = {"forward": 0.0, "tape": 0.0, "differences": 0.0}
    loops: dict[str, float] = dict.fromkeys(SCHEMES, 0.0)
    for cell in config.checked:
        layer = drawn_layer(cell, 32, 8, rng)
        x = rng.normal(size=(4, 50, 8)).astype(np.float32)
        dy = (rng.normal(size=(4, 50, 32)) / 50).astype(np.float32)
        worst["forward"] = max(worst["forward"], forward_error(cell, layer, x))
        worst["tape"] = max(worst["tape"], bptt_error(layer, x, dy))
        worst["differences"] = max(worst["differences"], difference_error(layer, x, dy, rng))
        long = rng.normal(size=(5, config.loop, 8)).astype(np.float32)
        for scheme, (mean, most) in loop_errors(layer, long, SCHEMES).items():
            loops[scheme] = max(loops[scheme], most if scheme == "float32" else mean)
    rows = [
        Row("forward: largest difference to Keras and numpy", worst["forward"], "<= 1e-6"),
        Row("numpy BPTT: largest difference to GradientTape", worst["tape"], "<= 1e-5"),
        Row("numpy BPTT: largest to differences in float64", worst["differences"], "<= 1e-6"),
        Row(f"TFLite float, {config.loop} closed steps: largest", loops["float32"], "<= 1e-6"),
        Row(f"TFLite 16x8, {config.loop} closed steps: mean", loops["16x8"], "<= 1e-2", digits=4),
        Row(f"TFLite int8, {config.loop} closed steps: mean", loops["int8"], "<= 5e-2", digits=4),
    ]
    baseline = ("always 1", BASELINE) if run.compare else None
    for cell, bar in config.adders:
        bar = "" if run.small else bar
        what = f"adding {config.steps} steps, {cell}: squared error"
        rows.append(Row(what, error(models[cell], *data), bar, baseline=baseline, digits=4))
    norms = {
        cell: reach(models[cell].get_layer(cell).cell(), data[0][:64].transpose(1, 0, 2), rng)
        for cell, _ in config.adders
    }
    plot_reach(norms, run.out / "cells-reach.png")
    return rows


def export(run: Run, data: Any, models: dict[str, Any]) -> list[Row]:
    """Write the GRU that adds as a step of its own."""
    cell = "gru"
    model = models[cell]
    head, bias = (np.asarray(w) for w in model.get_layer("sum").get_weights())
    graph = stack_graphs(
        Stack([model.get_layer(cell)]), tf.TensorSpec((1, 2), tf.float32, name="x"), tf.identity,
        lambda y: {"sum": tf.matmul(y, tf.constant(head)) + bias}, schemes=["float32"],
    )["float32"]  # fmt: skip
    bundle = write_sequence_bundle(
        run.out / "adder", task="adding", graphs={"step": graph}, vocabularies={},
        training=run.training(LEDGER), force=True,
    )  # fmt: skip
    step = bundle.open()
    state, found = step.initial_state(), {"sum": np.zeros((1, 1))}
    for x in data[0][0]:
        found, state = step.run({"x": x[None]}, state)
    far = abs(float(found["sum"][0, 0]) - float(np.asarray(model(data[0][:1]))[0, 0]))
    return [Row("exported adder, last step: difference to Keras", far, "<= 1e-5")]
