"""``wakeword train PHRASE`` with a pack and one's own recordings: no list, no voices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.whistles import RATE_HZ, record, whistle
from wakeword.bundle import read_bundle
from wakeword_train import train_command
from wakeword_train.cli import main
from wakeword_train.data.augment import AugmentConfig
from wakeword_train.data.manifest import read_clips
from wakeword_train.data.pack import PackConfig, open_pack
from wakeword_train.data.pack_file import install_pack, read_dev, write_pack
from wakeword_train.data.splits import read_splits
from wakeword_train.recipes.config import Recipe, read_recipe
from wakeword_train.recipes.make import run_folder
from wakeword_train.recipes.pack_speech import sentences
from wakeword_train.recipes.parts import dev_streams, hear_features
from wakeword_train.recipes.plan import plan
from wakeword_train.recipes.sources import Sources, pack_of
from wakeword_train.testset import read_corpus

EASY = AugmentConfig(rooms=0, snr_db=(5, 28))
SMALL = PackConfig(head=100, long=240, other=0, morphs=0, talk_morphs=0, talk=0, spoken=0, fewest=6)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of "down", hums and noise, installed from a file."""
    for library in ("tensorflow", "scipy", "parselmouth"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("pack")
    record(folder)
    rows = (folder / "manifest.tsv").read_text().splitlines()
    (folder / "manifest.tsv").write_text("\n".join(r for r in rows if "\tup\t" not in r) + "\n")
    sources = Sources(data=folder, splits=folder / "splits.tsv", silent=True)
    recipe = Recipe(words=("any",), pack=SMALL, augment=EASY)
    pack = pack_of(recipe, folder / "work", sources, processes=1)
    dev = dev_streams(read_corpus(folder, folder / "splits.tsv", "dev"))
    write_pack(pack.folder, folder / "a.pack", dev)
    return install_pack(folder / "a.pack", folder / "home")


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "up.toml"
    path.write_text(
        'words = ["up"]\npreset = "tiny"\nfa_per_hour = 200\n'
        '[synth]\nspellings = {up = ["ˈʌp"]}\nnear = {up = []}\n'
        "[windows]\nreal = 150\nmorphs = 0\n"
        "[augment]\nrooms = 0\nsnr_db = [5, 28]\n"
        "[fit]\nbatches = 150\nbatch = 32\nrate = 5e-3\nmine_every = 75\naverage_last = 0.2\n"
    )
    return path


@pytest.mark.slow
def test_own_recordings_and_a_pack_make_a_bundle_and_a_report(
    packed: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    rng = np.random.default_rng(3)
    for person in ("ann", "bob", "cy", "dee", "eve"):
        (tmp_path / "mine" / person).mkdir(parents=True)
        for number in range(6):
            path = tmp_path / "mine" / person / f"{number}.wav"
            soundfile.write(path, whistle("up", rng), RATE_HZ)
    arguments = [
        "train", str(recipe_file), "--pack", str(packed), "--positives", str(tmp_path / "mine"),
        "--no-synthesis", "--work", str(tmp_path / "work"), "--out", str(tmp_path),
        "--processes", "1",
    ]  # fmt: skip
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "up.json"), str(tmp_path / "up-report.html"),
    ]  # fmt: skip
    bundle = read_bundle(tmp_path / "up.json")
    points = {point["set"]: point for point in bundle.operating_points["up"]}
    assert points["test, clean"]["clips"] == 6  # one of five people
    assert points["test, clean"]["misses"] == 0
    assert {"test, 10dB-pink", "test, clean, speech"} <= set(points)
    assert "your own" in {row["licence"] for row in bundle.ledger}
    assert set(bundle.training["stages"]) >= {"windows", "training", "testing"}
    facts = json.loads((tmp_path / "up-report.json").read_text())
    assert facts["words"]["up"]["before"] == {}
    assert main(arguments) == 1  # it is there
    assert "--force" in capsys.readouterr().err
    # As if it had been trained without these recordings before.
    recipe = plan(read_recipe(recipe_file))
    earlier = run_folder(tmp_path / "work", recipe, open_pack(packed), ["head down"], ())
    (earlier / "draft").mkdir(parents=True)
    for suffix in ("json", "tflite"):
        shutil.copy(tmp_path / f"up.{suffix}", earlier / "draft")
    assert main([*arguments, "--force"]) == 0
    word = json.loads((tmp_path / "up-report.json").read_text())["words"]["up"]
    assert word["before"]["conditions"]["clean"] == word["rows"]["in use"]["conditions"]["clean"]
    assert ("own", "note") in [(one["rule"], one["level"]) for one in word["advice"]]


def test_features_of_a_pack_score_as_their_sound_does(packed: Path) -> None:
    from wakeword.audio import read_audio
    from wakeword.detector import Detector

    tiny = read_bundle(Path(__file__).parent / "data" / "tiny_step.json")
    folder = packed.parent.parent
    (stream,) = [one for one in read_dev(packed) if one.part == "speech"]
    heard = hear_features(tiny, [stream])["yes"][0]
    (clip,) = [
        c for c in read_clips(folder)
        if c.kind == "speech" and read_splits(folder / "splits.tsv")[c.file] == "dev"
    ]  # fmt: skip
    probs, indices = Detector([(tiny, None)]).scores(read_audio(folder / clip.file))
    np.testing.assert_array_equal(heard.indices, indices[: len(heard.indices)])
    np.testing.assert_array_equal(heard.probs, probs[: len(heard.probs), 0])
    assert heard.samples == 20 * RATE_HZ


def test_a_word_that_nobody_says_is_an_error(
    packed: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pack", str(packed), "--no-synthesis", "--work", str(tmp_path)]
    assert main(["train", str(recipe_file), *arguments, "--out", str(tmp_path)]) == 1
    assert "no clip of up" in capsys.readouterr().err


def test_sentences_are_drawn_by_the_seed() -> None:
    assert sentences(5, seed=1) == sentences(9, seed=1)[:5]
    assert sentences(5, seed=1) != sentences(5, seed=2)


def test_a_quick_model_is_less_of_the_same_unless_told() -> None:
    parse = train_command._parser().parse_args
    whole = train_command._recipe(parse(["so"]))
    quick = train_command._recipe(parse(["so", "--quick"]))
    told = train_command._recipe(parse(["so", "--quick", "--batches", "7", "--clips", "9"]))
    assert quick.synth.count < whole.synth.count
    assert quick.windows.synthetic < whole.windows.synthetic
    assert quick.fit.batches < whole.fit.batches
    # The same clips, only fewer: the whole model goes on from them.
    assert quick.synth.seed == whole.synth.seed
    assert (told.fit.batches, told.synth.count) == (7, 9)
