"""Speak many clips into a folder, in several processes, and go on from where a run was stopped."""

from __future__ import annotations

import errno
import io
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, ConfigError, WakewordError
from wakeword.files import beside
from wakeword_train.pool import Files, workers
from wakeword_train.synth.carried import carry
from wakeword_train.synth.recipe import SHARES, Engine, Recipe, choose_engine
from wakeword_train.synth.symbols import fit_all

__all__ = ["engines_of", "plan", "read_manifest", "spoken_of", "synthesize"]

log = logging.getLogger(__name__)

RATE_HZ = 16_000
PEAK = 0.5
SILENT = 1e-4  # of full scale
MANIFEST = "manifest.jsonl"


def plan(
    spellings: Mapping[str, Sequence[str]],
    count: int,
    *,
    engines: Sequence[Engine],
    seed: int = 0,
    shares: Mapping[str, float] = SHARES,
) -> list[Recipe]:
    """Draw the recipes of ``count`` clips of each label.

    Args:
        spellings: label to pronunciations in IPA.
        count: clips of each label, at least 1.
        engines: who may speak.
        seed: the same seed, label, number and engines give the same clip.
        shares: weight of an engine by its name.

    Raises:
        ConfigError: no engine, no label, a label without pronunciations, or a bad count.
    """
    if count < 1:
        raise ConfigError(f"count={count}: need at least one clip")
    if not engines or not spellings:
        raise ConfigError("need an engine to speak and something to say")
    for label, ways in spellings.items():
        if not ways or not _folder(label):
            raise ConfigError(f"{label!r}: need a label of letters and at least one spelling")
    if len({_folder(label) for label in spellings}) < len(spellings):
        raise ConfigError(f"labels {', '.join(spellings)}: two differ in punctuation only")
    # Fitted once, so that what an engine cannot say is complained about once.
    fitted = {e.name: fit_all(e.name, spellings, e.sounds) for e in engines}
    recipes = []
    for number in range(count):
        for label in spellings:
            engine = choose_engine(engines, number, label, seed, shares)
            recipes.append(engine.draw(number, label, fitted[engine.name][label], seed))
    return recipes


def synthesize(
    spellings: Mapping[str, Sequence[str]],
    count: int,
    out: Path,
    *,
    engines: Sequence[Engine],
    seed: int = 0,
    processes: int = 2,
    shares: Mapping[str, float] = SHARES,
    force: bool = True,
    ray: str | None = None,
) -> Iterator[tuple[int, int]]:
    """Speak ``count`` clips of each label; clips already there by the same recipe are kept.

    Args:
        spellings: label to pronunciations in IPA.
        count: clips of each label.
        out: folder for ``LABEL/00000.flac`` (16 kHz, mono) and ``manifest.jsonl``.
        engines: who speaks, as :func:`.find.find_engines` gives them.
        seed: of the recipes.
        processes: worker processes; 1 speaks in this one.
        shares: weight of an engine by its name.
        force: replace clips of other recipes that lie in ``out``; otherwise they are an error.
        ray: address of a Ray cluster to speak there, in place of processes.

    Yields:
        (clips done, clips in all), at the beginning and after each clip.

    Raises:
        ConfigError: see :func:`plan`, or other clips are in ``out`` and ``force`` is not set.
        WakewordError: the disk is full or cannot be written, or an engine failed; finished clips
            are kept, and the same call goes on from there.
    """
    recipes = plan(spellings, count, engines=engines, seed=seed, shares=shares)
    rows = {file_of(r): r.row() for r in recipes}
    try:
        _clear(out, rows, force)
        done = {file for file in rows if (out / file).is_file()}
        todo = [r for r in recipes if file_of(r) not in done]
    except OSError as exc:
        raise WakewordError(_trouble(exc, out)) from exc
    ready = len(done)
    yield ready, len(recipes)
    if not todo:
        return
    # Together by voice, since an engine may have to load each: the order changes no clip.
    todo.sort(key=lambda r: (r.engine, str(r.settings.get("voice"))))
    files = Files(tuple(path for engine in engines for path in engine.reads))
    here = processes if processes > 1 else 0
    with workers(here, _open, (list(engines), files), ray=ray) as pool:
        for job, sound in pool.map(_make_clip, ((recipe,) for recipe in todo)):
            try:
                with beside(out / file_of(todo[job])) as partial:
                    partial.write_bytes(sound)
            except OSError as exc:
                raise WakewordError(
                    f"{_trouble(exc, out)} {ready} of {len(recipes)} clips are there, and the same "
                    "command goes on from them"
                ) from exc
            ready += 1
            yield ready, len(recipes)


