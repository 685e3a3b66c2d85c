"""Piper: any voice file (``NAME.onnx`` and ``NAME.onnx.json``), every speaker in it.

A voice is run on onnxruntime, which kokoro-onnx brings along; the package piper-tts is not needed.
It would choose its own number of threads and its own noise. Here the noise is an input, drawn from
the recipe, so that a clip can be made again. Phonemes are given, not text, so voices that do not
speak espeak-ng's IPA (Chinese with pinyin, Hebrew, Japanese, Thai) are refused.

A voice has numbers for all of IPA and learned those of its language. An English voice is given the
sounds of English only; what an accent adds to them becomes the nearest of those.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.synth.carried import is_file, open_file
from wakeword_train.synth.recipe import MissingEngineError, Recipe, draw
from wakeword_train.synth.symbols import fit

__all__ = ["Piper", "give_noise", "speaks"]

NAME = "piper"
ENGLISH = frozenset("aæɐɑɒʌəɚɜɛeɪiᵻoɔʊuɹɾʔbdfhjklmnŋpsʃtθðvwzʒɡˈˌː .,!?")
MARKS = frozenset("_^$")  # pad, begin, end: never said
NOISE = "wakeword_noise"
FRAMES = 100  # of noise for each symbol, far more than any is long; a frame is 256 samples
CHANNELS = 192
PROBE = "tˈana mˈilu"
PROBED = 16  # speakers of one file; whether a voice heeds the speaker shows in any two


@dataclass(frozen=True, slots=True)
class Piper:
    """The engine, from one or more voice files.

    Attributes:
        files: the ``.onnx`` files.
        voices: ``NAME``, or ``NAME#SPEAKER`` for each speaker of a file with several.
    """

    files: tuple[Path, ...]
    voices: tuple[str, ...]
    name = NAME

    @classmethod
    def open(cls, files: Sequence[Path], language: str) -> Piper:
        """Read what the voices say of themselves.

        Args:
            files: the ``.onnx`` files.
            language: in which the phonemes are; a voice of another one is refused.

        Raises:
            MissingEngineError: no file, or a library is missing.
            ConfigError: a file is missing, damaged, of another language or kind, or named as
                another.
        """
        if not files:
            raise MissingEngineError(
                "no voice of Piper: fetch one with wakeword synth --download piper:NAME, as "
                "piper:en_US-lessac-medium, or name a file with --piper"
            )
        for library in ("onnxruntime", "onnx"):
            if importlib.util.find_spec(library) is None:
                raise MissingEngineError(
                    f"the library {library} is missing, on which voices of Piper run: "
                    "pip install 'wakeword[synth]'"
                )
        voices: list[str] = []
        files = tuple({file.resolve(): file for file in files}.values())
        for file in files:
            said = _config(file)
            if not speaks(file, language):
                raise ConfigError(
                    f"{file}: a voice for {said['espeak']['voice']}, which never learned the "
                    f"sounds of {language}; leave it out, or name its language with --language"
                )
            if said.get("phoneme_type", "espeak") != "espeak":
                raise ConfigError(
                    f"{file}: takes {said['phoneme_type']}, not phonemes in IPA; take another voice"
                )
            count = int(said["num_speakers"])
            voices += [f"{file.stem}#{n}" for n in range(count)] if count > 1 else [file.stem]
        if twice := {v for v in voices if voices.count(v) > 1}:
            raise ConfigError(f"{min(twice)}: two files have this name; leave one out")
        return cls(files, tuple(voices))

    @property
    def reads(self) -> Sequence[Path]:
        """The files, and those beside them."""
        return [*self.files, *(_beside(file) for file in self.files)]

    @property
    def sounds(self) -> Collection[str]:
        """Symbols that every file has, and learned as far as that is known."""
        known = [_symbols(file) for file in self.files]
        return frozenset.intersection(*known)

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        """Draw a recipe: beside the common settings, how much noise, and its seed."""
        recipe, rng = draw(self, number, label, spellings, seed)
        noise = {
            "noise": int(rng.integers(2**31)),
            "noise_scale": round(float(rng.uniform(0.5, 1.0)), 3),  # of the sound
            "noise_w": round(float(rng.uniform(0.5, 1.0)), 3),  # of the lengths
        }
        return Recipe(
            number=number, label=label, engine=NAME, phonemes=recipe.phonemes,
            settings=dict(recipe.settings) | noise,
        )  # fmt: skip

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        """Speak a recipe; the pitch is that of a tape that runs faster, formants and all."""
        how = recipe.settings
        stem, _, speaker = str(how["voice"]).partition("#")
        file = next(f for f in self.files if f.stem == stem)
        scales = (how["noise_scale"], how["pitch"] / how["speed"], how["noise_w"])
        audio = _run(file, recipe.phonemes, scales, int(speaker or 0), how["noise"])
        return audio, float(_config(file)["audio"]["sample_rate"]) * how["pitch"]

    def fingerprints(self) -> dict[str, bytes]:
        """Speak a probe without noise, with at most 16 speakers of each file of several."""
        found = {}
        for file in self.files:
            names = [v for v in self.voices if v.partition("#")[0] == file.stem]
            if names == [file.stem]:  # nothing to ignore
                found[file.stem] = hashlib.sha256(file.read_bytes()).digest()
                continue
            for name in names[:: -(-len(names) // PROBED)]:
                speaker = int(name.partition("#")[2] or 0)
                audio = _run(file, PROBE, (0.0, 1.0, 0.0), speaker, 0)
                found[name] = hashlib.sha256(audio.tobytes()).digest()
        return found


def speaks(file: Path, language: str) -> bool:
    """Tell whether a voice learned the sounds of a language.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    return str(_config(file)["espeak"]["voice"]).partition("-")[0] == language.partition("-")[0]


