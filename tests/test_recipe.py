"""The recipe: what a file may say, and a whole run from recordings to a measured bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.whistles import record
from wakeword.errors import BundleError, ConfigError
from wakeword_train.cli import main
from wakeword_train.data.augment import AugmentConfig
from wakeword_train.data.pack import PackConfig
from wakeword_train.data.splits import read_splits
from wakeword_train.fit import FitConfig
from wakeword_train.recipes.config import find_recipe, read_recipe
from wakeword_train.recipes.make import run
from wakeword_train.recipes.sources import Sources
from wakeword_train.recipes.trigger import share_of


def _write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_the_recipe_of_the_package_reads() -> None:
    recipe = read_recipe(find_recipe("computer_jarvis"))
    assert recipe.words == ("computer", "jarvis")
    assert set(recipe.synth.spellings) == set(recipe.words)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('words = ["yes"]\nspeed = 3', "speed"),
        ("words = []", "at least one word"),
        ('words = ["yes"]\npreset = "huge"', "tiny, small, base, course"),
        ('words = ["yes"]\n[fit]\nbatches = 0', "batches=0"),
        ('words = ["yes"]\nmembers = 0', "members=0: need 1 to 8"),
        ('words = ["yes"]\n[synth]\nvoices = 1', "voices"),
        ("words = [", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_recipe(_write(tmp_path, text))


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="computer_jarvis"):
        find_recipe("hey_nobody")


def test_without_real_clips_synthetic_ones_take_their_place() -> None:
    real = share_of(["real yes", "synthetic yes", "head no", "long noise all"])
    none = share_of(["synthetic yes", "head no", "long noise all"])
    assert "real" not in none
    assert none["synthetic"] == real["synthetic"] + real["real"]


def test_training_without_data_says_what_to_give(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WAKEWORD_SHARED", raising=False)
    monkeypatch.setenv("WAKEWORD_HOME", str(tmp_path / "home"))
    assert main(["train", "computer_jarvis"]) == 1
    assert "wakeword data --download" in capsys.readouterr().err
    arguments = ["--data", str(tmp_path), "--work", str(tmp_path / "work")]
    assert main(["train", "computer_jarvis", *arguments, "--out", str(tmp_path)]) == 1
    assert "manifest.tsv" in capsys.readouterr().err


@pytest.mark.slow
def test_a_whole_run_makes_a_bundle_that_hears_its_words(tmp_path: Path) -> None:
    for library in ("tensorflow", "scipy", "parselmouth"):
        pytest.importorskip(library)
    record(tmp_path)
    recipe = replace(
        read_recipe(_write(tmp_path, 'words = ["up"]\npreset = "tiny"')),
        pack=PackConfig(head=100, long=200, other=0, morphs=0, fewest=6),
        augment=AugmentConfig(rooms=0, snr_db=(5, 28)),
        fit=FitConfig(batches=120, batch=32, rate=5e-3, mine_every=60, average_last=0.2),
        fa_per_hour=200.0,  # all that a minute of negatives can verify
    )
    splits = tmp_path / "splits.tsv"
    assert set(read_splits(splits).values()) == {"train", "dev", "test"}
    arguments = (
        recipe,
        tmp_path / "work",
        Sources(data=tmp_path, splits=splits, silent=True),
        tmp_path / "out",
    )
    bundle = run(*arguments, processes=1)
    points = {point["set"]: point for point in bundle.operating_points["up"]}
    assert points["test, clean"]["misses"] == 0
    assert points["test, clean"]["clips"] == 3
    assert points["test, clean"]["false_alarms"] <= 1
    assert {row["used_for"] for row in bundle.ledger} == {
        "training",
        "choosing the threshold",
        "testing",
    }
    assert len(bundle.training["loss"]) == 2
    with pytest.raises(BundleError, match="exists"):
        run(*arguments, processes=1)
