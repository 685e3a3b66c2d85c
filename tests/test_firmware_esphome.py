"""The ESPHome model: its operators only, at home in microWakeWord's runtime, and scores as ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_export.esphome import micro_model
from firmware_export.micro_step import run_program
from firmware_export.stream_graph import ESPHOME_OPERATORS, INPUT_SCALE, stream_graphs
from firmware_export.tflite_file import write_tflite
from tests.firmware_cases import load, recordings
from wakeword.audio import read_audio
from wakeword.bundle import read_bundle
from wakeword.cli import main
from wakeword.detector import Detector
from wakeword.errors import ExportError
from wakeword.frontend import features
from wakeword.tflite_graph import read_graph, read_subgraphs

DEMO = Path(__file__).parents[1] / "wakeword" / "demo" / "computer.flac"
CASES = [("alexa", "alexa"), ("computer_jarvis", "jarvis"), ("preset_tiny", "yes"),
         ("preset_small", "yes")]  # fmt: skip


def micro(model: bytes, stored: NDArray[np.int8], stride: int) -> NDArray[np.int64]:
    """Scores of a streaming model in the TFLite Micro interpreter."""
    pytest.importorskip("tflite_micro", reason="pip install --pre tflite-micro")
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model)
    scores = []
    for first in range(0, len(stored) // stride * stride, stride):
        interpreter.set_input(stored[None, first : first + stride], 0)
        interpreter.invoke()
        scores.append(int(interpreter.get_output(0)[0, 0]))
    return np.array(scores)


@pytest.mark.parametrize(("name", "word"), CASES)
def test_rewritten_graph_gives_the_same_scores_on_the_same_input(name: str, word: str) -> None:
    bundle, program = load(name)
    graph = read_graph(bundle.model_bytes)
    own = graph.tensors[graph.inputs[bundle.inputs.index("frames")]].scales[0] * 10
    model = write_tflite(stream_graphs(bundle, word, float(own)), "test")
    frames = features(recordings(60))
    ours = run_program(program, frames)[0][:, bundle.words.index(word)].astype(np.int64)
    theirs = micro(model, program.features[frames], bundle.stride)
    assert len(np.unique(ours)) > 3
    # One sum in 2^20 may round the other way; what follows is fed back, so a few steps may differ.
    assert np.mean(ours != theirs) < 0.01
    assert np.abs(ours - theirs).max() <= 2


def device_features(frames: NDArray[np.uint16]) -> NDArray[np.int8]:
    """Features as a device quantises them: 256 steps of 666 / 256 raw counts, clipped."""
    steps = (frames.astype(np.int64) * 256 + 333) // 666 - 128
    return np.clip(steps, -128, 127).astype(np.int8)


@pytest.mark.parametrize(("name", "word"), CASES[:2])
def test_scores_on_a_device_are_close_to_the_bundle(name: str, word: str) -> None:
    bundle, program = load(name)
    model, _ = micro_model(bundle, word)
    frames = features(recordings(60))
    ours = run_program(program, frames)[0][:, bundle.words.index(word)] / 256
    theirs = micro(model, device_features(frames), bundle.stride) / 256
    # Only the rounding of the input differs.
    assert np.abs(ours - theirs).mean() < 0.005
    assert np.abs(ours - theirs).max() < 0.25


def test_only_registered_operators_are_used_and_shapes_are_those_the_device_checks() -> None:
    bundle, _ = load("computer_jarvis")
    model, word = micro_model(bundle, "computer")
    assert word == "computer"
    main_graph, start = read_subgraphs(model)
    names = {op.name for graph in (main_graph, start) for op in graph.operators}
    assert names <= ESPHOME_OPERATORS
    assert not {"TANH", "SUB"} & names
    frames, score = (
        main_graph.tensors[main_graph.inputs[0]],
        main_graph.tensors[main_graph.outputs[0]],
    )
    assert (frames.shape, frames.dtype, frames.scales[0]) == (
        (1, 3, 40),
        np.int8,
        np.float32(INPUT_SCALE),
    )
    assert (score.shape, score.dtype, score.scales[0]) == ((1, 1), np.uint8, 1 / 256)
    # Each variable has its start.
    assert sum(op.name == "ASSIGN_VARIABLE" for op in start.operators) == 3


def export(tmp_path: Path, *words: str) -> Path:
    pytest.importorskip("tflite_micro", reason="pip install --pre tflite-micro")
    out = tmp_path / "out"
    assert main(["export", *words, "--target", "esphome", "--out", str(out)]) == 0
    return out


def test_it_loads_in_pymicro_wakeword_unchanged_and_hears_the_word(tmp_path: Path) -> None:
    pymicro = pytest.importorskip("pymicro_wakeword")
    out = export(tmp_path, "alexa")
    engine = pymicro.MicroWakeWord.from_config(out / "alexa.json")
    heard = []
    samples = read_audio(DEMO)
    front = pymicro.MicroWakeWordFeatures()
    for at, frame in enumerate(front.process_streaming(samples.tobytes())):
        if engine.process_streaming(frame):
            heard.append(at * 160 + 480)
    engine.close()
    ours = [found.sample_index for found in Detector.load("alexa").feed(samples)]
    assert heard
    assert len(ours) == 1
    # It goes on saying so while the average is high; the first time is ours.
    assert abs(heard[0] - ours[0]) <= 2 * 480


def test_our_own_runtime_hears_the_same_with_it(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    out = export(tmp_path, "computer_jarvis", "--word", "jarvis")
    samples = read_audio(DEMO)
    micro_found = Detector.load(out / "jarvis.json").feed(samples)
    (ours,) = Detector.load("jarvis").feed(samples)
    (theirs,) = micro_found
    assert theirs.word == "jarvis"
    assert abs(theirs.sample_index - ours.sample_index) <= 2 * 480


def test_manifest_says_what_the_bundle_says_and_the_arena_that_was_measured(tmp_path: Path) -> None:
    out = export(tmp_path, "alexa")
    manifest = json.loads((out / "alexa.json").read_text())
    bundle = read_bundle("alexa")
    assert (manifest["type"], manifest["version"], manifest["model"]) == (
        "micro",
        2,
        "alexa.tflite",
    )
    assert manifest["micro"]["probability_cutoff"] == bundle.decision["alexa"].threshold
    assert manifest["micro"]["sliding_window_size"] == bundle.decision["alexa"].smooth_steps
    from tflite_micro.python.tflite_micro import runtime

    model = (out / "alexa.tflite").read_bytes()
    size = manifest["micro"]["tensor_arena_size"]
    runtime.Interpreter.from_bytes(model, arena_size=size).invoke()
    assert size < 22_348  # the smallest of microWakeWord's own models


def test_one_word_of_several_must_be_chosen() -> None:
    bundle, _ = load("computer_jarvis")
    with pytest.raises(ExportError, match="--word"):
        micro_model(bundle)
    with pytest.raises(ExportError, match="has only"):
        micro_model(bundle, "alexa")