def file_of(recipe: Recipe) -> str:
    """Name the file of a clip, from the folder of the clips."""
    return f"{_folder(recipe.label)}/{recipe.number:05d}.flac"


def _folder(label: str) -> str:
    """Name the folder of a label.

    >>> _folder("near hey, you")
    'near_hey_you'
    """
    return re.sub(r"[^\w'-]+", "_", label).strip("_")


def _clear(out: Path, rows: Mapping[str, Mapping[str, Any]], force: bool) -> None:
    """Remove clips of other recipes and those that cannot be read, and write the manifest."""
    before = {row["file"]: row for row in _rows(out)} if (out / MANIFEST).is_file() else {}
    after = {file: {"file": file, **row} for file, row in rows.items()}
    stale = [file for file, row in before.items() if after.get(file) != row]
    if stale and not force:
        raise ConfigError(
            f"{out}: has {len(stale)} clips that this command would not make, as {stale[0]}: of "
            "another phrase, number, seed, or other engines; choose another --out, or --force"
        )
    for folder in {(out / file).parent for file in after}:
        folder.mkdir(parents=True, exist_ok=True)
    damaged = []
    for file, row in after.items():
        path = out / file
        # A clip whose recipe has changed goes before the manifest says otherwise.
        if before.get(file) != row:
            path.unlink(missing_ok=True)
        elif path.is_file() and (why := _damage(path)):
            damaged.append(f"{path} ({why})")
            path.unlink()
    if damaged:
        log.warning("%d clips cannot be read and are spoken again, as %s", len(damaged), damaged[0])
    if before != after:
        with beside(out / MANIFEST) as partial:
            partial.write_text("".join(json.dumps(row) + "\n" for row in after.values()))


def _damage(path: Path) -> str:
    """Say what is wrong with a clip; empty when nothing is."""
    import soundfile

    try:
        audio, rate_hz = soundfile.read(path, dtype="int16")
    except (soundfile.SoundFileError, RuntimeError) as exc:
        return str(exc)
    if audio.ndim != 1 or rate_hz != RATE_HZ:
        return f"{rate_hz} Hz, shape {audio.shape}"
    return "" if len(audio) else "empty"


_engines: dict[str, Engine] = {}  # of this process


def _open(engines: Sequence[Engine], files: Mapping[Path, NDArray[np.uint8]]) -> None:
    """Take over the engines in a worker; each loads its model with its first clip."""
    carry(files)
    _engines.clear()
    _engines.update({engine.name: engine for engine in engines})


def _make_clip(recipe: Recipe) -> bytes:
    """Speak one recipe: a 16 kHz FLAC."""
    import soundfile

    audio = _at_16_khz(*_engines[recipe.engine].speak(recipe))
    peak = float(np.max(np.abs(audio), initial=0.0))
    if not peak > SILENT:  # nor NaN
        raise AudioFormatError(
            f"{recipe.engine} said nothing for {recipe.row()}: leave it out with --engine"
        )
    sound = io.BytesIO()
    soundfile.write(sound, (audio * (PEAK / peak)).astype(np.float32), RATE_HZ, format="FLAC")
    return sound.getvalue()


def _at_16_khz(audio: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Resample."""
    import soxr

    return np.asarray(soxr.resample(audio, rate_hz, RATE_HZ), np.float32)


def _trouble(exc: OSError, out: Path) -> str:
    """Say what the disk did not do."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{out}: no space is left ({exc.strerror}): free some."
    return f"{out}: {exc}."


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Read the rows of a manifest; those of older ones are Kokoro's."""
    path = folder / MANIFEST
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [
            {"file": row["file"], "number": row["number"], "label": row["label"],
             "engine": "kokoro", **row}
            for row in rows
        ]  # fmt: skip
    except FileNotFoundError as exc:
        raise ConfigError(f"{path} is missing: no clips were spoken into {folder}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{path}: damaged ({exc!r}); remove it to speak the clips again") from exc


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read the recipes of a folder, those whose clip exists.

    Returns:
        Rows with ``file``, ``number``, ``label``, ``engine``, ``phonemes`` and what the engine set.

    Raises:
        ConfigError: the manifest is missing or damaged.
    """
    return [row for row in _rows(folder) if (folder / row["file"]).is_file()]


def spoken_of(folder: Path) -> tuple[int, float]:
    """Count the clips of a folder and their hours."""
    import soundfile

    lengths = [soundfile.info(folder / row["file"]).duration for row in read_manifest(folder)]
    return len(lengths), sum(lengths) / 3600


def engines_of(folder: Path) -> dict[str, int]:
    """Count the clips of a folder by engine."""
    return dict(Counter(row["engine"] for row in read_manifest(folder)))
