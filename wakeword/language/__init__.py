"""Language models behind one object: n-grams, mixtures, and any model that takes steps."""

from __future__ import annotations

from wakeword.language.arpa import read_arpa, write_arpa
from wakeword.language.kneser_ney import kneser_ney
from wakeword.language.mixture import Mixture, mixture_weights
from wakeword.language.model import LanguageModel, SteppedModel
from wakeword.language.ngram import NgramModel

__all__ = [
    "LanguageModel",
    "Mixture",
    "NgramModel",
    "SteppedModel",
    "kneser_ney",
    "mixture_weights",
    "read_arpa",
    "write_arpa",
]
