"""Labels, batches, and that a run that was interrupted ends as one that was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wakeword_train import fit as fit_module
from wakeword_train.checkpoints import Model
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.fit import FitConfig, draw_batch, mask, targets


def test_labels_are_one_after_the_word_and_ignored_around_it() -> None:
    config = FitConfig()
    y, mask = targets(np.array([1, -1], np.int16), np.array([150, -1], np.int16), 3, 3, config)
    assert y.shape == mask.shape == (2, FRAMES // 3, 3)
    heard = np.arange(FRAMES // 3) * 3 + 2
    np.testing.assert_array_equal(y[0, :, 1] == 1, (heard >= 150) & (heard < 180))
    ignored = ((heard >= 115) & (heard < 150)) | ((heard >= 180) & (heard < 220))
    np.testing.assert_array_equal(mask[0, :, 1] == 0, ignored)
    assert not y[0, :, [0, 2]].any()
    assert mask[0, :, [0, 2]].all()
    assert not y[1].any()
    assert mask[1].all()


def test_a_batch_has_its_shares() -> None:
    rows = {name: np.arange(n, n + 50) for name, n in (("real", 0), ("near", 100), ("long", 200))}
    share = {"real": 0.25, "near": 0.125, "long": 0.0}
    picked = draw_batch(np.random.default_rng(0), rows, share, 64, np.array([300]), 0.25)
    assert len(picked) == 64
    assert ((picked >= 0) & (picked < 50)).sum() == 16
    assert ((picked >= 100) & (picked < 150)).sum() == 8
    assert (picked == 300).sum() == 10


def test_a_mask_silences_a_band_and_a_moment_of_its_share() -> None:
    x = np.full((400, FRAMES, 40), 7, np.uint16)
    config = FitConfig(masked=0.25)
    masked = mask(np.random.default_rng(1), x.copy(), config)
    touched = (masked != x).any(axis=(1, 2))
    assert 0.15 < touched.mean() < 0.35
    for window in masked[touched]:
        band, moment = (window == 0).all(axis=0).sum(), (window == 0).all(axis=1).sum()
        assert band <= config.mask_bins
        assert moment <= config.mask_frames


class KilledError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 0.4])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, between: float) -> None:
    pytest.importorskip("tensorflow")
    import keras
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from wakeword_train.fit import fit
    from wakeword_train.models.trigger import TriggerConfig, build

    rng = np.random.default_rng(0)
    windows = Windows(
        features=[rng.integers(0, 600, (40, FRAMES, 40)).astype(np.uint16)],
        label=np.where(np.arange(40) < 20, 0, -1).astype(np.int16),
        end=np.where(np.arange(40) < 20, 150, -1).astype(np.int16),
        group=(np.arange(40) >= 20).astype(np.int16),
        names=("real yes", "long speech"),
    )
    config = FitConfig(
        batches=100, batch=4, save_every=25, mine_every=40, average_last=0.5, check_every=10
    )
    sizes = TriggerConfig(filters=4, units=(4,))

    def run(folder: Path, stop_at: int | None) -> list[np.ndarray]:
        folder.mkdir(exist_ok=True)
        keras.utils.set_random_seed(1)
        model = build(sizes, 1)

        def progress(done: int, batches: int, loss: float) -> None:
            if done == stop_at:
                raise KilledError

        def check(told: Model) -> float:  # best somewhere in between
            return abs(float(told(windows.features[0]).mean()) - between)

        fit(
            model, windows, words=1, share={"real": 0.5, "long": 0.0}, stride=3, config=config,
            seed=7, folder=folder, check=check if between else None, progress=progress,
        )  # fmt: skip
        return [np.asarray(w) for w in model.get_weights()]

    whole = run(tmp_path / "whole", None)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", 100)  # after the state of batch 75 was saved
    resumed = run(tmp_path / "cut", None)
    for first, second in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(first, second)
    drawn = EventAccumulator(str(tmp_path / "cut" / "events")).Reload()
    losses = drawn.Tensors("loss")
    assert {one.step for one in losses} == {50, 100}
    checked = {one.step for one in drawn.Tensors("missed")} if between else {60, 70, 80, 90, 100}
    assert checked == {60, 70, 80, 90, 100}


def test_with_pooling_a_word_told_once_is_told() -> None:
    pytest.importorskip("tensorflow")
    y = np.zeros((1, 20, 1), np.float32)
    y[0, 5:15] = 1
    p = np.full((1, 20, 1), 0.01, np.float32)
    p[0, 8:11] = 0.9
    mask = np.ones_like(y)
    every, pooled = (
        float(fit_module._loss(y, p, mask, 1, 0.0, FitConfig(pool=steps, peak_weight=0.0)))
        for steps in (0, 3)
    )
    assert pooled == pytest.approx(-6 * np.log(0.9) * 10 / 20, rel=1e-4)
    assert every > 10 * pooled
    elsewhere = np.roll(p, 8, axis=1)  # told past its time
    assert float(
        fit_module._loss(y, elsewhere, mask, 1, 0.0, FitConfig(pool=3, peak_weight=0.0))
    ) == pytest.approx(-6 * np.log(0.01) * 10 / 20, rel=1e-4)
