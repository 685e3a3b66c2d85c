"""Run microWakeWord version 2 models, the ones ESPHome devices use, as they are.

They keep their state in TFLite resource variables, which no runtime but a new interpreter resets.

Source: https://github.com/kahrendt/microWakeWord; the decision is that of ``pymicro-wakeword``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle
from wakeword.errors import BundleError, ConfigError, DeviceError
from wakeword.graph_check import Quantised
from wakeword.micro_graph import check_micro_graph
from wakeword.runtime import open_interpreter, runtimes_to_try

__all__ = ["MicroStream"]

# Exact in binary.
_FEATURE_PER_RAW = 10 / 256


class MicroStream:
    """A microWakeWord model on a stream of raw frames.

    Args:
        bundle: of kind "microwakeword".
        runtime: "litert", "tflite-runtime" or "tf"; None takes the first that works.

    Raises:
        BundleError: the model is damaged or is no microWakeWord version 2 model.
        ConfigError: no such runtime, or "numpy", which has no resource variables.
        DeviceError: no TFLite runtime works here.
    """

    def __init__(self, bundle: Bundle, runtime: str | None = None) -> None:
        if runtime == "numpy":
            raise ConfigError("runtime='numpy': a microWakeWord model needs a TFLite runtime")
        self.words = bundle.words
        self._model = bundle.model_bytes
        try:
            self.stride, frames, score = check_micro_graph(self._model)
        except BundleError as exc:
            raise BundleError(f"{bundle.path}: {exc}; it is no microWakeWord v2 model") from exc
        self._quantised = _stored_features(frames)
        self._probs = score.probs()
        self._nothing = np.empty((0, 1), np.float32)
        self._runtime = self._first_working(runtime)
        self.reset()

    def _first_working(self, runtime: str | None) -> str:
        """Return the first runtime that opens the model."""
        reasons = []
        for name in runtimes_to_try(runtime):
            if name == "numpy":
                continue
            try:
                open_interpreter(self._model, name)
            except DeviceError as exc:
                reasons.append(str(exc))
                continue
            return name
        raise DeviceError(
            "no TFLite runtime works here, and a microWakeWord model needs one: "
            + ("; ".join(reasons) or "pip install ai-edge-litert")
        )

    def reset(self) -> None:
        """Forget the stream: a new interpreter, since nothing else clears its variables."""
        self._interpreter = open_interpreter(self._model, self._runtime)
        self._frames = int(self._interpreter.get_input_details()[0]["index"])
        self._score = int(self._interpreter.get_output_details()[0]["index"])
        self._pending: NDArray[np.uint16] | None = None

    def feed(self, frames: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Take frames (T, 40), any T; return the probabilities (n, 1) of the steps completed."""
        if self._pending is not None:
            frames = np.concatenate((self._pending, frames))
        usable = len(frames) // self.stride * self.stride
        self._pending = frames[usable:].copy() if usable < len(frames) else None
        if not usable:
            return self._nothing
        batch = self._quantised[frames[:usable]][None]
        interpreter, scores = self._interpreter, []
        for start in range(0, usable, self.stride):
            interpreter.set_tensor(self._frames, batch[:, start : start + self.stride])
            interpreter.invoke()
            scores.append(interpreter.get_tensor(self._score))
        return self._probs[np.concatenate(scores).view(np.uint8)]


def _stored_features(how: Quantised) -> NDArray[Any]:
    """Return the stored value of each raw feature 0 .. 65535.

    As ``pymicro-wakeword`` does it, in float64, but clipped: theirs wraps around at the loudest.
    """
    limits = np.iinfo(how.dtype)
    stored = np.rint(np.arange(65_536) * _FEATURE_PER_RAW / how.scale + how.zero_point)
    return np.asarray(np.clip(stored, limits.min, limits.max), how.dtype)
