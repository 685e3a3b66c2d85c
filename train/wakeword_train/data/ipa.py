"""Phonemes in IPA, and how far apart two of them sound.

The costs come from articulation: consonants differ in place, manner and voicing, vowels in height,
backness and rounding; stress and length cost little. So does what accents do: unstressed vowels
drift, ``t`` becomes a flap or a glottal stop, ``ɹ`` is silent unless a vowel follows, ``v`` and
``w`` are exchanged. The cost is a metric: symmetric, and no detour over a third phoneme is cheaper.

Source: the rows and columns are the chart of the International Phonetic Association (2020); that
place and manner weigh more than voicing follows Kondrak 2000, "A new algorithm for the alignment
of phonetic sequences", NAACL. The numbers are ours.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["CODAS", "Phoneme", "drift", "exchange", "parse"]

# The chart: one pair, voiceless and voiced, in each column.
PLACES = {
    "bilabial": 0.0, "labiodental": 0.05, "dental": 0.4, "alveolar": 0.5, "postalveolar": 1.0,
    "retroflex": 0.8, "palatal": 1.1, "velar": 1.3, "uvular": 1.4, "pharyngeal": 1.5,
    "glottal": 1.7,
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
    "tap": (0.6, 0.0, 0.0, 0.0), "fricative": (0.4, 0.0, 0.0, 0.0),
    "sibilant": (0.4, 0.0, 0.0, 0.25), "affricate": (0.2, 0.0, 0.0, 0.25),
    "lateral fricative": (0.4, 0.0, 0.3, 0.0), "approximant": (0.8, 0.0, 0.0, 0.0),
    "lateral": (0.8, 0.0, 0.3, 0.0),
}  # fmt: skip
VOICING = 0.25
PLACE_MOST = 0.5  # velar and labial are not three times as far apart as velar and alveolar
# Consonants that accents exchange, at most at the cost that the chart gives.
ACCENTS = {
    "tɾ": 0.1, "dɾ": 0.1, "tʔ": 0.15, "vw": 0.2, "vʋ": 0.1, "wʋ": 0.1, "θf": 0.2, "ðv": 0.2,
    "ðd": 0.25, "βb": 0.2, "ɣɡ": 0.2, "sz": 0.25, "ʤʧ": 0.25, "ʤʒ": 0.2, "xh": 0.3, "χx": 0.1,
    "ɹr": 0.1, "ɹɻ": 0.05, "ɹʁ": 0.2, "rɾ": 0.1, "rʀ": 0.1, "ʀʁ": 0.1,
}  # fmt: skip
DRIFT_ONE = 0.36  # no accent exchanges two sounds for more, but for short unstressed vowels
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
GLIDE = 0.5  # share of a diphthong that its end has
UNSTRESSED = 0.5  # a short unstressed vowel is so much nearer to the middle of the mouth
WEAK = 0.35  # at most, for weakening a vowel to ə, as where the stress moves
STRESS = {"": 0.0, "ˌ": 0.025, "ˈ": 0.05}
LONG = 0.05
UNLIKE = 1.5  # a vowel for a consonant

# Other ways to write a phoneme; capitals are those of the library misaki, which the voices know.
RHOTIC = "ɹrɾɻʁʀ"
CODA = "ɹ̯"  # a rhotic that no vowel follows: said or not
CENTRING = "ɹə"  # the same in "here", "hair" and "poor", where it leaves an ə if it is not said
CODAS = {CODA: 0.1, CENTRING: 0.5}  # cost of leaving it out
SHORT = "iɪeɛʊ"  # the vowels of the latter
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
        return self.sound[self.sound[0] in "ˈˌ"] in VOWELS


@cache
def _written() -> re.Pattern[str]:
    """Match one phoneme as it is written: marks of stress, letters, and what modifies them."""
    digraphs = "|".join(sorted(SPELLED, key=len, reverse=True))
    glides = "[" + "".join(v for v in VOWELS if v not in "iɪuʊᵻ") + "][ɪʊ](?!ː)"
    return re.compile(f"([ˈˌ]*)({digraphs}|{glides}|.)([ːˑ˞\u0300-\u036fʰ-ʸⁿ]*)", re.DOTALL)


@cache
def _plain(letter: str) -> str:
    """Return the sounds that a letter stands for, and nothing for what is no letter."""
    plain = SPELLED.get(letter, letter)
    if plain[0] not in VOWELS and plain[0] not in _chart():
        plain = unicodedata.normalize("NFD", plain)[0]  # ã is an a
    return plain if unicodedata.category(plain[0]) in ("Ll", "Lu", "Lo") else ""


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
        plain = _plain(letter)
        if letter.isspace() or letter == "-":
            word = found[-1].word + 1 if found else 0
        if not plain:
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
    settled: list[Phoneme] = []
    for at, this in enumerate(found):
        before, after = (
            found[at - 1] if at else None,
            found[at + 1] if at + 1 < len(found) else None,
        )
        short = (
            before is not None
            and before.word == this.word
            and before.sound[0] in "ˈˌ"
            and before.sound[1:] in tuple(SHORT)
        )
        sound = this.sound
        if sound in RHOTIC and not (after is not None and after.vowel):
            doubled = after is not None and after.sound in RHOTIC
            sound = CENTRING if short and not doubled else CODA
        elif sound == "ə" and short:
            sound = CENTRING
        settled.append(Phoneme(sound, this.text, this.word))
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
def _consonants(accents_only: bool = False) -> dict[tuple[str, str], float]:
    """Cost of each consonant for each other by the chart and the accents, or by these alone."""
    letters = list(_chart())
    rows = np.stack(list(_chart().values()))
    apart = np.abs(rows[:, None] - rows[None])
    apart[..., 0] = np.minimum(apart[..., 0], PLACE_MOST)
    cost = np.minimum(apart.sum(axis=2), 1.0)
    if accents_only:
        cost = np.where(np.eye(len(letters), dtype=bool), 0.0, 1.0)
    for pair, cheap in ACCENTS.items():
        i, j = letters.index(pair[0]), letters.index(pair[1])
        cost[i, j] = cost[j, i] = min(cheap, cost[i, j])
    for k in range(len(letters)):  # Floyd and Warshall: no detour is cheaper
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
        return CODAS.get(a or b, 1.0)
    if a in CODAS and b in CODAS:
        return abs(CODAS[a] - CODAS[b])
    vowels = [s.lstrip("ˈˌ")[0] in VOWELS for s in (a, b)]
    if all(vowels):
        return min(float(np.abs(_vowel(a) - _vowel(b)).sum()), _weaken(a) + _weaken(b))
    if any(vowels) and (a in _chart() or b in _chart()):
        return UNLIKE
    return _consonants().get((a, b), 1.0)


@cache
def drift(a: str, b: str) -> float:
    """:func:`exchange`, but at least 1 for what no accent does.

    Accents exchange the consonants of ``ACCENTS`` and vowels that are close; a short unstressed
    vowel may become any vowel, for that is where stress moves from.

    >>> drift("ə", "ˈɑː") < 0.5, drift("t", "k"), drift("z", "s"), drift("ʃ", "s")
    (True, 1.0, 0.25, 1.0)
    """
    cost = exchange(a, b)
    if (a, b) in _consonants():
        cost = max(cost, _consonants(True)[a, b])
    reduced = cost < 1 and (a in VOWELS or b in VOWELS)
    return cost if cost <= DRIFT_ONE or reduced else max(1.0, cost)
