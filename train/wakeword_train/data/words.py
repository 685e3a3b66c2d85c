"""What the lexicon tells of English: its words as arrays, and which sounds make a syllable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wakeword_train.data.distance import Table
from wakeword_train.data.ipa import CODAS, Phoneme, parse
from wakeword_train.data.lexicon import read_lexicon

__all__ = ["Lexicon", "lexicon", "name", "sayable", "syllables", "write"]

RARE = 1.0  # cost of the rarest word of the lexicon, where closeness and use are weighed
CLUSTER_WORDS = 20  # consonants may begin a syllable if they begin so many words; or end it


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lexicon as arrays, the most used word first."""

    words: list[str]
    spellings: list[str]
    rarity: NDArray[np.float32]  # 0 to RARE
    ranks: NDArray[np.intp]  # how many words are used more
    table: Table
    backwards: Table


@cache
def lexicon() -> Lexicon:
    """Read the lexicon once; about a second."""
    words, spellings = (list(column) for column in zip(*read_lexicon(), strict=True))
    rarity = np.linspace(0, RARE, len(words), dtype=np.float32)
    ranks = np.cumsum([a != b for a, b in pairwise(["", *words])]) - 1
    tables = Table(spellings), Table(spellings, backwards=True)
    return Lexicon(words, spellings, rarity, ranks, *tables)


def _plain(spelling: str) -> tuple[str, ...]:
    """Name the sounds of a spelling without what Britain and America say differently."""
    return tuple(p.sound.replace("ɾ", "t") for p in parse(spelling) if p.sound not in CODAS)


@cache
def _by_sound() -> dict[tuple[str, ...], str]:
    """Find the most used word that is spoken so."""
    known = lexicon()
    rows = zip(reversed(known.spellings), reversed(known.words), strict=True)
    return {_plain(spelling): word for spelling, word in rows}


def _edges(syllable: Sequence[Phoneme]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the consonants before the vowel of a syllable, and those after it."""
    core = next((at for at, p in enumerate(syllable) if p.vowel), len(syllable))
    sounds = [p.sound.replace("ɾ", "t") for p in syllable]
    return tuple(sounds[:core]), tuple(s for s in sounds[core + 1 :] if s not in CODAS)


@cache
def _clusters() -> tuple[frozenset[tuple[str, ...]], frozenset[tuple[str, ...]]]:
    """Find the consonants that words begin with, and those that words end with."""
    first: Counter[tuple[str, ...]] = Counter()
    last: Counter[tuple[str, ...]] = Counter()
    for sounds in (parse(spelling) for spelling in lexicon().spellings):
        cores = [at for at, p in enumerate(sounds) if p.vowel]
        if cores:
            first[_edges(sounds)[0]] += 1
            last[_edges(sounds[cores[-1] :])[1]] += 1
    onsets, codas = (
        frozenset(cluster for cluster, n in count.items() if n >= CLUSTER_WORDS)
        for count in (first, last)
    )
    return onsets, codas


def sayable(sounds: Sequence[Phoneme], phrase: Sequence[Phoneme]) -> bool:
    """Tell whether each syllable begins and ends as English words do, or as in the phrase."""
    if not any(p.vowel for p in sounds):
        return False
    own = [_edges(syllable) for syllable in syllables(phrase)]
    for onset, coda in map(_edges, syllables(sounds)):
        if onset not in _clusters()[0] and all(onset != o for o, _ in own):
            return False
        if coda not in _clusters()[1] and all(coda != c for _, c in own):
            return False
    return True


def write(sounds: Sequence[Phoneme]) -> str:
    """Put phonemes together again, words apart, with a stress if there is none.

    >>> write(parse("kəmpjˈuːɾɚ")[:4]), write(parse("ɡˈoʊ ˈɔn"))
    ('kˈʌmp', 'ɡˈoʊ ˈɔn')
    """
    texts = [p.text for p in sounds]
    if not any("ˈ" in text for text in texts):
        for at, p in enumerate(sounds):
            if p.vowel:
                texts[at] = "ˈ" + p.text.strip("ˈˌ").replace("ə", "ʌ")  # ə is never stressed
                break
    breaks = [" " if b.word > a.word else "" for a, b in pairwise(sounds)]
    joined = "".join(text + gap for text, gap in zip(texts, [*breaks, ""], strict=True))
    return joined.removesuffix("ɾ") + "t" if sounds[-1].sound == "ɾ" else joined


def name(sounds: Sequence[Phoneme]) -> str:
    """Name a word by how it is written, or by its phonemes if it is none."""
    spoken = write(sounds)
    return _by_sound().get(_plain(spoken), f"/{spoken}/")


def syllables(sounds: Sequence[Phoneme]) -> list[list[Phoneme]]:
    """Part phonemes into syllables, each beginning as words of English do, or with one consonant.

    >>> [write(s) for s in syllables(parse("kəmpjˈuːɾɚ"))]
    ['kˈʌm', 'pjˈuː', 'ɾˈɚ']
    """
    cores = [at for at, p in enumerate(sounds) if p.vowel]
    cuts = [0]
    for left, right in pairwise(cores):
        cut = right
        for at in range(right, left, -1):
            onset = tuple(p.sound.replace("ɾ", "t") for p in sounds[at:right])
            whole = sounds[at].word == sounds[right].word
            if (
                not whole
                or set(onset) & CODAS.keys()
                or (len(onset) > 1 and onset not in _clusters()[0])
            ):
                break
            cut = at
        cuts.append(cut)
    return [list(sounds[a:b]) for a, b in pairwise([*cuts, len(sounds)])]
