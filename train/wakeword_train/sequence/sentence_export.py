"""Write a model of sentences as a bundle, and measure what became of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wakeword.sentences import TASK, SentenceModel
from wakeword.sequence_bundle import SequenceBundle, write_sequence_bundle
from wakeword_train.data.tagged import Sentence
from wakeword_train.sequence.sentences import Symbols, accuracy, f1, read_all
from wakeword_train.sequence.table import Row
from wakeword_train.step_export import Scheme

__all__ = ["as_shipped", "write_sentences"]

CALIBRATION = 100
"""Sentences that tell the ranges of int8."""


def write_sentences(
    path: Path,
    net: Any,
    symbols: Symbols,
    train: Sequence[Sentence],
    *,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    scheme: Scheme = "int8",
) -> SequenceBundle:
    """Convert a model and write its bundle; ranges come from sentences of training."""
    from wakeword_train.models.sentence import to_graphs

    chosen = train[:: max(1, len(train) // CALIBRATION)]
    codes = [symbols.coder.encode(s.words) for s in chosen]
    return write_sequence_bundle(
        path,
        task=TASK,
        graphs=to_graphs(net, symbols.coder.kinds, scheme, codes),
        vocabularies=symbols.vocabularies,
        settings={"pool": net.config.pool, **settings},
        training=training,
        force=True,
    )


def as_shipped(
    name: str, model: SentenceModel, net: Any, symbols: Symbols, test: Sequence[Sentence]
) -> list[Row]:
    """Let a bundle read test sentences, and say what int8 costs, how large and how fast it is."""
    began = time.process_time()
    readings = [model.read(s.words) for s in test]
    spent = time.process_time() - began
    exact = read_all(net, symbols, test)
    rows = []
    if symbols.tags is not None:
        lost = f1(exact.tags, test) - f1([r.tags for r in readings], test)
        rows.append(Row(f"{name}: F1 that int8 loses", lost, digits=2))
    if symbols.labels is not None:
        lost = accuracy(exact.labels, test) - accuracy([r.label for r in readings], test)
        rows.append(Row(f"{name}: labels that int8 loses, %", lost, digits=2))
    words = int(np.sum([len(s.words) for s in test]))
    return [
        *rows,
        Row(f"{name}: kB of all graphs", model.size / 1000, digits=0),
        Row(f"{name}: ms a word, one core", 1000 * spent / words, digits=3),
    ]
