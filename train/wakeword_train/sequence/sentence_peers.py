"""Cheap baselines and a reference library for tags and labels of sentences."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from wakeword.words import KINDS
from wakeword_train.data.tagged import Sentence

__all__ = ["bag_of_words", "crf_tags", "frequent_tags"]


def frequent_tags(train: Sequence[Sentence], test: Sequence[Sentence]) -> list[list[str]]:
    """Give each word the tag that it has most often in training; O where it was never seen."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word.lower()][tag] += 1
    best = {word: min(found, key=lambda t: (-found[t], t)) for word, found in counts.items()}
    return [[best.get(word.lower(), "O") for word in s.words] for s in test]


def bag_of_words(
    train: Sequence[Sentence], test: Sequence[Sentence], *, pairs: bool = False
) -> list[str]:
    """Labels by logistic regression on which words (and pairs of neighbours) there are."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    count = CountVectorizer(
        analyzer=lambda words: [
            *map(str.lower, words),
            *(f"{a} {b}".lower() for a, b in itertools.pairwise(words) if pairs),
        ],
        binary=True,
    )
    model = LogisticRegression(max_iter=300)
    model.fit(count.fit_transform([s.words for s in train]), [s.label for s in train])
    found: list[str] = model.predict(count.transform([s.words for s in test])).tolist()
    return found


def crf_tags(
    train: Sequence[Sentence], test: Sequence[Sentence], rounds: int = 60
) -> list[list[str]]:
    """Tags by a linear-chain CRF of CRFsuite, of words, their ends, shapes and neighbours.

    Returns:
        Tags of each sentence; nothing where python-crfsuite is not there.
    """
    import tempfile
    from pathlib import Path

    try:
        import pycrfsuite
    except ImportError:
        return []
    trainer: Any = pycrfsuite.Trainer(verbose=False)
    trainer.set_params({"c1": 0.05, "c2": 0.01, "max_iterations": rounds})
    for sentence in train:
        trainer.append(_features(sentence.words), list(sentence.tags))
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "crf")
        trainer.train(file)
        tagger: Any = pycrfsuite.Tagger()
        tagger.open(file)
        found = [list(tagger.tag(_features(s.words))) for s in test]
        tagger.close()
    return found


def _features(words: Sequence[str]) -> list[list[str]]:
    """What the CRF sees of each word: its own kinds and those of two words on each side."""
    own = [{kind: cut(word) for kind, cut in KINDS.items()} for word in words]
    rows = []
    for i in range(len(words)):
        row = [f"{kind}={value}" for kind, value in own[i].items()]
        for step in (-2, -1, 1, 2):
            at = i + step
            if 0 <= at < len(words):
                row += [f"{step}{kind}={own[at][kind]}" for kind in ("words", "shapes")]
            else:
                row.append(f"{step}end")
        rows.append(row)
    return rows
