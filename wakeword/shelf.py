"""Where recordings of one's own lie: numbered FLAC files and a table of what each is.

``DIR/PHRASE/SPEAKER/0001.flac``, ``DIR/negative/SPEAKER/0001.flac`` for ordinary sound, and
``DIR/recordings.tsv`` with a row for each. A file is written beside its name and then renamed, so
there are whole files only; a number is never used twice.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.errors import ConfigError, WakewordError
from wakeword.files import beside

__all__ = ["NEGATIVE", "POSITIVE", "TABLE", "Recording", "Shelf", "folder_name", "read_table"]

TABLE = "recordings.tsv"
POSITIVE, NEGATIVE = "positive", "negative"
CLIP_NAME = re.compile(r"(\d+)\.flac")
MD5_AT = 26  # bytes into a FLAC file, where its audio's MD5 lies (RFC 9639, 8.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A row of the table.

    Attributes:
        file: relative to the table's folder, with slashes.
        label: the phrase; empty for ordinary sound.
        speaker: who speaks, or whose room it is.
        when: date, YYYY-MM-DD.
        device: name of the microphone, or of the file that it was cut from.
        level_db, peak_db: of full scale; the level is that of the word.
        snr_db: of the word above the room, estimated; empty for ordinary sound.
        kind: "positive" or "negative".
    """

    file: str
    label: str
    speaker: str
    when: str
    device: str
    level_db: str
    peak_db: str
    snr_db: str
    kind: str


COLUMNS = tuple(field.name for field in fields(Recording))


class Shelf:
    """The clips of one speaker and one phrase, or of a speaker's ordinary sound.

    Args:
        root: the folder DIR; made when the first clip comes.
        phrase: what is said; empty for ordinary sound.
        speaker: who says it.

    Raises:
        ConfigError: a name that no folder can have, or a phrase that would lie among the negatives.
    """

    def __init__(self, root: Path, phrase: str, speaker: str) -> None:
        self.root = root
        self.phrase = phrase
        self.speaker = speaker
        top = folder_name(phrase, "phrase").casefold() if phrase else NEGATIVE
        if phrase and top == NEGATIVE:
            raise ConfigError(
                f'phrase "{phrase}": the folder {NEGATIVE} is for ordinary sound; say another word'
            )
        self.folder = root / top / folder_name(speaker, "speaker")
        self._sums = {_md5(self.folder / name) for name in self._numbers()}

    def count(self) -> int:
        """Count the clips that are there."""
        return len(self._numbers())

    def has(self, samples: NDArray[np.int16]) -> bool:
        """Tell whether a clip with just these samples is there."""
        sound = samples.astype("<i2").tobytes()
        return hashlib.md5(sound, usedforsecurity=False).digest() in self._sums

    def add(
        self,
        samples: NDArray[np.int16],
        *,
        when: str,
        device: str,
        level_db: float,
        peak_db: float,
        snr_db: float | None,
    ) -> Recording:
        """Write a clip under the next number, and its row.

        Args:
            samples: (N,), 16 kHz mono.
            when: date, YYYY-MM-DD.
            device: where it comes from.
            level_db, peak_db, snr_db: what was measured.

        Raises:
            WakewordError: it cannot be written.
        """
        number = max(self._numbers().values(), default=0) + 1
        path = self.folder / f"{number:04d}.flac"
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_flac(path, samples)
        self._sums.add(_md5(path))
        row = Recording(
            file=path.relative_to(self.root).as_posix(),
            label=self.phrase,
            speaker=self.speaker,
            when=when,
            device=device,
            level_db=f"{level_db:.1f}",
            peak_db=f"{peak_db:.1f}",
            snr_db="" if snr_db is None else f"{snr_db:.1f}",
            kind=POSITIVE if self.phrase else NEGATIVE,
        )
        _add_row(self.root / TABLE, row)
        return row

    def _numbers(self) -> dict[str, int]:
        """Find the clips: names to their numbers."""
        names = [p.name for p in self.folder.iterdir()] if self.folder.is_dir() else []
        return {name: int(m[1]) for name in names if (m := CLIP_NAME.fullmatch(name))}


def folder_name(text: str, what: str) -> str:
    """Make a folder's name of a phrase or of a person's name.

    Raises:
        ConfigError: nothing is left of it.

    >>> folder_name("hey  computer!", "phrase"), folder_name("../Zoë", "speaker")
    ('hey_computer', 'Zoë')
    """
    name = re.sub(r"[^\w-]+", "_", text).strip("_")
    if not name:
        raise ConfigError(f'{what} "{text}": need at least one letter or digit')
    return name


def read_table(folder: Path) -> list[Recording]:
    """Read the table of a folder, oldest row first; none is an empty table.

    Raises:
        ConfigError: a row that does not parse.
    """
    path = folder / TABLE
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = []
    for number, row in enumerate(rows, start=2):
        if not set(COLUMNS) <= set(row) or None in row.values():
            raise ConfigError(
                f"{path}:{number}: need the columns {', '.join(COLUMNS)}; mend the row or drop it"
            )
        found.append(Recording(**{name: row[name] for name in COLUMNS}))
    return found


def _add_row(path: Path, row: Recording) -> None:
    """Write the table anew with one more row, beside its name and then renamed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    lines = lines or ["\t".join(COLUMNS)]
    # A tab or a new line in a name would break the table. Columns of the user's own stay.
    cells = {name: " ".join(value.split()) for name, value in asdict(row).items()}
    lines.append("\t".join(cells.get(name, "") for name in lines[0].split("\t")))
    with beside(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_flac(path: Path, samples: NDArray[np.int16]) -> None:
    """Write a clip beside its name, and rename it."""
    import soundfile

    try:
        with beside(path) as partial:
            soundfile.write(str(partial), samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError as exc:
        raise WakewordError(f"{path}: cannot be written ({exc.error_string})") from exc


def _md5(path: Path) -> bytes:
    """Read what a FLAC file says is the MD5 of its audio."""
    with path.open("rb") as file:
        return file.read(MD5_AT + 16)[MD5_AT:]
