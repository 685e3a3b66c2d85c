"""From a language model to a bundle that runs without TensorFlow, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError, TextError, WakewordError
from wakeword.language.neural import NeuralLanguageModel
from wakeword.sequence_bundle import (
    GraphFile,
    SequenceBundle,
    read_sequence_bundle,
    write_sequence_bundle,
)
from wakeword.step_graph import StepGraph
from wakeword.tflite_graph import read_graph
from wakeword.vocabulary import Vocabulary

pytest.importorskip("tensorflow", reason="converting needs the extra `train`")
pytest.importorskip("flatbuffers")

from wakeword_train.layers import GRU, LSTM, Stack
from wakeword_train.models.language import (
    LanguageConfig,
    LanguageNet,
    as_model,
    calibration,
    to_graphs,
)
from wakeword_train.step_export import SCHEMES, convert_module

pytestmark = pytest.mark.slow
WORDS = Vocabulary.of_chars(["abcdefghijklmnopqrstuvwxyz\n"], eos="\n")
STEPS = 400


@dataclass(frozen=True)
class Converted:
    net: LanguageNet
    graphs: dict[str, GraphFile]
    text: NDArray[np.int32]
    logits: NDArray[np.float32]
    """Of the float model in TensorFlow, (STEPS, V)."""


def drawn_net() -> LanguageNet:
    """An LSTM with peepholes and a GRU whose state moves; embedding and head are one matrix."""
    rng = np.random.default_rng(0)
    net = LanguageNet(LanguageConfig(embedding=20, units=(24, 20), tied=True), len(WORDS))
    net.stack = Stack([LSTM(24, peepholes=True), GRU(20)])
    net.stack.build((None, None, 20))
    for weight in net.weights:
        scale = 1 / np.sqrt(weight.shape[0]) if len(weight.shape) > 1 else 0.3
        scale = 2.0 if "embedding" in weight.path else scale
        weight.assign((scale * rng.standard_normal(weight.shape)).astype(np.float32))
    return net


@pytest.fixture(scope="module")
def converted() -> Converted:
    import tensorflow as tf

    rng = np.random.default_rng(1)
    net = drawn_net()
    text = rng.integers(0, len(WORDS), STEPS).astype(np.int32)
    seen = calibration(net, rng.integers(0, len(WORDS), (8, 60)).astype(np.int32))
    step, state, logits = tf.function(net.step), net.initial_state(1), []
    for token in text:
        found, state = step(tf.constant([token]), state)
        logits.append(np.asarray(found[0]))
    graphs: dict[str, Any] = dict(to_graphs(net, SCHEMES, seen))
    return Converted(net, graphs, text, np.stack(logits))


def closed_loop(converted: Converted, scheme: str, runtime: str) -> NDArray[np.float64]:
    """Absolute error of the logits of 400 steps, the state going round in the graph's numbers."""
    file = converted.graphs[scheme]
    graph = StepGraph(file.model, file.inputs, file.outputs, runtime)
    state, rows = graph.initial_state(), []
    for token in converted.text:
        found, state = graph.run({"tokens": np.array([token])}, state)
        rows.append(found["logits"][0])
    return np.abs(np.stack(rows).astype(np.float64) - converted.logits)


@pytest.mark.parametrize("runtime", ["litert", "numpy"])
def test_400_steps_in_float_equal_tensorflow(converted: Converted, runtime: str) -> None:
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")
    assert converted.logits.std() > 0.5  # there is something to agree on
    # float32 sums in another order, logits with a deviation of 4.3: 6e-7 measured, 4.3e-6 at most
    error = closed_loop(converted, "float32", runtime)
    assert error.max() < 1e-5
    assert error.mean() < 2e-6


