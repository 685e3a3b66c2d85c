"""Shakespeare: plays a character at a time, and the course's poet read back.

The last tenth of tiny-shakespeare is held out, half to choose by and half to measure, in nats a
character.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wakeword.decode import sample
from wakeword.language import kneser_ney
from wakeword.language.neural import NeuralLanguageModel
from wakeword.sequence_bundle import write_sequence_bundle
from wakeword.vocabulary import Vocabulary
from wakeword_train.layers.recurrent import hard_sigmoid
from wakeword_train.models.course_poet import CoursePoet, course_vocabulary, read_poet
from wakeword_train.models.language import (
    TASK,
    LanguageConfig,
    LanguageNet,
    calibration,
    to_graphs,
)
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.table import Row
from wakeword_train.sequence.text import rows_of_stream, windows

LEDGER = (
    {
        "name": "tiny-shakespeare", "source": "A. Karpathy, char-rnn",
        "licence": "public domain text", "used_for": "training and measuring",
    },
    {
        "name": "model_shakespeare_kiank_350_epoch.h5, shakespeare.txt",
        "source": "deep learning course, sequence models", "licence": "unstated",
        "used_for": "comparing",
    },
)  # fmt: skip
START = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; ``length`` is how many characters back gradients go."""

    embedding: int = 64
    units: tuple[int, ...] = (448,)
    dropout: float = 0.2
    length: int = 120
    batch: int = 50
    batches: int = 1_400
    rate: float = 4e-3
    part: float = 1.0
    order: int = 6
    prompt: str = "Shall I compare thee to a summer's day?\n"
    int8: int = 4_000


CONFIG = Config()
SMALL = Config(embedding=8, units=(16,), length=20, batch=8, batches=20, part=0.03, int8=100)


@dataclass(frozen=True, slots=True)
class Data:
    """The plays as numbers, in three parts, and the course's poet with its alphabet."""

    vocabulary: Vocabulary
    train: NDArray[np.int32]
    valid: NDArray[np.int32]
    test: NDArray[np.int32]
    poet: CoursePoet
    poet_vocabulary: Vocabulary


def load(run: Run) -> Data:
    """Read the plays and the poet."""
    with gzip.open(run.file("lm/tinyshakespeare.txt.gz"), "rt", encoding="utf-8") as file:
        text = file.read()
    vocabulary = Vocabulary.of_chars([text])
    numbers = vocabulary.encode(text, limit=len(text))
    numbers = numbers[: round(len(numbers) * run.config.part)]
    train, valid, test = np.split(numbers, [round(len(numbers) * s) for s in (0.9, 0.95)])
    poet = read_poet(run.file("course/model_shakespeare_kiank_350_epoch.h5"))
    sonnets = run.file("course/shakespeare.txt").read_text("utf-8")
    return Data(vocabulary, train, valid, test, poet, course_vocabulary(sonnets))


def build(run: Run, data: Data) -> LanguageNet:
    """Make the GRU."""
    config = run.config
    sizes = LanguageConfig(
        cell="gru", embedding=config.embedding, units=config.units, dropout=config.dropout
    )
    return LanguageNet(sizes, len(data.vocabulary))


def fit(run: Run, data: Data, net: LanguageNet) -> None:
    """Train on pieces drawn from anywhere."""
    config = run.config
    mask = np.ones((config.batch, config.length), np.float32)

    def draw(rng: np.random.Generator, _: int) -> tuple[Any, ...]:
        return windows(data.train, config.batch, config.length + 1, rng), mask

    settings = FitConfig(
        batches=config.batches, rate=config.rate, check_every=200, average_last=0.2
    )
    valid = rows_of_stream(data.valid, 32)
    run.fit("gru", net, draw, net.cross_entropy, settings, check=partial(net.nats, *valid))


