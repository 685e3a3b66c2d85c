"""Backpropagation through time, written out in numpy for the cells of :mod:`wakeword.cells`.

Forward, a cell goes from step to step and keeps what it computed. Backward, the loss's gradient
with respect to the state goes from the last step to the first. With d for that gradient, W and U
the weights of x and h, a = x W + h U + b what goes into a gate, and h, c the state before a step:

SimpleRNN
    da = dh' * (1 - h'^2)
SimpleGRU
    da_z = dh' * (n - h) * z (1 - z),   da_n = dh' * z * (1 - n^2),   dh += dh' * (1 - z)
GRU
    da_z = dh' * (h - n) * z (1 - z),   da_n = dh' * (1 - z) * (1 - n^2),   dh += dh' * z
    reset after the product q = h Un + cn:    dq = da_n * r,   da_r = da_n * q * r (1 - r)
    reset before it:   d(r h) = da_n Un^T,   da_r = d(r h) * h * r (1 - r),   dh += d(r h) * r
LSTM
    da_o = dh' * tanh(c') * o (1 - o)
    dc' += dh' * o * (1 - tanh(c')^2) + da_o * po
    da_i = dc' * g * i (1 - i),   da_f = dc' * c * f (1 - f),   da_c = dc' * i * (1 - g^2)
    dc = dc' * f + da_i * pi + da_f * pf

and for each of them dW += x^T da, dU += h^T da, db += sum da, dx = da W^T, dh += da U^T.

Source: Werbos 1990, "Backpropagation through time: what it does and how to do it",
doi:10.1109/5.58337; the derivatives are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.cells import GRU, LSTM, SimpleGRU, SimpleRNN, sigmoid
from wakeword.errors import ConfigError

__all__ = [
    "Gradients",
    "Tape",
    "backward",
    "clip_by_global_norm",
    "clip_by_value",
    "forward",
    "global_norm",
    "reach",
]

Array = NDArray[Any]
Cell = SimpleRNN | SimpleGRU | GRU | LSTM
Weights = Mapping[str, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A run forward: the cell, its inputs (T, B, F), its outputs (T, B, H) and what steps kept."""

    cell: Cell
    x: Array
    y: Array
    kept: Sequence[Mapping[str, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """The loss's gradients.

    ``weights`` has the names of the cell's fields; ``x`` is (T, B, F); ``states`` (T + 1, B, S) are
    those with respect to the state before each step and after the last, for an LSTM h and c side by
    side.
    """

    weights: dict[str, Array]
    x: Array
    states: Array


def forward(cell: Cell, x: Array, state: Any = None) -> Tape:
    """Run a cell over sequences and keep what the way back needs.

    Args:
        cell: whose gates are the logistic function.
        x: shape (T, B, F), at least one step.
        state: to begin with; zeros where it is None.

    Raises:
        ConfigError: another shape, or gates that are not the logistic function.
    """
    if x.ndim != 3 or not len(x):
        raise ConfigError(f"x has shape {x.shape}: need (T, B, F) with T at least 1")
    if isinstance(cell, LSTM) and cell.gate is not sigmoid:
        raise ConfigError(
            "an LSTM with other gates than the logistic function has no gradient here"
        )
    if isinstance(cell, SimpleRNN) and cell.activation is not np.tanh:
        raise ConfigError("a SimpleRNN with another activation than tanh has no gradient here")
    state = cell.initial_state(x.shape[1]) if state is None else state
    kept, outputs = [], []
    for x_t in x:
        state, values = _STEPS[type(cell)][0](cell, x_t, state)
        kept.append(values)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return Tape(cell, x, np.stack(outputs), kept)


def backward(tape: Tape, dy: Array) -> Gradients:
    """Go back through a run.

    Args:
        tape: of :func:`forward`.
        dy: gradient of the loss with respect to each output, (T, B, H).

    Raises:
        ConfigError: ``dy`` has another shape than the outputs.
    """
    if dy.shape != tape.y.shape:
        raise ConfigError(f"dy has shape {dy.shape}: need that of the outputs, {tape.y.shape}")
    cell = tape.cell
    names = ["kernel", "recurrent", "bias"]
    if isinstance(cell, LSTM) and cell.peephole is not None:
        names.append("peephole")
    total = {name: np.zeros_like(getattr(cell, name)) for name in names}
    back = _STEPS[type(cell)][1]
    wide = 2 if isinstance(cell, LSTM) else 1
    after = np.zeros((dy.shape[1], wide * cell.units), dy.dtype)
    states, dx = [after], np.zeros_like(tape.x)
    for t in reversed(range(len(dy))):
        ahead = states[-1].copy()
        ahead[:, : cell.units] += dy[t]
        dx[t], before, parts = back(cell, tape.x[t], tape.kept[t], ahead)
        for name, part in parts.items():
            total[name] += part
        states.append(before)
    return Gradients(total, dx, np.stack(states[::-1]))


def global_norm(gradients: Weights) -> float:
    """Length of all gradients as one vector."""
    return float(np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values())))


