"""Thresholds that are higher while the machine itself plays sound."""

from __future__ import annotations

import logging

from wakeword.daemon.config import DaemonConfig
from wakeword.detector import Detector

__all__ = ["Raised", "raised"]

log = logging.getLogger("wakeword")


def raised(config: DaemonConfig, thresholds: dict[str, float]) -> dict[str, float]:
    """Return what each word must reach while something is played; above 1 it does nothing."""
    if config.playback is None:
        return dict(thresholds)
    by = config.playback.raise_by
    return {
        word: value + (by if (own := config.words[word].playing) is None else own)
        for word, value in thresholds.items()
    }


class Raised:
    """Moves a detector's thresholds up when playback begins, and down again when it is over.

    Args:
        config: the settings.
        detector: with the thresholds that hold in silence.
    """

    def __init__(self, config: DaemonConfig, detector: Detector) -> None:
        self.playing = False
        self._detector = detector
        self._plain = detector.thresholds
        self._raised = raised(config, self._plain)

    def switch(self, config: DaemonConfig, detector: Detector | None) -> None:
        """Go over to other settings, and to a new detector if there is one."""
        if detector is not None:
            self._detector = detector
            self._plain = detector.thresholds
        self._raised = raised(config, self._plain)
        self._set()

    def follow(self, playing: bool) -> None:
        """Say once that playback began or is over, and move the thresholds."""
        self.playing = playing
        self._set()
        changed = [word for word, value in self._raised.items() if value > self._plain[word]]
        if playing:
            words = [f"{w} {'does nothing' if self.masks(w) else self._needs(w)}" for w in changed]
            text = "the machine plays sound; " + (", ".join(words) or "no word minds")
        else:
            text = "the machine is silent; thresholds are as before"
        fields = {"playing": playing}
        log.info("playback: %s", text, extra={"fields": fields})

    def masks(self, word: str) -> bool:
        """Tell whether a word does nothing now."""
        return self.playing and self._raised[word] > 1

    def _needs(self, word: str) -> str:
        return f"needs {self._raised[word]:.3f}"

    def _set(self) -> None:
        """Set them in the detector; a masked word keeps its own, so that it is counted."""
        for word, plain in self._plain.items():
            higher = self._raised[word]
            self._detector.set_threshold(word, higher if self.playing and higher <= 1 else plain)
