"""Other words and phrases made from one phrase, a maker for each kind.

Every maker takes the phonemes of one spelling and returns candidates; none of them looks whether a
candidate still has the phrase in it (``near`` does). The lower the ``cost``, the better it serves:
close to the phrase, and a word that is used often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from wakeword_train.data.distance import distance, sweep
from wakeword_train.data.ipa import CODAS, Phoneme
from wakeword_train.data.words import lexicon, name, sayable, syllables, write

__all__ = ["MAKERS", "Candidate"]

POOL = 400  # words of a kind that may be drawn
PER_SIDE = 12  # words on each side of a border
COMMON = 40  # of the most used words, in the place of a word of the phrase


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase that may be near: what it says, how it is spoken, what it costs to draw."""

    text: str
    phonemes: str
    cost: float


def _made(sounds: Sequence[Phoneme], cost: float) -> Candidate:
    """Turn phonemes into a candidate."""
    return Candidate(name(sounds), write(sounds), cost)


def _best(costs: NDArray[np.float32], most: int, *, allowed: NDArray[np.bool_]) -> list[Candidate]:
    """Take the words of the lexicon that cost least, each once."""
    known = lexicon()
    costs = np.where(allowed, costs + known.rarity, np.inf)
    found: dict[str, Candidate] = {}
    for at in np.argsort(costs, kind="stable")[: 2 * most]:
        if np.isfinite(costs[at]):
            word = known.words[at]
            found.setdefault(word, Candidate(word, known.spellings[at], float(costs[at])))
    return list(found.values())[:most]


def _joints(sounds: Sequence[Phoneme]) -> list[int]:
    """Find where a spelling can be cut without cutting a letter."""
    return [
        at
        for at in range(1, len(sounds))
        if sounds[at].text and (sounds[at - 1].text or sounds[at - 1].sound in CODAS)
    ]


def _sounds(sounds: Iterable[Phoneme]) -> list[str]:
    """Name the sounds, as :func:`sweep` takes them."""
    return [p.sound for p in sounds]


def near_words(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """Single words close to the whole phrase."""
    ends, _ = sweep(_sounds(phrase), lexicon().table)
    return _best(ends[-1], POOL, allowed=np.ones(len(ends[0]), bool))


def part_words(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """Words close to a part of the phrase, and at least half as long."""
    table = lexicon().table
    ends, _ = sweep(_sounds(phrase), table, within="sounds")
    enough = table.sizes >= max(2, len(phrase) / 2)
    return _best(ends.min(axis=0) * (3 / table.sizes).astype(np.float32), POOL, allowed=enough)


def rhymes(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """Words that end as the phrase does from its last stressed vowel on."""
    table = lexicon().table
    stressed = [at for at, p in enumerate(phrase) if p.vowel and p.sound.startswith("ˈ")]
    tail = phrase[(stressed or [at for at, p in enumerate(phrase) if p.vowel] or [0])[-1] :]
    ends, _ = sweep(_sounds(tail), table, within="spelling")
    other = np.abs(table.sizes - len(phrase)).astype(np.float32)
    return _best(2 * ends[-1] + 0.1 * other, POOL, allowed=ends[-1] < len(tail) / 3)


def beginnings(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """Words that begin as the first half of the phrase does."""
    known = lexicon()
    head = phrase[: max(2, (len(phrase) + 1) // 2)]
    ends, _ = sweep(_sounds(reversed(head)), known.backwards, within="spelling")
    other = np.abs(known.table.sizes - len(phrase)).astype(np.float32)
    return _best(2 * ends[-1] + 0.1 * other, POOL, allowed=ends[-1] < len(head) / 3)


def borders(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """Two words across whose border it sounds like the phrase."""
    known = lexicon()
    left, _ = sweep(_sounds(phrase), known.table, within="spelling")
    right, _ = sweep(_sounds(reversed(phrase)), known.backwards, within="spelling")
    found = []
    for at in _joints(phrase):
        if not any(p.vowel for p in phrase[:at]) or not any(p.vowel for p in phrase[at:]):
            continue
        sides = []
        for costs, size in ((left[at], at), (right[len(phrase) - at], len(phrase) - at)):
            longer = np.maximum(known.table.sizes - size, 0).astype(np.float32)
            sides.append(_best(costs + 0.2 * longer, PER_SIDE, allowed=costs < 0.6 * size))
        found += [
            Candidate(f"{a.text} {b.text}", f"{a.phonemes} {b.phonemes}", a.cost + b.cost)
            for a in sides[0]
            for b in sides[1]
        ]
    return found


def exchanged_words(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """The phrase with one of its words exchanged for one close by, or for one used all the time."""
    known = lexicon()
    words = [[p for p in phrase if p.word == n] for n in range(phrase[-1].word + 1)]
    if len(words) == 1:
        return []
    found = []
    for n, word in enumerate(words):
        ends, _ = sweep(_sounds(word), known.table)
        every = np.ones(len(ends[-1]), bool)
        others = _best(ends[-1], POOL // 4, allowed=every)
        others += _best(ends[-1], COMMON, allowed=known.ranks < COMMON)
        for other in others:
            texts = [other.text if m == n else name(w) for m, w in enumerate(words)]
            spoken = [other.phonemes if m == n else write(w) for m, w in enumerate(words)]
            found.append(Candidate(" ".join(texts), " ".join(spoken), other.cost))
    return found


def cuts(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """The phrase with its beginning or end missing, down to a third of it and to three phonemes."""
    parts = [phrase[at:] for at in _joints(phrase)] + [phrase[:at] for at in _joints(phrase)]
    return [
        _made(part, 1 - len(part) / len(phrase))
        for part in parts
        if sum(bool(p.text) for p in part) >= min(3, len(phrase) - 1)
        and 3 * len(part) >= len(phrase)
        and sayable(part, phrase)
    ]


def orders(phrase: Sequence[Phoneme]) -> list[Candidate]:
    """The syllables of the phrase in another order."""
    parts = syllables(phrase)
    if len(parts) <= 4:
        turns: Iterable[tuple[int, ...]] = list(permutations(range(len(parts))))[1:]
    else:
        count = len(parts)
        turns = [(*range(at, count), *range(at)) for at in range(1, count)]
    found = []
    for turn in turns:
        sounds = [Phoneme(p.sound, p.text, 0) for n in turn for p in parts[n]]
        spoken = write(sounds)
        found.append(Candidate(f"/{spoken}/", spoken, distance(spoken, write(phrase))))
    return found


MAKERS: dict[str, Callable[[Sequence[Phoneme]], list[Candidate]]] = {
    "word": near_words,
    "part": part_words,
    "rhyme": rhymes,
    "beginning": beginnings,
    "border": borders,
    "exchanged word": exchanged_words,
    "cut": cuts,
    "order": orders,
}
