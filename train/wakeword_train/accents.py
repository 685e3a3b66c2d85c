"""English as it is spoken elsewhere, by rule: one plain pronunciation in, many accents out.

A rule changes sounds that its accent changes, and nothing else; most came from the descriptions in
Wells 1982, "Accents of English", and from how the languages named carry over into English. They are
caricatures, broad enough that two of them differ to a listener. Their order is that of
``ACCENTS``: what many people say comes first, so that a short list is a good one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ACCENTS", "NUCLEUS", "VOWEL", "Accent", "move_stress", "speak_with"]

VOWEL = "aɑɐɒæʌəɚɜɛeɪiᵻoɔʊuyøœɨ"
# The core of a syllable: a vowel or a diphthong, and its length.
NUCLEUS = re.compile(f"(?:aɪ|aʊ|eɪ|oʊ|əʊ|ɔɪ|[{VOWEL}])ː?")
_LETTERS = re.compile(r"(?<!q)[aeiou]+[yw]?|(?<!^)y")

# What a weak vowel becomes when it is said as it is written.
AMERICAN = {"a": "æ", "e": "ɛ", "i": "ɪ", "o": "ɑ", "u": "ʌ", "y": "ɪ"}
BRITISH = AMERICAN | {"o": "ɒ"}
FIVE = {"a": "a", "e": "ɛ", "i": "i", "o": "o", "u": "u", "y": "i"}
OPEN = FIVE | {"o": "ɔ"}

_I = "ɪ(?<![aeɔ]ɪ)"  # not the end of a diphthong
_U = "ʊ(?<![aoəʌ]ʊ)"
_R_COLOURED = ("ɜːɹ?", "ɛɹ")  # "nurse" in American; its ɹ is written before a vowel only
# Vowels of languages that have five, after the weak ones.
_TO_FIVE = [
    ("oʊ|əʊ", "o"), ("eɪ", "ei"), ("ɚ", "ɛɹ"), _R_COLOURED, (f"iː|{_I}|ᵻ", "i"), (f"uː|{_U}", "u"),
    ("[ɔɒ]ː?|oː", "o"), ("[ɑæʌɐə]ː?|aː", "a"), ("ɛː", "ɛ"),
]  # fmt: skip
_UNFLAP = ("ɾ", "t")
_RHOTIC_R = ("ɹ", "ɾ")
_DROP_R = [("ɚ", "ə"), (f"ɹ(?![ˈˌ]?[{VOWEL}])", "")]
_FINAL_DEVOICED = [
    (f"{voiced}(?= |$)", voiceless)
    for voiced, voiceless in (
        ("dʒ", "tʃ"), ("b", "p"), ("d", "t"), ("ɡ", "k"), ("v", "f"), ("z", "s"), ("ʒ", "ʃ"),
    )
]  # fmt: skip
_GLOTTAL = [(f"(?<=[{VOWEL}ː])[tɾ](?=[əɚᵻɪi]|l|n| |$)", "ʔ")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accent:
    """How one accent changes the American (``us``) or British (``gb``) pronunciation.

    Attributes:
        base: which of the two it begins with.
        weak: what a weak vowel becomes, by the letter it is written with; empty leaves them weak.
        swaps: (pattern, replacement), applied one after another.
        stress: syllable of the longest word that gets the stress, -1 the last; None keeps it.
    """

    name: str
    base: str = "us"
    weak: Mapping[str, str] = field(default_factory=dict)
    swaps: tuple[tuple[str, str], ...] = ()
    stress: int | None = None


ACCENTS = (
    Accent(name="careful", swaps=(_UNFLAP,)),
    Accent(
        name="Indian",
        swaps=(
            ("ɾ|t(?!ʃ)", "ʈ"), ("d(?!ʒ)", "ɖ"), ("ɚ", "əɹ"), _RHOTIC_R, ("[vw]", "ʋ"),
            ("θ", "t"), ("ð", "d"), ("oʊ", "oː"), ("eɪ", "eː"), ("ʒ(?<!dʒ)", "dʒ"), ("æ", "ɛ"),
        ),
    ),
    Accent(
        name="Spanish", weak=FIVE,
        swaps=(
            _UNFLAP, *_TO_FIVE, _RHOTIC_R, ("v", "b"), ("z", "s"), ("ð", "d"), ("θ", "s"),
            ("h", "x"), ("ʒ(?<!dʒ)", "ʃ"), ("(^| )([ˈˌ]?)s(?=[ptkmnlf])", r"\1es"),
        ),
    ),
    Accent(name="glottal", base="gb", swaps=tuple(_GLOTTAL)),
    Accent(
        name="German", base="gb", weak=OPEN | {"e": "ə"},
        swaps=(
            ("w", "v"), *_FINAL_DEVOICED, ("θ", "s"), ("ð", "z"), ("æ", "ɛ"),
            ("ʌ", "a"), ("ɜː", "œ"), ("əʊ", "oː"), ("eɪ", "eː"), ("ɒ", "ɔ"), ("ɹ", "ʁ"),
            ("dʒ", "tʃ"), ("(?<=t)ə(?= |$)|ə(?=$)", "ɐ"), ("uː", "u"),
        ),
    ),
    Accent(name="American without r", swaps=tuple(_DROP_R)),
    Accent(
        name="French", weak=OPEN, stress=-1,
        swaps=(
            _UNFLAP, ("tʃ", "ʃ"), ("dʒ", "ʒ"), ("h", ""), ("ɚ|ɜːɹ?", "œʁ"), (f"iː|{_I}|ᵻ", "i"),
            (f"uː|{_U}", "u"), ("oʊ", "o"), ("eɪ", "e"), ("[ɑæ]ː?", "a"), ("ʌ", "œ"),
            ("ɔː", "ɔ"), ("ɹ", "ʁ"), ("θ", "s"), ("ð", "z"),
        ),
    ),
    Accent(name="full vowels", weak=AMERICAN),
    Accent(
        name="Scottish",
        swaps=(
            _UNFLAP, ("ɚ", "əɹ"), _R_COLOURED, ("ɹ", "r"), ("oʊ", "o"), ("eɪ", "e"),
            ("[ɑæ]ː?", "a"), (f"uː|{_U}", "u"), ("ː", ""),
        ),
    ),
    Accent(
        name="London", base="gb",
        swaps=(
            *_GLOTTAL, ("θ", "f"), (f"(?<=[{VOWEL}])ð", "v"), ("h", ""), ("eɪ", "æɪ"), ("aɪ", "ɒɪ"),
            ("əʊ", "ʌʊ"), ("ə(?= |$)", "ɐ"), ("^([ˈˌ]?)ə", r"\1ʌ"), ("(?<=[kbpdtɡ])ə(?=[mn])", "ʌ"),
        ),
    ),
    Accent(
        name="Russian", weak=OPEN,
        swaps=(
            _UNFLAP, ("ɚ", "ɛɹ"), ("w", "v"), ("h", "x"), ("θ", "s"), ("ð", "z"), _R_COLOURED,
            (f"iː|{_I}|ᵻ", "i"), (f"uː|{_U}", "u"), ("æ", "ɛ"), ("[ɑʌə]ː?", "a"),
            ("oʊ", "o"), ("ɔː", "o"), ("ɹ", "r"), ("ŋ", "n"), *_FINAL_DEVOICED,
        ),
    ),
    Accent(
        name="Italian", weak=FIVE,
        swaps=(
            _UNFLAP, *_TO_FIVE, ("ɹ", "r"), ("h", ""), ("θ", "t"), ("ð", "d"), ("ŋ(?![kɡ])", "nɡ"),
        ),
    ),
    Accent(
        name="Australian", base="gb",
        swaps=(
            ("ə(?= |$)", "ɐ"), ("ɑː", "aː"), ("æ", "ɛ"), ("eɪ", "æɪ"), ("aɪ", "ɑɪ"), ("əʊ", "ʌʊ"),
            (f"(?<=[{VOWEL}ː])t(?=[əɐɪi])", "ɾ"), ("(?<![aeɔæɑˈ])ɪ(?=[sz]( |$))", "ə"),
        ),
    ),
    Accent(
        name="Japanese", base="gb", weak=FIVE,
        swaps=(
            ("ɜː|ə(?= |$)", "aː"), ("[ɹl]", "ɾ"), ("v", "b"), ("θ", "s"), ("ð", "z"), ("əʊ", "oː"),
            ("eɪ", "eː"), ("[æʌəɐ]", "a"), ("ɑː", "aː"), ("ɒ", "o"), ("ɔː", "oː"), ("ɛ", "e"),
            (f"{_I}|ᵻ", "i"), (_U, "u"),
            (f"(?<=[ptkbdɡszfʃʒ])(?=[^{VOWEL}jˈˌʃʒɾ ])|(?<=[pkbɡszfʃʒ])(?= |$)", "u"),
            ("(?<=[td])(?= |$)", "o"),
        ),
    ),
    Accent(name="relaxed", swaps=((f"(?<![aeɔˈˌ])ɪ(?=[^{VOWEL}ˈˌ])|ɐ", "ə"),)),
    Accent(
        name="West African", base="gb", weak=OPEN,
        swaps=(
            ("ə(?= |$)", "a"), ("ɜː", "ɛ"), (f"iː|{_I}|ᵻ", "i"), (f"uː|{_U}", "u"),
            ("ʌ|ɒ|ɔː", "ɔ"), ("[æɑə]ː?(?!ʊ)", "a"), ("əʊ", "o"), ("eɪ", "e"),
            ("θ", "t"), ("ð", "d"),
        ),
    ),
    Accent(name="as the voices learned", swaps=(
        ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("oʊ", "O"), ("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("ɔɪ", "Y"),
        ("ɾ", "T"), ("ɚ", "əɹ"), ("ɜːɹ?", "ɜɹ"), ("ː", ""),
    )),
    Accent(name="stress at the beginning", weak=AMERICAN, swaps=(_UNFLAP,), stress=0),
    Accent(
        name="Nordic",
        swaps=(
            _UNFLAP, ("ɚ", "ər"), ("ɹ", "r"), ("w", "ʋ"), ("z", "s"), ("θ", "t"), ("ð", "d"),
            ("ʒ(?<!dʒ)", "ʃ"), ("ɜːr?", "œr"),
        ),
    ),
    Accent(name="tense", swaps=((_I, "i"), (_U, "u"), ("ɑː", "æ"))),
    Accent(
        name="Chinese",
        swaps=(
            _UNFLAP, ("v", "w"), ("z", "s"), ("θ", "s"), ("ð", "d"), (f"iː|{_I}", "i"),
            ("æ", "a"), ("ɑː", "a"), *_FINAL_DEVOICED,
        ),
    ),
    Accent(name="short", swaps=(_UNFLAP, ("uː", "ʊ"), ("ː", ""), *_DROP_R)),
    Accent(name="stress at the end", weak=AMERICAN, swaps=(_UNFLAP,), stress=-1),
    Accent(name="British, drawled", base="gb", swaps=(("ə(?= |$)", "əː"), ("ɑː", "ɔː"))),
    Accent(name="British with full vowels", base="gb", weak=BRITISH),
)  # fmt: skip


def speak_with(accent: Accent, text: str, us: str, gb: str) -> str:
    """Say a phrase with an accent.

    Args:
        accent: one of ``ACCENTS``.
        text: the phrase as it is written.
        us: its American pronunciation, a space between words.
        gb: its British one.

    >>> german = next(a for a in ACCENTS if a.name == "German")
    >>> speak_with(german, "computer", "kəmpjˈuːɾɚ", "kəmpjˈuːtə")
    'kɔmpjˈutɐ'
    """
    spoken = us if accent.base == "us" else gb
    if accent.weak:
        spoken = _strengthen(spoken, text, accent.weak)
    for pattern, replacement in accent.swaps:
        spoken = re.sub(pattern, replacement, spoken)
    if accent.stress is not None:
        spoken = move_stress(spoken, accent.stress)
    return spoken


def _strengthen(spoken: str, text: str, values: Mapping[str, str]) -> str:
    """Say weak vowels as they are written, in words whose vowels and letters can be paired."""
    words, written = spoken.split(), re.findall(r"[\w']+", text.lower())
    if len(words) != len(written):
        return spoken
    out = []
    for word, letters in zip(words, written, strict=True):
        groups = [m[0] for m in _LETTERS.finditer(letters)]
        nuclei = list(NUCLEUS.finditer(word))
        if len(groups) == len(nuclei) + 1 and letters.endswith("e"):
            groups.pop()  # the silent one at the end
        if len(groups) == len(nuclei):
            for match, group in reversed(list(zip(nuclei, groups, strict=True))):
                # The "er" at the end of a British word is the accent's to decide.
                er = match.end() == len(word) and letters.rstrip("e").endswith("r")
                if match[0] in ("ɐ", "ᵻ", "ɚ") or (match[0] == "ə" and not er):
                    rhotic = "ɹ" if match[0] == "ɚ" else ""
                    # The "ia" of "Nadia" and the "io" of "station" end in it, "ou" begins with it.
                    letter = group[0] if group[0] in "ao" else group.rstrip("wy")[-1:] or group[0]
                    full = values.get(letter, match[0].replace("ɚ", "ə")) + rhotic
                    word = word[: match.start()] + full + word[match.end() :]
        out.append(word)
    return " ".join(out)


def move_stress(spoken: str, syllable: int) -> str:
    """Put the stress of the longest word on another syllable; words of one syllable keep theirs.

    >>> move_stress("kəmpjˈuːtə", 0)
    'kˈəmpjuːtə'
    """
    words = spoken.split()
    at = max(range(len(words)), key=lambda i: len(NUCLEUS.findall(words[i])))
    bare = re.sub("[ˈˌ]", "", words[at])
    nuclei = list(NUCLEUS.finditer(bare))
    if len(nuclei) > 1:
        start = nuclei[syllable].start()
        words[at] = f"{bare[:start]}ˈ{bare[start:]}"
    return " ".join(words)
