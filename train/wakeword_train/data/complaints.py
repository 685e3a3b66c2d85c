"""What is wrong with a user's recordings, in words, before hours go into training on them."""

from __future__ import annotations

import hashlib
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import iter_audio
from wakeword.cutter import RAIL, Cutter, fault, frame_levels_db, length_limits, room_db
from wakeword.errors import AudioFormatError, ConfigError
from wakeword.meter import FLOOR_DB
from wakeword_train.data.manifest import Clip

__all__ = ["Complaint", "check", "summary", "usable"]

WAKE = "wake"
SILENT_DB = -66.0  # no frame of a recording with a word in it is so quiet
CLIPPED_SHARE = 0.001  # of the samples
LONG_S = 4.0  # no recording of one phrase need be longer
FEW = 10  # recordings of the phrase
ODD = 1.8  # times longer or shorter than is usual, and
ODD_SPREADS = 4.0  # times as far from it as recordings commonly are
LEARN_USUAL = 8  # recordings from which one knows what is usual

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with a recording, or with all of them.

    Attributes:
        file: as in the clip; empty where all are meant.
        kind: one word: unreadable, empty, duplicate, silent, clipped, short, long, several, odd,
            few.
        text: what it is, and what to do.
        left_out: whether the recording is useless.
    """

    file: str
    kind: str
    text: str
    left_out: bool = False

    def __str__(self) -> str:
        left = " (left out)" if self.left_out else ""
        return f"{self.file}: {self.text}{left}" if self.file else self.text


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was found in one recording."""

    digest: bytes
    seconds: float
    clipped: float  # share of the samples
    loudest_db: float
    words: tuple[float, ...]  # seconds of each utterance that may be the phrase


def check(clips: Sequence[Clip], progress: Progress = lambda *_: None) -> list[Complaint]:
    """Hear every recording once, and say what is wrong.

    Args:
        clips: of all of a user's folders together, those of the phrase first, so that one that is
            among the negatives too is found.
        progress: called with (stage, done, in all).

    Returns:
        In the order of the clips; what concerns all of them comes last.
    """
    found: list[Complaint] = []
    seen: dict[bytes, Clip] = {}
    lengths: dict[str, float] = {}  # of the phrase
    for done, clip in enumerate(clips):
        progress("check recordings", done, len(clips))
        try:
            heard = _hear(clip)
        except AudioFormatError as exc:
            kind = "empty" if "holds no samples" in str(exc) else "unreadable"
            text = str(exc).removeprefix(f"{clip.file}: ")
            found.append(Complaint(clip.file, kind, text, left_out=True))
            continue
        if (twin := seen.setdefault(heard.digest, clip)) is not clip:
            among = "" if twin.kind == clip.kind else f", which is among those of kind {twin.kind}"
            text = f"the same sound as {twin.file}{among}"
            found.append(Complaint(clip.file, "duplicate", text, left_out=True))
            continue
        mine = list(_faults(clip, heard))
        found += mine
        if clip.kind == WAKE and len(heard.words) == 1 and not any(c.left_out for c in mine):
            lengths[clip.file] = heard.words[0]
    progress("check recordings", len(clips), len(clips))
    return [*found, *_odd_lengths(lengths), *_few(clips, found)]


def usable(clips: Iterable[Clip], complaints: Iterable[Complaint]) -> list[Clip]:
    """Leave out the recordings that are useless.

    Raises:
        ConfigError: all are.
    """
    bad = {c.file: c for c in complaints if c.left_out}
    clips = list(clips)
    good = [clip for clip in clips if clip.file not in bad]
    if clips and not good:
        first = bad[clips[0].file]
        raise ConfigError(f"none of {len(clips)} recordings is of use; the first: {first}")
    return good


def summary(complaints: Iterable[Complaint], most: int = 3) -> list[str]:
    """Put complaints into few lines: of each kind the first ones, and how many more there are.

    >>> same = [Complaint(f"{n}.wav", "silent", "silent", True) for n in range(9)]
    >>> summary(same, most=1)
    ['0.wav: silent (left out)', '8 more: silent (left out)']
    """
    groups: dict[tuple[str, bool], list[Complaint]] = defaultdict(list)
    for complaint in complaints:
        groups[complaint.kind, complaint.left_out].append(complaint)
    lines = []
    for (kind, left_out), some in groups.items():
        lines += [str(complaint) for complaint in some[:most]]
        if len(some) > most:
            left = " (left out)" if left_out else ""
            lines.append(f"{len(some) - most} more: {kind}{left}")
    return lines


