"""From a recipe to a measured bundle: train, quantise, calibrate, measure, write.

Each stage leaves its result in the work folder and is not done again when it is there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.bundle import Bundle
from wakeword.detector import Detector
from wakeword.errors import BundleError, ConfigError
from wakeword_train.conditions import Condition, parse_condition
from wakeword_train.crew import open_crew
from wakeword_train.data.complaints import check, usable
from wakeword_train.data.manifest import Clip, read_clips, trains
from wakeword_train.data.near import swallowed
from wakeword_train.data.pack import Pack, build_pack, key_of, open_pack
from wakeword_train.data.pack_file import read_dev
from wakeword_train.data.recordings import read_folder, split_speakers
from wakeword_train.data.splits import SPLITS_FILE, read_splits
from wakeword_train.fit import read_losses
from wakeword_train.models.trigger import PRESETS, save_weights
from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.parts import hear_features, said_by, with_words
from wakeword_train.recipes.talk import speak_talk, talk_folder
from wakeword_train.recipes.trigger import (
    Progress,
    held_out,
    prepare,
    share_of,
    speak,
    spoken_folders,
    train_model,
)
from wakeword_train.report import gather, write_report
from wakeword_train.scoring import Scored, score
from wakeword_train.ship import (
    CALIBRATE_ON,
    MEASURE_ON,
    calibrate,
    commit,
    ledger,
    measure,
    quantise,
    rewrite,
)
from wakeword_train.synth import spoken_of
from wakeword_train.testset import TestSet, label_of, read_corpus

__all__ = ["Sources", "pack_of", "run"]

log = logging.getLogger(__name__)
CALIBRATION_WINDOWS = 60  # set the int8 ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where sound comes from.

    ``data`` is a folder of recordings with ``manifest.tsv`` and parts as ``splits`` says; without
    it ``pack`` is a folder to open. ``voices`` has files of Kokoro and Piper, None where they are
    fetched to; ``silent`` speaks nothing. The other three are a user's own.
    """

    data: Path | None = None
    splits: Path = SPLITS_FILE
    pack: Path | None = None
    voices: Path | None = None
    silent: bool = False
    positives: Path | None = None
    negatives: Path | None = None
    background: Path | None = None


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
    talk = talk_folder(work)
    if recipe.pack.talk and not sources.silent:
        speak_talk(
            work, recipe.pack.talk, sources.voices,
            seed=recipe.pack.seed, processes=processes, ray=ray, progress=progress,
        )  # fmt: skip
    there = (talk / "manifest.jsonl").is_file()
    spoken = {"talk": spoken_of(talk)} if there else {}
    rows = [row for row in ledger(everything, parts, spoken) if row["used_for"] == "training"]
    return build_pack(
        work, sources.data, clips, rows, recipe.pack,
        talk=talk if there else None, augment=recipe.augment, processes=processes, ray=ray,
        progress=progress,
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
    found: list[Clip] = []
    for folder, kind in (
        (sources.positives, "wake"), (sources.negatives, "speech"), (sources.background, "noise"),
    ):  # fmt: skip
        if folder is not None:
            found += read_folder(folder, kind, recipe.words[0] if kind == "wake" else "own")
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


def hear(
    bundle: Bundle, found: TestSet, names: Sequence[str], pack: Pack | None, progress: Progress
) -> tuple[Scored, list[Condition]]:
    """Hear a part; sound without the word comes from the pack too, where one is given.

    Where there are no recordings of noise it is pink, and without impulse responses no room is
    simulated.

    Returns:
        What was heard, and under which conditions.
    """
    kind = "" if found.noises else "-pink"
    conditions = [
        parse_condition(name + (kind if name.endswith("dB") else ""))
        for name in names
        if "reverb" not in name or found.rirs
    ]
    scored = score(Detector([(bundle, None)]), found, conditions, progress=progress)
    if pack is None:
        return scored, conditions
    more = hear_features(bundle, read_dev(pack.folder))
    streams = {word: [*own, *more[word]] for word, own in scored.streams.items()}
    return Scored(scored.utterances, streams), conditions


def run(
    recipe: Recipe,
    work: Path,
    sources: Sources,
    out: Path,
    *,
    processes: int = 2,
    ray: str | None = None,
    strategy: str = "one",
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Bundle | None:
    """Do everything, from a planned recipe to a measured bundle ``out/WORD_WORD.json``.

    Args:
        recipe: what to make.
        work: folder of the stages.
        sources: where sound comes from.
        out: folder of the bundle.
        processes: worker processes on this machine.
        ray: address of a Ray cluster, to speak and cut windows there.
        strategy: how to train; see `wakeword_train.crew`.
        force: replace a bundle that exists.
        progress: called with (stage, done, in all).

    Returns:
        The bundle; None where another machine of those that train together writes it.

    Raises:
        BundleError: the bundle exists and ``force`` is not set.
        ConfigError: data is missing, or the dev part cannot hold the rate of false alarms.
    """
    name = "_".join(label_of(word) for word in recipe.words)
    if not force and (taken := [p for p in out.glob(f"{name}.*") if p.suffix != ".toml"]):
        raise BundleError(f"{taken[0]}: exists; choose another --out, or --force to replace it")
    stages: dict[str, float] = {}
    with _timed(stages, "other words and ordinary sound"):
        pack = pack_of(recipe, work, sources, processes=processes, ray=ray, progress=progress)
        own = own_clips(recipe, sources, progress)
    with _timed(stages, "synthesis"):
        if not sources.silent:
            speak(recipe, work, sources.voices, processes=processes, ray=ray, progress=progress)
    with _timed(stages, "windows"):
        windows = prepare(
            recipe, pack, work, own["train"], processes=processes, ray=ray, progress=progress
        )
    config, share = PRESETS[recipe.preset], share_of(windows.names)
    key = key_of(recipe, share, config, pack.key, sorted(clip.file for clip in own["train"]))
    folder = work / f"run-{key}"
    with _timed(stages, "training"), open_crew(strategy) as crew:
        model = train_model(recipe, windows, folder, crew=crew, progress=progress)
    if not crew.chief:
        return None
    save_weights(model, len(recipe.words), folder / f"{name}.npz")
    draft = quantise(
        model, config, recipe.words,
        windows.take(np.arange(min(CALIBRATION_WINDOWS, len(windows.label)))),
        folder / "draft" / name, smooth_steps=recipe.smooth_steps, force=True,
    )  # fmt: skip
    spoken = [clip for word in recipe.words for clip in said_by(held_out(work, word), word)]
    dev, test = (
        with_words(_recordings(sources, part), recipe, own[part], spoken, tests=part == "test")
        for part in ("dev", "test")
    )
    featured = pack if sources.data is None else None
    with _timed(stages, "choosing the threshold"):
        heard, _ = hear(
            draft, dev, CALIBRATE_ON, featured,
            lambda _, done, total: progress("calibrate", done, total),
        )  # fmt: skip
        decision = calibrate(draft, heard, recipe.fa_per_hour)
    chosen = rewrite(
        draft, decision=decision, operating_points={}, training={}, rows=[],
        path=folder / "draft" / name, force=True,
    )  # fmt: skip
    with _timed(stages, "testing"):
        heard, conditions = hear(
            chosen, test, MEASURE_ON, featured,
            lambda _, done, total: progress("measure", done, total),
        )  # fmt: skip
    facts = {
        "recipe": asdict(recipe), "model": asdict(config), "parameters": int(model.count_params()),
        "share": share, "pack": pack.key, "commit": commit(), "loss": read_losses(folder),
        "stages": {stage: round(seconds, 1) for stage, seconds in stages.items()},
        "swallowed": {word: swallowed(recipe.synth.spellings[word]) for word in recipe.words}
        if recipe.synth.spellings else {},
    }  # fmt: skip
    bundle = rewrite(
        chosen, decision=decision, operating_points=measure(chosen, heard), training=facts,
        rows=_ledger(recipe, work, sources, pack, own), path=out / name, force=force,
    )  # fmt: skip
    words = [label_of(word) for word in recipe.words]
    synthetic = [clip.synthetic for clip in test.clips if clip.label in words]
    tested = "recordings of people"
    if any(synthetic):
        people = synthetic.count(False)
        tested = "synthetic clips held out" + (f" and {people} {tested}" if people else "")
    write_report(
        out / f"{name}-report.html",
        gather(
            bundle, test, conditions,
            tested=tested, chosen_here=all(synthetic), scored=heard,
            progress=lambda _, done, total: progress("report", done, total),
        ),
    )  # fmt: skip
    return bundle


@contextmanager
def _timed(stages: dict[str, float], stage: str) -> Iterator[None]:
    """Note the seconds that a stage takes."""
    began = time.monotonic()
    yield
    stages[stage] = time.monotonic() - began


def _recordings(sources: Sources, part: str) -> TestSet:
    """Take one part of the recordings, empty where there are none."""
    if sources.data is None:
        return TestSet(clips=(), streams=())
    return read_corpus(sources.data, sources.splits, part)


def _ledger(
    recipe: Recipe, work: Path, sources: Sources, pack: Pack, own: Mapping[str, Sequence[Clip]]
) -> list[dict[str, Any]]:
    """List the recordings behind a model: the pack's, a user's, synthetic ones, the tests'."""
    spoken = {f.name: spoken_of(f) for f in spoken_folders(recipe, work) if f.is_dir()}
    mine = {clip.file: part for part, clips in own.items() for clip in clips}
    clips = [clip for some in own.values() for clip in some]
    rows = [dict(row) for row in pack.ledger] + ledger(clips, mine, spoken)
    if sources.data is not None:
        splits = {f: p for f, p in read_splits(sources.splits).items() if p != "train"}
        rows += ledger(read_clips(sources.data), splits, {})
    return rows
