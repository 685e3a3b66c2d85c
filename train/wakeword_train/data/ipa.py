"""Phonemes in IPA, and how far apart two strings of them sound.

The distance is the least cost of changing one string into the other by leaving out, adding and
exchanging phonemes; 1 is one phoneme. The costs come from articulation: consonants differ in
place, manner and voicing, vowels in height, backness and rounding; stress and length cost little.
So does what accents do: unstressed vowels drift, ``t`` becomes a flap or a glottal stop, ``ɹ`` is
silent unless a vowel follows, ``v`` and ``w`` are exchanged.

Source: the rows and columns are the chart of the International Phonetic Association (2020); that
place and manner weigh more than voicing follows Kondrak 2000, "A new algorithm for the alignment of
phonetic sequences", NAACL. The numbers are ours. The distance is a metric: symmetric, and no
detour is shorter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = [
    "Phoneme",
    "Table",
    "containing",
    "contains",
    "distance",
    "drift",
    "exchange",
    "parse",
    "same_word",
    "sweep",
    "tolerance",
]

# Two strings are one word in two accents if they differ by drift alone: no sound left out, added or
# exchanged for more than DRIFT_ONE, and in all less than DRIFT for each phoneme, and than one.
# Chosen on what the first recipe has by hand: its 14 pronunciations of "computer" (limit 0.8) are
# up to 0.79 apart, each of the 14 of "jarvis" (limit 0.5) is within 0.35 of another; of its 51
# other phrases the nearest are 1.00 from "computer" (commuter) and 0.56 from "jarvis" (Chavez).
DRIFT = 0.1
DRIFT_MOST = 0.9
DRIFT_ONE = 0.45

# The chart: one pair, voiceless and voiced, in each column.
PLACES = {
    "bilabial": 0.0, "labiodental": 0.05, "dental": 0.4, "alveolar": 0.5, "postalveolar": 0.75,
    "retroflex": 0.6, "palatal": 0.8, "velar": 1.0, "uvular": 1.1, "pharyngeal": 1.2,
    "glottal": 1.35,
}  # fmt: skip
CHART = {
    "plosive": "pb -- -- td -- ʈɖ cɟ kɡ qɢ -- ʔ-",
    "nasal": "-m -ɱ -- -n -- -ɳ -ɲ -ŋ -ɴ -- --",
    "trill": "-ʙ -- -- -r -- -- -- -- -ʀ -- --",
    "tap": "-- -ⱱ -- -ɾ -- -ɽ -- -- -- -- --",
    "fricative": "ɸβ fv θð -- -- -- çʝ xɣ χʁ ħʕ hɦ",
    "sibilant": "-- -- -- sz ʃʒ ʂʐ ɕʑ -- -- -- --",
    "affricate": "-- -- -- ʦʣ ʧʤ -- ʨʥ -- -- -- --",
    "lateral fricative": "-- -- -- ɬɮ -- -- -- -- -- -- --",
    "approximant": "ʍw -ʋ -- -ɹ -- -ɻ ɥj -ɰ -- -- --",
    "lateral": "-- -- -- -l -- -ɭ -ʎ -ʟ -- -- --",
}
# (openness, nasal, lateral, sibilant) of each manner, in costs.
MANNERS = {
    "plosive": (0.0, 0.0, 0.0, 0.0), "nasal": (0.3, 0.45, 0.0, 0.0), "trill": (0.7, 0.0, 0.0, 0.0),
    "tap": (0.4, 0.0, 0.0, 0.0), "fricative": (0.4, 0.0, 0.0, 0.0),
    "sibilant": (0.4, 0.0, 0.0, 0.25), "affricate": (0.2, 0.0, 0.0, 0.25),
    "lateral fricative": (0.4, 0.0, 0.3, 0.0), "approximant": (0.8, 0.0, 0.0, 0.0),
    "lateral": (0.8, 0.0, 0.3, 0.0),
}  # fmt: skip
VOICING = 0.25
PLACE_MOST = 0.5  # velar and labial are not three times as far apart as velar and alveolar
# What accents exchange, cheaper than the chart has it.
ACCENTS = {
    "tɾ": 0.1, "dɾ": 0.1, "tʔ": 0.15, "vw": 0.2, "vʋ": 0.1, "wʋ": 0.1, "θf": 0.2, "ðv": 0.2,
    "ɹr": 0.1, "ɹɻ": 0.05, "ɹʁ": 0.2, "rɾ": 0.1, "rʀ": 0.1, "ʀʁ": 0.1, "xh": 0.3, "χx": 0.1,
}  # fmt: skip
# (height, backness, rounding) of each vowel: 0 close, front, spread; 1 open, back, rounded.
VOWELS = {
    "i": (0.0, 0.0, 0), "y": (0.0, 0.0, 1), "ɨ": (0.0, 0.5, 0), "ʉ": (0.0, 0.5, 1),
    "ɯ": (0.0, 1.0, 0), "u": (0.0, 1.0, 1), "ɪ": (0.2, 0.2, 0), "ʏ": (0.2, 0.2, 1),
    "ʊ": (0.2, 0.8, 1), "ᵻ": (0.2, 0.4, 0), "e": (0.3, 0.0, 0), "ø": (0.3, 0.0, 1),
    "ɘ": (0.3, 0.5, 0), "ɵ": (0.3, 0.5, 1), "ɤ": (0.3, 1.0, 0), "o": (0.3, 1.0, 1),
    "ə": (0.5, 0.5, 0), "ɛ": (0.7, 0.0, 0), "œ": (0.7, 0.0, 1), "ɜ": (0.6, 0.5, 0),
    "ɞ": (0.6, 0.5, 1), "ʌ": (0.7, 0.7, 0), "ɔ": (0.7, 1.0, 1), "æ": (0.85, 0.1, 0),
    "ɐ": (0.8, 0.5, 0), "a": (1.0, 0.3, 0), "ɶ": (1.0, 0.0, 1), "ɑ": (1.0, 0.9, 0),
    "ɒ": (1.0, 1.0, 1),
}  # fmt: skip
VOWEL_WEIGHTS = (0.7, 0.4, 0.1)
GLIDE = 0.35  # share of a diphthong that its end has
UNSTRESSED = 0.5  # a short unstressed vowel is so much nearer to the middle of the mouth
WEAK = 0.35  # at most, for weakening a vowel to ə, as where the stress moves
STRESS = {"": 0.0, "ˌ": 0.025, "ˈ": 0.05}
LONG = 0.05
SILENT = 0.1  # an ɹ that no vowel follows: said or not
UNLIKE = 1.5  # a vowel for a consonant

# Other ways to write a phoneme; capitals are those of the library misaki, which the voices know.
RHOTIC = "ɹrɾɻʁʀ"
CODA = "ɹ̯"  # a rhotic that no vowel follows
CENTRING = "iɪeɛʊ"  # stressed and with ə after them, they have lost an ɹ
SPELLED = {
    "t͡s": "ʦ", "d͡z": "ʣ", "t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "tʃ": "ʧ", "dʒ": "ʤ", "tɕ": "ʨ", "dʑ": "ʥ",
    "g": "ɡ", "ɫ": "l", "ɚ": "ə" + CODA, "ɝ": "ɜ" + CODA, "ᵊ": "ə", "T": "ɾ", "A": "eɪ", "I": "aɪ",
    "W": "aʊ", "O": "oʊ", "Q": "əʊ", "Y": "ɔɪ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound of a spelling.

    ``sound`` names it to the costs. ``text`` is what the spelling has for it, mark of stress
    included, and empty for the second of two sounds in one letter (``ɚ``). ``word`` counts from 0.
    """

    sound: str
    text: str
    word: int

    @property
    def vowel(self) -> bool:
        """Whether a syllable is built on it."""
        return self.sound.lstrip("ˈˌ")[0] in VOWELS


