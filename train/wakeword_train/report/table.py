"""Tables and badges of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wakeword_train.report.chart import Scale
from wakeword_train.report.markup import Content, Markup, fragment, tag

__all__ = ["SHARES", "badge", "body", "details", "table"]

Row = Sequence[Content]
SHARES = Scale(0, 1, 6, 114)  # of the small pictures of shares


def badge(level: str, text: str) -> Markup:
    """Show a judgement: it is in the words, colour only helps."""
    return tag("span", text, class_=f"badge {level}")


def body(rows: Iterable[Row], head: Content = "", *, numbers: Sequence[int] = (), columns: int = 0
         ) -> Markup:  # fmt: skip
    """Make a group of rows; the first cell of each names it. ``numbers``: columns set right."""
    found = []
    if head:
        cell = tag("th", tag("span", head), colspan=str(columns), scope="rowgroup")
        found.append(tag("tr", cell, class_="head"))
    for row in rows:
        cells = [tag("th", row[0], scope="row")]
        cells += [
            tag("td", cell, class_="n" if place in numbers else None)
            for place, cell in enumerate(row[1:], start=1)
        ]
        found.append(tag("tr", *cells))
    return tag("tbody", *found)


def table(
    caption: str, heads: Sequence[str], bodies: Sequence[Markup], *, numbers: Sequence[int] = ()
) -> Markup:
    """Make a table that can be scrolled sideways on a small screen."""
    cells = [
        tag("th", head, scope="col", class_="n" if place in numbers else None)
        for place, head in enumerate(heads)
    ]
    inner = tag("table", tag("thead", tag("tr", *cells)), *bodies, aria_label=caption)
    scrolled = tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return tag("figure", tag("figcaption", caption), scrolled)


def details(summary: str, *content: Content) -> Markup:
    """Fold content away."""
    return tag("details", tag("summary", summary), fragment(*content))
