"""The step of a trigger model as a TensorFlow function, to convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["step_module"]


def step_module(
    members: Sequence[Mapping[str, Any]], units: Sequence[int], kernel: int, reset_after: bool
) -> tuple[tf.Module, Any]:
    """Write the step as plain products, so that each keeps its own scale.

    Args:
        members: the arrays of each (`wakeword_train.quantize.StepWeights`).
        units: width of each state, the first member's first.
        kernel: frames that a step looks at.
        reset_after: where the reset gate stands.
    """
    layers = len(units) // len(members)
    bins = members[0]["conv"].shape[0] // kernel
    spec = [tf.TensorSpec((1, kernel, bins), tf.float32, name="frames")]
    spec += [tf.TensorSpec((1, h), tf.float32, name=f"state_{i}") for i, h in enumerate(units)]
    module = tf.Module()

    def gru(member: Mapping[str, Any], x: Any, h: Any, i: int) -> Any:
        kernel_i, recurrent, bias = (member[f"{n}_{i}"] for n in ("kernel", "recurrent", "bias"))
        size = recurrent.shape[0]

        def of_x(gate: int) -> Any:
            part = slice(gate * size, (gate + 1) * size)
            return tf.matmul(x, kernel_i[:, part]) + bias[0, part]

        def of_h(gate: int, value: Any = h) -> Any:
            part = slice(gate * size, (gate + 1) * size)
            return tf.matmul(value, recurrent[:, part]) + bias[1, part]

        update = tf.sigmoid(of_x(0) + of_h(0))
        reset = tf.sigmoid(of_x(1) + of_h(1))
        inner = reset * of_h(2) if reset_after else of_h(2, reset * h)
        new = tf.tanh(of_x(2) + inner)
        return new + update * (h - new)

    @tf.function(input_signature=spec, autograph=False)
    def step(frames: Any, *state: Any) -> dict[str, Any]:
        flat = tf.reshape(frames, (1, -1))
        out: dict[str, Any] = {}
        odds = []
        for member in members:
            y = tf.nn.relu(tf.matmul(flat, member["conv"]) + member["conv_bias"])
            for i in range(layers):
                number = len(out)
                out[f"next_{number}"] = y = gru(member, y, state[number], i)
            share = np.float32(1 / len(members))
            odds.append(tf.matmul(y, member["head"] * share) + member["head_bias"] * share)
        out["scores"] = tf.sigmoid(sum(odds[1:], odds[0]))
        return out

    module.step = step
    return module, step
