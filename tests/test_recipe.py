"""The recipe: what a file may say, and a whole run from recordings to a measured bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wakeword.errors import BundleError, ConfigError
from wakeword_train.cli import main
from wakeword_train.data.augment import AugmentConfig
from wakeword_train.data.pack import PackConfig
from wakeword_train.data.splits import read_splits
from wakeword_train.fit import FitConfig
from wakeword_train.recipes.config import find_recipe, read_recipe
from wakeword_train.recipes.make import Sources, run
from wakeword_train.recipes.trigger import share_of

RATE_HZ = 16_000


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


def _recordings(folder: Path) -> None:
    """Make a data set: two whistled words, hums and noise, in three parts."""
    import soundfile

    rng = np.random.default_rng(0)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    sweeps = {"up": 600 + 1_600 * time, "down": 2_200 - 1_600 * time}
    rows = ["file\tstart_s\tdur_s\tkind\tlabel\tspeaker\tlicence\tsource"]
    splits = ["file\tsplit"]
    for part, count in (("train", 6), ("dev", 3), ("test", 3)):
        for number in range(count):
            for label, pitch in sweeps.items():
                samples = rng.normal(0, 2e-4, 2 * RATE_HZ)
                tone = np.sin(2 * np.pi * np.cumsum(pitch * rng.uniform(0.95, 1.05)) / RATE_HZ)
                samples[12_000 : 12_000 + len(tone)] += 0.3 * tone * np.hanning(len(tone))
                name = f"{part}_{label}_{number}.wav"
                soundfile.write(folder / name, samples, RATE_HZ)
                rows.append(f"{name}\t0\t2\twake\t{label}\t{part}{number}\tCC0-1.0\tmade/{name}")
                splits.append(f"{name}\t{part}")
        for kind in ("speech", "noise"):
            name = f"{part}_{kind}.wav"
            samples = rng.normal(0, 0.05, 20 * RATE_HZ)
            if kind == "speech":
                beat = np.sin(2 * np.pi * 3 * np.arange(len(samples)) / RATE_HZ) > 0
                samples = beat * np.convolve(samples, np.ones(20) / 5, "same")
            soundfile.write(folder / name, samples, RATE_HZ)
            rows.append(f"{name}\t0\t20\t{kind}\t{kind}\t\tCC0-1.0\tmade/{name}")
            splits.append(f"{name}\t{part}")
    room = np.random.default_rng(1).normal(0, 1, 4_000) * np.exp(-np.arange(4_000) / 400)
    for part in ("train", "dev", "test"):
        soundfile.write(folder / f"{part}_room.wav", room / np.abs(room).max() / 1.1, RATE_HZ)
        rows.append(f"{part}_room.wav\t0\t.25\trir\troom\t\tCC0-1.0\tmade")
        splits.append(f"{part}_room.wav\t{part}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    (folder / "splits.tsv").write_text("\n".join(splits) + "\n")


@pytest.mark.slow
def test_a_whole_run_makes_a_bundle_that_hears_its_words(tmp_path: Path) -> None:
    for library in ("tensorflow", "scipy", "parselmouth"):
        pytest.importorskip(library)
    _recordings(tmp_path)
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
