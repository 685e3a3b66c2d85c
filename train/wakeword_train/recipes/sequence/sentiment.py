"""Sentiment of a sentence: movie reviews of one line each, in ten folds.

The average of the words' vectors does not know their order; a GRU from both ends does, and what
that is worth shows where something is negated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wakeword.sentences import SentenceModel
from wakeword_train.data.glove import for_words, read_vectors
from wakeword_train.data.tagged import Sentence, read_polarity
from wakeword_train.models.sentence import SentenceConfig, SentenceNet
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.sentence_export import as_shipped, write_sentences
from wakeword_train.sequence.sentence_peers import bag_of_words
from wakeword_train.sequence.sentences import (
    Symbols,
    accuracy,
    draw_sentences,
    least_sure,
    read_all,
)
from wakeword_train.sequence.table import Row
from wakeword_train.sequence.text import shuffled_parts

LEDGER = (
    {
        "name": "sentence polarity 1.0", "source": "Pang and Lee 2005, by NLTK",
        "licence": "CC BY 4.0", "used_for": "training and measuring",
    },
    {
        "name": "GloVe 6B", "source": "Pennington et al. 2014, 50 dimensions, 50,000 words",
        "licence": "PDDL", "used_for": "vectors to begin with",
    },
)  # fmt: skip
WAYS = ("bigru", "average")
NEGATIONS = {
    "not", "n't", "no", "never", "nothing", "nobody", "none", "neither", "nor", "cannot",
    "without", "hardly", "barely",
}  # fmt: skip
EXAMPLE = "completely lacking in good taste, good service, and good ambience"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; ``words`` known by their vectors besides those of training; pairs are of `WAYS`."""

    folds: int = 10
    units: int = 64
    dropouts: tuple[float, float] = (0.5, 0.3)
    words: int = 5_000
    forget: float = 0.25
    batch: int = 50
    batches: tuple[int, int] = (700, 1_000)
    rates: tuple[float, float] = (3e-3, 5e-3)
    sentences: int = 0


CONFIG = Config()
SMALL = Config(folds=2, units=8, words=100, batch=8, batches=(10, 10), sentences=120)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The folds, and the published vectors."""

    folds: list[list[Sentence]]
    vectors: tuple[list[str], Any]

    def train(self, fold: int) -> list[Sentence]:
        """All folds but one; all of them where ``fold`` is none of theirs."""
        return [s for i, part in enumerate(self.folds) if i != fold for s in part]


Models = dict[tuple[str, int], tuple[SentenceNet, Symbols]]


def load(run: Run) -> Data:
    """Read the reviews and deal them out."""
    folds = run.config.folds
    found = read_polarity(run.file("sentiment/sentence_polarity.zip"))
    step = max(1, len(found) // run.config.sentences) if run.config.sentences else 1
    parts = shuffled_parts(found[::step], (1 / folds,) * (folds - 1), run.rng("folds"))
    return Data(parts, read_vectors(run.file("embeddings/glove_6b_50d_top50k_f16.npz")))


def build(run: Run, data: Data) -> Models:
    """Make both models for each fold, and one GRU more for all data: what is exported."""
    config, models = run.config, {}
    for way, fold in [(w, f) for w in WAYS for f in range(config.folds)] + [("bigru", -1)]:
        train = data.train(fold)
        symbols = Symbols.of(train, affixes=False, more=data.vectors[0][: config.words])
        sizes = SentenceConfig(
            units=config.units if way == "bigru" else 0, affix=0, pool="mean",
            labels=len(symbols.labels or ()), dropout=config.dropouts[WAYS.index(way)],
        )  # fmt: skip
        words = symbols.coder.vocabularies["words"].symbols
        vectors = for_words(words, data.vectors, run.rng(f"vectors {fold}"))
        models[way, fold] = SentenceNet(sizes, symbols.sizes, vectors), symbols
    return models


def fit(run: Run, data: Data, models: Models) -> None:
    """Train all; how long was chosen on a part of the first fold's training sentences."""
    config = run.config
    for (way, fold), (net, symbols) in models.items():
        draw = draw_sentences(data.train(fold), symbols, batch=config.batch, forget=config.forget)
        number = WAYS.index(way)
        settings = FitConfig(
            batches=config.batches[number], rate=config.rates[number], average_last=0.3,
            check_every=10**6, save_every=400,
        )  # fmt: skip
        name = f"{way}-{fold + 1}" if fold >= 0 else f"{way}-all"
        run.fit(name, net, draw, net.cross_entropy, settings, lambda: 0.0)


def evaluate(run: Run, data: Data, models: Models) -> Sequence[Row]:
    """Measure each fold with the models that have not seen it, and those with a negation apart."""
    test = [s for part in data.folds for s in part]
    negated = [i for i, s in enumerate(test) if NEGATIONS & {w.lower() for w in s.words}]
    found = {
        way: [
            label
            for fold, part in enumerate(data.folds)
            for label in read_all(*models[way, fold], part).labels
        ]
        for way in WAYS
    }
    cheap = peer = None
    if run.compare:
        folds = range(run.config.folds)
        for pairs in (False, True):
            found[f"pairs {pairs}"] = [
                label
                for fold in folds
                for label in bag_of_words(data.train(fold), data.folds[fold], pairs=pairs)
            ]
        cheap = ("bag of words", accuracy(found["pairs False"], test))
        peer = ("scikit-learn, words and pairs", accuracy(found["pairs True"], test))

    def where_negated(way: str) -> float:
        return accuracy([found[way][i] for i in negated], [test[i] for i in negated])

    bars = ("", "", "") if run.small else (">= 77.5", ">= 78.5", "> 0")
    cheap_negated = ("bag of words", where_negated("pairs False")) if run.compare else None
    return [
        Row("averaged vectors, %", accuracy(found["average"], test), bars[0], reference=peer,
            baseline=cheap, digits=1),
        Row("BiGRU, %", accuracy(found["bigru"], test), bars[1], reference=peer, baseline=cheap,
            digits=1),
        Row(f"BiGRU, the {len(negated)} with a negation, %", where_negated("bigru"),
            baseline=cheap_negated, digits=1),
        Row("BiGRU ahead of averages there, points",
            where_negated("bigru") - where_negated("average"), bars[2], digits=1),
    ]  # fmt: skip


def export(run: Run, data: Data, models: Models) -> Sequence[Row]:
    """Write the GRU of all folds in int8, and ask it about a sentence with three times good."""
    net, symbols = models["bigru", -1]
    held = data.folds[0]
    sure = least_sure(read_all(*models["bigru", 0], held), held, share=0.3)
    bundle = write_sentences(
        run.out / "sentiment", net, symbols, data.train(-1),
        settings={"sure": sure, "contractions": True}, training=run.training(LEDGER),
    )  # fmt: skip
    model = SentenceModel(bundle)
    reading = model.read(EXAMPLE)
    prob = reading.prob if reading.label == "negative" else 1 - reading.prob
    return [
        Row(f"negative: '{EXAMPLE}', probability", prob, "" if run.small else "> 0.5"),
        *as_shipped("seen in training", model, net, symbols, data.folds[0]),
    ]