def _hear(clip: Clip) -> _Heard:
    """Read a recording once, in constant memory unless it says the phrase."""
    digest = hashlib.blake2b(digest_size=16)
    samples = clipped = 0
    loudest_db = FLOOR_DB
    kept: list[NDArray[np.int16]] = []
    for chunk in iter_audio(Path(clip.file)):
        digest.update(chunk.tobytes())
        samples += len(chunk)
        clipped += int(np.count_nonzero(np.abs(chunk.astype(np.int32)) >= RAIL))
        loudest_db = max(loudest_db, float(frame_levels_db(chunk).max(initial=FLOOR_DB)))
        if clip.kind == WAKE:
            kept.append(chunk)
    words = tuple(_words(np.concatenate(kept), _phrase(clip))) if kept else ()
    return _Heard(digest.digest(), samples / 16_000, clipped / samples, loudest_db, words)


def _words(audio: NDArray[np.int16], phrase: str) -> Iterator[float]:
    """Yield the length of each utterance that is no breath and no click."""
    cutter = Cutter(room_db=room_db(frame_levels_db(audio)))
    for take in cutter.feed(audio) + cutter.finish():
        if not fault(take, phrase).startswith(("too short", "too quiet", "too little")):
            yield take.seconds


def _phrase(clip: Clip) -> str:
    """Return what is said in a clip."""
    return clip.label.replace("_", " ")


def _faults(clip: Clip, heard: _Heard) -> Iterator[Complaint]:
    """Say what is wrong with one recording by itself."""
    if heard.loudest_db <= SILENT_DB:
        text = f"silent: {heard.loudest_db:.0f} dB at its loudest; record it again"
        yield Complaint(clip.file, "silent", text, left_out=True)
        return
    if heard.clipped > CLIPPED_SHARE:
        text = f"clipped: {heard.clipped:.1%} of its samples; record it again, less loud"
        yield Complaint(clip.file, "clipped", text)
    if clip.kind != WAKE:
        return
    phrase = _phrase(clip)
    shortest, longest = length_limits(phrase)
    remedy = f'wakeword record "{phrase}" --from {shlex.quote(clip.file)}'
    if heard.seconds < shortest:
        text = f'{heard.seconds:.2f} s: "{phrase}" takes at least {shortest:.2f} s; record it again'
        yield Complaint(clip.file, "short", text, left_out=True)
    elif heard.seconds > LONG_S and len(heard.words) > 1:
        text = f"{heard.seconds:.0f} s with {len(heard.words)} utterances in it; cut it: {remedy}"
        yield Complaint(clip.file, "several", text, left_out=True)
    elif heard.seconds > LONG_S:
        text = f'{heard.seconds:.1f} s for one "{phrase}"; cut it: {remedy}'
        yield Complaint(clip.file, "long", text)
    elif len(heard.words) > 1:
        text = f"seems to hold {len(heard.words)} utterances; if it does, cut it: {remedy}"
        yield Complaint(clip.file, "several", text)
    elif heard.words and heard.words[0] > longest:
        text = (
            f'{heard.words[0]:.1f} s of sound, and "{phrase}" takes at most {longest:.1f} s: does '
            "it hold something else, or noise?"
        )
        yield Complaint(clip.file, "long", text)


def _odd_lengths(lengths: dict[str, float]) -> Iterator[Complaint]:
    """Find recordings that are much longer or shorter than most."""
    if len(lengths) < LEARN_USUAL:
        return
    logs = np.log(list(lengths.values()))
    usual = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - usual)))
    for file, off in zip(lengths, np.abs(logs - usual).tolist(), strict=True):
        if off > max(ODD_SPREADS * spread, np.log(ODD)):
            text = (
                f"{lengths[file]:.2f} s of speech where {np.exp(usual):.2f} s are usual: is it the "
                "phrase, and all of it?"
            )
            yield Complaint(file, "odd", text)


def _few(clips: Sequence[Clip], found: Sequence[Complaint]) -> Iterator[Complaint]:
    """Say what few recordings of the phrase can give."""
    bad = {complaint.file for complaint in found if complaint.left_out}
    wake = [clip for clip in clips if clip.kind == WAKE]
    count = sum(clip.file not in bad for clip in wake)
    if wake and count < FEW:
        text = (
            f"{count} recordings of the phrase are few: synthetic voices carry the training, and "
            "so few tests prove little. More take minutes: "
            f'wakeword record "{_phrase(wake[0])}"'
        )
        yield Complaint("", "few", text)
