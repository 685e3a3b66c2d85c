"""Run a model one step at a time: feature frames and the state in, probabilities and state out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle
from wakeword.errors import BundleError, ConfigError
from wakeword.frontend import BINS
from wakeword.graph_check import Quantised, check_graph
from wakeword.int8 import quantize
from wakeword.runtime import first_that_works, open_interpreter
from wakeword.tflite_graph import read_graph

__all__ = ["State", "StepModel", "Stream", "open_model", "open_stream"]

State = tuple[NDArray[Any], ...]
"""What a model remembers; a value, never changed in place."""


class StepModel(Protocol):
    """A model as one step. Step s sees the frames s * stride + stride - kernel .. s * stride +
    stride - 1; those before the start are zero."""

    @property
    def words(self) -> tuple[str, ...]:
        """What the W probabilities mean."""
        ...

    @property
    def stride(self) -> int:
        """Frames a step advances."""
        ...

    def initial_state(self) -> State:
        """Return the state before the first frame."""
        ...

    def step(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Advance one step: frames (stride, 40), raw; returns probabilities (W,) and the state."""
        ...

    def run(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Advance n steps: frames (n * stride, 40), raw; returns (n, W) and the state."""
        ...


class Stream(Protocol):
    """A model that owns its place in a stream of frames."""

    @property
    def words(self) -> tuple[str, ...]:
        """What the W probabilities mean."""
        ...

    @property
    def stride(self) -> int:
        """Frames a step advances."""
        ...

    def feed(self, frames: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Take frames (T, 40), any T; return the probabilities (n, W) of the steps completed."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


def open_model(bundle: Bundle, runtime: str | None = None) -> StepModel:
    """Open a bundle of ours.

    Args:
        bundle: from :func:`wakeword.bundle.read_bundle`.
        runtime: "litert", "tflite-runtime", "tf" or "numpy"; None takes the first that works.

    Raises:
        BundleError: the model is damaged, or is not what the JSON says; or it is a microWakeWord
            model, which has no state to hand out (:func:`open_stream` runs it).
        ConfigError: no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """
    if bundle.kind != "wakeword":
        raise BundleError(
            f"{bundle.path}: a microWakeWord model keeps its state to itself; use open_stream"
        )
    # Before any runtime sees it: of 1,500 files with a few bytes changed, LiteRT 2.3 aborted on 4
    # (x86-64, measured); the numpy step refuses those, and whatever it cannot run.
    from wakeword.numpy_step import NumpyStep

    try:
        units, ends = check_graph(read_graph(bundle.model_bytes), bundle)
        readable = NumpyStep(
            bundle.model_bytes,
            bundle.words,
            bundle.stride,
            bundle.kernel,
            bundle.inputs,
            bundle.outputs,
        )
    except BundleError as exc:
        raise BundleError(f"{bundle.path}: {exc}; get both files again or export anew") from exc

    def open_with(name: str) -> StepModel:
        if name == "numpy":
            return readable
        return TFLiteStep(bundle, units, ends, open_interpreter(bundle.model_bytes, name))

    return first_that_works(runtime, open_with)


def open_stream(bundle: Bundle, runtime: str | None = None) -> Stream:
    """Open any bundle, ours or a microWakeWord model, as a stream from its start.

    Raises:
        BundleError: the model is damaged, or is not what the JSON says.
        ConfigError: no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """
    if bundle.kind == "microwakeword":
        from wakeword.microwakeword import MicroStream

        return MicroStream(bundle, runtime)
    return ModelStream(open_model(bundle, runtime))


class ModelStream:
    """A step model and where it stands: its state, and the frames of an unfinished step."""

    def __init__(self, model: StepModel) -> None:
        self.model = model
        self.words = model.words
        self.stride = model.stride
        self._nothing = np.empty((0, len(model.words)), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._state = self.model.initial_state()
        self._pending: NDArray[np.uint16] | None = None

    def feed(self, frames: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Take frames (T, 40), any T; return the probabilities (n, W) of the steps completed."""
        if self._pending is not None:
            frames = np.concatenate((self._pending, frames))
        usable = len(frames) // self.stride * self.stride
        self._pending = frames[usable:].copy() if usable < len(frames) else None
        if not usable:
            return self._nothing
        probs, self._state = self.model.run(frames[:usable], self._state)
        return probs


class TFLiteStep:
    """The one-step model on a TFLite interpreter; int8 or float32 throughout.

    The state is (history (kernel - stride, 40), state_0 (1, H0), ...) in the graph's own dtype.
    """

    def __init__(
        self,
        bundle: Bundle,
        units: Sequence[int],
        ends: Mapping[str, Quantised],
        interpreter: Any,
    ) -> None:
        self.words = bundle.words
        self.stride = bundle.stride
        self._kernel = bundle.kernel
        self._interpreter = interpreter
        inputs, outputs = (
            {name: int(detail["index"]) for name, detail in zip(names, details, strict=True)}
            for names, details in (
                (bundle.inputs, interpreter.get_input_details()),
                (bundle.outputs, interpreter.get_output_details()),
            )
        )
        layers = range(len(inputs) - 1)
        self._frames, self._scores = inputs["frames"], outputs["scores"]
        self._state_in = [inputs[f"state_{i}"] for i in layers]
        self._state_out = [outputs[f"next_{i}"] for i in layers]
        self._int8 = bool(ends)
        if self._int8:
            real = np.arange(65_536, dtype=np.float32) / 256
            frames = ends["frames"]
            self._quantised = quantize(real, np.float32(frames.scale), frames.zero_point)
            self._probs = ends["scores"].probs()
        zeros = [ends[f"state_{i}"].zero_point if ends else 0 for i in layers]
        dtype = np.int8 if ends else np.float32
        history = np.zeros((self._kernel - self.stride, BINS), np.uint16)
        self._initial: State = (
            self._real(history),
            *(np.full((1, h), zero, dtype) for h, zero in zip(units, zeros, strict=True)),
        )

    def initial_state(self) -> State:
        """Return the state before the first frame."""
        return tuple(array.copy() for array in self._initial)

    def step(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Advance one step: frames (stride, 40), raw; returns probabilities (W,) and the state."""
        if len(frames) != self.stride:
            raise ConfigError(f"{len(frames)} frames: a step takes {self.stride}")
        probs, state = self.run(frames, state)
        return probs[0], state

    def run(self, frames: NDArray[np.uint16], state: State) -> tuple[NDArray[np.float32], State]:
        """Advance n steps: frames (n * stride, 40), raw; returns (n, W) and the state."""
        count = len(frames)
        if frames.ndim != 2 or frames.shape[1] != BINS or count % self.stride:
            raise ConfigError(f"frames {frames.shape}: need (n * {self.stride}, {BINS})")
        if not count:
            return np.empty((0, len(self.words)), np.float32), state
        history, *values = state
        window = np.concatenate((history, self._real(frames)))
        batch = window[None]
        kernel, state_in, state_out = self._kernel, self._state_in, self._state_out
        interpreter, frames_index, scores_index = self._interpreter, self._frames, self._scores
        set_tensor, get_tensor = interpreter.set_tensor, interpreter.get_tensor
        scores = []
        for start in range(0, count, self.stride):
            set_tensor(frames_index, batch[:, start : start + kernel])
            for index, value in zip(state_in, values):  # noqa: B905 - 0.1 us, checked above
                set_tensor(index, value)
            interpreter.invoke()
            values = [get_tensor(index) for index in state_out]
            scores.append(get_tensor(scores_index))
        rows = np.concatenate(scores)
        if self._int8:
            probs = self._probs.take(rows.view(np.uint8))
        else:
            probs = np.clip(np.nan_to_num(rows), 0, 1)
        return probs, (window[count:].copy(), *values)

    def _real(self, frames: NDArray[np.uint16]) -> NDArray[Any]:
        """Turn raw frames into what the graph's input holds."""
        if self._int8:
            return self._quantised.take(frames)
        return np.asarray(frames * np.float32(1 / 256), np.float32)
