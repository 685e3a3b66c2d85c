"""Fit a pronunciation to the sounds that an engine has.

No engine has all of IPA. How sure each is of what it has:

- Kokoro: 114 symbols, of which it learned those of English, and of Spanish, French, Hindi, Italian,
  Japanese, Portuguese and Mandarin. It says ``ʁ``, ``ʈ``, ``β`` or ``x`` in an English word as
  speakers of those languages do. Retroflex ``ɻ``, ``ʐ``, uvular ``χ`` and the marks of tone are in
  its table; how often it heard them nobody has published.
- Piper: about 150 symbols in every voice's table, and each voice learned those of its own language
  only. An English voice has a number for ``ʁ``, and makes a noise of it that nobody trained: here
  it says what it learned, see :mod:`.piper`.
- espeak-ng: the sounds of the voice's language, asked from the program itself; rules of the
  language (a final ``d`` in German) still apply.
- flite: the 39 phonemes of CMUdict and the schwa, no more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from wakeword.errors import ConfigError

__all__ = ["NEAREST", "fit", "fit_all"]

log = logging.getLogger(__name__)

# What stands in for a symbol, the nearest first; "" is said as nothing.
NEAREST: Mapping[str, tuple[str, ...]] = {
    # misaki's letters, which Kokoro learned with
    "T": ("ɾ", "t"), "A": ("eɪ",), "I": ("aɪ",), "W": ("aʊ",), "O": ("oʊ",), "Q": ("əʊ", "oʊ"),
    "Y": ("ɔɪ",), "ᵊ": ("ə",), "ʤ": ("dʒ",), "ʧ": ("tʃ",), "ʦ": ("ts",), "ʣ": ("dz",),
    "ʨ": ("tɕ", "tʃ"), "ʥ": ("dʑ", "dʒ"), "ꭧ": ("tʂ", "tʃ"),
    # r
    "ɚ": ("əɹ",), "ɝ": ("ɜːɹ", "əɹ"), "ɜ": ("ɜː", "ə"), "ɹ": ("r",), "r": ("ɹ",), "ɻ": ("ɹ",),
    "ʁ": ("ʀ", "r", "ɹ"), "ʀ": ("ʁ", "r", "ɹ"), "ɾ": ("t", "r"), "ɽ": ("ɾ", "ɹ"), "ɺ": ("ɾ", "l"),
    # other consonants
    "g": ("ɡ",), "ɡ": ("g",), "ʔ": ("t",), "ʈ": ("t",), "ɖ": ("d",), "ʋ": ("v",), "β": ("b", "v"),
    "x": ("χ", "h"), "χ": ("x", "h"), "ç": ("ʃ",), "ħ": ("h",), "ɦ": ("h",), "ɣ": ("ɡ", "g"),
    "ɫ": ("l",), "ɭ": ("l",), "ʎ": ("lj",), "ɬ": ("l",), "ɲ": ("nj",), "ɳ": ("n",), "ɴ": ("ŋ",),
    "ɱ": ("m",), "ʍ": ("w",), "ɥ": ("j",), "ɰ": ("w",), "ʝ": ("j",), "ɟ": ("ɡ", "j"), "c": ("k",),
    "q": ("k",), "ɢ": ("ɡ",), "ɕ": ("ʃ",), "ʑ": ("ʒ",), "ʂ": ("ʃ",), "ʐ": ("ʒ",), "ɸ": ("f",),
    "ʕ": ("ʔ", ""), "ɓ": ("b",), "ɗ": ("d",), "ɠ": ("ɡ",), "θ": ("t",), "ð": ("d",),
    # vowels
    "a": ("æ", "ɑː", "ɑ"), "æ": ("a",), "ɑ": ("ɑː", "a"), "ɒ": ("ɔ", "ɔː", "ɑː"), "ɔ": ("ɔː", "ɒ"),
    "ɐ": ("ə", "ʌ"), "ʌ": ("ɐ", "a"), "ə": ("ɐ", "ʌ"), "ᵻ": ("ɪ", "ə"), "ɨ": ("ɪ", "i"),
    "e": ("ɛ", "eɪ"), "ɛ": ("e",), "i": ("iː", "ɪ"), "ɪ": ("i",), "o": ("ɔ", "oʊ"),
    "u": ("uː", "ʊ"), "ʊ": ("u",), "y": ("u", "uː"), "ʏ": ("y", "ʊ"), "ø": ("œ", "ə"),
    "œ": ("ø", "ɛ"), "ɞ": ("ɜː", "œ"), "ɘ": ("ə",), "ɵ": ("ə",), "ɤ": ("ʌ",), "ɯ": ("u", "ʊ"),
    "ʉ": ("u", "uː"), "ɶ": ("a",),
    "eː": ("eɪ", "e"), "oː": ("oʊ", "ɔː", "o"), "aː": ("ɑː", "a"), "ɛː": ("ɛ",), "øː": ("ø", "ɜː"),
    "əː": ("ə",), "œː": ("œ", "ɜː"),
    # marks
    "ː": ("",), "ˑ": ("ː", ""), "ˌ": ("",), "ˈ": ("",), "ʲ": ("j", ""), "ʰ": ("",), "ʷ": ("w", ""),
    "̩": ("ə", ""), "̃": ("n", ""),
}  # fmt: skip


def fit(phonemes: str, sounds: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """Say a pronunciation with the sounds that an engine has.

    Args:
        phonemes: IPA.
        sounds: symbols of one or more characters; of several that fit, the longest is taken.

    Returns:
        The symbols to say, and what was changed: symbol to what stands for it, ``""`` for nothing.

    >>> fit("ʤˈoʊʋ", ["d", "ʒ", "ˈ", "oʊ", "v"])
    (['d', 'ʒ', 'ˈ', 'oʊ', 'v'], {'ʤ': 'dʒ', 'ʋ': 'v'})
    """
    said: list[str] = []
    changed: dict[str, str] = {}
    longest = max(map(len, (*sounds, *NEAREST)), default=1)
    at = 0
    while at < len(phonemes):
        pieces = [phonemes[at : at + n] for n in range(longest, 0, -1) if at + n <= len(phonemes)]
        symbol = next((p for p in pieces if p in sounds), "")
        if symbol:
            said.append(symbol)
        else:
            symbol = next((p for p in pieces if p in NEAREST), phonemes[at])
            instead = _stand_in(symbol, sounds, frozenset())
            said += instead or []
            changed[symbol] = "".join(instead or [])
        at += len(symbol)
    return said, changed


def _stand_in(symbol: str, sounds: Collection[str], tried: frozenset[str]) -> list[str] | None:
    """Find what is nearest and can be said, through several steps where needed."""
    for near in NEAREST.get(symbol, ()):
        if near in sounds:
            return [near]
        if near in tried or near == "":
            continue
        parts = [near] if near in NEAREST and len(near) == 1 else list(near)
        said = [
            [part] if part in sounds else _stand_in(part, sounds, tried | {symbol, near})
            for part in parts
        ]
        if all(part is not None for part in said):
            return [sound for part in said for sound in part or []]
    return [] if "" in NEAREST.get(symbol, ()) else None


def fit_all(
    name: str, spellings: Mapping[str, Sequence[str]], sounds: Collection[str]
) -> dict[str, list[str]]:
    """Fit pronunciations to an engine, as many as came in, and complain about what was lost.

    Args:
        name: of the engine, for the complaint.
        spellings: label to pronunciations in IPA.
        sounds: symbols that the engine has.

    Raises:
        ConfigError: nothing is left of a pronunciation.
    """
    out: dict[str, list[str]] = {label: [] for label in spellings}
    near: dict[str, str] = {}
    lost: dict[str, None] = {}
    for label, ways in spellings.items():
        for way in ways:
            said, changed = fit(way, sounds)
            if not any(symbol[0].isalpha() for symbol in said):
                raise ConfigError(f"{label!r}: {name} can say nothing of {way!r}; write it in IPA")
            out[label].append("".join(said))
            for symbol, instead in changed.items():
                if instead:
                    near[symbol] = instead
                elif "" not in NEAREST.get(symbol, ()):  # not a mark that is no sound
                    lost[symbol] = None
    if lost:
        log.warning("%s has no sound for %s nor one like it: left out", name, " ".join(lost))
    if near:
        log.info("%s says %s", name, ", ".join(f"{s} as {i}" for s, i in near.items()))
    return out
