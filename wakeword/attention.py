"""Additive attention in plain numpy, for decoders that run where there is no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["NEVER", "AdditiveAttention", "softmax"]

Array = NDArray[Any]
NEVER = -1e9
"""Energy of a place that must not be attended to; its weight is exactly 0 in float32."""


def softmax(x: Array) -> Array:
    """Turn energies into weights along the last axis, without overflow.

    >>> softmax(np.array([1e9, 1e9, -1e9])).tolist()
    [0.5, 0.5, 0.0]
    """
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdditiveAttention:
    """Weigh the rows of a memory by how well they suit a query.

    e_s = v . tanh(q Wq + m_s Wm + b),  a = softmax(e),  context = sum_s a_s m_s

    Args:
        of_query: Wq, shape (Q, A).
        of_memory: Wm, shape (M, A).
        bias: b, shape (A,).
        energy: v, shape (A,).

    Raises:
        ConfigError: the shapes do not fit.

    Source: Bahdanau et al. 2015, "Neural machine translation by jointly learning to align and
        translate", arXiv:1409.0473.

    >>> one = np.ones((1, 1))
    >>> look = AdditiveAttention(of_query=one, of_memory=one, bias=np.zeros(1), energy=np.ones(1))
    >>> context, weights = look(np.zeros(1), np.array([[-9.0], [9.0]]))
    >>> weights.round(2).tolist()  # tanh is -1 and 1
    [0.12, 0.88]
    """

    of_query: Array
    of_memory: Array
    bias: Array
    energy: Array

    def __post_init__(self) -> None:
        units = self.energy.shape[0]
        for name in ("of_query", "of_memory", "bias"):
            array = getattr(self, name)
            if array.shape[-1] != units or array.ndim != (1 if name == "bias" else 2):
                raise ConfigError(f"{name} has shape {array.shape}: its last axis must be {units}")

    def prepare(self, memory: Array) -> Array:
        """Give m Wm + b, (..., S, A): the same for every query, so worked out once."""
        return np.asarray(memory @ self.of_memory + self.bias)

    def attend(
        self, query: Array, memory: Array, prepared: Array, mask: Array | None = None
    ) -> tuple[Array, Array]:
        """Attend to a memory that :meth:`prepare` has seen.

        Args:
            query: shape (..., Q).
            memory: shape (..., S, M).
            prepared: shape (..., S, A).
            mask: shape (..., S), true where the memory holds something; at least once.

        Returns:
            The context, (..., M), and the weights, (..., S), which sum to 1.
        """
        inner = np.tanh(prepared + (query @ self.of_query)[..., None, :])
        energies = inner @ self.energy
        if mask is not None:
            energies = np.where(mask, energies, energies.dtype.type(NEVER))
        weights = softmax(energies)
        return (weights[..., None] * memory).sum(axis=-2), weights

    def __call__(
        self, query: Array, memory: Array, mask: Array | None = None
    ) -> tuple[Array, Array]:
        """Attend to a memory: query (..., Q), memory (..., S, M)."""
        return self.attend(query, memory, self.prepare(memory), mask)
