"""Words and sentences of no language, in phonemes: cheap variety of what is not the word.

Syllables are drawn from sounds that the voices share, and now and then from the wake words
themselves, so that a part of the word, or its parts in another order, is heard as something else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["pseudo_phrase", "pseudo_word"]

ONSETS = ("", "", "b", "d", "f", "ɡ", "h", "j", "k", "l", "m", "n", "p", "ɹ", "s", "t", "v", "w",
          "z", "ʃ", "ʤ", "ʧ", "θ", "ð", "bɹ", "dɹ", "fl", "kɹ", "kl", "pl", "pɹ", "sk", "sl", "sp",
          "st", "tɹ", "kw", "mj", "fj", "kj")  # fmt: skip
VOWELS = ("ə", "ə", "ɪ", "i", "iː", "ɛ", "æ", "ɑː", "ʌ", "ɔː", "ʊ", "uː", "u", "ɚ", "ɜː", "eɪ",
          "aɪ", "oʊ", "aʊ", "a", "e", "o")  # fmt: skip
CODAS = ("", "", "", "", "n", "m", "l", "s", "z", "t", "d", "k", "ɹ", "st", "nd", "ŋ", "ks", "ɾ",
         "v", "f", "ns", "nt")  # fmt: skip


def pseudo_word(rng: np.random.Generator, syllables: int, borrowed: Sequence[str] = ()) -> str:
    """Draw a word of ``syllables``, one of them stressed, each with a chance of 1 in 6 borrowed."""
    stressed = int(rng.integers(syllables))
    word = ""
    for place in range(syllables):
        if borrowed and rng.uniform() < 1 / 6:
            syllable = str(rng.choice(np.asarray(borrowed)))
            word += ("ˈ" if place == stressed else "") + syllable
            continue
        onset, vowel, coda = (str(rng.choice(np.asarray(s))) for s in (ONSETS, VOWELS, CODAS))
        word += onset + ("ˈ" if place == stressed else "") + vowel
        word += coda if place == syllables - 1 or rng.uniform() < 0.3 else ""
    return word


def pseudo_phrase(rng: np.random.Generator, words: int, borrowed: Sequence[str] = ()) -> str:
    """Draw ``words`` words of one to four syllables, with a comma now and then.

    >>> pseudo_phrase(np.random.default_rng(1), 3).count(" ")
    2
    """
    lengths = rng.choice(np.array([1, 2, 3, 4]), words, p=[0.35, 0.35, 0.2, 0.1])
    parts = [pseudo_word(rng, int(n), borrowed) for n in lengths]
    return (
        " ".join(p + ("," if rng.uniform() < 0.15 else "") for p in parts[:-1])
        + (" " if words > 1 else "")
        + parts[-1]
    )
