"""Recurrent layers in TensorFlow, with the equations and weights of :mod:`wakeword.cells`.

Weights lie as Keras has them, so ``ours.set_weights(theirs.get_weights())`` works for SimpleRNN,
GRU and LSTM. The gates by their names in Ng's deep learning course, in ours, and their place in
Keras's kernels:

====================  ===========================  =========================
course                here                         Keras
====================  ===========================  =========================
candidate h~ or c~    ``n``; LSTM: ``new``         GRU 2; LSTM 2
update gate (GRU)     ``z`` = 1 - course's         GRU 0: 1 keeps the state
update gate (LSTM)    ``i``, the input gate        LSTM 0
forget gate           ``f``                        LSTM 1
relevance gate        ``r``, the reset gate        GRU 1
output gate           ``o``                        LSTM 3
====================  ===========================  =========================

In SimpleGRU the update gate points the course's way: 1 takes the candidate.

A sequence costs one product with all inputs at once and, in the loop, one with the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from wakeword import cells
from wakeword.errors import ConfigError

__all__ = ["GRU", "LSTM", "Recurrent", "SimpleGRU", "SimpleRNN", "hard_sigmoid"]

Tensor = Any
State = Any
"""One tensor (B, H), or of an LSTM the pair (h, c)."""
OfState = Callable[[int, Tensor], Tensor]
"""The product of one gate's recurrent weights with a state: (gate, h) -> (B, H)."""


def hard_sigmoid(x: Tensor) -> Tensor:
    """Keras 2's straight-line sigmoid, 0.2 x + 0.5 within [0, 1]; Keras 3's has slope 1/6."""
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


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


class SimpleRNN(Recurrent):
    """Elman's layer: h' = tanh(x W + h U + b). See :class:`wakeword.cells.SimpleRNN`."""

    gates = 1

    def combine(
        self, of_x: Sequence[Tensor], of_h: OfState, state: State, peephole: Tensor = None
    ) -> State:
        """Return h'."""
        return tf.tanh(of_x[0] + of_h(0, state))

    def cell(self) -> cells.SimpleRNN:
        """Give the numpy cell with these weights."""
        kernel, recurrent, bias, _ = self._constants()
        return cells.SimpleRNN(kernel=kernel, recurrent=recurrent, bias=bias)


class SimpleGRU(Recurrent):
    """The simplified GRU, with no reset gate; see :class:`wakeword.cells.SimpleGRU`.

    z = s(x Wz + h Uz + bz),  n = tanh(x Wn + h Un + bn),  h' = h + z * (n - h)
    """

    gates = 2

    def combine(
        self, of_x: Sequence[Tensor], of_h: OfState, state: State, peephole: Tensor = None
    ) -> State:
        """Return h'."""
        z = tf.sigmoid(of_x[0] + of_h(0, state))
        n = tf.tanh(of_x[1] + of_h(1, state))
        return state + z * (n - state)

    def cell(self) -> cells.SimpleGRU:
        """Give the numpy cell with these weights."""
        kernel, recurrent, bias, _ = self._constants()
        return cells.SimpleGRU(kernel=kernel, recurrent=recurrent, bias=bias)


