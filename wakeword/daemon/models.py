"""From the words of a configuration to a detector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from wakeword.bundle import Bundle, find_bundle, read_bundle
from wakeword.daemon.config import DaemonConfig
from wakeword.detector import Detector
from wakeword.errors import ConfigError

__all__ = ["Models", "read_models"]


@dataclass(frozen=True, slots=True)
class Models:
    """The bundles behind the words, read and checked.

    Two are equal where a detector made of one would hear just what one of the other hears.
    """

    bundles: tuple[tuple[Bundle, tuple[str, ...]], ...]
    thresholds: tuple[tuple[str, float], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All words."""
        return tuple(word for _, words in self.bundles for word in words)

    def threshold_of(self) -> dict[str, float]:
        """The threshold of each word: as given, or its bundle's."""
        own = {w: bundle.decision[w].threshold for bundle, words in self.bundles for w in words}
        return own | dict(self.thresholds)

    def detector(self, words: Sequence[str] | None = None) -> Detector:
        """Make a detector of all words, or of some of them.

        Raises:
            BundleError: a model is damaged.
            DeviceError: no runtime works here.
        """
        chosen = self.words if words is None else words
        parts = [(bundle, [w for w in own if w in chosen]) for bundle, own in self.bundles]
        thresholds = {word: value for word, value in self.thresholds if word in chosen}
        return Detector([p for p in parts if p[1]], thresholds=thresholds)


def read_models(config: DaemonConfig) -> Models:
    """Read the bundles of a configuration; words of one bundle share its model.

    Raises:
        ConfigError: a model is not there, or does not know its word.
        BundleError: a bundle is damaged.
    """
    wanted: dict[str, tuple[Bundle, list[str]]] = {}
    for word, settings in config.words.items():
        path, _ = find_bundle(settings.model or word)
        bundle = read_bundle(path)
        if word not in bundle.words:
            raise ConfigError(
                f"[word.{word}] model={settings.model!r}: it knows {list(bundle.words)}; "
                "name the table after one of these"
            )
        wanted.setdefault(os.path.realpath(bundle.path), (bundle, []))[1].append(word)
    return Models(
        tuple((bundle, tuple(words)) for bundle, words in wanted.values()),
        tuple((w, c.threshold) for w, c in config.words.items() if c.threshold is not None),
    )
