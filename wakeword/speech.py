"""Speech to text as it comes: frames in, the text so far out; numpy and a TFLite step."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.cepstra import Normaliser
from wakeword.decode import CtcBeam, CtcText, WordFusion, collapse
from wakeword.errors import BundleError
from wakeword.language.neural import log_softmax
from wakeword.language.ngram import NgramModel
from wakeword.sequence_bundle import SequenceBundle, read_sequence_bundle

__all__ = ["TASK", "Recogniser"]

TASK = "speech"


class Recogniser:
    """Hears a stream of cepstra and writes what is said.

    ``feed(frames)`` gives the best text so far, ``finish()`` the texts at the end; any chunking
    gives the same. ``reset()`` begins anew. ``feed`` is ``search`` of ``log_probs``, for who wants
    to know what each costs; ``plain`` is the text of letters alone, whatever words there are.

    Args:
        bundle: for the task "speech", or the path of its JSON.
        words: a language model to judge words by, such as of `wakeword.language.read_arpa`; None:
            letters alone.
        weight, bonus: see `wakeword.decode.WordFusion`; None: as chosen when the model was made.
        width: prefixes to keep.
        runtime: see :class:`wakeword.step_graph.StepGraph`.

    Raises:
        BundleError: the bundle is damaged, for something else, or its parts do not fit.
        ConfigError: a setting out of its range, or no such runtime.
        DeviceError: the runtime is not installed or does not work here.
    """

    def __init__(
        self,
        bundle: SequenceBundle | str | os.PathLike[str],
        *,
        words: NgramModel | None = None,
        weight: float | None = None,
        bonus: float | None = None,
        width: int = 50,
        runtime: str | None = None,
    ) -> None:
        if not isinstance(bundle, SequenceBundle):
            bundle = read_sequence_bundle(bundle, TASK)
        if bundle.task != TASK:
            raise BundleError(f"{bundle.path}: a model for {bundle.task!r}; need one for {TASK!r}")
        settings = bundle.settings
        self._normaliser = Normaliser.from_json(settings.get("normaliser"))
        letters = bundle.vocabulary("letters")
        self.graph = bundle.open("step", runtime)
        (frames,) = self.graph.inputs.values() if len(self.graph.inputs) == 1 else ((),)
        stride = settings.get("stride")
        bins = len(self._normaliser.mean)
        if (
            set(self.graph.inputs) != {"frames"}
            or len(frames) != 3
            or frames[2] != bins
            or self.graph.outputs != {"logits": (1, len(letters) + 1)}
            or not isinstance(stride, int)
            or not 1 <= stride <= frames[1]
        ):
            raise BundleError(
                f"{bundle.path}: the graph takes {self.graph.inputs} and gives "
                f"{self.graph.outputs}; need frames (1, at least the stride {stride}, {bins}) "
                f"and logits (1, {len(letters) + 1}), one for each letter and the blank"
            )
        self.bins, self.stride = bins, stride
        self._overlap = frames[1] - stride
        fusion = None
        if words is not None:
            weight = settings.get("weight") if weight is None else weight
            bonus = settings.get("bonus") if bonus is None else bonus
            if not isinstance(weight, (int, float)) or not isinstance(bonus, (int, float)):
                raise BundleError(f"{bundle.path}: names no weight and bonus: give your own")
            fusion = WordFusion(words, words.vocabulary, weight=weight, bonus=bonus)
        self._beam = CtcBeam(("", *letters.symbols), width=width, fusion=fusion)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._normaliser.reset()
        self._beam.reset()
        self._state = self.graph.initial_state()
        self._held = np.zeros((self._overlap, len(self._normaliser.mean)), np.float32)
        self._path: list[int] = []

    def feed(self, frames: NDArray[Any]) -> str:
        """Hear the next frames (t, F), 100 a second; give the best text so far.

        Raises:
            AudioFormatError: another shape, or NaN.
        """
        return self.search(self.log_probs(frames))

    def search(self, log_probs: NDArray[np.float32]) -> str:
        """Look for the text of what :meth:`log_probs` gave; give the best so far."""
        self._beam.feed(log_probs)
        self._path += log_probs.argmax(axis=1).tolist()
        return self._beam.best(1)[0].text

    @property
    def plain(self) -> str:
        """The letters that are likeliest in each step: the text so far without a model of words."""
        text = "".join(self._beam.alphabet[i] for i in collapse(self._path))
        return " ".join(text.split())

    def finish(self, count: int | None = 1) -> list[CtcText]:
        """Hear the rest of a step; give the ``count`` likeliest texts, best first."""
        if missing := -(len(self._held) - self._overlap) % self.stride:
            rest = np.zeros((missing, self._held.shape[1]), np.float32)
            self.search(self._steps(rest))
        return self._beam.finish(count)

    def log_probs(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model alone: frames (t, F) -> log-probabilities (t', V) of the steps filled."""
        return self._steps(self._normaliser.feed(np.asarray(frames, np.float32)))

    def _steps(self, normal: NDArray[np.float32]) -> NDArray[np.float32]:
        self._held = np.concatenate([self._held, normal])
        size = self._overlap + self.stride
        found = [np.zeros((0, len(self._beam.alphabet)), np.float32)]
        first = 0
        while first + size <= len(self._held):
            window = self._held[None, first : first + size]
            given, self._state = self.graph.run({"frames": window}, self._state)
            found.append(log_softmax(given["logits"]))
            first += self.stride
        self._held = self._held[first:]
        return np.concatenate(found)
