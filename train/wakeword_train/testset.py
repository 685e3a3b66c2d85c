"""What an engine is tested on: recordings of words, and long sound without them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword_train.data.manifest import read_clips
from wakeword_train.data.splits import read_splits

__all__ = ["Recording", "TestSet", "label_of", "list_audio", "read_corpus", "read_lists", "says"]

AUDIO = (".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav")
WORD_KINDS = ("wake", "wake_extra", "notwake", "command", "sentence")
PARTS = {"speech": "speech", "noise": "noise", "music": "noise"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file. ``word_end_s`` is counted from its start, None where nobody labelled it.

    ``speaker`` is empty where unknown; ``synthetic``: nobody said it, a machine did.
    """

    path: Path
    name: str
    label: str = ""
    source: str = ""
    word_end_s: float | None = None
    speaker: str = ""
    synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """Clips of words by label; long streams by part; noises, impulse responses, talk to mix in."""

    __test__ = False  # no test case, whatever pytest makes of the name

    clips: tuple[Recording, ...]
    streams: tuple[tuple[str, Recording], ...]
    noises: tuple[Recording, ...] = ()
    rirs: tuple[Recording, ...] = ()
    talks: tuple[Recording, ...] = ()


def label_of(word: str) -> str:
    """Spell a word as labels do.

    >>> label_of("Hey Jarvis")
    'hey_jarvis'
    """
    return "_".join(word.casefold().split())


def says(label: str, word: str) -> bool:
    """Tell whether a phrase contains a word: such a clip is neither a hit to count nor a negative.

    >>> says("hey_computer", "computer"), says("computador", "computer")
    (True, False)
    """
    return f"_{label_of(word)}_" in f"_{label_of(label)}_"


def read_corpus(folder: Path, splits: Path, split: str) -> TestSet:
    """Take one part of a folder of recordings with ``manifest.tsv``.

    Words, other phrases and commands become clips, each under its label: what is not the word is
    a negative of the same recording chain. Speech streams are taken whole, noise and music are one
    part. Noises, impulse responses and talk come from the same split.

    Raises:
        ConfigError: no manifest or split file, or nothing of that split.
    """
    parts = read_splits(splits)
    clips: list[Recording] = []
    streams: dict[str, tuple[str, Recording]] = {}
    noises: list[Recording] = []
    rirs: list[Recording] = []
    for clip in read_clips(folder):
        if parts.get(clip.file) != split:
            continue
        one = Recording(
            path=folder / clip.file,
            name=clip.file,
            label=label_of(clip.label),
            source=clip.source.split("/")[0],
            speaker=clip.speaker,
            synthetic=clip.kind == "synthetic",
        )
        if clip.kind in WORD_KINDS:
            clips.append(one)
        elif clip.kind in PARTS and clip.file not in streams:
            streams[clip.file] = (PARTS[clip.kind], one)
            if clip.kind in ("noise", "music"):
                noises.append(one)
        elif clip.kind == "rir":
            rirs.append(one)
    if not clips and not streams:
        raise ConfigError(f"{splits} puts nothing of {folder} into {split!r}: train, dev or test?")
    return TestSet(
        clips=tuple(clips),
        streams=tuple(streams.values()),
        noises=tuple(noises),
        rirs=tuple(rirs),
        talks=tuple(one for part, one in streams.values() if part == "speech"),
    )


def list_audio(path: Path) -> list[Path]:
    """Name one audio file, or all those below a folder, sorted.

    Raises:
        ConfigError: nothing there.
    """
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO)
    if not found:
        raise ConfigError(f"{path}: no audio there; need files such as {', '.join(AUDIO)}")
    return found


def read_lists(
    positives: Path,
    negatives: Sequence[Path],
    *,
    words: Sequence[str],
    split: str | None = None,
    noises: Sequence[Path] = (),
    rirs: Sequence[Path] = (),
    talks: Sequence[Path] = (),
) -> TestSet:
    """Take recordings from folders, or clips from a list.

    Args:
        positives: a TSV with the columns ``file word speaker split`` and perhaps ``word_end_s``,
            files relative to it; or a folder, with a sub-folder per word where there are several.
        negatives: files or folders of sound without the words; each one given is a part by itself.
        words: the words of the bundle.
        split: rows of the TSV to take, None for all.
        noises: files or folders to mix in.
        rirs: files or folders of impulse responses.
        talks: files or folders of long speech to hear before.

    Raises:
        ConfigError: nothing there, or a row that does not parse.
    """
    if positives.is_dir():
        clips = [_in_folder(positives, path, words) for path in list_audio(positives)]
    else:
        clips = _read_list(positives, split)
    names = [path.name or str(path) for path in negatives]
    streams = [
        (names[n] if names.count(names[n]) == 1 else str(path), one)
        for n, path in enumerate(negatives)
        for one in _plain([path])
    ]
    return TestSet(
        clips=tuple(clips),
        streams=tuple(streams),
        noises=tuple(_plain(noises)),
        rirs=tuple(_plain(rirs)),
        talks=tuple(_plain(talks)),
    )


def _plain(paths: Iterable[Path]) -> list[Recording]:
    """List recordings without a label; their source is the folder they lie in."""
    return [
        Recording(path=file, name=file.name, source=file.parent.name)
        for path in paths
        for file in list_audio(path)
    ]


def _in_folder(top: Path, path: Path, words: Sequence[str]) -> Recording:
    """Label a file by its sub-folder, or by the only word there is."""
    inner = path.relative_to(top).parts
    if len(inner) > 1:
        label = label_of(inner[0])
    elif len(words) == 1:
        label = label_of(words[0])
    else:
        raise ConfigError(
            f"{path}: which of {', '.join(words)} is it? Put it into a sub-folder of that name, "
            "or choose one with --word"
        )
    return Recording(path=path, name="/".join(inner), label=label, source=top.name)


def _read_list(path: Path, split: str | None) -> list[Recording]:
    """Read a TSV of clips."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such folder or list")
    clips = []
    with path.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines, delimiter="\t"), start=2):
            try:
                if split is not None and row["split"] != split:
                    continue
                end = (row.get("word_end_s") or "").strip()
                clips.append(
                    Recording(
                        path=path.parent / row["file"],
                        name=row["file"],
                        label=label_of(row["word"]),
                        source=path.stem,
                        word_end_s=float(end) if end else None,
                        speaker=(row.get("speaker") or "").strip(),
                    )
                )
            except (AttributeError, KeyError, TypeError, ValueError) as exc:
                raise ConfigError(
                    f"{path}:{number}: need the columns file, word, speaker, split and perhaps "
                    f"word_end_s (seconds), got {row}"
                ) from exc
    if not clips:
        raise ConfigError(f"{path}: no rows" + (f" of split {split!r}" if split else ""))
    return clips