@cache
def _written() -> re.Pattern[str]:
    """Match one phoneme as it is written: marks of stress, letters, and what modifies them."""
    digraphs = "|".join(sorted(SPELLED, key=len, reverse=True))
    glides = "[" + "".join(v for v in VOWELS if v not in "iɪuʊᵻ") + "][ɪʊ](?!ː)"
    return re.compile(f"([ˈˌ]*)({digraphs}|{glides}|.)([ːˑ˞\u0300-\u036fʰ-ʸⁿ]*)", re.DOTALL)


@lru_cache(maxsize=65_536)
def parse(spelling: str) -> tuple[Phoneme, ...]:
    """Take a spelling apart.

    Stress belongs to the first vowel after its mark. Two vowels of which the second is ɪ or ʊ are
    one diphthong. Punctuation, digits and tones say nothing; spaces and hyphens part words. A
    letter that the chart does not have is a sound of its own, which costs as much to exchange for
    any other, vowel or consonant, as to leave out.

    Raises:
        ConfigError: no phoneme is in it.

    >>> [p.text for p in parse("ʧˈɑːɹvɪz ɡˈoʊ")]
    ['ʧ', 'ˈɑː', 'ɹ', 'v', 'ɪ', 'z', 'ɡ', 'ˈoʊ']
    """
    found: list[Phoneme] = []
    word, stress, marks = 0, "", ""
    for match in _written().finditer(
        unicodedata.normalize("NFC", spelling.replace("\u035c", "\u0361"))
    ):
        mark, letter, after = match.groups()
        stress, marks = mark[-1:] or stress, marks + mark
        plain = SPELLED.get(letter, letter)
        if plain[0] not in VOWELS and plain[0] not in _chart():
            plain = unicodedata.normalize("NFD", plain)[0]  # ã is an a
        if letter.isspace() or letter == "-":
            word = found[-1].word + 1 if found else 0
        if unicodedata.category(plain[0]) not in ("Ll", "Lu", "Lo"):
            continue
        if "\u0329" in after:  # the mark of a consonant that is a syllable of its own
            found.append(Phoneme("ə", "", word))
        if plain[0] in VOWELS:
            long = "ː" if "ː" in after else ""
            found.append(
                Phoneme(stress + plain.removesuffix(CODA) + long, marks + letter + after, word)
            )
            stress = ""
            if plain.endswith(CODA) or "˞" in after:
                found.append(Phoneme(CODA, "", word))
        else:
            found.append(Phoneme(plain, marks + letter + after, word))
        marks = ""
    if not found:
        raise ConfigError(f"{spelling!r}: no phoneme in it; write it in IPA, as in 'kəmpjˈuːɾɚ'")
    return tuple(_settle(found))