def clip_by_value(gradients: Weights, limit: float) -> dict[str, Array]:
    """Cut each value to [-limit, limit]; the direction may change.

    >>> clip_by_value({"w": np.array([3.0, -0.1])}, 1.0)["w"].tolist()
    [1.0, -0.1]
    """
    if limit <= 0:
        raise ConfigError(f"limit={limit}: need above 0")
    return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}


def clip_by_global_norm(gradients: Weights, limit: float) -> dict[str, Array]:
    """Shorten all gradients together to at most ``limit``; the direction stays.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks",
        arXiv:1211.5063.

    >>> clip_by_global_norm({"w": np.array([3.0]), "b": np.array([4.0])}, 1.0)
    {'w': array([0.6]), 'b': array([0.8])}
    """
    if limit <= 0:
        raise ConfigError(f"limit={limit}: need above 0")
    factor = min(1.0, limit / max(global_norm(gradients), 1e-30))
    return {name: g * g.dtype.type(factor) for name, g in gradients.items()}


def reach(cell: Cell, x: Array, rng: np.random.Generator) -> Array:
    """How much of a gradient at the last step arrives at each step before.

    Args:
        cell: to look at.
        x: shape (T, B, F).
        rng: draws the direction of the gradient at the end.

    Returns:
        Shape (T + 1,): norm of the gradient with respect to the state so many steps before the
        end, relative to the one at the end; the mean over the batch.
    """
    tape = forward(cell, x)
    dy = np.zeros_like(tape.y)
    dy[-1] = rng.normal(size=dy[-1].shape)
    states = backward(tape, dy).states[::-1].copy()
    states[0, :, : cell.units] += dy[-1]
    norms = np.sqrt((states.astype(np.float64) ** 2).sum(axis=-1)).mean(axis=-1)
    return np.asarray(norms / norms[0])


def _common(cell: Cell, x: Array, h: Array, da: Array, dah: Array | None = None) -> Any:
    """What every cell's step back ends with: dx, dh, and the gradients of its weights."""
    dah = da if dah is None else dah
    parts = {"kernel": x.T @ da, "recurrent": h.T @ dah, "bias": da.sum(axis=0)}
    return da @ cell.kernel.T, dah @ cell.recurrent.T, parts


def _rnn(cell: SimpleRNN, x: Array, h: Array) -> Any:
    after, _ = cell.step(x, h)
    return after, {"h": h, "after": after}


def _rnn_back(cell: SimpleRNN, x: Array, kept: Weights, ahead: Array) -> Any:
    return _common(cell, x, kept["h"], ahead * (1 - kept["after"] ** 2))


def _simple_gru(cell: SimpleGRU, x: Array, h: Array) -> Any:
    gate, new = np.split(x @ cell.kernel + h @ cell.recurrent + cell.bias, 2, axis=-1)
    z, n = sigmoid(gate), np.tanh(new)
    return z * n + (1 - z) * h, {"h": h, "z": z, "n": n}


def _simple_gru_back(cell: SimpleGRU, x: Array, kept: Weights, ahead: Array) -> Any:
    h, z, n = kept["h"], kept["z"], kept["n"]
    da = np.concatenate([ahead * (n - h) * z * (1 - z), ahead * z * (1 - n**2)], axis=1)
    dx, dh, parts = _common(cell, x, h, da)
    return dx, dh + ahead * (1 - z), parts


