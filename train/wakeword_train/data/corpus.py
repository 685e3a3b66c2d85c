"""All recordings of one part, decoded once into one memory-mapped file.

``corpus.npy`` holds the samples, ``corpus.json`` says where each item lies. Both are written beside
their names and renamed, the index last, so an interrupt leaves either nothing or everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import read_audio, to_int16
from wakeword.files import beside
from wakeword_train.data.manifest import Clip
from wakeword_train.pool import workers
from wakeword_train.synth import read_manifest

__all__ = [
    "SAMPLES_FILE",
    "SPOKEN",
    "Corpus",
    "Item",
    "build_corpus",
    "morph",
    "open_corpus",
    "save_corpus",
    "word_span",
]

SAMPLES_FILE = "corpus.npy"
RATE_HZ = 16_000
FRAME = 160
PIECE = 15 * RATE_HZ
SPOKEN = ("speech", "sentence", "talk")  # kinds in which people, or for talk machines, talk on
HOLD_A_WORD = ("wake", "wake_extra", "command", "notwake", "synthetic", "near")
QUIET_DB = 30.0  # below the loudest 50 ms of a clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One recording in the corpus: samples ``start`` to ``stop``, the word within them."""

    start: int
    stop: int
    word_start: int
    word_stop: int
    kind: str
    label: str
    speaker: str
    source: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Samples (N,) int16 at 16 kHz and the items in them."""

    samples: NDArray[np.int16]
    items: tuple[Item, ...]

    def audio(self, item: Item) -> NDArray[np.float32]:
        """Give an item as float32 in [-1, 1)."""
        samples = self.samples[item.start : item.stop]
        return np.divide(samples, 32768, dtype=np.float32)


def word_span(samples: NDArray[np.int16]) -> tuple[int, int]:
    """Estimate where the one word of a clip begins and ends.

    Args:
        samples: shape (N,), 16 kHz.

    Returns:
        First and one past the last sample of the frames whose level, averaged over 50 ms, is within
        30 dB of the loudest and 6 dB above the clip's quietest tenth. (0, N) for silence.
    """
    count = len(samples) // FRAME
    if count < 5:
        return 0, len(samples)
    frames = samples[: count * FRAME].reshape(count, FRAME).astype(np.float64)
    power = np.convolve((frames**2).mean(axis=1), np.full(5, 0.2), mode="same") + 1e-3
    level_db = 10 * np.log10(power)
    floor_db = min(float(np.percentile(level_db, 10)) + 6, float(level_db.max()) - 10)
    loud = np.flatnonzero(level_db >= max(float(level_db.max()) - QUIET_DB, floor_db))
    return int(loud[0]) * FRAME, int(loud[-1] + 1) * FRAME


def morph(
    samples: NDArray[np.int16], formant: float, pitch: float, speed: float, seed: int = 0
) -> NDArray[np.int16]:
    """Make another speaker of one: shift formants and pitch with Praat's "Change gender".

    Args:
        samples: shape (N,), 16 kHz.
        formant: ratio of the formants, .8 to 1.25.
        pitch: ratio of the median pitch; voiceless clips keep theirs.
        speed: above 1 is faster.
        seed: where the sound has no pitch, Praat lays pieces of it in an order that it draws.

    Source: Praat manual, "Sound: Change gender...".
    """
    import parselmouth
    from parselmouth.praat import call, run

    run(f"random_initializeWithSeedUnsafelyButPredictably ({seed})")
    sound = parselmouth.Sound(samples.astype(np.float64) / 32768, RATE_HZ)
    track = sound.to_pitch(pitch_floor=75, pitch_ceiling=500)
    median = call(track, "Get quantile", 0, 0, 0.5, "Hertz")
    target = 0.0 if np.isnan(median) else float(np.clip(median * pitch, 70, 450))
    changed = call(sound, "Change gender", 75, 500, formant, target, 1.0, 1 / speed)
    out = np.asarray(changed.values[0])
    return to_int16(out)


def _morphs(samples: NDArray[np.int16], count: int, seed: int) -> list[NDArray[np.int16]]:
    """Draw and make the morphs of one clip."""
    import parselmouth

    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        formant = float(rng.uniform(0.84, 1.2))
        pitch = float(rng.uniform(0.75, 1.35))
        speed = float(rng.uniform(0.85, 1.18))
        try:
            made.append(morph(samples, formant, pitch, speed, 1_000 * seed + number))
        except parselmouth.PraatError:  # a clip without a pitch has no other voice
            continue
    return made


def _real_items(folder: Path, clips: Iterable[Clip]) -> Iterator[tuple[NDArray[np.int16], Clip]]:
    """Decode clips; a stream is read once, as one item."""
    seen: set[str] = set()
    for clip in clips:
        if clip.file in seen:
            continue
        seen.add(clip.file)
        yield read_audio(folder / clip.file), clip


def build_corpus(
    path: Path,
    folder: Path,
    clips: Sequence[Clip],
    *,
    synthetic: Sequence[Path] = (),
    morphs: dict[str, int] | None = None,
    synthetic_morphs: int = 1,
    talk_morphs: int = 0,
    bank: Path | None = None,
    seed: int = 0,
    processes: int = 2,
    ray: str | None = None,
) -> Corpus:
    """Decode recordings and synthetic clips into ``path`` or open them if they are there.

    Args:
        path: folder for ``corpus.npy`` and ``corpus.json``.
        folder: what ``Clip.file`` is relative to.
        clips: the recordings to take.
        synthetic: folders made by :func:`wakeword_train.synth.synthesize`.
        morphs: label to number of morphs of each real clip.
        synthetic_morphs: morphs of each synthetic clip.
        talk_morphs: morphs of each 15 s of speech without a word: what is done to the words only
            would give them away.
        bank: a corpus whose items are laid beside these as they are.
        seed: of the morphs.
        processes: worker processes for the morphs.
        ray: address of a Ray cluster for the morphs, in place of processes.
    """
    if (path / "corpus.json").is_file():
        return open_corpus(path)
    audio: list[NDArray[np.int16]] = []
    facts: list[tuple[str, str, str, str]] = []  # kind, label, speaker, source
    jobs: list[tuple[NDArray[np.int16], int, int]] = []
    parents: list[int] = []

    def add(samples: NDArray[np.int16], kind: str, label: str, who: str, src: str, n: int) -> None:
        audio.append(samples)
        facts.append((kind, label, who, src))
        if n:
            # Speech is morphed in pieces, so that one stream becomes many voices.
            pieces = np.array_split(samples, max(round(len(samples) / PIECE), 1))
            jobs.extend((piece, n, seed + len(jobs) + m) for m, piece in enumerate(pieces))
            parents.extend([len(audio) - 1] * len(pieces))

    for samples, clip in _real_items(folder, clips):
        copies = (morphs or {}).get(clip.label, 0)
        if clip.kind in SPOKEN:
            copies = talk_morphs
        add(samples, clip.kind, clip.label, clip.speaker, clip.file, copies)
    for base in synthetic:
        for row in read_manifest(base):
            file = base / row["file"]
            kind, label, copies = "synthetic", row["label"], synthetic_morphs
            if label.startswith("near "):
                kind, copies = "near", 0
            elif label == "talk":
                kind, label, copies = "talk", row["engine"], talk_morphs
            add(read_audio(file), kind, label, "", row["file"], copies)
    if jobs:
        with workers(processes, ray=ray) as pool:
            morphed = dict(pool.map(_morphs, jobs))
        for job, parent in enumerate(parents):
            kind, label, who, src = facts[parent]
            for n, samples in enumerate(morphed.pop(job)):
                audio.append(samples)
                facts.append((kind, label, who, f"{src}#morph{n}"))
    items = []
    for samples, (kind, label, who, src) in zip(audio, facts, strict=True):
        first, last = word_span(samples) if kind in HOLD_A_WORD else (0, len(samples))
        items.append(
            Item(
                start=0, stop=len(samples), word_start=first, word_stop=last,
                kind=kind, label=label, speaker=who, source=src,
            )
        )  # fmt: skip
    if bank is not None:
        kept = open_corpus(bank)
        audio += [kept.samples[item.start : item.stop] for item in kept.items]
        items += kept.items
    save_corpus(path, audio, items)
    return open_corpus(path)


def save_corpus(path: Path, audio: Sequence[NDArray[np.int16]], items: Sequence[Item]) -> None:
    """Lay items one after another into a corpus; each keeps its word at its place in it."""
    path.mkdir(parents=True, exist_ok=True)
    laid, start = [], 0
    for samples, item in zip(audio, items, strict=True):
        laid.append(replace(item, start=start, stop=start + len(samples)))
        start += len(samples)
    with beside(path / SAMPLES_FILE) as partial, partial.open("wb") as file:
        np.save(file, np.concatenate(audio))
    with beside(path / "corpus.json") as partial:
        partial.write_text(json.dumps([asdict(item) for item in laid]))


def open_corpus(path: Path) -> Corpus:
    """Open a corpus without reading the samples into memory."""
    items = tuple(Item(**row) for row in json.loads((path / "corpus.json").read_text()))
    return Corpus(np.load(path / SAMPLES_FILE, mmap_mode="r"), items)
