"""What a recipe measured, beside what was asked for, as a table that the command writes."""

from __future__ import annotations

import operator
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword_train.files import write_file

__all__ = ["Row", "machine", "markdown", "put_table"]

_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_BAR = re.compile(r"(<=|>=|<|>) (-?[\d.]+(?:e-?\d+)?)")
Told = tuple[str, float]
"""A name and its figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Args:
        measure: what, in which unit.
        ours: the figure of our model.
        bar: what was asked for, such as "<= 2.35"; empty where nothing was.
        reference: name and figure of a reference library or publication, if there is one.
        baseline: name and figure of a cheap way to do the same, if there is one.
        digits: after the point.

    >>> Row("bits a character", 2.21, "<= 2.35", baseline=("6-gram", 2.227)).met
    True
    """

    measure: str
    ours: float
    bar: str = ""
    reference: Told | None = None
    baseline: Told | None = None
    digits: int = 3

    def __post_init__(self) -> None:
        if self.bar and not _BAR.fullmatch(self.bar):
            raise ConfigError(f"bar={self.bar!r}: need one of {', '.join(_COMPARE)}, then a number")

    @property
    def met(self) -> bool | None:
        """Whether our figure is what was asked for; None where nothing was."""
        found = _BAR.fullmatch(self.bar)
        return bool(_COMPARE[found[1]](self.ours, float(found[2]))) if found else None

    def cells(self) -> tuple[str, ...]:
        """Text of each column."""
        return (
            self.measure,
            self._number(self.ours),
            *(f"{told[0]} {self._number(told[1])}" if told else "" for told in (
                self.reference, self.baseline,
            )),
            self.bar.replace("<=", "≤").replace(">=", "≥"),
            {None: "", True: "met", False: "**missed**"}[self.met],
        )  # fmt: skip

    def _number(self, value: float) -> str:
        if value and (abs(value) < 0.5 * 10**-self.digits):
            return f"{value:.1e}"
        return f"{value:,.{self.digits}f}"


COLUMNS = ("measure", "ours", "reference", "baseline", "asked for", "")


def machine() -> str:
    """Name the processor and how many cores this process may use.

    >>> machine().endswith(("core", "cores"))
    True
    """
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^model name\s*: (.+)$", info.read_text("utf-8", "replace"), re.M)
        name = found[1].strip() if found else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} core{'s' if cores != 1 else ''}"


def markdown(rows: Sequence[Row], note: str) -> str:
    """Draw a table, with a line about how it came to be."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join([*lines, "", note])


def put_table(page: Path, name: str, title: str, table: str) -> None:
    """Write a table into a page between the marks of a recipe, in a section of its own if new.

    Raises:
        ConfigError: the page lacks one of the two marks, or has it twice, or cannot be written.
    """
    first, last = (f"<!-- {name}: {what} -->" for what in ("written by the command", "end"))
    text = page.read_text("utf-8") if page.is_file() else ""
    marks = text.count(first), text.count(last)
    if marks == (0, 0):
        text = f"{text.rstrip()}\n\n## {title}\n\n{first}\n{last}\n".lstrip()
    elif marks != (1, 1) or text.index(first) > text.index(last):
        raise ConfigError(f"{page}: need {first} and, behind it, {last}, once each")
    before, after = text[: text.index(first)], text[text.index(last) :]
    write_file(page, f"{before}{first}\n\n{table}\n\n{after}".encode())
