"""pyctcdecode on the same posteriors with the same n-grams: what our search is measured beside.

pyctcdecode 0.5 asks for numpy 1, so no extra carries it: ``pip install --no-deps pyctcdecode`` and
``pip install pygtrie`` put it beside numpy 2, with which it runs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.language import NgramModel

__all__ = ["peer_texts"]


def peer_texts(
    log_probs: Sequence[NDArray[Any]],
    alphabet: Sequence[str],
    model: NgramModel | None = None,
    *,
    weight: float = 1.0,
    bonus: float = 0.0,
    unknown: float = -10.0,
    width: int = 100,
) -> list[str]:
    """Texts of utterances (T, V), with settings as `wakeword.decode` names them.

    Returns:
        One for each; nothing where pyctcdecode is not there.
    """
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)  # it misses a library not needed here
    try:
        from pyctcdecode import Alphabet, BeamSearchDecoderCTC
        from pyctcdecode.language_model import AbstractLanguageModel
    except ImportError:
        return []

    class Judge(AbstractLanguageModel):
        """Our n-grams behind its interface, scored as `wakeword.decode.WordFusion` does."""

        def __init__(self, words: NgramModel) -> None:
            self.words = words
            symbols = words.vocabulary.symbols
            self.beginnings = {w[:n] for w in symbols for n in range(1, len(w) + 1)}

        @property
        def order(self) -> int:
            return self.words.order

        def get_start_state(self) -> Any:
            return self.words.step(np.array([self.words.start]), self.words.initial_state())

        def score_partial_token(self, partial_token: str) -> float:
            return 0.0 if partial_token in self.beginnings else unknown

        def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> Any:
            total = 0.0
            if word:  # it also asks about the nothing behind a last space
                number = int(self.words.vocabulary.encode([word])[0])
                total = weight * float(prev_state[0][0, number]) + bonus
                total += 0.0 if word in self.words.vocabulary else unknown
                prev_state = self.words.step(np.array([number]), prev_state[1])
            end = weight * float(prev_state[0][0, self.words.eos]) if is_last_word else 0.0
            return total + end, prev_state

    peer = BeamSearchDecoderCTC(
        Alphabet(list(alphabet), False), None if model is None else Judge(model)
    )
    return [str(peer.decode(np.asarray(p, np.float64), beam_width=width)) for p in log_probs]