@pytest.mark.parametrize(
    ("scheme", "runtime", "most"),
    [("16x8", "litert", 0.01), ("int8", "litert", 0.04), ("int8", "numpy", 0.04)],
)
def test_400_quantised_steps_stay_close(
    converted: Converted, scheme: str, runtime: str, most: float
) -> None:
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")
    error = closed_loop(converted, scheme, runtime)
    # Twice what was measured: of the logits' deviation 0.0046, 0.0199 and 0.0202.
    assert error.mean() < most * converted.logits.std()
    # No drift: the last quarter is no worse than twice the whole.
    assert error[-STEPS // 4 :].mean() < 2 * error.mean()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_is_plain_and_hands_its_state_on(converted: Converted, scheme: str) -> None:
    file = converted.graphs[scheme]
    graph = read_graph(file.model)
    names = {op.name for op in graph.operators}
    assert not names & {"WHILE", "CALL_ONCE", "VAR_HANDLE"}
    assert not any("custom" in name or "Flex" in name for name in names)
    ends = dict(zip(file.inputs, graph.inputs, strict=True))
    ends |= dict(zip(file.outputs, graph.outputs, strict=True))
    for i in range(3):  # h and c of the LSTM, h of the GRU
        before, after = graph.tensors[ends[f"state_{i}"]], graph.tensors[ends[f"next_{i}"]]
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before.scales, after.scales)
        if scheme != "float32":
            assert before.zero_points.tolist() == after.zero_points.tolist() == [0]
            step = {"int8": 1 / 128, "16x8": 1 / 32768}[scheme]
            assert (before.scales[0] == step) == (i != 1)  # the cell has no bound


@pytest.fixture
def bundle(converted: Converted, tmp_path: Path) -> SequenceBundle:
    return write_sequence_bundle(
        tmp_path / "names", task="language", graphs={"step": converted.graphs["float32"]},
        vocabularies={"tokens": WORDS}, settings={"start": WORDS.eos_id}, training={"seed": 1},
    )  # fmt: skip


def test_a_bundle_is_the_language_model_it_was_made_of(
    converted: Converted, bundle: SequenceBundle
) -> None:
    names = [WORDS.encode(name) for name in ("anna", "bo", "christopher")]
    ours = NeuralLanguageModel(bundle.path)
    assert WORDS.eos_id is not None
    theirs = as_model(converted.net, WORDS, WORDS.eos_id)
    # log-probabilities down to -15 in float32
    np.testing.assert_allclose(
        ours.token_log_probs(names), theirs.token_log_probs(names), atol=1e-5
    )
    first, second = (ours.sample(np.random.default_rng(3), count=2) for _ in range(2))
    assert [s.tolist() for s in first] == [s.tolist() for s in second]
    total = sum(np.exp(ours.step(np.array([5]), ours.initial_state())[0][0]))
    assert total == pytest.approx(1, abs=1e-5)


def test_it_runs_in_a_process_without_tensorflow(bundle: SequenceBundle) -> None:
    code = f"""
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from wakeword.language.neural import NeuralLanguageModel
model = NeuralLanguageModel({str(bundle.path)!r}, "numpy")
print(model.perplexity([model.vocabulary.encode("anna")]))
"""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1


def test_a_row_of_a_batch_is_as_if_alone(bundle: SequenceBundle) -> None:
    model = NeuralLanguageModel(bundle)
    log_probs, state = model.step(np.array([1, 2, 3]), model.initial_state(3))
    for row in range(3):
        alone, after = model.step(np.array([row + 1]), model.initial_state(1))
        np.testing.assert_array_equal(alone[0], log_probs[row])
        for ours, theirs in zip(after, state, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[row])


def test_wrong_inputs_are_refused(bundle: SequenceBundle) -> None:
    model = NeuralLanguageModel(bundle)
    graph, state = model.graph, model.initial_state()
    with pytest.raises(TextError, match="token 27: need 0 to 26"):
        model.step(np.array([27]), state)
    with pytest.raises(TextError, match="token -1"):
        model.step(np.array([-1]), state)
    with pytest.raises(ConfigError, match="need whole numbers"):
        graph.run({"tokens": np.array([1.5])}, state)
    with pytest.raises(ConfigError, match="inputs"):
        graph.run({"words": np.array([1])}, state)
    with pytest.raises(ConfigError, match="as many in each"):
        graph.run({"tokens": np.array([1, 2])}, state)


def test_nan_in_an_input_is_refused() -> None:
    import tensorflow as tf

    module = tf.Module()

    @tf.function(
        input_signature=[tf.TensorSpec((1, 3), name="x"), tf.TensorSpec((1, 3), name="state_0")]
    )
    def step(x: Any, state_0: Any) -> Any:
        return {"y": x + state_0, "next_0": tf.tanh(x * state_0)}

    module.step = step
    found = convert_module(module, step, schemes=["float32"], calibration=None, bounded=["state_0"])
    model, ends = found["float32"]
    graph = StepGraph(model, ends["inputs"], ends["outputs"])
    x = np.array([[1, np.nan, 0]], np.float32)
    with pytest.raises(WakewordError, match="x holds NaN"):
        graph.run({"x": x}, graph.initial_state())
    with pytest.raises(ConfigError, match="scheme='int4'"):
        convert_module(module, step, schemes=["int4"], calibration={}, bounded=[])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="needs calibration"):
        convert_module(module, step, schemes=["int8"], calibration=None, bounded=[])


