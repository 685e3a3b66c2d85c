"""The most used words of English and how they are spoken, in the phonemes of the voices.

``lexicon.tsv.gz`` holds a word and one pronunciation a line, the most used word first; a word with
several pronunciations has as many lines, one after another. ``lexicon_licence.txt`` names what it
was made from and under which terms. Make it again with::

    python -m wakeword_train.data.lexicon CMUDICT ORDER

CMUDICT is the Carnegie Mellon Pronouncing Dictionary. ORDER lists words, the most used first: a
text file whose lines begin with a word, as the vectors of GloVe do (``glove.6B.50d.txt``), or a
``.npz`` with an array ``words``. Of it only the order is taken.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from wakeword.errors import ConfigError

__all__ = ["build_lexicon", "main", "read_lexicon", "to_ipa", "write_lexicon"]

FILE = Path(__file__).with_name("lexicon.tsv.gz")
WORDS = 35_000
# The order splits "don't" into "do" and "n't"; a contraction is as common as its rarer part. Of the
# other tails only those of these words are common ("it's", "they'll"), not those of all nouns.
CONTRACTED = ("n't", "'s", "'re", "'ve", "'ll", "'m", "'d")
PRONOUNS = {"i", "you", "he", "she", "it", "we", "they", "that", "there", "who", "let"}

# ARPAbet to the phonemes that espeak writes for General American, and that the voices learned.
CONSONANTS = {
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",
    "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
STRESSED = {
    "AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɜː",
    "EY": "eɪ", "IH": "ɪ", "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "uː",
}  # fmt: skip
UNSTRESSED = STRESSED | {"AA": "ɑ", "AH": "ə", "AO": "ɔ", "ER": "ɚ", "IY": "i", "UW": "u"}
STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}
BEFORE_R = {"IY": "IH", "EY": "EH", "OW": "AO", "UW": "UH"}  # written either way, spoken alike


def to_ipa(arpabet: Sequence[str]) -> str:
    """Write phonemes of the dictionary as the voices take them.

    The mark of stress stands before the vowel; ``T`` between a vowel (or ``R``) and an unstressed
    vowel becomes the American flap; before ``R`` no vowel is tense; ``ER`` before a vowel gets the
    ``ɹ`` that joins the two.

    Args:
        arpabet: phonemes, vowels with their stress 0, 1 or 2 (0 where it is missing).

    Raises:
        ConfigError: a phoneme is not one of the dictionary's 39.

    >>> to_ipa("K AH0 M P Y UW1 T ER0".split())
    'kəmpjˈuːɾɚ'
    >>> to_ipa("F ER1 IY0".split())
    'fˈɜːɹi'
    """
    out = []
    for at, phoneme in enumerate(arpabet):
        name, level = (phoneme[:-1], phoneme[-1]) if phoneme[-1:].isdigit() else (phoneme, "0")
        following = arpabet[at + 1] if at + 1 < len(arpabet) else ""
        before = arpabet[at - 1] if at else ""
        if phoneme == "T" and following[-1:] == "0" and (before == "R" or before[-1:].isdigit()):
            out.append("ɾ")
        elif phoneme in CONSONANTS:
            out.append(CONSONANTS[phoneme])
        elif name in STRESSED and level in STRESS:
            name = BEFORE_R.get(name, name) if following == "R" else name
            out.append(STRESS[level] + (UNSTRESSED if level == "0" else STRESSED)[name])
            if name == "ER" and following[-1:].isdigit():
                out.append("ɹ")
        else:
            raise ConfigError(f"{phoneme!r} in {' '.join(arpabet)!r}: not a phoneme of CMUdict")
    return "".join(out)


def _pronunciations(lines: Iterable[str]) -> dict[str, list[str]]:
    """Read CMUdict in any of its forms: ``WORD  P``, ``WORD(2)  P``, and NLTK's ``WORD 2 P``."""
    spoken: dict[str, list[str]] = {}
    for line in lines:
        word, *arpabet = line.split("#")[0].split() or [";"]
        word = re.sub(r"\(\d+\)$", "", word).lower()
        if re.fullmatch(r"[a-z]+('[a-z]+)?", word) and arpabet:
            arpabet = arpabet[1:] if arpabet[0].isdigit() else arpabet
            if len(arpabet) > len(word) + 1 + (len(word) > 4):
                continue  # an abbreviation read as what it stands for: "sen" as "senator"
            ipa = to_ipa(arpabet)
            ways = spoken.setdefault(word, [])
            if ipa not in ways:
                ways.append(ipa)
    return spoken


