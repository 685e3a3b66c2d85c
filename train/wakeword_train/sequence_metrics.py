"""How good texts, tags and forecasts are: BLEU, word errors, spans, perplexity, QLIKE.

What others compare by comes from the libraries that define it: sacrebleu, jiwer and seqeval, from
the extra ``sequence``.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wakeword.errors import ConfigError, TextError

__all__ = [
    "Edits",
    "SpanScore",
    "bleu",
    "character_errors",
    "perplexity",
    "qlike",
    "span_f1",
    "word_errors",
]


@dataclass(frozen=True, slots=True)
class Edits:
    """What turns references into hypotheses, counted over all of them.

    Attributes:
        hits, substitutions, deletions, insertions: units of the references that are there, are
            others, are missing; and units that should not be there.
    """

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def units(self) -> int:
        """Words or characters of the references."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per unit of the references: WER or CER; above 1 where too much was put in."""
        return (self.substitutions + self.deletions + self.insertions) / self.units


@dataclass(frozen=True, slots=True)
class SpanScore:
    """Precision, recall and F1 of whole spans, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4 in [0, 100], as sacrebleu counts it with its own tokens (13a).

    Args:
        hypotheses: one text each.
        references: the right ones for each, at least one; as many for each.

    Raises:
        ConfigError: the library is missing; the lists do not fit.
        TextError: no text at all.

    Source: Papineni et al. 2002, doi:10.3115/1073083.1073135; Post 2018, arXiv:1804.08771.
    """
    _same_length("hypotheses", hypotheses, "references", references)
    counts = sorted({len(given) for given in references})
    if len(counts) != 1 or not counts[0]:
        raise ConfigError(
            f"{counts} references for a hypothesis: need as many for each, at least 1"
        )
    streams = [list(stream) for stream in zip(*references, strict=True)]
    return float(_library("sacrebleu").corpus_bleu(list(hypotheses), streams).score)


def word_errors(hypotheses: Sequence[str], references: Sequence[str]) -> Edits:
    """Edits between texts, word by word; ``.rate`` is the word error rate.

    Raises:
        ConfigError: the library is missing; not one hypothesis for each reference.
        TextError: a reference without words.
    """
    _texts(hypotheses, references)
    return _edits(_library("jiwer").process_words(list(references), list(hypotheses)))


def character_errors(hypotheses: Sequence[str], references: Sequence[str]) -> Edits:
    """Edits between texts, character by character; otherwise as :func:`word_errors`."""
    _texts(hypotheses, references)
    return _edits(_library("jiwer").process_characters(list(references), list(hypotheses)))


def span_f1(predicted: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> SpanScore:
    """Compare the spans that tags mark (O, B-kind, I-kind), as conlleval does.

    A span counts where its kind, begin and end are right. All kinds are counted together.

    Args:
        predicted, right: tags of each sentence.

    Raises:
        ConfigError: the library is missing; sentences or tags do not pair up; another kind of tag.
        TextError: no sentence.

    Source: Tjong Kim Sang and De Meulder 2003, doi:10.3115/1119176.1119195.
    """
    _same_length("predicted", predicted, "right", right)
    for i, (ours, theirs) in enumerate(zip(predicted, right, strict=True)):
        if len(ours) != len(theirs):
            raise ConfigError(f"sentence {i}: {len(ours)} tags for {len(theirs)}: need one each")
        for tag in (*ours, *theirs):
            if tag != "O" and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
                raise ConfigError(f"sentence {i}: tag {tag[:40]!r}: need O, B-kind or I-kind")
    metrics = _library("seqeval.metrics")
    both = [list(map(list, right)), list(map(list, predicted))]
    with warnings.catch_warnings():
        # No span at all makes a ratio 0 / 0; 0 is what it then counts as.
        warnings.simplefilter("ignore")
        parts = [
            float(measure(*both, zero_division=0))
            for measure in (metrics.precision_score, metrics.recall_score, metrics.f1_score)
        ]
    return SpanScore(*parts)


def perplexity(log_probs: ArrayLike) -> float:
    """exp of minus the mean log-probability of a token.

    Args:
        log_probs: natural logarithms, any shape, one for each token; none above 0.

    Raises:
        TextError: none, NaN, or one above 0 by more than rounding.

    >>> perplexity(np.log([0.5, 0.125]))
    4.0
    """
    values = np.asarray(log_probs, np.float64)
    if not values.size or np.isnan(values).any() or values.max() > 1e-5:
        raise TextError("log-probabilities: need at least one, none NaN and none above 0")
    return math.exp(-float(values.mean()))


def qlike(realised: ArrayLike, forecast: ArrayLike) -> float:
    """Mean of r - log(r) - 1 with r = realised / forecast variance; 0 where all are right.

    It punishes a forecast that is too low more than one too high, and ranks forecasts rightly also
    where what was realised is measured with noise.

    Args:
        realised, forecast: variances (not volatilities), the same shape, all above 0.

    Raises:
        ConfigError: other shapes, none, or a value that is not finite and above 0.

    Source: Patton 2011, doi:10.1016/j.jeconom.2010.03.034.

    >>> qlike([1.0, 2.0], [1.0, 2.0]), round(qlike([1.0], [0.5]), 4), round(qlike([0.5], [1.0]), 4)
    (0.0, 0.3069, 0.1931)
    """
    ours, theirs = (np.asarray(values, np.float64) for values in (realised, forecast))
    if ours.shape != theirs.shape or not ours.size:
        raise ConfigError(f"{ours.shape} realised, {theirs.shape} forecast: need as many, and some")
    for name, values in (("realised", ours), ("forecast", theirs)):
        wrong = values[~(np.isfinite(values) & (values > 0))]
        if wrong.size:
            raise ConfigError(f"{name} variance {wrong[0]}: need finite ones above 0")
    ratio = ours / theirs
    return float((ratio - np.log(ratio) - 1).mean())


def _edits(found: Any) -> Edits:
    return Edits(found.hits, found.substitutions, found.deletions, found.insertions)


def _texts(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    _same_length("hypotheses", hypotheses, "references", references)
    for i, text in enumerate(references):
        if not text.split():
            raise TextError(f"reference {i} has no words: leave it out")


def _same_length(ours: str, a: Sequence[Any], theirs: str, b: Sequence[Any]) -> None:
    for name, values in ((ours, a), (theirs, b)):
        if isinstance(values, str):
            raise ConfigError(f"{name}: one text {values[:40]!r}: need a list of texts")
    if len(a) != len(b):
        raise ConfigError(f"{len(a)} {ours} for {len(b)} {theirs}: need one each")
    if not len(a):
        raise TextError(f"no {ours}: need at least one")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise ConfigError(
            f"{name.partition('.')[0]} is not there: pip install 'wakeword[sequence]'"
        ) from exc
