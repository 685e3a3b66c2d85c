"""Where each row of a program lives: in the caller's state, or for a while in scratch memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_export.program import Dense, Lookup, Operation, Program

__all__ = ["Layout", "Place", "lay_out", "reads", "round_up"]

ALIGNMENT = 4
"""Bytes; a matrix product reads its input in words."""
FRONTEND_BYTES = 1024
"""What the FFT of the front end needs of the same memory, at another time."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row: ``where`` is "frames", "states" or "scratch", ``offset`` counts bytes in it."""

    where: str
    offset: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of all rows, and the copies (from, to, bytes) that end a step."""

    places: Mapping[int, Place]
    copies: tuple[tuple[int, int, int], ...]
    scratch_bytes: int
    state_bytes: int


def round_up(size: int, to: int = ALIGNMENT) -> int:
    """The next multiple, or the size itself."""
    return -(-size // to) * to


def reads(operation: Operation) -> tuple[int, ...]:
    """Rows an operation reads."""
    if isinstance(operation, Dense | Lookup):
        return (operation.x,)
    return (operation.a, operation.b)


def lay_out(program: Program) -> Layout:
    """Place every row; rows whose lives do not overlap share memory, the largest first.

    A next state is written straight over the old one where nobody reads that any more. Operations
    that go value by value may write over what they read for the last time.
    """
    operations = program.operations
    last = {row: i for i, op in enumerate(operations) for row in reads(op)}
    born = {op.y: i for i, op in enumerate(operations)}
    places = {program.frames: Place("frames", 0)}
    copies, at = [], 0
    for before, after in zip(program.states, program.nexts, strict=True):
        places[before] = Place("states", at)
        size = program.sizes[before]
        over = last.get(before, -1) < born[after] or (
            last[before] == born[after] and not isinstance(operations[born[after]], Dense)
        )
        if over:
            places[after] = places[before]
        else:
            copies.append((after, before, size))
        at += round_up(size)
    kept = {program.scores, *(after for after, _, _ in copies)}
    end = len(operations)
    scratch: dict[int, int] = {}
    free = [row for row in born if row not in places]
    lives = {row: (born[row], end if row in kept else last.get(row, born[row])) for row in free}
    for row in sorted(free, key=lambda row: (-program.sizes[row], born[row])):
        scratch[row] = _find(row, scratch, lives, program)
    places |= {row: Place("scratch", offset) for row, offset in scratch.items()}
    used = [offset + round_up(program.sizes[row]) for row, offset in scratch.items()]
    return Layout(places, tuple(copies), max([FRONTEND_BYTES, *used]), at)


def _find(
    row: int, scratch: Mapping[int, int], lives: Mapping[int, tuple[int, int]], program: Program
) -> int:
    """The lowest offset at which a row is in nobody's way."""
    size = round_up(program.sizes[row])
    tight: list[tuple[int, int]] = []
    loose: list[tuple[int, int]] = []
    for other, offset in scratch.items():
        first, second = sorted((lives[row], lives[other]))
        if first[1] < second[0]:
            continue
        # The second is made of the first, value by value: it may take exactly its place.
        inplace = first[1] == second[0] and not isinstance(program.operations[second[0]], Dense)
        span = (offset, offset + round_up(program.sizes[other]))
        (loose if inplace else tight).append(span)
    for at in sorted({0, *(high for _, high in tight + loose), *(low for low, _ in loose)}):
        clear = all(at + size <= low or high <= at for low, high in tight)
        if clear and all(at + size <= low or high <= at or at == low for low, high in loose):
            return at
    raise AssertionError("behind the last row there is always room")
