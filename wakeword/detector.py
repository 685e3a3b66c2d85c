"""From samples to events: one front end, any number of models, one decision per word."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle, find_bundle, read_bundle
from wakeword.decide import Decider
from wakeword.errors import ConfigError
from wakeword.frontend import HOP, WINDOW, Frontend
from wakeword.model import Stream, open_stream

__all__ = ["Detection", "Detector"]

# A word's score peaks up to half a second after its end.
_TAIL = 8_000


@dataclass(frozen=True, slots=True)
class Detection:
    """A word was heard.

    ``sample_index``: samples heard when it fired, the end of the last frame the model had seen;
    divide by 16,000 for seconds. ``prob``: the smoothed probability, in [0, 1].
    """

    word: str
    sample_index: int
    prob: float


class _Ears:
    """One model on the stream, the words it reports, and where it stands."""

    def __init__(self, bundle: Bundle, words: Sequence[str], stream: Stream) -> None:
        self.bundle = bundle
        self.stream = stream
        self.columns = [bundle.words.index(word) for word in words]
        self.hop = stream.stride * HOP
        self.next_index = 0

    def reset(self) -> None:
        self.stream.reset()
        self.next_index = self.hop + WINDOW - HOP

    def feed(self, frames: NDArray[np.uint16]) -> tuple[NDArray[np.float32], range]:
        """Return the probabilities (n, W) of the words asked for and their sample indices."""
        probs = self.stream.feed(frames)
        first = self.next_index
        self.next_index = stop = first + self.hop * len(probs)
        return probs, range(first, stop, self.hop)


class Detector:
    """Listen for words in one stream of audio.

    Args:
        bundles: the models; each with the words to report, or with None for all of its words.
        runtime: "litert", "tflite-runtime", "tf" or "numpy"; None takes the first that works.
        thresholds: per word, in place of the one in its bundle.

    Raises:
        BundleError: a model is damaged or not what its JSON says.
        ConfigError: a word is unknown or comes twice; a threshold is out of range.
        DeviceError: the runtime is missing or does not work here.

    An object belongs to one stream at a time; for another one, :meth:`reset` it first.
    """

    def __init__(
        self,
        bundles: Sequence[tuple[Bundle, Sequence[str] | None]],
        *,
        runtime: str | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        if not bundles:
            raise ConfigError("no model given: name a word, or the path of a bundle's .json")
        chosen = [(b, tuple(b.words if words is None else words)) for b, words in bundles]
        self.words: tuple[str, ...] = tuple(word for _, words in chosen for word in words)
        """The words reported, in the order of the columns of :meth:`scores`."""
        for bundle, words in chosen:
            for word in words:
                if word not in bundle.words:
                    raise ConfigError(f"{word!r}: {bundle.path} has only {list(bundle.words)}")
                if self.words.count(word) > 1:
                    raise ConfigError(f"{word!r}: two models report it; use one Detector for each")
        overrides = dict(thresholds or {})
        if unknown := sorted(overrides.keys() - set(self.words)):
            raise ConfigError(f"thresholds for {unknown}: the words here are {list(self.words)}")
        self._frontend = Frontend()
        self._ears = [_Ears(b, words, open_stream(b, runtime)) for b, words in chosen]
        self._deciders: list[list[tuple[int, str, Decider]]] = []
        for ears, (bundle, words) in zip(self._ears, chosen, strict=True):
            row = []
            for column, word in zip(ears.columns, words, strict=True):
                config = bundle.decision[word]
                if word in overrides:
                    config = config.with_threshold(overrides[word])
                strict = bundle.kind == "microwakeword"
                row.append((column, word, Decider(config, strict=strict)))
            self._deciders.append(row)
        self.reset()

    @classmethod
    def load(
        cls,
        *names_or_paths: str | os.PathLike[str],
        runtime: str | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Detector:
        """Load models by shipped word, by the stem of a shipped bundle, or by path.

        A word reports only itself; a stem or a path reports all words of its bundle. Words of one
        bundle share its model.

        Raises:
            ConfigError: no such word or bundle; the message lists what there is.
            BundleError: a bundle is missing or damaged.
            DeviceError: the runtime is missing or does not work here.
        """
        wanted: dict[str, tuple[Bundle, list[str]]] = {}
        for name in names_or_paths:
            path, word = find_bundle(name)
            bundle = read_bundle(path)
            _, words = wanted.setdefault(os.path.realpath(bundle.path), (bundle, []))
            words += [w for w in ([word] if word else bundle.words) if w not in words]
        return cls(list(wanted.values()), runtime=runtime, thresholds=thresholds)

    @property
    def probs(self) -> NDArray[np.float32]:
        """The latest smoothed probability of each word, shape (W,), for a meter."""
        return np.array([d.prob for row in self._deciders for _, _, d in row], np.float32)

    @property
    def size(self) -> int:
        """Bytes of all models."""
        return sum(len(ears.bundle.model_bytes) for ears in self._ears)

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold in force of each word."""
        return {w: d.config.threshold for row in self._deciders for _, w, d in row}

    def set_threshold(self, word: str, threshold: float) -> None:
        """Go on at another threshold of a word, with the next samples; the stream goes on.

        Raises:
            ConfigError: no such word, or not in (0, 1].
        """
        if word not in self.words:
            raise ConfigError(f"{word!r}: the words here are {list(self.words)}")
        for row in self._deciders:
            for _, own, decider in row:
                if own == word:
                    decider.set_threshold(threshold)

    def reset(self) -> None:
        """Forget the stream: what follows equals a new object of these thresholds, bit for bit."""
        self._frontend.reset()
        for ears in self._ears:
            ears.reset()
        for row in self._deciders:
            for _, _, decider in row:
                decider.reset()
        self._latest = np.zeros(len(self.words), np.float32)

    def feed(self, samples: NDArray[np.int16]) -> list[Detection]:
        """Take the next samples and return the words heard in them.

        Args:
            samples: shape (N,), int16, 16 kHz mono, any N from 0.

        Returns:
            Detections in the order of their sample index. They do not depend on the chunks.

        Raises:
            AudioFormatError: not one channel of int16.
        """
        found: list[Detection] = []
        frames = self._frontend.feed(samples)
        if not len(frames):
            return found
        for ears, row in zip(self._ears, self._deciders, strict=True):
            probs, indices = ears.feed(frames)
            steps = probs.tolist()
            for column, word, decider in row:
                push = decider.push
                for step, index in zip(steps, indices):  # noqa: B905 - one length by construction
                    prob = push(step[column], index)
                    if prob is not None:
                        found.append(Detection(word, index, prob))
        if len(found) > 1:
            found.sort(key=lambda d: (d.sample_index, self.words.index(d.word)))
        return found

    def finish(self) -> list[Detection]:
        """Hear half a second of silence, for a word at the very end of a recording.

        Returns:
            The detections in it. The stream goes on from there; :meth:`reset` starts another.
        """
        return self.feed(np.zeros(_TAIL, np.int16))

    def scores(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Take the next samples as :meth:`feed` does, and return raw scores in place of events.

        Args:
            samples: shape (N,), int16, 16 kHz mono.

        Returns:
            Probabilities (T, W), not smoothed, and sample indices (T,). With models of several
            strides there is a row wherever any of them scored; each column holds its latest score,
            0 before its first.

        Raises:
            AudioFormatError: not one channel of int16.
        """
        frames = self._frontend.feed(samples)
        parts = [ears.feed(frames) for ears in self._ears]
        columns = [np.asarray(indices, np.int64) for _, indices in parts]
        index = columns[0] if len(columns) == 1 else np.unique(np.concatenate(columns))
        rows = np.empty((len(index), len(self.words)), np.float32)
        at = 0
        for (probs, indices), own, row in zip(parts, columns, self._deciders, strict=True):
            # Row r holds the step numbered `last[r]` of this call; -1: none yet, the one before.
            last = np.searchsorted(own, index, side="right") - 1
            for column, _, decider in row:
                decider.feed(probs[:, column], np.asarray(indices))
                scores = np.concatenate((self._latest[at : at + 1], probs[:, column]))
                rows[:, at] = scores[last + 1]
                self._latest[at] = scores[-1]
                at += 1
        return rows, index
