"""Run a one-step model in numpy alone: slower than LiteRT, but readable and at home everywhere.

The graph is the exporter's: ``frames`` (1, kernel, bins) and ``state_0``, ``state_1``, ... in;
``scores`` (1, W) and ``next_0``, ``next_1``, ... out, float32 or int8 throughout. Each operator is
prepared once (:mod:`wakeword.tflite_ops`) and the list is run in order at each step.

For int8 the result is byte for byte that of TFLite's reference kernels; LiteRT's optimised kernels
round differently here and there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError
from wakeword.int8 import dequantize, quantization, quantize
from wakeword.numpy_graph import NumpyGraph
from wakeword.tflite_graph import Tensor, read_graph

__all__ = ["NumpyStep"]

State = tuple[NDArray[Any], ...]

RAW_PER_UNIT = 256
"""Raw feature counts in one unit of the model's input."""


class NumpyStep:
    """One step of a streaming model; implements ``StepModel``.

    Args:
        model: the .tflite file.
        words: one name per score.
        stride: new frames per step.
        kernel: frames the model looks at, at least ``stride``.
        inputs: what the subgraph's inputs are, in its order: "frames", "state_0", ...
        outputs: the same for its outputs: "scores", "next_0", ...

    Raises:
        BundleError: the model is damaged, holds an operator numpy does not run here, or its tensors
            are not the ones described above.
    """

    def __init__(
        self,
        model: bytes,
        words: Sequence[str],
        stride: int,
        kernel: int,
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        if not 1 <= stride <= kernel:
            raise BundleError(f"stride={stride}, kernel={kernel}: need 1 <= stride <= kernel")
        graph = read_graph(model)
        self.words, self.stride, self.kernel = tuple(words), stride, kernel
        ins = _name(inputs, graph.inputs, "inputs")
        outs = _name(outputs, graph.outputs, "outputs")
        states = len(ins) - 1
        if set(ins) != {"frames"} | {f"state_{i}" for i in range(states)}:
            raise BundleError(f"inputs {sorted(ins)}: need frames, state_0, state_1, ...")
        if set(outs) != {"scores"} | {f"next_{i}" for i in range(states)}:
            raise BundleError(f"outputs {sorted(outs)}: need scores and next_ for {states} states")
        self._frames, self._scores = ins["frames"], outs["scores"]
        self._states = [ins[f"state_{i}"] for i in range(states)]
        self._nexts = [outs[f"next_{i}"] for i in range(states)]
        tensors = graph.tensors
        frames, scores = tensors[self._frames], tensors[self._scores]
        if len(frames.shape) != 3 or frames.shape[:2] != (1, kernel):
            raise BundleError(f"frames have shape {frames.shape}: need (1, {kernel}, bins)")
        if scores.shape != (1, len(self.words)):
            raise BundleError(f"scores have shape {scores.shape}: need (1, {len(self.words)})")
        for i in range(states):
            _check_state(tensors[self._states[i]], tensors[self._nexts[i]], i)
        self.bins = frames.shape[2]
        self._graph = NumpyGraph(graph, len(model))
        self._table = _input_table(frames)
        self._scale, self._zero = _score_scale(scores)
        self._start = tuple(_initial(tensors[i]) for i in self._states)

    def initial_state(self) -> State:
        """The state before any sound: (history uint16 (kernel - stride, bins), state_0, ...)."""
        history = np.zeros((self.kernel - self.stride, self.bins), np.uint16)
        return (history, *(s.copy() for s in self._start))

    def step(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Hear ``stride`` more frames.

        Args:
            frames: shape (stride, bins), uint16, raw front-end features.
            state: as returned by the last step, or :meth:`initial_state`. It is not changed.

        Returns:
            Probabilities, float32 (W,), each in [0, 1], and the next state.
        """
        window = np.concatenate((state[0], frames))
        probs, recurrent = self._run(self._table[window], state[1:])
        return probs, (window[self.stride :], *recurrent)

    def run(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Hear many steps: ``frames`` (n * stride, bins) in, probabilities (n, W) out."""
        sound = np.concatenate((state[0], frames))
        real = self._table[sound]
        count = len(frames) // self.stride
        probs = np.empty((count, len(self.words)), np.float32)
        recurrent = state[1:]
        for t in range(count):
            start = t * self.stride
            probs[t], recurrent = self._run(real[start : start + self.kernel], recurrent)
        return probs, (sound[count * self.stride :].copy(), *recurrent)

    def _run(self, window: NDArray[Any], recurrent: State) -> tuple[NDArray[np.float32], State]:
        """The graph once: frames as the model takes them and the recurrent state in."""
        values = self._graph.start()
        values[self._frames] = window[None]
        for place, value in zip(self._states, recurrent, strict=True):
            values[place] = value
        self._graph.run(values)
        scores = np.asarray(values[self._scores][0])
        if self._scale is not None:
            scores = dequantize(scores, self._scale, self._zero)
        return scores, tuple(values[i] for i in self._nexts)


def _name(names: Sequence[str], places: Sequence[int], what: str) -> dict[str, int]:
    """Map our name of each input or output to its tensor."""
    if len(names) != len(places) or len(set(names)) != len(names):
        raise BundleError(f"{what} {list(names)}: the model has {len(places)}, each named once")
    return dict(zip(names, places, strict=True))


def _check_state(before: Tensor, after: Tensor, i: int) -> None:
    """What a step gives must mean the same when the next step takes it."""
    if before.shape != after.shape or before.dtype != after.dtype or before.data is not None:
        raise BundleError(
            f"state_{i} is {before.dtype} {before.shape}, next_{i} {after.dtype} {after.shape}: "
            "need the same"
        )
    if before.dtype == np.float32:
        return
    if quantization(before) != quantization(after):
        raise BundleError(
            f"state_{i} has scale and zero point {quantization(before)}, next_{i} "
            f"{quantization(after)}: need the same, or the state drifts; export the model again"
        )


def _input_table(frames: Tensor) -> NDArray[Any]:
    """What the model takes for each raw feature 0..65535."""
    real: NDArray[np.float32] = np.arange(65536, dtype=np.float32) / np.float32(RAW_PER_UNIT)
    if frames.dtype == np.float32:
        return np.asarray(real)
    return quantize(real, *quantization(frames))


def _score_scale(scores: Tensor) -> tuple[np.float32 | None, int]:
    return (None, 0) if scores.dtype == np.float32 else quantization(scores)


def _initial(state: Tensor) -> NDArray[Any]:
    """Zero, in the units of the state."""
    zero = 0 if state.dtype == np.float32 else quantization(state)[1]
    return np.full(state.shape, zero, state.dtype)
