"""espeak-ng: the program of the system; robotic, quick, and in a hundred languages.

It takes phonemes by names of its own, which differ between languages; which of them sounds how is
asked from the program. On Debian ``-v en-gb+f2`` speaks and ignores the variant, as does a variant
that does not exist; so voices are named by their file (``gmw/en+f2``) and compared by their sound.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.accents import VOWEL
from wakeword_train.synth.recipe import MissingEngineError, Recipe, draw
from wakeword_train.synth.symbols import fit

__all__ = ["Espeak"]

NAME = "espeak"
WORDS_PER_MINUTE = 175  # espeak-ng's own default
HEADER = 44  # bytes of its WAV
# Variants that nobody would take for a person.
ODD = re.compile("robo|robot|klatt|caleb|demonic|whisper|croak|fast|announcer", re.IGNORECASE)
STRESS = {"ˈ": "'", "ˌ": ",", " ": " "}
PAUSES = ".,!?"
# Names to ask for, those first that sound the same wherever they stand.
ENDINGS = ("", ":", "#", "~", ";", "^", '"', ".", "2", "@", "I", "U", "L", "S", "Z", "s", "z")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@&?"
SYLLABLES = ("@|{}|@", "t|{}|t")  # around a consonant, around a vowel


@dataclass(frozen=True, slots=True)
class Espeak:
    """The engine.

    Attributes:
        program: path of ``espeak-ng``.
        plain: the language's voice, whose sounds are asked for.
        voices: accents of the language, each with a variant.
    """

    program: str
    plain: str
    voices: tuple[str, ...]
    name = NAME

    @classmethod
    def open(cls, language: str) -> Espeak:
        """Look for the program and its voices of a language.

        Raises:
            MissingEngineError: the program is missing, or has no such voice.
        """
        program = shutil.which("espeak-ng")
        if program is None:
            raise MissingEngineError("espeak-ng is missing: sudo apt install espeak-ng")
        family = language.partition("-")[0]
        listed = dict(_listed(program, family))
        accents = [f for f, code in listed.items() if code.partition("-")[0] == family]
        if not accents:
            raise MissingEngineError(f"espeak-ng has no voice for {language}")
        plain = next((f for f in accents if listed[f].lower() == language.lower()), accents[0])
        variants = ["", *(f.removeprefix("!v/") for f, _ in _listed(program, "variant"))]
        human = [v for v in variants if not ODD.search(v)]
        voices = [
            accents[n % len(accents)] + (f"+{variant}" if variant else "")
            for n, variant in enumerate(human)
        ]
        return cls(program, plain, tuple(voices))

    @property
    def sounds(self) -> Collection[str]:
        """Symbols that the language has names for."""
        return _names(self.program, self.plain).keys() | set(STRESS) | set(PAUSES)

    @property
    def reads(self) -> Sequence[Path]:
        """Nothing: the program is part of the system."""
        return ()

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        """Draw a recipe."""
        return draw(self, number, label, spellings, seed)[0]

    def text_of(self, phonemes: str) -> str:
        """Write phonemes as the program takes them, punctuation behind."""
        names = _names(self.program, self.plain) | STRESS
        said, _ = fit(phonemes, self.sounds)
        spoken = "|".join(names[s] for s in said if s not in PAUSES).replace("| |", " ")
        return f"[[{spoken}]]{''.join(s for s in said if s in PAUSES)}"

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        """Speak a recipe."""
        how = recipe.settings
        text = self.text_of(recipe.phonemes)
        # 0 to 99, 50 is the voice's own; it doubles the pitch from about 30 to 80.
        pitch = round(50 + 72 * float(np.log2(how["pitch"])))
        speed = round(WORDS_PER_MINUTE * how["speed"])
        sound = _speak(self.program, how["voice"], text, "-s", str(speed), "-p", str(pitch))
        rate_hz = int.from_bytes(sound[24:28], "little")
        samples = np.frombuffer(sound[HEADER : len(sound) // 2 * 2], "<i2")
        return np.divide(samples, 32768, dtype=np.float32), float(rate_hz)

    def fingerprints(self) -> dict[str, bytes]:
        """Speak a probe with each voice."""
        return {
            voice: hashlib.sha256(_speak(self.program, voice, "tana milu")).digest()
            for voice in self.voices
        }


def _run(program: str, *arguments: str, text: str | None = None) -> bytes:
    """Run the program."""
    done = subprocess.run(
        [program, *arguments], input=text.encode() if text else None,
        stdin=None if text else subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        raise ConfigError(f"espeak-ng {' '.join(arguments)}: {why}")
    return done.stdout


def _speak(program: str, voice: str, text: str, *more: str) -> bytes:
    """Give the WAV of a text."""
    sound = _run(program, "-v", voice, *more, "--stdout", text)
    if len(sound) <= HEADER or sound[:4] != b"RIFF":
        raise ConfigError(f"espeak-ng said nothing for {text!r} with the voice {voice}")
    return sound


def _listed(program: str, what: str) -> Iterator[tuple[str, str]]:
    """List voices by file and language; those of mbrola need files of their own."""
    for line in _run(program, f"--voices={what}").decode().splitlines()[1:]:
        # Columns are parted by blanks, and a file may hold one: "!v/Mr serious".
        found = re.match(r"\s*\d+\s+(\S+)\s+\S+\s+\S+\s+(\S+(?: \S+)*?)\s*(?:\s\(.*)?$", line)
        if found and not found[2].startswith("mb/"):
            yield found[2], found[1]


@cache
def _names(program: str, voice: str) -> dict[str, str]:
    """Ask which of the program's names sounds how: IPA to name."""
    asked = ["A:", "*", "t2", *(a + b for b in ENDINGS for a in LETTERS)]
    asked += [digit + more for more in ("", ":") for digit in "0123456789"]
    found: dict[str, str] = {}
    for syllable, want_vowel in zip(SYLLABLES, (False, True), strict=True):
        text = "\n\n".join(f"[[{syllable.format(name)}]]." for name in asked)
        answer = _run(program, "-q", "--ipa", "--sep=_", "-v", voice, "--stdin", text=text)
        lines = answer.decode().splitlines()
        if len(lines) != len(asked):
            raise ConfigError(
                f"espeak-ng answered {len(lines)} of {len(asked)} questions for its sounds: this "
                "version is not supported; leave it out with --engine"
            )
        for name, line in zip(asked, lines, strict=True):
            parts = re.sub("[ˈˌ]", "", line.strip()).split("_")
            if len(parts) == 3 and (parts[1][:1] in VOWEL) == want_vowel:
                found.setdefault(parts[1], name)
    return {ipa: name for ipa, name in found.items() if ipa.isalpha() or "ː" in ipa}
