"""How well do statistics of a word tell who said it? Fit the space of voices, and measure it.

    python bench/speakers.py --data DIR --fit
    python bench/speakers.py --data DIR --markdown docs/DAEMON.md

Voices of the training part make the space, those of the development part its threshold, and those
of the test part the figures; no voice is in two. A word is cut out where its shipped model fires in
the clean recording, also where noise was added. Words without a model are cut out where they are
loudest, in training alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from machine import machine, put_section, versions
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "train")]

from wakeword.audio import RATE_HZ, read_audio  # noqa: E402 - the checkout's own
from wakeword.daemon.voice import (  # noqa: E402
    LOOK_BACK,
    SIZE,
    SPACE_FILE,
    WORD,
    VoiceSpace,
    shipped_space,
    voice_vector,
)
from wakeword.detector import Detector  # noqa: E402
from wakeword.intervals import share_interval  # noqa: E402
from wakeword_train.data.manifest import Clip, read_clips, trains  # noqa: E402
from wakeword_train.data.splits import read_splits  # noqa: E402

MODELS = {"computer": "computer", "jarvis": "jarvis", "alexa": "alexa"}
SHRINK = 0.3  # of the covariance within voices towards its diagonal
COPIES = ((None, None), (5.0, 20.0))  # of each clip of training, and the dB above noise
CONDITIONS = {"clean": None, "20 dB": 20.0, "10 dB": 10.0}
ENROLLED = 3
SEED = 1

Sound = NDArray[np.int16]
Heard = tuple[str, str, NDArray[np.float64]]


class Recordings:
    """Clips by part, and noise of the same part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clips = read_clips(folder)
        self._parts = read_splits()
        self._detectors = {word: Detector.load(model) for word, model in MODELS.items()}

    def clips(self, part: str, kinds: Sequence[str]) -> Iterator[tuple[Clip, Sound]]:
        """Yield clips of a part with their sound."""
        name, whole = "", np.zeros(0, np.int16)
        for clip in self._clips:
            if clip.kind in kinds and self._parts.get(clip.file) == part:
                if clip.file != name:
                    name, whole = clip.file, read_audio(self._folder / clip.file)
                begin = round(clip.start_s * RATE_HZ)
                yield clip, whole[begin : begin + round(clip.dur_s * RATE_HZ)]

    def noise(self, part: str) -> NDArray[np.float64]:
        """Noise of a part in one piece, without its silences."""
        pieces = [sound[: 10 * RATE_HZ] for _, sound in self.clips(part, ("noise",))]
        sound = np.concatenate(pieces).astype(np.float64)
        loud = np.convolve(np.abs(sound), np.ones(1600) / 1600, "same") > 20
        return np.asarray(sound[loud])

    def fired(self, word: str, sound: Sound) -> int | None:
        """Where the word fires, if it does; the loudest where there is no model of it."""
        if word not in self._detectors:
            total = np.cumsum(sound.astype(np.float64) ** 2)
            before = np.concatenate([np.zeros(min(WORD, len(sound))), total[:-WORD]])
            return int((total - before).argmax()) + 1
        detector = self._detectors[word]
        detector.reset()
        quiet = np.zeros(RATE_HZ // 2, np.int16)
        found = [d for d in detector.feed(np.concatenate([sound, quiet])) if d.word == word]
        return min(found[0].sample_index, len(sound)) if found else None


def noisy(
    sound: Sound, noise: NDArray[np.float64], above_db: float, rng: np.random.Generator
) -> Sound:
    """Add noise, so many dB below the loudest third of the sound."""
    begin = int(rng.integers(0, len(noise) - len(sound)))
    piece = noise[begin : begin + len(sound)]
    square = np.sort(sound.astype(np.float64) ** 2)[-len(sound) // 3 :].mean()
    gain = np.sqrt(square / (np.mean(piece**2) + 1)) * 10 ** (-above_db / 20)
    return np.clip(np.rint(sound + gain * piece), -32768, 32767).astype(np.int16)


def other_microphone(sound: Sound, rng: np.random.Generator) -> Sound:
    """Another smooth frequency response, 3 dB rms."""
    spectrum = np.fft.rfft(sound.astype(np.float64))
    at = np.sqrt(np.linspace(0, 1, len(spectrum)))
    curve_db = np.interp(at, np.linspace(0, 1, 7), rng.normal(0, 3, 7))
    shaped = np.fft.irfft(spectrum * 10 ** (curve_db / 20), len(sound))
    return np.clip(np.rint(shaped), -32768, 32767).astype(np.int16)


def fit(recordings: Recordings) -> VoiceSpace:
    """Learn from the voices of training how one differs from itself, and from others."""
    rng = np.random.default_rng(SEED)
    noise = recordings.noise("train")
    heard: list[Heard] = []
    for clip, sound in recordings.clips("train", ("wake", "wake_extra", "command")):
        end = recordings.fired(clip.label, sound)
        if not clip.speaker or not trains(clip) or end is None:
            continue
        for low, high in COPIES:
            copy = other_microphone(sound, rng)
            if low is not None and high is not None:
                copy = noisy(copy, noise, rng.uniform(low, high), rng)
            vector = voice_vector(copy[max(0, end - LOOK_BACK) : end])
            if vector is not None:
                heard.append((clip.label, clip.speaker, vector))
    vectors = np.array([vector for _, _, vector in heard])
    deviation = vectors.std(axis=0)
    scaled = vectors / deviation
    labels = np.array([label for label, _, _ in heard])
    for label in set(labels):  # what differs between words is no voice
        scaled[labels == label] -= scaled[labels == label].mean(axis=0)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, (label, speaker, _) in enumerate(heard):
        groups[label, speaker].append(n)
    several = [scaled[members] for members in groups.values() if len(members) > 1]
    freedom = sum(len(own) - 1 for own in several)
    within = sum(((own - own.mean(axis=0)).T @ (own - own.mean(axis=0)) for own in several),
                 np.zeros((SIZE, SIZE))) / freedom  # fmt: skip
    means = np.array([own.mean(axis=0) for own in several])
    between = np.cov(means.T) - within * np.mean([1 / len(own) for own in several])
    within = (1 - SHRINK) * within + SHRINK * np.diag(np.diag(within))
    whiten = np.linalg.inv(np.linalg.cholesky(within))
    variance, turn = np.linalg.eigh(whiten @ between @ whiten.T)
    print(f"{len(heard)} words of {len({s for _, s, _ in heard})} voices", file=sys.stderr)
    return VoiceSpace(deviation, turn.T @ whiten, np.maximum(variance, 0), 0.0, "")


def vectors_of(recordings: Recordings, part: str) -> dict[str, list[Heard]]:
    """Describe the voices of a part in each condition."""
    rng = np.random.default_rng(SEED)
    noise = recordings.noise(part)
    found: dict[str, list[Heard]] = {name: [] for name in CONDITIONS}
    for clip, sound in recordings.clips(part, ("wake",)):
        end = recordings.fired(clip.label, sound) if clip.label in MODELS else None
        if end is None:
            continue
        for name, above_db in CONDITIONS.items():
            copy = sound if above_db is None else noisy(sound, noise, above_db, rng)
            vector = voice_vector(copy[max(0, end - LOOK_BACK) : end])
            if vector is None:
                vector = np.full(SIZE, np.nan)
            found[name].append((clip.label, clip.speaker, vector))
    return found


def trials(
    space: VoiceSpace, enrol: list[Heard], test: list[Heard], words: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of those who are enrolled, and of all others who say the word."""
    rng = np.random.default_rng(SEED)
    own: list[float] = []
    others: list[float] = []
    for word in words:
        groups: dict[str, list[int]] = defaultdict(list)
        for n, (label, speaker, vector) in enumerate(enrol):
            if label == word and np.isfinite(vector).all():
                groups[speaker].append(n)
        places = {n: space.place(test[n][2]) for members in groups.values() for n in members}
        for speaker, members in groups.items():
            if len(members) <= ENROLLED:
                continue
            order = rng.permutation(members)
            known = np.mean([space.place(enrol[n][2]) for n in order[:ENROLLED]], axis=0)
            own += [space.score(places[n], known, ENROLLED) for n in order[ENROLLED:]]
            others += [
                space.score(places[n], known, ENROLLED)
                for stranger, theirs in groups.items() if stranger != speaker for n in theirs
            ]  # fmt: skip
    tidy = [np.nan_to_num(np.array(scores), nan=-1e9) for scores in (own, others)]
    return tidy[0], tidy[1]


def equal_rate(own: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[float, float]:
    """Return the rate at which as many are refused as strangers taken, and its threshold."""
    levels = np.sort(np.concatenate([own, others]))
    refused = np.searchsorted(np.sort(own), levels) / len(own)
    taken = 1 - np.searchsorted(np.sort(others), levels) / len(others)
    best = int(np.abs(refused - taken).argmin())
    return float((refused[best] + taken[best]) / 2), float(levels[best])


def write_space(space: VoiceSpace, threshold: float) -> None:
    """Write the space as it ships."""
    data = {
        "made by": "python bench/speakers.py --fit",
        "threshold": round(threshold, 2),
        "deviation": [float(f"{x:.6g}") for x in space.deviation],
        "between": [float(f"{x:.6g}") for x in space.between],
        "axes": [[float(f"{x:.6g}") for x in row] for row in space.axes],
    }
    partial = SPACE_FILE.with_suffix(".part")
    partial.write_text(json.dumps(data) + "\n", encoding="utf-8")
    partial.replace(SPACE_FILE)


def percent(count: int, of: int) -> str:
    """A rate and its exact 95 % interval."""
    low, high = share_interval(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def page(recordings: Recordings) -> str:
    """Measure, and write the result as Markdown."""
    space = shipped_space()
    found = vectors_of(recordings, "test")
    began_s = time.process_time()
    for _ in range(50):
        voice_vector(np.arange(LOOK_BACK, dtype=np.int16) % 997)
    cost_ms = (time.process_time() - began_s) / 50 * 1000
    rows = []
    for words in (("computer", "jarvis"), ("alexa",)):
        for name in CONDITIONS:
            own, others = trials(space, found["clean"], found[name], words)
            rate, _ = equal_rate(own, others)
            refused = int((own < space.threshold).sum())
            taken = int((others >= space.threshold).sum())
            rows.append(
                f"| {' and '.join(words)} | {name} | {100 * rate:.1f} | "
                f"{percent(refused, len(own))} | {percent(taken, len(others))} |"
            )
    voices = len({speaker for _, speaker, _ in found["clean"]})
    words_of = len(found["clean"])
    return "\n".join([
        f"`python bench/speakers.py --data DIR`, {time.strftime('%Y-%m-%d')}. {machine()}. "
        f"{versions(('numpy',))}.", "",
        f"{words_of} words of {voices} voices that neither made the space nor chose its threshold "
        f"({space.threshold:g}); each enrolled with {ENROLLED} clean clips. One look at a word "
        f"takes {cost_ms:.1f} ms of CPU here.", "",
        "| word | noise | equal error rate, % | own voice refused, % | another voice taken, % |",
        "|---|---|---|---|---|", *rows,
    ])  # fmt: skip


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="recordings with a manifest.tsv")
    parser.add_argument("--fit", action="store_true", help="make the space that ships anew")
    parser.add_argument("--markdown", type=Path, help="write the result into this page")
    args = parser.parse_args()
    recordings = Recordings(args.data)
    if args.fit:
        space = fit(recordings)
        found = vectors_of(recordings, "dev")
        pairs = [
            trials(space, found["clean"], found[name], tuple(MODELS)) for name in ("clean", "10 dB")
        ]
        own, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
        rate, threshold = equal_rate(own, others)
        print(f"development: {100 * rate:.1f} % at {threshold:.2f}", file=sys.stderr)
        write_space(space, threshold)
        return 0
    text = page(recordings)
    if args.markdown:
        put_section(args.markdown, "speakers", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
