"""Recurrent models as TFLite steps: what a float run sees, and the step it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wakeword.sequence_bundle import GraphFile
from wakeword_train.layers import LSTM, Stack
from wakeword_train.step_export import Converted, Part, Scheme, convert_modules

__all__ = ["Seen", "follow", "graph_files", "plain_part", "stack_graphs", "stack_part"]

Tensor = Any
Seen = dict[str, NDArray[Any]]


def follow(
    step: Callable[[Tensor, Any], tuple[Any, Any]],
    name: str,
    inputs: Iterable[NDArray[Any]],
    state: Any,
    every: int = 3,
) -> Seen:
    """Run a model step by step and keep what it sees now and then, states included.

    Args:
        step: (input, state) -> (anything, next state), of TensorFlow.
        name: of the input in the graph.
        inputs: of each step, (B, ...).
        state: to begin with.
        every: keep one step in this many.

    Returns:
        What to calibrate with: input name to array, all with the same first axis.
    """
    traced = tf.function(step, autograph=False)
    kept: dict[str, list[NDArray[Any]]] = {}
    for t, x in enumerate(inputs):
        if t % every == 0:
            flat = [x, *tf.nest.flatten(state)]
            names = [name, *(f"state_{i}" for i in range(len(flat) - 1))]
            for key, array in zip(names, flat, strict=True):
                kept.setdefault(key, []).append(np.asarray(array))
        _, state = traced(tf.constant(x), state)
    return {key: np.concatenate(rows) for key, rows in kept.items()}


def stack_graphs(
    stack: Stack,
    spec: Any,
    take: Callable[[Tensor], Tensor],
    give: Callable[[Tensor], dict[str, Tensor]],
    *,
    schemes: Sequence[Scheme],
    seen: Mapping[str, NDArray[Any]] | None = None,
) -> dict[Scheme, GraphFile]:
    """Convert a stack and what is around it to one TFLite step.

    Args:
        stack: of layers that stream.
        spec: ``tf.TensorSpec`` of the input with its name, batch 1.
        take: turns the input into what the stack takes, weights as constants.
        give: turns what the stack gives into the outputs by name, weights as constants.
        schemes: see `wakeword_train.step_export.convert_module`.
        seen: of :func:`follow`, unless all is float32.

    Raises:
        ConfigError: a layer that does not stream.
        ExportError: the converter failed.
    """
    part = stack_part(stack, spec, take, give, seen=seen)
    return graph_files(convert_modules({"step": part}, schemes=schemes)["step"])


def stack_part(
    stack: Stack,
    spec: Any,
    take: Callable[[Tensor], Tensor],
    give: Callable[[Tensor], dict[str, Tensor]],
    *,
    seen: Mapping[str, NDArray[Any]] | None = None,
) -> Part:
    """Make a step to convert; see :func:`stack_graphs`."""
    zero = stack.initial_state(1)
    flat = tf.nest.flatten(zero)
    states = [tf.TensorSpec(tuple(s.shape), s.dtype, name=f"state_{i}") for i, s in enumerate(flat)]

    def step(x: Tensor, *given: Tensor) -> dict[str, Tensor]:
        y, after = stack.plain_step(take(x), tf.nest.pack_sequence_as(zero, given))
        nexts = {f"next_{i}": s for i, s in enumerate(tf.nest.flatten(after))}
        return {**give(y), **nexts}

    bounded = [f"state_{i}" for i, has in enumerate(_bounded(stack)) if has]
    return plain_part(step, [spec, *states], seen=seen, bounded=bounded)


def plain_part(
    function: Callable[..., dict[str, Tensor]],
    specs: Sequence[Any],
    *,
    seen: Mapping[str, NDArray[Any]] | None = None,
    bounded: Sequence[str] = (),
) -> Part:
    """Make a graph to convert of a function: inputs as in ``specs``, outputs by name."""
    module = tf.Module()
    module.step = tf.function(function, input_signature=list(specs), autograph=False)
    return Part(module=module, step=module.step, calibration=seen, bounded=bounded)


def graph_files(found: Converted) -> dict[Scheme, GraphFile]:
    """Name the ends of what was converted."""
    return {
        scheme: GraphFile(model, tuple(ends["inputs"]), tuple(ends["outputs"]))
        for scheme, (model, ends) in found.items()
    }


def _bounded(stack: Stack) -> list[bool]:
    """Of each state whether it lies in (-1, 1); the cell of an LSTM has no bound."""
    found: list[bool] = []
    for layer in stack.layers:
        if isinstance(layer, Stack):
            found += _bounded(layer)
        else:
            found += [True, False] if isinstance(layer, LSTM) else [True]
    return found
