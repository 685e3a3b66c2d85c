"""From frames of sound to log-probabilities of letters: one convolution, recurrent layers, CTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wakeword.errors import ConfigError
from wakeword.sequence_bundle import GraphFile
from wakeword_train.layers import GRU, Bidirectional, Stack
from wakeword_train.sequence.export import stack_graphs

__all__ = ["AcousticConfig", "AcousticModel", "ctc_losses", "to_graph"]

Tensor = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AcousticConfig:
    """Shape of the model.

    Output t sees the frames up to (t + 1) * ``stride`` - 1, in both directions all of them. With
    ``bidirectional`` false it is a stream: a step takes ``stride`` frames.
    """

    bins: int
    symbols: int
    kernel: int = 12
    stride: int = 4
    channels: int = 128
    units: int = 128
    layers: int = 2
    dropout: float = 0.3
    bidirectional: bool = False

    def __post_init__(self) -> None:
        sizes = (self.bins, self.symbols, self.channels, self.units, self.layers, self.stride)
        if min(sizes) < 1 or self.kernel < self.stride:
            raise ConfigError(f"{self}: need sizes of at least 1, and kernel >= stride")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}: need 0 <= dropout < 1")

    def outputs(self, frames: int) -> int:
        """Count what comes out for so many frames."""
        return -(-frames // self.stride)


class AcousticModel(keras.Model):
    """Frames (B, T, F) -> logits (B, T', V); see :class:`AcousticConfig`."""

    def __init__(self, config: AcousticConfig, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.config = config
        self.conv = keras.layers.Dense(config.channels, name="conv")
        self.norm = keras.layers.LayerNormalization(name="norm")
        layers = [
            Bidirectional(GRU(config.units), GRU(config.units))
            if config.bidirectional
            else GRU(config.units)
            for _ in range(config.layers)
        ]
        self.stack = Stack(layers, dropout=config.dropout)
        self.drop = keras.layers.Dropout(config.dropout)
        self.head = keras.layers.Dense(config.symbols, name="head")
        self(np.zeros((1, config.kernel, config.bins), np.float32))

    def call(self, frames: Tensor, lengths: Tensor = None, training: bool = False) -> Tensor:
        """Run over whole utterances.

        Args:
            frames: (B, T, F), with zeros behind the end of the shorter ones.
            lengths: (B,) frames of each; all of T where it is None.
            training: whether to drop.
        """
        config = self.config
        x = tf.pad(frames, [[0, 0], [config.kernel - config.stride, config.stride - 1], [0, 0]])
        windows = tf.signal.frame(x, config.kernel, config.stride, axis=1)
        size = tf.shape(windows)
        x = tf.reshape(windows, (size[0], size[1], config.kernel * config.bins))
        x = tf.nn.relu(self.norm(self.conv(x)))
        mask = None
        if lengths is not None and config.bidirectional:
            mask = tf.sequence_mask(-(-lengths // config.stride), size[1])
        return self.head(self.drop(self.stack(x, mask=mask, training=training), training=training))


def to_graph(model: AcousticModel) -> GraphFile:
    """Convert a model that streams to a float32 TFLite step: ``kernel`` frames in, logits out.

    Raises:
        ConfigError: the model needs the end first.
        ExportError: the converter failed.
    """
    config = model.config
    if config.bidirectional:
        raise ConfigError("a bidirectional model has no step: train one with both ways off")
    (kernel, bias), (scale, shift), (head, head_bias) = (
        [np.asarray(w) for w in layer.weights] for layer in (model.conv, model.norm, model.head)
    )

    def take(window: Tensor) -> Tensor:
        x = tf.matmul(tf.reshape(window, (1, kernel.shape[0])), kernel) + bias
        x -= tf.reduce_mean(x, axis=-1, keepdims=True)
        spread = tf.reduce_mean(x * x, axis=-1, keepdims=True) + model.norm.epsilon
        return tf.nn.relu(x * tf.math.rsqrt(spread) * scale + shift)

    def give(y: Tensor) -> dict[str, Tensor]:
        return {"logits": tf.matmul(y, head) + head_bias}

    spec = tf.TensorSpec((1, config.kernel, config.bins), tf.float32, name="frames")
    return stack_graphs(model.stack, spec, take, give, schemes=["float32"])["float32"]


def ctc_losses(logits: Tensor, outputs: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """CTC loss of each utterance, (B,), in nats.

    Args:
        logits: (B, T', V); symbol 0 is the blank.
        outputs: (B,) how many of T' count.
        labels: (B, L), 0 behind the end.
        lengths: (B,) labels of each.

    TensorFlow's loss of sparse labels is one operation in C++, that of dense ones a loop of many.
    """
    return tf.nn.ctc_loss(
        tf.sparse.from_dense(labels), logits, lengths, outputs,
        logits_time_major=False, blank_index=0,
    )  # fmt: skip
