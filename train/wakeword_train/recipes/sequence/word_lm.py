"""A word model of English: LSTM beside and together with Kneser-Ney, on Brown.

Brown in Bengio's parts, the most frequent words, the others as one. Perplexity counts a sentence's
end as a word; the model reads on from sentence to sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.language import LanguageModel, kneser_ney, mixture_weights
from wakeword.language.neural import NeuralLanguageModel
from wakeword.sequence_bundle import write_sequence_bundle
from wakeword.vocabulary import Vocabulary
from wakeword_train.data.brown import cut, read_brown
from wakeword_train.models.language import (
    TASK,
    LanguageConfig,
    LanguageNet,
    as_model,
    calibration,
    log_probs_of_stream,
    to_graphs,
)
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.table import Row
from wakeword_train.sequence.text import windows

LEDGER = (
    {
        "name": "Brown corpus", "source": "Francis and Kucera 1964, by NLTK",
        "licence": "non-commercial use", "used_for": "training and measuring",
    },
)  # fmt: skip
SWAP = {"was": "were", "were": "was"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; ``words`` of training and validation, ``length`` how far back gradients go."""

    symbols: int = 10_000
    words: tuple[int, int] = (800_000, 200_000)
    sentences: int = 0
    units: int = 224
    dropout: float = 0.45
    length: int = 40
    batch: int = 32
    batches: int = 4_400
    rate: float = 4e-3
    order: int = 3
    pairs: int = 400


CONFIG = Config()
SMALL = Config(
    symbols=200, words=(8_000, 1_000), sentences=500, units=12, batch=8, batches=20, pairs=5
)


@dataclass(frozen=True, slots=True)
class Data:
    """Sentences as words in three parts, and their alphabet."""

    vocabulary: Vocabulary
    train: list[list[str]]
    valid: list[list[str]]
    test: list[list[str]]

    @property
    def end(self) -> int:
        """Number of the end, which stands before a sentence too."""
        return self.vocabulary.end()

    def numbers(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.int32]]:
        """Number the words of sentences."""
        return [self.vocabulary.encode(s) for s in sentences]

    def stream(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """All sentences one after the other, an end before, between and behind them."""
        parts = [np.append(s, self.end) for s in self.numbers(sentences)]
        return np.concatenate([[self.end], *parts]).astype(np.int32)


def load(run: Run) -> Data:
    """Read Brown."""
    sentences = read_brown(run.file("lm/brown.zip"))[: run.config.sentences or None]
    train, valid, test = cut(sentences, run.config.words)
    return Data(Vocabulary.of_words(train, limit=run.config.symbols), train, valid, test)


def build(run: Run, data: Data) -> LanguageNet:
    """Make the LSTM; its embedding is its output layer too."""
    units = run.config.units
    sizes = LanguageConfig(
        cell="lstm", embedding=units, units=(units,), tied=True, dropout=run.config.dropout
    )
    return LanguageNet(sizes, len(data.vocabulary))


def fit(run: Run, data: Data, net: LanguageNet) -> None:
    """Train on pieces drawn from anywhere."""
    config, stream = run.config, data.stream(data.train)
    mask = np.ones((config.batch, config.length), np.float32)
    valid = data.stream(data.valid)[:50_000]

    def draw(rng: np.random.Generator, _: int) -> tuple[Any, ...]:
        return windows(stream, config.batch, config.length + 1, rng), mask

    settings = FitConfig(
        batches=config.batches, rate=config.rate, check_every=400, average_last=0.2
    )
    run.fit(
        "lstm", net, draw, net.cross_entropy, settings,
        check=lambda: -float(log_probs_of_stream(net, valid).mean()),
    )  # fmt: skip


def evaluate(run: Run, data: Data, net: LanguageNet) -> list[Row]:
    """Measure perplexity alone and mixed, and what the model thinks of grammar."""
    config = run.config
    ngrams = kneser_ney(data.numbers(data.train), data.vocabulary, config.order)
    log_probs = {
        part: np.stack([
            log_probs_of_stream(net, data.stream(sentences)),
            ngrams.token_log_probs(data.numbers(sentences)),
        ])
        for part, sentences in (("valid", data.valid), ("test", data.test))
    }  # fmt: skip
    weights = mixture_weights(log_probs["valid"])
    mixed = np.logaddexp.reduce(log_probs["test"] + np.log(weights)[:, None])
    neural, plain = (float(np.exp(-row.mean())) for row in log_probs["test"])
    baseline = (f"{config.order}-gram Kneser-Ney", plain) if run.compare else None
    model = as_model(net, data.vocabulary, data.end)
    bars = ("", "", "") if run.small else ("<= 122", "<= 112", ">= 85")
    rows = [
        Row("test perplexity, LSTM", neural, bars[0], baseline=baseline, digits=1),
        Row("test perplexity, LSTM + n-grams", float(np.exp(-mixed.mean())), bars[1],
            baseline=baseline, digits=1),
        Row("was or were, as written, %", was_were(run, data, model), bars[2], digits=1,
            baseline=("n-grams", was_were(run, data, ngrams)) if run.compare else None),
    ]  # fmt: skip
    words = [["the", "apple", "and", w, "salad", "was", "good"] for w in ("pear", "pair")]
    fruit, two = (model.logprob(data.vocabulary.encode(s)) for s in words)
    if "pear" not in data.vocabulary:  # one of all the words that <unk> stands for
        fruit -= np.log(len({w for s in data.train for w in s} - {*data.vocabulary.symbols}))
    rows.append(
        Row("'pear salad' above 'pair salad', nats", fruit - two, "" if run.small else "> 0")
    )
    sentence = data.numbers(data.test)[:1]
    told = np.concatenate([[data.end], sentence[0], [data.end]]).astype(np.int32)
    whole = log_probs_of_stream(net, told, rows=1)
    steps = model.logprob(sentence[0])
    rows.append(Row("P(sentence) less the product of its steps, nats", abs(whole.sum() - steps),
                    "<= 1e-5"))  # fmt: skip
    return rows


def was_were(run: Run, data: Data, model: LanguageModel) -> float:
    """Share of test sentences that the model likes better than with was and were exchanged, %."""
    found = [s for s in data.test if sum(w in SWAP for w in s) == 1][: run.config.pairs]
    swapped = [[SWAP.get(w, w) for w in s] for s in found]
    return 100 * float(np.mean([
        model.logprob(right) > model.logprob(wrong)
        for right, wrong in zip(data.numbers(found), data.numbers(swapped), strict=True)
    ]))  # fmt: skip


def export(run: Run, data: Data, net: LanguageNet) -> list[Row]:
    """Write the int8 step and measure what it loses."""
    calm = windows(data.stream(data.train), 16, 40, run.rng("calibration"))
    graph = to_graphs(net, ["int8"], calibration(net, calm))["int8"]
    bundle = write_sequence_bundle(
        run.out / "word_lm", task=TASK, graphs={"step": graph},
        vocabularies={"tokens": data.vocabulary}, settings={"start": data.end},
        training=run.training(LEDGER), force=True,
    )  # fmt: skip
    some = data.numbers(data.test[: run.config.pairs // 4 + 1])
    exact = as_model(net, data.vocabulary, data.end).token_log_probs(some).mean()
    lost = exact - NeuralLanguageModel(bundle).token_log_probs(some).mean()
    return [
        Row("nats a word that the int8 step loses", float(lost)),
        Row("MB of the int8 step", bundle.size / 1e6, digits=2),
    ]
