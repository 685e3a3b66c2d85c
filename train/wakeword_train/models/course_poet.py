"""The poet of the deep learning course: a Keras 2 file of two LSTMs, read and run in numpy.

The course gives the model the last 40 characters, each one-hot, zeros where there are fewer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.attention import softmax
from wakeword.cells import LSTM, hard_sigmoid, sigmoid
from wakeword.errors import BundleError
from wakeword.vocabulary import Vocabulary

__all__ = ["CoursePoet", "course_vocabulary", "read_poet"]

GATES = {"hard_sigmoid": hard_sigmoid, "sigmoid": sigmoid}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePoet:
    """Layers of LSTM and a softmax over the next character.

    ``window`` is how many characters it looks at; ``gate`` is the name of what its gates are.
    """

    cells: tuple[LSTM, ...]
    head: NDArray[np.float32]
    bias: NDArray[np.float32]
    window: int
    gate: str

    def next_probs(self, tokens: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (V,) of the character that follows ``tokens``, as the course asks."""
        size = self.cells[0].kernel.shape[0]
        x = np.zeros((self.window, size), np.float32)
        last = np.asarray(tokens)[-self.window :]
        x[self.window - len(last) + np.arange(len(last)), last] = 1
        states: list[Any] = [cell.initial_state() for cell in self.cells]
        y = x[0]
        for row in x:
            y = row
            for i, cell in enumerate(self.cells):
                y, states[i] = cell.step(y, states[i])
        return np.asarray(softmax(y @ self.head + self.bias), np.float32)


def course_vocabulary(text: str) -> Vocabulary:
    """Number the characters of the course's sonnets as the course does: lower case, sorted."""
    return Vocabulary.of_chars([text.lower()])


def read_poet(path: Path) -> CoursePoet:
    """Read the file, weights only: nothing in it is run.

    Raises:
        BundleError: it is not such a model.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            recurrent = [e["config"] for e in layers if e["class_name"] == "LSTM"]
            dense = next(e["config"]["name"] for e in layers if e["class_name"] == "Dense")
            window = int(layers[0]["config"]["batch_input_shape"][1])

            def weights(name: str, *kinds: str) -> list[NDArray[np.float32]]:
                group = file["model_weights"][name][name]
                return [np.asarray(group[f"{kind}:0"], np.float32) for kind in kinds]

            gate = recurrent[0]["recurrent_activation"]
            parts = [weights(e["name"], "kernel", "recurrent_kernel", "bias") for e in recurrent]
            head, bias = weights(dense, "kernel", "bias")
            cells = tuple(
                LSTM(kernel=k, recurrent=r, bias=b, gate=GATES[gate]) for k, r, b in parts
            )
    except (OSError, KeyError, IndexError, StopIteration, TypeError, ValueError) as exc:
        raise BundleError(f"{path}: not the course's Keras model: {exc!r}") from exc
    return CoursePoet(cells=cells, head=head, bias=bias, window=window, gate=gate)
