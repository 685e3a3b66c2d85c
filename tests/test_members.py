"""Several models side by side as one: what they say together, how they train and where they run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.data.pack import Joined
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.fit import FitConfig
from wakeword_train.loop import read_losses
from wakeword_train.models.trigger import PRESETS, TriggerConfig, build, side_by_side

keras = pytest.importorskip("keras", reason="models need the extra `train`")
pytest.importorskip("tensorflow")
SMALL = TriggerConfig(filters=4, units=(4, 3), dropout=0.1)


def _models(count: int) -> list[Any]:
    keras.utils.set_random_seed(1)
    return [build(SMALL, 2) for _ in range(count)]


def test_their_log_odds_are_averaged() -> None:
    models = _models(3)
    whole = side_by_side(models, replace(SMALL, members=3))
    x = np.random.default_rng(0).uniform(0, 3, (2, 60, 40)).astype(np.float32)
    each = np.stack([np.asarray(model(x), np.float64) for model in models])
    assert each.std(axis=0).max() > 0.02  # they differ
    wanted = 1 / (1 + np.exp(-np.log(each / (1 - each)).mean(axis=0)))
    np.testing.assert_allclose(whole(x), wanted, atol=1e-6)  # float32


def test_one_alone_is_itself_and_too_few_are_refused() -> None:
    models = _models(2)
    assert side_by_side(models[:1], SMALL) is models[0]
    with pytest.raises(ConfigError, match="members=3: there are 2 models"):
        side_by_side(models, replace(SMALL, members=3))
    with pytest.raises(ConfigError, match="members=0"):
        replace(SMALL, members=0)


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_killed_run_of_members_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wakeword_train.recipes import trigger
    from wakeword_train.recipes.config import Recipe

    monkeypatch.setitem(PRESETS, "tiny", SMALL)
    features = np.random.default_rng(0).integers(0, 600, (40, FRAMES, 40)).astype(np.uint16)
    part = Windows(
        features=[features],
        label=np.where(np.arange(40) < 20, 0, -1).astype(np.int16),
        end=np.where(np.arange(40) < 20, 150, -1).astype(np.int16),
        group=(np.arange(40) >= 20).astype(np.int16),
        names=("synthetic yes", "long speech"),
    )
    windows = Joined((part,), part.label, part.end, part.group, part.names)
    recipe = Recipe(
        words=("yes",), preset="tiny", members=2,
        fit=FitConfig(batches=100, batch=4, save_every=20, mine_every=40, check_every=20),
    )  # fmt: skip

    def weights(name: str, stop_at: tuple[str, int] | None = None) -> list[np.ndarray]:
        def progress(stage: str, done: int, total: int) -> None:
            if (stage, done) == stop_at:
                raise KilledError

        model = trigger.train_model(recipe, windows, tmp_path / name, progress=progress)
        return [np.asarray(w) for w in model.get_weights()]

    whole = weights("whole")
    for stage, done in (("fit member 1 of 2", 50), ("fit member 2 of 2", 100)):
        with pytest.raises(KilledError):
            weights("cut", (stage, done))
    for first, second in zip(whole, weights("cut"), strict=True):
        np.testing.assert_array_equal(first, second)

    def losses(folder: str) -> np.ndarray:
        with np.load(tmp_path / folder / "state.npz") as state:
            return np.asarray(state["losses"])

    assert not np.array_equal(losses("whole/member-1"), losses("whole/member-2"))
    both = (losses("whole/member-1") + losses("whole/member-2")) / 2
    assert read_losses(tmp_path / "whole", every=100) == [round(float(both.mean()), 4)]
    trigger.train_model(replace(recipe, members=1), windows, tmp_path / "alone")
    np.testing.assert_array_equal(losses("whole/member-1"), losses("alone"))
