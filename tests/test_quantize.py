"""From float weights to a TFLite step: what int8 keeps, and how the converter's failures end."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.bundle import Bundle, write_bundle
from wakeword.decide import DecisionConfig
from wakeword.errors import ExportError
from wakeword.frontend import features
from wakeword.model import open_model
from wakeword.tflite_graph import Graph, Tensor, read_graph
from wakeword_train.quantize import StepWeights, convert, float_step, representative_steps

KERNEL, STRIDE, CONV, UNITS, WORDS = 6, 3, 8, (8, 12), ("yes", "no")
STATE = 2**-7  # int8 steps of a state: what tanh gives


def draw_weights(reset_after: bool = True, seed: int = 5) -> StepWeights:
    """Draw a step that means nothing, but whose scores and states move."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, gain: float = 1.0) -> NDArray[np.float32]:
        return (gain * rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    conv = draw(KERNEL * 40, CONV, gain=4)
    # Columns that sum to 0: the features' level drops out, and the scores move with their shape.
    arrays = {"conv": conv - conv.mean(axis=0), "conv_bias": draw(CONV)}
    below = CONV
    for i, units in enumerate(UNITS):
        bias = draw(2, 3 * units)
        if not reset_after:
            bias[1] = 0  # there is none behind the recurrent product
        arrays |= {f"kernel_{i}": draw(below, 3 * units), f"bias_{i}": bias}
        arrays |= {f"recurrent_{i}": draw(units, 3 * units)}
        below = units
    arrays |= {"head": draw(below, len(WORDS), gain=4), "head_bias": draw(len(WORDS))}
    return StepWeights(KERNEL, STRIDE, reset_after, arrays)


def noises(seed: int, streams: int, seconds: int = 6) -> NDArray[np.uint16]:
    """Features of noise that changes its loudness and colour twice a second, (B, T, 40)."""
    rng = np.random.default_rng(seed)

    def one() -> NDArray[np.uint16]:
        parts = []
        for _ in range(2 * seconds):
            width = int(rng.integers(1, 65))
            noise = rng.standard_normal(8_000 + width - 1)
            smooth = np.convolve(noise, np.ones(width) / np.sqrt(width), "valid")
            parts.append(smooth * 10 ** rng.uniform(1, 4))
        return features(np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16))

    return np.stack([one()[: 99 * seconds] for _ in range(streams)])


