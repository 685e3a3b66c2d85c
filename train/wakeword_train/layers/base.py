"""What every recurrent layer shares: its weights, the loop over time, the mask and the step.

A sequence costs one product with all inputs at once and, in the loop, one with the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from wakeword.errors import ConfigError

__all__ = ["OfState", "Recurrent", "State", "Tensor"]

Tensor = Any
State = Any
"""One tensor (B, H), or of an LSTM the pair (h, c)."""
OfState = Callable[[int, Tensor], Tensor]
"""The product of one gate's recurrent weights with a state: (gate, h) -> (B, H)."""


class Recurrent(keras.layers.Layer):
    """What the recurrent layers share: weights, the loop over time, the mask and the step.

    Args:
        units: H, size of the state.
        name: of the layer.

    Raises:
        ConfigError: ``units`` is below 1.
    """

    gates: ClassVar[int]
    streamable = True

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.supports_masking = True
        if units < 1:
            raise ConfigError(f"units={units}: need at least 1")
        self.units = units
        self.peephole: Any = None

    def build(self, shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of ``shape`` (..., F)."""
        width = self.gates * self.units
        self.kernel = self.add_weight(
            shape=(shape[-1], width), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent = self.add_weight(
            shape=(self.units, width), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=self._bias_shape(), initializer=self._bias_start, name="bias"
        )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_start(self, shape: Any, dtype: Any = None) -> Tensor:
        return tf.zeros(shape, dtype or tf.float32)

    def initial_state(self, batch: Any) -> State:
        """Zeros for ``batch`` sequences."""
        return tf.zeros((batch, self.units), self.compute_dtype)

    def combine(
        self, of_x: Sequence[Tensor], of_h: OfState, state: State, peephole: Tensor = None
    ) -> State:
        """Apply the layer's equations to the products with its weights.

        Args:
            of_x: per gate x W + b, (B, H).
            of_h: gives h U of one gate.
            state: before the step.
            peephole: of an LSTM that has them, (3, H).
        """
        raise NotImplementedError

    @staticmethod
    def output(state: State) -> Tensor:
        """Return y, (B, H), which is h."""
        return state[0] if isinstance(state, (tuple, list)) else state

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: x (B, F) and a state -> y (B, H) and the next state."""
        if not self.built:
            self.build(x.shape)
        state = self._advance(self._of_x(x), state)
        return self.output(state), state

    def call(
        self,
        x: Tensor,
        initial_state: State = None,
        mask: Tensor = None,
        return_state: bool = False,
        reverse: bool = False,
    ) -> Any:
        """Run over sequences.

        Args:
            x: shape (B, T, F).
            initial_state: zeros where it is None.
            mask: shape (B, T), true where there is input. Elsewhere state and y stay what they
                were, as in Keras.
            return_state: give the last state too.
            reverse: run from the last step to the first.

        Returns:
            y (B, T, H), or y and the state.
        """
        if initial_state is None:
            initial_state = self.initial_state(tf.shape(x)[0])
        of_x = tf.transpose(self._of_x(x), (1, 0, 2))
        steps = tf.shape(of_x)[0]
        inputs = tf.TensorArray(of_x.dtype, steps).unstack(of_x)
        masks = None
        if mask is not None:
            there = tf.transpose(tf.cast(mask, tf.bool))[:, :, None]
            masks = tf.TensorArray(tf.bool, steps).unstack(there)

        def body(t: Tensor, state: State, found: Any) -> Any:
            at = steps - 1 - t if reverse else t
            new = self._advance(inputs.read(at), state)
            if masks is not None:
                now = masks.read(at)
                new = tf.nest.map_structure(lambda a, b: tf.where(now, a, b), new, state)
            return t + 1, new, found.write(at, self.output(new))

        found = tf.TensorArray(of_x.dtype, steps, element_shape=(x.shape[0], self.units))
        _, state, found = tf.while_loop(
            lambda t, *_: t < steps, body, (0, initial_state, found), maximum_iterations=steps
        )
        y = tf.transpose(found.stack(), (1, 0, 2))
        y.set_shape((x.shape[0], x.shape[1], self.units))
        return (y, state) if return_state else y

    def compute_output_shape(self, shape: Any, **_: Any) -> tuple[int | None, ...]:
        """Return the shape of y."""
        return (shape[0], shape[1], self.units)

    def plain_step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The step with its weights as constants and one product a gate, as it is exported.

        A product of its own gives each gate a scale of its own when it is quantised.
        """
        with tf.init_scope():  # the values, also while a graph is traced
            kernel, recurrent, bias_x, bias_h = self._constants()
            peephole = None if self.peephole is None else np.asarray(self.peephole)

        def part(array: Any, gate: int) -> Any:
            return array[..., gate * self.units : (gate + 1) * self.units]

        def of_h(gate: int, h: Tensor) -> Tensor:
            product = tf.matmul(h, part(recurrent, gate))
            return product if bias_h is None else product + part(bias_h, gate)

        of_x = [tf.matmul(x, part(kernel, g)) + part(bias_x, g) for g in range(self.gates)]
        state = self.combine(of_x, of_h, state, peephole)
        return self.output(state), state

    def cell(self) -> Any:
        """Give the numpy cell with these weights."""
        raise NotImplementedError

    def _constants(self) -> tuple[Any, Any, Any, Any]:
        """Kernel, recurrent kernel, bias of x, and bias of the product with h or None."""
        return np.asarray(self.kernel), np.asarray(self.recurrent), np.asarray(self.bias), None

    def _of_x(self, x: Tensor) -> Tensor:
        """All gates' x W + b in one product, (..., gates * H)."""
        return tf.matmul(x, self.kernel) + self.bias

    def _of_h(self, h: Tensor) -> Tensor:
        """All gates' h U in one product."""
        return tf.matmul(h, self.recurrent)

    def _advance(self, of_x: Tensor, state: State) -> State:
        h = self.output(state)
        product = tf.split(self._of_h(h), self.gates, axis=-1)

        def of_h(gate: int, value: Tensor) -> Tensor:
            if value is h:
                return product[gate]
            first = gate * self.units
            return tf.matmul(value, self.recurrent[:, first : first + self.units])

        return self.combine(tf.split(of_x, self.gates, axis=-1), of_h, state, self.peephole)
