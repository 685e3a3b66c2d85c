"""Bytes and operations of an exported step, worked out before anything is written or compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_export.frontend_tables import frontend_tables
from firmware_export.layout import FRONTEND_BYTES, lay_out, round_up
from firmware_export.program import Dense, Lookup, Product, Program, Sum
from wakeword.bundle import Bundle

__all__ = ["FRONTEND_STATE", "PRESETS", "Sizes", "history_bytes", "preset_sizes", "sizes_of"]

POINTER = 4
"""Bytes, on the 32-bit machines this is for."""
_DENSE, _SUM, _PRODUCT, _RULE, _DECISION = 20, 24, 12, 16, 16
PRESETS: Mapping[str, tuple[int, int, int, tuple[int, ...]]] = {
    "tiny": (6, 3, 32, (32, 32)),
    "small": (6, 3, 64, (64, 64)),
    "base": (6, 3, 96, (96, 96)),
    "course": (15, 4, 196, (128, 128)),
}
"""Preset of the trainer to kernel, stride, filters and units; the smallest first."""
FRONTEND_STATE = 160 + 960 + 4
"""Bytes of the front end between frames: noise, samples and their count."""
# Before the parts that a model decides: uint64 sample_index, ready, pending, uint64 waiting.
_HEAD = 24 + FRONTEND_STATE


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one bundle as C99.

    Attributes:
        weights: bytes of weights and biases.
        constants: bytes of all constants: weights, tables, the front end's among them.
        detector: bytes of a ``wk_detector`` where a pointer takes 4; all the RAM but the stack.
        multiply_adds: of a step, in matrix products, rows that fill up a block of four included.
        values: bytes a step writes, row by row.
        stride: frames a step advances.
        state: bytes of the recurrent state.
        scratch: bytes of no use between calls, in ``detector``.
    """

    weights: int
    constants: int
    detector: int
    multiply_adds: int
    values: int
    stride: int
    state: int
    scratch: int


def history_bytes(program: Program, bundle: Bundle) -> int:
    """Bytes of the scores that are averaged, of all words."""
    return sum(bundle.decision[word].smooth_steps for word in program.words)


def sizes_of(program: Program, bundle: Bundle) -> Sizes:
    """Work the sizes out from the program."""
    layout = lay_out(program)
    weights = multiply_adds = values = 0
    other = sum(_RULE + POINTER + len(word.encode()) + 1 for word in program.words)
    for op in program.operations:
        if isinstance(op, Dense):
            units, depth = op.weights.shape
            multiply_adds += round_up(units) * round_up(depth)
            weights += round_up(units) * round_up(depth) + 4 * round_up(units)
            values += units
            other += _DENSE
        else:
            values += op.size
            other += {Sum: _SUM, Product: _PRODUCT, Lookup: 256}[type(op)]
    return Sizes(
        weights,
        weights + other + _tables(),
        _detector(
            layout.scratch_bytes,
            layout.state_bytes,
            program.kernel,
            len(program.words),
            history_bytes(program, bundle),
        ),
        multiply_adds,
        values,
        program.stride,
        layout.state_bytes,
        layout.scratch_bytes,
    )


def _tables() -> int:
    """Bytes of the front end's constants."""
    tables = frontend_tables()
    return (
        2 * (len(tables.window) + len(tables.weights) + len(tables.gains) + len(tables.logs))
        + 4 * (len(tables.twiddles) + len(tables.split))
        + len(tables.order)
        + len(tables.ends)
    )


def _detector(scratch: int, state: int, kernel: int, words: int, history: int) -> int:
    """Bytes of a ``wk_detector``: the decisions begin with 64 bits, so parts are filled up."""
    front = round_up(_HEAD + scratch + max(4, state) + 40 * kernel, 8)
    return round_up(front + _DECISION * words + history, 8)


def preset_sizes(name: str, words: int = 1) -> Sizes:
    """Sizes of a model of a preset, with words of seven letters and three steps of smoothing.

    Args:
        name: of :data:`PRESETS`.
        words: scores per step.
    """
    kernel, stride, filters, units = PRESETS[name]
    shapes = [(filters, 40 * kernel)]
    rows = _PRODUCT * 2 * len(units) + _SUM * 5 * len(units) + 256 * (3 * len(units) + 1)
    values = filters + 2 * words
    below = filters
    for size in units:
        shapes += 3 * [(size, below), (size, size)]
        values += size * (6 + 5 + 2 + 3)
        below = size
    shapes.append((words, below))
    products = sum(round_up(u) * round_up(d) for u, d in shapes)
    weights = products + 4 * sum(round_up(u) for u, _ in shapes)
    other = _DENSE * len(shapes) + rows + words * (_RULE + POINTER + 8)
    # Behind its products a layer holds no more rows at once than the FFT's kilobyte has room for.
    state = sum(units)
    detector = _detector(FRONTEND_BYTES, state, kernel, words, 3 * words)
    constants = weights + other + _tables()
    return Sizes(weights, constants, detector, products, values, stride, state, FRONTEND_BYTES)
