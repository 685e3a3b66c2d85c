"""How a phrase is spoken: text to phonemes in IPA, plainly and in many accents.

Phonemes come from the library espeak-ng, in the way that it and Kokoro's voices write them: one
letter a sound, ``ˈ`` before the vowel with the stress. The library is the one that kokoro-onnx
brings along; without it the program ``espeak-ng`` of the system is asked. Other languages than
English are as good as espeak-ng's rules for them, which it has for about a hundred.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any

from wakeword.errors import ConfigError
from wakeword_train.accents import ACCENTS, move_stress, speak_with

__all__ = ["code_of", "languages", "phonemise", "pronunciations", "sounds"]

# What people call a language, and what espeak-ng does.
NAMES = {
    "en": "en-us", "en-uk": "en-gb", "fr": "fr-fr", "zh": "cmn", "zh-cn": "cmn", "no": "nb",
    "pt-pt": "pt", "es-es": "es", "de-de": "de", "it-it": "it",
}  # fmt: skip
# Letters of languages that are not written in Latin ones, by the first word of a letter's name.
SCRIPTS = {
    "am": "ETHIOPIC", "ar": "ARABIC", "as": "BENGALI", "ba": "CYRILLIC", "be": "CYRILLIC",
    "bg": "CYRILLIC", "bn": "BENGALI", "bpy": "BENGALI", "chr": "CHEROKEE", "cmn": "CJK",
    "cv": "CYRILLIC", "el": "GREEK", "fa": "ARABIC", "grc": "GREEK", "gu": "GUJARATI",
    "hak": "CJK", "he": "HEBREW", "hi": "DEVANAGARI", "hy": "ARMENIAN", "hyw": "ARMENIAN",
    "ja": "CJK HIRAGANA KATAKANA KATAKANA-HIRAGANA", "ka": "GEORGIAN", "kk": "CYRILLIC",
    "kn": "KANNADA", "ko": "HANGUL", "kok": "DEVANAGARI", "ky": "CYRILLIC", "mk": "CYRILLIC",
    "ml": "MALAYALAM", "mr": "DEVANAGARI", "my": "MYANMAR", "ne": "DEVANAGARI", "nog": "CYRILLIC",
    "or": "ORIYA", "pa": "GURMUKHI", "ru": "CYRILLIC", "sd": "ARABIC", "shn": "MYANMAR",
    "si": "SINHALA", "sr": "CYRILLIC", "ta": "TAMIL", "te": "TELUGU", "th": "THAI",
    "ti": "ETHIOPIC", "tt": "CYRILLIC", "ug": "ARABIC", "uk": "CYRILLIC", "ur": "ARABIC",
    "yue": "CJK",
}  # fmt: skip
SEPARATORS = " '’-.,!?"
_SOUND = re.compile(r"(?:aɪ|aʊ|eɪ|oʊ|əʊ|ɔɪ|t͡?ʃ|d͡?ʒ|[^\W\d_ˈˌːˑʲʰ])", re.UNICODE)
_FLAG = re.compile(r"\([^)]*\)")  # where espeak-ng changed to another language and back


def sounds(phonemes: str) -> list[str]:
    """List the sounds of a pronunciation; a diphthong and an affricate are one each.

    >>> sounds("dʒˈɑːɹvɪs"), sounds("ˈeɪ")
    (['dʒ', 'ɑ', 'ɹ', 'v', 'ɪ', 's'], ['eɪ'])
    """
    return _SOUND.findall(phonemes)


def phonemise(text: str, language: str = "en-us") -> str:
    """Say how a phrase is spoken.

    Args:
        text: words; punctuation is left out.
        language: a code of espeak-ng, as ``en-us``, ``en-gb``, ``de`` or ``cmn``.

    Returns:
        IPA, a space between words, without punctuation.

    Raises:
        ConfigError: no text, digits, letters of another script, other characters that nobody
            speaks, fewer than two sounds, an unknown language, or espeak-ng is missing.
    """
    code = code_of(language)
    text = _checked(text, code)
    spoken = _clean(_speaker()(text, code))
    found = sounds(spoken)
    if len(found) < 2:
        raise ConfigError(
            f"{text!r} is {'one sound' if found else 'no sound at all'} in {code}"
            f"{f' ({spoken})' if found else ''}: too short to be told from other speech; take a "
            "phrase of at least two syllables"
        )
    return spoken


def pronunciations(text: str, language: str = "en-us", most: int = 18) -> list[str]:
    """Say in how many ways a phrase may be spoken.

    English: the plain American and British one, that of the dictionary where it knows every word,
    then accents by rule (:mod:`.accents`). Other languages: the plain one, those of the language's
    dialects, and a few rules that hold anywhere. Names may be read wrongly: respell those.
    An accent that would make other words of the phrase (``think`` said ``sink``) is left out.

    Args:
        text: as for :func:`phonemise`.
        language: as for :func:`phonemise`.
        most: how many at most, the plain ones first; at least 1.

    Returns:
        Distinct pronunciations in IPA; fewer than ``most`` where the phrase gives accents little
        to change.

    Raises:
        ConfigError: as for :func:`phonemise`, or ``most`` is below 1.
    """
    if most < 1:
        raise ConfigError(f"most={most}: need at least one pronunciation")
    code = code_of(language)
    if code.partition("-")[0] == "en":
        us, gb = phonemise(text, "en-us"), phonemise(text, "en-gb")
        plain = [us, gb] if code in ("en-us", "en-gb") else [phonemise(text, code), us, gb]
        plain += _by_the_dictionary(text)
        variants = [speak_with(accent, text, us, gb) for accent in ACCENTS]
        taken = _other_words(plain)
        variants = [v for v in variants if not taken(v)]
    else:
        first = phonemise(text, code)
        family = [c for c in languages() if c.partition("-")[0] == code.partition("-")[0]]
        plain = [first, *(phonemise(text, c) for c in family)]
        variants = [
            re.sub("ː", "", first),
            re.sub("[ʁɹʀ]", "r", first),
            re.sub("[rɾʀ]", "ʁ", first),
            re.sub("[rɾʁʀ]", "ɹ", first),
            move_stress(first, 0),
            move_stress(first, -1),
        ]
    return list(dict.fromkeys([*plain, *variants]))[:most]


@cache
def languages() -> tuple[str, ...]:
    """List the codes of the languages that espeak-ng speaks."""
    if (backend := _library()) is not None:
        return tuple(sorted(backend.supported_languages()))
    listing = _run("--voices").splitlines()[1:]
    return tuple(sorted({row.split()[1] for row in listing if len(row.split()) > 1}))


def code_of(language: str) -> str:
    """Translate the name of a language into espeak-ng's.

    Raises:
        ConfigError: it has none of that name.
    """
    code = language.strip().lower().replace("_", "-")
    known = {c.lower(): c for c in languages()}
    code = NAMES.get(code, code)
    if code not in known:
        near = get_close_matches(code, known, 3) or [c for c in known if c[:2] == code[:2]]
        raise ConfigError(
            f"language {language!r}: espeak-ng has none of that name; "
            f"{'did you mean ' + ', '.join(near) + '?' if near else 'it has ' + ', '.join(known)}"
        )
    return known[code]


def _checked(text: str, code: str) -> str:
    """Refuse what would be read out as something else than it says."""
    tidy = " ".join(unicodedata.normalize("NFC", text).replace("’", "'").split())
    if not tidy.strip(SEPARATORS):
        raise ConfigError(f"{text!r}: no word in it; give the phrase to listen for")
    if any(c.isdigit() for c in tidy):
        raise ConfigError(f"{text!r}: write numbers as they are spoken: 'two', not '2'")
    script = SCRIPTS.get(code, SCRIPTS.get(code.partition("-")[0], "LATIN"))
    for character in tidy:
        kind = unicodedata.category(character)[0]
        if kind not in "LM" and character not in SEPARATORS:
            raise ConfigError(
                f"{text!r}: {character!r} has no sound; leave it out or write it as a word"
            )
        found = unicodedata.name(character, "UNKNOWN").split()[0]
        if kind == "L" and found not in ("LATIN", "MODIFIER", *script.split()):
            fits = sorted(c for c, s in SCRIPTS.items() if found in s.split())
            hint = f"name its language, as in --language {fits[0]}" if len(fits) == 1 else (
                f"name its language, one of {', '.join(fits)}" if fits else "respell it"
            )  # fmt: skip
            raise ConfigError(f"{text!r}: {character!r} is no letter of {code}; {hint}")
    return tidy


def _clean(spoken: str) -> str:
    """Leave out what is not a sound, and write the syllable that a consonant makes with a ə."""
    spoken = unicodedata.normalize("NFC", _FLAG.sub("", spoken)).replace("_", "")
    return " ".join(re.sub("([lmnɹrŋ])\u0329", r"ə\1", spoken).split())


def _by_the_dictionary(text: str) -> list[str]:
    """Say a phrase as the dictionary has its words; nothing where it lacks one."""
    from wakeword_train.data.lexicon import read_lexicon

    words = re.findall(r"[\w']+", text.lower().replace("’", "'"))
    known: dict[str, str] = {}
    for word, spoken in read_lexicon():
        if word in words:
            known.setdefault(word, spoken)
    return [" ".join(known[word] for word in words)] if known.keys() >= set(words) else []


def _other_words(plain: list[str]) -> Callable[[str], bool]:
    """Make a test whether an accent turns the phrase into other words of English."""

    def words_of(spoken: str, loose: bool) -> list[frozenset[str]]:
        known = _by_sound(loose)
        return [known.get(_bare(word, loose), frozenset()) for word in spoken.split()]

    def taken(variant: str, loose: bool) -> bool:
        words = words_of(variant, loose)
        if not all(words):
            return False  # not all of it is words
        for own in (words_of(p, loose) for p in plain):
            if len(own) == len(words) and all(a & b for a, b in zip(own, words, strict=True)):
                return False  # the same words
        return True

    return lambda variant: taken(variant, False) or taken(variant, True)


@cache
def _by_sound(loose: bool) -> dict[str, frozenset[str]]:
    """Look words of English up by how they sound."""
    from wakeword_train.data.lexicon import read_lexicon

    found: dict[str, set[str]] = {}
    for word, spoken in read_lexicon():
        found.setdefault(_bare(spoken, loose), set()).add(word)
    return {sound: frozenset(words) for sound, words in found.items()}


def _bare(spoken: str, loose: bool) -> str:
    """Leave out stress and length; write what tells no two English words apart as one.

    ``loose`` takes tense and lax vowels for one too: "sink" is what "sˈiŋk" will be heard as.
    """
    bare = spoken.translate(str.maketrans("ɾʔʈɖrʁɐᵻ", "tttdɹɹəɪ", "ˈˌː")).replace("ɚ", "əɹ")
    bare = re.sub("n(?=[kɡ])", "ŋ", bare)
    return bare.translate(str.maketrans("iuaɔɒe", "ɪʊæɑɑɛ")) if loose else bare


def _speaker() -> Callable[[str, str], str]:
    """Find what can speak: the library, else the program."""
    if _library() is None:
        return lambda text, code: _run("-q", "--ipa", "-v", code, text).replace("\n", " ")
    return lambda text, code: str(_backend(code).phonemize([text])[0])


@cache
def _library() -> Any:
    """Load the library that espeakng-loader carries, through phonemizer; None without them."""
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError:
        return None
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return EspeakBackend


@cache
def _backend(code: str) -> Any:
    """Open one language."""
    return _library()(code, with_stress=True, language_switch="keep-flags")


def _run(*arguments: str) -> str:
    """Ask the program espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise ConfigError(
            "nothing here knows how words are spoken: install the voices with "
            "pip install 'wakeword[synth]', or espeak-ng with sudo apt install espeak-ng"
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"espeak-ng {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
