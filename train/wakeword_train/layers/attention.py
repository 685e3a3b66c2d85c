"""Additive attention over a memory, in TensorFlow; :mod:`wakeword.attention` is its numpy twin."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wakeword import attention
from wakeword.errors import ConfigError

__all__ = ["AdditiveAttention"]

Tensor = Any


class AdditiveAttention(keras.layers.Layer):
    """Weigh the rows of a memory by how well they suit a query.

    e_s = v . tanh(q Wq + m_s Wm + b),  a = softmax(e),  context = sum_s a_s m_s

    In the course's words: q is the decoder's state s<t-1>, m the encoder's activations a<t'>,
    e<t, t'> the energies and alpha<t, t'> the weights.

    Args:
        units: A, width of the tanh.
        name: of the layer.

    Raises:
        ConfigError: ``units`` is below 1.

    Source: Bahdanau et al. 2015, "Neural machine translation by jointly learning to align and
        translate", arXiv:1409.0473.
    """

    streamable = True

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.supports_masking = True
        if units < 1:
            raise ConfigError(f"units={units}: need at least 1")
        self.units = units

    def build(self, query_shape: Any, memory_shape: Any) -> None:
        """Make the weights for queries (B, Q) and a memory (B, S, M)."""

        def weight(name: str, shape: tuple[Any, ...], start: str) -> Any:
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.of_query = weight("query", (query_shape[-1], self.units), "glorot_uniform")
        self.of_memory = weight("memory", (memory_shape[-1], self.units), "glorot_uniform")
        self.bias = weight("bias", (self.units,), "zeros")
        self.energy = weight("energy", (self.units, 1), "glorot_uniform")

    def prepare(self, memory: Tensor) -> Tensor:
        """Give m Wm + b, (B, S, A): the same for every query, so worked out once."""
        return tf.matmul(memory, self.of_memory) + self.bias

    def attend(
        self, query: Tensor, memory: Tensor, prepared: Tensor, mask: Tensor = None
    ) -> tuple[Tensor, Tensor]:
        """Attend to a memory that :meth:`prepare` has seen.

        Args:
            query: shape (B, Q).
            memory: shape (B, S, M).
            prepared: shape (B, S, A).
            mask: shape (B, S), true where the memory holds something; at least once a row.

        Returns:
            The context, (B, M), and the weights, (B, S), which sum to 1.
        """
        inner = tf.tanh(prepared + tf.matmul(query, self.of_query)[:, None, :])
        energies = tf.squeeze(tf.matmul(inner, self.energy), -1)
        if mask is not None:
            energies = tf.where(tf.cast(mask, tf.bool), energies, attention.NEVER)
        weights = tf.nn.softmax(energies)
        return tf.einsum("bs,bsm->bm", weights, memory), weights

    def call(self, query: Tensor, memory: Tensor, mask: Tensor = None) -> tuple[Tensor, Tensor]:
        """Attend to a memory: query (B, Q), memory (B, S, M) -> context (B, M), weights (B, S)."""
        return self.attend(query, memory, self.prepare(memory), mask)

    def cell(self) -> attention.AdditiveAttention:
        """Give the numpy form with these weights."""
        return attention.AdditiveAttention(
            of_query=np.asarray(self.of_query),
            of_memory=np.asarray(self.of_memory),
            bias=np.asarray(self.bias),
            energy=np.asarray(self.energy)[:, 0],
        )
