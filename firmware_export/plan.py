"""What a bundle will take on a board, said before a file is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.arena import HOW_TO_MEASURE, arena_bytes
from firmware_export.boards import BOARDS, CORES, Board, find_board
from firmware_export.program import Program
from firmware_export.sizes import FRONTEND_STATE, PRESETS, Sizes, preset_sizes, sizes_of
from wakeword.bundle import Bundle
from wakeword.errors import ExportError

__all__ = ["Plan", "Row", "make_plan", "plan_text", "refuse_what_does_not_fit"]

FRAMES_PER_S = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One board. ``load`` is the share of its time; ``note`` says what was assumed."""

    board: str
    about: str
    flash: int
    ram: int
    flash_there: int
    ram_there: int
    instructions_per_step: int
    ms_per_step: float
    load: float
    note: str

    @property
    def fits(self) -> bool:
        """Whether flash, RAM and time suffice."""
        return self.flash <= self.flash_there and self.ram <= self.ram_there and self.load < 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bundle takes, in bytes: as C99, and its arena as TFLite Micro (None: not measured)."""

    name: str
    sizes: Sizes
    model_file: int
    frontend: int
    arena: int | None
    rows: tuple[Row, ...]


def make_plan(program: Program, bundle: Bundle, boards: Sequence[str] = ()) -> Plan:
    """Plan for some boards, or for all.

    Raises:
        ExportError: no such board, or TFLite Micro does not run the model.
    """
    sizes = sizes_of(program, bundle)
    chosen = {name.lower(): find_board(name) for name in boards} or dict(BOARDS)
    return Plan(
        bundle.name,
        sizes,
        len(bundle.model_bytes),
        FRONTEND_STATE,
        arena_bytes(bundle.model_bytes),
        tuple(_row(name, board, sizes) for name, board in chosen.items()),
    )


def _row(name: str, board: Board, sizes: Sizes) -> Row:
    core = CORES[board.core]
    step = (
        core.per_frame * sizes.stride
        + core.per_multiply_add * sizes.multiply_adds
        + core.per_value * sizes.values
    )
    ms = step * core.cycles / board.clock_mhz / 1000
    note = f"{core.cycles:g} cycles per instruction assumed"
    return Row(
        name,
        board.about,
        sizes.constants + core.code,
        sizes.detector + core.stack,
        board.flash,
        board.ram,
        round(step),
        ms,
        ms / (1000 / FRAMES_PER_S * sizes.stride),
        f"{note}; {board.stands_for}" if board.stands_for else note,
    )


def refuse_what_does_not_fit(plan: Plan, words: int) -> None:
    """Refuse boards that are too small, with the preset that would fit.

    Raises:
        ExportError: a planned board lacks flash, RAM or time.
    """
    for row in plan.rows:
        if row.fits:
            continue
        board = find_board(row.board)
        fitting = [n for n in PRESETS if _row(row.board, board, preset_sizes(n, words)).fits]
        lacks = [
            f"{need} bytes of {what}, it has {there}"
            for what, need, there in (
                ("flash", row.flash, row.flash_there),
                ("RAM", row.ram, row.ram_there),
            )
            if need > there
        ]
        if not lacks:
            lacks = [f"{row.load:.0%} of its time"]
        remedy = f"train with preset = {fitting[-1]!r}" if fitting else "no preset fits it"
        raise ExportError(
            f"{plan.name} does not fit {row.about}: it needs {', '.join(lacks)}; {remedy}"
        )


def plan_text(plan: Plan) -> str:
    """The plan as a table for people."""
    sizes = plan.sizes
    arena = (
        HOW_TO_MEASURE if plan.arena is None else f"{plan.arena} bytes, measured on a 64-bit host"
    )
    lines = [
        f"{plan.name}: {sizes.multiply_adds} multiply-adds a step, a step every "
        f"{10 * sizes.stride} ms",
        f"C99: {sizes.constants} bytes of constants ({sizes.weights} of them weights), "
        f"{sizes.detector} bytes of RAM",
        f"  of which: front end {plan.frontend}, state {sizes.state}, scratch {sizes.scratch}",
        f"TFLite Micro: model {plan.model_file} bytes, arena {arena}",
        "",
        f"{'board':<11}{'flash':>9}{'RAM':>7}{'instructions':>14}{'ms':>7}{'load':>7}",
    ]
    for row in plan.rows:
        verdict = "" if row.fits else "  does not fit"
        lines.append(
            f"{row.board:<11}{row.flash:>9}{row.ram:>7}{row.instructions_per_step:>14}"
            f"{row.ms_per_step:>7.2f}{row.load:>7.1%}{verdict}"
        )
    lines.append("")
    lines.append(
        "Flash and RAM in bytes, code and stack included; the rest for a step. Instructions"
    )
    lines.append(
        "were counted under QEMU on the core or the nearest one; ms are an estimate from them."
    )
    return "\n".join(lines)
