"""Turn a trained trigger model into one TFLite step: frames and state in, scores and state out.

No loop, no hidden variable: the state is a plain tensor. The recurrent and the input products stay
apart, so the int8 state keeps the scale of tanh and its output is copied to the next input byte for
byte. The converter runs in a process of its own, since it ends some failures with a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword_train.models.trigger import TriggerConfig, member_tags

__all__ = [
    "StepWeights",
    "convert",
    "float_scores",
    "float_step",
    "representative_steps",
    "step_weights",
]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StepWeights:
    """The weights of one step, batch norms folded in.

    ``conv`` (K * F, C) and its bias; per layer ``kernel`` (In, 3 H), ``recurrent`` (H, 3 H),
    ``bias`` (2, 3 H) with gates in Keras' order update, reset, candidate; ``head`` (H, W) and bias.
    Names of the second of several members end in ".1", of the third in ".2".
    """

    kernel: int
    stride: int
    reset_after: bool
    arrays: Mapping[str, FloatArray]

    @property
    def members(self) -> list[dict[str, FloatArray]]:
        """The arrays of each member, by their plain names."""
        found: dict[int, dict[str, FloatArray]] = {}
        for name, array in self.arrays.items():
            plain, _, member = name.partition(".")
            found.setdefault(int(member or 0), {})[plain] = array
        return [found[member] for member in sorted(found)]

    @property
    def units(self) -> tuple[int, ...]:
        """Width of each state: those of the first member, from the layer below, then the next's."""
        return tuple(
            one[f"recurrent_{i}"].shape[0] for one in self.members for i in range(_layers_of(one))
        )


def _layers_of(member: Mapping[str, Any]) -> int:
    """Count the recurrent layers of a member."""
    return sum(name.startswith("recurrent_") for name in member)


def step_weights(model: Any, config: TriggerConfig, words: int) -> StepWeights:
    """Collect the weights of a Keras trigger model, keeping only its first ``words`` heads.

    Batch norm behind the convolution folds into it; batch norm behind a GRU folds into the product
    that reads it.
    """
    arrays: dict[str, FloatArray] = {}
    for member, tag in enumerate(member_tags(config)):
        end = f".{member}" if member else ""
        found = _member_weights(model, config, words, tag)
        arrays |= {name + end: np.ascontiguousarray(a, np.float32) for name, a in found.items()}
    return StepWeights(config.kernel, config.stride, config.reset_after, arrays)


def _member_weights(
    model: Any, config: TriggerConfig, words: int, tag: str
) -> dict[str, FloatArray]:
    """Collect the weights of one member, whose layers' names end in ``tag``."""

    def norm(name: str) -> tuple[FloatArray, FloatArray] | None:
        if not config.batch_norm:
            return None
        layer = model.get_layer(name + tag)
        gamma, beta, mean, var = (np.asarray(w) for w in layer.get_weights())
        scale = gamma / np.sqrt(var + layer.epsilon)
        return scale, beta - mean * scale

    def weights(name: str) -> list[FloatArray]:
        return [np.asarray(w) for w in model.get_layer(name + tag).get_weights()]

    conv, conv_bias = weights("conv")
    conv = conv.reshape(-1, conv.shape[-1])
    if (folded := norm("conv_norm")) is not None:
        conv, conv_bias = conv * folded[0], conv_bias * folded[0] + folded[1]
    arrays: dict[str, FloatArray] = {"conv": conv, "conv_bias": conv_bias}
    below: tuple[FloatArray, FloatArray] | None = None
    for index in range(len(config.units)):
        kernel, recurrent, bias = weights(f"gru_{index}")
        bias = bias if config.reset_after else np.stack([bias, np.zeros_like(bias)])
        if below is not None:
            bias = bias + np.stack([below[1] @ kernel, np.zeros(kernel.shape[1], np.float32)])
            kernel = kernel * below[0][:, None]
        arrays |= {f"kernel_{index}": kernel, f"recurrent_{index}": recurrent}
        arrays |= {f"bias_{index}": bias}
        below = norm(f"gru_{index}_norm")
    head, head_bias = weights("words")
    if below is not None:
        head, head_bias = head * below[0][:, None], head_bias + below[1] @ head
    return arrays | {"head": head[:, :words], "head_bias": head_bias[:words]}


def _sigmoid(x: FloatArray) -> FloatArray:
    """Squash to (0, 1) without overflow."""
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5, np.float32)