def _gru(cell: GRU, x: Array, h: Array) -> Any:
    units = cell.units
    of_x = x @ cell.kernel + (cell.bias[0] if cell.reset_after else cell.bias)
    of_h = h @ cell.recurrent + (cell.bias[1] if cell.reset_after else 0)
    z, r = np.split(sigmoid(of_x[:, : 2 * units] + of_h[:, : 2 * units]), 2, axis=-1)
    if cell.reset_after:
        q = of_h[:, 2 * units :]
        inner = r * q
    else:
        q = np.empty(0)
        inner = (r * h) @ cell.recurrent[:, 2 * units :]
    n = np.tanh(of_x[:, 2 * units :] + inner)
    return z * h + (1 - z) * n, {"h": h, "z": z, "r": r, "n": n, "q": q}


def _gru_back(cell: GRU, x: Array, kept: Weights, ahead: Array) -> Any:
    h, z, r, n, q = (kept[name] for name in ("h", "z", "r", "n", "q"))
    units = cell.units
    da_z = ahead * (h - n) * z * (1 - z)
    da_n = ahead * (1 - z) * (1 - n**2)
    if cell.reset_after:
        da_r = da_n * q * r * (1 - r)
        da = np.concatenate([da_z, da_r, da_n], axis=1)
        dah = np.concatenate([da_z, da_r, da_n * r], axis=1)
        dx, dh, parts = _common(cell, x, h, da, dah)
        parts["bias"] = np.stack([parts["bias"], dah.sum(axis=0)])
        return dx, dh + ahead * z, parts
    of_reset = da_n @ cell.recurrent[:, 2 * units :].T  # d(r h)
    da_r = of_reset * h * r * (1 - r)
    da = np.concatenate([da_z, da_r, da_n], axis=1)
    dx, _, parts = _common(cell, x, h, da)
    parts["recurrent"][:, 2 * units :] = (r * h).T @ da_n
    dh = da[:, : 2 * units] @ cell.recurrent[:, : 2 * units].T
    return dx, dh + of_reset * r + ahead * z, parts


def _lstm(cell: LSTM, x: Array, state: tuple[Array, Array]) -> Any:
    h, c = state
    a_i, a_f, a_c, a_o = np.split(x @ cell.kernel + h @ cell.recurrent + cell.bias, 4, axis=-1)
    pi, pf, po = (0, 0, 0) if cell.peephole is None else cell.peephole
    i, f, g = sigmoid(a_i + pi * c), sigmoid(a_f + pf * c), np.tanh(a_c)
    after = f * c + i * g
    o = sigmoid(a_o + po * after)
    kept = {"h": h, "c": c, "i": i, "f": f, "g": g, "o": o, "after": after}
    return (o * np.tanh(after), after), kept


def _lstm_back(cell: LSTM, x: Array, kept: Weights, ahead: Array) -> Any:
    h, c, i, f, g, o, after = (kept[n] for n in ("h", "c", "i", "f", "g", "o", "after"))
    dh, dc = np.split(ahead, 2, axis=1)
    pi, pf, po = (0, 0, 0) if cell.peephole is None else cell.peephole
    out = np.tanh(after)
    da_o = dh * out * o * (1 - o)
    dc = dc + dh * o * (1 - out**2) + da_o * po
    da_i, da_f = dc * g * i * (1 - i), dc * c * f * (1 - f)
    da = np.concatenate([da_i, da_f, dc * i * (1 - g**2), da_o], axis=1)
    dx, dh, parts = _common(cell, x, h, da)
    if cell.peephole is not None:
        parts["peephole"] = np.stack([(da_i * c).sum(0), (da_f * c).sum(0), (da_o * after).sum(0)])
    return dx, np.concatenate([dh, dc * f + da_i * pi + da_f * pf], axis=1), parts


_STEPS: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    SimpleRNN: (_rnn, _rnn_back),
    SimpleGRU: (_simple_gru, _simple_gru_back),
    GRU: (_gru, _gru_back),
    LSTM: (_lstm, _lstm_back),
}