def evaluate(run: Run, data: Data, net: LanguageNet) -> list[Row]:
    """Measure the plays, beside n-grams, and the poet against Keras."""
    tokens, mask = rows_of_stream(data.test, 32)
    nats = net.nats(tokens, mask)
    baseline = None
    if run.compare:
        ends = Vocabulary((*data.vocabulary.symbols, "</s>"), eos="</s>")
        ngrams = kneser_ney([data.train], ends, run.config.order)
        baseline = (
            f"{run.config.order}-gram Kneser-Ney",
            -ngrams.token_log_probs([data.test]).mean(),
        )
    weights = sum(int(np.prod(w.shape)) for w in net.trainable_weights)
    return [
        Row("weights, millions", weights / 1e6, "< 0.8"),
        Row("held-out nats a character", nats, "" if run.small else "<= 1.60", baseline=baseline),
        Row("the course's poet: largest difference to Keras", poet_error(data), "<= 1e-6"),
    ]


def poet_error(data: Data) -> float:
    """Largest difference of the poet's next-character probabilities to those of Keras."""
    poet, size = data.poet, len(data.poet_vocabulary)
    inputs = y = keras.Input((poet.window, size))
    gate = {"hard_sigmoid": hard_sigmoid, "sigmoid": tf.sigmoid}[poet.gate]  # Keras 2's, not 3's
    for i, cell in enumerate(poet.cells):
        more = i + 1 < len(poet.cells)
        y = keras.layers.LSTM(cell.units, recurrent_activation=gate, return_sequences=more)(y)
    model = keras.Model(inputs, keras.layers.Dense(size, activation="softmax")(y))
    parts = [w for cell in poet.cells for w in (cell.kernel, cell.recurrent, cell.bias)]
    model.set_weights([*parts, poet.head, poet.bias])
    worst = 0.0
    for text in ("shall i compare thee", "from fairest creatures we desire increase,\nthat"):
        tokens = data.poet_vocabulary.encode(text)[-poet.window :]
        x = np.zeros((1, poet.window, size), np.float32)
        x[0, poet.window - len(tokens) + np.arange(len(tokens)), tokens] = 1
        worst = max(worst, float(np.abs(model(x)[0] - poet.next_probs(tokens)).max()))
    return worst


def export(run: Run, data: Data, net: LanguageNet) -> list[Row]:
    """Write the int8 step, measure what it loses, and let it write a poem, twice."""
    calm = windows(data.train, 16, 60, run.rng("calibration"))
    graphs = to_graphs(net, ["float32", "int8"], calibration(net, calm))
    start = int(data.vocabulary.encode(START)[0])
    models = {}
    for scheme, graph in graphs.items():
        name = "shakespeare" if scheme == "int8" else "shakespeare-float"
        bundle = write_sequence_bundle(
            run.out / name, task=TASK, graphs={"step": graph},
            vocabularies={"tokens": data.vocabulary}, settings={"start": start},
            training=run.training(LEDGER), force=True,
        )  # fmt: skip
        models[scheme] = NeuralLanguageModel(bundle)
    piece = [data.test[: run.config.int8]]
    lost = [-m.token_log_probs(piece).mean() for m in (models["int8"], models["float32"])]
    prompt = data.vocabulary.encode(run.config.prompt)
    step = models["int8"]
    poems = [
        sample(
            step.step, step.initial_state(1), start=prompt, eos=None, rng=run.rng("poem"),
            temperature=0.8, max_tokens=run.config.int8 // 5,
        )[0].tokens.tolist()
        for _ in range(2)
    ]  # fmt: skip
    text = run.config.prompt + data.vocabulary.decode(poems[0])
    (run.out / "shakespeare.txt").write_text(text + "\n", "utf-8")
    return [
        Row("nats a character that the int8 step loses", lost[0] - lost[1], "<= 0.03", digits=4),
        Row("same seed, same poem (1: yes)", float(poems[0] == poems[1]), ">= 1", digits=0),
        Row("kB of the int8 step", len(graphs["int8"].model) / 1000, digits=1),
    ]