def float_step(
    weights: StepWeights, frames: FloatArray, state: Sequence[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """Run one step in float32, for many streams at once.

    Args:
        weights: of the step.
        frames: shape (B, kernel, F), raw features / 256.
        state: as many as ``weights.units``, each of shape (B, H).

    Returns:
        Probabilities, shape (B, W), and the next state.
    """
    odds, after, rest = [], [], list(state)
    for member in weights.members:
        count = _layers_of(member)
        own, new = _member_step(member, weights.reset_after, frames, rest[:count])
        odds.append(own)
        after += new
        rest = rest[count:]
    return _sigmoid(np.asarray(np.mean(odds, axis=0), np.float32)), after


def _member_step(
    w: Mapping[str, FloatArray], reset_after: bool, frames: FloatArray, state: Sequence[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """Run one member; return its log odds and its next states."""
    y = np.maximum(frames.reshape(len(frames), -1) @ w["conv"] + w["conv_bias"], 0)
    after = []
    for i, h in enumerate(state):
        x = y @ w[f"kernel_{i}"] + w[f"bias_{i}"][0]
        u, size = w[f"recurrent_{i}"], h.shape[1]
        if reset_after:
            r = h @ u + w[f"bias_{i}"][1]
            gates = _sigmoid(x[:, : 2 * size] + r[:, : 2 * size])
            new = np.tanh(x[:, 2 * size :] + gates[:, size:] * r[:, 2 * size :])
        else:
            gates = _sigmoid(x[:, : 2 * size] + h @ u[:, : 2 * size])
            new = np.tanh(x[:, 2 * size :] + (gates[:, size:] * h) @ u[:, 2 * size :])
        y = gates[:, :size] * h + (1 - gates[:, :size]) * new
        after.append(y)
    return y @ w["head"] + w["head_bias"], after


def _steps(
    weights: StepWeights, streams: NDArray[np.uint16]
) -> Iterator[tuple[list[FloatArray], FloatArray]]:
    """Run the float step over feature windows: what goes into each step, and its scores."""
    batch, count, bins = streams.shape
    padded = np.zeros((batch, count + weights.kernel - weights.stride, bins), np.float32)
    padded[:, weights.kernel - weights.stride :] = streams.astype(np.float32) / 256
    state = [np.zeros((batch, h), np.float32) for h in weights.units]
    for first in range(0, count - weights.stride + 1, weights.stride):
        frames = padded[:, first : first + weights.kernel]
        before = [frames, *state]
        probs, state = float_step(weights, frames, state)
        yield before, probs


def float_scores(weights: StepWeights, streams: NDArray[np.uint16]) -> FloatArray:
    """Run the float step over windows of raw features (B, T, F); return scores (B, steps, W)."""
    return np.stack([probs for _, probs in _steps(weights, streams)], axis=1)


def representative_steps(
    weights: StepWeights, streams: NDArray[np.uint16], every: int = 7
) -> dict[str, FloatArray]:
    """Run the float step over feature windows and keep what it sees, states included.

    Args:
        weights: of the step.
        streams: shape (B, T, F), raw features.
        every: keep one step in this many.

    Returns:
        Input name to array, all with the same first axis.
    """
    names = ["frames", *(f"state_{i}" for i in range(len(weights.units)))]
    kept = [before for step, (before, _) in enumerate(_steps(weights, streams)) if not step % every]
    columns = zip(names, zip(*kept, strict=True), strict=True)
    return {name: np.concatenate(rows) for name, rows in columns}


def convert(
    weights: StepWeights, calibration: Mapping[str, FloatArray] | None
) -> tuple[bytes, dict[str, list[str]]]:
    """Convert the step in a separate process.

    Args:
        weights: of the step.
        calibration: what :func:`representative_steps` kept, for int8; None for float32.

    Returns:
        The TFLite file, and the names of its inputs and outputs in the order of the graph.

    Raises:
        ExportError: the converter failed; its last words are in the message.
    """
    from wakeword_train.step_export import Scheme, convert_module
    from wakeword_train.trigger_step import step_module

    module, step = step_module(weights.members, weights.units, weights.kernel, weights.reset_after)
    scheme: Scheme = "float32" if calibration is None else "int8"
    found = convert_module(
        module,
        step,
        schemes=[scheme],
        calibration=calibration,
        bounded=[f"state_{i}" for i in range(len(weights.units))],
    )
    return found[scheme]
