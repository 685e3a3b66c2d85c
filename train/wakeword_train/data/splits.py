"""Who is trained on, who chooses the threshold, and who is never heard before the test.

The split is drawn once and kept in ``splits.tsv``. A voice is in one part only, whatever it says;
a stream is in one part as a whole. ``python -m wakeword_train.data.splits DIR`` writes it anew.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword.files import beside
from wakeword_train.data.manifest import Clip, may_ship, read_clips

__all__ = ["SPLITS_FILE", "read_splits", "split_of"]

SPLITS_FILE = Path(__file__).with_name("splits.tsv")
PARTS = ("train", "dev", "test")

# Streams that choose the threshold, over an hour of speech, half of it of sorts that training never
# hears: the threshold would else be too low for the world outside.
DEV_STREAMS = (
    "asterisk_en_002", "game_drascula_003", "game_drascula_004", "game_drascula_005",
    "kathleen_en_007", "kathleen_en_008", "tuxpaint_fr_000", "tuxpaint_fr_001", "tuxpaint_fr_002",
)  # fmt: skip
TEST_LABELS = ("alexa", "asterisk_es")  # a word and a voice that no part of training hears


def rank(name: str) -> float:
    """Place a name in [0, 1) by its hash, the same on every machine."""
    digest = hashlib.sha256(f"wakeword split 1 {name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(clip: Clip) -> str:
    """Say which part a clip belongs to: train, dev or test."""
    stream = clip.file.startswith("streams/")
    if clip.label in TEST_LABELS:
        return "test"
    if stream and Path(clip.file).stem in DEV_STREAMS:
        return "dev"
    place = rank(clip.speaker or clip.file)
    if not may_ship(clip.licence, clip.source):
        return "test" if stream or place < 0.6 else "dev"
    if stream:
        return "train"
    if clip.speaker.startswith("pv"):  # few voices with many clips each: 52 / 16 / 32 %
        return "train" if place < 0.52 else "dev" if place < 0.68 else "test"
    return "train" if place < 0.6 else "dev" if place < 0.75 else "test"


def write_splits(clips: Iterable[Clip], path: Path = SPLITS_FILE) -> None:
    """Write ``file, split`` for every file, beside its name first and then renamed."""
    parts = {clip.file: split_of(clip) for clip in clips}
    rows = "".join(f"{f}\t{s}\n" for f, s in sorted(parts.items()))
    with beside(path) as partial:
        partial.write_text(f"file\tsplit\n{rows}")


def read_splits(path: Path = SPLITS_FILE) -> dict[str, str]:
    """Read a split file.

    Returns:
        File, relative to the folder of recordings, to its part.

    Raises:
        ConfigError: the file is missing, or a part is none of train, dev and test.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is missing: name a split file with the columns file, split")
    with path.open(newline="", encoding="utf-8") as lines:
        parts = {row["file"]: row["split"] for row in csv.DictReader(lines, delimiter="\t")}
    wrong = {part for part in parts.values() if part not in PARTS}
    if wrong:
        raise ConfigError(f"{path}: parts {sorted(wrong)}: only {', '.join(PARTS)} are known")
    return parts


if __name__ == "__main__":
    write_splits(read_clips(Path(sys.argv[1])))
