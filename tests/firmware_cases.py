"""Bundles, recordings and tools that the tests of the exporter share."""

from __future__ import annotations

import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_export.c99 import write_c99
from firmware_export.lower import lower
from firmware_export.program import Program
from firmware_export.sizes import sizes_of
from wakeword.audio import read_audio
from wakeword.bundle import Bundle, read_bundle

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
DEMO = ROOT / "wakeword" / "demo" / "computer.flac"
GOLDEN = sorted((DATA / "golden").glob("*.flac"))
RANDOM = {name: DATA / f"{name}.json" for name in ("preset_tiny", "preset_small", "tiny_step")}
SHIPPED = ("computer_jarvis", "alexa")


def load(name: str) -> tuple[Bundle, Program]:
    """A bundle of the tests, or one that ships, and its program."""
    bundle = read_bundle(RANDOM.get(name, name))
    return bundle, lower(bundle)


def sources(name: str, folder: Path) -> tuple[Bundle, Program, Path]:
    """Export a bundle as C99 into a folder, unchecked."""
    bundle, program = load(name)
    write_c99(folder, program, bundle, sizes_of(program, bundle))
    return bundle, program, folder


def need(*tools: str) -> None:
    """Skip where a tool is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; CI installs it")


@lru_cache(maxsize=4)
def recordings(seconds: float) -> NDArray[np.int16]:
    """That much sound of people: shared recordings where there are any, else those that ship."""
    shared = os.environ.get("WAKEWORD_SHARED")
    folder = Path(shared) / "data" / "audio" if shared else None
    paths = [*GOLDEN, DEMO]
    if folder is not None and folder.is_dir():
        paths += sorted((folder / "speech").rglob("*.opus"))[:400]
        paths += sorted((folder / "music").rglob("*.opus"))[:20]
    parts: list[NDArray[np.int16]] = []
    have, wanted = 0, round(seconds * 16_000)
    while have < wanted:
        for path in paths:
            parts.append(read_audio(path))
            have += len(parts[-1])
            if have >= wanted:
                break
    return np.concatenate(parts)[:wanted]
