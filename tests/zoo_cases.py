"""The models of the zoo, one row each: what `test_zoo` needs to know to put them through its tests.

No row builds anything until it is asked to, so the table costs nothing to import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.frontend import BINS
from wakeword_train.models.trigger import (
    PRESETS,
    TriggerConfig,
    build,
    load_weights,
    save_weights,
)
from wakeword_train.quantize import float_step, step_weights

Floats = NDArray[np.float32]
WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooCase:
    """One model.

    ``inputs`` and ``outputs`` are (T, F) and (steps, W) of one example. Step s of a causal model
    sees frames up to ``s * stride + stride - 1``, from ``kernel - stride`` before the first of its
    own on. ``plain`` is the same model without what hinders learning a few examples by heart.
    ``stream(model, x, kept)`` runs x (B, T, F) through the one-step form of a causal model, with
    its first ``kept`` outputs, and gives (B, steps, kept).
    """

    name: str
    build: Callable[[], Any]
    plain: Callable[[], Any]
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    parameters: int
    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any]
    causal: bool
    stride: int = 1
    kernel: int = 1
    stream: Callable[[Any, Floats, int], Floats] | None = None


def stream_trigger(config: TriggerConfig, model: Any, x: Floats, kept: int) -> Floats:
    """Feed a trigger model step by step, in numpy, with silence before the first frame."""
    weights = step_weights(model, config, kept)

    def steps() -> Iterator[Floats]:
        state = [np.zeros((len(x), units), np.float32) for units in weights.units]
        history = np.zeros((len(x), config.kernel, x.shape[2]), np.float32)
        for first in range(0, x.shape[1] - config.stride + 1, config.stride):
            new = x[:, first : first + config.stride]
            history = np.concatenate([history[:, config.stride :], new], axis=1)
            probs, state = float_step(weights, history, state)
            yield probs

    return np.stack(list(steps()), axis=1)


def trigger(name: str, *, frames: int, steps: int, parameters: int, members: int = 1) -> ZooCase:
    """Make the row of a preset of the trigger model."""
    config = replace(PRESETS[name], members=members)
    return ZooCase(
        name=f"trigger {name}" if members == 1 else f"{members} triggers {name}",
        build=partial(build, config, WORDS),
        plain=partial(build, replace(config, dropout=0.0), WORDS),
        inputs=(frames, BINS),
        outputs=(steps, WORDS),
        parameters=parameters,
        save=lambda model, path: save_weights(model, WORDS, path),
        load=partial(load_weights, config),
        causal=True,
        stride=config.stride,
        kernel=config.kernel,
        stream=partial(stream_trigger, config),
    )


UNITS = 48


def build_cell(cell: str) -> Any:
    """A recurrent layer and a sigmoid per output."""
    import keras

    from wakeword_train.layers import CELLS

    frames = keras.Input((None, BINS))
    y = CELLS[cell](UNITS, name="cell")(frames)
    return keras.Model(frames, keras.layers.Dense(WORDS, activation="sigmoid", name="words")(y))


def save_arrays(model: Any, path: Path) -> None:
    """Save the weights of a model without settings."""
    arrays: dict[str, Any] = {str(i): w for i, w in enumerate(model.get_weights())}
    np.savez(path, **arrays)


def load_cell(cell: str, path: Path) -> Any:
    """Build the model anew and give it the weights that were saved."""
    model = build_cell(cell)
    with np.load(path) as arrays:
        model.set_weights([arrays[str(i)] for i in range(len(arrays.files))])
    return model


def stream_cell(model: Any, x: Floats, kept: int) -> Floats:
    """Feed the numpy cell step by step."""
    from wakeword.cells import sigmoid

    cell = model.get_layer("cell").cell()
    head, bias = (np.asarray(w) for w in model.get_layer("words").get_weights())
    state, rows = cell.initial_state(len(x)), []
    for t in range(x.shape[1]):
        y, state = cell.step(x[:, t], state)
        rows.append(sigmoid(y @ head[:, :kept] + bias[:kept]))
    return np.stack(rows, axis=1)


def recurrent(cell: str, *, parameters: int) -> ZooCase:
    """Make the row of a recurrent layer of the sequence models."""
    return ZooCase(
        name=f"cell {cell}",
        build=partial(build_cell, cell),
        plain=partial(build_cell, cell),
        inputs=(20, BINS),
        outputs=(20, WORDS),
        parameters=parameters,
        save=save_arrays,
        load=partial(load_cell, cell),
        causal=True,
        stream=stream_cell,
    )


# One frame more than whole steps: what is left over makes no step.
CASES = (
    trigger("tiny", frames=61, steps=20, parameters=20_483),
    trigger("small", frames=61, steps=20, parameters=65_539),
    trigger("base", frames=61, steps=20, parameters=135_171),
    trigger("tiny", frames=61, steps=20, parameters=3 * 20_483, members=3),
    trigger("course", frames=61, steps=15, parameters=343_479),
    recurrent("rnn", parameters=4_419),
    recurrent("simple_gru", parameters=8_691),
    recurrent("gru", parameters=13_107),
    recurrent("lstm", parameters=17_235),
    recurrent("peephole_lstm", parameters=17_379),
)
