"""The pack: made once, the same from a file, and refused when damaged."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
import soundfile

from wakeword.errors import ConfigError
from wakeword_train.cli import main
from wakeword_train.data.corpus import open_corpus
from wakeword_train.data.manifest import Clip
from wakeword_train.data.pack import Pack, PackConfig, build_pack, join, open_pack
from wakeword_train.data.pack_file import (
    DevStream,
    install_pack,
    installed,
    licences,
    read_dev,
    write_pack,
)
from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.trigger import heads_of

RATE_HZ = 16_000
CONFIG = PackConfig(head=12, other=4, long=16, morphs=0, talk_morphs=0, fewest=2)
LEDGER = ({"name": "made", "source": "up", "clips": 4, "hours": 0.01, "licence": "CC0-1.0"},)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Clip]]:
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    found = []
    for label, kind, count, seconds in (
        ("up", "wake", 2, 1), ("down", "command", 2, 1), ("once", "wake", 1, 1),
        ("reader", "speech", 1, 20), ("rain", "noise", 1, 6), ("hall", "rir", 1, 0.2),
    ):  # fmt: skip
        for number in range(count):
            name = f"{label}{number}.wav"
            samples = rng.normal(0, 0.1, int(seconds * RATE_HZ))
            soundfile.write(folder / name, samples, RATE_HZ)
            found.append(Clip(name, 0.0, seconds, kind, label, label, "CC0-1.0", f"made/{name}"))
    return folder, found


@pytest.fixture(scope="module")
def pack(clips: tuple[Path, list[Clip]], tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder, found = clips
    return build_pack(tmp_path_factory.mktemp("work"), folder, found, LEDGER, CONFIG, processes=1)


def test_what_machines_say_of_the_words_is_a_group_of_its_own(
    clips: tuple[Path, list[Clip]], tmp_path: Path
) -> None:
    folder, found = clips
    said = tmp_path / "pack_words"
    said.mkdir()
    rows = []
    for number, label in enumerate(("up", "up", "down", "left")):  # nobody says "left"
        soundfile.write(said / f"{number}.flac", np.full(RATE_HZ, 0.1), RATE_HZ)
        rows.append(json.dumps({"file": f"{number}.flac", "number": number, "label": label}))
    (said / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    pack = build_pack(tmp_path, folder, found, LEDGER, CONFIG, synthetic=[said], processes=1)
    names = dict(zip(*np.unique(pack.windows.group, return_counts=True), strict=True))
    counts = {pack.windows.names[number]: int(count) for number, count in names.items()}
    assert counts["spoken up"] == counts["spoken down"] == 6  # half as many as by people
    assert "spoken left" not in counts
    known = heads_of(Recipe(words=("so",)), pack)
    assert known["spoken up"] == ("head up spoken", known["head up"][1])
    known = heads_of(Recipe(words=("up",)), pack)  # its own clips are the recipe's
    assert known["head up"] == ("real up", 0)
    assert "spoken up" not in known
    known = heads_of(Recipe(words=("up",), real=False), pack)
    assert not {"head up", "spoken up"} & set(known)
    assert "spoken down" in known


def test_words_that_enough_clips_say_have_heads(pack: Pack) -> None:
    assert pack.labels == ("down", "up")
    names = dict(zip(*np.unique(pack.windows.group, return_counts=True), strict=True))
    counts = {pack.windows.names[number]: int(count) for number, count in names.items()}
    assert counts["head down"] == counts["head up"] == 12
    assert counts["other"] == 4
    assert sum(count for name, count in counts.items() if name.startswith("long ")) == 16


def test_the_bank_holds_noise_rooms_and_talk_but_no_words(pack: Pack) -> None:
    assert {item.kind for item in open_corpus(pack.bank).items} == {"speech", "noise", "rir"}


def test_a_pack_is_made_once(pack: Pack, clips: tuple[Path, list[Clip]]) -> None:
    folder, found = clips
    again = build_pack(pack.folder.parent, folder, found, LEDGER, CONFIG, processes=1)
    assert again.key == pack.key
    other = build_pack(
        pack.folder.parent, folder, found, LEDGER, replace(CONFIG, head=2), processes=1
    )
    assert other.key != pack.key


def test_a_clip_that_may_not_train_is_refused(
    clips: tuple[Path, list[Clip]], tmp_path: Path
) -> None:
    folder, found = clips
    wrong = [replace(found[0], licence="unstated"), *found[1:]]
    with pytest.raises(ConfigError, match="unstated"):
        build_pack(tmp_path, folder, wrong, LEDGER, CONFIG, processes=1)
    with pytest.raises(ConfigError, match="of kind speech"):
        build_pack(tmp_path, folder, found[:3], LEDGER, CONFIG, processes=1)


def test_joined_windows_are_those_of_their_parts(pack: Pack) -> None:
    joined = join(
        [
            (pack.windows, {"head up": ("real up", 0)}),
            (pack.windows, {"head up": ("head up", 1), "head down": ("head down", 2)}),
        ]
    )
    count = len(pack.windows.label)
    rows = np.random.default_rng(0).permutation(2 * count)[:20]
    np.testing.assert_array_equal(joined.take(rows), pack.windows.take(rows % count))
    names = np.asarray(joined.names)[joined.group]
    up = pack.windows.label == pack.labels.index("up")
    assert set(joined.label[:count]) == {-1, 0}
    np.testing.assert_array_equal(joined.label[:count] == 0, up)
    np.testing.assert_array_equal(names[count:] == "head up", up)
    assert set(names[:count][pack.windows.label == pack.labels.index("down")]) == {"unused 0"}


def test_a_pack_from_a_file_is_the_pack(pack: Pack, tmp_path: Path) -> None:
    dev = [DevStream("speech", "made", 320, np.full((2, 40), 7, np.uint16))]
    write_pack(pack.folder, tmp_path / "small.pack", dev)
    folder = install_pack(tmp_path / "small.pack", tmp_path / "home")
    got = open_pack(folder)
    rows = np.arange(len(pack.windows.label))
    np.testing.assert_array_equal(got.windows.take(rows), pack.windows.take(rows))
    np.testing.assert_array_equal(got.windows.end, pack.windows.end)
    np.testing.assert_array_equal(got.windows.label, pack.windows.label)
    ours, theirs = open_corpus(pack.bank), open_corpus(got.bank)
    assert ours.items == theirs.items
    np.testing.assert_array_equal(ours.samples, theirs.samples)
    (stream,) = read_dev(folder)
    assert (stream.part, stream.source, stream.samples) == ("speech", "made", 320)
    np.testing.assert_array_equal(stream.features, dev[0].features)
    assert "CC0-1.0" in licences(got)
    assert not list(tmp_path.glob("**/*part*"))


def test_a_file_that_is_no_pack_leaves_nothing_behind(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "text.pack").write_text("no")
    with pytest.raises(ConfigError, match="not a pack"):
        install_pack(tmp_path / "text.pack", tmp_path / "home")
    write_pack(pack.folder, tmp_path / "cut.pack", [])
    content = (tmp_path / "cut.pack").read_bytes()
    (tmp_path / "cut.pack").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="fetch it again"):
        install_pack(tmp_path / "cut.pack", tmp_path / "home")
    with tarfile.open(tmp_path / "evil.pack", "w") as tar:
        info = tarfile.TarInfo("../outside")
        tar.addfile(info)
    with pytest.raises(ConfigError, match="does not belong"):
        install_pack(tmp_path / "evil.pack", tmp_path / "home")
    assert not any((tmp_path / "home").iterdir())
    assert not (tmp_path / "outside").exists()


def test_the_command_installs_and_says_what_is_there(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAKEWORD_HOME", str(tmp_path / "home"))
    assert installed() is None
    assert main(["data"]) == 1
    assert "--download URL" in capsys.readouterr().err
    assert main(["data", "--download", "http://127.0.0.1:9/a.pack"]) == 1
    assert "--sha256" in capsys.readouterr().err
    write_pack(pack.folder, tmp_path / "small.pack", [])
    assert main(["data", "--install", str(tmp_path / "small.pack")]) == 0
    assert main(["data"]) == 0
    assert "made: up, 4 clips" in capsys.readouterr().out
    assert installed() == tmp_path / "home" / "pack-small"