def _settle(found: list[Phoneme]) -> list[Phoneme]:
    """Mark the rhotics that no vowel follows, and each ə that stands for one."""
    settled = []
    for at, (this, before) in enumerate(zip(found, [None, *found], strict=False)):
        if this.sound == "ə" and before is not None and before.word == this.word:
            silent = before.sound[0] in "ˈˌ" and before.sound[1:] in tuple(CENTRING)
        else:
            silent = this.sound in RHOTIC and not (at + 1 < len(found) and found[at + 1].vowel)
        settled.append(Phoneme(CODA, this.text, this.word) if silent else this)
    return settled


@cache
def _chart() -> dict[str, NDArray[np.float64]]:
    """Place, openness, nasal, lateral, sibilant and voicing of each consonant, in costs."""
    table = {}
    for manner, row in CHART.items():
        for place, pair in zip(PLACES.values(), row.split(), strict=True):
            for voiced, letter in enumerate(pair):
                if letter != "-":
                    table[letter] = np.array([place, *MANNERS[manner], voiced * VOICING])
    return table


@cache
def _consonants() -> dict[tuple[str, str], float]:
    """Cost of each consonant for each other, the accents' short cuts taken."""
    letters = list(_chart())
    rows = np.stack(list(_chart().values()))
    apart = np.abs(rows[:, None] - rows[None])
    apart[..., 0] = np.minimum(apart[..., 0], PLACE_MOST)
    cost = np.minimum(apart.sum(axis=2), 1.0)
    for pair, cheap in ACCENTS.items():
        i, j = letters.index(pair[0]), letters.index(pair[1])
        cost[i, j] = cost[j, i] = min(cheap, cost[i, j])
    for k in range(len(letters)):  # Floyd and Warshall: no detour is shorter
        cost = np.minimum(cost, cost[:, k, None] + cost[k])
    return {
        (a, b): round(float(cost[i, j]), 6)
        for i, a in enumerate(letters)
        for j, b in enumerate(letters)
    }


