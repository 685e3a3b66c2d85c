"""A user's own folders of recordings: what is in them, who speaks, and who is kept for the test.

Who speaks stands in ``recordings.tsv`` (`wakeword.shelf`), or is the name of the sub-folder.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword.shelf import NEGATIVE, POSITIVE, TABLE, read_table
from wakeword_train.data.manifest import OWN, Clip
from wakeword_train.data.splits import rank

__all__ = ["SOURCE", "read_folder", "session_of", "split_note", "split_speakers"]

SOURCE = "own recordings"  # what the ledger calls them
AUDIO = {
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64",
    # What telephones record, and libsndfile does not read: named in the log, not missed.
    ".m4a", ".aac", ".mp4", ".webm", ".wma", ".amr", ".3gp",
}  # fmt: skip
WAKE = "wake"  # the kind of clip that says the phrase
FEWEST_TRAIN, FEWEST_TEST = 10, 5  # clips of one person, before a day of theirs may test

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class _Told:
    """What the table or the folders say of a file; without a kind it is whatever is asked for."""

    kind: str
    label: str
    speaker: str
    when: str


def read_folder(path: Path, kind: str, label: str) -> list[Clip]:
    """List the recordings of a folder and of all folders in it.

    The speaker is that of ``recordings.tsv``, which may lie in this folder or up to two above it;
    else the name of the first sub-folder, one named like the phrase left out; else empty: unknown.
    Of a folder with a table in it, positives of other phrases are no positives, and only what was
    recorded with ``--negative`` is a negative; of a folder further in, everything is taken.

    Args:
        path: the folder.
        kind: "wake" for what says the phrase, else a kind of sound without it ("speech", "noise").
        label: the phrase, or a name for such sound.

    Returns:
        Clips in the order of their names. ``file`` is absolute, ``licence`` "your own", ``source``
        "own recordings", with the day after a slash where the table says it. A file that is no
        audio is named in the log and left out.

    Raises:
        ConfigError: no folder, nothing in it that could be meant, or none of it can be read.
    """
    root = path.resolve()
    if not root.is_dir():
        what = "is a file: name the folder it lies in" if root.is_file() else "no such folder"
        raise ConfigError(f"{path}: {what}")
    files = sorted(
        file
        for file in root.rglob("*")
        if file.suffix.lower() in AUDIO
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
        and file.is_file()
    )
    if not files:
        raise ConfigError(f"{path}: no recordings in it (.wav, .flac, .ogg, .opus, .mp3)")
    told = _tell(root, files, kind, label)
    meant = [file for file in files if _meant(told[file], kind, label)]
    if len(meant) < len(files):
        if not meant:
            raise ConfigError(f"{path}: its {TABLE} names nothing that is {_wanted(kind, label)}")
        log.warning(
            "%s: %d of %d recordings left out: they are not %s", path, len(files) - len(meant),
            len(files), _wanted(kind, label),
        )  # fmt: skip
    names = {told[file].label for file in meant} if kind == WAKE else set()
    for other in sorted(name for name in names if name and _letters(name) != _letters(label)):
        log.warning('%s: recorded as "%s", taken for "%s"', path, other, label)
    clips = []
    for file in meant:
        if (seconds := _seconds(file)) is not None:
            source = f"{SOURCE}/{told[file].when}" if told[file].when else SOURCE
            clips.append(
                Clip(file.as_posix(), 0.0, seconds, kind, label, told[file].speaker, OWN, source)
            )
    if not clips:
        raise ConfigError(f"{path}: none of {len(meant)} recordings can be read")
    return clips


def _wanted(kind: str, label: str) -> str:
    """Name what is looked for."""
    return f'recordings of "{label}"' if kind == WAKE else f"of kind {NEGATIVE}"


def _tell(root: Path, files: Iterable[Path], kind: str, label: str) -> dict[Path, _Told]:
    """Say of each file what the table or else the folders say."""
    base = next((f for f in (root, *root.parents[:2]) if (f / TABLE).is_file()), None)
    if base is None:
        skip = _letters(label) if kind == WAKE else ""
        return {file: _by_folder(file.relative_to(root).parts[:-1], skip) for file in files}
    rows = {base / row.file: row for row in read_table(base)}
    found = {}
    for file in files:
        if file in rows:
            row = rows[file]
            told = _Told(row.kind, row.label, row.speaker, row.when)
        else:  # as `wakeword record` lays them
            top, speaker, *_ = (*file.relative_to(base).parts[:-1], "", "")
            told = _Told(NEGATIVE if top == NEGATIVE else POSITIVE, top, speaker, "")
        by_name = root != base and (kind != WAKE or told.kind != NEGATIVE)
        found[file] = replace(told, kind="") if by_name else told
    return found


def _by_folder(folders: tuple[str, ...], skip: str) -> _Told:
    """Take the first folder for the speaker, unless it is the phrase's."""
    names = [name for n, name in enumerate(folders) if n or _letters(name) != skip]
    return _Told("", "", names[0] if names else "", "")


def _meant(told: _Told, kind: str, label: str) -> bool:
    """Tell whether a recording is what is asked for."""
    wanted = POSITIVE if kind == WAKE else NEGATIVE
    same = kind != WAKE or _letters(told.label) == _letters(label)
    return not told.kind or (told.kind == wanted and same)


