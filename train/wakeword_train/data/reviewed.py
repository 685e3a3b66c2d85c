"""Clips that a daemon kept and a person judged, as recordings to train with.

What was said becomes a positive, cut out of the three seconds around it; what was not becomes sound
without the phrase, whole. Nobody said who spoke, so all of them train (`split_speakers`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, read_audio
from wakeword.cutter import Cutter, fault, frame_levels_db, length_limits, room_db
from wakeword.errors import AudioFormatError, ConfigError
from wakeword.review import Clip, clips_in
from wakeword.sinks.clips import read_note
from wakeword.sinks.wav import wav_bytes
from wakeword_train.data.pack import key_of
from wakeword_train.files import write_file

__all__ = ["cut_word", "gather"]

BEFORE_S = 0.2  # a word fires some time after it began: what begins later than so is another

log = logging.getLogger(__name__)


def gather(folder: Path, words: Sequence[str], work: Path) -> tuple[tuple[Path, str, str], ...]:
    """Write the labelled clips of some words as recordings.

    Args:
        folder: as ``[review]`` of the daemon's configuration names it.
        words: the phrases that are trained.
        work: folder of the stages; other labels give another folder in it.

    Returns:
        Folders, each with the kind ("wake" or "speech") and the label of what lies in it.

    Raises:
        ConfigError: no such folder, or nothing of these words is labelled in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; [review] of the daemon names it")
    clips = [clip for clip in clips_in(folder) if clip.label and clip.word in words]
    if not clips:
        names = " or ".join(f'"{word}"' for word in words)
        raise ConfigError(
            f"{folder}: no clip of {names} is labelled; judge some: wakeword review {folder}"
        )
    root = work / f"review-{key_of(sorted(f'{c.note.stem} {c.word} {c.label}' for c in clips))}"
    found: dict[tuple[Path, str, str], int] = {}
    left_out = 0
    for clip in clips:
        said = clip.label == "yes"
        sound = _sound(clip)
        if sound is not None and said:
            sound = cut_word(sound, _fired(clip, len(sound)), clip.word)
        if sound is None:
            left_out += 1
            continue
        place = root / ("positive" if said else "negative") / str(words.index(clip.word))
        key = (place, "wake", clip.word) if said else (place, "speech", "own")
        write_file(place / f"{clip.note.stem}.wav", wav_bytes(sound))
        found[key] = found.get(key, 0) + 1
    for (place, kind, label), count in found.items():
        what = f'saying "{label}"' if kind == "wake" else "in which it was not said"
        log.info("%s: %d clips %s", place, count, what)
    if left_out:
        log.warning("%s: %d clips left out: the word cannot be found in them", folder, left_out)
    if not found:
        raise ConfigError(f"{folder}: in none of {len(clips)} labelled clips the word can be found")
    return tuple(found)


def cut_word(samples: NDArray[np.int16], fired: int, phrase: str) -> NDArray[np.int16] | None:
    """Cut out what was said when a word fired.

    Args:
        samples: (N,), 16 kHz mono; the word and what surrounds it.
        fired: index at which it fired, a little after its end.
        phrase: what is said.

    Returns:
        The utterance, with a margin of the room; where it goes on without a pause, only up to where
        the word fired. None where nothing is heard there.
    """
    cutter = Cutter(room_db=room_db(frame_levels_db(samples)))
    takes = cutter.feed(samples) + cutter.finish()
    begun = [t for t in takes if t.start + t.word[0] < fired - BEFORE_S * RATE_HZ]
    if not begun:
        return None
    take = begun[-1]
    why = fault(take, phrase)
    if why.startswith("too long"):
        longest = round(length_limits(phrase)[1] * RATE_HZ)
        end = min(fired, take.start + take.word[1])
        return samples[max(take.start, end - longest) : end]
    return None if why.startswith("too short") else take.samples


def _fired(clip: Clip, count: int) -> int:
    """Return where in a clip its word fired."""
    at = (read_note(clip.note) or {}).get("word_end")
    return at if isinstance(at, int) and 0 < at <= count else count


def _sound(clip: Clip) -> NDArray[np.int16] | None:
    """Read a clip; None, and a line in the log, where it is damaged."""
    try:
        return read_audio(clip.wav)
    except AudioFormatError as exc:
        log.warning("%s: left out (%s)", clip.wav, exc)
        return None
