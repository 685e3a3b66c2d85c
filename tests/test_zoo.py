"""Every model of the zoo: shapes, files, causality, its one-step form, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.zoo_cases import CASES, WORDS, ZooCase, stream_trigger
from wakeword.errors import ConfigError
from wakeword.model import open_model
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.fit import FitConfig, fit
from wakeword_train.loop import read_losses
from wakeword_train.models.trigger import (
    PRESETS,
    TriggerConfig,
    build,
    load_weights,
    save_weights,
)
from wakeword_train.ship import quantise

keras = pytest.importorskip("keras", reason="models need the extra `train`")
pytest.importorskip("tensorflow")

Floats = NDArray[np.float32]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
CAUSAL = pytest.mark.parametrize("case", [c for c in CASES if c.causal], ids=lambda case: case.name)
# All that the course's model has and the others lack, at a size that converts quickly.
LIKE_COURSE = replace(PRESETS["course"], filters=12, units=(10, 14))


def examples(case: ZooCase, count: int, seed: int = 0) -> Floats:
    """Draw inputs that are raw features / 256 to the bit, shape (count, T, F)."""
    raw = np.random.default_rng(seed).integers(0, 640, (count, *case.inputs))
    return (raw / 256).astype(np.float32)


def shake(model: Any, seed: int = 1) -> Any:
    """Draw all weights anew, biases and the statistics of batch norms with them.

    A new model has zero biases and norms that do nothing: an error in them would not show.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.name in ("moving_variance", "gamma"):
            value = rng.uniform(0.5, 2.0, shape)
        elif len(shape) > 1 and weight.name != "bias":
            gain = 1 if weight.name == "recurrent_kernel" else 2
            value = gain * rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        else:
            value = rng.normal(0, 0.3, shape)
        weight.assign(value.astype(np.float32))
    return model


def run(model: Any, x: Floats) -> Floats:
    return np.asarray(model(x, training=False))


@EVERY
def test_shapes_and_sizes_are_those_of_the_table(case: ZooCase) -> None:
    model = case.build()
    assert model.count_params() == case.parameters
    y = run(model, examples(case, 2))
    assert y.shape == (2, *case.outputs)
    assert y.dtype == np.float32
    # The graph that was declared agrees with what ran.
    assert model.output_shape == (None, None, case.outputs[1])


def test_the_course_row_is_the_published_model() -> None:
    """The assignment prints 522,561 parameters for its 101 bins and one word."""
    assert build(PRESETS["course"], 1, features=101).count_params() == 522_561


def test_a_model_without_a_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="words=0"):
        build(PRESETS["tiny"], 0)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"stride": 7}, "stride=7"),
        ({"stride": 0}, "stride=0"),
        ({"filters": 0}, "filters=0"),
        ({"units": ()}, "units="),
        ({"units": (8, 0)}, "units="),
        ({"dropout": 1.0}, "dropout=1"),
    ],
)
def test_wrong_sizes_are_refused(sizes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TriggerConfig(**sizes)


@EVERY
def test_a_saved_model_comes_back_the_same(case: ZooCase, tmp_path: Path) -> None:
    model = shake(case.build())
    x = examples(case, 2)
    case.save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(run(case.load(tmp_path / "model.npz"), x), run(model, x))
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("kept", range(1, WORDS))
def test_heads_that_are_not_saved_leave_the_others_as_they_were(
    kept: int, members: int, tmp_path: Path
) -> None:
    config = replace(LIKE_COURSE, members=members)
    model = shake(build(config, WORDS))
    x = examples(CASES[0], 2)
    save_weights(model, kept, tmp_path / "model.npz")
    loaded = run(load_weights(config, tmp_path / "model.npz"), x)
    # The product with the heads may sum in another order when there are fewer of them.
    np.testing.assert_allclose(loaded, run(model, x)[:, :, :kept], atol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        PRESETS["small"],
        replace(PRESETS["tiny"], kernel=7),
        replace(PRESETS["tiny"], units=(32,)),
        replace(PRESETS["tiny"], reset_after=False),
        replace(PRESETS["tiny"], batch_norm=True),
    ],
)
def test_weights_of_other_sizes_are_refused(other: TriggerConfig, tmp_path: Path) -> None:
    save_weights(build(PRESETS["tiny"], 2), 2, tmp_path / "model.npz")
    with pytest.raises(ConfigError, match="weights are not of a model"):
        load_weights(other, tmp_path / "model.npz")


def steps_that_change(model: Any, x: Floats, ends: list[int], value: float) -> list[list[int]]:
    """Say, for each end, which outputs of x (T, F) change when all frames from it on are spoilt."""
    spoilt = np.stack([x] * len(ends))
    for row, end in zip(spoilt, ends, strict=True):
        row[end:] = value
    # Both are batches of one shape, so the sums run in one order. NaN differs from everything.
    changed = (run(model, np.stack([x] * len(ends))) != run(model, spoilt)).any(axis=2)
    return [np.flatnonzero(row).tolist() for row in changed]


