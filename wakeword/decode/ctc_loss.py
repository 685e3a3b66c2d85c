"""The CTC loss and its gradient, by forward and backward sums in logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, WakewordError

__all__ = ["ctc_loss"]


def ctc_loss(
    logits: NDArray[Any], labels: Sequence[int] | NDArray[Any], blank: int = 0
) -> tuple[float, NDArray[np.float64]]:
    """Minus the log-probability of a text, summed over all its paths, and the gradient.

    Between and around the labels stand blanks: z = (blank, l1, blank, l2, ..., blank), S = 2 L + 1.
    A path stays, goes to the next place, or skips a blank between two different labels. With y_t(k)
    the log-probability of symbol k in frame t,

    a_t(s) = y_t(z_s) + log(exp a_{t-1}(s) + exp a_{t-1}(s-1) + [may skip] exp a_{t-1}(s-2))

    and b_t(s) likewise from the end, without frame t; at any t log P = logsumexp_s(a_t(s) + b_t(s))
    and dLoss/dlogit_t(k) = exp y_t(k) - sum over z_s = k of exp(a_t(s) + b_t(s) - log P).

    Args:
        logits: (T, V), any real numbers; the softmax is taken here.
        labels: (L,), without blanks; may be empty.
        blank: place of the blank.

    Returns:
        The loss in nats and its gradient by the logits, (T, V) float64.

    Raises:
        ConfigError: a label that is the blank or none of the symbols; fewer frames than the labels
            need, one each and one more between equal ones.
        WakewordError: logits that are not finite, or not of two axes.

    Source: Graves et al. 2006, doi:10.1145/1143844.1143891, eq. 5-16; there the backward sum holds
        frame t too.

    >>> loss, gradient = ctc_loss(np.zeros((1, 2)), [1])
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise WakewordError(f"logits of shape {scores.shape}: need (T, V), all of them finite")
    frames, size = scores.shape
    text = np.asarray(labels, np.int64).reshape(-1)
    if not 0 <= blank < size:
        raise ConfigError(f"blank={blank}: need 0 to {size - 1}")
    if np.any((text < 0) | (text >= size) | (text == blank)):
        raise ConfigError(
            f"labels {text.tolist()}: need 0 to {size - 1}, and not {blank}, the blank"
        )
    needed = len(text) + int((text[1:] == text[:-1]).sum())
    if frames < needed:
        raise ConfigError(
            f"{frames} frames for {len(text)} labels: need at least {needed}; leave the example "
            "out, or let the model keep more frames"
        )
    y = scores - scores.max(axis=1, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
    z = np.full(2 * len(text) + 1, blank)
    z[1::2] = text
    skip = np.full(len(z), -np.inf)  # 0 where the place two before may come right before
    skip[3::2][text[1:] != text[:-1]] = 0
    emitted = y[:, z]  # (T, S)
    forward = _forward(emitted, skip)
    # Backwards in time and place the sum is the same; frame t is taken out, for a_t holds it.
    turned = np.full(len(z), -np.inf)
    turned[2:] = skip[:1:-1]
    backward = _forward(emitted[::-1, ::-1], turned)[::-1, ::-1] - emitted
    log_prob = np.logaddexp.reduce(forward[-1, -2:])
    occupied = np.exp(forward + backward - log_prob)  # (T, S)
    gradient = np.exp(y)
    np.subtract.at(gradient.T, z, occupied.T)
    return float(-log_prob), gradient


def _forward(emitted: NDArray[np.float64], skip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probability (T, S) of all beginnings of paths that are at place s in frame t."""
    frames, places = emitted.shape
    result = np.full((frames, places), -np.inf)
    result[0, :2] = emitted[0, :2]
    for t in range(1, frames):
        before = result[t - 1]
        total = before.copy()
        total[1:] = np.logaddexp(total[1:], before[:-1])
        total[2:] = np.logaddexp(total[2:], before[:-2] + skip[2:])
        result[t] = total + emitted[t]
    return result
