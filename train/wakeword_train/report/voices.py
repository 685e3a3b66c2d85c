"""Who is heard and who is missed: groups of recordings by pitch, by speed, by speaker.

Pitch is the median of the voiced part of the word, measured with Praat. Speed is the length of the
word: all say the same one, so who takes less time speaks faster. Nothing is guessed about people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wakeword_train.report.facts import Group
from wakeword_train.report.outcomes import Outcome, share_of

__all__ = ["Voice", "groups_of", "median_pitch", "voice_of"]

PITCH_HZ = (130.0, 180.0, 250.0)
FEWEST = 6  # recordings that are sorted into thirds by length
RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One recording of the word: ``pitch_hz`` None where none was found or nothing measured it."""

    origin: str
    speaker: str
    length_ms: float
    pitch_hz: float | None


def median_pitch(samples: NDArray[np.int16]) -> float | None:
    """Measure the pitch of a word.

    Args:
        samples: shape (N,), 16 kHz, of the word alone.

    Returns:
        Hz, the median of the frames that have a pitch from 75 to 500 Hz; None with fewer than three
        of them, or without the library.

    Source: Boersma 1993, "Accurate short-term analysis of the fundamental frequency ...", Praat.
    """
    try:
        import parselmouth
    except ImportError:
        return None
    sound = parselmouth.Sound(samples.astype(np.float64) / 32768, RATE_HZ)
    if sound.duration < 0.05:  # Praat needs three periods of the lowest pitch
        return None
    found = sound.to_pitch(pitch_floor=75, pitch_ceiling=500).selected_array["frequency"]
    voiced = found[found > 0]
    return float(np.median(voiced)) if len(voiced) >= 3 else None


def voice_of(samples: NDArray[np.int16], word: slice, speaker: str, *, synthetic: bool) -> Voice:
    """Measure one clean recording in which the word lies at ``word``."""
    return Voice(
        origin="synthetic" if synthetic else "real",
        speaker=speaker,
        length_ms=(word.stop - word.start) * 1000 / RATE_HZ,
        pitch_hz=median_pitch(samples[word]),
    )


def groups_of(voices: Mapping[str, Voice], outcomes: Sequence[Outcome]) -> list[Group]:
    """Count misses by group and condition, real and synthetic recordings apart.

    Args:
        voices: by file.
        outcomes: of recordings under any conditions; those without a voice are left out.

    Returns:
        Groups by pitch from low to high, by length from short to long, and by speaker, most missed
        first. A sort in which all recordings would be one group is left out.
    """
    found: list[Group] = []
    for origin in ("real", "synthetic"):
        own = {file: voice for file, voice in voices.items() if voice.origin == origin}
        heard = [one for one in outcomes if one.utterance.file in own]
        names = _by_pitch(own), _by_length(own), _by_speaker(own)
        for sort, name_of in zip(("pitch", "length", "speaker"), names, strict=True):
            groups = _sorted_into(sort, origin, own, heard, name_of)
            if sort == "speaker":
                groups.sort(key=lambda g: -_total(g))
            if len(groups) > 1:
                found += groups
    return found


def _total(group: Group) -> float:
    """Share of misses under all conditions together."""
    shares = group.shares.values()
    return sum(s.misses for s in shares) / sum(s.clips for s in shares)


def _sorted_into(
    sort: str,
    origin: str,
    voices: Mapping[str, Voice],
    heard: Sequence[Outcome],
    name_of: Callable[[Voice], tuple[int, str] | None],
) -> list[Group]:
    """Sort outcomes into groups, in the order of their keys."""
    sets: dict[tuple[int, str], dict[str, list[Outcome]]] = {}
    people: dict[tuple[int, str], set[str]] = {}
    for one in heard:
        voice = voices[one.utterance.file]
        key = name_of(voice)
        if key is None:
            continue
        sets.setdefault(key, {}).setdefault(one.utterance.condition, []).append(one)
        people.setdefault(key, set()).update({voice.speaker} - {""})
    return [
        Group(
            sort=sort, origin=origin, name=key[1], speakers=len(people[key]),
            shares={name: share_of(some) for name, some in by.items()},
        )
        for key, by in sorted(sets.items())
    ]  # fmt: skip


def _by_pitch(voices: Mapping[str, Voice]) -> Callable[[Voice], tuple[int, str] | None]:
    """Name a range of pitch."""
    measured = any(voice.pitch_hz is not None for voice in voices.values())
    ends = [f"{hz:g}" for hz in PITCH_HZ]
    names = [f"below {ends[0]} Hz"]
    names += [f"{low} to {high} Hz" for low, high in pairwise(ends)]
    names.append(f"{ends[-1]} Hz and above")

    def name_of(voice: Voice) -> tuple[int, str] | None:
        if not measured:
            return None
        if voice.pitch_hz is None:
            return len(names), "no pitch found"
        place = int(np.searchsorted(PITCH_HZ, voice.pitch_hz, side="right"))
        return place, names[place]

    return name_of


def _by_length(voices: Mapping[str, Voice]) -> Callable[[Voice], tuple[int, str] | None]:
    """Name a third of the lengths."""
    lengths = [voice.length_ms for voice in voices.values()]
    if len(lengths) < FEWEST:
        return lambda _: None
    first, second = np.quantile(lengths, [1 / 3, 2 / 3]).tolist()
    names = (
        f"fast: up to {first:.0f} ms", f"middle: up to {second:.0f} ms",
        f"slow: longer than {second:.0f} ms",
    )  # fmt: skip

    def name_of(voice: Voice) -> tuple[int, str]:
        place = int(voice.length_ms > first) + int(voice.length_ms > second)
        return place, names[place]

    return name_of


def _by_speaker(voices: Mapping[str, Voice]) -> Callable[[Voice], tuple[int, str] | None]:
    """Name the speaker, where the recordings do."""
    named = any(voice.speaker for voice in voices.values())
    return lambda voice: (0, voice.speaker or "not named") if named else None
