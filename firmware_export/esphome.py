"""The ESPHome target: a microWakeWord version 2 model and its manifest.

A device quantises its features by fixed numbers (26 / 255 per step), not by those the model was
calibrated with, so its scores differ a little from the bundle's; all behind the input is the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firmware_export.arena import needed_arena
from firmware_export.emit import fill, packaged, plain, write_files
from firmware_export.stream_graph import ESPHOME_OPERATORS, stream_graphs
from firmware_export.tflite_file import write_tflite
from wakeword.bundle import Bundle
from wakeword.errors import BundleError, ExportError
from wakeword.micro_graph import check_micro_graph

__all__ = ["micro_model", "write_esphome"]

MOST_VARIABLES = 20
"""ESPHome makes room for so many."""
OLDEST = "2024.7.0"
"""The first ESPHome that reads version 2 and strides above 1."""


def micro_model(bundle: Bundle, word: str | None = None) -> tuple[bytes, str]:
    """Return a streaming model of one word, checked, and the word.

    Raises:
        ExportError: several words and none chosen, or a graph that ESPHome's operators cannot run.
    """
    if word is None:
        if len(bundle.words) > 1:
            raise ExportError(
                f"{bundle.path}: an ESPHome model has one word, this has {list(bundle.words)}: "
                "choose with --word, and export once for each"
            )
        word = bundle.words[0]
    if word not in bundle.words:
        raise ExportError(f"{word!r}: {bundle.path} has only {list(bundle.words)}")
    graphs = stream_graphs(bundle, word)
    used = {op.name for graph in graphs for op in graph.operators}
    variables = sum(op.name == "VAR_HANDLE" for op in graphs[0].operators)
    if foreign := sorted(used - ESPHOME_OPERATORS):
        raise ExportError(f"{bundle.path}: ESPHome does not register {foreign}")
    if variables > MOST_VARIABLES:
        raise ExportError(f"{bundle.path}: {variables} variables; ESPHome has {MOST_VARIABLES}")
    model = write_tflite(graphs, f"wakeword: {word}")
    try:
        check_micro_graph(model)
    except BundleError as exc:
        raise ExportError(f"{bundle.path}: the streaming model is not sound: {exc}") from exc
    return model, word


def write_esphome(
    folder: Path, bundle: Bundle, word: str | None, arena: int | None = None
) -> dict[str, Any]:
    """Write the model, its manifest, a page, and an example of a configuration.

    Raises:
        ExportError: as :func:`micro_model`, or the arena cannot be measured here.
    """
    model, word = micro_model(bundle, word)
    arena = needed_arena(model, arena)
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in word.lower())
    decision = bundle.decision[word]
    manifest = {
        "type": "micro",
        "wake_word": word,
        "author": "wakeword",
        "website": "",
        "model": f"{name}.tflite",
        "trained_languages": [str(_language(bundle))],
        "version": 2,
        "micro": {
            "probability_cutoff": round(decision.threshold, 4),
            "sliding_window_size": decision.smooth_steps,
            "feature_step_size": 10,
            "tensor_arena_size": arena,
            "minimum_esphome_version": OLDEST,
        },
    }
    write_files(
        folder, {f"{name}.tflite": model, f"{name}.json": json.dumps(manifest, indent=2) + "\n"}
    )
    values = {"NAME": name, "WORD": plain(word), "ARENA": str(arena)}
    write_files(folder, {n: fill(t, values) for n, t in packaged("templates/esphome").items()})
    return {"word": word, "model": len(model), "arena": arena, "stride": bundle.stride}


def _language(bundle: Bundle) -> object:
    """The language of the training, as far as the bundle tells."""
    recipe = bundle.training.get("recipe")
    language = recipe.get("language", "en") if isinstance(recipe, dict) else "en"
    return str(language).partition("-")[0]
