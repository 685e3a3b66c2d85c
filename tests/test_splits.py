"""A voice is in one part only, and what may not ship is never trained on."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

from wakeword.errors import ConfigError
from wakeword_train.data.manifest import Clip, may_ship, read_clips
from wakeword_train.data.splits import SPLITS_FILE, read_splits, split_of

SHARED = os.environ.get("WAKEWORD_SHARED")
needs_data = pytest.mark.skipif(SHARED is None, reason="WAKEWORD_SHARED is not set")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return read_clips(Path(str(SHARED)) / "data" / "audio")


def test_the_split_file_is_complete_and_has_all_parts() -> None:
    parts = read_splits()
    assert set(parts.values()) == {"train", "dev", "test"}
    assert all(part == "test" for file, part in parts.items() if file.startswith("wake/alexa/"))


@needs_data
def test_the_split_file_is_what_the_rule_gives(clips: list[Clip]) -> None:
    assert read_splits() == {clip.file: split_of(clip) for clip in clips}


@needs_data
def test_no_voice_is_trained_on_and_tested(clips: list[Clip]) -> None:
    parts = read_splits()
    where: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        # readers of long streams are split by stream; alexa is never trained on
        if clip.speaker and not clip.file.startswith("streams/") and clip.label != "alexa":
            where[clip.speaker].add(parts[clip.file])
    both = {
        who: found
        for who, found in where.items()
        if "train" in found and found != {"train"} and who.startswith("pv")
    }
    assert not both


@needs_data
def test_only_licences_that_may_ship_are_trained_on(clips: list[Clip]) -> None:
    parts = read_splits()
    assert all(may_ship(clip.licence, clip.source) for clip in clips if parts[clip.file] == "train")


def test_a_waiver_covers_the_files_it_names() -> None:
    licence = "public-domain/CC0 (contributor waivers; later files unstated)"
    named = "some/en/athena/athena-en-2a43a8bf-ede1-4c53-8870-7b9a77943b40.wav"
    assert may_ship(licence, named)
    assert not may_ship(licence, "some/en/hey_floyd/hey-floyd-malone-1.wav")
    assert not may_ship("unstated", named)


def test_a_wrong_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.tsv"
    path.write_text("file\tsplit\na.opus\tvalidate\n")
    with pytest.raises(ConfigError, match="validate"):
        read_splits(path)
    with pytest.raises(ConfigError, match="missing"):
        read_splits(tmp_path / "none.tsv")
    assert SPLITS_FILE.is_file()


def test_a_damaged_manifest_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_text(
        "file\tstart_s\tdur_s\tkind\tlabel\tspeaker\tlicence\tsource\n"
        "a.opus\t0\tlong\twake\tyes\tme\tCC0-1.0\there\n"
    )
    with pytest.raises(ConfigError, match=r"manifest\.tsv:2"):
        read_clips(tmp_path)
