"""From a trained model to a bundle: quantise, calibrate on the dev part, measure on the test."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle, write_bundle
from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError
from wakeword.metrics import (
    Utterance,
    at_false_alarms,
    operating_point,
    sweep,
    with_utterances,
)
from wakeword.model import open_model
from wakeword_train.data.manifest import Clip, trains
from wakeword_train.data.pack import Joined
from wakeword_train.data.windows import Windows
from wakeword_train.models.trigger import TriggerConfig
from wakeword_train.quantize import convert, float_scores, representative_steps, step_weights
from wakeword_train.scoring import SAME_WORDS, Scored

__all__ = ["calibrate", "ledger", "measure", "quantise", "some_windows"]

log = logging.getLogger(__name__)
RANGES_OF = (3, 15, 60)  # windows
CALIBRATE_ON = ("clean", "10dB", "0dB", "talk")
SPEEDS = (0.93, 1.0, 1.07)  # negatives are few: other speeds make other voices of them
HELD = ("speech", SAME_WORDS)
MEASURE_ON = ("clean", "10dB", "0dB", "reverb", "talk", "talk-10dB")
Converted = tuple[bytes, dict[str, list[str]]]  # of `convert`


def some_windows(windows: Windows | Joined, seed: int) -> NDArray[np.uint16]:
    """Draw the windows that :func:`quantise` takes: of all sorts, as they are trained on."""
    rows = np.random.default_rng(seed).permutation(len(windows.label))
    return windows.take(rows[: 4 * RANGES_OF[-1]])


def quantise(
    model: Any,
    config: TriggerConfig,
    words: Sequence[str],
    windows: NDArray[np.uint16],
    path: Path,
    *,
    smooth_steps: int = 3,
    int8: bool = True,
    force: bool = False,
) -> Bundle:
    """Write a bundle of the model's step with default decisions.

    The more windows set the ranges of int8, the wider those are, and the coarser is what lies
    within. So several numbers of windows are tried, and the ranges with which the scores of the
    others come out closest to those in float are taken.

    Args:
        model: Keras model whose first heads are the words; the others are dropped.
        config: its sizes.
        words: what the kept heads mean.
        windows: shape (B, T, 40), raw features to set the int8 ranges by and to compare on.
        path: of the bundle, without suffix.
        smooth_steps: of the default decisions.
        int8: False keeps float32, for comparison.
        force: replace a bundle that exists.
    """
    weights = step_weights(model, config, len(words))

    def converted(count: int) -> Converted:
        calibration = representative_steps(weights, windows[:count], every=4) if int8 else None
        return convert(weights, calibration)

    def write(found: Converted, path: Path, force: bool) -> Bundle:
        content, tensors = found
        return write_bundle(
            path, model=content, words=words, stride=config.stride, kernel=config.kernel,
            inputs=tensors["inputs"], outputs=tensors["outputs"],
            decision={word: DecisionConfig(smooth_steps=smooth_steps) for word in words},
            force=force,
        )  # fmt: skip

    counts = [count for count in RANGES_OF if 2 * count <= len(windows)]
    if not int8 or len(counts) < 2:
        return write(converted(len(windows)), path, force)
    whole = windows.shape[1] // config.stride * config.stride
    apart = windows[counts[-1] :, :whole]
    wanted = float_scores(weights, apart)
    tried: dict[float, Converted] = {}  # by how far the scores are from float
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            one = converted(count)
            step = open_model(write(one, Path(folder, f"of_{count}"), True))
            found = [step.run(frames, step.initial_state())[0] for frames in apart]
            error = float(np.abs(np.stack(found) - wanted).mean())
            log.info("ranges of %d windows: scores %.5f from float", count, error)
            tried.setdefault(error, one)
    return write(tried[min(tried)], path, force)


def calibrate(bundle: Bundle, heard: Scored, fa_per_hour: float) -> dict[str, DecisionConfig]:
    """Choose each word's threshold on sound that no part of training heard, at `SPEEDS` at best.

    The threshold is the middle of those with the fewest misses, clean and in noise, that hold
    ``fa_per_hour`` in long speech and in the words of the same recordings, each by itself. A part
    too short to show the rate may have no false alarm at all. Single words and noises of other
    recordings are measured but not held: one a second, they are not what a room sounds like.
    Where only a threshold at which nothing is heard holds the rate, it is the highest that misses
    a tenth more than the fewest at most, with a warning: a model that never wakes serves nobody.

    Raises:
        ConfigError: the hours cannot verify the rate, or no threshold holds it.
    """
    chosen = {}
    for word in bundle.words:
        config = bundle.decision[word]
        streams = [stream for stream in heard.streams[word] if stream.part in HELD]
        curve = sweep(heard.utterances[word], streams, config)
        point = at_false_alarms(curve, fa_per_hour, "dev")
        threshold = point.threshold
        if point.misses == point.clips:
            few = curve.misses <= curve.misses.min() + 0.1 * curve.clips
            best = int(np.flatnonzero(few)[-1])
            threshold = float(np.floor(1_000 * curve.thresholds[best]) / 1_000)
            log.warning(
                "%s: no threshold at which it is heard holds %g false alarms per hour; at %.3f "
                "there were %d in %.1f h: train with more sound without it (--negatives)",
                word, fa_per_hour, threshold, curve.false_alarms[best].sum(), sum(curve.hours),
            )  # fmt: skip
        chosen[word] = config.with_threshold(round(threshold, 3))
    return chosen


def measure(bundle: Bundle, heard: Scored, name: str = "test") -> dict[str, list[dict[str, Any]]]:
    """State the operating points of a bundle at its own thresholds.

    Returns:
        Per word: each condition with all negatives, then clean with each part of the negatives.
    """
    points: dict[str, list[dict[str, Any]]] = {}
    for word in bundle.words:
        config = bundle.decision[word]
        said, streams = heard.utterances[word], heard.streams[word]
        at = [config.threshold]
        by_name = {c: [u for u in said if u.condition == c] for c in _conditions(said)}
        clean = by_name.get("clean", said)
        whole = sweep(clean, streams, config, thresholds=at)
        rows = [
            operating_point(with_utterances(whole, some), 0, f"{name}, {condition}")
            for condition, some in by_name.items()
        ]
        for part in whole.parts:
            own = [s for s in streams if s.part == part]
            one = sweep(clean, own, config, thresholds=at)
            rows.append(operating_point(one, 0, f"{name}, clean, {part}"))
        points[word] = [asdict(row) for row in rows]
    return points


def _conditions(said: Iterable[Utterance]) -> list[str]:
    """Name the conditions in the order in which they were heard."""
    return list(dict.fromkeys(one.condition for one in said))


def ledger(
    clips: Iterable[Clip], splits: Mapping[str, str], synthetic: Mapping[str, tuple[int, float]]
) -> list[dict[str, Any]]:
    """List the sets of recordings behind a model, with source, licence and use.

    A set is what one collection gave to one use under one licence: ``name`` is the collection's,
    ``source`` says what was taken from it.

    Args:
        clips: all recordings.
        splits: file to its part; recordings that are in none are left out.
        synthetic: sort of synthetic speech to the clips that were used, and their hours.
    """
    uses = {"train": "training", "dev": "choosing the threshold", "test": "testing"}
    found: dict[tuple[str, str, str], list[Clip]] = {}
    for clip in clips:
        if splits.get(clip.file) == "train" and not trains(clip):
            continue
        if clip.file in splits:
            key = (uses[splits[clip.file]], clip.source.split("/")[0], clip.licence)
            found.setdefault(key, []).append(clip)
    rows = [
        {
            "name": name, "source": _few(c.label for c in some), "licence": licence,
            "clips": len(some), "hours": round(sum(c.dur_s for c in some) / 3600, 3),
            "used_for": use,
        }
        for (use, name, licence), some in sorted(found.items())
    ]  # fmt: skip
    rows += [
        {
            "name": f"synthetic speech: {sort}", "source": "Kokoro-82M, 54 voices mixed",
            "licence": "Apache-2.0", "clips": count, "hours": round(hours, 3),
            "used_for": "training",
        }
        for sort, (count, hours) in synthetic.items()
    ]  # fmt: skip
    return rows


def _few(labels: Iterable[str], most: int = 4) -> str:
    """Name the first labels and count the rest."""
    names = sorted(set(labels))
    rest = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + rest)


def commit() -> str:
    """Name the commit of the code, empty outside a checkout."""
    done = subprocess.run(  # nosec B607 # whichever git the user has
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else ""


def rewrite(
    bundle: Bundle,
    *,
    decision: Mapping[str, DecisionConfig],
    operating_points: Mapping[str, Sequence[Mapping[str, Any]]],
    training: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    force: bool,
) -> Bundle:
    """Write the bundle again with what was measured."""
    if missing := set(bundle.words) - set(decision):
        raise ConfigError(f"no decision for {sorted(missing)}: calibrate every word")
    return write_bundle(
        path, model=bundle.model_bytes, words=bundle.words, stride=bundle.stride,
        kernel=bundle.kernel, inputs=bundle.inputs, outputs=bundle.outputs, decision=decision,
        operating_points=operating_points, training=training, ledger=rows, force=force,
    )  # fmt: skip
