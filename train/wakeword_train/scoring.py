"""Run a detector over a test set, exactly as it runs live, and keep every score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import iter_audio, read_audio
from wakeword.detector import Detector
from wakeword.errors import ConfigError
from wakeword.metrics import Stream, Utterance
from wakeword_train.conditions import LEAD, Condition, frame, hear, hiss
from wakeword_train.data.corpus import word_span
from wakeword_train.testset import Recording, TestSet, label_of, says

__all__ = ["Scored", "hear_words", "score", "sounds_of", "spoken"]

# Words by the same microphones as the word's own recordings, and by others.
SAME_WORDS, OTHER_WORDS = "words, same recordings", "words, other recordings"
GAP = 8_000  # hiss between the clips of a stream of other words; not counted as listened to
RATE_HZ = 16_000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """Per word: its utterances under every condition, and all streams without it."""

    utterances: Mapping[str, Sequence[Utterance]]
    streams: Mapping[str, Sequence[Stream]]


def score(
    detector: Detector,
    recordings: TestSet,
    conditions: Sequence[Condition],
    *,
    seed: int = 1,
    tolerance_ms: int = 700,
    speeds: Sequence[float] = (1.0,),
    progress: Progress = lambda *_: None,
) -> Scored:
    """Hear all recordings.

    Each clip of a word is heard by itself from a reset, once per condition, in its frame
    (`wakeword_train.conditions`). Clips of other words are joined, label by label, with 0.5 s gaps,
    and heard as one stream; those of the collection that the word's own clips come from are a part
    by themselves, since what differs there is the word alone. Hours count the clips alone. Long
    streams are heard as they are. Negatives are heard clean, at each of ``speeds`` (and as much
    higher), which count as hours of their own.

    Where nobody labelled the word's end it is estimated from energy: the end of the last frame
    within 30 dB of the loudest 50 ms of the clean clip (`wakeword_train.data.corpus.word_span`,
    which gives the word's start too). Room echo and breath make that late rather than early, so
    latencies come out short.

    Raises:
        ConfigError: a word of the detector is said in no clip, or a condition lacks recordings.
        AudioFormatError: a file cannot be read.
    """
    there = sorted({clip.label for clip in recordings.clips})
    for word in detector.words:
        if label_of(word) not in there:
            raise ConfigError(
                f"no clip is labelled {label_of(word)!r}, there are: {', '.join(there) or 'none'}; "
                "choose the word to test with --word"
            )
    utterances: dict[str, list[Utterance]] = {word: [] for word in detector.words}
    columns = {word: column for column, word in enumerate(detector.words)}
    for word, heard, about in hear_words(
        recordings, detector.words, conditions, seed=seed, progress=progress
    ):
        detector.reset()
        probs, indices = detector.scores(heard)
        utterances[word].append(
            replace(
                about, probs=probs[:, columns[word]].copy(), indices=indices,
                tolerance=tolerance_ms * 16,
            )
        )  # fmt: skip
    streams: dict[str, list[Stream]] = {word: [] for word in detector.words}
    for speed in speeds:
        for word, some in _streams(detector, recordings, seed, speed, progress).items():
            streams[word] += some
    return Scored(utterances, streams)


def hear_words(
    recordings: TestSet,
    words: Sequence[str],
    conditions: Sequence[Condition],
    *,
    seed: int,
    progress: Progress = lambda *_: None,
) -> Iterator[tuple[str, NDArray[np.int16], Utterance]]:
    """Give the sound of each clip of each word under each condition, as `score` describes.

    Yields:
        The word, the sound, and an utterance that tells all but the scores.

    Raises:
        ConfigError: a condition lacks recordings.
        AudioFormatError: a file cannot be read.
    """
    noises, rirs, talks = sounds_of(recordings, conditions)
    own = [(word, c) for word in words for c in recordings.clips if c.label == label_of(word)]
    for done, (word, clip) in enumerate(own):
        progress("words", done, len(own))
        framed, at = spoken(clip, seed)
        for condition in conditions:
            heard = hear(
                framed, at, condition, name=clip.name, seed=seed, noises=noises, rirs=rirs,
                talks=talks,
            )  # fmt: skip
            yield word, heard, Utterance(
                probs=np.zeros(0), indices=np.zeros(0, np.int64),
                word_start=condition.before + at.start, word_end=condition.before + at.stop,
                condition=condition.name, source=clip.source, file=str(clip.path),
            )  # fmt: skip


def sounds_of(
    recordings: TestSet, conditions: Sequence[Condition]
) -> tuple[list[NDArray[np.int16]], list[NDArray[np.float32]], list[NDArray[np.int16]]]:
    """Read the noises, the impulse responses and the talk that the conditions need."""
    noises = [read_audio(one.path) for one in recordings.noises] if _noisy(conditions) else []
    rirs = [_direct(read_audio(one.path)) for one in recordings.rirs if _any_room(conditions)]
    talks = [_begin(one.path) for one in recordings.talks if any(c.talk for c in conditions)]
    return noises, rirs, talks


def spoken(clip: Recording, seed: int) -> tuple[NDArray[np.int16], slice]:
    """Read a clip of a word into its frame, and say where the word lies in it.

    Raises:
        AudioFormatError: the file cannot be read.
        ConfigError: the labelled end of the word lies outside the file.
    """
    samples = read_audio(clip.path)
    start, end = word_span(samples)
    if clip.word_end_s is not None:
        end = round(clip.word_end_s * RATE_HZ)
        if not 0 < end <= len(samples):
            raise ConfigError(
                f"{clip.path}: word_end_s={clip.word_end_s} lies outside the file, "
                f"which has {len(samples) / RATE_HZ:.2f} s"
            )
        start = min(start, end - 1)
    return frame(samples, seed), slice(LEAD + start, LEAD + end)


def _noisy(conditions: Sequence[Condition]) -> bool:
    """Tell whether recorded noise is needed."""
    return any(c.snr_db is not None and not c.pink for c in conditions)


def _any_room(conditions: Sequence[Condition]) -> bool:
    """Tell whether impulse responses are needed."""
    return any(c.reverb for c in conditions)


def _begin(path: Path) -> NDArray[np.int16]:
    """Read the first minute of a recording."""
    found: list[NDArray[np.int16]] = []
    for chunk in iter_audio(path):
        found.append(chunk)
        if sum(map(len, found)) >= 60 * RATE_HZ:
            break
    return np.concatenate(found)


def _direct(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Let an impulse response begin at its direct sound, its highest peak."""
    rir = samples.astype(np.float32) / np.float32(32768)
    return np.asarray(rir[int(np.abs(rir).argmax()) :], np.float32)


def _at_speed(path: Path, speed: float) -> Iterator[NDArray[np.int16]]:
    """Read a file in chunks, played faster and higher (above 1) or slower and lower."""
    if speed == 1:
        yield from iter_audio(path)
        return
    import soxr

    stream = soxr.ResampleStream(RATE_HZ * speed, RATE_HZ, 1, dtype="int16")
    for chunk in iter_audio(path):
        yield stream.resample_chunk(chunk)
    yield stream.resample_chunk(np.zeros(0, np.int16), last=True)


def _streams(
    detector: Detector, recordings: TestSet, seed: int, speed: float, progress: Progress
) -> dict[str, list[Stream]]:
    """Hear everything as negatives of the words it does not contain."""
    streams: dict[str, list[Stream]] = {word: [] for word in detector.words}
    groups: dict[tuple[str, str], list[Recording]] = {}
    for clip in recordings.clips:
        groups.setdefault((clip.label, clip.source), []).append(clip)
    jobs = [("words", label, source, clips) for (label, source), clips in groups.items()]
    jobs += [(part, "", one.source, [one]) for part, one in recordings.streams]
    gap = hiss(seed, GAP)
    for done, (part, label, source, clips) in enumerate(jobs):
        progress("negatives", done, len(jobs))
        if all(says(label, word) for word in detector.words):
            continue
        detector.reset()
        heard = 0
        found = [detector.scores(hiss(seed, LEAD))]
        pieces: list[tuple[int, str]] = []
        for clip in clips:
            pieces.append((LEAD + heard + GAP * len(pieces), str(clip.path)))
            for chunk in _at_speed(clip.path, speed):
                heard += len(chunk)
                found.append(detector.scores(chunk))
            found.append(detector.scores(gap))
        probs = np.concatenate([rows for rows, _ in found])
        indices = np.concatenate([index for _, index in found])
        for column, word in enumerate(detector.words):
            if part == "words":
                own = {c.source for c in recordings.clips if c.label == label_of(word)}
                kind = SAME_WORDS if source in own else OTHER_WORDS
            else:
                kind = part
            if not says(label, word):
                streams[word].append(
                    Stream(
                        probs=probs[:, column].copy(), indices=indices, samples=heard, part=kind,
                        source=source, pieces=tuple(pieces),
                    )
                )  # fmt: skip
    return streams
