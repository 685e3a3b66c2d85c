"""Speech to text: AN4, letters by CTC, words by a bigram."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wakeword.cepstra import Normaliser
from wakeword.language import read_arpa, write_arpa
from wakeword.sequence_bundle import write_sequence_bundle
from wakeword.speech import TASK, Recogniser
from wakeword.vocabulary import Vocabulary
from wakeword_train.data.an4 import COEFFICIENTS, Utterance, read_an4
from wakeword_train.sequence.ctc_peer import peer_texts
from wakeword_train.sequence.fit import FitConfig
from wakeword_train.sequence.run import Run
from wakeword_train.sequence.speech import (
    Weights,
    best_weights,
    cost,
    decode_all,
    draw_batches,
    greedy_texts,
    heard_texts,
    hold_out_speakers,
    posteriors,
    word_model,
)
from wakeword_train.sequence.table import Row
from wakeword_train.sequence_metrics import character_errors, word_errors

LEDGER = (
    {
        "name": "AN4",
        "source": "http://www.speech.cs.cmu.edu/databases/an4/",
        "licence": "free for any use",
        "used_for": "training and test",
    },
)
WAYS = ("both ways", "stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the recipe."""

    batches: int = 3500
    batch: int = 16
    rate: float = 3e-3
    units: int = 128
    stream_units: int = 192
    layers: int = 2
    channels: int = 128
    strength: float = 0.6
    held_out: int = 8
    utterances: int = 0
    order: int = 2
    width: int = 50
    weights: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5)
    bonuses: tuple[float, ...] = (0.0, 1.0, 2.0)