@CAUSAL
@pytest.mark.parametrize("value", [np.nan, 50.0], ids=["NaN", "loud"])
def test_what_comes_later_changes_nothing_before(case: ZooCase, value: float) -> None:
    model, x = shake(case.build()), examples(case, 1)[0]
    steps = case.outputs[0]
    lasts = [step * case.stride + case.stride - 1 for step in range(steps)]
    behind = steps_that_change(model, x, [last + 1 for last in lasts], value)
    assert behind == [[*range(step + 1, steps)] for step in range(steps)]
    # Spoilt in its last frame a step changes, and so do all after it.
    within = steps_that_change(model, x, lasts, value)
    assert within == [[*range(step, steps)] for step in range(steps)]


def test_the_test_of_causality_finds_one_frame_of_look_ahead() -> None:
    frames = keras.Input((None, 40))
    y = keras.layers.ZeroPadding1D((2, 1))(frames)
    y = keras.layers.Conv1D(4, 6, strides=3)(y)
    model = shake(keras.Model(frames, keras.layers.Dense(WORDS, activation="sigmoid")(y)))
    (changed,) = steps_that_change(model, examples(CASES[0], 1)[0], [30], np.nan)
    assert changed[0] == 9  # which may see frames 0 .. 29


@CAUSAL
@pytest.mark.parametrize("kept", [1, WORDS])
def test_one_step_at_a_time_equals_the_batch(case: ZooCase, kept: int) -> None:
    assert case.stream is not None, "a causal model has a one-step form"
    model, x = shake(case.build()), examples(case, 3)
    batch = run(model, x)[:, :, :kept]
    assert batch.std() > 0.05  # the outputs move, so there is something to agree on
    # float32 sums of up to 600 products in another order, carried through 20 steps: 1e-6 measured
    np.testing.assert_allclose(case.stream(model, x, kept), batch, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [PRESETS["tiny"], LIKE_COURSE, replace(LIKE_COURSE, members=3)],
    ids=["tiny", "in the shape of course", "three side by side"],
)
def test_converted_steps_equal_the_batch(config: TriggerConfig, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    model, words = shake(build(config, WORDS)), ("yes", "no")
    raw = np.random.default_rng(2).integers(0, 640, (60, 40)).astype(np.uint16)
    batch = run(model, raw[None].astype(np.float32) / 256)[0, :, :2]
    bundle = quantise(model, config, words, raw[None], tmp_path / "step", int8=False)
    numpy_step = stream_trigger(config, model, raw[None].astype(np.float32) / 256, 2)[0]
    np.testing.assert_allclose(numpy_step, batch, atol=1e-5)
    for runtime in ("numpy", "litert"):
        step = open_model(bundle, runtime)
        probs, _ = step.run(raw, step.initial_state())
        assert probs.shape == (60 // config.stride, 2)
        # As above; the converted products add up in yet another order.
        np.testing.assert_allclose(probs, batch, atol=1e-5)


@pytest.mark.slow
@EVERY
def test_it_learns_eight_examples_by_heart(case: ZooCase) -> None:
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    model = case.plain()
    # Each example has a spectrum of its own, under noise, and labels that are drawn by lot.
    x = examples(case, 8) / 2 + rng.uniform(0, 1.2, (8, 1, case.inputs[1])).astype(np.float32)
    y = np.repeat(rng.integers(0, 2, (8, 1, case.outputs[1])), case.outputs[0], axis=1)
    model.compile(keras.optimizers.Adam(5e-3), "binary_crossentropy")
    losses = [float(model.train_on_batch(x, y)) for _ in range(40)]
    assert losses[0] > 0.5  # a coin's is 0.69
    assert model.train_on_batch(x, y) < 0.1


@pytest.mark.slow
def test_fit_learns_eight_windows_by_heart(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(4)
    features = rng.integers(0, 200, (8, FRAMES, 40)).astype(np.uint16)
    features[:4, 120:150, :20] += 400  # the word
    features[4:, 120:150, 20:] += 400
    windows = Windows(
        features=[features],
        label=np.array([0] * 4 + [-1] * 4, np.int16),
        end=np.array([150] * 4 + [-1] * 4, np.int16),
        group=np.array([0] * 4 + [1] * 4, np.int16),
        names=("real yes", "long speech"),
    )
    config = FitConfig(batches=60, batch=8, rate=1e-2, warm_up=5, mine_every=0, masked=0.0)
    model = build(PRESETS["tiny"], 1)
    fit(
        model, windows, words=1, share={"real": 0.5, "long": 0.0}, stride=3, config=config,
        seed=5, folder=tmp_path,
    )  # fmt: skip
    first, *_, last = read_losses(tmp_path, every=10)
    assert last < 0.2 * first
    probs = run(model, features.astype(np.float32) / 256)[:, :, 0]
    after = slice(51, 59)  # the steps within 30 frames behind the word
    assert probs[:4, after].min() > 0.5 > probs[4:].max()
