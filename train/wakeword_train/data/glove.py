"""Published vectors of words, cropped to the words that a model needs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError

__all__ = ["for_words", "read_vectors"]


def read_vectors(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read vectors saved as arrays "words" (V,), the most frequent first, and "vectors" (V, D).

    Raises:
        ConfigError: it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            words, vectors = data["words"].tolist(), data["vectors"].astype(np.float32)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as exc:
        raise ConfigError(f"{path}: need arrays words and vectors: {exc}") from exc
    if vectors.ndim != 2 or len(words) != len(vectors) or not np.isfinite(vectors).all():
        raise ConfigError(
            f"{path}: {len(words)} words and vectors {vectors.shape}: need a finite row for each"
        )
    return words, vectors


def for_words(
    symbols: Sequence[str],
    known: tuple[Sequence[str], NDArray[np.float32]],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Give a vector for each symbol: the published one, or a drawn one of the same spread.

    Vectors are scaled so that their values spread by 0.3, like those drawn.
    """
    words, vectors = known
    place = {word: i for i, word in enumerate(words)}
    found = rng.normal(0, 0.3, (len(symbols), vectors.shape[1])).astype(np.float32)
    rows = [(i, place[s]) for i, s in enumerate(symbols) if s in place]
    if rows:
        ours, theirs = np.array(rows).T
        found[ours] = vectors[theirs] * np.float32(0.3 / vectors.std())
    return found
