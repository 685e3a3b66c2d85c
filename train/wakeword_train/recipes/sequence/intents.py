"""Intent and slots of commands: SNIPS, ATIS, and what AN4's speakers say.

One model reads a command from both ends and tells what is wanted and with what: a label of the
sentence, and spans of its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wakeword.sentences import SentenceModel
from wakeword_train.data.an4 import read_an4
from wakeword_train.data.glove import for_words, read_vectors
from wakeword_train.data.spoken import label_command
from wakeword_train.data.tagged import Sentence, read_slots
from wakeword_train.models.sentence import SentenceConfig, SentenceNet
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.sentence_export import as_shipped, write_sentences
from wakeword_train.sequence.sentence_peers import bag_of_words, crf_tags, frequent_tags
from wakeword_train.sequence.sentences import (
    Symbols,
    accuracy,
    draw_sentences,
    f1,
    least_sure,
    read_all,
)
from wakeword_train.sequence.table import Row

LEDGER = (
    {
        "name": "SNIPS", "source": "Coucke et al. 2018, arXiv:1805.10190, as split by Goo et al.",
        "licence": "research", "used_for": "training and measuring",
    },
    {
        "name": "ATIS", "source": "Hemphill et al. 1990, as split by Goo et al. 2018",
        "licence": "research", "used_for": "training and measuring",
    },
    {
        "name": "AN4", "source": "http://www.speech.cs.cmu.edu/databases/an4/",
        "licence": "free for any use", "used_for": "training and measuring, labelled by rules",
    },
    {
        "name": "GloVe 6B", "source": "Pennington et al. 2014, 50 dimensions, 50,000 words",
        "licence": "PDDL", "used_for": "vectors to begin with",
    },
)  # fmt: skip
SETS = ("snips", "atis", "commands")
BARS = {"snips": (">= 88", ">= 97.5"), "atis": (">= 94.5", ">= 95.5"), "commands": ("", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; ``batches`` of each set, ``words`` known by their vectors besides those of training.

    ``sentences`` of each part are used, all where it is 0.
    """

    units: int = 128
    affix: int = 16
    dropout: float = 0.4
    words: int = 20_000
    forget: float = 0.25
    batch: int = 32
    batches: tuple[int, int, int] = (3_200, 2_200, 600)
    rate: float = 2e-3
    sentences: int = 0
    sets: tuple[str, ...] = SETS


CONFIG = Config()
SMALL = Config(
    units=12, affix=4, words=100, batch=8, batches=(20, 20, 20), sentences=60,
    sets=("atis", "commands"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Of each set its parts and symbols, and the published vectors."""

    parts: dict[str, dict[str, list[Sentence]]]
    symbols: dict[str, Symbols]
    vectors: tuple[list[str], Any]


def load(run: Run) -> Data:
    """Read the three sets; of AN4 every tenth sentence of training validates."""
    config = run.config
    archive = run.file("slu/atis_snips.tar.gz")
    parts = {name: read_slots(archive, name) for name in config.sets if name != "commands"}
    spoken = {
        part: [label_command(u.text.split()) for u in clips]
        for part, clips in read_an4(run.file("speech/an4.tar.xz")).items()
    }
    train = [s for i, s in enumerate(spoken["train"]) if i % 10]
    parts["commands"] = {"train": train, "valid": spoken["train"][::10], "test": spoken["test"]}
    if config.sentences:
        parts = {n: {p: s[: config.sentences] for p, s in x.items()} for n, x in parts.items()}
    vectors = read_vectors(run.file("embeddings/glove_6b_50d_top50k_f16.npz"))
    more = dict.fromkeys(SETS[:2], vectors[0][: config.words])
    symbols = {
        name: Symbols.of(parts[name]["train"], affixes=True, more=more.get(name, ()))
        for name in config.sets
    }
    return Data(parts, symbols, vectors)


def build(run: Run, data: Data) -> dict[str, SentenceNet]:
    """Make a model for each set."""
    nets = {}
    for name, symbols in data.symbols.items():
        sizes = SentenceConfig(
            units=run.config.units, affix=run.config.affix, dropout=run.config.dropout,
            tags=len(symbols.tags or ()), labels=len(symbols.labels or ()),
        )  # fmt: skip
        words = symbols.coder.vocabularies["words"].symbols
        vectors = for_words(words, data.vectors, run.rng(f"{name} vectors"))
        nets[name] = SentenceNet(sizes, symbols.sizes, vectors)
    return nets


def fit(run: Run, data: Data, nets: dict[str, SentenceNet]) -> None:
    """Train each, checked on its part for validation: slots and intents together."""
    for name, net in nets.items():
        symbols, valid = data.symbols[name], data.parts[name]["valid"]
        batches = run.config.batches[SETS.index(name)]

        def check(net: Any = net, symbols: Symbols = symbols, valid: Any = valid) -> float:
            guess = read_all(net, symbols, valid)
            return -f1(guess.tags, valid) - accuracy(guess.labels, valid)

        draw = draw_sentences(
            data.parts[name]["train"], symbols, batch=run.config.batch, forget=run.config.forget
        )
        settings = FitConfig(
            batches=batches, rate=run.config.rate, check_every=max(200, batches // 8),
            average_last=0.3,
        )  # fmt: skip
        run.fit(name, net, draw, net.cross_entropy, settings, check)


def evaluate(run: Run, data: Data, nets: dict[str, SentenceNet]) -> Sequence[Row]:
    """Measure slots and intents on the test parts."""
    rows = []
    for name in nets:
        train, test = data.parts[name]["train"], data.parts[name]["test"]
        guess = read_all(nets[name], data.symbols[name], test)
        cheap = crf = plain = None
        if run.compare:
            cheap = ("most frequent tag", f1(frequent_tags(train, test), test))
            plain = ("bag of words", accuracy(bag_of_words(train, test), test))
            tags = crf_tags(train, test, rounds=10 if run.small else 50)
            crf = ("CRFsuite", f1(tags, test)) if tags else None
        slots, intents = ("", "") if run.small else BARS[name]
        rows += [
            Row(f"{name}: slots, F1 of spans, %", f1(guess.tags, test), slots,
                reference=crf, baseline=cheap, digits=1),
            Row(f"{name}: intents, %", accuracy(guess.labels, test), intents, baseline=plain,
                digits=1),
        ]  # fmt: skip
    return rows


def export(run: Run, data: Data, nets: dict[str, SentenceNet]) -> Sequence[Row]:
    """Write each in int8, and let what is written read the test part alone."""
    rows = []
    for name, net in nets.items():
        symbols, parts = data.symbols[name], data.parts[name]
        sure = least_sure(read_all(net, symbols, parts["valid"]), parts["valid"])
        bundle = write_sentences(
            run.out / f"intents-{name}", net, symbols, parts["train"],
            settings={"sure": sure, "lower": True}, training=run.training(LEDGER),
        )  # fmt: skip
        rows += as_shipped(name, SentenceModel(bundle), net, symbols, parts["test"])
    return rows
