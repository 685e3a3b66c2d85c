"""Phrases that sound close to a wake phrase but are not it: what a detector must learn to ignore.

They are chosen by the distance of :mod:`wakeword_train.data.distance` from a lexicon of English
(:mod:`wakeword_train.data.lexicon`), and made from the phrase itself; nonsense is fine, because
they are spoken from phonemes. The phrase may be of any language that can be written in IPA: then
the words are English ones that sound like it.

None of them contains the whole phrase in any accent given, nor within the drift of one: no stream
could tell such a word from the phrase before it is over. :func:`swallowed` lists them. And none is
so near that somebody may say the phrase like that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.data.distance import (
    Table,
    alike,
    containing,
    contains,
    distance,
    same_word,
    sweep,
    too_near,
)
from wakeword_train.data.ipa import drift, parse
from wakeword_train.data.variants import MAKERS, Candidate
from wakeword_train.data.words import lexicon, name, write

__all__ = ["Near", "contains", "distance", "near_phrases", "same_word", "strength", "swallowed"]

# Share of each kind. Real words lead: the voices say them as people do.
SHARES = {
    "word": 0.28, "part": 0.12, "rhyme": 0.12, "beginning": 0.12, "border": 0.14,
    "exchanged word": 0.14, "cut": 0.06, "order": 0.02,
}  # fmt: skip
BASES = 2  # spellings to which words are compared: the plain ones, which come first
# For judging a phrase. Of the 10,000 most used words, 35 to 360 lie within 1.5 of "cat", "bed",
# "go" and "echo", 24 to 105 of "sheila", "happy", "hello" and "water", which have 4 phonemes, and 0
# to 15 of thirteen longer phrases.
USED = 10_000
CLOSE = 1.5
MANY = 20
SHORT = 4  # phonemes
BANDS = (1_000, 5_000, USED)
EVERYDAY = 500  # "hey" and "computer" are not: they come 521st and 742nd
ACCENTED = ("cut", "order")  # made from every spelling, so that no accent marks the phrase
# Nearer ones teach to ignore the phrase itself as some say it: "jarviz", "conputer", and "lexa".
NEAREST = 1.0
NEAREST_CUT = 1.5  # more than one sound is missing
EVEN = 10  # the best so many of a kind are drawn about as readily as all others


@dataclass(frozen=True, slots=True)
class Near:
    """A phrase near another.

    ``text`` is what it says, in slashes where it is no word. ``phonemes`` is how the voices are to
    say it. ``distance`` is that to the nearest spelling of the phrase. ``kind`` says how it came.
    """

    text: str
    phonemes: str
    distance: float
    kind: str


def near_phrases(spellings: Sequence[str], count: int, seed: int) -> list[Near]:
    """Draw phrases near another, of all kinds.

    Args:
        spellings: the phrase as it is spoken, in IPA; the plain pronunciations first, then accents.
        count: how many, if there are so many; some thousands are.
        seed: the same spellings and seed give the same phrases, and a smaller count the first ones.

    Returns:
        Distinct phrases, the kinds mixed by ``SHARES``, none with the phrase in it.

    Raises:
        ConfigError: no spelling, or one without phonemes.

    >>> [near.text for near in near_phrases(["kəmpjˈuːɾɚ"], 500, seed=1)].count("commuter")
    1
    """
    spellings = _checked(spellings)
    pools = _pools(spellings)
    drawn = {kind: _drawn(pool, [seed, n]) for n, (kind, pool) in enumerate(pools.items())}
    mixed: list[Near] = []
    taken = dict.fromkeys(drawn, 0)
    while len(mixed) < count:
        left = [kind for kind in drawn if taken[kind] < len(drawn[kind])]
        if not left:
            break
        kind = min(left, key=lambda kind: (taken[kind] + 0.5) / SHARES[kind])
        mixed.append(drawn[kind][taken[kind]])
        taken[kind] += 1
    return mixed


def _checked(spellings: Sequence[str]) -> list[str]:
    """Return each way to say the phrase once, as given."""
    if isinstance(spellings, str) or not spellings:
        raise ConfigError(f"spellings={spellings!r}: need a list of at least one, in IPA")
    return list({tuple(p.sound for p in parse(s)): s for s in reversed(spellings)}.values())[::-1]


def _pools(spellings: Sequence[str]) -> dict[str, list[Near]]:
    """Make all candidates of each kind that do not have the phrase in them, the best first."""
    seen: set[str | tuple[str, ...]] = set()
    pools = {}
    for kind, make in MAKERS.items():
        found: list[Candidate] = []
        for spelling in spellings if kind in ACCENTED else spellings[:BASES]:
            found += make(parse(spelling))
        found.sort(key=lambda c: (c.cost, c.text, c.phonemes))
        fresh = []
        for candidate in found:
            sounds = tuple(p.sound for p in parse(candidate.phonemes))
            keys: set[str | tuple[str, ...]] = {candidate.text, sounds}
            if not keys & seen:
                fresh.append(candidate)
            seen |= keys
        pools[kind] = _apart(fresh, kind, spellings) if fresh else []
    return pools


def _apart(found: Sequence[Candidate], kind: str, spellings: Sequence[str]) -> list[Near]:
    """Drop what has the phrase in it or may pass for it, and measure the rest."""
    table = Table([c.phonemes for c in found])
    has = too_near(table, spellings)
    far = np.min([sweep([p.sound for p in parse(s)], table)[0][-1] for s in spellings], axis=0)
    nearest = NEAREST_CUT if kind == "cut" else NEAREST
    return [
        Near(c.text, c.phonemes, round(float(d), 3), kind)
        for c, d, drop in zip(found, far, has, strict=True)
        if not drop and d >= nearest
    ]


def _drawn(pool: Sequence[Near], seed: Sequence[int]) -> list[Near]:
    """Put a pool into the order in which it is drawn: by chance, the first ones sooner."""
    weights = (np.arange(len(pool)) + EVEN) ** -2.0
    times = np.random.default_rng(seed).exponential(size=len(pool)) / weights
    return [pool[at] for at in np.argsort(times, kind="stable")]


def swallowed(spellings: Sequence[str]) -> list[str]:
    """List the words that have the whole phrase in them, up to accent: they will wake the detector.

    Args:
        spellings: as for :func:`near_phrases`.

    Returns:
        Words of the lexicon, the most used first, without those that are the phrase itself. For a
        phrase of several words also what it becomes when its last word goes on ("hey computers").

    Raises:
        ConfigError: as :func:`near_phrases`.

    >>> swallowed(["kəmpjˈuːɾɚ"])[:1]
    ['computers']
    """
    spellings, known = _checked(spellings), lexicon()
    has = containing(known.table, spellings) & ~alike(known.table, spellings)
    found = [known.words[at] for at in np.flatnonzero(has)]
    for spelling in spellings:
        phrase = parse(spelling)
        words = [[p for p in phrase if p.word == n] for n in range(phrase[-1].word + 1)]
        last = write(words[-1])
        _, best = sweep([p.sound for p in words[-1]], known.table, cost=drift)
        goes_on = (best < Table([last]).limits) & ~alike(known.table, [last])
        for at in np.flatnonzero(goes_on) if len(words) > 1 else ():
            found.append(" ".join([*map(name, words[:-1]), known.words[at]]))
    return list(dict.fromkeys(found))


def strength(spellings: Sequence[str]) -> list[str]:
    """Judge a wake phrase before anything is trained on it.

    Args:
        spellings: as for :func:`near_phrases`.

    Returns:
        Sentences: the first says how long it is, each further one is a caution.

    Raises:
        ConfigError: the phrase has one phoneme only, or as :func:`near_phrases`.

    >>> strength(["hˈeɪ kəmpjˈuːɾɚ"])[0]
    '10 phonemes in 4 syllables'
    """
    spellings, known = _checked(spellings), lexicon()
    phrase = parse(spellings[0])
    phonemes, syllables = sum(bool(p.text) for p in phrase), sum(p.vowel for p in phrase)
    if phonemes < 2:
        raise ConfigError(
            f"{spellings[0]!r}: one phoneme; a wake phrase needs two, and works from {SHORT + 1} on"
        )
    long = f"{_many(phonemes, 'phoneme')} in {_many(syllables, 'syllable')}"
    said = [long]
    if phonemes <= SHORT or syllables < 2:
        said.append(
            f"short: {long}; expect false alarms "
            f"(take at least {SHORT + 1} phonemes in 2 syllables)"
        )
    itself, used = alike(known.table, spellings), known.ranks < USED
    often = np.flatnonzero(itself & used)
    if len(often):
        most = next(band for band in BANDS if known.ranks[often[0]] < band)
        said.append(
            f"said often: it sounds like {known.words[often[0]]!r}, one of the {most:,} most used "
            "words, and will be said without being meant"
        )
    words = [write([p for p in phrase if p.word == n]) for n in range(phrase[-1].word + 1)]
    everyday = known.ranks < EVERYDAY
    if len(words) > 1 and all((alike(known.table, [word]) & everyday).any() for word in words):
        said.append(
            f"said in passing: each of its words sounds like one of the {EVERYDAY} most used"
        )
    far = np.min(
        [sweep([p.sound for p in parse(s)], known.table)[0][-1] for s in spellings], axis=0
    )
    close = used & (far <= CLOSE) & ~itself & ~containing(known.table, spellings)
    near = list(dict.fromkeys(known.words[at] for at in np.flatnonzero(close)))
    if len(near) >= MANY:
        said.append(
            f"easily mistaken: {len(near)} of the {USED:,} most used words sound close to it, as "
            + ", ".join(near[:5])
        )
    longer = swallowed(spellings)
    if longer:
        more = f" and {len(longer) - 5} more" if len(longer) > 5 else ""
        said.append(f"it is part of other words, which will wake it: {', '.join(longer[:5])}{more}")
    return said


def _many(count: int, noun: str) -> str:
    """Count a noun.

    >>> _many(1, "syllable"), _many(3, "syllable")
    ('1 syllable', '3 syllables')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
