"""Phrases near a phrase: how far apart sounds are, what is never near, what is drawn."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import ConfigError
from wakeword_train.data.distance import Table, containing, too_near
from wakeword_train.data.ipa import ACCENTS, CHART, VOWELS, drift, exchange, parse
from wakeword_train.data.near import (
    SHARES,
    Near,
    contains,
    distance,
    near_phrases,
    same_word,
    strength,
    swallowed,
)
from wakeword_train.data.words import name, syllables, write

PHRASES = {
    "alexa": ["əlˈɛksə", "ɐlˈɛksɐ"],
    "computer": ["kəmpjˈuːɾɚ", "kəmpjˈuːtə"],
    "jarvis": ["dʒˈɑːɹvɪs", "dʒˈɑːvɪs"],
    "hey computer": ["hˈeɪ kəmpjˈuːɾɚ", "hˈeɪ kəmpjˈuːtə"],
    "snowboy": ["snˈoʊbɔɪ", "snˈəʊbɔɪ"],
    "oye señor": ["ˈoʝe seɲˈoɾ"],  # ʝ and ɲ are not in English
    "clicks": ["ǀˈaǃaǀa"],  # in no row of the chart
}
ALL = 100_000  # more than there are
# Pronunciations that a person wrote, and phrases near them that a person chose by ear.
SPELLINGS = {
    "computer": """
        kəmpjˈuːɾɚ / kəmpjˈuːtə / kəmpjˈuTəɹ / kəmpjˈuːtɚ / kɑmpjˈuːtɚ / kɒmpjˈuːtə /
        kompjˈuːtɛɹ / kʌmpjˈuːʔə / kəmpjˈuːɾər / kɔmpjˈutɐ / kʊmpjˈuːtɚ / kˈɑmpjuːtɚ
        / kəmpjˈutəː / kəmpjˈʊtə
    """,
    "jarvis": """
        ʤˈɑːɹvɪs / ʤˈɑːvɪs / ʤˈɑɹvəs / dʒˈɑːɹvɪs / ʤˈɑɹvis / ʒˈɑːɹvɪs / ʧˈɑːɹvɪs / ʤˈaɾvis /
        ʤˈɔːɹvɪs / ʤˈɑːɹvɪz / ʤˈɑːʋɪs / dʒˈaːvɪs / ʤˈɑːɹwɪs / ʤˈæɹvɪs
    """,
}
BY_EAR = {
    "computer": """
        kəmjˈuːɾɚ / kəmpjˈuːt / kəmjˈuːt / kəmpˈɛɾɪɾɚ / kənfjˈuːsɚ / pjˈuːɾɚ / hˈuːɾɚ /
        tˈuːɾɚ / skˈuːɾɚ / kəntɹˈɪbjuːɾɚ / kəmpˈɛɹ / kˈʌmpəni / kæn juː dˈuː hɜː /
        kˈʌm tə hɜː / lˈuːɾɚ / kəmpˈʌlsɚɹi / kəmpˈoʊzɚ / kənsˈuːmɚ / kəmpˈæktɚ /
        kəmjˈuːnᵻkˌeɪt / fjˈuːtʃɚ / kˈʌm ˈaʊt hˈɪɹ / pəlˈuːɾɚ / dɪspjˈuːɾᵻd
    """,
    "jarvis": """
        sˈɜːvɪs / hˈɑːɹvɪst / dʒˈɑːɹz / tʃˈɑːɹdʒ ˌʌs / ɡɚɹˈɑːʒ / mˈɑːɹvɪn / tɹˈævɪs /
        nˈɜːvəs / dʒˈævəlɪn / dʒˈɑːɹɡən / dʒˈɑːɹɹɪŋ / hˈɑːɹvi / lˈɑːɹvə / kˈɑːɹvɚ /
        tʃˈɑːvɛz / dˈɑːɹbi / mˈɑːɹvələs / stˈɑːɹvɪŋ / dʒˈɑːvə / tˈɑːɹdɪs / dʒˈɛləs /
        dʒˈɑːɹ ʌv ðˈɪs / mˈɑːɹz / dʒˈæzmɪn / dʒˈʌdʒᵻz / dʒˈeɪmi / hˈɑːɹviz
    """,
}


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split("/") if part.strip()]


@cache
def everything(phrase: str) -> list[Near]:
    return near_phrases(PHRASES[phrase], ALL, seed=1)


@cache
def texts(phrase: str) -> dict[str, float]:
    return {near.text: near.distance for near in everything(phrase)}


# --- the distance -------------------------------------------------------------------------------

LETTERS = [c for c in "".join(CHART.values()) if c not in "- "] + list(VOWELS) + ["ǀ", "ɚ", "eɪ"]
ipa = st.lists(
    st.tuples(
        st.sampled_from(["", "ˈ", " "]), st.sampled_from(LETTERS), st.sampled_from(["", "ː"])
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: "".join(map("".join, parts)))
ROUNDING = 1e-5  # sums of float32 costs


@given(a=ipa, b=ipa)
@settings(max_examples=60)
def test_distance_is_symmetric_and_zero_for_the_same(a: str, b: str) -> None:
    assert distance(a, b) == pytest.approx(distance(b, a), abs=ROUNDING)
    assert distance(a, a) == 0
    assert same_word(a, b) == same_word(b, a)


@given(a=ipa, b=ipa, c=ipa)
@settings(max_examples=60)
def test_no_detour_is_shorter(a: str, b: str, c: str) -> None:
    assert distance(a, c) <= distance(a, b) + distance(b, c) + ROUNDING


def test_the_cost_of_an_exchange_is_a_metric() -> None:
    sounds = [
        "",
        *(p.sound for x in LETTERS for p in parse("ˈ" + x)),
        "ɹ̯",
        "ɹə",
        "ə",
        "ɪ",
        "ɑ",
        "ˌiː",
    ]
    cost = {(a, b): exchange(a, b) for a in sounds for b in sounds}
    for a, b in cost:
        assert cost[a, b] == cost[b, a]
        assert (cost[a, b] == 0) == (a == b)
        assert drift(a, b) >= cost[a, b]
        assert all(cost[a, b] <= cost[a, c] + cost[c, b] + 1e-9 for c in sounds)  # float64 sums


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("t͡ʃɑːɹ", "ʧɑːɹ"),
        ("d͡ʒ", "dʒ"),
        ("gˈoʊ", "ɡˈO"),  # misaki's capitals
        ("kəmˈpjuːtə", "kəmpjˈuːtə"),  # the mark before the syllable, or before the vowel
        ("hˈeɪ, siri!", "hˈeɪ siri"),
        ("ˈɑ̃ː", "ˈɑː"),
        ("hˈɪə", "hˈɪɹ"),
        ("bˈɝd", "bˈɜɹd"),
    ],
)
def test_other_ways_to_write_the_same_sounds_are_no_distance(a: str, b: str) -> None:
    assert distance(a, b) == 0


@pytest.mark.parametrize(
    ("nearer", "a", "farther"),
    [
        ("ata", "aɾa", "aka"),
        ("zoo", "soo", "moo"),
        ("vi", "fi", "ŋi"),
        ("bi", "pi", "ai"),
        ("ɪ", "iː", "ɑː"),
        ("ə", "ɐ", "i"),
        ("kɑː", "kɑːɹ", "kɑːt"),
    ],
)
def test_articulation_decides(nearer: str, a: str, farther: str) -> None:
    assert distance(nearer, a) < distance(farther, a)


def test_a_letter_that_the_chart_lacks_costs_as_much_as_leaving_it_out() -> None:
    assert distance("ǀa", "ta") == distance("ǀa", "a") == distance("ǀa", "ǃa") == 1
    assert distance("ǀa", "ǀa") == 0


def test_accents_name_sounds_of_the_chart() -> None:
    assert set("".join(ACCENTS)) <= set("".join(CHART.values()))


@pytest.mark.parametrize("text", ["", "12 3", "…", "ˈ", "ː"])
def test_a_spelling_without_phonemes_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="no phoneme"):
        distance(text, "a")


def test_syllables_part_as_english_does() -> None:
    parts = [write(s) for s in syllables(parse("ɛkstɹˈiːm hˈeɪ"))]
    assert parts == ["ˈɛk", "stɹˈiːm", "hˈeɪ"]
    assert name(parse("kəmpjˈuːɾɚ")) == name(parse("kəmpjˈuːtə")) == "computer"
    assert name(parse("zʊkˈɑːf")) == "/zʊkˈɑːf/"


# --- one word in two accents ---------------------------------------------------------------------


def test_all_pronunciations_of_computer_are_one_word_and_no_near_phrase_of_each_other() -> None:
    spellings = listed(SPELLINGS["computer"])
    assert len(spellings) == 14
    for a, b in combinations(spellings, 2):
        assert same_word(a, b)
        assert contains(a, b)
        assert contains(b, a)


def test_each_pronunciation_of_jarvis_is_one_word_with_another() -> None:
    spellings = listed(SPELLINGS["jarvis"])
    for a in spellings:
        assert any(same_word(a, b) for b in spellings if b != a)


@pytest.mark.parametrize("word", ["computer", "jarvis"])
def test_every_near_phrase_that_was_chosen_by_ear_is_allowed(word: str) -> None:
    assert not too_near(Table(listed(BY_EAR[word])), listed(SPELLINGS[word])).any()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("kəmpjˈuːɾɚ", "kəmjˈuːɾɚ"),  # commuter
        ("dʒˈɑːɹvɪs", "sˈɜːvɪs"),
        ("hˈeɪ kəmpjˈuːɾɚ", "oʊkˈeɪ kəmpjˈuːɾɚ"),
        ("əlˈɛksə", "ɪlˈɛkʃən"),
        ("kˈæt", "kˈʌt"),
        ("snˈoʊbɔɪ", "slˈoʊbɔɪ"),
    ],
)
def test_other_words_are_other_words(a: str, b: str) -> None:
    assert not same_word(a, b)
    assert not contains(b, a)


@pytest.mark.parametrize(
    ("phrase", "has"),
    [
        ("kəmpjˈuːɾɚz", True),
        ("sˌuːpɚkəmpjˈuːɾɚ", True),
        ("ðə kəmpjˈuːtə ɪz ˈɔn", True),
        ("kˈʌm pjˈuːɾɚ", True),  # spoken alike: what is taught as wrong must not be this
        ("kəmpjˈuːt", False),
        ("pjˈuːɾɚ kˈʌm", False),
    ],
)
def test_contains_looks_everywhere_and_across_words(phrase: str, has: bool) -> None:
    assert contains(phrase, "kəmpjˈuːɾɚ") is has


# --- near phrases --------------------------------------------------------------------------------


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_near_phrase_has_the_phrase_in_it(phrase: str) -> None:
    found = everything(phrase)
    assert not containing(Table([near.phonemes for near in found]), PHRASES[phrase]).any()
    for near in found[:10]:
        assert not any(contains(near.phonemes, spelling) for spelling in PHRASES[phrase])
        assert not any(same_word(near.phonemes, spelling) for spelling in PHRASES[phrase])


@pytest.mark.parametrize("phrase", PHRASES)
def test_there_are_enough_of_them_and_each_is_another(phrase: str) -> None:
    found = everything(phrase)
    assert len(found) > 500
    assert (
        len({near.text for near in found}) == len({near.phonemes for near in found}) == len(found)
    )
    for near in found[:10]:
        nearest = min(distance(near.phonemes, spelling) for spelling in PHRASES[phrase])
        assert near.distance == pytest.approx(nearest, abs=0.001)  # it is rounded


@pytest.mark.parametrize("phrase", PHRASES)
def test_the_kinds_are_mixed_as_said(phrase: str) -> None:
    kinds = Counter(near.kind for near in everything(phrase)[:50])
    assert kinds["word"] >= 50 * SHARES["word"] - 1
    assert {"word", "part", "border", "cut"} <= set(kinds)
    assert ("exchanged word" in kinds) == (" " in PHRASES[phrase][0])


def test_the_seed_decides_and_a_smaller_count_gives_the_first() -> None:
    assert near_phrases(PHRASES["jarvis"], 60, seed=1) == everything("jarvis")[:60]
    assert near_phrases(PHRASES["jarvis"], 60, seed=2) != everything("jarvis")[:60]
    assert near_phrases(["kˈæt"], 0, seed=1) == []


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("alexa", ["lecture", "election", "electra", "alaska", "relax"]),
        ("computer", ["commuter", "composer", "competitor", "company", "shooter", "compute"]),
        ("jarvis", ["service", "travis", "java", "davis", "nervous", "charges"]),
        ("hey computer", ["computer", "hey commuter"]),
        ("snowboy", ["snowy", "snub", "slow boy", "no boy"]),
    ],
)
def test_what_the_ear_expects_is_there(phrase: str, words: list[str]) -> None:
    assert set(words) - texts(phrase).keys() == set()


@pytest.mark.parametrize("phrase", PHRASES)
def test_none_is_how_somebody_may_say_the_phrase(phrase: str) -> None:
    assert min(near.distance for near in everything(phrase)) >= 1.0
    assert min(near.distance for near in everything(phrase) if near.kind == "cut") >= 1.5


def test_phrases_are_made_from_every_accent() -> None:
    """Else an accent would mark the phrase: only the phrase would be said without the r."""
    made = [near for near in everything("computer") if near.kind == "cut"]
    assert any(near.phonemes.endswith("ɚ") for near in made)
    assert any(near.phonemes.endswith("ə") for near in made)


def test_a_first_or_last_sound_may_be_missing() -> None:
    said = {near.phonemes for near in everything("computer")}
    assert not {"əmpjˈuːtɚ", "əmpjˈuːɾɚ", "kənpjˈuːtə"} & said


@pytest.mark.parametrize("spellings", [[], "kˈæt", ["kˈæt", ""]])
def test_no_spelling_is_an_error(spellings: list[str]) -> None:
    with pytest.raises(ConfigError):
        near_phrases(spellings, 1, seed=1)


@pytest.mark.parametrize("spelling", ["pst", "m̩", "ˈa", "oʊ", "baɪ baɪ"])
def test_odd_phrases_work(spelling: str) -> None:
    found = near_phrases([spelling], 40, seed=1)
    assert len(found) == 40
    assert not any(contains(near.phonemes, spelling) for near in found)


# --- what cannot be told apart, and how good a phrase is ---------------------------------------


def test_words_that_begin_with_the_phrase_are_listed_and_never_near() -> None:
    assert {"computers", "computerized", "supercomputer"} <= set(swallowed(PHRASES["computer"]))
    assert "alexis" in swallowed(PHRASES["alexa"])
    assert "hey computers" in swallowed(PHRASES["hey computer"])
    for phrase in ("alexa", "computer", "hey computer"):
        found = swallowed(PHRASES[phrase])
        assert phrase not in found
        assert not set(found) & texts(phrase).keys()


def test_commuter_is_not_swallowed() -> None:
    assert "commuter" not in swallowed(PHRASES["computer"])
    assert swallowed(PHRASES["snowboy"]) == []


@pytest.mark.parametrize(
    ("spelling", "caution"),
    [
        ("ɡˈoʊ", "short: 2 phonemes in 1 syllable; expect false alarms"),
        ("kˈæt", "easily mistaken: "),
        ("kəmpjˈuːɾɚ", "said often: it sounds like 'computer', one of the 1,000 most used"),
        ("kˈʌm hˈɪɹ", "said in passing"),
        ("kəmpjˈuːɾɚ", "part of other words, which will wake it: computers"),
    ],
)
def test_a_weak_phrase_is_called_so(spelling: str, caution: str) -> None:
    assert any(caution in line for line in strength([spelling]))


def test_a_good_phrase_has_no_caution() -> None:
    assert strength(PHRASES["snowboy"]) == ["5 phonemes in 2 syllables"]
    assert strength(PHRASES["oye señor"])[0] == "8 phonemes in 4 syllables"


def test_one_phoneme_is_refused() -> None:
    with pytest.raises(ConfigError, match="one phoneme"):
        strength(["ˈoʊ"])
