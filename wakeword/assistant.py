"""From the sound of a command to what it asks for: small models, one after the other.

    sound -> cepstra -> letters (CTC) -> words (prefix beam, n-grams)
          -> intent and slots, names, sentiment -> values of slots -> action

Every stage is a bundle of TFLite in one folder, written by a recipe of ``wakeword train``. A stage
without a model is left out, and said to be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, TextError
from wakeword.language import read_arpa
from wakeword.mfcc import COEFFICIENTS, Mfcc
from wakeword.sentences import Reading, SentenceModel
from wakeword.sequence_bundle import read_sequence_bundle
from wakeword.speech import Recogniser

__all__ = ["STAGES", "Assistant", "Heard", "Stage", "Understood", "load_assistant"]

Normalise = Callable[[str, str], str]
"""Turns a slot's kind and words into a value, such as ("date", "may third") into "05-03"; raises
TextError for what it cannot read."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the assistant.

    Attributes:
        about: what it does.
        files: its bundles in the folder, as a pattern.
        command: that makes them; empty where there is none yet.
    """

    about: str
    files: str
    command: str


STAGES: Mapping[str, Stage] = {
    "speech": Stage("writes what is said", "speech.json", "wakeword train --recipe ctc"),
    "intent": Stage("tells intent and slots", "intents-*.json", "wakeword train --recipe intents"),
    "entities": Stage("finds names", "entities.json", "wakeword train --recipe entities"),
    "sentiment": Stage(
        "tells the sentiment", "sentiment.json", "wakeword train --recipe sentiment"
    ),
    "values": Stage("turns dates and numbers into values", "dates.json", ""),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recogniser wrote.

    Attributes:
        text: with the model of words; of letters alone where there is none.
        plain: of letters alone.
        strange: what of ``plain`` is no word that the model of words knows.
    """

    text: str
    plain: str
    strange: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """What a command asks for.

    Attributes:
        domain: name of the intent model that knows the command best; empty without one.
        intent: its reading.
        entities, sentiment: readings; None without such a model.
        values: kind, words and value of each slot of the intent; the value is None where nobody
            could tell it.
        doubts: why nothing should be done, in words; none where it is sure.
    """

    domain: str = ""
    intent: Reading | None = None
    entities: Reading | None = None
    sentiment: Reading | None = None
    values: tuple[tuple[str, str, str | None], ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """The intent and its slots, as a call; empty in doubt.

        >>> reading = Reading(("enter", "two"), ("O", "B-number"), "enter", 0.9, True, ())
        >>> Understood("commands", reading, values=(("number", "two", None),)).action
        "enter(number='two')"
        """
        if self.intent is None or self.doubts:
            return ""
        slots = ", ".join(
            f"{kind}={(words if value is None else value)!r}" for kind, words, value in self.values
        )
        return f"{self.intent.label}({slots})"


@dataclass(slots=True)
class Assistant:
    """The stages that there are; made by :func:`load_assistant`.

    ``feed(samples)`` hears a command, ``finish()`` writes it, ``understand(text)`` reads it.
    ``milliseconds`` counts what each stage took since ``reset()``, ``kilobytes`` are of the graphs.
    """

    recogniser: Recogniser | None = None
    words: frozenset[str] = frozenset()
    intents: Mapping[str, SentenceModel] = field(default_factory=dict)
    entities: SentenceModel | None = None
    sentiment: SentenceModel | None = None
    normalise: Normalise | None = None
    missing: tuple[str, ...] = ()
    kilobytes: Mapping[str, float] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    _cepstra: Mfcc = field(default_factory=Mfcc)

    def reset(self) -> None:
        """Begin a new command."""
        self._cepstra.reset()
        self.milliseconds = {}
        if self.recogniser is not None:
            self.recogniser.reset()

    def feed(self, samples: NDArray[np.int16]) -> str:
        """Hear the next samples, 16 kHz mono; give the text so far.

        Raises:
            ConfigError: there is no model for speech.
            AudioFormatError: not one channel of int16.
        """
        hears = self._hears()
        with self._timed("cepstra"):
            frames = self._cepstra.feed(samples)
        with self._timed("letters"):
            log_probs = hears.log_probs(frames)
        with self._timed("words"):
            return hears.search(log_probs)

    def finish(self) -> Heard:
        """Write the command that has ended."""
        hears = self._hears()
        with self._timed("words"):
            text = hears.finish()[0].text
        plain = hears.plain
        strange = tuple(w for w in plain.split() if self.words and w not in self.words)
        return Heard(text, plain, strange)

    def understand(self, text: str, heard: Heard | None = None) -> Understood:
        """Read a command.

        Args:
            text: of it.
            heard: where the text comes from, if it was heard: what was not understood there is a
                doubt here.

        Raises:
            TextError: nothing in it, or far too long for a sentence.
        """
        doubts = []
        if heard is not None and len(heard.strange) * 2 > len(heard.plain.split()):
            doubts.append(f"heard no words that it knows: {' '.join(heard.strange)}")
        domain, intent = "", None
        with self._timed("intent"):
            readings = {name: model.read(text) for name, model in self.intents.items()}
        if readings:
            domain = max(readings, key=lambda name: _rank(readings[name]))
            intent = readings[domain]
            if len(intent.unknown) * 2 > len(intent.words):
                doubts.append(f"knows no command with {', '.join(intent.unknown)}")
            elif not intent.sure:
                doubts.append(f"{intent.label}, but only {intent.prob:.0%} sure")
        with self._timed("entities"):
            entities = self.entities.read(text) if self.entities else None
        with self._timed("sentiment"):
            sentiment = self.sentiment.read(text) if self.sentiment else None
        with self._timed("values"):
            spans = intent.spans if intent else []
            values = tuple((kind, words, self._value(kind, words)) for kind, words in spans)
        return Understood(domain, intent, entities, sentiment, values, tuple(doubts))

    def _value(self, kind: str, words: str) -> str | None:
        """Ask for the value of a slot, if there is somebody to ask."""
        if self.normalise is None:
            return None
        try:
            return self.normalise(kind, words)
        except TextError:
            return None

    def _hears(self) -> Recogniser:
        if self.recogniser is None:
            raise ConfigError(f"no model for speech: make one with {STAGES['speech'].command}")
        return self.recogniser

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        spent = 1000 * (time.perf_counter() - began)
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent


def load_assistant(
    folder: str | os.PathLike[str],
    *,
    normalise: Normalise | None = None,
    runtime: str | None = None,
) -> Assistant:
    """Open the bundles of a folder.

    Args:
        folder: with the files that `STAGES` names; ``speech-words.arpa`` beside ``speech.json``.
        normalise: gives slots their values.
        runtime: see :class:`wakeword.step_graph.StepGraph`.

    Raises:
        ConfigError: no such folder, or not one bundle in it.
        BundleError: one is damaged, or for something else.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"{place}: no such folder; make models with {_commands(STAGES)}")
    found = {name: sorted(place.glob(stage.files)) for name, stage in STAGES.items()}
    parts: dict[str, Any] = {"normalise": normalise}
    sizes: dict[str, float] = {}
    for path in found["speech"]:
        parts["recogniser"], parts["words"], sizes["letters"], sizes["words"] = _speech(
            path, runtime
        )
    intents = {
        path.stem.partition("-")[2]: SentenceModel(path, runtime) for path in found["intent"]
    }
    readers: dict[str, Any] = {
        name: SentenceModel(path, runtime)
        for name in ("entities", "sentiment")
        for path in found[name]
    }
    groups = {"intent": list(intents.values()), **{n: [m] for n, m in readers.items()}}
    sizes.update({n: sum(m.size for m in group) / 1000 for n, group in groups.items() if group})
    missing = tuple(name for name in STAGES if not (found[name] if name != "values" else normalise))
    if not {*STAGES} - {*missing, "values"}:
        raise ConfigError(f"{place}: holds no model; make some with {_commands(STAGES)}")
    return Assistant(**parts, **readers, intents=intents, missing=missing, kilobytes=sizes)


def _speech(path: Path, runtime: str | None) -> tuple[Recogniser, frozenset[str], float, float]:
    """Open the recogniser and its model of words, if there is one; kilobytes of both."""
    bundle = read_sequence_bundle(path)
    arpa = path.with_name(f"{path.stem}-words.arpa")
    words = read_arpa(arpa) if arpa.is_file() else None
    known: frozenset[str] = frozenset()
    if words is not None:
        known = frozenset(words.vocabulary.symbols) - {*words.vocabulary.marks}
    hears = Recogniser(bundle, words=words, runtime=runtime)
    if hears.bins != COEFFICIENTS:
        raise ConfigError(
            f"{path}: hears frames of {hears.bins} coefficients; the microphone gives "
            f"{COEFFICIENTS}: train it on cepstra of Sphinx"
        )
    size = arpa.stat().st_size / 1000 if words is not None else 0.0
    return hears, known, bundle.size / 1000, size


def _rank(reading: Reading) -> tuple[float, bool, float]:
    """How well a model knows a command: the fewest unknown words, then how sure it is."""
    return -len(reading.unknown) / len(reading.words), reading.sure, reading.prob


def _commands(stages: Mapping[str, Stage]) -> str:
    return ", ".join(f"`{stage.command}`" for stage in stages.values() if stage.command)
