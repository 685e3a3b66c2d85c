"""Compile an exported folder and hold it against the bundle it was made from.

Three things are compared over every recording: the features with those of the library that training
and the Pi use, bit for bit; scores and states with the TFLite Micro step, bit for bit; and the
words heard with what the Python detector hears. The first two leave nothing to chance. The third
allows one step: LiteRT rounds some sums differently, so that a score may cross its threshold a step
earlier or later there. It is not asked of sounds made to be odd, where a score may lie anywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import wakeword
from firmware_export.emit import packaged, write_files
from firmware_export.layout import round_up
from firmware_export.micro_step import run_program
from firmware_export.program import Program
from firmware_export.tools import find_tool, run_tool
from wakeword.audio import read_audio
from wakeword.bundle import Bundle
from wakeword.decide import Decider
from wakeword.detector import Detector
from wakeword.errors import ExportError
from wakeword.frontend import HOP, features, heard_at

__all__ = ["Event", "check_events", "compile_host", "golden_audio", "parse_events", "verify"]

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
ODD = "odd sounds"
_CHUNKS = (("160",), ("1",), ("4000", "7"))

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Event:
    """A word as the exported code tells it; ``prob_q16`` is 65536 times the probability."""

    sample_index: int
    word: str
    prob_q16: int


def golden_audio(extra: Sequence[Path] = ()) -> dict[str, Samples]:
    """Recordings to compare on: the demo that ships, odd sounds made here, and ``extra``."""
    rng = np.random.default_rng(20)
    bursts = [rng.standard_normal(4_000) * 10 ** rng.uniform(0, 4.7) for _ in range(16)]
    square = np.where(np.arange(8_000) // 20 % 2, 32767, -32768)
    odd = np.concatenate(
        [np.zeros(4_000), *bursts, square, np.full(4_000, -32768), [1, -1] * 2_000]
    )
    demo = Path(str(wakeword.__file__)).parent / "demo" / "computer.flac"
    return {
        "the demo": read_audio(demo),
        ODD: np.clip(np.rint(odd), -32768, 32767).astype(np.int16),
        **{str(path): read_audio(path) for path in extra},
    }


def compile_host(sources: Path, to: Path, *, flags: Sequence[str] = ()) -> None:
    """Compile a folder of sources and the program that checks them, for this machine.

    Raises:
        ExportError: gcc is missing, or anything earns a warning.
    """
    gcc = find_tool("gcc", "--no-verify leaves the check out")
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {"wk_check.c": packaged("harness")["wk_check.c"]})
        files = sorted(p for p in sources.glob("*.c") if p.name != "example.c")
        command: list[str | Path] = [
            gcc,
            *STRICT,
            "-O2",
            *flags,
            f"-I{sources}",
            *files,
            f"{folder}/wk_check.c",
        ]
        run_tool([*command, "-o", to], what="compiling the exported C")


def verify(
    sources: Path,
    program: Program,
    bundle: Bundle,
    recordings: Mapping[str, Samples],
    *,
    flags: Sequence[str] = (),
) -> dict[str, list[Event]]:
    """Compile, with further ``flags``, run under the sanitizers, and compare.

    Returns:
        What was heard in each recording.

    Raises:
        ExportError: a tool is missing, or the C differs from the bundle; the message says where.
    """
    with tempfile.TemporaryDirectory() as folder:
        checked = Path(folder) / "wk_check_sanitized"
        compile_host(sources, checked, flags=(*SANITIZERS, *flags))
        plain = Path(folder) / "wk_check"
        compile_host(sources, plain, flags=flags)
        return {
            name: _verify_one(plain, checked, program, bundle, name, samples)
            for name, samples in recordings.items()
        }


def _verify_one(
    plain: Path, checked: Path, program: Program, bundle: Bundle, name: str, samples: Samples
) -> list[Event]:
    """Compare over one recording."""
    raw = samples.astype("<i2").tobytes()

    def run(tool: Path, *words: str) -> bytes:
        return run_tool([tool, *words], what=f"the exported C over {name}", stdin=raw)

    frames = features(samples)
    ours = np.frombuffer(run(checked, "frames"), np.uint16).reshape(-1, frames.shape[1])
    _same(ours, frames, f"{name}: features", "frame")
    scores, states = run_program(program, frames)
    written = run(checked, "scores")
    if len(written) < scores.size:
        raise ExportError(f"{name}: {len(written)} bytes of scores, {scores.size} expected")
    first = np.frombuffer(written[: scores.size], np.uint8).reshape(scores.shape)
    _same(first, scores, f"{name}: scores", "step")
    at, rest = 0, np.frombuffer(written[scores.size :], np.int8)
    for row, size in zip(program.states, (program.sizes[r] for r in program.states), strict=True):
        _same(rest[at : at + size], states[:size], f"{name}: state of row {row}", "unit")
        at, states = at + round_up(size), states[size:]
    heard = [
        parse_events(run(tool, "events", *chunk)) for tool in (plain, checked) for chunk in _CHUNKS
    ]
    for other in heard[1:]:
        if other != heard[0]:
            raise ExportError(f"{name}: what is heard depends on the chunks: {heard[0]}, {other}")
    _check_decision(heard[0], scores, bundle, name)
    if name != ODD:
        check_events(heard[0], bundle, samples, name)
    return heard[0]


def _same(ours: NDArray[np.generic], theirs: NDArray[np.generic], what: str, unit: str) -> None:
    """Refuse a single different value."""
    if ours.shape != theirs.shape:
        raise ExportError(f"{what}: {ours.shape} of the C, {theirs.shape} of the bundle")
    different = np.argwhere(ours != theirs)
    if len(different):
        where = tuple(int(i) for i in different[0])
        raise ExportError(
            f"{what}: {len(different)} of {ours.size} differ, first in {unit} {where[0]}: "
            f"{ours[where]} of the C, {theirs[where]} of the bundle"
        )


def parse_events(text: bytes) -> list[Event]:
    """Read lines ``sample_index word prob_q16``; those that begin with # are left out."""
    found = []
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            index, rest = line.split(" ", 1)
            word, prob = rest.rsplit(" ", 1)
            found.append(Event(int(index), word, int(prob)))
    return found


def _check_decision(
    heard: list[Event], scores: NDArray[np.uint8], bundle: Bundle, name: str
) -> None:
    """The same scores must lead to the same words at the same samples in Python."""
    indices = heard_at(len(scores), bundle.stride)
    expected = []
    for column, word in enumerate(bundle.words):
        decider = Decider(bundle.decision[word])
        for index, prob in decider.feed(scores[:, column] / 256, indices):
            expected.append(Event(index, word, int(prob * 65536 + 1e-6)))
    expected.sort(key=lambda event: (event.sample_index, bundle.words.index(event.word)))
    if expected != heard:
        raise ExportError(f"{name}: the C decides {heard}, Python of the same scores {expected}")


def check_events(heard: list[Event], bundle: Bundle, samples: Samples, name: str) -> None:
    """Hold what was heard against the Python detector: the same words, within a step of each other.

    Raises:
        ExportError: they differ.
    """
    step = bundle.stride * HOP
    for word in bundle.words:
        ours = [event.sample_index for event in heard if event.word == word]
        python = Detector([(bundle, [word])]).feed(samples)
        theirs = [found.sample_index for found in python]
        if len(ours) != len(theirs) or any(
            abs(a - b) > step for a, b in zip(ours, theirs, strict=True)
        ):
            raise ExportError(
                f"{name}: the C hears {word!r} at {ours}, the Python detector at {theirs}; "
                f"need the same within {step} samples"
            )
