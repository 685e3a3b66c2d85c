"""A picture of how far gradients reach back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

__all__ = ["plot_reach"]


def plot_reach(norms: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Draw the norm of a gradient against the distance it went back, one line a cell.

    Args:
        norms: name of a cell to what :func:`wakeword_train.bptt.reach` gave.
        path: of the picture, PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, values in norms.items():
        axes.semilogy(values, label=name)
    axes.set_xlabel("steps back")
    axes.set_ylabel("gradient, relative to the last step")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
