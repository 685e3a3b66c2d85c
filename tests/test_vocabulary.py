"""Symbols and numbers: there and back, marks, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeword.errors import BundleError, ConfigError, TextError
from wakeword.vocabulary import BOS, EOS, UNK, Vocabulary

CHARS = Vocabulary.of_chars(["the quick brown fox\n"])
WORDS = Vocabulary.of_words([["a", "b", "a"], ["c"]], bos=BOS)


@given(st.text(alphabet="the quickbrownfx\n", min_size=1))
def test_characters_come_back(text: str) -> None:
    numbers = CHARS.encode(text)
    assert numbers.dtype == np.int32
    assert CHARS.decode(numbers) == text


@given(st.lists(st.sampled_from(["a", "b", "c", "zebra"]), min_size=1))
def test_words_come_back_or_are_unknown(words: list[str]) -> None:
    numbers = WORDS.encode(" ".join(words), bos=True, eos=True)
    assert (numbers[0], numbers[-1]) == (WORDS.bos_id, WORDS.eos_id)
    assert WORDS.decode(numbers) == " ".join(w if w in WORDS else UNK for w in words)
    np.testing.assert_array_equal(WORDS.encode(words, bos=True, eos=True), numbers)


def test_words_are_ordered_by_count_then_by_spelling() -> None:
    found = Vocabulary.of_words([["b", "c", "a", "c"], [UNK, EOS]], least=1)
    assert found.symbols == (EOS, UNK, "c", "a", "b")
    assert Vocabulary.of_words([["b", "c", "a", "c"]], least=2).symbols == (EOS, UNK, "c")
    assert len(Vocabulary.of_words([["b", "c", "a", "c"]], limit=3)) == 3


def test_what_follows_the_end_does_not_count() -> None:
    names = Vocabulary.of_chars(["ab\n"], eos="\n")
    assert names.decode([*names.encode("ab", eos=True), *names.encode("b")]) == "ab"


@pytest.mark.parametrize("text", ["", []])
def test_an_empty_text_is_refused(text: Any) -> None:
    with pytest.raises(TextError, match="need at least one"):
        CHARS.encode(text)


def test_a_text_of_blanks_has_no_words() -> None:
    with pytest.raises(TextError, match="without words"):
        WORDS.encode(" \n\t ")


def test_an_unknown_character_is_named_with_its_place() -> None:
    with pytest.raises(TextError, match=r"'é' \(U\+00E9\) \(char 3 of the text\)"):
        CHARS.encode("thé")


def test_a_line_of_ten_megabytes_is_refused_without_being_read() -> None:
    with pytest.raises(TextError, match="10,000,000 characters"):
        CHARS.encode("q" * 10_000_000)
    assert len(CHARS.encode("q" * 1_500_000, limit=2_000_000)) == 1_500_000


def test_a_mark_within_a_text_is_refused() -> None:
    with pytest.raises(TextError, match="marks where a text"):
        WORDS.encode(f"a {EOS} b")
    assert WORDS.encode(f"a {UNK}").tolist() == [WORDS.encode("a")[0], WORDS.unk_id]


def test_a_mark_that_is_not_there_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="eos: this vocabulary has no such mark"):
        CHARS.encode("the", eos=True)


@pytest.mark.parametrize("number", [-1, 10**9])
def test_a_number_without_a_symbol_is_refused(number: int) -> None:
    with pytest.raises(TextError, match=str(number)):
        CHARS.decode([number])


@pytest.mark.parametrize("vocabulary", [CHARS, WORDS])
def test_json_gives_the_same_vocabulary(vocabulary: Vocabulary) -> None:
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"symbols": ["a"]},
        {**CHARS.to_json(), "symbols": "ab"},
        {**CHARS.to_json(), "symbols": [1]},
        {**CHARS.to_json(), "symbols": ["ab"]},
        {**CHARS.to_json(), "symbols": ["a", "a"]},
        {**CHARS.to_json(), "symbols": []},
        {**CHARS.to_json(), "symbols": ["a" * 2_000]},
        {**CHARS.to_json(), "unit": []},
        {**CHARS.to_json(), "unit": "phrase"},
        {**CHARS.to_json(), "eos": 3},
        {**CHARS.to_json(), "eos": "absent"},
        {**CHARS.to_json(), "more": 1},
        {**WORDS.to_json(), "unk": EOS},
        {**WORDS.to_json(), "symbols": [*WORDS.symbols, "two words"]},
    ],
)
def test_damaged_json_is_refused(wrong: Any) -> None:
    with pytest.raises(BundleError, match="vocabulary"):
        Vocabulary.from_json(wrong)
