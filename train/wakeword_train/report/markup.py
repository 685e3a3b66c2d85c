"""HTML and SVG, put together from tags: what is not itself a tag is escaped, whoever wrote it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Content", "Markup", "fragment", "tag"]

VOID = ("img", "link", "meta")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Content: TypeAlias = "str | Markup | Iterable[Content]"


def fragment(*content: Content) -> Markup:
    """Join content; plain text in it is escaped, lists are taken apart.

    >>> fragment("a < b", [tag("b", "c & d")])
    'a &lt; b<b>c &amp; d</b>'
    """
    return Markup("".join(_text(one) for one in content))


def _text(content: Content) -> str:
    """Escape plain text, leave markup, join the rest."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return html.escape(content)
    return fragment(*content)


def tag(element: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """Make an element.

    Args:
        element: its name.
        content: what is in it, see `fragment`.
        attributes: ``_`` in a name stands for ``-``, and is dropped at its end. Left out where the
            value is None or False, without a value where it is True. Numbers are rounded to 1/100.

    >>> tag("td", "<script>", class_="x", data_n=1.0)
    '<td class="x" data-n="1">&lt;script&gt;</td>'
    """
    opened = [element]
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            opened.append(label)
        elif value is not None and value is not False:
            shown = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
            opened.append(f'{label}="{html.escape(shown)}"')
    start = f"<{' '.join(opened)}>"
    return Markup(start if element in VOID else f"{start}{fragment(*content)}</{element}>")
