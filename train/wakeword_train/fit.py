"""Fit a trigger model on cached windows: draw batches, weigh steps, choose weights, resume.

A batch depends on the seed and its number alone, and the state of the run is saved whole, so a run
that was killed goes on to the weights it would have reached.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.checkpoints import Check, Checkpoints, asking
from wakeword_train.crew import ALONE, Crew
from wakeword_train.data.pack import Joined
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.events import Events
from wakeword_train.loop import TELL_EVERY, Progress, loop, read_state

__all__ = ["FitConfig", "draw_batch", "fit", "mask", "targets"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How to train. Times are in frames of 10 ms.

    ``hard`` is the part of the long negatives drawn from those that scored highest when last looked
    at, ``mine_every`` batches ago at most. Near-phrases are not mined: pressed too hard, they take
    the word with them. ``masked`` is the share of windows in which up to ``mask_bins`` bins and up
    to ``mask_frames`` frames are silenced (SpecAugment, Park et al. 2019,
    doi:10.21437/Interspeech.2019-2680). With ``pool`` above 0 a word need not be told in every step
    after it: its best mean over so many steps counts for all (max pooling, Sun et al. 2016,
    doi:10.1109/SLT.2016.7846306). Every ``check_every`` batches of the last part the average so far
    is asked what it misses.
    """

    batches: int = 4_800
    batch: int = 128
    rate: float = 2e-3
    warm_up: int = 100
    clip_norm: float = 1.0
    positive_frames: int = 30
    ignore_before: int = 35
    ignore_after: int = 40
    positive_weight: float = 6.0
    negative_weight: tuple[float, float] = (1.0, 4.0)
    head_weight: float = 1.5
    peak_weight: float = 0.05
    average_last: float = 0.3
    hard: float = 0.2
    mine_every: int = 600
    save_every: int = 250
    masked: float = 0.2
    mask_bins: int = 8
    mask_frames: int = 15
    pool: int = 0
    check_every: int = 360

    def __post_init__(self) -> None:
        if self.batches < 1 or self.batch < 1:
            raise ConfigError(f"batches={self.batches}, batch={self.batch}: need at least 1 each")
        if not 0 < self.average_last <= 1:
            raise ConfigError(f"average_last={self.average_last}: need 0 < average_last <= 1")


