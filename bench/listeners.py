"""What listens in the benchmark of accuracy: one word of a bundle, and what others ship for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import cast

import numpy as np
from machine import versions
from numpy.typing import NDArray

from wakeword.bundle import Bundle, find_bundle, read_bundle
from wakeword.decide import DecisionConfig
from wakeword.detector import Detector
from wakeword.errors import ConfigError
from wakeword_train.conditions import LEAD
from wakeword_train.testset import label_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One model for one word.

    ``config`` and ``strict`` turn its scores into events (`wakeword.decide.Decider`), the threshold
    being the one it ships with; ``digest`` is of all that its scores depend on; ``open`` loads it,
    and travels to other processes.
    """

    name: str
    ours: bool
    label: str
    config: DecisionConfig
    strict: bool
    digest: str
    open: Callable[[], Detector]


class OpenWakeWord:
    """pyopen-wakeword, heard as a `wakeword.Detector` is: ``words``, ``reset`` and ``scores``.

    A score looks back over 2.03 s, so that of a word that begins early would look back to before
    the recording. The first second of what it hears, the frame's faint hiss in the condition's
    noise, is therefore mirrored twice in front of it: as much of the same sound as it needs.
    """

    EXTRA = 2 * LEAD  # samples in front; whole steps, and the first score needs 32,480
    STEP, FIRST = 1_280, 480  # samples from score to score; a score is due 480 after a whole step

    def __init__(self, model: str) -> None:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

        self.words = (model,)
        self._word = OpenWakeWord.from_builtin(Model(model))
        self._features = OpenWakeWordFeatures.from_builtin()
        self.reset()

    def reset(self) -> None:
        self._word.reset()
        self._features.reset()
        # Theirs would hear 8 s of digital silence first: half a second of CPU, and of no effect on
        # any score from here on (tests/test_bench_accuracy.py).
        self._features.new_audio_samples = 0
        self._rest = np.zeros(0, np.int16)
        self._heard = -self.EXTRA

    def scores(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if self._heard == -self.EXTRA and not len(self._rest) and len(samples):
            lead = np.pad(samples[:LEAD], (self.EXTRA, 0), mode="symmetric")[: self.EXTRA]
            samples = np.concatenate([lead, samples])
        data = np.concatenate([self._rest, samples])
        size = self.FIRST if self._heard == -self.EXTRA else self.STEP
        probs: list[float] = []
        indices: list[int] = []
        at = 0
        while at + size <= len(data):
            for found in self._features.process_streaming(data[at : at + size].tobytes()):
                probs += list(self._word.process_streaming(found))
            at, self._heard = at + size, self._heard + size
            size = self.STEP
            indices += [self._heard] * (len(probs) - len(indices))
        self._rest = data[at:]
        return np.array(probs, np.float32).reshape(-1, 1), np.array(indices, np.int64)


def _detector(path: Path, word: str) -> Detector:
    """Load one word of a bundle."""
    return Detector([(read_bundle(path), [word])])


def from_bundle(bundle: Bundle, word: str, name: str, ours: bool) -> Engine:
    """Describe one word of a bundle, ours or microWakeWord's."""
    runtime = versions(["ai-edge-litert", "tflite-runtime", "pymicro-features"])
    return Engine(
        name=name, ours=ours, label=label_of(word), config=bundle.decision[word],
        strict=bundle.kind == "microwakeword", digest=f"{bundle.sha256} {word} {runtime}",
        open=partial(_detector, bundle.path, word),
    )  # fmt: skip


def from_text(text: str) -> list[Engine]:
    """Read PATH or PATH:WORD, or the name of a shipped bundle or word; one engine per word.

    Raises:
        ConfigError: the bundle has no such word.
        BundleError: the bundle is missing or damaged.
    """
    name, colon, word = text.rpartition(":")
    if not colon or Path(text).exists():
        name, word = text, ""
    path, found = find_bundle(name)
    bundle = read_bundle(path)
    one = word or found
    words = [one] if one else list(bundle.words)
    if missing := [w for w in words if w not in bundle.words]:
        raise ConfigError(f"{missing[0]!r}: {path} has only {', '.join(bundle.words)}")
    return [from_bundle(bundle, w, f"wakeword, {bundle.name}", ours=True) for w in words]


def peers_of(label: str) -> list[Engine]:
    """List the models for a word that are installed here with other packages."""
    found = []
    path = _models("pymicro_wakeword") / f"{label}.json"
    if path.is_file():
        bundle = read_bundle(path)
        name = f"microWakeWord (pymicro-wakeword {metadata.version('pymicro-wakeword')})"
        found.append(from_bundle(bundle, bundle.words[0], name, ours=False))
    folder = _models("pyopen_wakeword")
    if (folder / f"{label}.tflite").is_file():
        used = [folder / f"{n}.tflite" for n in (label, "embedding_model", "melspectrogram")]
        own = versions(["pyopen-wakeword"])
        found.append(
            Engine(
                name=f"openWakeWord ({own})", ours=False, label=label,
                # Its program reports every score above 0.5, without an average. Events here, as
                # for the others: one at a time, a second apart.
                config=DecisionConfig(threshold=0.5, smooth_steps=1), strict=True,
                digest=" ".join([*(hashlib.sha256(p.read_bytes()).hexdigest() for p in used), own]),
                open=cast(Callable[[], Detector], partial(OpenWakeWord, label)),
            )
        )  # fmt: skip
    return found


def _models(package: str) -> Path:
    """Find the models of an installed package without importing it; a path to nothing if none."""
    spec = util.find_spec(package)
    return Path(spec.origin).parent / "models" if spec and spec.origin else Path("none")
