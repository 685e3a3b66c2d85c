"""What a threshold is chosen on, and what a model is tested on.

Recordings of people where there are enough; for a word that hardly anybody says there, synthetic
clips that were held out as well. Sound without the word comes from recordings, or as features from
the pack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wakeword.audio import read_audio
from wakeword.bundle import Bundle
from wakeword.counting import Stream
from wakeword.detector import Detector
from wakeword.frontend import features, heard_at
from wakeword.model import open_model
from wakeword_train.conditions import LEAD, Condition, hiss, parse_condition
from wakeword_train.data.manifest import Clip
from wakeword_train.data.pack import Pack
from wakeword_train.data.pack_file import DevStream, read_dev
from wakeword_train.recipes.config import Recipe
from wakeword_train.scoring import GAP, OTHER_WORDS, Scored, score
from wakeword_train.synth import read_manifest
from wakeword_train.testset import Recording, TestSet, label_of, says

__all__ = [
    "HELD_OUT",
    "conditions_of",
    "dev_streams",
    "hear",
    "hear_features",
    "said_by",
    "with_words",
]

Progress = Callable[[str, int, int], None]

HELD_OUT = "synthetic voices, held out"
SEED = 1
FEWEST = 10  # recordings of a word that decide by themselves


def said_by(folder: Path, word: str) -> list[Recording]:
    """List the synthetic clips in a folder that say a word; none where there is no folder."""
    if not (folder / "manifest.jsonl").is_file():
        return []
    return [
        Recording(
            path=folder / row["file"], name=f"{folder.name}/{row['file']}", label=label_of(word),
            source=HELD_OUT, synthetic=True,
        )
        for row in read_manifest(folder)
    ]  # fmt: skip


def with_words(
    found: TestSet,
    recipe: Recipe,
    own: Sequence[Clip],
    held_out: Sequence[Recording],
    *,
    tests: bool,
) -> TestSet:
    """Add a user's clips to a part, and synthetic ones of each word that few say in it.

    Args:
        found: recordings with a list, perhaps none.
        recipe: its words. A threshold is chosen without their recordings where it leaves them out;
            a test takes them all the same.
        own: a user's clips of this part; of kind "wake" they say the word, else they are negatives.
        held_out: synthetic clips.
        tests: this part tests.
    """
    words = [label_of(word) for word in recipe.words]
    clips = [clip for clip in found.clips if tests or recipe.real or clip.label not in words]
    streams = list(found.streams)
    for one in own:
        recording = Recording(
            path=Path(one.file), name=Path(one.file).name, label=label_of(one.label),
            source=one.source, speaker=one.speaker,
        )  # fmt: skip
        if one.kind == "wake":
            clips.append(recording)
        else:
            streams.append((one.kind, recording))
    for word in words:
        if sum(clip.label == word for clip in clips) < FEWEST:
            clips += [clip for clip in held_out if clip.label == word]
    return replace(found, clips=tuple(clips), streams=tuple(streams))


def dev_streams(found: TestSet) -> list[DevStream]:
    """Turn the sound of a part into features, the clips of each word joined with gaps of hiss."""
    groups: dict[tuple[str, str], list[Recording]] = {}
    for clip in found.clips:
        groups.setdefault((clip.label, clip.source), []).append(clip)
    streams = []
    gap = hiss(SEED, GAP)
    for (label, source), clips in sorted(groups.items()):
        spoken = [read_audio(clip.path) for clip in clips]
        joined = [hiss(SEED, LEAD), *(part for samples in spoken for part in (samples, gap))]
        count = sum(len(samples) for samples in spoken)
        heard = features(np.concatenate(joined))
        streams.append(DevStream(f"{OTHER_WORDS}: {label}", source, count, heard))
    for part, one in found.streams:
        samples = read_audio(one.path)
        streams.append(DevStream(part, one.source, len(samples), features(samples)))
    return streams


def conditions_of(found: TestSet, names: Sequence[str]) -> list[Condition]:
    """Read conditions as a part can be heard: without recordings of noise it is pink.

    Without impulse responses there is no room, without long speech no talk.
    """
    kind = "" if found.noises else "-pink"
    return [
        parse_condition(name + (kind if name.endswith("dB") else ""))
        for name in names
        if ("reverb" not in name or found.rirs) and ("talk" not in name or found.talks)
    ]


def hear(
    bundle: Bundle,
    found: TestSet,
    names: Sequence[str],
    pack: Pack | None,
    progress: Progress,
    speeds: Sequence[float] = (1.0,),
) -> tuple[Scored, list[Condition]]:
    """Hear a part; sound without the word comes from the pack too, where one is given.

    Recordings without the word are heard at each of ``speeds``, see `wakeword_train.scoring.score`.

    Returns:
        What was heard, and under which conditions.
    """
    conditions = conditions_of(found, names)
    scored = score(Detector([(bundle, None)]), found, conditions, speeds=speeds, progress=progress)
    if pack is None:
        return scored, conditions
    more = hear_features(bundle, read_dev(pack.folder))
    streams = {word: [*own, *more[word]] for word, own in scored.streams.items()}
    return Scored(scored.utterances, streams), conditions


def hear_features(bundle: Bundle, streams: Sequence[DevStream]) -> dict[str, list[Stream]]:
    """Score features without any of the words, as the detector would the sound they come from."""
    model = open_model(bundle)
    found: dict[str, list[Stream]] = {word: [] for word in bundle.words}
    for one in streams:
        part, _, label = one.part.partition(": ")
        steps = len(one.features) // model.stride
        probs, _ = model.run(one.features[: steps * model.stride], model.initial_state())
        indices = heard_at(steps, model.stride)
        for column, word in enumerate(bundle.words):
            if not says(label, word):
                found[word].append(
                    Stream(
                        probs=probs[:, column], indices=indices, samples=one.samples,
                        part=part, source=one.source,
                    )
                )  # fmt: skip
    return found
