"""Our CTC search beside pyctcdecode's on the same posteriors.

pyctcdecode 0.5 asks for numpy 1, so no extra carries it: ``pip install --no-deps pyctcdecode`` and
``pip install pygtrie`` put it beside numpy 2, with which it runs. What it says of the posteriors
that are drawn here lies in ``data/ctc_peer.json``, so the comparison holds without it too; written
by ``python tests/test_decode_peer.py``. Where the posteriors leave two texts within a tenth of a
nat, the two searches may keep different ones: it keeps a prefix twice, ending in blank and not, and
so fewer prefixes. Those drawn here are clearer than that.
"""

from __future__ import annotations

import json
import logging
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.decode import WordFusion, prefix_beam_search
from wakeword.language import NgramModel, kneser_ney
from wakeword.vocabulary import Vocabulary

GOLDEN = Path(__file__).parent / "data" / "ctc_peer.json"
ALPHABET = ("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
TEXTS = (
    "ENTER FOUR FIVE E", "GO", "R U B O U T", "SEVENTY THREE", "NO", "ERASE O T H F SIX", "YES",
    "FIVE SIX OH ONE", "START", "HELP", "FOUR THREE SEVEN ONE", "TWENTY SIX", "B E E", "STOP",
)  # fmt: skip
WEIGHT, BONUS, UNKNOWN = 0.7, 1.0, -10.0
SETTING = {"width": 40, "least_log_prob": -5.0, "margin": 10.0}
COUNT = 40


def posteriors(seed: int) -> NDArray[np.float64]:
    """Log-probabilities as a model gives them that is unsure: a text, spelled slowly, in noise."""
    rng = np.random.default_rng(seed)
    text = str(rng.choice(TEXTS))
    path: list[int] = []
    for letter in text:
        path += [ALPHABET.index(letter)] * int(rng.integers(1, 3)) + [0] * int(rng.integers(1, 4))
    scores = rng.normal(size=(len(path), len(ALPHABET)))
    scores[np.arange(len(path)), path] += rng.uniform(4, 9, len(path))
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


@cache
def model() -> NgramModel:
    sentences = [t.split() for t in TEXTS]
    vocabulary = Vocabulary.of_words(sentences)
    return kneser_ney([vocabulary.encode(s) for s in sentences], vocabulary, 2)


def ours(log_probs: NDArray[np.float64], *, words: bool) -> str:
    fusion = None
    if words:
        lm = model()
        fusion = WordFusion(lm, lm.vocabulary, weight=WEIGHT, bonus=BONUS, unknown=UNKNOWN)
    return prefix_beam_search(log_probs, ALPHABET, fusion=fusion, **SETTING)[0].text  # type: ignore[arg-type]


def decoder(*, words: bool) -> Any:
    """Theirs, told of our language model through its own interface."""
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    from pyctcdecode import Alphabet, BeamSearchDecoderCTC
    from pyctcdecode.language_model import AbstractLanguageModel

    class Judge(AbstractLanguageModel):  # type: ignore[misc]
        """Scores a word as our fusion does."""

        def __init__(self) -> None:
            self.lm = model()
            self.beginnings = {
                w[:n] for w in self.lm.vocabulary.symbols for n in range(1, len(w) + 1)
            }

        @property
        def order(self) -> int:
            return 2

        def get_start_state(self) -> Any:
            return self.lm.step(np.array([self.lm.start]), self.lm.initial_state())

        def score_partial_token(self, partial_token: str) -> float:
            return 0.0 if partial_token in self.beginnings else UNKNOWN

        def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> Any:
            total = 0.0
            if word:
                known = word in self.lm.vocabulary
                number = int(self.lm.vocabulary.encode([word])[0])
                total += WEIGHT * float(prev_state[0][0, number]) + BONUS
                total += 0.0 if known else UNKNOWN
                prev_state = self.lm.step(np.array([number]), prev_state[1])
            end = WEIGHT * float(prev_state[0][0, self.lm.eos]) if is_last_word else 0.0
            return total + end, prev_state

    return BeamSearchDecoderCTC(Alphabet(list(ALPHABET), False), Judge() if words else None)


def theirs(log_probs: NDArray[np.float64], peer: Any) -> str:
    return str(
        peer.decode_beams(
            log_probs,
            beam_width=SETTING["width"],
            token_min_logp=SETTING["least_log_prob"],
            beam_prune_logp=-SETTING["margin"],
        )[0][0]
    )


@pytest.mark.parametrize("words", [False, True])
def test_texts_equal_what_pyctcdecode_said(words: bool) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))["words" if words else "letters"]
    assert [ours(posteriors(seed), words=words) for seed in range(COUNT)] == golden


@pytest.mark.parametrize("words", [False, True])
def test_texts_equal_pyctcdecodes(words: bool) -> None:
    pytest.importorskip("pyctcdecode", reason="it asks for numpy 1; see the head of this file")
    peer = decoder(words=words)
    for seed in range(COUNT, COUNT + 10):
        log_probs = posteriors(seed)
        assert ours(log_probs, words=words) == theirs(log_probs, peer)


def test_the_posteriors_are_neither_clear_nor_hopeless() -> None:
    letters = json.loads(GOLDEN.read_text("utf-8"))["letters"]
    words = json.loads(GOLDEN.read_text("utf-8"))["words"]
    right = [sum(t in TEXTS for t in texts) for texts in (letters, words)]
    assert 20 < right[0] < right[1] - 4
    assert math.isclose(np.exp(posteriors(0)).sum(axis=1).max(), 1)


if __name__ == "__main__":
    said = {
        name: [theirs(posteriors(seed), decoder(words=name == "words")) for seed in range(COUNT)]
        for name in ("letters", "words")
    }
    GOLDEN.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