class GRU(Recurrent):
    """The gated recurrent unit; see :class:`wakeword.cells.GRU`.

    z = s(x Wz + h Uz + bz),  r = s(x Wr + h Ur + br)
    n = tanh(x Wn + bn + r * (h Un + cn)), or tanh(x Wn + bn + (r * h) Un)
    h' = n + z * (h - n)

    Args:
        units: H.
        reset_after: whether the reset gate acts after the product with the state, as Keras has it
            and as it is exported in fewer operations; the course and Cho et al. reset before it.
        name: of the layer.
    """

    gates = 3

    def __init__(self, units: int, *, reset_after: bool = True, name: str | None = None) -> None:
        super().__init__(units, name=name)
        self.reset_after = reset_after

    def combine(
        self, of_x: Sequence[Tensor], of_h: OfState, state: State, peephole: Tensor = None
    ) -> State:
        """Return h'."""
        z = tf.sigmoid(of_x[0] + of_h(0, state))
        r = tf.sigmoid(of_x[1] + of_h(1, state))
        inner = r * of_h(2, state) if self.reset_after else of_h(2, r * state)
        n = tf.tanh(of_x[2] + inner)
        return n + z * (state - n)

    def cell(self) -> cells.GRU:
        """Give the numpy cell with these weights."""
        kernel, recurrent = np.asarray(self.kernel), np.asarray(self.recurrent)
        return cells.GRU(kernel=kernel, recurrent=recurrent, bias=np.asarray(self.bias))

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _constants(self) -> tuple[Any, Any, Any, Any]:
        bias = np.asarray(self.bias)
        of_x, of_h = (bias[0], bias[1]) if self.reset_after else (bias, None)
        return np.asarray(self.kernel), np.asarray(self.recurrent), of_x, of_h

    def _of_x(self, x: Tensor) -> Tensor:
        return tf.matmul(x, self.kernel) + (self.bias[0] if self.reset_after else self.bias)

    def _of_h(self, h: Tensor) -> Tensor:
        product = tf.matmul(h, self.recurrent)
        return product + self.bias[1] if self.reset_after else product


class LSTM(Recurrent):
    """Long short-term memory; see :class:`wakeword.cells.LSTM`. Its state is (h, c).

    i = s(x Wi + h Ui + bi + pi * c),  f = s(x Wf + h Uf + bf + pf * c)
    c' = f * c + i * tanh(x Wc + h Uc + bc)
    o = s(x Wo + h Uo + bo + po * c'),  h' = o * tanh(c')

    Args:
        units: H.
        peepholes: let the gates see the cell: pi, pf, po, zero at first.
        hard: use :func:`hard_sigmoid` for s(), as files of Keras 2 often do.
        name: of the layer.
    """

    gates = 4

    def __init__(
        self, units: int, *, peepholes: bool = False, hard: bool = False, name: str | None = None
    ) -> None:
        super().__init__(units, name=name)
        self.peepholes = peepholes
        self.hard = hard

    def build(self, shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of ``shape`` (..., F)."""
        super().build(shape)
        if self.peepholes:
            self.peephole = self.add_weight(
                shape=(3, self.units), initializer="zeros", name="peephole"
            )

    def initial_state(self, batch: Any) -> State:
        """(h, c), zeros."""
        return super().initial_state(batch), super().initial_state(batch)

    def combine(
        self, of_x: Sequence[Tensor], of_h: OfState, state: State, peephole: Tensor = None
    ) -> State:
        """Return (h', c')."""
        h, c = state
        gate = hard_sigmoid if self.hard else tf.sigmoid
        i, f, new, o = (of_x[g] + of_h(g, h) for g in range(4))
        if peephole is not None:
            i, f = i + peephole[0] * c, f + peephole[1] * c
        c = gate(f) * c + gate(i) * tf.tanh(new)
        if peephole is not None:
            o = o + peephole[2] * c
        return gate(o) * tf.tanh(c), c

    def cell(self) -> cells.LSTM:
        """Give the numpy cell with these weights."""
        kernel, recurrent, bias, _ = self._constants()
        peephole = None if self.peephole is None else np.asarray(self.peephole)
        gate = cells.hard_sigmoid if self.hard else cells.sigmoid
        return cells.LSTM(
            kernel=kernel, recurrent=recurrent, bias=bias, peephole=peephole, gate=gate
        )

    def _bias_start(self, shape: Any, dtype: Any = None) -> Tensor:
        """Zero, but 1 for the forget gate: at first the cell remembers (Jozefowicz 2015)."""
        forget = tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype or tf.float32), self.units)
        return tf.reshape(forget, shape)
