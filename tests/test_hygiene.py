"""Nothing in the project speaks of the machine it was written on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (".ci", "bench", "docs", "examples", "firmware_export", "tests", "train", "wakeword")
TEXT = {"", ".c", ".cfg", ".h", ".json", ".md", ".py", ".run", ".sh", ".toml", ".tsv", ".yml"}
# A path that only exists on somebody's machine; the folder of recordings is named by an environment
# variable, which .ci/run alone may set.
FOREIGN = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/|\.\./shared", re.ASCII)
ALLOWED = {".ci/run", "tests/test_hygiene.py"}


def text_files() -> Iterator[Path]:
    """Every text file of the project, caches left out."""
    files = [f for f in ROOT.iterdir() if f.is_file()]
    files += [f for folder in FOLDERS for f in (ROOT / folder).rglob("*") if f.is_file()]
    return (f for f in sorted(files) if f.suffix in TEXT and "__pycache__" not in f.parts)


def foreign(text: str) -> list[str]:
    """Return what in a text names a place outside the project."""
    return FOREIGN.findall(text)


def test_no_file_names_a_path_of_one_machine() -> None:
    found = {f.relative_to(ROOT).as_posix(): foreign(f.read_text("utf-8")) for f in text_files()}
    assert {name: hits for name, hits in found.items() if hits and name not in ALLOWED} == {}


def test_the_files_that_matter_are_looked_at() -> None:
    looked_at = {f.relative_to(ROOT).as_posix() for f in text_files()}
    assert {"README.md", "Makefile", ".ci/run", "wakeword/errors.py"} <= looked_at


@pytest.mark.parametrize("text", ["see /work/x", "open('/home/ann/a.wav')", "ls ../shared/data"])
def test_oracle_sees_a_foreign_path(text: str) -> None:
    assert len(foreign(text)) == 1


@pytest.mark.parametrize("text", ["docs/work/x", "https://a.b/home", "shared/data", "homework/"])
def test_oracle_leaves_other_text_alone(text: str) -> None:
    assert foreign(text) == []
