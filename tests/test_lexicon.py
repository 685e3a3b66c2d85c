"""The lexicon: what ships, and how it is made."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.data import lexicon
from wakeword_train.data.lexicon import build_lexicon, main, read_lexicon, to_ipa, write_lexicon

SIZE_LIMIT = 600_000  # bytes; it goes into every wheel
# What the voices can say: the letters of Kokoro's vocabulary that stand for sounds.
VOICES = set("abcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲᵻ")
DICTIONARY = [
    ";;; a comment",
    "HEY  HH EY1",
    "THE  DH AH0",
    "THE(2)  DH IY0",
    "COMPUTER 1 K AH0 M P Y UW1 T ER0",
    "DO 1 D UW1",
    "DON'T 1 D OW1 N T",
    "DOG'S 1 D AO1 G Z",
    "DOG 1 D AO1 G",
    "SEN 1 S EH1 N AH0 T ER0",
    "B 1 B IY1",
]
ORDER = ["the", ",", "do", "n't", "'s", "sen", "dog", "b", "hey", "unheard", "computer"]


def test_the_lexicon_that_ships_is_small_and_has_its_licence_beside() -> None:
    rows = read_lexicon()
    assert 25_000 <= len({word for word, _ in rows}) <= 35_000
    assert lexicon.FILE.stat().st_size < SIZE_LIMIT
    notice = lexicon.FILE.with_name("lexicon_licence.txt").read_text("utf-8")
    assert "Copyright (C) 1993-2008 Carnegie Mellon University" in notice
    assert "Redistributions in binary form must reproduce the above copyright" in notice


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
    assert ("computer", "kəmpjˈuːɾɚ") in rows
    assert len(set(rows)) == len(rows)
    changes = sum(a != b for a, b in pairwise(words))
    assert changes + 1 == len(set(words))  # the lines of a word stand together


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
        (
            "don't",
            "dˈoʊnt",
        ),  # as common as "n't"; "dog's" is no contraction, "sen" and "b" no words
        ("dog", "dˈɔːɡ"),
        ("hey", "hˈeɪ"),
        ("computer", "kəmpjˈuːɾɚ"),
    ]
    assert build_lexicon(DICTIONARY, ORDER, words=2) == rows[:3]


def test_the_command_makes_the_same_file_from_text_and_from_arrays(tmp_path: Path) -> None:
    (tmp_path / "cmudict").write_text("\n".join(DICTIONARY), "latin-1")
    (tmp_path / "vectors.txt").write_text("".join(f"{word} 0.1 -2\n" for word in ORDER), "utf-8")
    np.savez(tmp_path / "vectors.npz", words=np.array(ORDER))
    made = []
    for name in ("vectors.txt", "vectors.npz"):
        out = tmp_path / f"{name}.tsv.gz"
        assert main([str(tmp_path / "cmudict"), str(tmp_path / name), "--out", str(out)]) == 0
        made.append(out.read_bytes())
    assert made[0] == made[1]
    assert {f.suffix for f in tmp_path.iterdir()} == {"", ".txt", ".npz", ".gz"}  # no .part left


def test_swapped_files_are_named() -> None:
    with pytest.raises(ConfigError, match="swapped"):
        build_lexicon(["the", "of"], ["THE  DH AH0"])


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