def _beside(file: Path) -> Path:
    """Name the description of a voice."""
    return file.with_name(file.name + ".json")


@cache
def _config(file: Path) -> dict[str, Any]:
    """Read the JSON beside a voice."""
    beside = _beside(file)
    for path in (file, beside):
        if not is_file(path):
            raise ConfigError(f"{path} is missing: a voice is NAME.onnx and NAME.onnx.json")
    try:
        with open_file(beside) as raw:
            said: dict[str, Any] = json.loads(raw.read())
        str(said["espeak"]["voice"]), int(said["num_speakers"]), int(said["audio"]["sample_rate"])
        if missing := MARKS - said["phoneme_id_map"].keys():
            raise KeyError(min(missing))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"{beside}: not the description of a voice of Piper ({exc!r})") from exc
    return said


@cache
def _symbols(file: Path) -> frozenset[str]:
    """Tell which symbols a voice learned."""
    said = _config(file)
    # Diphthongs have a number of their own in voices that were trained with them only.
    joined = {"".join(pair) for pair in said.get("vowel_clusters") or ()}
    known = {s for s in said["phoneme_id_map"] if len(s) == 1 or s in joined} - MARKS
    if speaks(file, "en"):
        known &= ENGLISH | joined
    return frozenset(known)


def _run(
    file: Path, phonemes: str, scales: tuple[float, float, float], speaker: int, seed: int
) -> NDArray[np.float32]:
    """Speak phonemes with one speaker: shape (N,), at the rate of the file."""
    session = _session(file)
    numbers: Mapping[str, Sequence[int]] = _config(file)["phoneme_id_map"]
    said, _ = fit(phonemes, _symbols(file))
    ids = [*numbers["^"], *numbers["_"]]
    for symbol in said:
        # Trained on decomposed letters, but for what the table joins.
        parts = [symbol] if len(symbol) > 1 else unicodedata.normalize("NFD", symbol)
        for part in parts:
            ids += [*numbers.get(part, numbers[symbol]), *numbers["_"]]
    ids += numbers["$"]
    given = {i.name: i for i in session.get_inputs()}
    feed: dict[str, Any] = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array(scales, np.float32),
    }
    if "sid" in given:
        feed["sid"] = np.array([speaker], np.int64)
    rng = np.random.default_rng(seed)
    for name in sorted(n for n in given if n.startswith(NOISE)):
        feed[name] = rng.standard_normal(CHANNELS * FRAMES * len(ids), np.float32)
    return np.asarray(session.run(None, feed)[0], np.float32).reshape(-1)


@lru_cache(maxsize=2)
def _session(file: Path) -> Any:
    """Load a voice, on one thread; two at a time, for a folder of voices would fill the memory."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; every voice makes it warn of its own graph
    try:
        with open_file(file) as raw:
            model = onnx.load(raw)
        give_noise(model)
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # the errors of these two have no common class of their own
        raise ConfigError(f"{file}: damaged, or no voice of Piper ({exc})") from exc


def give_noise(model: Any) -> None:
    """Turn a graph's random numbers into inputs, ``wakeword_noise0`` and so on.

    Each takes shape (N,) float32 of normal numbers, N at least what the graph asks for: the first
    ones are taken. A graph without random numbers stays as it is.

    Args:
        model: an ``onnx.ModelProto``, changed in place.
    """
    from onnx import TensorProto, helper

    nodes = list(model.graph.node)
    del model.graph.node[:]
    count = 0
    for node in nodes:
        if node.op_type != "RandomNormalLike":
            model.graph.node.append(node)
            continue
        name = f"{NOISE}{count}"
        count += 1
        scale = next((a.f for a in node.attribute if a.name == "scale"), 1.0)
        mean = next((a.f for a in node.attribute if a.name == "mean"), 0.0)
        if (scale, mean) != (1.0, 0.0):
            raise ConfigError(f"{node.name}: noise of another scale than 1 is not supported")
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]))
        model.graph.initializer.append(
            helper.make_tensor(f"{name}_zero", TensorProto.INT64, [1], [0])
        )
        model.graph.node.extend(
            [
                helper.make_node("Shape", [node.input[0]], [f"{name}_shape"]),
                helper.make_node("ReduceProd", [f"{name}_shape"], [f"{name}_size"], keepdims=1),
                helper.make_node("Slice", [name, f"{name}_zero", f"{name}_size"], [f"{name}_flat"]),
                helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [node.output[0]]),
            ]
        )
