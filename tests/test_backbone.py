"""A backbone starts a model where another one ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from wakeword.errors import ConfigError
from wakeword_train.data.pack import Joined, Pack
from wakeword_train.data.windows import FRAMES, Windows
from wakeword_train.fit import FitConfig
from wakeword_train.models.backbone import save_backbone, shipped_backbone, start_from
from wakeword_train.models.trigger import PRESETS, TriggerConfig, build
from wakeword_train.recipes import backbone, trigger
from wakeword_train.recipes.config import Recipe

TINY = TriggerConfig(filters=8, units=(8, 8))


def test_known_heads_are_taken_over_and_new_ones_left(tmp_path: Path) -> None:
    old = build(TINY, 3)
    rng = np.random.default_rng(0)
    old.set_weights([rng.normal(0, 0.3, w.shape) for w in old.get_weights()])
    save_backbone(old, ["cat", "dog", "owl"], tmp_path / "b.npz")
    new = build(TINY, 3)
    before = new.get_weights()
    assert start_from(new, ["new", "owl", "cat"], tmp_path / "b.npz") == 2
    after, given = new.get_weights(), old.get_weights()
    for got, want in zip(after[:-2], given[:-2], strict=True):
        # half precision: 11 bits
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(after[-2][:, 0], before[-2][:, 0])
    np.testing.assert_allclose(after[-2][:, 1:], given[-2][:, [2, 0]], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(after[-1][1:], given[-1][[2, 0]], rtol=1e-3, atol=1e-6)


def test_what_is_no_backbone_of_the_preset_is_refused(tmp_path: Path) -> None:
    save_backbone(build(TINY, 1), ["cat"], tmp_path / "b.npz")
    with pytest.raises(ConfigError, match="another preset"):
        start_from(build(TriggerConfig(filters=8, units=(8,)), 1), ["new"], tmp_path / "b.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ConfigError, match="not a backbone"):
        start_from(build(TINY, 1), ["new"], tmp_path / "text.npz")


def test_shipped_backbones_fit_their_presets() -> None:
    for preset, config in PRESETS.items():
        path = shipped_backbone(preset)
        if path is not None:
            assert start_from(build(config, 2), ["new", "cat"], path) == 1


def test_heads_are_told_by_their_labels() -> None:
    label = np.array([0, 1, 2, 2, -1], np.int16)
    group = np.array([0, 1, 2, 3, 4], np.int16)
    names = ("synthetic hey you", "head cat", "head dog", "head dog spoken", "long speech")
    windows = Joined(parts=(), label=label, end=label, group=group, names=names)
    assert trigger.labels_of(windows, ["hey you"]) == ["hey_you", "cat", "dog"]


def test_a_word_that_nobody_is_to_have_said_starts_from_nothing_that_heard_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.npz"
    save_backbone(build(TINY, 2), ["cat", "hey_dog"], path)
    monkeypatch.setattr(trigger, "shipped_backbone", lambda preset: path)
    for word, real, start in (
        ("cat", True, path), ("cat", False, None), ("dog", False, None), ("owl", False, path),
    ):  # fmt: skip
        assert trigger.backbone_of(Recipe(words=(word,), real=real)) == start
    assert trigger.backbone_of(Recipe(words=("owl",), backbone=False)) is None


@pytest.mark.slow
def test_a_backbone_learns_the_words_of_a_pack_and_goes_on_after_a_break(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loud = rng.integers(0, 60, (60, FRAMES, 40)).astype(np.uint16)
    loud[:20, 120:150, :20] += 600
    loud[20:40, 120:150, 20:] += 600
    group = np.repeat([0, 1, 2], 20).astype(np.int16)
    windows = Windows(
        features=[loud], label=np.where(group < 2, group, -1).astype(np.int16),
        end=np.where(group < 2, 150, -1).astype(np.int16), group=group,
        names=("head high", "head low", "long speech"),
    )  # fmt: skip
    pack = Pack(windows, ("high", "low"), tmp_path / "pack-1" / "bank", ())
    config = FitConfig(
        batches=200, batch=16, rate=1e-2, warm_up=5, mine_every=0, average_last=0.1, masked=0.0
    )
    out = tmp_path / "backbone.npz"
    monkey = PRESETS | {"small": TINY}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbone, "PRESETS", monkey)
        backbone.train_backbone(pack, "small", tmp_path, out, config=config)
        first = out.read_bytes()
        backbone.train_backbone(pack, "small", tmp_path, out, config=config)
    assert out.read_bytes() == first  # taken up where it ended
    model = build(TINY, 2)
    assert start_from(model, ["high", "low"], out) == 2
    told = np.asarray(model(loud / 256.0))[:, :, :]
    after = told[:, 150 // 3 + 3 : 150 // 3 + 9].mean(axis=1)
    assert after[:20, 0].mean() > after[20:, 0].mean() + 0.3
    assert after[20:40, 1].mean() > np.delete(after[:, 1], range(20, 40)).mean() + 0.3
