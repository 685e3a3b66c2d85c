"""What several trained models think of each window, for one model to learn.

Models that differ by their seed alone are wrong in different places: the mean of a few misses and
mistakes fewer words than any of them. A model of the same size that learns that mean instead of
the labels keeps most of it, at no cost where it runs (Hinton et al. 2015, arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword_train.data.pack import Joined
from wakeword_train.data.windows import Windows

__all__ = ["mean_prob", "opinions"]

SURE = 1 / 512  # half a step of an int8 score: nothing is told from certainty beyond it
AT_ONCE = 512


def mean_prob(probs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Average probabilities of the same shape as log odds: one that is unsure weighs less.

    >>> mean_prob([np.float32([0.5]), np.float32([0.5])]).tolist()
    [0.5]
    """
    held = [np.clip(p, SURE, 1 - SURE) for p in probs]
    odds = np.mean([np.log(p / (1 - p)) for p in held], axis=0)
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def opinions(
    models: Sequence[Any],
    windows: Windows | Joined,
    words: int,
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> NDArray[np.float16]:
    """Ask models about every window.

    Args:
        models: trained, from `wakeword_train.models.trigger.build`, of one stride.
        windows: N of them.
        words: the first heads, which are asked for.
        progress: called with (windows done, in all).

    Returns:
        Shape (N, steps, words), the mean of what they say.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def say(x: Any) -> Any:
        x = tf.cast(x, tf.float32) / 256.0
        return [model(x, training=False)[:, :, :words] for model in models]

    total = len(windows.label)
    found: NDArray[np.float16] | None = None
    for first in range(0, total, AT_ONCE):
        rows = np.arange(first, min(first + AT_ONCE, total))
        told = mean_prob([np.asarray(p) for p in say(windows.take(rows))])
        if found is None:
            found = np.empty((total, *told.shape[1:]), np.float16)
        found[rows] = told
        progress(int(rows[-1]) + 1, total)
    return np.empty((0, 0, words), np.float16) if found is None else found
