"""The command ``wakeword speakers``: enrol voices from recordings of a word, or list them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, read_audio
from wakeword.daemon.speakers import (
    FEWEST,
    LONGEST,
    MOST,
    Speakers,
    Voice,
    read_speakers,
    refused,
    write_speakers,
)
from wakeword.daemon.voice import LOOK_BACK, shipped_space, voice_vector
from wakeword.detector import Detector
from wakeword.errors import ConfigError
from wakeword.quiet import quiet_runtime
from wakeword.review import clips_in

__all__ = ["enrol", "place_of", "speakers"]

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def speakers(args: argparse.Namespace) -> int:
    """Do what the options ask for, and list the voices."""
    path = Path(args.file)
    if args.add:
        name, *clips = args.add
        if not clips:
            raise ConfigError(f"--add {name}: name recordings as well, or folders of them")
        print(enrol(path, name, [Path(clip) for clip in clips], args.word, args.model))
    if args.remove:
        _remove(path, args.remove)
    found = read_speakers(path)
    if args.json:
        print(json.dumps({"word": found.word,
                          "speakers": {n: v.clips for n, v in found.voices.items()}}))  # fmt: skip
    else:
        for name, voice in found.voices.items():
            print(f"{name}: {voice.clips} clips of {found.word!r}")
    return 0


def enrol(path: Path, name: str, clips: list[Path], word: str | None, model: str | None) -> str:
    """Add a voice to a file, in place of one of the same name; return what came of it.

    Args:
        path: of the file; made if missing.
        name: of the voice.
        clips: recordings in which it says the word, or folders of them; of a folder of [review]
            those labelled yes.
        word: that is said; None takes that of the file.
        model: that hears it; None takes the word's own.

    Raises:
        ConfigError: too few clips, in which the word is heard; a name too long; or the file is
            damaged.
    """
    if not (name.isprintable() and 1 <= len(name) <= LONGEST):
        raise ConfigError(f"--add {name[:LONGEST]!r}: need 1 to {LONGEST} letters as a name")
    before = read_speakers(path, word) if path.exists() else None
    said = before.word if before is not None else word
    if said is None:
        raise ConfigError(f"{path}: new; name the word with --word")
    with quiet_runtime():
        detector = Detector.load(model or said)
    if said not in detector.words:
        raise ConfigError(f"--model {model}: knows {list(detector.words)}, not {said!r}")
    space = shipped_space()
    heard, places = 0, []
    for clip in _recordings(clips):
        heard += 1
        place = place_of(read_audio(clip), detector, said)
        if place is not None:
            places.append(place)
    if len(places) < FEWEST:
        raise ConfigError(
            f"--add {name}: {said!r} is heard in {len(places)} of {heard} recordings; need "
            f'{FEWEST}, better 10. To record them: wakeword record "{said}" --speaker {name}'
        )
    voices = {**(before.voices if before is not None else {}), name: Voice.of(places)}
    if len(voices) > MOST:
        raise ConfigError(f"{path}: has {MOST} voices; --remove one first")
    write_speakers(path, Speakers(said, voices, space))
    missed = refused(places, space, space.threshold)
    return (
        f"{name}: {said!r} is heard in {len(places)} of {heard} recordings; measured against the "
        f"others of them {missed} would be refused at {space.threshold:g}"
    )


def place_of(sound: NDArray[np.int16], detector: Detector, word: str) -> NDArray[np.float64] | None:
    """Return where the voice in a recording lies; None where the word is not heard in it."""
    detector.reset()
    quiet = np.zeros(RATE_HZ // 2, np.int16)
    fired = [d for d in detector.feed(np.concatenate([sound, quiet])) if d.word == word]
    if not fired:
        return None
    end = min(fired[0].sample_index, len(sound))
    vector = voice_vector(sound[max(0, end - LOOK_BACK) : end])
    return None if vector is None else shipped_space().place(vector)


def _recordings(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the recordings among paths and in folders; of a reviewed folder those with the word."""
    for path in paths:
        if not path.is_dir():
            yield path
        elif reviewed := clips_in(path):
            yield from (clip.wav for clip in reviewed if clip.label == "yes")
        else:
            yield from (f for f in sorted(path.rglob("*")) if f.suffix.lower() in SUFFIXES)


def _remove(path: Path, name: str) -> None:
    """Take a voice out of a file; ConfigError where it is not there, or is the last."""
    found = read_speakers(path)
    left = {other: voice for other, voice in found.voices.items() if other != name}
    if len(left) == len(found.voices):
        raise ConfigError(f"--remove {name}: {path} has {', '.join(found.voices)}")
    if not left:
        raise ConfigError(f"--remove {name}: the last voice; remove {path} itself")
    write_speakers(path, Speakers(found.word, left, found.space))
