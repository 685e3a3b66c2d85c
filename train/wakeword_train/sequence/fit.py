"""Fit any sequence model: clipped gradients, a rate that falls, the best weights of a run."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.checkpoints import Checkpoints, Weights
from wakeword_train.events import Events
from wakeword_train.loop import Progress, loop, read_state

__all__ = ["Draw", "FitConfig", "Spent", "fit"]

log = logging.getLogger(__name__)
Draw = Callable[[np.random.Generator, int], tuple[NDArray[Any], ...]]
"""Makes a batch of its number and a generator that depends on seed and number alone."""


class Spent(NamedTuple):
    """Seconds of training: by the clock, and of CPU on all cores."""

    clock: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How to train, in batches.

    The rate rises over ``warm_up`` batches and falls to ``last_rate`` times itself by half a
    cosine. Gradients are clipped to a global norm of ``clip_norm`` or, where that is 0, each value
    to ``clip_value``, or not at all. Every ``check_every`` batches, and after the last, the model
    is checked and the best weights are kept; with ``average_last`` above 0 what is checked is the
    average over that last part of the run. ``decay`` shrinks weights, apart from the gradient
    (AdamW, Loshchilov and Hutter 2019, arXiv:1711.05101).
    """

    batches: int
    rate: float = 2e-3
    warm_up: int = 20
    last_rate: float = 0.02
    clip_norm: float = 1.0
    clip_value: float = 0.0
    decay: float = 0.0
    check_every: int = 200
    save_every: int = 200
    average_last: float = 0.0

    def __post_init__(self) -> None:
        if min(self.batches, self.warm_up, self.check_every, self.save_every) < 1:
            raise ConfigError(
                f"batches={self.batches}, warm_up={self.warm_up}, check_every={self.check_every}, "
                f"save_every={self.save_every}: need at least 1 each"
            )
        if not (self.rate > 0 and 0 < self.last_rate <= 1 and 0 <= self.average_last <= 1):
            raise ConfigError(
                f"rate={self.rate}, last_rate={self.last_rate}, average_last={self.average_last}: "
                "need rate > 0, 0 < last_rate <= 1 and 0 <= average_last <= 1"
            )
        if min(self.clip_norm, self.clip_value, self.decay) < 0:
            raise ConfigError(
                f"clip_norm={self.clip_norm}, clip_value={self.clip_value}, decay={self.decay}: "
                "need at least 0"
            )

    def rate_at(self, number: int) -> float:
        """Rate of batch ``number``, counted from 0."""
        along = 0.5 + 0.5 * np.cos(np.pi * number / self.batches)
        falling = self.last_rate + (1 - self.last_rate) * along
        return float(self.rate * min((number + 1) / self.warm_up, falling))


def fit(
    model: Any,
    draw: Draw,
    loss: Callable[..., Any],
    config: FitConfig,
    *,
    seed: int,
    folder: Path,
    check: Callable[[], float] | None = None,
    progress: Progress = lambda *_: None,
) -> Spent:
    """Train ``model`` in place; it ends with the weights whose check gave least.

    A run that was killed goes on from ``folder`` to the same weights, bit for bit.

    Args:
        model: of Keras; all its variables are saved, what it carries between batches too.
        draw: makes batches.
        loss: given a batch as tensors, returns a scalar to make smaller; it calls the model.
        config: how.
        seed: of the batches.
        folder: of the state.
        check: tells how bad the model is as it stands; without it the last weights are kept.
        progress: told of the run now and then.

    Returns:
        What it took, before an interruption too.

    Raises:
        ConfigError: the folder holds a run with other settings, or the loss is no finite number.
    """
    import keras
    import tensorflow as tf

    clip = {}
    if config.clip_norm:
        clip = {"global_clipnorm": config.clip_norm}
    elif config.clip_value:
        clip = {"clipvalue": config.clip_value}
    optimizer = keras.optimizers.AdamW(config.rate, weight_decay=config.decay, **clip)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False, reduce_retracing=True)
    def train_step(*batch: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(*batch)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    def train(number: int) -> float:
        optimizer.learning_rate.assign(config.rate_at(number))
        batch = draw(np.random.default_rng([seed, number]), number)
        value = float(train_step(*map(tf.constant, batch)))
        if not np.isfinite(value):
            raise ConfigError(
                f"batch {number}: the loss is {value}: look for NaN in the data, or lower "
                f"rate={config.rate} or clip_norm={config.clip_norm}"
            )
        return value

    def asking(check: Callable[[], float]) -> Callable[[Weights], float]:
        def ask(weights: Weights) -> float:
            now = [np.asarray(variable) for variable in model.variables]
            _assign(model, weights)
            found = check()
            _assign(model, now)
            return found

        return ask

    kept = Checkpoints(model, asking(check) if check else None)
    first_averaged = round(config.batches * (1 - config.average_last))

    def after(done: int, events: Events) -> None:
        averaging = config.average_last > 0 and done > first_averaged
        if averaging:
            kept.add()
        if done % config.check_every and done < config.batches:
            return
        if not averaging:
            kept.add()
        value = kept.look()
        if value is not None:
            log.info("batch %d of %d: %.4f in validation", done, config.batches, value)
            events.tell(done, validation=value)
        if not averaging:
            kept.forget()

    settings = repr((config, seed, [tuple(v.shape) for v in model.variables]))
    before = read_state(folder)
    spent = np.asarray(_spent(before, settings, folder))
    began = np.array([time.monotonic(), time.process_time()])

    def more() -> Mapping[str, Any]:
        now = np.array([time.monotonic(), time.process_time()])
        spent_now = spent + now - began
        return {**kept.state(), "settings": np.asarray(settings), "spent": spent_now}

    loop(
        train,
        [*model.variables, *optimizer.variables],
        batches=config.batches,
        folder=folder,
        before=before,
        save_every=config.save_every,
        after=after,
        more=more,
        restore=kept.restore,
        progress=progress,
    )
    if kept.weights is not None:
        _assign(model, kept.weights)
    return _spent(read_state(folder), settings, folder)


def _assign(model: Any, weights: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(model.variables, weights, strict=True):
        variable.assign(value)


def _spent(before: bytes, settings: str, folder: Path) -> Spent:
    """What a saved run has taken, after making sure that it is this one."""
    if not before:
        return Spent(0.0, 0.0)
    with np.load(io.BytesIO(before)) as state:
        if str(state["settings"]) != settings:
            raise ConfigError(
                f"{folder}: holds a run with other settings or another vocabulary; remove it, or "
                "choose another --work"
            )
        return Spent(*map(float, state["spent"]))
