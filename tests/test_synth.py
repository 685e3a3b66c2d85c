"""Synthetic voices: a recipe depends on seed and number alone, mixing is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.data.synth import draw_recipe, style_of, synthesize

VOICES = ["af_one", "bm_two", "jf_three"]


def test_a_recipe_is_drawn_from_seed_and_number_alone() -> None:
    first = draw_recipe(7, "yes", ["jˈɛs"], VOICES, seed=1)
    assert first == draw_recipe(7, "yes", ["jˈɛs"], VOICES, seed=1)
    others = [draw_recipe(n, "yes", ["jˈɛs"], VOICES, seed=1) for n in range(50)]
    assert len({(r.timbre, r.mix, r.speed) for r in others}) == 50
    assert all(-0.35 <= r.mix <= 1.35 and 0.7 <= r.speed <= 1.35 for r in others)


def test_styles_mix_timbre_and_borrow_prosody() -> None:
    tables = {v: np.full((510, 1, 256), i, np.float32) for i, v in enumerate(VOICES)}
    recipe = draw_recipe(0, "yes", ["jˈɛs"], VOICES, seed=2)
    style = style_of(recipe, tables)
    first, second = (VOICES.index(v) for v in recipe.timbre)
    expected = (1 - recipe.mix) * first + recipe.mix * second
    np.testing.assert_allclose(style[..., :128], expected, rtol=1e-6)
    np.testing.assert_array_equal(style[..., 128:], VOICES.index(recipe.prosody))
    assert (tables[VOICES[0]] == 0).all()  # the tables are not written to


def test_missing_voices_and_spellings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="spelling"):
        draw_recipe(0, "yes", [], VOICES, seed=1)
    with pytest.raises(ConfigError, match="kokoro"):
        list(synthesize({"yes": ["jˈɛs"]}, 1, tmp_path / "out", model_dir=tmp_path))
    assert not (tmp_path / "out").exists()
