"""Layers above each other, and a pair of them in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from wakeword.errors import ConfigError

__all__ = ["Bidirectional", "Stack"]

Tensor = Any
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


def _through(steps: Sequence[Step], x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Run the steps of layers from the lowest up, each with its part of the state."""
    after = []
    for step, before in zip(steps, state, strict=True):
        x, new = step(x, before)
        after.append(new)
    return x, tuple(after)


class Stack(keras.layers.Layer):
    """Recurrent layers above each other; the state is the tuple of theirs.

    Args:
        layers: from the lowest to the highest, each a ``Recurrent``, ``Bidirectional`` or
            ``Stack``.
        dropout: share of the inputs of each layer that is dropped in training (Zaremba et al. 2014,
            arXiv:1409.2329: never of the state).
        name: of the layer.

    Raises:
        ConfigError: no layers, or a share outside [0, 1).
    """

    def __init__(
        self, layers: Sequence[Any], *, dropout: float = 0.0, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.supports_masking = True
        if not layers:
            raise ConfigError("layers: need at least one")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout={dropout}: need 0 <= dropout < 1")
        self.layers = list(layers)
        self.drops = [keras.layers.Dropout(dropout) if dropout else None for _ in layers]

    @property
    def streamable(self) -> bool:
        """Whether every layer is."""
        return all(layer.streamable for layer in self.layers)

    def build(self, shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of ``shape`` (B, T, F)."""
        for layer in self.layers:
            if not layer.built:
                layer.build(shape)
                layer.built = True
            shape = layer.compute_output_shape(shape)

    def initial_state(self, batch: Any) -> Any:
        """Zeros for ``batch`` sequences."""
        return tuple(layer.initial_state(batch) for layer in self.layers)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: x (B, F) -> y (B, H) and the next state."""
        return _through([layer.step for layer in self.layers], x, state)

    def plain_step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The step as it is exported; see ``Recurrent.plain_step``."""
        return _through([layer.plain_step for layer in self.layers], x, state)

    def call(
        self,
        x: Tensor,
        initial_state: Any = None,
        mask: Tensor = None,
        return_state: bool = False,
        training: bool = False,
    ) -> Any:
        """Run over sequences; see ``Recurrent.call``."""
        before = [None] * len(self.layers) if initial_state is None else initial_state
        after = []
        for layer, drop, state in zip(self.layers, self.drops, before, strict=True):
            if drop is not None:
                x = drop(x, training=training)
            x, new = layer(x, initial_state=state, mask=mask, return_state=True)
            after.append(new)
        return (x, tuple(after)) if return_state else x

    def compute_output_shape(self, shape: Any, **_: Any) -> Any:
        """Return the shape of y."""
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def cells(self) -> list[Any]:
        """Give the numpy cells, from the lowest to the highest."""
        return [layer.cell() for layer in self.layers]


class Bidirectional(keras.layers.Layer):
    """Two layers over the same sequence, one from its end; y is both outputs side by side.

    It needs the whole sequence before its first output: it is not ``streamable``, its step refuses.

    Args:
        forward: runs from the start.
        backward: runs from the end, over what the mask leaves.
        name: of the layer.

    Source: Schuster and Paliwal 1997, doi:10.1109/78.650093.
    """

    streamable = False

    def __init__(self, forward: Any, backward: Any, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.supports_masking = True
        self.forward = forward
        self.backward = backward

    def build(self, shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of ``shape`` (B, T, F)."""
        for layer in (self.forward, self.backward):
            if not layer.built:
                layer.build(shape)
                layer.built = True

    def initial_state(self, batch: Any) -> Any:
        """Zeros of both layers."""
        return self.forward.initial_state(batch), self.backward.initial_state(batch)

    def step(self, x: Tensor, state: Any) -> Any:
        """Refuse: the last step comes first.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "a bidirectional layer has no step: it needs the end of the sequence first; use a "
            "layer whose `streamable` is true, or run it on whole sequences"
        )

    plain_step = step

    def call(
        self,
        x: Tensor,
        initial_state: Any = None,
        mask: Tensor = None,
        return_state: bool = False,
    ) -> Any:
        """Run over sequences x (B, T, F): y (B, T, 2 H); the state is (forward's, backward's)."""
        ahead, behind = initial_state or (None, None)
        y, last = self.forward(x, initial_state=ahead, mask=mask, return_state=True)
        back, first = self.backward(
            x, initial_state=behind, mask=mask, return_state=True, reverse=True
        )
        both = tf.concat([y, back], axis=-1)
        return (both, (last, first)) if return_state else both

    def compute_output_shape(self, shape: Any, **_: Any) -> Any:
        """Return the shape of y."""
        return (*shape[:2], self.forward.units + self.backward.units)
