"""The Brown corpus, in the parts of Bengio et al. 2003."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from wakeword.errors import ConfigError

__all__ = ["cut", "read_brown"]

Sentence = list[str]
FILE = re.compile(r"brown/c[a-r]\d\d")


def read_brown(path: Path) -> list[Sentence]:
    """Read the sentences from NLTK's zip, file after file; each word without its tag.

    Raises:
        ConfigError: it holds no such files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = sorted(n for n in archive.namelist() if FILE.fullmatch(n))
            texts = [archive.read(name).decode("utf-8", "replace") for name in files]
    except zipfile.BadZipFile as exc:
        raise ConfigError(f"{path}: no zip file: {exc}") from exc
    if not texts:
        raise ConfigError(f"{path}: holds no files brown/ca01 and so on")
    return [words for text in texts for words in _sentences(text)]


def _sentences(text: str) -> Iterator[Sentence]:
    r"""Give the words of each line.

    >>> list(_sentences("The/at jury/nn 1\\/2/cd ./.\n\n\tIt/pps\n"))
    [['The', 'jury', '1\\/2', '.'], ['It']]
    """
    for line in text.splitlines():
        if words := [word.rpartition("/")[0] or word for word in line.split()]:
            yield words


def cut(sentences: Sequence[Sentence], words: Sequence[int]) -> list[list[Sentence]]:
    """Cut into parts of about so many words, whole sentences each; the last gets the rest.

    Source: Bengio et al. 2003, "A neural probabilistic language model", JMLR 3: the first 800,000
        words train, the next 200,000 validate, the rest test.

    >>> cut([["a", "b"], ["c"], ["d"]], [2])
    [[['a', 'b']], [['c'], ['d']]]
    """
    parts: list[list[Sentence]] = [[] for _ in range(len(words) + 1)]
    part, room = 0, list(words)
    for sentence in sentences:
        while part < len(room) and room[part] <= 0:
            part += 1
        parts[part].append(sentence)
        if part < len(room):
            room[part] -= len(sentence)
    return parts
