"""Small charts as inline SVG: axes, lines, bands, marks. Colours come from the style of the page.

No chart is told apart by colour alone: lines differ in their dashes, marks in their shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wakeword_train.report.markup import Content, Markup, fragment, tag

__all__ = ["DASHES", "Frame", "Scale", "chart", "interval", "mark", "path"]

Point = tuple[float, float]
DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 2", "12 4")


@dataclass(frozen=True, slots=True)
class Scale:
    """Values ``low`` to ``high`` on pixels ``start`` to ``stop``; values outside go to the ends."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Give the pixel of a value."""
        ends = (self.low, self.high)
        value = min(max(value, self.low), self.high)
        low, high, at = (math.log10(v) if self.log else v for v in (*ends, value))
        return self.start + (at - low) / (high - low) * (self.stop - self.start)


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area of a chart and its two scales."""

    x: Scale
    y: Scale

    def grid(
        self,
        xs: Iterable[float],
        ys: Iterable[float],
        x_text: Callable[[float], str] = lambda v: f"{v:g}",
        y_text: Callable[[float], str] = lambda v: f"{v:g}",
    ) -> Markup:
        """Draw lines and labels at these values."""
        left, right, bottom, top = self.x.start, self.x.stop, self.y.start, self.y.stop
        parts: list[Markup] = []
        for value in xs:
            at = self.x(value)
            parts.append(path([(at, bottom), (at, top)], class_="grid"))
            parts.append(tag("text", x_text(value), x=at, y=bottom + 14, text_anchor="middle"))
        for value in ys:
            at = self.y(value)
            parts.append(path([(left, at), (right, at)], class_="grid"))
            parts.append(tag("text", y_text(value), x=left - 5, y=at + 4, text_anchor="end"))
        return fragment(parts)

    def points(self, values: Iterable[Point]) -> list[Point]:
        """Turn values into pixels."""
        return [(self.x(x), self.y(y)) for x, y in values]


def path(points: Sequence[Point], *, closed: bool = False, **attributes: str | None) -> Markup:
    """Draw a line through pixels."""
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}{'Z' if closed else ''}", **attributes)


_MARKS: tuple[Sequence[Point], ...] = (
    (),  # a circle
    ((-4, -4), (4, -4), (4, 4), (-4, 4)),
    ((0, -5), (5, 4), (-5, 4)),
    ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
    ((0, 5), (5, -4), (-5, -4)),
    ((-5, -2), (-2, -2), (-2, -5), (2, -5), (2, -2), (5, -2), (5, 2), (2, 2), (2, 5), (-2, 5),
     (-2, 2), (-5, 2)),
)  # fmt: skip


def mark(x: float, y: float, shape: int, *, hollow: bool = False) -> Markup:
    """Draw a mark: circle, square, triangle, diamond, triangle down, cross."""
    name = f"mark c{shape % len(DASHES)}{' hollow' if hollow else ''}"
    corners = _MARKS[shape % len(_MARKS)]
    if not corners:
        return tag("circle", cx=x, cy=y, r=4.5, class_=name)
    return path([(x + dx, y + dy) for dx, dy in corners], closed=True, class_=name)


def interval(scale: Scale, low: float, high: float, y: float, **attributes: str | None) -> Markup:
    """Draw a horizontal interval with its ends."""
    left, right = scale(low), scale(high)
    d = f"M{left:.1f} {y:.1f}H{right:.1f}M{left:.1f} {y - 3:.1f}v6M{right:.1f} {y - 3:.1f}v6"
    return tag("path", d=d, **attributes)


def chart(
    title: str, description: str, width: float, height: float, *content: Content, class_: str = ""
) -> Markup:
    """Wrap content as a picture that a screen reader can name and describe."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=f"{title}. {description}",
        class_=f"chart {class_}".strip(),
    )