def test_the_states_kept_for_int8_are_those_of_the_float_step() -> None:
    weights, streams = draw_weights(), noises(1, streams=2, seconds=2)
    kept = representative_steps(weights, streams, every=4)
    assert list(kept) == ["frames", "state_0", "state_1"]
    padded = np.pad(streams.astype(np.float32) / 256, ((0, 0), (KERNEL - STRIDE, 0), (0, 0)))
    state = [np.zeros((2, units), np.float32) for units in UNITS]
    for step in range(66):
        frames = padded[:, STRIDE * step : STRIDE * step + KERNEL]
        if step % 4 == 0:
            rows = slice(2 * (step // 4), 2 * (step // 4) + 2)
            np.testing.assert_array_equal(kept["frames"][rows], frames)
            for i, h in enumerate(state):
                np.testing.assert_array_equal(kept[f"state_{i}"][rows], h)
        _, state = float_step(weights, frames, state)
    assert len(kept["frames"]) == 2 * 17


@pytest.fixture(scope="module", params=[True, False], ids=["reset_after", "reset before"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StepWeights, Bundle]:
    """Weights, and the int8 bundle of them."""
    pytest.importorskip("tensorflow")
    weights = draw_weights(request.param)
    model, tensors = convert(weights, representative_steps(weights, noises(2, streams=5), every=4))
    bundle = write_bundle(
        tmp_path_factory.mktemp("int8") / "step", model=model, words=WORDS, stride=STRIDE,
        kernel=KERNEL, inputs=tensors["inputs"], outputs=tensors["outputs"],
        decision={word: DecisionConfig() for word in WORDS},
    )  # fmt: skip
    return weights, bundle


def ends(graph: Graph) -> dict[str, Tensor]:
    """Inputs and outputs by name."""
    (signature,) = graph.signatures.values()
    return {
        name: graph.tensors[index]
        for name, index in [*signature.inputs.items(), *signature.outputs.items()]
    }


@pytest.mark.slow
def test_int8_states_have_one_scale_on_both_sides(exported: tuple[StepWeights, Bundle]) -> None:
    found = ends(read_graph(exported[1].model_bytes))
    assert set(found) == {"frames", "state_0", "state_1", "scores", "next_0", "next_1"}
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(np.int8)}
    for name in ("state_0", "state_1", "next_0", "next_1"):
        assert found[name].scales.tolist() == [STATE], name
        assert found[name].zero_points.tolist() == [0], name
    assert found["frames"].shape == (1, KERNEL, 40)
    assert [found[f"state_{i}"].shape for i in (0, 1)] == [(1, units) for units in UNITS]


@pytest.mark.slow
def test_int8_products_have_one_scale_for_all_rows(exported: tuple[StepWeights, Bundle]) -> None:
    """tflite-runtime refuses dense layers with a scale per row; biases must fit their product."""
    graph = read_graph(exported[1].model_bytes)
    products = [op for op in graph.operators if op.name == "FULLY_CONNECTED"]
    # The convolution, per layer three gates of the input and of the state each, and the head.
    assert len(products) == 1 + 6 * len(UNITS) + 1
    biased = 0
    for op in products:
        x, weight = (graph.tensors[i] for i in op.inputs[:2])
        assert weight.scales.shape == (1,), weight.name
        assert weight.zero_points.tolist() == [0], weight.name
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias, biased = graph.tensors[op.inputs[2]], biased + 1
            assert bias.dtype == np.int32
            # scales are float32, and so is their product
            np.testing.assert_allclose(bias.scales, x.scales * weight.scales, rtol=1e-6)
    assert biased >= 1 + 3 * len(UNITS)


@pytest.mark.slow
def test_int8_biases_keep_their_values(exported: tuple[StepWeights, Bundle]) -> None:
    """Pinning a state's scale changes the unit of the biases behind it, not what they are."""
    weights, bundle = exported
    graph = read_graph(bundle.model_bytes)
    found = []
    for op in graph.operators:
        if op.name == "FULLY_CONNECTED" and len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias = graph.tensors[op.inputs[2]]
            assert bias.data is not None
            found.append((bias.data * bias.scales[0], bias.scales[0]))
    wanted = [weights.arrays["conv_bias"], weights.arrays["head_bias"]]
    for i in range(len(UNITS)):
        rows = weights.arrays[f"bias_{i}"][: 2 if weights.reset_after else 1]
        wanted += [gate for row in rows for gate in np.split(row, 3)]
    for bias in wanted:
        # rounded once by the converter and once when its unit changes
        assert any(
            values.shape == bias.shape and np.abs(values - bias).max() <= 1.01 * unit
            for values, unit in found
        ), bias


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["numpy", "litert"])
def test_int8_scores_stay_near_those_of_float(
    exported: tuple[StepWeights, Bundle], runtime: str
) -> None:
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")
    weights, bundle = exported
    raw = noises(3, streams=1)[0]
    padded = np.pad(raw.astype(np.float32) / 256, ((KERNEL - STRIDE, 0), (0, 0)))
    state, exact = [np.zeros((1, units), np.float32) for units in UNITS], []
    for first in range(0, len(raw), STRIDE):
        probs, state = float_step(weights, padded[None, first : first + KERNEL], state)
        exact.append(probs[0])
    step = open_model(bundle, runtime)
    scores, _ = step.run(raw, step.initial_state())
    difference = np.abs(scores - np.stack(exact))
    assert np.stack(exact).std(axis=0).min() > 0.05  # the scores move
    # Twice what was measured: 0.008 and 0.043.
    assert difference.mean() < 0.016
    assert difference.max() < 0.09


def fake_converter(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another ``wakeword_train.tflite_step`` first on ``sys.path``, and nowhere else."""
    package = folder / "wakeword_train"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tflite_step.py").write_text(
        "import os, pathlib, sys\nfolder = pathlib.Path(sys.argv[1])\n" + body
    )
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.syspath_prepend(folder)


def test_the_converter_imports_from_where_this_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout on ``sys.path`` alone, as under pytest's ``pythonpath``, is enough."""
    body = """
(folder / "float32.tflite").write_bytes(os.environ["KEPT"].encode())
(folder / "tensors.json").write_text('{"float32": {"inputs": ["a"], "outputs": ["b"]}}')
"""
    fake_converter(tmp_path / "checkout", body, monkeypatch)
    monkeypatch.setenv("KEPT", "the rest of the environment")
    model, tensors = convert(draw_weights(), None)
    assert model == b"the rest of the environment"
    assert tensors == {"inputs": ["a"], "outputs": ["b"]}


@pytest.mark.skipif(os.name == "nt", reason="a crash has another number there")
def test_a_crash_of_the_converter_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
for word in ("first", "loc: unknown", "cannot legalize", "Aborted"):
    print(word, file=sys.stderr, flush=True)
os.abort()
"""
    fake_converter(tmp_path, body, monkeypatch)
    says = r"ended with -6: loc: unknown \| cannot legalize \| Aborted$"
    with pytest.raises(ExportError, match=says):
        convert(draw_weights(), None)


def test_a_converter_that_leaves_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_converter(tmp_path, "print('bye', file=sys.stderr)", monkeypatch)
    with pytest.raises(ExportError, match="ended with 0: bye"):
        convert(draw_weights(), None)


@pytest.mark.slow
def test_weights_that_do_not_fit_end_in_an_error_that_says_so() -> None:
    pytest.importorskip("tensorflow")
    weights = draw_weights()
    broken = replace(weights, arrays={**weights.arrays, "head": weights.arrays["head"][:-1]})
    # of the shapes, (1, 12) x (11, 2)
    with pytest.raises(ExportError, match=r"cannot be traced: .*must be equal.*12 and 11"):
        convert(broken, None)
