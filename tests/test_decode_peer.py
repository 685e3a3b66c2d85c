"""Our CTC search beside pyctcdecode's on the same posteriors; its settings are our defaults.

What it says of the posteriors that are drawn here lies in ``data/ctc_peer.json``, so the comparison
holds without it too; written by ``python tests/test_decode_peer.py``. Where posteriors leave two
texts within a tenth of a nat, the two searches may keep different ones: it keeps a prefix twice,
ending in blank and not, and so fewer prefixes. Those drawn here are clearer than that.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.decode import WordFusion, prefix_beam_search
from wakeword.language import NgramModel, kneser_ney
from wakeword.vocabulary import Vocabulary
from wakeword_train.sequence.ctc_peer import peer_texts

GOLDEN = Path(__file__).parent / "data" / "ctc_peer.json"
ALPHABET = ("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
TEXTS = (
    "ENTER FOUR FIVE E", "GO", "R U B O U T", "SEVENTY THREE", "NO", "ERASE O T H F SIX", "YES",
    "FIVE SIX OH ONE", "START", "HELP", "FOUR THREE SEVEN ONE", "TWENTY SIX", "B E E", "STOP",
)  # fmt: skip
WEIGHT, BONUS, UNKNOWN = 0.7, 1.0, -10.0
WIDTH = 40
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
    return prefix_beam_search(log_probs, ALPHABET, fusion=fusion, width=WIDTH)[0].text


def theirs(all_of_them: list[NDArray[np.float64]], *, words: bool) -> list[str]:
    return peer_texts(
        all_of_them, ALPHABET, model() if words else None,
        weight=WEIGHT, bonus=BONUS, unknown=UNKNOWN, width=WIDTH,
    )  # fmt: skip


@pytest.mark.parametrize("words", [False, True])
def test_texts_equal_what_pyctcdecode_said(words: bool) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))["words" if words else "letters"]
    assert [ours(posteriors(seed), words=words) for seed in range(COUNT)] == golden


@pytest.mark.parametrize("words", [False, True])
def test_texts_equal_pyctcdecodes(words: bool) -> None:
    pytest.importorskip(
        "pyctcdecode", reason="asks for numpy 1; see wakeword_train.sequence.ctc_peer"
    )
    others = [posteriors(seed) for seed in range(COUNT, COUNT + 10)]
    assert [ours(p, words=words) for p in others] == theirs(others, words=words)


def test_the_posteriors_are_neither_clear_nor_hopeless() -> None:
    letters = json.loads(GOLDEN.read_text("utf-8"))["letters"]
    words = json.loads(GOLDEN.read_text("utf-8"))["words"]
    right = [sum(t in TEXTS for t in texts) for texts in (letters, words)]
    assert 20 < right[0] < right[1] - 4
    assert math.isclose(np.exp(posteriors(0)).sum(axis=1).max(), 1)


if __name__ == "__main__":
    drawn = [posteriors(seed) for seed in range(COUNT)]
    said = {name: theirs(drawn, words=name == "words") for name in ("letters", "words")}
    GOLDEN.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
