"""Tags of words (O, B-kind, I-kind) and the spans that they mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError

__all__ = ["Span", "TagSearch", "begin_spans", "spans_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """Words ``first`` to ``last`` - 1 of a sentence are of a kind."""

    kind: str
    first: int
    last: int


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Collect spans, as conlleval does: an I- of another kind, or after O, begins one too.

    >>> spans_of(["B-a", "I-a", "B-a", "O", "I-b"])
    [Span(kind='a', first=0, last=2), Span(kind='a', first=2, last=3), Span(kind='b', first=4, last=5)]
    """  # noqa: E501 - what Python prints
    found: list[Span] = []
    for place, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        last = found[-1] if found and found[-1].last == place else None
        if mark == "I" and last is not None and last.kind == kind:
            found[-1] = Span(kind, last.first, place + 1)
        elif mark != "O":
            found.append(Span(kind, place, place + 1))
    return found


def begin_spans(tags: Sequence[str]) -> list[str]:
    """Mark where spans begin, in tags that only say what is inside (I-kind, O).

    >>> begin_spans(["I-a", "I-a", "I-b", "O", "I-b"])
    ['B-a', 'I-a', 'B-b', 'O', 'B-b']
    """
    marked = list(tags)
    for span in spans_of(tags):
        marked[span.first] = f"B-{span.kind}"
    return marked


class TagSearch:
    """Finds the likeliest tags of a sentence among those that make sense (Viterbi).

    I-kind may only follow B-kind or I-kind.

    Args:
        tags: each O, B-kind or I-kind; every I- with its B-.

    Raises:
        ConfigError: another tag, or an I- without its B-.

    Source: Viterbi 1967, doi:10.1109/TIT.1967.1054010.

    >>> search = TagSearch(("O", "B-a", "I-a"))
    >>> search(np.log([[0.5, 0.2, 0.3], [0.2, 0.2, 0.6]]))  # O, I-a is likelier, and no sense
    ['B-a', 'I-a']
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        for tag in self.tags:
            if tag != "O" and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
                raise ConfigError(f"tag {tag[:40]!r}: need O, B-kind or I-kind")
            if tag[:2] == "I-" and f"B-{tag[2:]}" not in self.tags:
                raise ConfigError(f"tag {tag!r}: need B-{tag[2:]} too, where such a span begins")
        before = [{f"B-{t[2:]}", t} if t[:2] == "I-" else set(self.tags) for t in self.tags]
        inside = np.array([t[:2] == "I-" for t in self.tags])
        allowed = np.array([[a in ways for ways in before] for a in self.tags])
        self._cost = np.where(allowed, 0.0, -np.inf)
        self._start = np.where(inside, -np.inf, 0.0)

    def __call__(self, log_probs: NDArray[Any]) -> list[str]:
        """Give a tag for each word, from log-probabilities or logits (T, tags).

        Raises:
            BundleError: another shape.
        """
        if log_probs.ndim != 2 or log_probs.shape[1] != len(self.tags):
            raise BundleError(f"scores of shape {log_probs.shape}: need (T, {len(self.tags)})")
        best = self._start + log_probs[0]
        back = np.zeros(log_probs.shape, np.int64)
        for t in range(1, len(log_probs)):
            ways = best[:, None] + self._cost
            back[t] = ways.argmax(axis=0)
            best = ways.max(axis=0) + log_probs[t]
        path = [int(best.argmax())]
        for t in range(len(log_probs) - 1, 0, -1):
            path.append(int(back[t, path[-1]]))
        return [self.tags[i] for i in reversed(path)]
