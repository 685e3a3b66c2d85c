"""A picture of a recording: its waveform, what the model made of it, and where a word was heard."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.detector import Detection
from wakeword.errors import ConfigError

__all__ = ["Envelope", "ScorePlot"]

BINS = 4096  # more than the picture has pixels across
MAX_LINES = 40  # detections beyond so many are ticks, not lines across the panels
LABEL_SHARE = 0.09  # of the width that a detection's time and score take
# Okabe and Ito's palette, told apart with any colour vision; yellow is left out, white swallows it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#666666"


class Envelope:
    """Lowest and highest value of a stream in equal bins of time, however long it is.

    When the bins no longer reach, each two are merged: memory is constant, and no peak is lost.

    Args:
        bins: at most so many; even.

    >>> e = Envelope(bins=4)
    >>> e.feed(np.arange(10), np.arange(10))
    >>> [x.tolist() for x in e.ranges()]
    [[0, 4, 8], [0.0, 4.0, 8.0], [3.0, 7.0, 9.0]]
    """

    def __init__(self, bins: int = BINS) -> None:
        self.width = 1
        """Positions in a bin."""
        self._low = np.full(bins, np.inf)
        self._high = np.full(bins, -np.inf)

    def feed(self, positions: NDArray[Any], values: NDArray[Any]) -> None:
        """Take values (N,) at whole, rising positions (N,) from 0."""
        if not len(values):
            return
        while positions[-1] >= len(self._low) * self.width:
            half = np.full(len(self._low) // 2, np.inf)
            self._low = np.concatenate([self._low.reshape(-1, 2).min(axis=1), half])
            self._high = np.concatenate([self._high.reshape(-1, 2).max(axis=1), -half])
            self.width *= 2
        bins = positions // self.width
        first = np.flatnonzero(np.diff(bins, prepend=-1))
        where = bins[first]
        self._low[where] = np.minimum(self._low[where], np.minimum.reduceat(values, first))
        self._high[where] = np.maximum(self._high[where], np.maximum.reduceat(values, first))

    def ranges(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return start, lowest and highest value of every bin that holds any."""
        used = np.flatnonzero(self._low <= self._high)
        return used * self.width, self._low[used], self._high[used]


class ScorePlot:
    """Collect a recording, its scores and its detections in constant memory; then draw them.

    Args:
        thresholds: per word, in the order of the scores' columns.
        title: shown above the picture.

    Raises:
        ConfigError: matplotlib is missing.
    """

    def __init__(self, thresholds: Mapping[str, float], title: str) -> None:
        try:
            import matplotlib as mpl  # noqa: F401 - asked for before the work, not after it
        except ImportError as exc:
            raise ConfigError(
                'a picture needs matplotlib, which is not installed: pip install "wakeword[plot]"'
            ) from exc
        self._thresholds = dict(thresholds)
        self._title = title
        self._wave = Envelope()
        self._scores = {word: Envelope() for word in thresholds}
        self._marks: dict[str, list[Detection]] = {word: [] for word in thresholds}
        self._heard = 0

    def add(
        self, samples: NDArray[np.int16], rows: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> None:
        """Take the next samples (N,), scores (T, W) and the scores' sample indices (T,)."""
        self._wave.feed(np.arange(self._heard, self._heard + len(samples)), samples)
        self._heard += len(samples)
        for column, envelope in enumerate(self._scores.values()):
            envelope.feed(indices, rows[:, column])

    def mark(self, found: Detection) -> None:
        """Take a detection."""
        self._marks[found.word].append(found)

    def save(self, path: Path) -> None:
        """Draw everything, and write the picture (.png, .svg or .pdf).

        Raises:
            ConfigError: another suffix.
        """
        if path.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise ConfigError(f"{path}: pictures are .png, .svg or .pdf; choose such a name")
        buffer = io.BytesIO()
        self._figure().savefig(buffer, format=path.suffix[1:].lower(), dpi=120)
        path.write_bytes(buffer.getvalue())

    def _figure(self) -> Any:
        """Draw: the waveform on top, one panel below it for every word."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        words = list(self._thresholds)
        figure = Figure(figsize=(12, 2.4 + 1.7 * len(words)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(
            1 + len(words), 1, sharex=True, squeeze=False, height_ratios=[1.2] + [1.0] * len(words)
        )[:, 0]
        start, low, high = self._wave.ranges()
        peak = max(1.0, float(np.max(np.abs(np.concatenate([low, high])), initial=0.0)))
        wave = panels[0]
        wave.fill_between(start / RATE_HZ, low, high, color=GREY, linewidth=0.6, step="post")
        wave.set_ylim(-1.15 * peak, 1.15 * peak)
        wave.set_ylabel("int16")
        wave.set_title(self._title, loc="left", fontweight="bold")
        for number, (word, panel) in enumerate(zip(words, panels[1:], strict=True)):
            self._draw_word(word, COLOURS[number % len(COLOURS)], wave, panel)
        panels[-1].set_xlabel("time in seconds (the last half second is added silence)")
        panels[-1].set_xlim(0, self._heard / RATE_HZ)
        for panel in panels:
            panel.spines[["top", "right"]].set_visible(False)
        return figure

    def _draw_word(self, word: str, colour: str, wave: Any, panel: Any) -> None:
        """Draw one word's scores, its threshold and its detections."""
        start, low, high = self._scores[word].ranges()
        dense = self._heard / RATE_HZ > 120  # lines would run into each other
        panel.fill_between(start / RATE_HZ, low, high, color=colour, alpha=0.35, linewidth=0)
        panel.plot(
            start / RATE_HZ,
            high,
            color=colour,
            linewidth=0.5 if dense else 1.3,
            label="score of each step",
        )
        panel.axhline(
            self._thresholds[word],
            color="black",
            linestyle="--",
            linewidth=0.9,
            label=f"threshold {self._thresholds[word]:g} (of the smoothed score)",
        )
        self._draw_marks(self._marks[word], colour, wave, panel)
        panel.set_ylim(-0.03, 1.19)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
        panel.set_ylabel("probability")
        panel.set_title(word, loc="left", color=colour, fontweight="bold", fontsize=11)
        panel.legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3, frameon=False, fontsize=9
        )

    def _draw_marks(self, marks: list[Detection], colour: str, wave: Any, panel: Any) -> None:
        """Mark a word's detections, with time and score where there is room."""
        if not marks:
            return
        times = [found.sample_index / RATE_HZ for found in marks]
        few = len(marks) <= MAX_LINES
        panel.plot(
            times,
            [1.1] * len(times),
            "v" if few else "|",
            color=colour,
            markersize=8 if few else 6,
            linestyle="none",
            label=f"{len(marks)} detected",
        )
        if not few:
            return
        room = LABEL_SHARE * self._heard / RATE_HZ
        ends = [*times[1:], self._heard / RATE_HZ + room]
        for found, at, end in zip(marks, times, ends, strict=True):
            for axes in (wave, panel):
                axes.axvline(at, color=colour, linewidth=1.2, linestyle=":")
            if end - at >= room:
                panel.annotate(
                    f"{at:.2f} s: {found.prob:.2f}",
                    (at, 1.1),
                    xytext=(7, 0),
                    textcoords="offset points",
                    color=colour,
                    va="center",
                    fontsize=9,
                )