def _letters(phrase: str) -> str:
    """Reduce a phrase to what its spellings share: "Hey, you", "hey_you".

    >>> _letters("Hey, you") == _letters("hey_you")
    True
    """
    return "".join(c for c in phrase.casefold() if c.isalnum())


def _seconds(file: Path) -> float | None:
    """Return how long a recording lasts; None, and a line in the log, where it is no audio."""
    import soundfile

    try:
        about = soundfile.info(str(file))
    except (soundfile.LibsndfileError, TypeError) as exc:  # TypeError: raw samples, no header
        log.warning(
            "%s: left out, it cannot be read as audio (%s); convert it: ffmpeg -i %s %s",
            file, getattr(exc, "error_string", exc), file.name, file.with_suffix(".flac").name,
        )  # fmt: skip
        return None
    return float(about.frames / about.samplerate)


def session_of(clip: Clip) -> str:
    """Return the day of a recording, empty where unknown."""
    return clip.source.partition("/")[2] if clip.source.startswith(f"{SOURCE}/") else ""


def split_speakers(clips: Iterable[Clip], seed: int) -> dict[str, str]:
    """Say of each recording whether it trains, chooses the threshold ("dev") or tests.

    By speaker, never by clip: a voice that training heard says nothing about others. Of two people
    who say the phrase one tests, of three one; from four on about a fifth chooses the threshold and
    a fifth tests. Who has the most clips trains. Recordings of nobody in particular all train.

    One person's recordings all train, too, with one exception: where they were made on several
    days, the last day tests (if it has 5 clips and the others have 10). That tests the same voice
    in the same room on another day, which is what its owner asks first, and no more; `split_note`
    says so. Sound without the phrase follows its speaker, or is split alike from three on.

    Args:
        clips: of all folders together, so that a voice in two of them is in one part.
        seed: of the draw; the order of the clips does not matter.

    Returns:
        File to "train", "dev" or "test". What that means is said in the log.
    """
    clips = list(clips)
    speakers = Counter(clip.speaker for clip in clips if clip.kind == WAKE)
    unknown = speakers.pop("", 0)
    others = Counter(c.speaker for c in clips if c.speaker and c.speaker not in speakers)
    of = {**_draw(speakers, seed, fewest=2), **_draw(others, seed, fewest=3)}
    parts = {clip.file: of.get(clip.speaker, "train") for clip in clips}
    if len(speakers) == 1 and not unknown:
        parts.update(dict.fromkeys(_last_day(clips, *speakers), "test"))
    if note := split_note(clips, parts):
        log.log(logging.INFO if "test" in parts.values() else logging.WARNING, "%s", note)
    return parts


def _draw(counts: Mapping[str, int], seed: int, *, fewest: int) -> dict[str, str]:
    """Give each speaker a part; all train where there are fewer than ``fewest``."""
    names = sorted(counts, key=lambda name: rank(f"{seed} {name}"))
    if len(names) < fewest:
        return dict.fromkeys(names, "train")
    names.remove(max(names, key=lambda name: counts[name]))
    fifth = max(1, round(0.2 * len(counts)))
    test, dev = names[:fifth], names[fifth : 2 * fifth] if len(counts) >= 4 else []
    return {
        **dict.fromkeys(counts, "train"), **dict.fromkeys(test, "test"), **dict.fromkeys(dev, "dev")
    }  # fmt: skip


def _last_day(clips: Iterable[Clip], speaker: str) -> list[str]:
    """Return what a person recorded on the last of several days, if enough is left to train."""
    own = [clip for clip in clips if clip.speaker == speaker]
    days = Counter(session_of(clip) for clip in own if clip.kind == WAKE)
    last = max(days)
    if days[last] < FEWEST_TEST or days.total() - days[last] < FEWEST_TRAIN:
        return []
    return [clip.file for clip in own if session_of(clip) == last]


def split_note(clips: Iterable[Clip], parts: Mapping[str, str]) -> str:
    """Say what a split can and cannot show, for the log and the report; empty without a phrase."""
    wake = [clip for clip in clips if clip.kind == WAKE]
    if not wake:
        return ""
    people = {part: {c.speaker for c in wake if parts[c.file] == part} for part in _PARTS}
    unknown = sum(not clip.speaker for clip in wake)
    known = set().union(*people.values()) - {""}
    if people["test"] & people["train"]:
        last = max(session_of(clip) for clip in wake if parts[clip.file] == "test")
        count = sum(parts[clip.file] == "test" for clip in wake)
        return (
            f"one person: {count} recordings of {last} test, {len(wake) - count} of earlier days "
            "train. The test shows how this voice is heard on another day, nothing of other people"
        )
    if people["test"]:
        dev = f"{len(people['dev'])} choose the threshold, " if people["dev"] else ""
        note = (
            f"{len(known)} people: {len(people['train'] - {''})} train, {dev}"
            f"{len(people['test'])} test, whom training does not hear"
        )
        if unknown:
            note += f"; but {unknown} recordings that train do not say whose they are"
        return note
    whose = "one person"
    if unknown:
        whose = (
            f"nobody knows who speaks in {unknown} of {len(wake)} recordings: one person for all"
        )
    return (
        f"{whose}: all train, and NOTHING IS LEFT TO TEST ON. Put each person's recordings into a "
        "folder of their own, or record some on another day with wakeword record"
    )


_PARTS = ("train", "dev", "test")
