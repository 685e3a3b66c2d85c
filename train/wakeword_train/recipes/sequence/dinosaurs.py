"""Dinosaur names: a character at a time, beside and together with 6-grams.

A name is told by its characters and an end; what the models give held-out names is measured in bits
a character, the end counted as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode import sample
from wakeword.language import LanguageModel, Mixture, kneser_ney
from wakeword.language.neural import NeuralLanguageModel
from wakeword.sequence_bundle import write_sequence_bundle
from wakeword.vocabulary import EOS, Vocabulary
from wakeword_train.models.language import (
    TASK,
    LanguageConfig,
    LanguageNet,
    as_model,
    calibration,
    to_graphs,
)
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.table import Row
from wakeword_train.sequence.text import new_and_ended, padded, shuffled_parts

LEDGER = (
    {
        "name": "dinos.txt", "source": "deep learning course, sequence models",
        "licence": "unstated", "used_for": "training and measuring",
    },
)  # fmt: skip
CELLS = ("lstm", "gru")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes, and shares of the names that are held out to choose by and to measure."""

    embedding: int = 32
    units: int = 160
    dropout: float = 0.4
    batch: int = 64
    batches: int = 700
    rate: float = 4e-3
    decay: float = 0.05
    order: int = 6
    test: float = 0.1
    valid: float = 0.1
    samples: int = 200


CONFIG = Config()
SMALL = Config(embedding=8, units=24, batches=40, samples=10)


@dataclass(frozen=True, slots=True)
class Data:
    """Names as numbers, in three parts."""

    vocabulary: Vocabulary
    train: list[NDArray[np.int32]]
    valid: list[NDArray[np.int32]]
    test: list[NDArray[np.int32]]

    @property
    def end(self) -> int:
        """Number of the end, which stands before a name too."""
        return self.vocabulary.end()


def load(run: Run) -> Data:
    """Read the names, each once, and hold some out."""
    lines = run.file("course/dinos.txt").read_text("utf-8").lower().split()
    names = sorted(set(lines))
    vocabulary = Vocabulary.of_chars(names, eos=EOS)
    encoded = [vocabulary.encode(name) for name in names]
    shares = (run.config.test, run.config.valid)
    test, valid, train = shuffled_parts(encoded, shares, run.rng("parts"))
    return Data(vocabulary, train, valid, test)


def build(run: Run, data: Data) -> dict[str, LanguageNet]:
    """Make a model of each cell."""
    config = run.config
    return {
        cell: LanguageNet(
            LanguageConfig(
                cell=cell, embedding=config.embedding, units=(config.units,),
                dropout=config.dropout,
            ),
            len(data.vocabulary),
        )
        for cell in CELLS
    }  # fmt: skip


def fit(run: Run, data: Data, models: dict[str, LanguageNet]) -> None:
    """Train each, and keep the weights that tell validation names best."""
    config = run.config
    tokens, mask = padded(data.train, data.end, data.end)
    valid = padded(data.valid, data.end, data.end)

    def draw(rng: np.random.Generator, _: int) -> tuple[Any, ...]:
        rows = rng.integers(0, len(tokens), config.batch)
        return tokens[rows], mask[rows]

    for cell, net in models.items():
        settings = FitConfig(
            batches=config.batches, rate=config.rate, decay=config.decay, check_every=50,
            average_last=0.2,
        )  # fmt: skip
        run.fit(cell, net, draw, net.cross_entropy, settings, check=partial(net.nats, *valid))


def evaluate(run: Run, data: Data, models: dict[str, LanguageNet]) -> list[Row]:
    """Measure bits a character on held-out names, alone and mixed with n-grams."""
    order = run.config.order
    ngrams = kneser_ney(data.train, data.vocabulary, order)
    told = f"{order}-gram Kneser-Ney", ngrams.bits_per_token(data.test)
    baseline = told if run.compare else None
    asked: dict[str, LanguageModel] = {
        cell: as_model(net, data.vocabulary, data.end) for cell, net in models.items()
    }
    asked["lstm + n-grams"] = Mixture.fitted([asked["lstm"], ngrams], data.valid)
    bars = {"lstm": "<= 2.35", "gru": "<= 2.40", "lstm + n-grams": "<= 2.18"}
    return [
        Row(
            f"held-out bits a character, {name}", model.bits_per_token(data.test),
            "" if run.small else bars[name], baseline=baseline,
        )
        for name, model in asked.items()
    ]  # fmt: skip


def export(run: Run, data: Data, models: dict[str, LanguageNet]) -> list[Row]:
    """Write the LSTM as an int8 step; let the step, without TensorFlow, invent names."""
    net = models["lstm"]
    tokens, _ = padded(data.train[:64], data.end, data.end)
    graph = to_graphs(net, ["int8"], calibration(net, tokens))["int8"]
    bundle = write_sequence_bundle(
        run.out / "dinosaurs", task=TASK, graphs={"step": graph},
        vocabularies={"tokens": data.vocabulary}, settings={"start": data.end},
        training=run.training(LEDGER), force=True,
    )  # fmt: skip
    step = NeuralLanguageModel(bundle)
    exact = as_model(net, data.vocabulary, data.end).bits_per_token(data.test)
    samples = sample(
        step.step, step.initial_state(run.config.samples), start=data.end, eos=data.end,
        rng=run.rng("samples"), max_tokens=40,
    )  # fmt: skip
    known = {tuple(name.tolist()) for name in (*data.train, *data.valid, *data.test)}
    share = 100 * new_and_ended(samples, known)
    names = [data.vocabulary.decode(name.tokens.tolist()) for name in samples]
    (run.out / "dinosaurs.txt").write_text("\n".join(names) + "\n", "utf-8")
    return [
        Row("bits a character that the int8 step loses", step.bits_per_token(data.test) - exact),
        Row("samples that are new and end, %", share, "" if run.small else ">= 90", digits=1),
        Row("kB of the int8 step", bundle.size / 1000, digits=1),
    ]
