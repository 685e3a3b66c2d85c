"""What several models think together, and that one model learns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train import teachers
from wakeword_train.data.pack import Joined
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.fit import FitConfig, fit
from wakeword_train.teachers import mean_prob, opinions

RECIPE_FIT = FitConfig(batches=40, batch=4, save_every=10, mine_every=20, check_every=10)


@pytest.fixture(scope="module")
def windows() -> Joined:
    features = np.random.default_rng(0).integers(0, 600, (40, FRAMES, 40)).astype(np.uint16)
    features[:20, 100:150] += 300
    part = Windows(
        features=[features],
        label=np.where(np.arange(40) < 20, 0, -1).astype(np.int16),
        end=np.where(np.arange(40) < 20, 150, -1).astype(np.int16),
        group=(np.arange(40) >= 20).astype(np.int16),
        names=("synthetic yes", "long speech"),
    )
    return Joined((part,), part.label, part.end, part.group, part.names)


def _model(seed: int) -> Any:
    keras = pytest.importorskip("keras")
    from wakeword_train.models.trigger import TriggerConfig, build

    keras.utils.set_random_seed(seed)
    return build(TriggerConfig(filters=4, units=(4,)), 2)


def test_one_that_is_unsure_weighs_less() -> None:
    assert mean_prob([np.float32([0.9]), np.float32([0.5])]) == pytest.approx(0.75)
    assert mean_prob([np.float32([0.0]), np.float32([1.0])]) == pytest.approx(0.5)
    assert 0 < mean_prob([np.float32([0.0])])[0] < 0.002


@pytest.mark.slow
def test_opinions_are_the_mean_of_each_whatever_is_asked_at_once(
    windows: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [_model(seed) for seed in (1, 2)]
    x = windows.take(np.arange(40)) / np.float32(256)
    each = [np.asarray(model(x, training=False)) for model in models]
    monkeypatch.setattr(teachers, "AT_ONCE", 15)
    told: list[tuple[int, int]] = []
    found = opinions(models, windows, 1, progress=lambda *at: told.append(at))
    assert found.dtype == np.float16
    # Half precision keeps three digits.
    np.testing.assert_allclose(found, mean_prob(each)[:, :, :1], atol=5e-4)
    assert told == [(15, 40), (30, 40), (40, 40)]


@pytest.mark.slow
def test_what_is_taught_goes_before_the_labels(windows: Joined, tmp_path: Path) -> None:
    x = windows.take(np.arange(40)) / np.float32(256)
    settings: dict[str, Any] = {"words": 1, "share": {"synthetic": 0.5, "long": 0.0}, "seed": 1}
    config = replace(RECIPE_FIT, rate=0.05, warm_up=1)
    for said in (0, 1):  # in every step, whatever the labels are
        (tmp_path / str(said)).mkdir()
        taught, model = np.full((40, FRAMES // 3, 1), said, np.float16), _model(1)
        fit(
            model, windows, taught=taught, stride=3, config=config, folder=tmp_path / str(said),
            **settings,
        )  # fmt: skip
        np.testing.assert_allclose(model(x, training=False)[:, :, 0], said, atol=0.2)
    with pytest.raises(ConfigError, match="pool=3"):
        fit(
            model, windows, taught=taught, stride=3, config=FitConfig(pool=3), folder=tmp_path,
            **settings,
        )  # fmt: skip


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_run_with_teachers_that_was_killed_ends_as_one_that_was_not(
    windows: Joined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    from wakeword_train.models.trigger import TriggerConfig
    from wakeword_train.recipes import trigger
    from wakeword_train.recipes.config import Recipe

    monkeypatch.setitem(trigger.PRESETS, "tiny", TriggerConfig(filters=4, units=(4,)))
    recipe = Recipe(words=("yes",), preset="tiny", teachers=2, fit=RECIPE_FIT)

    def weights(name: str, stop_at: tuple[str, int] | None) -> list[np.ndarray]:
        def progress(stage: str, done: int, total: int) -> None:
            if (stage, done) == stop_at:
                raise KilledError

        run = tmp_path / name
        trained = trigger.train_model(recipe, windows, run, progress=progress)
        return [np.asarray(w) for w in trained.get_weights()]

    recipe = replace(recipe, fit=replace(RECIPE_FIT, batches=100))
    whole = weights("whole", None)
    for stage, done in (("fit teacher 2 of 2", 50), ("ask the teachers", 40), ("fit", 100)):
        with pytest.raises(KilledError):
            weights("cut", (stage, done))
    resumed = weights("cut", None)
    for first, second in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(first, second)
    one, other = (
        np.load(tmp_path / "whole" / f"teacher-{n}" / "state.npz")["losses"] for n in (1, 2)
    )
    assert not np.array_equal(one, other)
    trigger.train_model(replace(recipe, teachers=0), windows, tmp_path / "alone")
    with np.load(tmp_path / "alone" / "state.npz") as alone:
        np.testing.assert_array_equal(one, alone["losses"])