def build_lexicon(
    dictionary: Iterable[str], order: Sequence[str], words: int = WORDS
) -> list[tuple[str, str]]:
    """Take the most used words that the dictionary can pronounce.

    Args:
        dictionary: lines of CMUdict.
        order: words, the most used first, contractions in two as in ``CONTRACTED``.
        words: how many to take at most.

    Returns:
        (word, IPA), most used first. Single letters other than "a" and "i" are left out.

    Raises:
        ConfigError: the dictionary holds a phoneme that is none, or the two have no word in common.

    >>> build_lexicon(["THE  DH AH0", "HEY  HH EY1"], ["the", ",", "hey"])
    [('the', 'ðə'), ('hey', 'hˈeɪ')]
    """
    place = {word: at for at, word in reversed(list(enumerate(order)))}
    ranked = []
    for word, ways in _pronunciations(dictionary).items():
        rank = place.get(word)
        for tail in CONTRACTED:
            stem = word.removesuffix(tail)
            if (
                stem != word
                and {stem, tail} <= place.keys()
                and (tail == "n't" or stem in PRONOUNS)
            ):
                rank = max(place[stem], place[tail])
        if rank is not None and (len(word) > 1 or word in "ai"):
            ranked.append((rank, word, ways))
    if not ranked:
        raise ConfigError("no word of the order is in the dictionary: are the two files swapped?")
    ranked.sort()
    return [(word, ipa) for _, word, ways in ranked[:words] for ipa in ways]


def write_lexicon(rows: Sequence[tuple[str, str]], path: Path = FILE) -> None:
    """Write a lexicon beside its name and rename it; the same rows give the same bytes."""
    text = "".join(f"{word}\t{ipa}\n" for word, ipa in rows)
    partial = path.with_suffix(".part")
    partial.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    partial.replace(path)


@cache
def read_lexicon() -> tuple[tuple[str, str], ...]:
    """Read the lexicon that ships: (word, IPA), the most used word first.

    Raises:
        ConfigError: the file is missing or damaged.

    >>> read_lexicon()[0]
    ('the', 'ðə')
    """
    try:
        lines = gzip.decompress(FILE.read_bytes()).decode().splitlines()
        rows = tuple((word, ipa) for word, ipa in (line.split("\t") for line in lines))
        if not rows:
            raise ValueError("it is empty")
        return rows
    except (OSError, EOFError, ValueError) as exc:
        raise ConfigError(f"{FILE}: cannot be read ({exc}); install wakeword again") from exc


def _read_order(path: Path) -> list[str]:
    """Read the words of an order; see the module."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return [str(word) for word in arrays["words"]]
    return [line.split(maxsplit=1)[0] for line in path.read_text("utf-8").splitlines() if line]


def main(argv: Sequence[str] | None = None) -> int:
    """Build ``lexicon.tsv.gz`` from the two files named."""
    parser = argparse.ArgumentParser(prog="python -m wakeword_train.data.lexicon")
    parser.add_argument("dictionary", type=Path, metavar="CMUDICT")
    parser.add_argument("order", type=Path, metavar="ORDER", help="words, the most used first")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(argv)
    with args.dictionary.open(encoding="latin-1") as lines:
        rows = build_lexicon(lines, _read_order(args.order))
    write_lexicon(rows, args.out)
    size = args.out.stat().st_size
    print(f"{len(rows)} pronunciations, {size} bytes, in {args.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
