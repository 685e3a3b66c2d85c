"""Kokoro: 54 voices, mixed into speakers who do not exist.

A voice is a table of styles, one for each number of phonemes: columns 0 to 127 are its timbre, 128
to 255 its prosody. A clip takes the timbre of two voices, mixed or extrapolated, and the prosody,
accent included, of a third.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.synth.carried import open_file, place
from wakeword_train.synth.recipe import PUNCTUATION, MissingEngineError, Recipe, stream

__all__ = ["MODEL_FILE", "VOICES_FILE", "Kokoro", "draw_recipe", "style_of"]

MODEL_FILE = "kokoro-v1.0.int8.onnx"
VOICES_FILE = "voices-v1.0.bin"
TIMBRE = slice(0, 128)
NAME = "kokoro"
AGAIN = "fetch it again: wakeword synth --download kokoro --force --to"


def draw_recipe(
    number: int, label: str, spellings: Sequence[str], voices: Sequence[str], seed: int
) -> Recipe:
    """Draw clip ``number`` of a label.

    Args:
        number: index of the clip, from 0.
        label: the word or phrase.
        spellings: pronunciations in the phonemes of the voices, at least one.
        voices: names of the voices to mix.
        seed: the same seed gives the same clip.

    Returns:
        A recipe with ``timbre``, the two voices to mix; ``mix``, the weight of the second (outside
        0 to 1 it extrapolates); ``prosody``, the voice that lends rhythm and accent; ``speed``.

    Raises:
        ConfigError: no spelling or no voice.
    """
    if not spellings or not voices:
        raise ConfigError(f"{label!r}: need at least one spelling and one voice")
    rng = stream(seed, number, label)
    first, second, prosody = (str(v) for v in rng.choice(np.asarray(voices), 3))
    phonemes = str(rng.choice(np.asarray(spellings))) + str(rng.choice(np.asarray(PUNCTUATION)))
    settings = {
        "timbre": [first, second],
        "mix": round(float(rng.uniform(-0.35, 1.35)), 3),
        "prosody": prosody,
        "speed": round(float(rng.uniform(0.7, 1.35)), 3),
    }
    return Recipe(number=number, label=label, engine=NAME, phonemes=phonemes, settings=settings)


def style_of(
    settings: Mapping[str, Any], voices: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Mix the voices of a recipe into one table of styles.

    Args:
        settings: ``timbre``, ``mix`` and ``prosody`` of a recipe.
        voices: name to table, each (510, 1, 256) float32.

    Returns:
        Shape (510, 1, 256): a style for each number of phonemes.
    """
    first, second = (voices[name] for name in settings["timbre"])
    mix = settings["mix"]
    style = voices[settings["prosody"]].copy()
    style[..., TIMBRE] = (1 - mix) * first[..., TIMBRE] + mix * second[..., TIMBRE]
    return np.asarray(style, np.float32)


@dataclass(frozen=True, slots=True)
class Kokoro:
    """The engine, from a folder with its two files.

    Attributes:
        folder: where ``kokoro-v1.0.int8.onnx`` and ``voices-v1.0.bin`` lie.
        voices: names of the voices to mix.
    """

    folder: Path
    voices: tuple[str, ...]
    name = NAME

    @classmethod
    def open(cls, folder: Path) -> Kokoro:
        """Look into the folder; the model itself is loaded when something is spoken.

        Raises:
            MissingEngineError: a file or the library is missing.
            ConfigError: a file is damaged.
        """
        for name in (MODEL_FILE, VOICES_FILE):
            if not (folder / name).is_file():
                raise MissingEngineError(
                    f"{folder / name} is missing: fetch Kokoro's two files with "
                    f"wakeword synth --download kokoro --to {folder}"
                )
        if importlib.util.find_spec("kokoro_onnx") is None:
            raise MissingEngineError(
                "the library kokoro-onnx is missing: pip install 'wakeword[synth]'"
            )
        return cls(folder, tuple(sorted(_tables(folder))))

    @property
    def sounds(self) -> Collection[str]:
        """Symbols of its vocabulary."""
        return _vocabulary()

    @property
    def reads(self) -> Sequence[Path]:
        """Its two files."""
        return self.folder / MODEL_FILE, self.folder / VOICES_FILE

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        """Draw the recipe of clip ``number``."""
        return draw_recipe(number, label, spellings, self.voices, seed)

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        """Speak a recipe."""
        audio, rate_hz = _model(self.folder).create(
            recipe.phonemes, voice=style_of(recipe.settings, _tables(self.folder)),
            speed=recipe.settings["speed"], is_phonemes=True,
        )  # fmt: skip
        return audio, rate_hz

    def fingerprints(self) -> dict[str, bytes]:
        """Compare the tables: what a voice says follows from its table alone."""
        tables = _tables(self.folder)
        return {name: hashlib.sha256(tables[name].tobytes()).digest() for name in self.voices}


@cache
def _tables(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Read the voices."""
    path = folder / VOICES_FILE
    try:
        with open_file(path) as raw, np.load(raw) as file:
            tables = {name: np.asarray(file[name], np.float32) for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as exc:
        raise ConfigError(f"{path}: damaged ({exc}); {AGAIN} {folder}") from exc
    wrong = [n for n, t in tables.items() if t.ndim != 3 or t.shape[1:] != (1, 256)]
    if wrong or not tables:
        raise ConfigError(f"{path}: no voices of Kokoro 1.0 in it; {AGAIN} {folder}")
    return tables


@cache
def _model(folder: Path) -> Any:
    """Load the model once in each process, on one thread."""
    import onnxruntime
    from kokoro_onnx import Kokoro as Library

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with place(folder / MODEL_FILE, folder / VOICES_FILE) as (model, voices):
        try:
            session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # its errors have no common class of their own
            raise ConfigError(f"{model}: damaged ({exc}); {AGAIN} {folder}") from exc
        return Library.from_session(session, str(voices))


@cache
def _vocabulary() -> frozenset[str]:
    """Ask the library for the symbols that have a number."""
    from kokoro_onnx.config import DEFAULT_VOCAB

    return frozenset(DEFAULT_VOCAB)
