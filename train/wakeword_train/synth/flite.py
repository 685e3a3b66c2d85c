"""flite: the program of the system, four American and Scottish voices; English only.

It speaks phonemes with its full prosody only as words of its lexicon, so a clip's words are added
to that under made-up names. It takes any name for a voice and speaks with its first one, so voices
are compared by their sound.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.synth.recipe import MissingEngineError, Recipe, draw
from wakeword_train.synth.symbols import fit

__all__ = ["Flite"]

NAME = "flite"
CONSONANTS = {
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "ɡ": "g", "f": "f", "v": "v", "θ": "th",
    "ð": "dh", "s": "s", "z": "z", "ʃ": "sh", "ʒ": "zh", "h": "hh", "m": "m", "n": "n", "ŋ": "ng",
    "l": "l", "ɹ": "r", "j": "y", "w": "w", "tʃ": "ch", "dʒ": "jh", "ɾ": "t",
}  # fmt: skip
VOWELS = {
    "iː": "iy", "i": "iy", "ɪ": "ih", "ᵻ": "ih", "eɪ": "ey", "ɛ": "eh", "æ": "ae", "ɑː": "aa",
    "ɑ": "aa", "ɔː": "ao", "ɔ": "ao", "oʊ": "ow", "əʊ": "ow", "ʊ": "uh", "uː": "uw", "u": "uw",
    "ʌ": "ah", "ə": "ax", "ɜː": "er", "ɜːɹ": "er", "ɚ": "er", "aɪ": "ay", "aʊ": "aw", "ɔɪ": "oy",
}  # fmt: skip
OTHER = frozenset(" ˈˌ.,!?")
# Voices that are no good: a clock that knows the words of the time only, and kal, made of recorded
# pairs of sounds: it fails where it lacks one.
LEFT_OUT = {"awb_time", "kal", "kal16"}
SYLLABLES = "bdgklmnprst"


@dataclass(frozen=True, slots=True)
class Flite:
    """The engine.

    Attributes:
        program: path of ``flite``.
        voices: names of its voices.
    """

    program: str
    voices: tuple[str, ...]
    name = NAME

    @classmethod
    def open(cls, language: str) -> Flite:
        """Look for the program.

        Raises:
            MissingEngineError: it is missing, has no voice, or the language is not English.
        """
        if language.partition("-")[0] != "en":
            raise MissingEngineError(f"flite speaks English, not {language}")
        program = shutil.which("flite")
        if program is None:
            raise MissingEngineError("flite is missing: sudo apt install flite")
        listed = subprocess.run([program, "-lv"], capture_output=True, text=True, check=False)
        voices = set(listed.stdout.partition(":")[2].split()) - LEFT_OUT
        if not voices:
            raise MissingEngineError(f"{program} lists no voice: {listed.stdout + listed.stderr}")
        return cls(program, tuple(sorted(voices)))

    @property
    def sounds(self) -> Collection[str]:
        """Symbols that the phonemes of CMUdict stand for."""
        return CONSONANTS.keys() | VOWELS.keys() | OTHER

    @property
    def reads(self) -> Sequence[Path]:
        """Nothing: the program is part of the system."""
        return ()

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        """Draw a recipe."""
        return draw(self, number, label, spellings, seed)[0]

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        """Speak a recipe; the pitch is that of a tape that runs faster, formants and all."""
        how = recipe.settings
        said, _ = fit(recipe.phonemes, self.sounds)
        stretch = how["pitch"] / how["speed"]
        audio, rate_hz = self._say(how["voice"], said, stretch)
        return audio, rate_hz * how["pitch"]

    def fingerprints(self) -> dict[str, bytes]:
        """Speak a probe with each voice."""
        probe, _ = fit("tˈɑːnə mˈiːluː", self.sounds)
        found = {}
        for voice in self.voices:
            audio, rate_hz = self._say(voice, probe, 1.0)
            found[voice] = hashlib.sha256(audio.tobytes() + str(rate_hz).encode()).digest()
        return found

    def _say(
        self, voice: str, said: Sequence[str], stretch: float
    ) -> tuple[NDArray[np.float32], float]:
        """Speak symbols: shape (N,), and the rate."""
        import soundfile

        text, lexicon = write_lexicon(said)
        with tempfile.TemporaryDirectory(prefix="wakeword-flite-") as folder:
            words, sound = Path(folder) / "words", Path(folder) / "sound.wav"
            words.write_text(lexicon)
            done = subprocess.run(
                [
                    self.program, "-add_lex", str(words), "-voice", voice,
                    "--setf", f"duration_stretch={stretch:.3f}", "-t", text, "-o", str(sound),
                ],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            if done.returncode or done.stderr or not sound.is_file():
                raise ConfigError(f"flite with the voice {voice}: {done.stderr or 'no sound'}")
            audio, rate_hz = soundfile.read(sound, dtype="float32")
        return audio, float(rate_hz)


def write_lexicon(said: Sequence[str]) -> tuple[str, str]:
    """Write symbols as words of flite's lexicon.

    Returns:
        The text to speak, made-up words with the punctuation of ``said``, and the lexicon.

    >>> write_lexicon(["h", "ˈ", "eɪ", " ", "j", "uː", "!"])
    ('babo dabo!', 'babo : hh ey1\\ndabo : y uw0\\n')
    """
    phones: list[list[str]] = [[]]
    text, stressed = "", False
    for symbol in said:
        if symbol in CONSONANTS:
            phones[-1].append(CONSONANTS[symbol])
        elif symbol in VOWELS:
            vowel = VOWELS[symbol]
            # The schwa has no stress.
            phones[-1].append("ah1" if stressed and vowel == "ax" else f"{vowel}{int(stressed)}")
            stressed = False
        elif symbol in "ˈˌ":
            stressed = True
        elif symbol == " " and phones[-1]:
            phones.append([])
        elif symbol in ".,!?":
            text += symbol
    words = [
        SYLLABLES[n % 11] + "a" + SYLLABLES[n // 11 % 11] + "o"
        for n, word in enumerate(phones) if word
    ]  # fmt: skip
    lines = [f"{w} : {' '.join(p)}\n" for w, p in zip(words, phones, strict=False) if p]
    return " ".join(words) + text, "".join(lines)
