"""Recurrent language models: a token in, logits of the next one out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.language import SteppedModel
from wakeword.language.neural import TASK, log_softmax
from wakeword.sequence_bundle import GraphFile
from wakeword.vocabulary import Vocabulary
from wakeword_train.layers import CELLS, Stack
from wakeword_train.sequence.export import Seen, follow, stack_graphs
from wakeword_train.step_export import Scheme

__all__ = [
    "TASK",
    "LanguageConfig",
    "LanguageNet",
    "as_model",
    "calibration",
    "log_probs_of_stream",
    "to_graphs",
]

Tensor = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageConfig:
    """Sizes of a language model.

    ``embedding`` is the width of a token's vector; ``units`` those of the layers. ``tied`` uses the
    embedding for the output too (Press and Wolf 2017, arXiv:1608.05859); the last layer must then
    be as wide. ``dropout`` acts on the inputs of every layer and on the last output.
    """

    cell: str = "gru"
    embedding: int = 64
    units: tuple[int, ...] = (256,)
    tied: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ConfigError(f"cell={self.cell!r}: choose one of {', '.join(CELLS)}")
        if self.embedding < 1 or not self.units:
            raise ConfigError(f"embedding={self.embedding}, units={self.units}: need at least 1")
        if self.tied and self.units[-1] != self.embedding:
            raise ConfigError(f"tied: need units {self.units} to end in {self.embedding}")


class LanguageNet(keras.Model):
    """The model: embedding, recurrent layers, one logit a symbol.

    Args:
        config: its sizes.
        size: V, symbols.
    """

    def __init__(self, config: LanguageConfig, size: int) -> None:
        super().__init__()
        self.config = config
        self.size = size
        self.embed = self.add_weight(
            shape=(size, config.embedding), initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="embedding",
        )  # fmt: skip
        make = CELLS[config.cell]
        self.stack = Stack([make(units) for units in config.units], dropout=config.dropout)
        self.stack.build((None, None, config.embedding))
        self.stack.built = True
        self.drop = keras.layers.Dropout(config.dropout)
        self.head = None
        if not config.tied:
            self.head = self.add_weight(
                shape=(config.units[-1], size), initializer="glorot_uniform", name="head"
            )
        self.head_bias = self.add_weight(shape=(size,), initializer="zeros", name="head_bias")
        self.built = True

    def initial_state(self, batch: Any) -> Any:
        """Zeros for ``batch`` sequences."""
        return self.stack.initial_state(batch)

    def call(
        self, tokens: Tensor, state: Any = None, mask: Tensor = None, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Tokens (B, T) -> logits of each one's successor, (B, T, V), and the last state."""
        x = tf.gather(self.embed, tokens)
        y, state = self.stack(
            x, initial_state=state, mask=mask, return_state=True, training=training
        )
        return self._logits(self.drop(y, training=training)), state

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Tokens (B,) and a state -> logits (B, V) and the next state."""
        y, state = self.stack.step(tf.gather(self.embed, tokens), state)
        return self._logits(y), state

    def cross_entropy(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Mean cross entropy in nats of predicting each token from those before, in training.

        Args:
            tokens: shape (B, T + 1), the first one only given, never predicted.
            mask: shape (B, T), 1 where the token to predict counts.
        """
        logits, _ = self(tokens[:, :-1], training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)
        return tf.reduce_sum(losses * mask) / tf.reduce_sum(mask)

    def nats(self, tokens: NDArray[Any], mask: NDArray[Any], batch: int = 64) -> float:
        """Mean nats a token of held-out text, shaped as for :meth:`cross_entropy`."""
        total = 0.0
        for row in range(0, len(tokens), batch):
            rows = slice(row, row + batch)
            total += float(self._nats(tf.constant(tokens[rows]), tf.constant(mask[rows])))
        return total / float(mask.sum())

    @tf.function(autograph=False, reduce_retracing=True)
    def _nats(self, tokens: Tensor, mask: Tensor) -> Tensor:
        logits, _ = self(tokens[:, :-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)
        return tf.reduce_sum(losses * mask)

    def _logits(self, y: Tensor) -> Tensor:
        head = tf.transpose(self.embed) if self.head is None else self.head
        return tf.matmul(y, head) + self.head_bias


def log_probs_of_stream(
    net: LanguageNet, stream: NDArray[np.int32], rows: int = 16, chunk: int = 64
) -> NDArray[np.float64]:
    """Log-probability of each token of a long text but the first, read on from piece to piece.

    Args:
        net: the model.
        stream: shape (N,), at least 2.
        rows: pieces that are read side by side, each from a state of zeros.
        chunk: tokens of a piece that are read at once.

    Returns:
        Shape (N - 1,), natural logarithm.
    """
    count = len(stream) - 1
    rows = min(rows, count)
    length = -(-count // rows)
    filled = np.zeros(rows * length + 1, np.int32)
    filled[: count + 1] = stream
    tokens = filled[np.arange(rows)[:, None] * length + np.arange(length + 1)]

    @tf.function(autograph=False, reduce_retracing=True)
    def read(piece: Tensor, state: Any) -> Any:
        logits, after = net(piece[:, :-1], state=state)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(piece[:, 1:], logits)
        return -losses, after

    state, found = net.initial_state(rows), []
    for first in range(0, length, chunk):
        log_probs, state = read(tf.constant(tokens[:, first : first + chunk + 1]), state)
        found.append(np.asarray(log_probs))
    return np.concatenate(found, axis=1).ravel()[:count].astype(np.float64)


def as_model(net: LanguageNet, vocabulary: Vocabulary, start: int) -> SteppedModel:
    """Let a trained model be asked as any language model is, by its step in TensorFlow."""

    @tf.function(autograph=False, reduce_retracing=True)
    def step(tokens: Tensor, state: Any) -> Any:
        return net.step(tokens, state)

    def run(tokens: NDArray[Any], state: Any) -> tuple[NDArray[np.float32], Any]:
        logits, after = step(
            tf.constant(tokens, tf.int32), tf.nest.map_structure(tf.constant, state)
        )
        return log_softmax(np.asarray(logits)), tf.nest.map_structure(np.asarray, after)

    def zero(batch: int) -> Any:
        return tf.nest.map_structure(np.asarray, net.initial_state(batch))

    return SteppedModel(len(vocabulary), start, vocabulary.eos_id, run, zero)


def calibration(net: LanguageNet, tokens: NDArray[Any], every: int = 3) -> Seen:
    """Run the model over text (B, T) and keep what its step sees now and then."""
    zero = net.initial_state(len(tokens))
    return follow(net.step, "tokens", np.ascontiguousarray(tokens.T, np.int32), zero, every)


def to_graphs(
    net: LanguageNet, schemes: Sequence[Scheme], seen: Seen | None = None
) -> dict[Scheme, GraphFile]:
    """Convert a model to one TFLite step: tokens (1,) and states in, logits and states out.

    Args:
        net: the model.
        schemes: see `wakeword_train.step_export.convert_module`.
        seen: of :func:`calibration`, unless all is float32.

    Raises:
        ExportError: the converter failed.
    """
    table, bias = np.asarray(net.embed), np.asarray(net.head_bias)
    head = np.ascontiguousarray(table.T if net.head is None else np.asarray(net.head))
    return stack_graphs(
        net.stack,
        tf.TensorSpec((1,), tf.int32, name="tokens"),
        lambda tokens: tf.gather(tf.constant(table), tokens),
        lambda y: {"logits": tf.matmul(y, tf.constant(head)) + bias},
        schemes=schemes,
        seen=seen,
    )
