"""Step models: the runtimes agree, the state is a value, and a missing runtime says what to do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.bundle import Bundle, read_bundle
from wakeword.errors import BundleError, ConfigError, DeviceError
from wakeword.frontend import BINS, features
from wakeword.model import ModelStream, StepModel, open_model, open_stream

DATA = Path(__file__).parent / "data"
NAMES = ["tiny_step", "tiny_step_float"]


def bursts(seconds: int) -> NDArray[np.int16]:
    """Noise that changes its loudness and its colour twice a second."""
    rng = np.random.default_rng(4)
    parts = []
    for _ in range(2 * seconds):
        width = int(rng.integers(1, 65))
        noise = rng.standard_normal(8_000 + width - 1)
        smooth = np.convolve(noise, np.ones(width) / np.sqrt(width), "valid")
        parts.append(smooth * 10 ** rng.uniform(1, 4))
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


FRAMES = features(bursts(6))[:594]


@pytest.fixture(params=NAMES)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return read_bundle(DATA / f"{request.param}.json")


@pytest.fixture(params=["litert", "numpy"])
def model(request: pytest.FixtureRequest, bundle: Bundle) -> StepModel:
    if request.param == "litert":
        pytest.importorskip("ai_edge_litert")
    return open_model(bundle, request.param)


def test_litert_and_numpy_agree(bundle: Bundle) -> None:
    pytest.importorskip("ai_edge_litert")
    fast, slow = (open_model(bundle, runtime) for runtime in ("litert", "numpy"))
    (a, _), (b, _) = (m.run(FRAMES, m.initial_state()) for m in (fast, slow))
    assert a.dtype == b.dtype == np.float32
    assert a.shape == b.shape == (198, 2)
    assert a.std(axis=0).min() > 0.1  # the scores move, so there is something to agree on
    if bundle.name.endswith("float"):
        # float32, sums in another order, over 198 steps of the recurrence
        assert np.abs(a - b).max() < 1e-4
    else:
        # XNNPACK and the reference round differently, and random weights amplify one unit of the
        # state; measured mean 0.006 (x86-64, LiteRT 2.3).
        assert np.abs(a - b).mean() < 0.03


def test_run_equals_steps(model: StepModel) -> None:
    whole, end = model.run(FRAMES, model.initial_state())
    state = model.initial_state()
    rows = []
    for start in range(0, len(FRAMES), model.stride):
        probs, state = model.step(FRAMES[start : start + model.stride], state)
        assert probs.shape == (2,)
        rows.append(probs)
    np.testing.assert_array_equal(rows, whole)
    for got, expected in zip(state, end, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_state_is_a_value(model: StepModel) -> None:
    _, middle = model.run(FRAMES[:300], model.initial_state())
    kept = [array.copy() for array in middle]
    first, _ = model.run(FRAMES[300:], middle)
    model.run(FRAMES[:90], model.initial_state())  # another stream in between
    second, _ = model.run(FRAMES[300:], middle)
    np.testing.assert_array_equal(first, second)
    for array, before in zip(middle, kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_initial_state_is_zero_and_history_comes_first(model: StepModel) -> None:
    history, *recurrent = model.initial_state()
    assert history.shape == (3, BINS)
    assert [array.shape for array in recurrent] == [(1, 8), (1, 8)]
    # A GRU state's scale is 1/128 with zero point 0, so the quantised zero is 0 as well.
    assert not any(array.any() for array in recurrent)
    padded = np.concatenate((np.zeros((3, BINS), np.uint16), FRAMES))
    shifted, _ = model.run(padded[:6], model.initial_state())
    direct, _ = model.run(FRAMES[:3], model.initial_state())
    assert shifted.shape == (2, 2)
    assert not np.array_equal(shifted[0], direct[0])


def test_loudest_and_impossible_features_give_probabilities(model: StepModel) -> None:
    for value in (0, 672, 65_535):
        probs, _ = model.run(np.full((30, BINS), value, np.uint16), model.initial_state())
        assert np.isfinite(probs).all()
        assert probs.min() >= 0
        assert probs.max() <= 1


def test_wrong_number_of_frames_is_refused(bundle: Bundle) -> None:
    pytest.importorskip("ai_edge_litert")
    model = open_model(bundle, "litert")
    state = model.initial_state()
    with pytest.raises(ConfigError, match=r"4 frames: a step takes 3|need \(n \* 3, 40\)"):
        model.step(FRAMES[:4], state)
    with pytest.raises(ConfigError, match=r"need \(n \* 3, 40\)"):
        model.run(FRAMES[:4], state)
    with pytest.raises(ConfigError, match=r"need \(n \* 3, 40\)"):
        model.run(FRAMES[:3, :39], state)
    probs, same = model.run(FRAMES[:0], state)
    assert probs.shape == (0, 2)
    assert same is state


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, len(FRAMES)), max_size=12))
def test_any_chunking_of_frames_equals_one_batch(cuts: list[int]) -> None:
    stream = STREAM
    stream.reset()
    parts = [stream.feed(chunk) for chunk in np.split(FRAMES, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), WHOLE)


STREAM = open_stream(read_bundle(DATA / "tiny_step.json"))
WHOLE = STREAM.feed(FRAMES)


def test_frames_after_t_change_nothing_before(model: StepModel) -> None:
    changed = FRAMES.copy()
    changed[300:] = 672
    (a, _), (b, _) = (model.run(f, model.initial_state()) for f in (FRAMES, changed))
    np.testing.assert_array_equal(a[:100], b[:100])
    assert not np.array_equal(a[100:], b[100:])


def test_stream_owns_a_copy_of_its_unfinished_step(bundle: Bundle) -> None:
    stream = ModelStream(open_model(bundle))
    buffer = FRAMES[:4].copy()
    stream.feed(buffer)
    buffer[:] = 0
    got = stream.feed(FRAMES[4:9])
    expected, _ = stream.model.run(FRAMES[:9], stream.model.initial_state())
    np.testing.assert_array_equal(got, expected[1:])


def test_raw_features_become_the_same_int8_in_every_runtime() -> None:
    pytest.importorskip("ai_edge_litert")
    fast, slow = (
        open_model(read_bundle(DATA / "tiny_step.json"), runtime) for runtime in ("litert", "numpy")
    )
    # one new frame of history shows what the model was given for each raw value
    raw = np.arange(680, dtype=np.uint16).reshape(-1, BINS)[:15]
    _, state = fast.run(raw, fast.initial_state())
    table: Any = slow
    np.testing.assert_array_equal(state[0], table._table[raw[-3:]])
    every: Any = fast
    np.testing.assert_array_equal(every._quantised, table._table)


def test_unknown_runtime_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="runtime='onnx': need one of litert, tflite-runtime"):
        open_model(bundle, "onnx")


@pytest.mark.parametrize(
    ("runtime", "module", "command"),
    [
        ("litert", "ai_edge_litert.interpreter", "pip install ai-edge-litert"),
        ("tflite-runtime", "tflite_runtime.interpreter", "wakeword[tflite-runtime]"),
        ("tf", "tensorflow", "wakeword[train]"),
    ],
)
def test_missing_runtime_says_how_to_install_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, runtime: str, module: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DeviceError) as caught:
        open_model(bundle, runtime)
    assert command in str(caught.value)


class BuiltForNumpy1:
    """What tflite-runtime 2.14 does under numpy 2: it imports, and every Interpreter raises."""

    def __init__(self, **_: Any) -> None:
        raise SystemError("CreateWrapperFromBuffer returned a result with an exception set")


def fake_runtime(monkeypatch: pytest.MonkeyPatch, module: str, interpreter: Any) -> None:
    made = ModuleType(module)
    made.Interpreter = interpreter  # type: ignore[attr-defined]
    made.lite = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, made)


def test_runtime_built_for_numpy_1_is_named_or_passed_over(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_runtime(monkeypatch, "tflite_runtime.interpreter", BuiltForNumpy1)
    with pytest.raises(DeviceError, match=r"does not work with numpy .*numpy<2"):
        open_model(bundle, "tflite-runtime")
    fake_runtime(monkeypatch, "ai_edge_litert.interpreter", BuiltForNumpy1)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert type(open_model(bundle)).__name__ == "NumpyStep"


def test_every_runtime_class_is_asked_for_one_thread(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    asked = []

    def interpreter(**options: Any) -> Any:
        asked.append(options["num_threads"])
        return litert.Interpreter(**options)

    for runtime, module in (
        ("tflite-runtime", "tflite_runtime.interpreter"),
        ("tf", "tensorflow"),
    ):
        fake_runtime(monkeypatch, module, interpreter)
        model = open_model(bundle, runtime)
        expected = open_model(bundle, "litert")
        (a, _), (b, _) = (m.run(FRAMES, m.initial_state()) for m in (model, expected))
        np.testing.assert_array_equal(a, b)
    assert asked == [1, 1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TensorFlow's own, on import and about tf.lite
def test_tensorflow_runs_it_like_litert(bundle: Bundle) -> None:
    pytest.importorskip("tensorflow", exc_type=ImportError)
    pytest.importorskip("ai_edge_litert")
    one, two = (open_model(bundle, runtime) for runtime in ("tf", "litert"))
    (a, _), (b, _) = (m.run(FRAMES, m.initial_state()) for m in (one, two))
    # two builds of the same kernels; int8 may differ by a rounding, see above
    assert np.abs(a - b).mean() < 0.03


def test_microwakeword_bundle_has_no_state_to_hand_out(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="open_stream"):
        open_model(replace(bundle, kind="microwakeword"))
