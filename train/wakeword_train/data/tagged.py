"""Sentences with tags and labels: ATIS and SNIPS, wikigold, movie reviews of one sentence."""

from __future__ import annotations

import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword.spans import begin_spans
from wakeword.words import split_sentence

__all__ = ["Sentence", "read_polarity", "read_slots", "read_wikigold"]

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words, a tag for each (or none at all), and a label (or an empty one)."""

    words: tuple[str, ...]
    tags: tuple[str, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        if not self.words or len(self.tags) not in (0, len(self.words)):
            raise ConfigError(
                f"{len(self.words)} words and {len(self.tags)} tags ({' '.join(self.words)[:60]!r})"
                ": need words, and a tag for each or none"
            )


def read_slots(path: Path, name: str) -> dict[str, list[Sentence]]:
    """Read "atis" or "snips" from the archive: parts train, valid and test.

    Raises:
        ConfigError: a file is missing, or their lines do not pair up.
    """
    found = {}
    for part in PARTS:
        columns = [
            _member(path, f"data/{name}/{part}/{file}").splitlines()
            for file in ("seq.in", "seq.out", "label")
        ]
        if len({len(column) for column in columns}) != 1:
            raise ConfigError(
                f"{path}: {name}/{part} has {[len(c) for c in columns]} lines of words, tags and "
                "labels: need as many of each"
            )
        found[part] = [
            Sentence(tuple(words.split()), tuple(tags.split()), label.strip())
            for words, tags, label in zip(*columns, strict=True)
        ]
    return found


def read_wikigold(path: Path) -> list[list[Sentence]]:
    """Read the documents of wikigold, their sentences with B- where a span begins.

    Raises:
        ConfigError: the file is missing, or a line is no word with its tag.
    """
    text = _member(path, "data/wikigold/CONLL-format/data/wikigold.conll.txt")
    documents: list[list[Sentence]] = [[]]
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = [line.rsplit(None, 1) for line in block.splitlines()]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"{path}: a line of wikigold has no tag: {block[:60]!r}")
        pairs = [pair for pair in pairs if pair[0] != "-DOCSTART-"]
        if pairs:
            words, tags = zip(*pairs, strict=True)
            documents[-1].append(Sentence(words, tuple(begin_spans(tags))))
        if "-DOCSTART-" in block:
            documents.append([])
    return [document for document in documents if document]


def read_polarity(path: Path) -> list[Sentence]:
    """Read the sentences of movie reviews from NLTK's zip, labels "negative" and "positive".

    What is twice in it is kept once, so that no test sentence is one of training.

    Raises:
        ConfigError: they are not in it.
    """
    found: dict[Sentence, None] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for label in ("negative", "positive"):
                text = archive.read(f"sentence_polarity/rt-polarity.{label[:3]}").decode("utf-8")
                for line in text.splitlines():
                    if line.strip():
                        words = split_sentence(line, contractions=True)
                        found[Sentence(tuple(words), (), label)] = None
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: does not hold sentence polarity 1.0: {exc}") from exc
    return list(found)


def _member(path: Path, name: str) -> str:
    """Read a text of an archive."""
    try:
        with tarfile.open(path) as archive:
            content = archive.extractfile(name)
            if content is None:
                raise ConfigError(f"{path}: {name} is no file")
            return content.read().decode("utf-8")
    except (tarfile.TarError, KeyError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {name}: {exc}") from exc
