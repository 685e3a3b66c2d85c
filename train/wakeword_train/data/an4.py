"""AN4: 83 people spelling, counting and giving orders, as cepstra at 100 frames a second."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, ConfigError
from wakeword.mfcc import COEFFICIENTS

__all__ = ["COEFFICIENTS", "FRAMES_PER_S", "Utterance", "read_an4", "read_cepstra"]

FRAMES_PER_S = 100
PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
MAX_FILE = 1 << 24  # bytes
LINE = re.compile(r"(?:<s> )?(.*?)(?: </s>)? \((\S+)\)")


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """What one person said once.

    Attributes:
        name: of the recording.
        speaker: who.
        text: words in capitals, one space between two.
        frames: (T, 13) float32 mel cepstra, 100 a second.
    """

    name: str
    speaker: str
    text: str
    frames: NDArray[np.float32]


def read_cepstra(content: bytes, name: str = "cepstra") -> NDArray[np.float32]:
    """Read a Sphinx feature file: a count of numbers, then as many float32, either byte order.

    Returns:
        (T, 13)

    Raises:
        AudioFormatError: the count and the size differ, or a number is not finite.
    """
    for order in (">", "<"):
        values = np.frombuffer(content[4 : 4 + (len(content) - 4) // 4 * 4], f"{order}f4")
        count = int.from_bytes(content[:4], "big" if order == ">" else "little")
        if len(content) == 4 + 4 * count and count and count % COEFFICIENTS == 0:
            frames = values.astype(np.float32).reshape(-1, COEFFICIENTS)
            if not np.isfinite(frames).all():
                raise AudioFormatError(f"{name}: a number that is not finite: the file is damaged")
            return frames
    raise AudioFormatError(
        f"{name}: {len(content)} bytes: need 4 for a count, and 4 for each of as many numbers, "
        f"{COEFFICIENTS} a frame"
    )


def read_an4(path: Path) -> dict[str, list[Utterance]]:
    """Read the archive an4.tar.xz.

    Returns:
        Utterances of "train" and of "test", in the order of its lists; no speaker is in both.

    Raises:
        ConfigError: no archive, or something is missing in it.
        AudioFormatError: a damaged feature file.
    """
    try:
        with tarfile.open(path) as archive:
            files = {
                member.name.removeprefix("./").removeprefix("an4/"): archive.extractfile(member)
                for member in archive
                if member.isfile() and member.size <= MAX_FILE
            }
            content = {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, tarfile.TarError, EOFError) as exc:
        raise ConfigError(f"{path}: no archive of AN4: {exc}") from exc
    return {part: list(_part(path, content, part)) for part in PARTS}


def _part(path: Path, content: dict[str, bytes], part: str) -> Iterator[Utterance]:
    def lines(kind: str) -> list[str]:
        return _get(path, content, f"etc/an4_{part}.{kind}").decode("ascii").splitlines()

    for place, line in zip(lines("fileids"), lines("transcription"), strict=True):
        match = LINE.fullmatch(line.strip())
        folder, speaker, name = place.strip().split("/")
        if match is None or match[2] != name or folder != PARTS[part]:
            raise ConfigError(f"{path}: {line[:60]!r} does not belong to {place!r}")
        member = f"feat/{place.strip()}.mfc"
        frames = read_cepstra(_get(path, content, member), member)
        yield Utterance(name, speaker, " ".join(match[1].split()), frames)


def _get(path: Path, content: dict[str, bytes], name: str) -> bytes:
    if name not in content:
        raise ConfigError(f"{path}: {name} is not in it: is it the archive of AN4's features?")
    return content[name]
