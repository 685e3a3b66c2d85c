"""One line on a terminal that says how loud it is and how near each word."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ

__all__ = ["Meter", "level_db"]

REDRAW = RATE_HZ // 10  # samples between two drawings
FLOOR_DB = -70.0  # the left end of the level bar; a quiet room lies near -60
CLEAR = "\r\x1b[K"
BAR = 12  # characters


def level_db(mean_square: float) -> float:
    """Return the level of int16 samples in dB of full scale, at least `FLOOR_DB`.

    >>> round(level_db(32768.0**2), 1), round(level_db(0.0), 1)
    (0.0, -70.0)
    """
    return max(FLOOR_DB, 10 * float(np.log10(max(mean_square, 1e-9) / 32768.0**2)))


class Meter:
    """Draw the meter ten times per second of audio.

    Args:
        out: the terminal.
        thresholds: per word in the order of the probabilities, drawn as a mark.
        width: columns of the terminal; None asks it at every drawing.
    """

    def __init__(
        self, out: TextIO, thresholds: Mapping[str, float], width: Callable[[], int] | None = None
    ) -> None:
        self._out = out
        self._thresholds = dict(thresholds)
        self._width = width or (lambda: shutil.get_terminal_size().columns)
        self._signs = ("█", "│", "░")
        try:
            "".join(self._signs).encode(out.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            self._signs = ("#", "|", ".")
        self._start_over()

    def _start_over(self) -> None:
        """Begin the next drawing."""
        self._count = 0
        self._energy = 0.0
        self._probs = np.zeros(len(self._thresholds), np.float32)

    def update(self, samples: NDArray[np.int16], probs: NDArray[np.float32]) -> None:
        """Take samples (N,) and the latest probability (W,) of each word; draw if it is time."""
        self._count += len(samples)
        self._energy += float(np.sum(np.square(samples.astype(np.float64))))
        self._probs = np.maximum(self._probs, probs)  # a peak between two drawings is shown
        if self._count >= REDRAW:
            self._out.write(CLEAR + self.line())
            self._out.flush()
            self._start_over()

    def line(self) -> str:
        """Return the line as it would be drawn now."""
        level = level_db(self._energy / max(1, self._count))
        parts = [f"mic {self._bar(1 - level / FLOOR_DB)} {level:3.0f} dB"]
        for (word, threshold), prob in zip(
            self._thresholds.items(), self._probs.tolist(), strict=True
        ):
            parts.append(f"{word} {self._bar(prob, threshold)} {prob:.2f}")
        # One column stays free: a full line would wrap, and clearing it would leave the rest.
        return "  ".join(parts)[: max(0, self._width() - 1)]

    def _bar(self, share: float, mark: float | None = None) -> str:
        """Draw a share of 1, and a mark at another."""
        full, line, empty = self._signs
        filled = round(min(max(share, 0.0), 1.0) * BAR)
        bar = list(full * filled + empty * (BAR - filled))
        if mark is not None:
            bar[min(BAR - 1, int(mark * BAR))] = line
        return "".join(bar)

    def clear(self) -> None:
        """Take the meter away, so that a line of text can be written."""
        self._out.write(CLEAR)
        self._out.flush()
