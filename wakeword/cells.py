"""Recurrent cells in plain numpy, one time step at a time.

``step(x, state) -> (y, state)`` with x of shape (F,) or (B, F) and every state of shape (H,) or
(B, H); ``initial_state(batch)`` is zero. State and weights are values. The weights have the layout
Keras uses, so ``layer.get_weights()`` fits: gates side by side along the last axis, in the order
each class names.

In the formulas ``*`` is the product element by element, ``x W`` the matrix product and s() the
logistic function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["GRU", "LSTM", "SimpleGRU", "SimpleRNN", "hard_sigmoid", "sigmoid"]

Array = NDArray[Any]


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), without overflow for any finite or infinite x.

    >>> sigmoid(np.array([-1e9, 0.0, 1e9])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(x))  # in [0, 1]
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


def hard_sigmoid(x: Array) -> Array:
    """Straight-line sigmoid of Keras 2, whose files often ask for it: 0.2 x + 0.5 within [0, 1].

    Keras 3 has slope 1/6 under the same name.

    >>> hard_sigmoid(np.array([-3.0, 0.0, 1.0])).tolist()
    [0.0, 0.5, 0.7]
    """
    return np.asarray(np.clip(x.dtype.type(0.2) * x + x.dtype.type(0.5), 0, 1))


def _check(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ConfigError(f"{name} has shape {array.shape}: need {shape}")


def _zeros(units: int, batch: int | None, dtype: Any) -> Array:
    return np.zeros(units if batch is None else (batch, units), dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimpleRNN:
    """Elman's recurrent layer: h' = f(x W + h U + b), y = h'.

    Args:
        kernel: W, shape (F, H).
        recurrent: U, shape (H, H).
        bias: b, shape (H,).
        activation: f, tanh by default.

    Raises:
        ConfigError: the shapes do not fit.

    Source: Elman 1990, "Finding structure in time", doi:10.1207/s15516709cog1402_1.

    >>> one = np.ones((1, 1))
    >>> cell = SimpleRNN(kernel=one, recurrent=one, bias=np.zeros(1))
    >>> y, state = cell.step(np.array([0.5]), cell.initial_state())
    >>> np.allclose(y, np.tanh(0.5))
    True
    """

    kernel: Array
    recurrent: Array
    bias: Array
    activation: Callable[[Array], Array] = np.tanh

    def __post_init__(self) -> None:
        units = self.units
        _check("kernel", self.kernel, (self.kernel.shape[0], units))
        _check("recurrent", self.recurrent, (units, units))
        _check("bias", self.bias, (units,))

    @property
    def units(self) -> int:
        """Size of the state."""
        return int(self.recurrent.shape[0])

    def initial_state(self, batch: int | None = None) -> Array:
        """Zeros, (H,) or (batch, H)."""
        return _zeros(self.units, batch, self.kernel.dtype)

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        """One step: x (F,), h (H,) -> (y (H,), h' (H,))."""
        h = self.activation(x @ self.kernel + state @ self.recurrent + self.bias)
        return h, h


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimpleGRU:
    """The simplified gated recurrent unit, with an update gate and no reset gate.

    z = s(x Wz + h Uz + bz)        update gate: 1 takes the new value
    n = tanh(x Wn + h Un + bn)     candidate
    h' = z * n + (1 - z) * h,  y = h'

    Args:
        kernel: Wz, Wn side by side, shape (F, 2 H).
        recurrent: Uz, Un, shape (H, 2 H).
        bias: bz, bn, shape (2 H,).

    Raises:
        ConfigError: the shapes do not fit.

    Source: Zhou et al. 2016, "Minimal gated unit for recurrent neural networks",
        doi:10.1007/s11633-016-1006-2, reduced one step more: the candidate sees the whole state,
        as in introductory courses. The gate points the other way from :class:`GRU`.

    >>> cell = SimpleGRU(kernel=np.zeros((1, 2)), recurrent=np.zeros((1, 2)), bias=np.zeros(2))
    >>> cell.step(np.array([3.0]), np.array([0.5]))[0].tolist()  # the gate is half open
    [0.25]
    """

    kernel: Array
    recurrent: Array
    bias: Array

    def __post_init__(self) -> None:
        units = self.units
        _check("kernel", self.kernel, (self.kernel.shape[0], 2 * units))
        _check("recurrent", self.recurrent, (units, 2 * units))
        _check("bias", self.bias, (2 * units,))

    @property
    def units(self) -> int:
        """Size of the state."""
        return int(self.recurrent.shape[0])

    def initial_state(self, batch: int | None = None) -> Array:
        """Zeros, (H,) or (batch, H)."""
        return _zeros(self.units, batch, self.kernel.dtype)

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        """One step: x (F,), h (H,) -> (y (H,), h' (H,))."""
        gate, candidate = np.split(x @ self.kernel + state @ self.recurrent + self.bias, 2, axis=-1)
        z = sigmoid(gate)
        h = z * np.tanh(candidate) + (1 - z) * state
        return h, h


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GRU:
    """The gated recurrent unit, in both forms Keras knows.

    z = s(x Wz + h Uz + bz)        update gate: 1 keeps the old value
    r = s(x Wr + h Ur + br)        reset gate
    n = tanh(x Wn + bn + (r * h) Un)            reset before the product (Cho et al.)
    n = tanh(x Wn + bn + r * (h Un + cn))       reset after it (Keras 3's default; what we export)
    h' = z * h + (1 - z) * n,  y = h'

    Args:
        kernel: Wz, Wr, Wn side by side, shape (F, 3 H).
        recurrent: Uz, Ur, Un, shape (H, 3 H).
        bias: shape (3 H,): reset before; shape (2, 3 H): reset after, where the second row is added
            to the product with h (its first two thirds add to bz and br).

    Raises:
        ConfigError: the shapes do not fit.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder",
        arXiv:1406.1078 (version 3; version 1 resets after the product).

    >>> cell = GRU(kernel=np.zeros((1, 3)), recurrent=np.zeros((1, 3)), bias=np.zeros((2, 3)))
    >>> cell.reset_after, cell.step(np.array([3.0]), np.array([0.5]))[0].tolist()
    (True, [0.25])
    """

    kernel: Array
    recurrent: Array
    bias: Array

    def __post_init__(self) -> None:
        units = self.units
        _check("kernel", self.kernel, (self.kernel.shape[0], 3 * units))
        _check("recurrent", self.recurrent, (units, 3 * units))
        if self.bias.shape not in ((3 * units,), (2, 3 * units)):
            raise ConfigError(
                f"bias has shape {self.bias.shape}: need ({3 * units},), or (2, {3 * units}) to "
                "reset after the product"
            )

    @property
    def units(self) -> int:
        """Size of the state."""
        return int(self.recurrent.shape[0])

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the product with the state."""
        return self.bias.ndim == 2

    def initial_state(self, batch: int | None = None) -> Array:
        """Zeros, (H,) or (batch, H)."""
        return _zeros(self.units, batch, self.kernel.dtype)

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        """One step: x (F,), h (H,) -> (y (H,), h' (H,))."""
        units, h = self.units, state
        of_x = x @ self.kernel + (self.bias[0] if self.reset_after else self.bias)
        if self.reset_after:
            of_h = h @ self.recurrent + self.bias[1]
        else:
            of_h = h @ self.recurrent[:, : 2 * units]
        z = sigmoid(of_x[..., :units] + of_h[..., :units])
        r = sigmoid(of_x[..., units : 2 * units] + of_h[..., units : 2 * units])
        if self.reset_after:
            inner = r * of_h[..., 2 * units :]
        else:
            inner = (r * h) @ self.recurrent[:, 2 * units :]
        n = np.tanh(of_x[..., 2 * units :] + inner)
        h = z * h + (1 - z) * n
        return h, h


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LSTM:
    """Long short-term memory with a forget gate and, given ``peephole``, peephole connections.

    i = s(x Wi + h Ui + bi + pi * c)      input gate
    f = s(x Wf + h Uf + bf + pf * c)      forget gate
    c' = f * c + i * tanh(x Wc + h Uc + bc)
    o = s(x Wo + h Uo + bo + po * c')     output gate: its peephole sees the new cell
    h' = o * tanh(c'),  y = h'

    Args:
        kernel: Wi, Wf, Wc, Wo side by side, shape (F, 4 H).
        recurrent: Ui, Uf, Uc, Uo, shape (H, 4 H).
        bias: bi, bf, bc, bo, shape (4 H,).
        peephole: pi, pf, po, shape (3, H), or None (all zero).
        gate: s(), :func:`sigmoid` or :func:`hard_sigmoid`.

    Raises:
        ConfigError: the shapes do not fit.

    Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et
        al. 2000, doi:10.1162/089976600300015015; peepholes: Gers et al. 2002, "Learning precise
        timing with LSTM recurrent networks", https://www.jmlr.org/papers/v3/gers02a.html.

    >>> cell = LSTM(kernel=np.zeros((1, 4)), recurrent=np.zeros((1, 4)), bias=np.zeros(4))
    >>> y, (h, c) = cell.step(np.array([3.0]), (np.zeros(1), np.ones(1)))
    >>> c.tolist(), np.allclose(y, 0.5 * np.tanh(0.5))  # half forgotten, half let out
    ([0.5], True)
    """

    kernel: Array
    recurrent: Array
    bias: Array
    peephole: Array | None = None
    gate: Callable[[Array], Array] = sigmoid

    def __post_init__(self) -> None:
        units = self.units
        _check("kernel", self.kernel, (self.kernel.shape[0], 4 * units))
        _check("recurrent", self.recurrent, (units, 4 * units))
        _check("bias", self.bias, (4 * units,))
        if self.peephole is not None:
            _check("peephole", self.peephole, (3, units))

    @property
    def units(self) -> int:
        """Size of the state."""
        return int(self.recurrent.shape[0])

    def initial_state(self, batch: int | None = None) -> tuple[Array, Array]:
        """(h, c), zeros, each (H,) or (batch, H)."""
        zeros = _zeros(self.units, batch, self.kernel.dtype)
        return zeros, zeros.copy()

    def step(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        """One step: x (F,), (h, c) -> (y (H,), (h', c'))."""
        h, c = state
        i, f, new, o = np.split(x @ self.kernel + h @ self.recurrent + self.bias, 4, axis=-1)
        if self.peephole is not None:
            i, f = i + self.peephole[0] * c, f + self.peephole[1] * c
        c = self.gate(f) * c + self.gate(i) * np.tanh(new)
        if self.peephole is not None:
            o = o + self.peephole[2] * c
        h = self.gate(o) * np.tanh(c)
        return h, (h, c)
