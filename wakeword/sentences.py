"""What is said in a sentence: its words with a tag each, and one label for the whole.

Intent and slots, entities and sentiment are all read by this one class; which of them a model
knows is in its bundle. The model looks at a sentence from both ends, so it is no stream: it needs
the whole sentence, however long, and runs a step a word each way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError, ConfigError
from wakeword.language.neural import log_softmax
from wakeword.sequence_bundle import SequenceBundle, read_sequence_bundle
from wakeword.spans import Span, TagSearch, spans_of
from wakeword.step_graph import StepGraph
from wakeword.words import KINDS, Coder, split_sentence

__all__ = ["TASK", "Reading", "SentenceModel"]

TASK = "sentence"
FloatArray = NDArray[np.float32]
POOLS: Mapping[str, Callable[..., Any]] = {"max": np.max, "mean": np.mean}
"""How the outputs at all words become one for the label."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model makes of a sentence.

    Attributes:
        words: the sentence.
        tags: one for each word; none of a model that gives only a label.
        label: of the sentence; empty of a model that gives only tags.
        prob: of the label, in [0, 1].
        sure: whether ``prob`` is as high as where the model was right in training.
        unknown: words that the model has never seen; of these it goes by what is around them.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    label: str
    prob: float
    sure: bool
    unknown: tuple[str, ...]

    @property
    def spans(self) -> list[tuple[str, str]]:
        """Kind and text of each span that the tags mark."""
        return [(s.kind, " ".join(self.words[s.first : s.last])) for s in self.places]

    @property
    def places(self) -> list[Span]:
        """The spans by the numbers of their words."""
        return spans_of(self.tags)


class SentenceModel:
    """Reads sentences; see the module.

    Args:
        bundle: for the task "sentence", or the path of its JSON.
        runtime: see :class:`wakeword.step_graph.StepGraph`.

    Raises:
        BundleError: the bundle is damaged, for something else, or its parts do not fit, such as a
            vocabulary of another size than the graph's output.
        ConfigError: no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """

    streamable = False

    def __init__(
        self, bundle: SequenceBundle | str | os.PathLike[str], runtime: str | None = None
    ) -> None:
        if not isinstance(bundle, SequenceBundle):
            bundle = read_sequence_bundle(bundle, TASK)
        if bundle.task != TASK:
            raise BundleError(f"{bundle.path}: a model for {bundle.task!r}; need one for {TASK!r}")
        self.bundle = bundle
        self.coder = Coder({k: v for k, v in bundle.vocabularies.items() if k in KINDS})
        pool, sure = (bundle.settings.get(key, value) for key, value in (("pool", ""), ("sure", 0)))
        if pool not in POOLS or not isinstance(sure, (int, float)) or not 0 <= sure <= 1:
            raise BundleError(
                f"{bundle.path}: pool is {pool!r} and sure {sure!r}: need one of "
                f"{', '.join(POOLS)}, and 0 to 1"
            )
        self._pool, self._sure = POOLS[str(pool)], float(sure)
        self._contractions = bundle.settings.get("contractions") is True
        self._lower = bundle.settings.get("lower") is True
        self._tags, self._labels = (
            bundle.vocabularies[name].symbols if name in bundle.vocabularies else ()
            for name in ("tags", "labels")
        )
        try:
            self._search = TagSearch(self._tags) if self._tags else None
        except ConfigError as exc:
            raise BundleError(f"{bundle.path}: tags: {exc}") from exc
        self._graphs = {name: bundle.open(name, runtime) for name in bundle.graphs}
        self._check()

    def _check(self) -> None:
        """Make sure that each graph takes what the one before gives."""
        given = {name: (g.inputs, g.outputs) for name, g in self._graphs.items()}
        size = given.get("words", ({}, {}))[1].get("x", (1, 0))[-1]
        each = {n: given[n][1].get("y", (1, 0))[-1] for n in ("ahead", "behind") if n in given}
        both = sum(each.values())
        wanted = {
            "words": (dict.fromkeys(self.coder.kinds, (1,)), {"x": (1, size)}),
            "ahead": ({"x": (1, size)}, {"y": (1, each.get("ahead"))}),
            "behind": ({"x": (1, size)}, {"y": (1, each.get("behind"))}),
        }
        for name, symbols in (("tags", self._tags), ("labels", self._labels)):
            if symbols:
                wanted[name] = ({"y": (1, both)}, {"logits": (1, len(symbols))})
        if wanted != given or not (self._tags or self._labels):
            raise BundleError(
                f"{self.bundle.path}: the graphs take and give {given}; with {len(self._tags)} "
                f"tags and {len(self._labels)} labels need {wanted}"
            )

    def split(self, text: str) -> list[str]:
        """Cut a text into words as those were cut that the model has learned from.

        Raises:
            TextError: nothing in it, or far too long for a sentence.
        """
        words = split_sentence(text, contractions=self._contractions)
        return [word.lower() for word in words] if self._lower else words

    def read(self, sentence: str | Sequence[str]) -> Reading:
        """Read a sentence, or one that is cut into words already.

        Raises:
            TextError: nothing in it, or far too long for a sentence.
        """
        words = self.split(sentence) if isinstance(sentence, str) else list(sentence)
        tag_logits, label_logits = self.logits(words)
        tags = self._search(log_softmax(tag_logits)) if self._search else []
        label, prob = "", 1.0
        if self._labels:
            probs = np.exp(log_softmax(label_logits))
            label, prob = self._labels[int(probs.argmax())], float(probs.max())
        unknown = tuple(self.coder.unknown(words))
        return Reading(tuple(words), tuple(tags), label, prob, prob >= self._sure, unknown)

    def logits(self, words: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Run the graphs alone: logits (T, tags) of each word, and (labels,) of the sentence.

        Raises:
            TextError: no words, or too many.
        """
        codes = self.coder.encode(words)
        columns = dict(zip(self.coder.kinds, codes.T, strict=True))
        x = _run(self._graphs["words"], columns)["x"]
        ahead = _walk(self._graphs["ahead"], x)
        behind = _walk(self._graphs["behind"], x[::-1])[::-1]
        y = np.concatenate([ahead, behind], axis=1)
        none = np.zeros((len(words), 0), np.float32)
        tags = _run(self._graphs["tags"], {"y": y})["logits"] if self._tags else none
        if not self._labels:
            return tags, none[0]
        pooled = np.asarray(self._pool(y, axis=0, keepdims=True), np.float32)
        return tags, _run(self._graphs["labels"], {"y": pooled})["logits"][0]

    @property
    def size(self) -> int:
        """Bytes of all graphs."""
        return self.bundle.size


def _run(graph: StepGraph, values: dict[str, NDArray[np.generic]]) -> dict[str, FloatArray]:
    """Run a graph that remembers nothing, row by row."""
    rows = len(next(iter(values.values())))
    return graph.run(values, graph.initial_state(rows))[0]


def _walk(graph: StepGraph, inputs: FloatArray) -> FloatArray:
    """Run a step over (T, X); give its outputs (T, Y)."""
    state, found = graph.initial_state(), []
    for x in inputs:
        given, state = graph.run({"x": x[None]}, state)
        found.append(given["y"])
    return np.concatenate(found)
