"""A neural language model from its bundle, on TFLite or numpy."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.steps import State
from wakeword.errors import BundleError, TextError
from wakeword.language.model import LanguageModel
from wakeword.sequence_bundle import SequenceBundle, read_sequence_bundle

__all__ = ["NeuralLanguageModel", "log_softmax"]

TASK = "language"


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Turn logits (..., V) into natural logarithms of probabilities.

    >>> np.exp(log_softmax(np.array([1000.0, 1000.0]))).round(4).tolist()
    [0.5, 0.5]
    """
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.asarray(shifted - total, np.float32)


class NeuralLanguageModel(LanguageModel):
    """A language model whose step is a graph: token and state in, logits and state out.

    Args:
        bundle: for the task "language", or the path of its JSON.
        runtime: see :class:`wakeword.step_graph.StepGraph`.

    Raises:
        BundleError: the bundle is damaged, for something else, or its vocabulary is of another
            size than the graph's output.
        ConfigError: no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """

    def __init__(
        self, bundle: SequenceBundle | str | os.PathLike[str], runtime: str | None = None
    ) -> None:
        if not isinstance(bundle, SequenceBundle):
            bundle = read_sequence_bundle(bundle, TASK)
        if bundle.task != TASK:
            raise BundleError(f"{bundle.path}: a model for {bundle.task!r}; need one for {TASK!r}")
        self.vocabulary = bundle.vocabulary()
        self.size = len(self.vocabulary)
        self.eos = self.vocabulary.eos_id
        self.graph = bundle.open("step", runtime)
        ends = (self.graph.inputs, self.graph.outputs)
        if ends != ({"tokens": (1,)}, {"logits": (1, self.size)}):
            raise BundleError(
                f"{bundle.path}: the graph takes {ends[0]} and gives {ends[1]}; with a vocabulary "
                f"of {self.size} symbols need tokens (1,) and logits (1, {self.size})"
            )
        start = bundle.settings.get("start")
        if not isinstance(start, int) or not 0 <= start < self.size:
            raise BundleError(f"{bundle.path}: start is {start!r}; need 0 to {self.size - 1}")
        self.start = start

    def initial_state(self, batch: int = 1) -> State:
        """State before the first token, in the graph's numbers."""
        return self.graph.initial_state(batch)

    def step(self, tokens: NDArray[Any], state: State) -> tuple[NDArray[np.float32], State]:
        """(B,) tokens and state -> (B, V) log-probabilities of the next token, and state.

        Raises:
            TextError: a number that no symbol has.
        """
        given = np.asarray(tokens)
        if given.size and not 0 <= given.min() <= given.max() < self.size:
            raise TextError(
                f"token {given.min() if given.min() < 0 else given.max()}: need 0 to "
                f"{self.size - 1}; encode the text with this model's vocabulary"
            )
        found, after = self.graph.run({"tokens": given}, state)
        return log_softmax(found["logits"]), after
