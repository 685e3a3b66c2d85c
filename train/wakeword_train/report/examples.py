"""The worst misses and false alarms, to listen to: sound, spectrogram and the score over time."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import iter_audio
from wakeword_train.conditions import LEAD, Condition, hear
from wakeword_train.report.facts import Example
from wakeword_train.report.outcomes import Alarm, Outcome
from wakeword_train.scoring import sounds_of, spoken
from wakeword_train.testset import Recording, TestSet

__all__ = ["alarm_example", "choose", "choose_misses", "flac", "miss_examples", "spectrogram"]

RATE_HZ = 16_000
BEFORE, AFTER = 11_200, 11_200  # around a word, samples
LONGEST = 4 * RATE_HZ
EVENT_BEFORE, EVENT_AFTER = 32_000, 8_000  # around a false alarm
ALIKE = 2  # of one speaker, or of one label, while there are others
ROWS, COLUMNS, LEVELS, RANGE_DB = 64, 300, 24, 60.0

Samples = NDArray[np.int16]
T = TypeVar("T")


def choose(ranked: Iterable[T], most: int, alike: Callable[[T], str]) -> list[int]:
    """Take the first of a ranking, no more than two of a kind while there are others.

    Returns:
        Places in the ranking, ascending.
    """
    kinds = [alike(one) for one in ranked]
    taken: list[int] = []
    for limit in (ALIKE, len(kinds)):
        for place, kind in enumerate(kinds):
            if len(taken) == most:
                break
            same = sum(kinds[other] == kind for other in taken)
            if place not in taken and (not kind or same < limit):
                taken.append(place)
    return sorted(taken)


def choose_misses(
    outcomes: Sequence[Outcome], conditions: Sequence[str], most: int, who: Mapping[str, str]
) -> list[Outcome]:
    """Choose misses: the lowest score of each condition in turn, each recording once.

    Args:
        outcomes: of one word.
        conditions: the easiest first, which is where a miss says most.
        most: at most so many. Where fewer were missed, those heard with the lowest scores follow.
        who: file to speaker, of whom two are taken while there are others.
    """
    chosen: list[Outcome] = []
    for heard in (False, True):
        ranked = {
            name: sorted(
                (o for o in outcomes if o.utterance.condition == name and o.heard is heard),
                key=lambda o: o.peak,
            )
            for name in conditions
        }
        turns: list[Outcome] = []
        files = {o.utterance.file for o in chosen}
        while any(ranked.values()):
            for name in conditions:
                while ranked[name]:
                    one = ranked[name].pop(0)
                    if one.utterance.file not in files:
                        files.add(one.utterance.file)
                        turns.append(one)
                        break
        places = choose(turns, most - len(chosen), lambda o: who.get(o.utterance.file, ""))
        chosen += [turns[place] for place in places]
    return chosen


def miss_examples(
    chosen: Sequence[Outcome], recordings: TestSet, conditions: Sequence[Condition], seed: int
) -> list[Example]:
    """Hear recordings of the word again, as they were heard when they were scored."""
    by_name = {condition.name: condition for condition in conditions}
    by_file = {str(clip.path): clip for clip in recordings.clips}
    noises, rirs, talks = sounds_of(recordings, conditions if chosen else ())
    found = []
    for one in chosen:
        said = one.utterance
        clip = by_file[said.file]
        framed, at = spoken(clip, seed)
        condition = by_name[said.condition]
        sound = hear(
            framed, at, condition, name=clip.name, seed=seed, noises=noises, rirs=rirs, talks=talks
        )
        word = slice(said.word_start, said.word_end)
        stop = min(word.stop + AFTER, len(sound))
        start = max(word.start - BEFORE, stop - LONGEST, 0)
        found.append(
            _example(
                clip, sound[start:stop], one.smoothed, said.indices, start,
                at=start - LEAD - condition.before, word=word, event=one.index,
                condition=said.condition, fired=one.heard, peak=one.peak,
            )
        )  # fmt: skip
    return found


def alarm_example(alarm: Alarm, by_file: Mapping[str, Recording]) -> Example:
    """Cut out what set the word off: 2 s before the event and 0.5 s after it."""
    begun, file = alarm.piece
    start, stop = max(alarm.index - EVENT_BEFORE, 0), alarm.index + EVENT_AFTER
    sound = np.zeros(stop - start, np.int16)
    pieces = alarm.stream.pieces
    ends = [next_start for next_start, _ in pieces[1:]] + [stop]
    for (first, name), end in zip(pieces, ends, strict=True):
        if first < stop and end > start:
            part = _read(Path(name), start - first, stop - first)
            at = max(first - start, 0)
            sound[at : at + len(part)] = part[: len(sound) - at]
    return _example(
        by_file[file], sound, alarm.smoothed, alarm.stream.indices, start,
        at=start - begun, word=None, event=alarm.index, condition="", fired=alarm.fired,
        peak=alarm.peak,
    )  # fmt: skip


def _read(path: Path, start: int, stop: int) -> Samples:
    """Read samples ``start`` to ``stop`` of a file, what there is of them, without the rest."""
    found, at = [np.zeros(0, np.int16)], 0
    for chunk in iter_audio(path):
        if at >= stop:
            break
        found.append(chunk[max(start - at, 0) : max(stop - at, 0)])
        at += len(chunk)
    return np.concatenate(found)


def _example(
    clip: Recording,
    sound: Samples,
    smoothed: NDArray[np.float64],
    indices: NDArray[np.int64],
    start: int,
    *,
    at: int,
    word: slice | None,
    event: int,
    condition: str,
    fired: bool,
    peak: float,
) -> Example:
    """Put together a sound that begins at sample ``start`` of what was scored."""
    within = (indices >= start) & (indices <= start + len(sound))
    return Example(
        file=clip.name,
        label=clip.label,
        source=clip.source,
        speaker=clip.speaker,
        synthetic=clip.synthetic,
        condition=condition,
        fired=fired,
        peak=round(peak, 4),
        at_s=round(at / RATE_HZ, 3),
        seconds=len(sound) / RATE_HZ,
        word_s=None if word is None else _seconds(word, start),
        event_s=round((event - start) / RATE_HZ, 3),
        times_s=tuple(round(float(i - start) / RATE_HZ, 3) for i in indices[within]),
        scores=tuple(round(float(s), 4) for s in smoothed[within]),
        audio=base64.b64encode(flac(sound)).decode(),
        picture=base64.b64encode(spectrogram(sound)).decode(),
    )


def _seconds(word: slice, start: int) -> tuple[float, float]:
    """Say where a word lies in an excerpt; its start may lie before a long one."""
    return max(word.start - start, 0) / RATE_HZ, (word.stop - start) / RATE_HZ


def flac(samples: Samples) -> bytes:
    """Encode 16 kHz mono without loss: what one hears is what the detector heard."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def spectrogram(samples: Samples) -> bytes:
    """Draw the power from 0 to 8 kHz as a PNG, 64 pixels high, low frequencies at the bottom.

    60 dB below the loudest is black. Few shades, so that it takes few bytes.
    """
    from matplotlib.image import imsave

    size = 512
    padded = np.concatenate([samples, np.zeros(max(size - len(samples), 0))]) / 32768
    starts = np.linspace(0, len(padded) - size, min(COLUMNS, len(padded) // 80)).astype(int)
    frames = np.stack([padded[at : at + size] for at in starts]) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames))[:, 1:] ** 2
    pooled = power.reshape(len(frames), ROWS, -1).mean(axis=2).T
    level_db = 10 * np.log10(pooled + 1e-10)
    scaled = np.clip((level_db - level_db.max()) / RANGE_DB + 1, 0, 1)
    out = io.BytesIO()
    shades = np.rint(scaled * (LEVELS - 1)) / (LEVELS - 1)
    metadata: dict[str, Any] = {"Software": None}
    imsave(out, shades, cmap="magma", vmin=0, vmax=1, origin="lower", format="png",
           metadata=metadata)  # fmt: skip
    return out.getvalue()
