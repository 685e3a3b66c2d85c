"""What a model misses while it is still training: counted as in the test, on features kept at hand.

Sound of the dev part is heard once by the front end; a model is then asked about all of it in a few
seconds, often enough to choose between its checkpoints.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wakeword.counting import Stream, Utterance, sweep
from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError
from wakeword.frontend import BINS, features, heard_at
from wakeword.metrics import at_false_alarms, check_support
from wakeword_train.checkpoints import Check, Model
from wakeword_train.conditions import Condition
from wakeword_train.data.pack_file import DevStream
from wakeword_train.recipes.parts import dev_streams
from wakeword_train.scoring import OTHER_WORDS, SAME_WORDS, hear_words
from wakeword_train.ship import HELD
from wakeword_train.testset import TestSet, label_of, says

__all__ = ["Validation", "checker", "misses_of", "prepare_validation"]

log = logging.getLogger(__name__)

PIECE = 2_400  # frames asked about at once
LEAD = 300  # frames before them that set the state: three seconds, as long as a window of training
ROWS = 64
SEED = 1
Features = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Validation:
    """Features of recordings of each word, and of sound without it.

    ``said`` has per word the features (T, 40) and an `Utterance` whose scores are still missing.
    """

    words: tuple[str, ...]
    said: tuple[tuple[str, Features, Utterance], ...]
    streams: tuple[DevStream, ...]


def prepare_validation(
    found: TestSet,
    words: Sequence[str],
    conditions: Sequence[Condition],
    more: Sequence[DevStream] = (),
) -> Validation:
    """Hear a part once.

    Args:
        found: recordings of the words, and sound without them.
        words: of the model, in its order.
        conditions: how the words are heard.
        more: sound without the words that is there as features.
    """
    said = [
        (word, features(heard), utterance)
        for word, heard, utterance in hear_words(found, words, conditions, seed=SEED)
    ]
    return Validation(tuple(words), tuple(said), (*dev_streams(found), *more))


def misses_of(
    model: Model,
    validation: Validation,
    *,
    stride: int,
    smooth_steps: int,
    fa_per_hour: float,
) -> dict[str, float]:
    """Tell what share of each word a model misses where it holds a rate of false alarms.

    The rate is held in speech and in other words of the same recordings, each by itself, as where
    a threshold is chosen. Long sound is asked about in pieces, each after the three seconds before.

    Args:
        model: from features to the probability of each word after each step.
        validation: what to hear.
        stride: frames per step.
        smooth_steps: of the decision.
        fa_per_hour: to hold.

    Returns:
        Per word the share missed, over all conditions; 1 where no threshold holds the rate.

    Raises:
        ConfigError: all sound together is too short to verify the rate.
    """
    config = DecisionConfig(smooth_steps=smooth_steps)
    probs = _ask(model, [f for _, f, _ in validation.said], stride)
    around = _ask(model, [s.features for s in validation.streams], stride)
    missed = {}
    for column, word in enumerate(validation.words):
        utterances = [
            replace(utterance, probs=row[:, column], indices=heard_at(len(row), stride))
            for (said, _, utterance), row in zip(validation.said, probs, strict=True)
            if said == word
        ]
        own = {utterance.source for said, _, utterance in validation.said if said == word}
        streams = []
        for one, row in zip(validation.streams, around, strict=True):
            part, _, label = one.part.partition(": ")
            if part == OTHER_WORDS and one.source in own:
                part = SAME_WORDS
            if part in HELD and not says(label, word):
                streams.append(
                    Stream(
                        probs=row[:, column], indices=heard_at(len(row), stride),
                        samples=one.samples, part=part,
                    )
                )  # fmt: skip
        curve = sweep(utterances, streams, config)
        check_support(fa_per_hour, sum(curve.hours))
        try:
            missed[word] = at_false_alarms(curve, fa_per_hour).frr
        except ConfigError:  # it fires all the time
            missed[word] = 1.0
    return missed


def checker(
    found: TestSet,
    words: Sequence[str],
    conditions: Sequence[Condition],
    more: Sequence[DevStream],
    *,
    stride: int,
    smooth_steps: int,
    fa_per_hour: float,
) -> Check | None:
    """Make what chooses between the checkpoints of a run; None where nobody says some word.

    The sound is heard when it is first asked for. Of several words the mean counts. Sound too short
    to verify the rate chooses nothing, and is complained about.
    """
    if {label_of(word) for word in words} - {clip.label for clip in found.clips}:
        return None
    kept: list[Validation] = []

    def check(model: Model) -> float:
        if not kept:
            kept.append(prepare_validation(found, words, conditions, more))
        try:
            missed = misses_of(
                model, kept[0], stride=stride, smooth_steps=smooth_steps, fa_per_hour=fa_per_hour
            )
        except ConfigError as exc:
            log.warning("checkpoints cannot be compared: %s", exc)
            return 1.0
        return sum(missed.values()) / len(missed)

    return check


def _ask(model: Model, sounds: Sequence[Features], stride: int) -> list[NDArray[np.float32]]:
    """Ask about each sound: (T, 40) to (T // stride, words)."""
    lead, piece = LEAD // stride, PIECE // stride
    places = [
        (number, at)
        for number, sound in enumerate(sounds)
        for at in range(0, max(len(sound) // stride, 1), piece)
    ]
    # Alike in length, so that little is padded; short recordings do not wait for long ones.
    places.sort(key=lambda place: -_length(sounds[place[0]], place[1], lead, piece, stride))
    answers: list[dict[int, NDArray[np.float32]]] = [{} for _ in sounds]
    for first in range(0, len(places), ROWS):
        group = places[first : first + ROWS]
        longest = _length(sounds[group[0][0]], group[0][1], lead, piece, stride)
        # A graph for each length would be built anew: round up.
        longest = -(-longest // 64) * 64
        x = np.zeros((ROWS, longest * stride, BINS), np.uint16)
        for row, (number, at) in enumerate(group):
            begin = max(at - lead, 0)
            part = sounds[number][begin * stride : (at + piece) * stride]
            part = part[: len(part) // stride * stride]
            x[row, : len(part)] = part
        told = model(x)
        for row, (number, at) in enumerate(group):
            begin = max(at - lead, 0)
            stop = min(at + piece, len(sounds[number]) // stride)
            answers[number][at] = told[row, at - begin : stop - begin]
    return [np.concatenate([found[at] for at in sorted(found)]) for found in answers]


def _length(sound: Features, at: int, lead: int, piece: int, stride: int) -> int:
    """Count the steps of a piece, with those before it."""
    return min(at + piece, len(sound) // stride) - max(at - lead, 0)