CONFIG = Config()
SMALL = Config(
    batches=4, batch=4, units=16, stream_units=16, channels=16, utterances=12, held_out=1, width=8,
    weights=(0.5,), bonuses=(0.0,),
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Data:
    """Utterances, and what was learned from those of training."""

    train: list[Utterance]
    held_out: list[Utterance]
    test: list[Utterance]
    letters: Vocabulary
    normaliser: Normaliser
    chosen: dict[str, Weights] = field(default_factory=dict)

    def normalise(self, way: str) -> Any:
        """Give the way to take out what stays."""
        return self.normaliser.stream if way == "stream" else self.normaliser.whole


def load(run: Run) -> Data:
    """Read AN4; hold some people of the training part back."""
    parts = read_an4(run.file("speech/an4.tar.xz"))
    letters = Vocabulary.of_chars(texts(parts["train"]))
    train, held_out = hold_out_speakers(parts["train"], run.config.held_out, run.rng("speakers"))
    if few := run.config.utterances:
        train, held_out, parts["test"] = train[:few], held_out[:few], parts["test"][:few]
    return Data(train, held_out, parts["test"], letters, Normaliser.of([u.frames for u in train]))


def build(run: Run, data: Data) -> dict[str, Any]:
    """Make a model that hears both ways, and a stream."""
    from wakeword_train.models.acoustic import AcousticConfig, AcousticModel

    return {
        way: AcousticModel(AcousticConfig(
            bins=COEFFICIENTS, symbols=len(data.letters) + 1,
            units=run.config.units if way == "both ways" else run.config.stream_units,
            layers=run.config.layers, channels=run.config.channels,
            bidirectional=way == "both ways",
        ))
        for way in WAYS
    }  # fmt: skip


def fit(run: Run, data: Data, models: dict[str, Any]) -> None:
    """Train both, checked by the word errors of the people held back."""
    from wakeword_train.models.acoustic import ctc_losses

    for way, model in models.items():

        def loss(x: Any, frames: Any, y: Any, letters: Any, model: Any = model) -> Any:
            import tensorflow as tf

            outputs = -(-frames // model.config.stride)
            values = ctc_losses(model(x, lengths=frames, training=True), outputs, y, letters)
            return tf.reduce_mean(values / tf.cast(letters, tf.float32))

        def check(way: str = way, model: Any = model) -> float:
            found = posteriors(model, data.held_out, data.normalise(way))
            return word_errors(greedy_texts(found, data.letters), texts(data.held_out)).rate

        run.fit(
            way.replace(" ", "-"), model,
            draw_batches(data.train, data.letters, data.normalise(way), data.normaliser.deviation,
                         batch=run.config.batch, strength=run.config.strength),
            loss,
            FitConfig(batches=run.config.batches, rate=run.config.rate, warm_up=100,
                      check_every=250, save_every=50,
                      average_last=0.25),
            check,
        )  # fmt: skip


def evaluate(run: Run, data: Data, models: dict[str, Any]) -> Sequence[Row]:
    """Word errors on the test people, with and without the bigram."""
    config, right = run.config, texts(data.test)
    bigram = word_model(texts(data.train), config.order)
    choices = [Weights(w, b) for w, b in itertools.product(config.weights, config.bonuses)]
    bars = {} if run.small else {"both ways": ("<= 11", "<= 9")}
    rows = []
    for way, model in models.items():
        held = posteriors(model, data.held_out, data.normalise(way))
        best = best_weights(held, texts(data.held_out), data.letters, bigram, choices, config.width)
        data.chosen[way] = best
        found = posteriors(model, data.test, data.normalise(way))
        greedy = greedy_texts(found, data.letters)
        beam = decode_all(found, data.letters, bigram, best, config.width)
        plain = 100 * word_errors(greedy, right).rate
        peer = None
        theirs = peer_texts(
            found if run.compare else [], ("", *data.letters.symbols), bigram,
            weight=best.weight, bonus=best.bonus, width=config.width,
        )  # fmt: skip
        if theirs:
            peer = ("pyctcdecode", 100 * word_errors(theirs, right).rate)
            same = sum(a == b for a, b in zip(beam, theirs, strict=True))
            rows.append(Row(f"{way}: texts as pyctcdecode's, of {len(right)}", same, digits=0))
        first, second = bars.get(way, ("", ""))
        rows += [
            Row(f"{way}: WER, best path, %", plain, first, digits=1),
            Row(f"{way}: CER, best path, %", 100 * character_errors(greedy, right).rate, digits=1),
            Row(
                f"{way}: WER, beam and bigram (weight {best.weight:g}, bonus {best.bonus:g}), %",
                100 * word_errors(beam, right).rate, second,
                reference=peer, baseline=("best path", plain), digits=1,
            ),
        ]  # fmt: skip
    return rows


def export(run: Run, data: Data, models: dict[str, Any]) -> Sequence[Row]:
    """Write the stream as a step and the bigram as ARPA; hear the test people with these alone."""
    from wakeword_train.models.acoustic import to_graph

    model, best = models["stream"], data.chosen["stream"]
    bundle = write_sequence_bundle(
        run.out / "speech", task=TASK, graphs={"step": to_graph(model)},
        vocabularies={"letters": data.letters},
        settings={
            "normaliser": data.normaliser.to_json(), "stride": model.config.stride,
            "weight": best.weight, "bonus": best.bonus,
        },
        training=run.training(LEDGER), force=True,
    )  # fmt: skip
    words = run.out / "speech-words.arpa"
    write_arpa(word_model(texts(data.train), run.config.order), words)
    hears = Recogniser(bundle, words=read_arpa(words), width=run.config.width)
    frames = [u.frames for u in data.test]
    heard = heard_texts(hears, frames)
    model_ms, search_ms = cost(hears, frames)
    return [
        Row("stream as TFLite, bigram as ARPA: WER, %",
            100 * word_errors(heard, texts(data.test)).rate, digits=1),
        Row("kB of the step", bundle.size / 1000, digits=1),
        Row("kB of its state", hears.graph.state_bytes / 1000, digits=2),
        Row("ms of the step, a second of speech", model_ms, digits=2),
        Row("ms of the search with the bigram, a second of speech", search_ms, digits=2),
    ]  # fmt: skip


def texts(utterances: Sequence[Utterance]) -> list[str]:
    """What was said."""
    return [u.text for u in utterances]