@cache
def _vowel(sound: str) -> NDArray[np.float64]:
    """Place a vowel where the sum of the differences to another is their cost."""
    letters = sound.strip("ˈˌː")
    ends = np.array([VOWELS[letters[0]], VOWELS[letters[-1]]]) - VOWELS["ə"]
    ends *= np.array(VOWEL_WEIGHTS) * [[1 - GLIDE], [GLIDE]]
    if sound in VOWELS:
        ends *= UNSTRESSED
    return np.append(ends.ravel(), [STRESS[sound[: sound[0] in "ˈˌ"]], LONG * sound.endswith("ː")])


def _weaken(sound: str) -> float:
    """Cost of weakening a vowel to ə."""
    return min(WEAK, float(np.abs(_vowel(sound) - _vowel("ə")).sum()))


@cache
def exchange(a: str, b: str) -> float:
    """Cost of one sound for another; ``""`` is none: adding a sound, or leaving it out.

    >>> exchange("t", "ɾ"), exchange("t", "k"), exchange("t", "")
    (0.1, 0.5, 1.0)
    """
    if a == b:
        return 0.0
    if not a or not b:
        return SILENT if CODA in (a, b) else 1.0
    vowels = [s.lstrip("ˈˌ")[0] in VOWELS for s in (a, b)]
    if all(vowels):
        return min(float(np.abs(_vowel(a) - _vowel(b)).sum()), _weaken(a) + _weaken(b))
    if any(vowels) and (a in _chart() or b in _chart()):
        return UNLIKE
    return _consonants().get((a, b), 1.0)


@cache
def drift(a: str, b: str) -> float:
    """:func:`exchange`, but at least 1 for what no accent does.

    A short unstressed vowel may become any vowel: that is where the stress moves from.

    >>> drift("ə", "ˈɑː") < 0.5, drift("t", "k"), drift("z", "s")
    (True, 1.0, 0.25)
    """
    cost = exchange(a, b)
    reduced = a in VOWELS or b in VOWELS
    return cost if cost <= DRIFT_ONE or (reduced and cost < 1) else max(1.0, cost)


class Table:
    """Spellings as arrays, to be compared with one sequence of sounds all at once.

    Args:
        spellings: at least one, each with a phoneme in it.
        backwards: turn each of them round.
    """

    def __init__(self, spellings: Sequence[str], *, backwards: bool = False) -> None:
        rows = [[p.sound for p in parse(s)] for s in spellings]
        self.sounds = ["", *sorted({sound for row in rows for sound in row})]
        number = {sound: at for at, sound in enumerate(self.sounds)}
        #: Shape (longest, spellings): which of ``sounds``. 0 fills up, and costs nothing to add.
        self.ids = np.zeros((max(map(len, rows)), len(rows)), np.intp)
        for at, row in enumerate(rows):
            self.ids[: len(row), at] = [number[s] for s in (reversed(row) if backwards else row)]


