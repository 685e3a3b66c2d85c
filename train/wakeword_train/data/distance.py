"""How far apart two strings of phonemes sound, and whether one is the other in another accent.

The distance is the least cost of changing one string into the other by leaving out, adding and
exchanging phonemes; 1 is one phoneme. It is a metric, because the cost of an exchange is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wakeword_train.data.ipa import CODAS, drift, exchange, parse

__all__ = [
    "Table",
    "alike",
    "containing",
    "contains",
    "distance",
    "same_word",
    "sweep",
    "too_near",
]

# Two strings are one word in two accents if they differ by drift alone: no sound left out, added or
# exchanged for more than an accent does, and in all less than DRIFT for each phoneme, and than one.
# Chosen on what the first recipe has by hand: its 14 pronunciations of "computer" (limit 0.8) are
# up to 0.79 apart, each of the 14 of "jarvis" (limit 0.5) is within 0.35 of another; of its 51
# other phrases the nearest are 1.00 from "computer" (commuter) and 0.56 from "jarvis" (Chavez).
DRIFT = 0.1
DRIFT_MOST = 0.9
# Foreign accents exchange more (b and v, l and r, voiced and voiceless): nothing that differs by
# one such sound alone is a near-phrase.
NEAREST = 0.5


class Table:
    """Spellings as arrays, to be compared with one sequence of sounds all at once.

    Args:
        spellings: at least one, each with a phoneme in it.
        backwards: turn each of them round.
    """

    def __init__(self, spellings: Sequence[str], *, backwards: bool = False) -> None:
        rows = [[p.sound for p in parse(s)] for s in spellings]
        self.sounds = ["", *sorted({sound for row in rows for sound in row})]
        number = {sound: at for at, sound in enumerate(self.sounds)}
        #: Shape (longest, spellings): which of ``sounds``. 0 fills up, and costs nothing to add.
        self.ids = np.zeros((max(map(len, rows)), len(rows)), np.intp)
        for at, row in enumerate(rows):
            self.ids[: len(row), at] = [number[s] for s in (reversed(row) if backwards else row)]
        #: Shape (spellings,): how many phonemes each has, a silent ɹ not counted.
        self.sizes = np.array([sum(sound not in CODAS for sound in row) for row in rows])

    @property
    def limits(self) -> NDArray[np.float64]:
        """Drift below which another string is this one in another accent, for each spelling."""
        return np.minimum(DRIFT_MOST, DRIFT * self.sizes)


def sweep(
    sounds: Sequence[str],
    table: Table,
    *,
    within: str = "",
    cost: Callable[[str, str], float] = exchange,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare a sequence of sounds with every spelling of a table.

    Args:
        sounds: of :class:`Phoneme`.
        table: what to compare with.
        within: "spelling" if the sounds may lie anywhere in the spelling, whose other phonemes
            then cost nothing; "sounds" the other way round; "" for all against all.
        cost: of one sound for another, :func:`exchange` or :func:`drift`.

    Returns:
        ``ends`` of shape (sounds + 1, spellings): the cost of the first ``i`` sounds against the
        spelling up to its end. With ``within="sounds"`` the first ones may be left out, so that
        its minimum over ``i`` is the cost of the best part. ``best`` of shape (spellings,): the
        cost of all sounds against the best beginning of the spelling, or with
        ``within="spelling"`` against the best part.

    Source: Sellers 1980, "The theory and computation of evolutionary distances: pattern
        recognition", J. Algorithms 1, 359-373.
    """
    costs = np.array([[cost(a, b) for b in table.sounds] for a in ("", *sounds)], np.float32)
    costs[1:, 0] = np.inf  # nothing is exchanged for what only fills up
    added = costs[0][table.ids]
    row = np.zeros((len(added) + 1, added.shape[1]), np.float32)
    if within != "spelling":
        np.cumsum(added, axis=0, out=row[1:])
    ends = [row[-1]]
    for at, sound in enumerate(sounds, 1):
        new = row + np.float32(cost(sound, ""))
        if within == "sounds":
            new[0] = 0
        np.minimum(new[1:], row[:-1] + costs[at][table.ids], out=new[1:])
        for j, more in enumerate(added):
            np.minimum(new[j + 1], new[j] + more, out=new[j + 1])
        row = new
        ends.append(row[-1])
    return np.stack(ends), row.min(axis=0)


def distance(a: str, b: str) -> float:
    """How far apart two spellings sound; 1 is about one phoneme.

    Returns:
        0 for the same sounds, however written; symmetric; never more than by a detour over a third.

    Raises:
        ConfigError: no phoneme in one of them.

    >>> distance("kəmpjˈuːɾɚ", "kəmjˈuːɾɚ")
    1.0
    >>> distance("t͡ʃɑː", "ʧɑː")
    0.0
    """
    ends, _ = sweep([p.sound for p in parse(a)], Table([b]))
    return float(ends[-1, 0])


def alike(table: Table, spellings: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which spellings of a table are one word with one of ``spellings``, up to accent."""
    found = np.zeros(len(table.sizes), bool)
    for spelling in dict.fromkeys(spellings):
        ends, _ = sweep([p.sound for p in parse(spelling)], table, cost=drift)
        found |= _below(ends[-1], np.minimum(Table([spelling]).limits, table.limits))
    return found


def containing(table: Table, spellings: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which spellings of a table have the whole of one of ``spellings`` in them."""
    found = np.zeros(len(table.sizes), bool)
    for spelling in dict.fromkeys(spellings):
        sounds = [p.sound for p in parse(spelling)]
        _, best = sweep(sounds, table, within="spelling", cost=drift)
        found |= _below(best, Table([spelling]).limits)
    return found


def too_near(table: Table, spellings: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which spellings contain one of ``spellings``, or what is nearer to it than NEAREST."""
    found = containing(table, spellings)
    for spelling in dict.fromkeys(spellings):
        _, best = sweep([p.sound for p in parse(spelling)], table, within="spelling")
        found |= _below(best, np.minimum(NEAREST, Table([spelling]).limits))
    return found


def _below(costs: NDArray[np.float32], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Compare sums of costs, which are multiples of 0.005, with what they must stay below."""
    return np.asarray(np.round(costs, 3) < np.round(limits, 3))


def same_word(a: str, b: str) -> bool:
    """Tell whether two spellings are one word, up to accent; symmetric.

    >>> same_word("kəmpjˈuːɾɚ", "kɒmpjˈuːtə"), same_word("kəmpjˈuːɾɚ", "kəmjˈuːɾɚ")
    (True, False)
    """
    return bool(alike(Table([a]), [b])[0])


def contains(phrase: str, spelling: str) -> bool:
    """Tell whether the whole of ``spelling`` is somewhere in ``phrase``, up to accent.

    >>> contains("kəmpjˈuːɾɚz", "kəmpjˈuːtə"), contains("kəmpjˈuː", "kəmpjˈuːtə")
    (True, False)
    """
    return bool(containing(Table([phrase]), [spelling])[0])
