"""Where sound comes from: a pack or recordings, voices, and a user's own clips."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword_train.data.complaints import check, usable
from wakeword_train.data.manifest import Clip, read_clips, trains
from wakeword_train.data.pack import Pack, build_pack, head_labels, open_pack
from wakeword_train.data.recordings import read_folder, split_speakers
from wakeword_train.data.splits import SPLITS_FILE, read_splits
from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.pack_speech import speak_pack, spoken_for_pack
from wakeword_train.recipes.trigger import Progress
from wakeword_train.ship import ledger
from wakeword_train.synth import spoken_of
from wakeword_train.testset import TestSet, read_corpus

__all__ = ["Sources", "own_clips", "pack_of", "recordings_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where sound comes from.

    ``data`` is a folder of recordings with ``manifest.tsv`` and parts as ``splits`` says; without
    it ``pack`` is a folder to open. ``voices`` has files of Kokoro and Piper, None where they are
    fetched to; ``silent`` speaks nothing. The rest are a user's own: folders, and of ``reviewed``
    each with the kind and the label of what lies in it.
    """

    data: Path | None = None
    splits: Path = SPLITS_FILE
    pack: Path | None = None
    voices: Path | None = None
    silent: bool = False
    positives: Path | None = None
    negatives: Path | None = None
    background: Path | None = None
    reviewed: tuple[tuple[Path, str, str], ...] = ()


def pack_of(
    recipe: Recipe,
    work: Path,
    sources: Sources,
    *,
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> Pack:
    """Open the pack, or make it from recordings.

    Raises:
        ConfigError: neither pack nor recordings are named, or they are not there.
    """
    if sources.data is None:
        if sources.pack is None:
            raise ConfigError("no pack and no recordings: name one of them")
        return open_pack(sources.pack)
    parts = read_splits(sources.splits)
    everything = read_clips(sources.data)
    clips = [clip for clip in everything if parts.get(clip.file) == "train" and trains(clip)]
    if not sources.silent:
        speak_pack(
            work, recipe.pack, head_labels(clips, recipe.pack.fewest), sources.voices,
            language=recipe.language, processes=processes, ray=ray, progress=progress,
        )  # fmt: skip
    folders = spoken_for_pack(work)
    spoken = {folder.name: spoken_of(folder) for folder in folders}
    rows = [row for row in ledger(everything, parts, spoken) if row["used_for"] == "training"]
    return build_pack(
        work, sources.data, clips, rows, recipe.pack,
        synthetic=folders, augment=recipe.augment, processes=processes, ray=ray, progress=progress,
    )  # fmt: skip


def own_clips(
    recipe: Recipe, sources: Sources, progress: Progress = lambda *_: None
) -> dict[str, list[Clip]]:
    """Read a user's folders, say what is wrong in them, and split them by speaker.

    Returns:
        Part to clips; those that are useless are left out.

    Raises:
        ConfigError: a folder is not there, or nothing in all of them is of use.
    """
    named = (
        (sources.positives, "wake", recipe.words[0]),
        (sources.negatives, "speech", "own"),
        (sources.background, "noise", "own"),
    )
    found: list[Clip] = []
    for folder, kind, label in sorted(
        (*named, *sources.reviewed), key=lambda one: one[1] != "wake"
    ):
        if folder is not None:
            found += read_folder(folder, kind, label)
    if found:
        complaints = check(found, progress)
        for complaint in complaints:
            log.warning("%s", complaint)
        found = usable(found, complaints)
    parts = split_speakers(found, recipe.seed)
    return {
        part: [clip for clip in found if parts[clip.file] == part]
        for part in ("train", "dev", "test")
    }


def recordings_of(sources: Sources, part: str) -> TestSet:
    """Take one part of the recordings, empty where there are none."""
    if sources.data is None:
        return TestSet(clips=(), streams=())
    return read_corpus(sources.data, sources.splits, part)
