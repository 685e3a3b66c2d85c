"""CTC decoding: the best path, and prefix beam search with a language model.

A CTC model gives for each frame the log-probability of each symbol and of *blank*. A path chooses
one per frame; its text is what is left when repeats are merged and blanks taken out. The best path
follows the largest; prefix beam search adds up all paths with the same text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode.fusion import Fusion
from wakeword.errors import ConfigError, WakewordError

__all__ = ["CtcBeam", "CtcText", "best_path", "collapse", "prefix_beam_search"]

NEVER = -math.inf
HORIZON = 200


def collapse(path: Sequence[int] | NDArray[Any], blank: int = 0) -> NDArray[np.int32]:
    """Give the text of a path: repeats merged, then blanks out.

    >>> collapse([0, 3, 3, 0, 3, 1, 1]).tolist()
    [3, 3, 1]
    """
    steps = np.asarray(path, np.int32).reshape(-1)
    new = np.ones(len(steps), bool)
    new[1:] = steps[1:] != steps[:-1]
    return np.asarray(steps[new & (steps != blank)])


def best_path(log_probs: NDArray[Any], blank: int = 0) -> NDArray[np.int32]:
    """Give the text of the likeliest path.

    Args:
        log_probs: (T, V), or anything that grows with it.
        blank: place of the blank.
    """
    return collapse(_frames(log_probs, None).argmax(axis=1), blank)


@dataclass(frozen=True, slots=True)
class CtcText:
    """A text that prefix beam search found.

    Attributes:
        text: without white space at its ends.
        score: what it was ranked by: ``log_prob`` and what the language model adds.
        log_prob: natural logarithm of the probability of all its paths that were kept.
    """

    text: str
    score: float
    log_prob: float


@dataclass(slots=True)
class _Beam:
    """A prefix: log-probability of its paths that end in blank, and of the others."""

    blank: float
    symbol: float
    bonus: float  # what the language model adds
    memory: Any  # of the language model

    @property
    def total(self) -> float:
        return _add(self.blank, self.symbol)

    @property
    def score(self) -> float:
        return self.total + self.bonus


class CtcBeam:
    """Prefix beam search that hears frames as they come.

    ``feed(log_probs)`` takes frames, ``best()`` gives the texts so far, ``finish()`` those at the
    end, where the language model also judges the end. Any chunking gives the same texts. In one
    of over 400 symbols those over 200 back are settled by the best prefix, so that an endless
    stream needs no more memory than its text.

    Args:
        alphabet: symbols in the model's order, one character each; "" at the place of the blank.
        width: prefixes to keep.
        fusion: adds a language model; None: the model alone.
        least_log_prob: a symbol less likely than this in a frame is not looked at, the likeliest
            aside; -inf: all are.
        margin: prefixes that score this much less than the best are dropped; inf: none.

    Where the alphabet has a space, several of them, also around a blank, count as one.

    Raises:
        ConfigError: a setting out of its range.

    Source: Graves 2012, "Supervised sequence labelling with recurrent neural networks", 7.5;
        Hannun et al. 2014, arXiv:1408.2873, algorithm 1. Here the language model adds to the rank
        only, so that probabilities stay probabilities.

    >>> frames = np.log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]], where=np.array([[1, 1, 0]] * 2) == 1,
    ...                 out=np.full((2, 3), -np.inf))
    >>> best_path(frames).tolist(), prefix_beam_search(frames, ["", "a", "b"])[0].text
    ([], 'a')
    """

    def __init__(
        self,
        alphabet: Sequence[str],
        *,
        width: int = 100,
        fusion: Fusion | None = None,
        least_log_prob: float = -5.0,
        margin: float = 10.0,
    ) -> None:
        if width < 1:
            raise ConfigError(f"width={width}: need at least 1")
        if not margin > 0:
            raise ConfigError(f"margin={margin}: need above 0")
        if not least_log_prob <= 0:
            raise ConfigError(f"least_log_prob={least_log_prob}: need at most 0")
        self.alphabet = check_alphabet(alphabet)
        self.width = width
        self.fusion = fusion
        self.least_log_prob = least_log_prob
        self.margin = margin
        self._blank = self.alphabet.index("")
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        memory = None if self.fusion is None else self.fusion.start()
        self._settled: list[str] = []
        # The key is the text not yet settled; its last character is the symbol that a repeat merges
        # with.
        self._beams = {"": _Beam(0.0, NEVER, 0.0, memory)}

    def feed(self, log_probs: NDArray[Any]) -> str:
        """Hear frames (t, V) of log-probabilities; give the best text so far.

        Raises:
            WakewordError: another shape, NaN, or a frame in which nothing is possible.
        """
        for frame in _frames(log_probs, len(self.alphabet)):
            self._frame(frame)
        return self.best(1)[0].text

    def best(self, count: int | None = None) -> list[CtcText]:
        """Give the likeliest texts so far, best first, as they were ranked in the search."""
        return self._texts({key: b.bonus for key, b in self._beams.items()}, count)

    def finish(self, count: int | None = None) -> list[CtcText]:
        """Give the likeliest texts, best first; the language model judges the end as well."""
        fusion = self.fusion
        if fusion is None:
            return self.best(count)
        return self._texts({k: fusion.finish(b.memory) for k, b in self._beams.items()}, count)

    def _texts(self, bonus: dict[str, float], count: int | None) -> list[CtcText]:
        settled = "".join(self._settled)
        merged: dict[str, tuple[float, float]] = {}
        for key, beam in self._beams.items():  # "a" and "a " are one text
            text = (settled + key).strip(" ")
            log_prob, more = merged.get(text, (NEVER, NEVER))
            merged[text] = _add(log_prob, beam.total), max(more, bonus[key])
        texts = [CtcText(text, p + more, p) for text, (p, more) in merged.items()]
        return sorted(texts, key=lambda found: (-found.score, found.text))[:count]

    def _frame(self, frame: NDArray[np.float64]) -> None:
        """Extend each prefix by what the frame may be."""
        wanted = frame >= self.least_log_prob
        wanted[frame.argmax()] = True
        wanted &= frame > NEVER
        symbols = [(int(i), self.alphabet[i], float(frame[i])) for i in np.flatnonzero(wanted)]
        new: dict[str, _Beam] = {}
        for prefix, beam in self._beams.items():
            total = beam.total
            last = prefix[-1:]
            for index, symbol, p in symbols:
                if index == self._blank:
                    kept = self._kept(new, prefix, beam)
                    kept.blank = _add(kept.blank, total + p)
                elif symbol == " " and (last == " " or self._nothing(prefix)):
                    kept = self._kept(new, prefix, beam)
                    kept.symbol = _add(kept.symbol, total + p)
                elif symbol == last:
                    kept = self._kept(new, prefix, beam)
                    kept.symbol = _add(kept.symbol, beam.symbol + p)
                    self._grow(new, prefix, beam, symbol, beam.blank + p)
                else:
                    self._grow(new, prefix, beam, symbol, total + p)
        best = max(b.score for b in new.values())
        ranked = [(-b.score, key, b) for key, b in new.items() if b.score >= best - self.margin]
        ranked.sort(key=lambda item: item[:2])
        self._beams = {key: beam for _, key, beam in ranked[: self.width]}
        self._settle()

    def _nothing(self, prefix: str) -> bool:
        return not prefix and not self._settled

    def _kept(self, new: dict[str, _Beam], prefix: str, beam: _Beam) -> _Beam:
        """Give the prefix itself among the new ones."""
        found = new.get(prefix)
        if found is None:
            found = new[prefix] = _Beam(NEVER, NEVER, beam.bonus, beam.memory)
        return found

    def _grow(
        self, new: dict[str, _Beam], prefix: str, beam: _Beam, symbol: str, log_prob: float
    ) -> None:
        """Add paths to the prefix and one more symbol."""
        if log_prob == NEVER:
            return
        key = prefix + symbol
        found = new.get(key)
        if found is None:
            old = self._beams.get(key)  # its own memory stands
            if old is not None:
                bonus, memory = old.bonus, old.memory
            elif self.fusion is None:
                bonus, memory = 0.0, None
            else:
                bonus, memory = self.fusion.extend(beam.memory, symbol)
            found = new[key] = _Beam(NEVER, NEVER, bonus, memory)
        found.symbol = _add(found.symbol, log_prob)

    def _settle(self) -> None:
        """Put aside the old part of the best prefix, and drop the prefixes that differ there."""
        best = next(iter(self._beams))
        if len(best) <= 2 * HORIZON:
            return
        old = best[:-HORIZON]
        keep = len(old) - 1  # one symbol stays, to know a repeat by
        self._settled.append(old[:keep])
        self._beams = {k[keep:]: b for k, b in self._beams.items() if k.startswith(old)}


def prefix_beam_search(
    log_probs: NDArray[Any],
    alphabet: Sequence[str],
    *,
    count: int | None = 1,
    width: int = 100,
    fusion: Fusion | None = None,
    least_log_prob: float = -5.0,
    margin: float = 10.0,
) -> list[CtcText]:
    """Decode a whole utterance (T, V); give the ``count`` best texts. See :class:`CtcBeam`."""
    beam = CtcBeam(
        alphabet, width=width, fusion=fusion, least_log_prob=least_log_prob, margin=margin
    )
    beam.feed(log_probs)
    return beam.finish(count)


def check_alphabet(alphabet: Sequence[str]) -> tuple[str, ...]:
    """Give the alphabet as a tuple.

    Raises:
        ConfigError: not one blank, a symbol that is no single character, or one twice.
    """
    symbols = tuple(alphabet)
    if symbols.count("") != 1:
        raise ConfigError(f'alphabet has {symbols.count("")} blanks: need one "" at its place')
    for symbol in symbols:
        if len(symbol) > 1:
            raise ConfigError(f"symbol {symbol[:40]!r}: need single characters")
    if len(set(symbols)) < len(symbols):
        raise ConfigError("alphabet has a symbol twice: need each once")
    return symbols


def _frames(log_probs: NDArray[Any], size: int | None) -> NDArray[np.float64]:
    frames = np.asarray(log_probs, np.float64)
    if frames.ndim != 2 or (size is not None and frames.shape[1] != size):
        raise WakewordError(
            f"log-probabilities have shape {frames.shape}: need (frames, {size or 'symbols'})"
        )
    if np.isnan(frames).any():
        raise WakewordError("log-probabilities hold NaN: look at the model and its input")
    if len(frames) and not np.all(frames.max(axis=1) > NEVER):
        raise WakewordError("a frame gives nothing a probability: look at the model")
    return frames


def _add(a: float, b: float) -> float:
    """Logarithm of the sum of two probabilities."""
    if a < b:
        a, b = b, a
    if b == NEVER:
        return a
    return a + math.log1p(math.exp(b - a))
