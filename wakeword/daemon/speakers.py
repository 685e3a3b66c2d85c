"""Voices that were enrolled for a word: their file, and the check that only they wake it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wakeword.daemon.settings import WordConfig
from wakeword.daemon.tables import MAX_BYTES
from wakeword.daemon.voice import SIZE, VoiceSpace, shipped_space, voice_vector
from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = [
    "FEWEST",
    "LONGEST",
    "MOST",
    "Enrolled",
    "Speakers",
    "Voice",
    "enrolled",
    "read_speakers",
    "refused",
    "write_speakers",
]

FORMAT = "wakeword speakers 1"
Enrolled: TypeAlias = "Mapping[str, Speakers]"
"""By word; words that anybody may say are not in it."""

FEWEST = 3  # clips of a voice
MOST = 50  # voices in a file
LONGEST = 64  # letters of a name

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Voice:
    """One voice: the mean of the places (SIZE,) of so many clips."""

    place: FloatArray
    clips: int

    @classmethod
    def of(cls, places: Iterable[FloatArray]) -> Voice:
        """Enrol a voice from the places of its clips."""
        found = list(places)
        return cls(np.mean(found, axis=0), len(found))


@dataclass(frozen=True, eq=False)
class Speakers:
    """The voices of a file, by name, and the word that they said."""

    word: str
    voices: Mapping[str, Voice]
    space: VoiceSpace = field(default_factory=shipped_space)

    def closest(self, samples: NDArray[np.int16]) -> tuple[str, float]:
        """Return the voice that is likeliest in the sound of a word, and its score.

        Args:
            samples: (N,), int16, 16 kHz mono, that end where the word fired.

        Returns:
            A name and a score: positive where one voice is likelier than two. No name and minus
            infinity where there is too little of a voice.
        """
        vector = voice_vector(samples)
        if vector is None:
            return "", -math.inf
        place = self.space.place(vector)
        scores = {
            name: self.space.score(place, voice.place, voice.clips)
            for name, voice in self.voices.items()
        }
        name = max(scores, key=scores.__getitem__)
        return name, scores[name]


def refused(places: list[FloatArray], space: VoiceSpace, threshold: float) -> int:
    """Count the clips of a voice that the others of it would not let pass."""
    count = 0
    for n, place in enumerate(places):
        others = Voice.of(places[:n] + places[n + 1 :])
        count += space.score(place, others.place, others.clips) < threshold
    return count


def write_speakers(path: Path, speakers: Speakers) -> None:
    """Write a file of voices, readable by us alone.

    Raises:
        ConfigError: the disk refuses.
    """
    data = {
        "format": FORMAT,
        "space": speakers.space.name,
        "word": speakers.word,
        "speakers": {
            name: {"clips": voice.clips, "place": [float(f"{x:.6g}") for x in voice.place]}
            for name, voice in speakers.voices.items()
        },
    }
    try:
        with beside(path) as partial:
            partial.touch(mode=0o600)
            partial.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written ({exc.strerror})") from exc


def read_speakers(path: Path, word: str | None = None) -> Speakers:
    """Read a file of voices.

    Args:
        path: as `wakeword speakers` wrote it.
        word: that the voices have to have said; None takes any.

    Raises:
        ConfigError: it is missing, damaged, of another version, or for another word.
    """
    remedy = f"enrol anew: wakeword speakers {path} --add NAME CLIPS"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise ConfigError(f"speakers={path}: there is no such file; {remedy}") from exc
    except OSError as exc:
        raise ConfigError(
            f"speakers={path}: cannot be read ({exc.strerror}); let this user read it, or hand it "
            "over with LoadCredential="
        ) from exc
    try:
        data: Any = json.loads(content) if len(content) <= MAX_BYTES else None
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"speakers={path}: not JSON; {remedy}") from exc
    space = shipped_space()
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ConfigError(f"speakers={path}: no file of voices of this version; {remedy}")
    if data.get("space") != space.name:
        raise ConfigError(
            f"speakers={path}: enrolled with another version of wakeword, whose numbers mean "
            f"nothing here; {remedy}"
        )
    voices = data.get("speakers")
    if not isinstance(voices, dict) or not 1 <= len(voices) <= MOST:
        raise ConfigError(f"speakers={path}: need 1 to {MOST} voices; {remedy}")
    own = data.get("word")
    if not isinstance(own, str) or (word is not None and own != word):
        raise ConfigError(f"speakers={path}: voices that said {own!r}, not {word!r}; {remedy}")
    return Speakers(own, {name: _voice(path, name, each) for name, each in voices.items()}, space)


def enrolled(words: Mapping[str, WordConfig]) -> Enrolled:
    """Read the voices of those words that ask for some; see :func:`read_speakers`."""
    return {
        word: read_speakers(Path(settings.speakers_file), word)
        for word, settings in words.items()
        if settings.speakers_file is not None
    }


def _voice(path: Path, name: str, data: Any) -> Voice:
    """Read one voice of a file; ConfigError where it is damaged."""
    clips = data.get("clips") if isinstance(data, dict) else None
    place = data.get("place") if isinstance(data, dict) else None
    if (
        isinstance(clips, int)
        and clips >= 1
        and isinstance(place, list)
        and len(place) == SIZE
        and all(isinstance(x, int | float) and math.isfinite(x) for x in place)
    ):
        return Voice(np.array(place, np.float64), clips)
    raise ConfigError(f"speakers={path}: the voice {name[:LONGEST]!r} is damaged; enrol it anew")
