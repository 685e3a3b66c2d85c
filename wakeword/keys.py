"""Single keys from a terminal, without waiting for them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

__all__ = ["ENTER", "terminal_keys"]

ENTER = "\n"
END = "\x04"  # Ctrl-D, and what a terminal that was closed gives: stop


@contextlib.contextmanager
def terminal_keys(terminal: TextIO) -> Iterator[Callable[[], str]]:
    """Read keys one by one while the context lasts; Ctrl-C stays what it is.

    Args:
        terminal: standard input, on a terminal.

    Yields:
        A function that returns the oldest key that was pressed and not asked for yet, in lower
        case, or an empty string at once. Enter is `ENTER`; the end of the input is "q".
    """
    if sys.platform == "win32":
        import msvcrt

        yield lambda: _name(msvcrt.getwch()) if msvcrt.kbhit() else ""
        return
    import select
    import termios
    import tty

    number = terminal.fileno()
    before = termios.tcgetattr(number)

    def poll() -> str:
        if not select.select([number], [], [], 0)[0]:
            return ""
        return _name(os.read(number, 1).decode("ascii", "replace"))

    try:
        tty.setcbreak(number)
        yield poll
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _name(key: str) -> str:
    """Give one name to the keys that mean the same."""
    if key in ("\r", "\n"):
        return ENTER
    return "q" if key in ("", END) else key.lower()
