"""The lowered program equals the TFLite Micro interpreter, and the compiled C equals both."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import firmware_export.lower as lowering
from firmware_export.cgen import model_source
from firmware_export.esphome import micro_model
from firmware_export.layout import lay_out, reads
from firmware_export.lower import lower
from firmware_export.micro_int8 import logistic_table, tanh_table
from firmware_export.micro_step import run_program
from firmware_export.program import Dense, Program
from firmware_export.verify import compile_host
from tests.firmware_cases import DATA, RANDOM, SHIPPED, load, need, recordings, sources
from wakeword.bundle import Bundle, read_bundle
from wakeword.errors import ExportError, WakewordError
from wakeword.frontend import features
from wakeword.tflite_graph import read_graph

NAMES = (*RANDOM, *SHIPPED)
LONG = ("preset_tiny", "computer_jarvis")
"""Compared over ten minutes; the others, over one."""


def micro(bundle: Bundle, program: Program, frames: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Scores of the TFLite Micro interpreter, 256 times a probability."""
    pytest.importorskip("tflite_micro", reason="pip install --pre tflite-micro")
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(bundle.model_bytes)
    states = [np.zeros((1, program.sizes[row]), np.int8) for row in program.states]
    history = np.zeros((program.kernel - program.stride, 40), np.uint16)
    stored = program.features[np.concatenate((history, frames))]
    scores = []
    for step in range(len(frames) // program.stride):
        first = step * program.stride
        for i, name in enumerate(bundle.inputs):
            value = stored[None, first : first + program.kernel] if name == "frames" else None
            interpreter.set_input(states[int(name[6:])] if value is None else value, i)
        interpreter.invoke()
        got = {name: interpreter.get_output(i) for i, name in enumerate(bundle.outputs)}
        states = [got[f"next_{i}"].copy() for i in range(len(states))]
        scores.append(got["scores"][0].astype(np.int64) + 128)
    return np.array(scores, np.uint8)


def compiled(folder: Path, program: Program, samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    need("gcc")
    compile_host(folder, folder / "check")
    done = subprocess.run(
        [folder / "check", "scores"], input=samples.tobytes(), capture_output=True, check=True
    )
    count = (len(samples) // 160 - 2) // program.stride * len(program.words)
    return np.frombuffer(done.stdout[:count], np.uint8).reshape(-1, len(program.words))


@pytest.mark.parametrize(("name", "seconds"), [(n, 600 if n in LONG else 60) for n in NAMES])
def test_c_equals_tflite_micro_over_ten_minutes(name: str, seconds: int, tmp_path: Path) -> None:
    bundle, program, folder = sources(name, tmp_path)
    samples = recordings(seconds)
    ours = compiled(folder, program, samples)
    theirs = micro(bundle, program, features(samples))
    assert len(ours) == (100 * seconds - 2) // program.stride
    assert len(np.unique(theirs)) > 3  # the scores move
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_program_equals_c(name: str, tmp_path: Path) -> None:
    _, program, folder = sources(name, tmp_path)
    samples = recordings(20)
    scores, _ = run_program(program, features(samples))
    np.testing.assert_array_equal(compiled(folder, program, samples), scores)


@pytest.mark.slow
def test_the_course_model_with_its_gate_before_the_product_equals_tflite_micro(
    tmp_path: Path,
) -> None:
    pytest.importorskip("tensorflow")
    need("gcc")
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_presets", DATA / "make_presets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bundle = module.make("course", tmp_path, words=("yes", "no", "stop"))
    program = lower(bundle)
    from firmware_export.c99 import write_c99
    from firmware_export.sizes import sizes_of

    write_c99(tmp_path, program, bundle, sizes_of(program, bundle))
    samples = recordings(20)
    theirs = micro(bundle, program, features(samples))
    np.testing.assert_array_equal(compiled(tmp_path, program, samples), theirs)


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_live_at_the_same_time_do_not_overlap(name: str) -> None:
    _, program = load(name)
    layout = lay_out(program)
    values: dict[tuple[str, int], int] = {}

    def cells(row: int) -> list[tuple[str, int]]:
        place = layout.places[row]
        return [(place.where, place.offset + i) for i in range(program.sizes[row])]

    def write(row: int) -> None:
        for cell in cells(row):
            values[cell] = row

    for row in (program.frames, *program.states):
        write(row)
    for operation in program.operations:
        for row in reads(operation):
            assert {values[cell] for cell in cells(row)} == {row}
        if isinstance(operation, Dense):
            assert not set(cells(operation.x)) & set(cells(operation.y))
        write(operation.y)
    for row in (program.scores, *program.nexts):
        assert {values[cell] for cell in cells(row)} == {row}
    used = [p.offset + program.sizes[r] for r, p in layout.places.items() if p.where == "scratch"]
    assert max(used) <= layout.scratch_bytes


def test_sigmoid_and_tanh_are_within_a_step_of_the_real_functions() -> None:
    x = np.arange(256, dtype=np.uint8).view(np.int8).astype(float)
    for scale in (0.002, 0.03, 0.2):
        sigmoid = logistic_table(scale, 5) / 256 + 0.5
        assert np.abs(sigmoid - 1 / (1 + np.exp(-scale * (x - 5)))).max() < 1.01 / 256
        tanh = tanh_table(scale, -7) / 128
        assert np.abs(tanh - np.tanh(scale * (x + 7))).max() < 1.01 / 128


def test_float_and_foreign_models_are_refused_in_one_line() -> None:
    with pytest.raises(ExportError, match=r"float32; need int8"):
        lower(read_bundle(DATA / "tiny_step_float.json"))
    pymicro = pytest.importorskip("pymicro_wakeword")
    foreign = Path(str(pymicro.__file__)).parent / "models" / "alexa.json"
    with pytest.raises(ExportError, match="only bundles of ours"):
        lower(read_bundle(foreign))


def test_an_operator_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, _ = load("tiny_step")
    graph = read_graph(bundle.model_bytes)
    operators = tuple(
        replace(o, name="SOFTMAX") if o.name == "TANH" else o for o in graph.operators
    )
    monkeypatch.setattr(lowering, "read_graph", lambda _: replace(graph, operators=operators))
    with pytest.raises(ExportError, match=r"operator SOFTMAX cannot be exported; .* TANH"):
        lower(bundle)


def test_damaged_models_are_refused_and_never_end_in_anything_else() -> None:
    bundle, _ = load("tiny_step")
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(300):
        changed = bytearray(bundle.model_bytes)
        for at in rng.integers(0, len(changed), int(rng.integers(1, 4))):
            changed[at] = int(rng.integers(0, 256))
        damaged = replace(bundle, model_bytes=bytes(changed))
        try:
            program = lower(damaged)
            model_source(program, damaged)
            micro_model(damaged, "yes")
        except WakewordError:
            refused += 1
    assert refused > 100
