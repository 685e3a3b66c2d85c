"""How phrases are spoken: plainly, with accents by rule, and those that nobody can say."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from wakeword.errors import ConfigError
from wakeword_train import phonemes
from wakeword_train.accents import ACCENTS, move_stress, speak_with
from wakeword_train.phonemes import languages, phonemise, pronunciations, sounds
from wakeword_train.recipes.config import find_recipe, read_recipe

LIBRARY = importlib.util.find_spec("phonemizer") and importlib.util.find_spec("espeakng_loader")
PROGRAM = shutil.which("espeak-ng")
speaks = pytest.mark.skipif(
    not LIBRARY and not PROGRAM, reason="neither espeakng-loader nor espeak-ng is installed"
)
US, GB = "kəmpjˈuːɾɚ", "kəmpjˈuːtə"


def edits(a: str, b: str) -> int:
    """Count the letters that must change; stress, length and ways to write a sound are none."""
    table = str.maketrans({"ˈ": "", "ˌ": "", "ː": "", "T": "ɾ", "ʤ": "dʒ", "ʧ": "tʃ"})
    row = list(range(len(b.translate(table)) + 1))
    for i, x in enumerate(a.translate(table), 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b.translate(table), 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def say(name: str, text: str, us: str, gb: str) -> str:
    return speak_with(next(a for a in ACCENTS if a.name == name), text, us, gb)


@speaks
def test_english_is_spoken_as_the_voices_write_it() -> None:
    assert phonemise("hey computer") == f"hˈeɪ {US}"
    assert phonemise("Hey, Computer!") == f"hˈeɪ {US}"
    assert phonemise("computer", "en-gb") == GB
    assert phonemise("computer", "EN_us") == US
    assert phonemise("button").endswith("ən")  # a syllable without a vowel letter is none to Kokoro


@speaks
@pytest.mark.parametrize(
    ("text", "language", "first"),
    [("hallo", "de", "h"), ("bonjour", "fr", "b"), ("привет", "ru", "p"), ("hola", "es", "ˈo")],
)
def test_other_languages_are_spoken_by_their_own_rules(
    text: str, language: str, first: str
) -> None:
    spoken = phonemise(text, language)
    assert spoken.startswith(first)
    assert not set(spoken) & set("()_")
    ways = pronunciations(text, language)
    assert ways[0] == spoken
    assert len(set(ways)) == len(ways) > 1


@speaks
@pytest.mark.parametrize(
    ("text", "language", "why"),
    [
        ("", "en", "no word in it"),
        (" ?!. ", "en", "no word in it"),
        ("r2d2", "en", "write numbers as they are spoken"),
        ("hey @home", "en", "'@' has no sound"),
        ("hey 🙂", "en", "'🙂' has no sound"),
        ("привет", "en-us", "'п' is no letter of en-us; name its language, one of .*ru"),
        ("γεια", "en-us", "name its language, one of el, grc"),
        ("שלום", "en", "as in --language he"),
        ("a", "en", "one sound in en-us .*at least two syllables"),
        ("eh", "en", "one sound"),
        ("hey you", "klingon", "language 'klingon': espeak-ng has none of that name"),
        ("hey you", "en-gp", "did you mean .*en-gb"),
    ],
)
def test_what_cannot_be_spoken_says_why_and_what_to_do(text: str, language: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        phonemise(text, language)
    with pytest.raises(ConfigError, match=why):
        pronunciations(text, language)


def test_sounds_are_counted_not_letters() -> None:
    assert sounds("tʃˈuːz dʒˈɔɪ") == ["tʃ", "u", "z", "dʒ", "ɔɪ"]
    assert sounds("ˈɛ̃ʲː,!") == ["ɛ"]
    assert sounds("") == []


@speaks
@pytest.mark.parametrize("text", ["computer", "hey computer", "jarvis", "snowboy", "alexa"])
def test_a_phrase_has_many_pronunciations_the_plain_ones_first(text: str) -> None:
    ways = pronunciations(text)
    assert ways[0] == phonemise(text, "en-us")
    assert phonemise(text, "en-gb") in ways[:2]
    assert 9 <= len(ways) <= 18
    assert len(set(ways)) == len(ways)
    assert pronunciations(text, most=3) == ways[:3]
    assert all(w.count(" ") == ways[0].count(" ") for w in ways)
    assert all(w.count("ˈ") == ways[0].count("ˈ") for w in ways)


def test_edits_are_counted() -> None:
    assert edits("ʤˈɑːɹvɪs", "dʒɑɹvɪs") == 0
    assert [edits("abc", b) for b in ("abc", "adc", "ac", "xabc", "cab")] == [0, 1, 1, 1, 2]


@speaks
def test_the_dictionary_is_asked_too() -> None:
    """espeak-ng says "aluminium" as in Britain whatever the accent."""
    assert pronunciations("Aluminium")[2] == "əlˈuːmɪnəm"
    assert pronunciations("computer")[2] != pronunciations("computer")[0]  # it agrees
    assert phonemes._by_the_dictionary("hey qwzx") == []


@speaks
def test_fewer_than_one_pronunciation_is_refused() -> None:
    with pytest.raises(ConfigError, match="most=0"):
        pronunciations("computer", most=0)


@speaks
@pytest.mark.parametrize("word", ["computer", "jarvis"])
def test_rules_find_most_of_what_was_written_by_hand(word: str) -> None:
    by_hand = read_recipe(find_recipe("computer_jarvis")).synth.spellings[word]
    by_rule = pronunciations(word, most=99)
    apart = {hand: min(edits(hand, rule) for rule in by_rule) for hand in by_hand}
    assert max(apart.values()) <= 1  # one sound, as the z of "jarviz"
    assert sum(n == 0 for n in apart.values()) >= 4


@speaks
def test_rules_find_the_kinds_of_variety() -> None:
    ways = " ".join(pronunciations("computer", most=99))
    kinds = {
        "flap": "ɾɚ", "careful t": "tɚ", "glottal stop": "ʔə", "no r": "ɾə ", "rolled r": r"ə?r ",
        "retroflex": "ʈ", "full vowel": "k[ɑɒɔo]m", "five vowels": "kompjˈut", "uvular r": "ʁ",
        "stress at the beginning": "kˈɑm", "short vowel": "jˈʊt", "long ending": "təː",
    }  # fmt: skip
    assert {kind for kind, pattern in kinds.items() if not re.search(pattern, ways)} == set()
    ways = " ".join(pronunciations("jarvis", most=99))
    kinds = {
        "v for w": "ʋ", "b for v": "b", "devoiced beginning": "tʃ", "fricative beginning": "ʒaʁ",
        "rolled r": "ar", "no r": "ˈɑːv", "weak ending": "vəs", "tense ending": "vis",
    }  # fmt: skip
    assert {kind for kind, pattern in kinds.items() if not re.search(pattern, ways)} == set()


@speaks
@pytest.mark.parametrize(
    ("text", "other"),
    [("think", "sink"), ("bed", "bet"), ("ship", "sheep"), ("vine", "wine"), ("three", "tree")],
)
def test_no_accent_makes_another_word_of_it(text: str, other: str) -> None:
    said = phonemise(other)
    bare = re.sub("[ˈˌː]", "", said).replace("ɪ", "i")
    ways = pronunciations(text, most=99)
    assert [w for w in ways if re.sub("[ˈˌː]", "", w).replace("ɪ", "i") == bare] == (
        # Tense and lax alone tell these two apart; the plain word must stay.
        ways[:1] if text == "ship" else []
    )


def test_an_accent_that_makes_no_word_is_kept_beside_a_word() -> None:
    taken = phonemes._other_words([f"hˈeɪ {US}"])
    assert not taken("hˈeɪ kɔmpjˈutɐ")
    assert not taken(f"hˈeɪ {US}")
    assert taken("hˈaɪ kəmpjˈuːɾɚ")  # "hi computer"


def test_letters_say_what_a_weak_vowel_was_written_with() -> None:
    assert say("Spanish", "computer", US, GB) == "kompjˈutɛɾ"
    assert say("Spanish", "banana", "bɐnˈænə", "bɐnˈɑːnə") == "banˈana"
    assert say("Spanish", "nadia", "nˈɑːdjə", "") == "nˈadja"
    assert say("Spanish", "famous station", "fˈeɪməs stˈeɪʃən", "") == "fˈeimos estˈeiʃon"
    # Letters and vowels that cannot be paired leave the vowel as it is.
    assert say("full vowels", "colonel", "kˈɜːnəl", "kˈɜːnəl") == "kˈɜːnəl"
    assert say("full vowels", "xkcd", "ˈɛks keɪsˌiːdˈiː", "") == "ˈɛks keɪsˌiːdˈiː"


@pytest.mark.parametrize("accent", ACCENTS, ids=[a.name for a in ACCENTS])
def test_every_accent_changes_something_and_loses_no_word(accent: object) -> None:
    words = {
        "hello computer": ("həlˈoʊ kəmpjˈuːɾɚ", "həlˈəʊ kəmpjˈuːtə"),
        "think red house": ("θˈɪŋk ɹˈɛd hˈaʊs", "θˈɪŋk ɹˈɛd hˈaʊs"),
        "winter jarvis": ("wˈɪntɚ dʒˈɑːɹvɪs", "wˈɪntə dʒˈɑːvɪs"),
    }
    said = {text: speak_with(accent, text, us, gb) for text, (us, gb) in words.items()}  # type: ignore[arg-type]
    assert any(spoken not in words[text] for text, spoken in said.items())
    assert all(len(spoken.split()) == len(text.split()) for text, spoken in said.items())


def test_stress_moves_in_the_longest_word_only() -> None:
    assert move_stress("hˈeɪ kəmpjˈuːtə", 0) == "hˈeɪ kˈəmpjuːtə"
    assert move_stress("hˈeɪ kəmpjˈuːtə", -1) == "hˈeɪ kəmpjuːtˈə"
    assert move_stress("hˈeɪ", 0) == "hˈeɪ"


@pytest.mark.skipif(not PROGRAM, reason="espeak-ng is not installed")
def test_without_the_library_the_program_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonemes, "_library", lambda: None)
    languages.cache_clear()
    try:
        assert {"en-us", "en-gb", "de"} <= set(languages())
        assert phonemise("hey computer") == f"hˈeɪ {US}"
        assert phonemise("computer", "en-gb") == GB
    finally:
        languages.cache_clear()


def test_without_either_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(phonemes, "_library", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    languages.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"wakeword\[synth\].*apt install espeak-ng"):
            phonemise("computer")
    finally:
        languages.cache_clear()
