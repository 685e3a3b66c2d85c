"""The trigger model: causal convolution with stride, two GRUs, a sigmoid per word and step.

One builder, four presets. ``course`` is the published assignment of the deep learning course
(Conv1D 196 x 15 with stride 4, two GRU(128), batch norm, dropout; 522,561 parameters on its 101
spectrogram bins), kept as the reference row. The others drop what a microcontroller pays for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.errors import ConfigError
from wakeword.files import beside
from wakeword.frontend import BINS

__all__ = [
    "PRESETS",
    "TriggerConfig",
    "build",
    "load_weights",
    "member_tags",
    "save_weights",
    "side_by_side",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerConfig:
    """Sizes of the trigger model.

    ``kernel`` and ``stride`` count feature frames of 10 ms; ``units`` is the width of each GRU.
    ``reset_after`` applies the reset gate behind the recurrent product (Keras 3), which keeps the
    exported step at two products a layer; the course put it before. ``members`` of these sizes run
    side by side, and their log odds are averaged: each is wrong in places of its own.
    """

    filters: int = 64
    kernel: int = 6
    stride: int = 3
    units: tuple[int, ...] = (64, 64)
    reset_after: bool = True
    batch_norm: bool = False
    dropout: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.kernel:
            raise ConfigError(f"stride={self.stride}: need 1 <= stride <= kernel={self.kernel}")
        if self.filters < 1 or not self.units or min(self.units) < 1:
            raise ConfigError(f"filters={self.filters}, units={self.units}: need at least 1 each")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}: need 0 <= dropout < 1")
        if self.members < 1:
            raise ConfigError(f"members={self.members}: need at least 1")


PRESETS = {
    "tiny": TriggerConfig(filters=32, units=(32, 32), dropout=0.1),
    "small": TriggerConfig(dropout=0.1),
    "base": TriggerConfig(filters=96, units=(96, 96), dropout=0.1),
    "course": TriggerConfig(
        filters=196,
        kernel=15,
        stride=4,
        units=(128, 128),
        reset_after=False,
        batch_norm=True,
        dropout=0.8,
    ),
}


def build(config: TriggerConfig, words: int, features: int = BINS) -> Any:
    """Build the Keras model.

    Args:
        config: its sizes, usually ``PRESETS[name]``.
        words: sigmoids, at least 1.
        features: bins of a frame.

    Returns:
        A ``keras.Model`` from (B, T, features), the raw features / 256, to probabilities
        (B, T // stride, words). Step s sees frames up to s * stride + stride - 1 and no later one.

    Raises:
        ConfigError: ``words`` is below 1.
    """
    import keras
    from keras import layers

    if words < 1:
        raise ConfigError(f"words={words}: need at least 1")
    frames = keras.Input((None, features), name="frames")
    if config.members == 1:
        y = _tower(config, frames)
        probs = layers.Dense(words, activation="sigmoid", name="words")(y)
        return keras.Model(frames, probs, name="trigger")
    odds = []
    for tag in member_tags(config):
        y = _tower(config, frames, tag)
        odds.append(layers.Dense(words, name=f"words{tag}")(y))
    probs = layers.Activation("sigmoid", name="probs")(layers.Average(name="odds")(odds))
    return keras.Model(frames, probs, name="trigger")


def member_tags(config: TriggerConfig) -> list[str]:
    """Say what the layers of each member have behind their names: nothing if there is one."""
    return [""] if config.members == 1 else [f"_of_{n}" for n in range(config.members)]


def _tower(config: TriggerConfig, frames: Any, tag: str = "") -> Any:
    """Build what is below the heads of one member."""
    from keras import layers

    # What lies before the stream is silence, as in the runtime's first steps.
    y = layers.ZeroPadding1D((config.kernel - config.stride, 0), name=f"history{tag}")(frames)
    y = layers.Conv1D(config.filters, config.kernel, strides=config.stride, name=f"conv{tag}")(y)
    if config.batch_norm:
        y = layers.BatchNormalization(name=f"conv_norm{tag}")(y)
    y = layers.ReLU(name=f"relu{tag}")(y)
    if config.dropout:
        y = layers.Dropout(config.dropout)(y)
    for index, units in enumerate(config.units):
        y = layers.GRU(
            units, return_sequences=True, reset_after=config.reset_after, name=f"gru_{index}{tag}"
        )(y)
        if config.dropout:
            y = layers.Dropout(config.dropout)(y)
        if config.batch_norm:
            y = layers.BatchNormalization(name=f"gru_{index}_norm{tag}")(y)
    return layers.Dropout(config.dropout)(y) if config.dropout else y


def side_by_side(models: Sequence[Any], config: TriggerConfig) -> Any:
    """Make one model of several of one size, each trained by itself.

    Args:
        models: from :func:`build`, of ``config`` with one member, with the same heads.
        config: with as many members as there are models.

    Raises:
        ConfigError: there are more or fewer models.
    """
    if len(models) != config.members:
        raise ConfigError(f"members={config.members}: there are {len(models)} models")
    if config.members == 1:
        return models[0]
    whole = build(config, int(models[0].output_shape[-1]))
    for model, tag in zip(models, member_tags(config), strict=True):
        for layer in model.layers:
            if layer.weights and layer.get_weights():
                whole.get_layer(f"{layer.name}{tag}").set_weights(layer.get_weights())
    return whole


def save_weights(model: Any, words: int, path: Path) -> None:
    """Save the float weights of a model with its first ``words`` heads, beside and then renamed."""
    heads = [v.path.split("/")[-2].startswith("words") for v in model.weights]
    found = zip(heads, model.get_weights(), strict=True)
    weights = [np.asarray(w)[..., :words] if head else np.asarray(w) for head, w in found]
    with beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, *weights)


def load_weights(config: TriggerConfig, path: Path) -> Any:
    """Build the model that :func:`save_weights` saved.

    Raises:
        ConfigError: the weights are of other sizes.
    """
    with np.load(path) as data:
        weights = [data[f"arr_{i}"] for i in range(len(data.files))]
    model = build(config, len(weights[-1]))
    if [w.shape for w in weights] != [tuple(v.shape) for v in model.weights]:
        raise ConfigError(f"{path}: the weights are not of a model with {config}")
    model.set_weights(weights)
    return model
