"""Which weights a run ends with: their average over its last part, where that missed the fewest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Check", "Checkpoints", "Model", "Weights", "asking"]

Weights = list[NDArray[Any]]
# From features (B, T, 40) to probabilities (B, T // stride, words).
Model = Callable[[NDArray[np.uint16]], NDArray[np.float32]]
Check = Callable[[Model], float]  # the share of the words that a model misses


class Checkpoints:
    """Average the weights of a model as it trains, and keep the average that missed the fewest.

    Args:
        model: of Keras.
        ask: tells what a model with other weights misses; without it the last average is kept.
    """

    def __init__(self, model: Any, ask: Callable[[Weights], float] | None) -> None:
        self.model = model
        self.ask = ask
        self.fewest = np.inf
        self._count = 0
        self._average: Weights | None = None
        self._best: Weights | None = None

    @property
    def weights(self) -> Weights | None:
        """The weights to end with; None before the first is added."""
        return self._average if self._best is None else self._best

    def add(self) -> None:
        """Take what the model's weights are now into the average."""
        now = [np.asarray(variable) for variable in self.model.variables]
        self._count += 1
        if self._average is None:
            self._average = now
        else:
            self._average = [
                a + (n - a) * (1 / self._count) for a, n in zip(self._average, now, strict=True)
            ]

    def forget(self) -> None:
        """Drop the average; what was best stays."""
        self._count, self._average = 0, None

    def look(self) -> float | None:
        """Check the average and keep it if none before it missed fewer; tell what it misses."""
        if self.ask is None or self._average is None:
            return None
        missed = self.ask(self._average)
        if missed <= self.fewest:  # later is better where they are equal: it averages more
            self.fewest, self._best = missed, self._average
        return missed

    def state(self) -> dict[str, Any]:
        """Give everything as arrays, to save."""
        found: dict[str, Any] = {"averaged": np.int64(self._count)}
        for letter, weights in (("a", self._average), ("b", self._best)):
            found |= {f"{letter}{i}": w for i, w in enumerate(weights or ())}
        if self._best is not None:
            found["fewest"] = np.float64(self.fewest)
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`state` gave."""
        self._count = int(state["averaged"])
        indices = range(len(self.model.variables))
        self._average = [state[f"a{i}"] for i in indices] if "a0" in state else None
        self._best = [state[f"b{i}"] for i in indices] if "b0" in state else None
        self.fewest = float(state["fewest"]) if "fewest" in state else np.inf


def asking(model: Any, words: int, check: Check | None) -> Callable[[Weights], float] | None:
    """Let a check judge other weights of a trigger model, whose own are left as they are.

    Args:
        model: of Keras.
        words: its first heads, which are checked.
        check: what to ask, if anything.
    """
    if check is None:
        return None
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def told(trained: Any, others: Any, x: Any) -> Any:
        x = tf.cast(x, tf.float32) / 256.0
        return model.stateless_call(trained, others, x, training=False)[0]

    def ask(weights: Weights) -> float:
        by_id = {id(v): w for v, w in zip(model.variables, weights, strict=True)}
        trained = [tf.constant(by_id[id(v)]) for v in model.trainable_variables]
        others = [tf.constant(by_id[id(v)]) for v in model.non_trainable_variables]
        return check(lambda x: np.asarray(told(trained, others, tf.constant(x)))[:, :, :words])

    return ask