def targets(
    label: NDArray[np.int16], end: NDArray[np.int16], heads: int, stride: int, config: FitConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place the labels: 1 for a while after the word, ignored shortly before and after that.

    Args:
        label: shape (B,), the head of the word, -1 for none.
        end: shape (B,), the frame in which the word ends.
        heads: number of sigmoids.
        stride: frames per step.
        config: lengths in frames.

    Returns:
        Targets and their masks, each (B, FRAMES // stride, heads).
    """
    steps = FRAMES // stride
    heard = np.arange(steps) * stride + stride - 1  # last frame of each step
    since = heard[None, :] - end[:, None]
    one = (since >= 0) & (since < config.positive_frames)
    near = (since >= -config.ignore_before) & (since < config.positive_frames + config.ignore_after)
    mine = label[:, None] == np.arange(heads)[None, :]
    y = one[:, :, None] & mine[:, None, :]
    ignored = (near & ~one)[:, :, None] & mine[:, None, :]
    return y.astype(np.float32), (~ignored).astype(np.float32)


def draw_batch(
    rng: np.random.Generator,
    rows: Mapping[str, NDArray[np.int64]],
    share: Mapping[str, float],
    size: int,
    hard: NDArray[np.int64] | None,
    hard_share: float,
) -> NDArray[np.int64]:
    """Draw the rows of one batch: each group gets its share, ``long`` takes what is left."""
    picked: list[NDArray[np.int64]] = []
    for name, part in share.items():
        if name in rows and name != "long" and len(rows[name]):
            picked.append(rng.choice(rows[name], round(part * size)))
    rest = max(size - sum(len(p) for p in picked), 0)
    mined = round(rest * hard_share) if hard is not None and len(hard) else 0
    if mined and hard is not None:
        picked.append(rng.choice(hard, mined))
    picked.append(rng.choice(rows["long"], rest - mined))
    return np.concatenate(picked)[:size]


def mask(rng: np.random.Generator, x: NDArray[np.uint16], config: FitConfig) -> NDArray[np.uint16]:
    """Silence a band and a moment in some of the windows, in place; x is (B, T, F)."""
    for row in np.flatnonzero(rng.uniform(size=len(x)) < config.masked):
        bins, frames = (int(rng.integers(n + 1)) for n in (config.mask_bins, config.mask_frames))
        low, first = (
            int(rng.integers(x.shape[2] - bins + 1)),
            int(rng.integers(x.shape[1] - frames + 1)),
        )
        x[row, :, low : low + bins] = 0
        x[row, first : first + frames] = 0
    return x


def _loss(
    y: Any, p: Any, mask: Any, words: int, negative: Any, config: FitConfig
) -> Any:  # tensors (B, S, W)
    """Weighted cross entropy of every step plus the worst false step of each window."""
    import tensorflow as tf

    p = tf.clip_by_value(p, 1e-6, 1 - 1e-6)
    told = p
    if config.pool:
        told = tf.nn.avg_pool1d(p, config.pool, 1, "SAME")
        told = tf.reduce_max(tf.where(y > 0, told, 1e-6), axis=1, keepdims=True)
    miss = -y * tf.math.log(told)
    false = -(1 - y) * tf.math.log(1 - p) * mask
    columns = tf.reduce_mean(config.positive_weight * miss + negative * false, axis=(0, 1))
    heads = columns[words:]
    # The mean: more heads must not leave less for the words.
    extra = words * config.head_weight * tf.reduce_mean(heads) if heads.shape[0] else 0.0
    peak = tf.reduce_mean(tf.reduce_max(false[:, :, :words], axis=(1, 2)))
    return tf.reduce_sum(columns[:words]) + extra + config.peak_weight * peak


def _look(windows: Windows | Joined, model: Any, settings: str) -> bytes:
    """Gather what workers must agree on; of the windows all labels, and every so many-th whole."""
    some = windows.take(np.arange(0, len(windows.label), 1 + len(windows.label) // 64))
    arrays = [windows.label, windows.end, windows.group, some, *map(np.asarray, model.variables)]
    return f"{settings} {windows.names}".encode() + b"".join(a.tobytes() for a in arrays)


def fit(
    model: Any,
    windows: Windows | Joined,
    *,
    words: int,
    share: Mapping[str, float],
    stride: int,
    config: FitConfig,
    seed: int,
    folder: Path,
    check: Check | None = None,
    progress: Progress = lambda *_: None,
    crew: Crew = ALONE,
) -> None:
    """Train ``model`` in place; its weights end as an average over the last part of the run.

    For TensorBoard, losses and misses go to ``folder/events`` too.

    Args:
        model: from :func:`wakeword_train.models.trigger.build`.
        windows: what to train on.
        words: the first heads, which are kept on export.
        share: group name to its part of a batch.
        stride: of the model.
        config: how to train.
        seed: of the batches.
        folder: where ``state.npz`` is kept between interrupts; of several workers only the chief
            writes and reads it.
        check: what to choose between averages by; see `wakeword_train.checkpoints`.
        progress: told of the run now and then.
        crew: who trains; all with the same model, windows and settings.

    Raises:
        ConfigError: a worker has another model, other windows or other settings.
    """
    import keras
    import tensorflow as tf

    heads = int(model.output_shape[-1])
    names = np.asarray(windows.names)[windows.group]
    rows = {
        name: np.flatnonzero(np.char.startswith(names, name)).astype(np.int64) for name in share
    }
    optimizer = keras.optimizers.Adam(config.rate, global_clipnorm=config.clip_norm)
    optimizer.build(model.trainable_variables)

    mine = crew.part(config.batch)  # rows of each batch
    held = (mine.stop - mine.start) / config.batch
    crew.share(model, config.batch)

    def gradients_of(x: Any, y: Any, mask: Any, negative: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            probs = model(tf.cast(x, tf.float32) / 256.0, training=True)
            loss = held * _loss(y, probs, mask, words, negative, config)
        return [loss, *tape.gradient(loss, model.trainable_variables)]

    @tf.function(autograph=False)
    def train_step(x: Any, y: Any, mask: Any, negative: Any) -> Any:
        loss, *gradients = crew.total(gradients_of, x, y, mask, negative)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    @tf.function(reduce_retracing=True)
    def peaks(x: Any) -> Any:
        probs = model(tf.cast(x, tf.float32) / 256.0, training=False)
        return tf.reduce_max(probs[:, :, :words], axis=(1, 2))

    hard: NDArray[np.int64] | None = None
    kept = Checkpoints(model, asking(model, words, check if crew.chief else None))
    crew.agree(_look(windows, model, repr((config, seed, words, share))))
    first_averaged = round(config.batches * (1 - config.average_last))

    def train(number: int) -> float:
        along = number / config.batches
        rate = config.rate * min((number + 1) / config.warm_up, 0.5 + 0.5 * np.cos(np.pi * along))
        optimizer.learning_rate.assign(max(rate, config.rate * 0.01))
        low, high = config.negative_weight
        rng = np.random.default_rng([seed, number])
        picked = draw_batch(rng, rows, share, config.batch, hard, config.hard)
        y, counted = targets(windows.label[picked], windows.end[picked], heads, stride, config)
        x = mask(rng, windows.take(picked), config)
        pressure = np.float32(low + (high - low) * along)
        return float(train_step(x[mine], y[mine], counted[mine], pressure))

    def after(done: int, events: Events) -> None:
        nonlocal hard
        if done % TELL_EVERY == 0:
            events.tell(done, rate=optimizer.learning_rate)
        if done > first_averaged:
            kept.add()
        if done % config.check_every == 0 or done == config.batches:
            missed = kept.look()
            if missed is not None:
                log.info("batch %d misses %.1f %% of the dev part", done, 100 * missed)
                events.tell(done, missed=missed)
        if config.mine_every and done % config.mine_every == 0:
            negatives = rows["long"]
            top = np.zeros(len(negatives), np.float32)
            for i in range(512 * crew.index, len(negatives), 512 * crew.size):
                top[i : i + 512] = peaks(windows.take(negatives[i : i + 512]))
            top = crew.sum(top)
            hard = negatives[np.argsort(-top, kind="stable")[: max(len(negatives) // 20, 1)]]
            log.info("hard negatives score %.3f to %.3f", top.max(), np.sort(top)[-len(hard)])

    def more() -> dict[str, Any]:
        return kept.state() | ({} if hard is None else {"hard": hard})

    def restore(state: Mapping[str, NDArray[Any]]) -> None:
        nonlocal hard
        hard = state.get("hard")
        kept.restore(state)

    loop(
        train,
        [*model.variables, *optimizer.variables],
        batches=config.batches,
        folder=folder,
        before=crew.of_chief(read_state(folder) if crew.chief else b""),
        save_every=config.save_every,
        after=after,
        more=more,
        restore=restore,
        keep=crew.chief,
        progress=progress,
    )
    for variable, value in zip(model.variables, kept.weights or (), strict=False):
        variable.assign(value)
