"""Models of sentences: words in, a tag for each word and a label for all of them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.sequence_bundle import GraphFile
from wakeword_train.layers import CELLS, Bidirectional, Stack
from wakeword_train.sequence.export import follow, graph_files, plain_part, stack_part
from wakeword_train.step_export import Scheme, convert_modules

__all__ = ["SentenceConfig", "SentenceNet", "to_graphs"]

Tensor = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceConfig:
    """Sizes of a model of sentences.

    ``units`` are those of a recurrent layer each way; with 0 there is none, and the label comes
    from the average of the words' vectors. ``affix`` is the width of the vectors of beginnings,
    ends and shapes. ``frozen`` keeps the words' vectors as they were given.
    """

    cell: str = "gru"
    embedding: int = 50
    affix: int = 16
    units: int = 100
    tags: int = 0
    labels: int = 0
    pool: str = "max"
    dropout: float = 0.5
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.cell not in CELLS or self.pool not in ("max", "mean"):
            raise ConfigError(
                f"cell={self.cell!r}, pool={self.pool!r}: choose of {', '.join(CELLS)} and of "
                "max, mean"
            )
        if self.embedding < 1 or min(self.affix, self.units) < 0:
            raise ConfigError(f"{self}: need embedding at least 1, affix and units at least 0")
        if min(self.tags, self.labels) < 0 or not self.tags + self.labels:
            raise ConfigError(f"tags={self.tags}, labels={self.labels}: need some of either")
        if self.tags and not self.units:
            raise ConfigError("units=0: tags need a layer that sees a word's neighbours")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}: need 0 <= dropout < 1")


class SentenceNet(keras.Model):
    """The model.

    Args:
        config: its sizes.
        symbols: of each column of a sentence's numbers, words first; see `wakeword.words.Coder`.
        vectors: (symbols[0], embedding) to begin the words' vectors with.
    """

    def __init__(
        self,
        config: SentenceConfig,
        symbols: Sequence[int],
        vectors: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        widths = [config.embedding, *[config.affix] * (len(symbols) - 1)]
        self.tables = [
            self.add_weight(
                shape=(count, width), name=f"embedding_{i}",
                initializer=keras.initializers.RandomNormal(stddev=0.3),
                trainable=bool(i) or not config.frozen,
            )
            for i, (count, width) in enumerate(zip(symbols, widths, strict=True))
        ]  # fmt: skip
        if vectors is not None:
            self.tables[0].assign(vectors)
        size = sum(widths)
        self.both: Any = None
        if config.units:
            make = CELLS[config.cell]
            self.both = Bidirectional(make(config.units), make(config.units))
            self.both.build((None, None, size))
            self.both.built = True
            size = 2 * config.units
        # An average goes on without whole words (Iyyer et al. 2015, doi:10.3115/v1/P15-1162).
        whole = None if config.units else (None, None, 1)
        self.drop_x = keras.layers.Dropout(config.dropout, noise_shape=whole)
        self.drop_y = keras.layers.Dropout(config.dropout)
        self.tag_head = self._head("tags", size, config.tags)
        self.label_head = self._head("labels", size, config.labels)
        self.built = True

    def _head(self, name: str, size: int, count: int) -> tuple[Any, Any] | None:
        """Make the weights of a linear layer, if there is something to tell."""
        if not count:
            return None
        kernel = self.add_weight(shape=(size, count), initializer="glorot_uniform", name=name)
        return kernel, self.add_weight(shape=(count,), initializer="zeros", name=f"{name}_bias")

    def embed(self, codes: Tensor) -> Tensor:
        """Codes (..., kinds) -> vectors (..., X)."""
        return tf.concat(
            [tf.gather(table, codes[..., i]) for i, table in enumerate(self.tables)], axis=-1
        )

    def pool(self, y: Tensor, mask: Tensor) -> Tensor:
        """Outputs (B, T, Y) at all words -> (B, Y)."""
        there = tf.cast(mask, y.dtype)[:, :, None]
        if self.config.pool == "max":
            return tf.reduce_max(y + (there - 1) * 1e9, axis=1)
        return tf.reduce_sum(y * there, axis=1) / tf.reduce_sum(there, axis=1)

    def call(self, codes: Tensor, mask: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Read sentences.

        Args:
            codes: (B, T, kinds).
            mask: (B, T), 1 where there is a word; at least one a row.
            training: whether to drop.

        Returns:
            Logits (B, T, tags) and (B, labels); None of what the model does not tell.
        """
        y = self.drop_x(self.embed(codes), training=training)
        if self.both is not None:
            y = self.both(y, mask=mask)
        tags = labels = None
        if self.tag_head is not None:
            tags = _linear(self.drop_y(y, training=training), self.tag_head)
        if self.label_head is not None:
            pooled = self.pool(y, mask)
            labels = _linear(self.drop_y(pooled, training=training), self.label_head)
        return tags, labels

    def cross_entropy(self, codes: Tensor, mask: Tensor, tags: Tensor, labels: Tensor) -> Tensor:
        """Nats a word of the tags (B, T), plus nats a sentence of the labels (B,), in training."""
        tag_logits, label_logits = self(codes, mask, training=True)
        loss = tf.constant(0.0)
        if tag_logits is not None:
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tags, tag_logits)
            loss += tf.reduce_sum(nats * mask) / tf.reduce_sum(mask)
        if label_logits is not None:
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, label_logits)
            loss += tf.reduce_mean(nats)
        return loss

    @tf.function(
        autograph=False,
        input_signature=(tf.TensorSpec((None, None, None), tf.int32), tf.TensorSpec((None, None))),
    )
    def read(self, codes: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As the call, traced once."""
        tags, labels = self(codes, mask)
        return tags, labels


def _linear(x: Tensor, head: tuple[Any, Any]) -> Tensor:
    kernel, bias = head
    return tf.matmul(x, kernel) + bias


def to_graphs(
    net: SentenceNet, kinds: Sequence[str], scheme: Scheme, sentences: Sequence[NDArray[np.int32]]
) -> dict[str, GraphFile]:
    """Convert a model with a recurrent layer to TFLite.

    Args:
        net: the model.
        kinds: names of the columns of a sentence's numbers.
        scheme: see `wakeword_train.step_export.convert_module`.
        sentences: (T, kinds) each, to calibrate with.

    Returns:
        "words" turns the numbers of a word into its vector; "ahead" and "behind" are the steps each
        way; "tags" and "labels" make logits.

    Raises:
        ConfigError: the model is an average, which needs no graph.
        ExportError: the converter failed.
    """
    if net.both is None:
        raise ConfigError("units=0: an average of vectors has no step to export")
    tables = [np.asarray(table) for table in net.tables]
    size = sum(table.shape[1] for table in tables)
    seen = _seen(net, sentences)

    def words(*columns: Tensor) -> dict[str, Tensor]:
        pairs = zip(tables, columns, strict=True)
        found = [tf.gather(tf.constant(table), column) for table, column in pairs]
        return {"x": tf.concat(found, axis=-1) if len(found) > 1 else found[0]}

    specs = [tf.TensorSpec((1,), tf.int32, name=kind) for kind in kinds]
    columns = dict(zip(kinds, np.concatenate(list(sentences)).T, strict=True))
    parts = {"words": plain_part(words, specs, seen=columns)}
    for name, layer in (("ahead", net.both.forward), ("behind", net.both.backward)):
        parts[name] = stack_part(
            _alone(layer, size), tf.TensorSpec((1, size), name="x"), lambda x: x,
            lambda y: {"y": tf.identity(y)}, seen=seen[name],
        )  # fmt: skip
    for name, head in (("tags", net.tag_head), ("labels", net.label_head)):
        if head is not None:
            spec = tf.TensorSpec((1, 2 * net.config.units), name="y")
            parts[name] = plain_part(_logits(head), [spec], seen=seen[name])
    done = convert_modules(parts, schemes=[scheme])
    return {name: graph_files(found)[scheme] for name, found in done.items()}


def _logits(head: tuple[Any, Any]) -> Callable[[Tensor], dict[str, Tensor]]:
    """Make a function of a linear layer, its weights as constants."""
    kernel, bias = map(np.asarray, head)
    return lambda y: {"logits": tf.matmul(y, kernel) + bias}


def _alone(layer: Any, size: int) -> Stack:
    stack = Stack([layer])
    stack.build((None, None, size))
    stack.built = True
    return stack


def _seen(net: SentenceNet, sentences: Sequence[NDArray[np.int32]]) -> dict[str, Any]:
    """Run some sentences and keep what each graph sees."""
    size = int(net.both.forward.kernel.shape[0])
    length = int(np.median([len(s) for s in sentences]))  # most steps with a full batch
    if length < 2:
        raise ConfigError("sentences of one word: need some of two or more, to see a state")
    codes = np.stack([s[:length] for s in sentences if len(s) >= length])
    x = np.asarray(net.embed(tf.constant(codes)))
    y = np.asarray(net.both(tf.constant(x)))
    found: dict[str, Any] = {}
    for name, layer, order in (("ahead", net.both.forward, 1), ("behind", net.both.backward, -1)):
        steps = np.ascontiguousarray(x.transpose(1, 0, 2)[::order])
        stack = _alone(layer, size)
        found[name] = follow(stack.step, "x", steps, stack.initial_state(len(x)), every=1)
    pooled = net.pool(tf.constant(y), tf.ones(y.shape[:2]))
    found["tags"] = {"y": y.reshape(-1, y.shape[-1])}
    found["labels"] = {"y": np.asarray(pooled)}
    return found
