"""Every command and every example in the README runs as it stands there.

Blocks marked ``<!-- by hand: why -->`` need a microphone or the package index. They are not run,
but their commands must parse and their extras must exist.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from wakeword.bundle import read_bundle, shipped
from wakeword.cli import _parser

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?:^<!-- by hand: (?P<why>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and line, and why it is left to people, if it is."""

    language: str
    text: str
    line: int
    why: str | None


def blocks(markdown: str) -> list[Block]:
    """Find the fenced blocks of a page."""
    return [
        Block(m["language"], m["text"], markdown.count("\n", 0, m.start("text")), m["why"])
        for m in BLOCK.finditer(markdown)
    ]


README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = [b for b in blocks(README) if b.language in ("sh", "python") and b.why is None]
BY_HAND = [b for b in blocks(README) if b.language == "sh" and b.why is not None]


def extras() -> set[str]:
    """Names of the extras in pyproject.toml (read by hand: Python 3.10 has no tomllib)."""
    table = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = table.split("[project.optional-dependencies]\n")[1].split("\n[")[0]
    return set(re.findall(r"^([\w-]+) = ", table, re.MULTILINE))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README speaks of, and tools that act on this checkout."""
    import pymicro_wakeword
    import soundfile

    folder = tmp_path_factory.mktemp("readme")
    samples, rate_hz = soundfile.read(ROOT / "wakeword/demo/computer.flac", dtype="int16")
    soundfile.write(folder / "recording.wav", samples, rate_hz)
    soundfile.write(folder / "another.flac", samples, rate_hz)
    models = Path(str(pymicro_wakeword.__file__)).parent / "models"
    for name in ("okay_nabu.json", "okay_nabu.tflite"):
        shutil.copy2(models / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    tools = folder / "tools"
    tools.mkdir()
    for name, command in {
        "wakeword": f"{shlex.quote(sys.executable)} -m wakeword",
        # What would be done: .ci/run does both for real, and this test is part of one of them.
        "make": f"{shutil.which('make')} -C {shlex.quote(str(ROOT))} --dry-run",
    }.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    return folder


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a reader would, stopping at the first failure."""
    path = os.pathsep.join([str(folder / "tools"), os.environ["PATH"]])
    python_path = os.pathsep.join([str(ROOT), str(ROOT / "train")])
    env = {**os.environ, "PATH": path, "PYTHONPATH": python_path}
    command = {"sh": ["sh", "-eu", "-c"], "python": [sys.executable, "-W", "error", "-c"]}
    return subprocess.run(
        [*command[block.language], block.text],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("block", RUN, ids=lambda b: f"line {b.line}")
def test_example_runs(block: Block, checkout: Path) -> None:
    done = run(block, checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("block", BY_HAND, ids=lambda b: f"line {b.line}")
def test_example_for_people_at_least_parses(block: Block) -> None:
    for line in block.text.splitlines():
        words = shlex.split(line.rpartition("|")[2])
        if words[0] == "wakeword":
            _parser().parse_args(words[1:])
        else:
            assert words[:3] == ["pip", "install", "-e"]
            (named,) = re.findall(r"^\.\[(.+)\]$", words[3])
            assert set(named.split(",")) <= extras()


def test_examples_in_the_readme_find_the_word(checkout: Path) -> None:
    first_detect = next(b for b in RUN if b.text.startswith("wakeword detect"))
    in_python = next(b for b in RUN if b.language == "python")
    for block in (first_detect, in_python):
        assert "computer" in run(block, checkout).stdout


def test_every_command_stands_in_a_block_that_is_looked_at() -> None:
    looked_at = "".join(b.text for b in RUN + BY_HAND)
    for command in ("make demo", "make test", "detect", "score", "listen", "models", "info"):
        assert command in looked_at
    assert {b.language for b in blocks(README)} <= {"sh", "python", "text"}


def test_extras_named_in_the_text_exist() -> None:
    assert set(re.findall(r"'\.\[([\w-]+)\]'", README)) <= extras()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_oracle_sees_a_command_that_fails(tmp_path: Path) -> None:
    page = "<!-- by hand: why -->\n```sh\nlisten\n```\n\n```sh\nfalse\ntrue\n```\n"
    by_hand, failing = blocks(page)
    assert (by_hand.why, by_hand.text, by_hand.line) == ("why", "listen\n", 2)
    assert failing.why is None
    assert run(failing, tmp_path).returncode != 0


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_accuracy_on_the_page_is_that_of_the_bundle(name: str) -> None:
    bundle = read_bundle(shipped()[name])
    for word in bundle.words:
        (missed, alarms) = (line for line in README.splitlines() if line.startswith(f"| {word}"))
        for point in bundle.operating_points[word]:
            if point["set"].startswith("test, clean, "):
                assert f"{point['false_alarms']} in {point['hours']:.2f} h" in alarms
            else:
                assert (
                    f"{point['misses']} of {point['clips']}: {100 * point['frr']:.1f} %" in missed
                )