def change(path: Path, **facts: Any) -> None:
    data = json.loads(path.read_text())
    data.update(facts)
    path.write_text(json.dumps(data))


def test_a_vocabulary_that_was_changed_is_refused(bundle: SequenceBundle) -> None:
    data = json.loads(bundle.path.read_text())
    symbols = data["vocabularies"]["tokens"]["symbols"]
    symbols[1], symbols[2] = symbols[2], symbols[1]
    change(bundle.path, vocabularies=data["vocabularies"])
    with pytest.raises(BundleError, match="changed since the model was made"):
        read_sequence_bundle(bundle.path)


def test_a_vocabulary_of_another_size_is_refused(converted: Converted, tmp_path: Path) -> None:
    other = write_sequence_bundle(
        tmp_path / "other", task="language", graphs={"step": converted.graphs["float32"]},
        vocabularies={"tokens": Vocabulary.of_chars(["ab\n"], eos="\n")}, settings={"start": 0},
    )  # fmt: skip
    with pytest.raises(BundleError, match="vocabulary of 3 symbols"):
        NeuralLanguageModel(other)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"kind": "wakeword"}, "kind is"),
        ({"schema": 2}, "schema is 2"),
        ({"task": "music"}, "need one for 'language'"),
        ({"graphs": []}, "graphs must be an object"),
        ({"graphs": {"step": {}}}, "need model, sha256"),
        ({"vocabularies": {"tokens": {}}}, "sha256"),
        ({"more": 1}, "more: missing, or not known"),
        ({"settings": {"start": 99}}, "start is 99"),
        ({"settings": {}}, "start is None"),
    ],
)
def test_a_json_that_says_something_else_is_refused(
    bundle: SequenceBundle, facts: dict[str, Any], says: str
) -> None:
    change(bundle.path, **facts)
    with pytest.raises(BundleError, match=says):
        NeuralLanguageModel(bundle.path)


def test_a_damaged_graph_is_refused(bundle: SequenceBundle) -> None:
    model = bundle.path.with_suffix(".tflite")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match="damaged or of another bundle"):
        read_sequence_bundle(bundle.path)
    model.unlink()
    with pytest.raises(BundleError, match="no such file"):
        read_sequence_bundle(bundle.path)


def test_a_bundle_is_not_overwritten_unless_asked(
    converted: Converted, bundle: SequenceBundle
) -> None:
    kept = {p.name for p in bundle.path.parent.iterdir()}
    assert kept == {"names.json", "names.tflite"}
    graphs = {"step": converted.graphs["int8"], "more": converted.graphs["16x8"]}
    with pytest.raises(BundleError, match="exists"):
        write_sequence_bundle(bundle.path, task="language", graphs=graphs, vocabularies={})
    assert bundle.path.with_suffix(".tflite").read_bytes() == bundle.graphs["step"].model
    write_sequence_bundle(bundle.path, task="language", graphs=graphs, vocabularies={}, force=True)
    assert {p.name for p in bundle.path.parent.iterdir()} == kept | {"names-more.tflite"}


def test_a_graph_that_would_fill_the_memory_is_refused(
    converted: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = converted.graphs["16x8"]  # which numpy cannot look at first
    monkeypatch.setattr("wakeword.step_graph.MAX_ELEMENTS", 100)
    with pytest.raises(BundleError, match="need at most 100"):
        StepGraph(file.model, file.inputs, file.outputs)


def test_a_graph_that_loops_is_refused(tmp_path: Path) -> None:
    import pymicro_wakeword

    models = Path(str(pymicro_wakeword.__file__)).parent / "models"
    shutil.copy2(models / "okay_nabu.tflite", tmp_path)
    with pytest.raises(BundleError, match="a step only computes"):
        StepGraph((tmp_path / "okay_nabu.tflite").read_bytes(), ["a"], ["b"])
