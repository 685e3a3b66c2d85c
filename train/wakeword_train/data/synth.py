"""Synthetic speech for training: Kokoro voices mixed into speakers who do not exist.

A clip is made from a :class:`Recipe`, and a recipe is drawn from the seed and the clip's number
alone: the same command gives the same clips, whatever was made before and in whatever order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["Recipe", "draw_recipe", "read_manifest", "spoken_of", "style_of", "synthesize"]

MODEL_FILE = "kokoro-v1.0.int8.onnx"
VOICES_FILE = "voices-v1.0.bin"
TIMBRE = slice(0, 128)
PROSODY = slice(128, 256)
PUNCTUATION = ("", ".", "!", "?", ",")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that is needed to make one clip again.

    ``mix`` weighs the timbre of two voices, 0 for the first and 1 for the second; values outside
    [0, 1] extrapolate. ``prosody`` names the voice that lends its rhythm and accent.
    """

    number: int
    label: str
    phonemes: str
    timbre: tuple[str, str]
    mix: float
    prosody: str
    speed: float


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

    Raises:
        ConfigError: no spelling or no voice.
    """
    if not spellings or not voices:
        raise ConfigError(f"{label!r}: need at least one spelling and one voice")
    rng = np.random.default_rng([seed, number, *label.encode()])
    first, second, prosody = (str(v) for v in rng.choice(np.asarray(voices), 3))
    return Recipe(
        number=number,
        label=label,
        phonemes=str(rng.choice(np.asarray(spellings))) + str(rng.choice(np.asarray(PUNCTUATION))),
        timbre=(first, second),
        mix=round(float(rng.uniform(-0.35, 1.35)), 3),
        prosody=prosody,
        speed=round(float(rng.uniform(0.7, 1.35)), 3),
    )


def style_of(recipe: Recipe, voices: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mix the voices of a recipe into one table of styles.

    Args:
        recipe: what to mix.
        voices: name to table, each (510, 1, 256) float32.

    Returns:
        Shape (510, 1, 256): a style for each number of phonemes.
    """
    first, second = (voices[name] for name in recipe.timbre)
    style = voices[recipe.prosody].copy()
    style[..., TIMBRE] = (1 - recipe.mix) * first[..., TIMBRE] + recipe.mix * second[..., TIMBRE]
    return np.asarray(style, np.float32)


_engine: tuple[Any, dict[str, NDArray[np.float32]]] | None = None  # one per worker process


def _open_engine(model_dir: str) -> None:
    """Load the voices once in each worker, on one thread."""
    global _engine
    import onnxruntime
    from kokoro_onnx import Kokoro

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(Path(model_dir) / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )
    kokoro = Kokoro.from_session(session, str(Path(model_dir) / VOICES_FILE))
    _engine = kokoro, {name: kokoro.voices[name] for name in kokoro.voices.files}


def _make_clip(recipe: Recipe, path: str) -> Recipe:
    """Speak one recipe into a 16 kHz FLAC, beside its name first and then renamed."""
    import soundfile
    import soxr

    parent = parent_process()
    if parent is None or not parent.is_alive():  # killed: do not work through its queue alone
        os._exit(1)
    assert _engine is not None  # set by the pool's initializer
    kokoro, voices = _engine
    audio, rate_hz = kokoro.create(
        recipe.phonemes, voice=style_of(recipe, voices), speed=recipe.speed, is_phonemes=True
    )
    audio = soxr.resample(audio, rate_hz, 16_000)
    peak = float(np.max(np.abs(audio), initial=1e-9))
    partial = Path(f"{path}.{os.getpid()}.part")
    soundfile.write(partial, (audio * (0.5 / peak)).astype(np.float32), 16_000, format="FLAC")
    partial.replace(path)
    return recipe


def synthesize(
    spellings: dict[str, Sequence[str]],
    count: int,
    out: Path,
    *,
    model_dir: Path,
    seed: int = 0,
    processes: int = 2,
) -> Iterator[tuple[int, int]]:
    """Speak ``count`` clips of each label; clips already there by the same recipe are kept.

    Args:
        spellings: label to pronunciations in phonemes.
        count: clips of each label.
        out: folder for ``LABEL/00000.flac`` and ``manifest.jsonl``.
        model_dir: folder with the two files of Kokoro.
        seed: of the recipes.
        processes: worker processes.

    Yields:
        (clips done, clips in all), after each clip.

    Raises:
        ConfigError: the model files are not in ``model_dir``.
    """
    for name in (MODEL_FILE, VOICES_FILE):
        if not (model_dir / name).is_file():
            raise ConfigError(f"{model_dir / name} is missing: put Kokoro's two files there")
    with np.load(model_dir / VOICES_FILE) as table:
        voices = sorted(table.files)
    recipes = [
        draw_recipe(n, label, spellings[label], voices, seed)
        for n in range(count)
        for label in spellings
    ]
    paths = [out / r.label.replace(" ", "_") / f"{r.number:05d}.flac" for r in recipes]
    for folder in {p.parent for p in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    rows = [
        json.dumps({"file": str(p.relative_to(out)), **asdict(r)})
        for p, r in zip(paths, recipes, strict=True)
    ]
    # A clip whose recipe has changed is stale, and goes before the manifest says otherwise.
    before = set(manifest.read_text().splitlines()) if manifest.is_file() else set()
    for path, row in zip(paths, rows, strict=True):
        if row not in before:
            path.unlink(missing_ok=True)
    partial = manifest.with_suffix(".part")
    partial.write_text("".join(row + "\n" for row in rows))
    partial.replace(manifest)
    todo = [(r, str(p)) for r, p in zip(recipes, paths, strict=True) if not p.is_file()]
    done = len(recipes) - len(todo)
    yield done, len(recipes)
    if not todo:
        return
    # spawn: a forked child would inherit the locks of onnxruntime's threads.
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_open_engine, initargs=(str(model_dir),)
    ) as pool:
        for _ in pool.map(_make_clip, *zip(*todo, strict=True), chunksize=4):
            done += 1
            yield done, len(recipes)


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read the recipes of a folder, those whose clip exists."""
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if (folder / row["file"]).is_file()]


def spoken_of(folder: Path) -> tuple[int, float]:
    """Count the clips of a folder and their hours."""
    import soundfile

    lengths = [soundfile.info(folder / row["file"]).duration for row in read_manifest(folder)]
    return len(lengths), sum(lengths) / 3600
