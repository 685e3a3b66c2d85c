"""Decoders: from a model's probabilities to sequences and texts, in numpy, so they run on a Pi."""

from __future__ import annotations

from wakeword.decode.beam import SearchErrors, beam_search, normalised, search_errors
from wakeword.decode.ctc import CtcBeam, CtcText, best_path, collapse, prefix_beam_search
from wakeword.decode.ctc_loss import ctc_loss
from wakeword.decode.fusion import CharFusion, Fusion, WordFusion
from wakeword.decode.sampling import greedy, sample
from wakeword.decode.steps import Hypothesis, State, Step, score_sequences, take

__all__ = [
    "CharFusion",
    "CtcBeam",
    "CtcText",
    "Fusion",
    "Hypothesis",
    "SearchErrors",
    "State",
    "Step",
    "WordFusion",
    "beam_search",
    "best_path",
    "collapse",
    "ctc_loss",
    "greedy",
    "normalised",
    "prefix_beam_search",
    "sample",
    "score_sequences",
    "search_errors",
    "take",
]
