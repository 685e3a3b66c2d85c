"""From a recipe to a measured bundle: train, quantise, calibrate, measure, write.

Each stage leaves its result in the work folder and is not done again when it is there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from wakeword.bundle import Bundle, read_bundle
from wakeword.errors import BundleError
from wakeword_train.crew import open_crew
from wakeword_train.data.manifest import Clip, read_clips
from wakeword_train.data.near import swallowed
from wakeword_train.data.pack import Pack, key_of
from wakeword_train.data.pack_file import read_dev
from wakeword_train.data.splits import read_splits
from wakeword_train.judge import judge
from wakeword_train.loop import read_losses
from wakeword_train.models.trigger import save_weights
from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.parts import conditions_of, hear, said_by, with_words
from wakeword_train.recipes.sources import Sources, own_clips, pack_of, recordings_of
from wakeword_train.recipes.trigger import (
    Progress,
    backbone_of,
    heads_of,
    held_out,
    prepare,
    share_of,
    speak,
    spoken_folders,
    train_model,
)
from wakeword_train.report import gather, write_report
from wakeword_train.ship import (
    CALIBRATE_ON,
    MEASURE_ON,
    SPEEDS,
    calibrate,
    commit,
    ledger,
    measure,
    quantise,
    rewrite,
    some_windows,
)
from wakeword_train.synth import spoken_of
from wakeword_train.testset import TestSet, label_of
from wakeword_train.validation import checker

__all__ = ["run", "run_folder"]

log = logging.getLogger(__name__)


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
    config, share = recipe.model, share_of(windows.names)
    folder = run_folder(work, recipe, pack, windows.names, own["train"])
    spoken = [clip for word in recipe.words for clip in said_by(held_out(work, word), word)]
    dev, test = (
        with_words(recordings_of(sources, part), recipe, own[part], spoken, tests=part == "test")
        for part in ("dev", "test")
    )
    featured = pack if sources.data is None else None
    compare = checker(
        dev, recipe.words, conditions_of(dev, CALIBRATE_ON), read_dev(pack.folder) if featured
        else (), stride=config.stride, smooth_steps=recipe.smooth_steps,
        fa_per_hour=recipe.fa_per_hour,
    )  # fmt: skip
    with _timed(stages, "training"), open_crew(strategy) as crew:
        model = train_model(
            recipe, windows, folder,
            backbone=backbone_of(recipe), check=compare, crew=crew, progress=progress,
        )  # fmt: skip
    if not crew.chief:
        return None
    save_weights(model, len(recipe.words), folder / f"{name}.npz")
    draft = quantise(
        model, config, recipe.words, some_windows(windows, recipe.seed), folder / "draft" / name,
        smooth_steps=recipe.smooth_steps, force=True,
    )  # fmt: skip
    with _timed(stages, "choosing the threshold"):
        heard, _ = hear(
            draft, dev, CALIBRATE_ON, featured,
            lambda _, done, total: progress("calibrate", done, total), SPEEDS,
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
        before = {}
        if own["train"]:
            names = [group for group, _ in heads_of(recipe, pack).values()]
            earlier = run_folder(work, recipe, pack, names, ()) / "draft" / f"{name}.json"
            before = _before(earlier, test, featured, progress)
    facts = {
        "recipe": asdict(recipe), "model": asdict(config), "parameters": int(model.count_params()),
        "share": share, "pack": pack.key, "backbone": backbone_of(recipe) is not None,
        "commit": commit(), "loss": read_losses(folder),
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
            tested=tested, chosen_here=all(synthetic), scored=heard, before=before,
            progress=lambda _, done, total: progress("report", done, total),
        ),
    )  # fmt: skip
    return bundle


def run_folder(
    work: Path, recipe: Recipe, pack: Pack, groups: Sequence[str], own: Sequence[Clip]
) -> Path:
    """Name the folder of a training after all that decides it."""
    start = backbone_of(recipe)
    made_of = (
        share_of(groups), recipe.model, pack.key, sorted(clip.file for clip in own),
        start and sha256(start.read_bytes()).hexdigest(),
    )  # fmt: skip
    return work / f"run-{key_of(recipe, *made_of)}"


def _before(
    earlier: Path, test: TestSet, pack: Pack | None, progress: Progress
) -> dict[str, Mapping[str, Any]]:
    """Test the model as it was without a user's recordings, where it was trained once."""
    if not earlier.is_file():
        log.info("train once without your recordings too, and the report tells what they change")
        return {}
    bundle = read_bundle(earlier)
    heard, conditions = hear(
        bundle, test, MEASURE_ON, pack,
        lambda _, done, total: progress("measure without your recordings", done, total),
    )  # fmt: skip
    found, _ = judge(bundle, heard, conditions, targets=())
    return {word: counted["rows"]["in use"] for word, counted in found["words"].items()}


@contextmanager
def _timed(stages: dict[str, float], stage: str) -> Iterator[None]:
    """Note the seconds that a stage takes."""
    began = time.monotonic()
    yield
    stages[stage] = time.monotonic() - began


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
