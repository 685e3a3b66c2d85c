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
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from wakeword import cells
from wakeword.errors import ConfigError
from wakeword_train.layers.base import OfState, Recurrent, State, Tensor

__all__ = ["GRU", "LSTM", "SimpleGRU", "SimpleRNN", "hard_sigmoid", "remember"]


def hard_sigmoid(x: Tensor) -> Tensor:
    """Keras 2's straight-line sigmoid, 0.2 x + 0.5 within [0, 1]; Keras 3's has slope 1/6."""
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


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


def remember(layer: SimpleGRU | GRU | LSTM, steps: int, rng: np.random.Generator) -> None:
    """Let a gated layer that is built begin with memories of up to ``steps`` steps.

    The gate that keeps the state gets the bias log(u), u drawn from 1 to steps - 1, so that it
    begins open for about 1 + u steps; an LSTM's input gate gets -log(u).

    Raises:
        ConfigError: fewer than 3 steps.

    Source: Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", arXiv:1804.11188.
    """
    if steps < 3:
        raise ConfigError(f"steps={steps}: need at least 3")
    units = layer.units
    far = np.log(rng.uniform(1, steps - 1, units)).astype(np.float32)
    bias = np.asarray(layer.bias).copy()
    if isinstance(layer, LSTM):
        bias[:units], bias[units : 2 * units] = -far, far
    elif isinstance(layer, SimpleGRU):
        bias[:units] = -far  # where 1 takes the new value
    else:
        (bias[0] if layer.reset_after else bias)[:units] = far
    layer.bias.assign(bias)
