"""What other engines report of a word: only where word and condition are the same as here.

Figures of another word say nothing about this one, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeword_train.report.facts import Peer
from wakeword_train.testset import label_of

__all__ = ["peers_of"]

_PICOVOICE = "https://github.com/Picovoice/wake-word-benchmark"
_MICRO = "https://github.com/kahrendt/microWakeWord"
_ALEXA = "the published model at its own threshold, recordings of alexa, pink noise"
_SIX = ("alexa", "computer", "jarvis", "smart_mirror", "snowboy", "view_glass")


def _peer(
    engine: str, condition: str, heard: float, on: str, source: str, url: str,
    fa_per_hour: float | None = None,
) -> Peer:  # fmt: skip
    """Turn a share of words heard, in percent, into a peer's point."""
    return Peer(
        engine=engine, condition=condition, frr=round(1 - heard / 100, 4), fa_per_hour=fa_per_hour,
        on=on, source=source, url=url,
    )  # fmt: skip


_OWN = "recordings: Picovoice"
_ALL: tuple[tuple[tuple[str, ...], Peer], ...] = (
    *(
        (("alexa",), _peer(engine, condition, heard, _ALEXA, _OWN, _PICOVOICE))
        for engine, row in (
            ("microWakeWord v2", (98.1, 96.5, 75.6)),
            ("openWakeWord", (98.4, 93.3, 63.1)),
        )
        for condition, heard in zip(("clean", "10dB-pink", "0dB-pink"), row, strict=True)
    ),
    (
        _SIX,
        _peer(
            "Porcupine", "10dB", 97.3,
            "the mean of six words, this one among them; noise of DEMAND",
            "Picovoice, wake word benchmark", _PICOVOICE, 0.1,
        ),
    ),
    (
        ("hey_jarvis",),
        _peer(
            "microWakeWord v1", "clean", 99.33,
            "synthetic clips (Piper); false alarms in the Dinner Party Corpus",
            "microWakeWord, README", _MICRO, 0.375,
        ),
    ),
    (
        ("okay_nabu",),
        _peer(
            "microWakeWord v1", "clean", 98.0,
            "synthetic clips (Piper); false alarms in the Dinner Party Corpus",
            "microWakeWord, README", _MICRO, 0.187,
        ),
    ),
)  # fmt: skip


def peers_of(word: str, conditions: Sequence[str]) -> list[Peer]:
    """List what is known of other engines on this word, under these conditions.

    >>> [(p.engine, p.frr) for p in peers_of("Alexa", ["clean"])]
    [('microWakeWord v2', 0.019), ('openWakeWord', 0.016)]
    >>> peers_of("pancake", ["clean"])
    []
    """
    return [p for words, p in _ALL if label_of(word) in words and p.condition in conditions]