def sweep(
    sounds: Sequence[str],
    table: Table,
    *,
    within: str = "",
    cost: Callable[[str, str], float] = exchange,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare a sequence of sounds with every spelling of a table.

    Args:
        sounds: of :class:`Phoneme`.
        table: what to compare with.
        within: "spelling" if the sounds may lie anywhere in the spelling, whose other phonemes
            then cost nothing; "sounds" the other way round; "" for all against all.
        cost: of one sound for another, :func:`exchange` or :func:`drift`.

    Returns:
        ``ends`` of shape (sounds + 1, spellings): the cost of the first ``i`` sounds against the
        spelling up to its end. With ``within="sounds"`` the first ones may be left out, so that
        its minimum over ``i`` is the cost of the best part. ``best`` of shape (spellings,): the
        cost of all sounds against the best beginning of the spelling, or with
        ``within="spelling"`` against the best part.

    Source: Sellers 1980, "The theory and computation of evolutionary distances: pattern
        recognition", J. Algorithms 1, 359-373.
    """
    costs = np.array([[cost(a, b) for b in table.sounds] for a in ("", *sounds)], np.float32)
    costs[1:, 0] = np.inf  # nothing is exchanged for what only fills up
    added = costs[0][table.ids]
    row = np.zeros((len(added) + 1, added.shape[1]), np.float32)
    if within != "spelling":
        np.cumsum(added, axis=0, out=row[1:])
    ends = [row[-1]]
    for at, sound in enumerate(sounds, 1):
        new = row + np.float32(cost(sound, ""))
        if within == "sounds":
            new[0] = 0
        np.minimum(new[1:], row[:-1] + costs[at][table.ids], out=new[1:])
        for j, more in enumerate(added):
            np.minimum(new[j + 1], new[j] + more, out=new[j + 1])
        row = new
        ends.append(row[-1])
    return np.stack(ends), row.min(axis=0)


def distance(a: str, b: str) -> float:
    """How far apart two spellings sound; 1 is about one phoneme.

    Returns:
        0 for the same sounds, however written; symmetric; never more than by a detour over a third.

    Raises:
        ConfigError: no phoneme in one of them.

    >>> distance("kəmpjˈuːɾɚ", "kəmjˈuːɾɚ")
    1.0
    >>> distance("t͡ʃɑː", "ʧɑː")
    0.0
    """
    ends, _ = sweep([p.sound for p in parse(a)], Table([b]))
    return float(ends[-1, 0])


def tolerance(spelling: str) -> float:
    """Drift below which another string is this one in another accent.

    >>> round(tolerance("kəmpjˈuːɾɚ"), 3)
    0.8
    """
    return min(DRIFT_MOST, DRIFT * sum(p.sound != CODA for p in parse(spelling)))


def same_word(a: str, b: str) -> bool:
    """Tell whether two spellings are one word, up to accent.

    >>> same_word("kəmpjˈuːɾɚ", "kɒmpjˈuːtə"), same_word("kəmpjˈuːɾɚ", "kəmjˈuːɾɚ")
    (True, False)
    """
    ends, _ = sweep([p.sound for p in parse(a)], Table([b]), cost=drift)
    return bool(ends[-1, 0] < min(tolerance(a), tolerance(b)))


def contains(phrase: str, spelling: str) -> bool:
    """Tell whether the whole of ``spelling`` is somewhere in ``phrase``, up to accent.

    >>> contains("kəmpjˈuːɾɚz", "kəmpjˈuːtə"), contains("kəmpjˈuː", "kəmpjˈuːtə")
    (True, False)
    """
    return bool(containing(Table([phrase]), [spelling])[0])


def containing(table: Table, spellings: Sequence[str]) -> NDArray[np.bool_]:
    """Tell for each spelling of a table whether it has one of ``spellings`` in it, up to accent."""
    found = np.zeros(table.ids.shape[1], bool)
    for spelling in dict.fromkeys(spellings):
        _, best = sweep([p.sound for p in parse(spelling)], table, within="spelling", cost=drift)
        found |= best < tolerance(spelling)
    return found
