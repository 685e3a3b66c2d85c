"""Run a program in Python integers: what the exported C must give, byte for byte.

The arithmetic is that of TFLite Micro's reference kernels (:mod:`firmware_export.micro_int8`), so
this also is the TFLite Micro step on a machine without its interpreter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_export.micro_int8 import Factor
from firmware_export.program import Dense, Lookup, Operation, Product, Program

__all__ = ["run_program"]

Ints = NDArray[np.int64]


def _rescale(x: Ints, by: Factor) -> Ints:
    """As :func:`firmware_export.micro_int8.rescale`, for arrays."""
    multiplier, shift = by
    high = ((x << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = max(-shift, 0)
    if right == 0:
        return np.asarray(high)
    return np.asarray((high + (1 << (right - 1)) - (high < 0)) >> right)


def _apply(operation: Operation, rows: dict[int, Ints]) -> Ints:
    if isinstance(operation, Lookup):
        return np.asarray(operation.table.astype(np.int64)[rows[operation.x] & 255])
    if isinstance(operation, Dense):
        y = _rescale(
            operation.weights.astype(np.int64) @ rows[operation.x] + operation.bias, operation.by
        )
    elif isinstance(operation, Product):
        a, b = rows[operation.a] - operation.zero_a, rows[operation.b] - operation.zero_b
        y = _rescale(a * b, operation.by)
    else:
        a = _rescale((rows[operation.a] - operation.zero_a) << 20, operation.by_a)
        b = _rescale((rows[operation.b] - operation.zero_b) << 20, operation.by_b)
        y = _rescale(a - b if operation.minus else a + b, operation.by)
    return np.clip(y + operation.zero, operation.low, operation.high)


def run_program(
    program: Program, frames: NDArray[np.uint16]
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Run a program over a stream from its start.

    Args:
        program: of a bundle.
        frames: shape (T, 40), raw features.

    Returns:
        Probabilities times 256, shape (T // stride, W), and the states after the last step.
    """
    history = np.zeros((program.kernel - program.stride, frames.shape[1]), np.uint16)
    stored = program.features[np.concatenate((history, frames))].astype(np.int64)
    states = [np.zeros(program.sizes[row], np.int64) for row in program.states]
    scores = []
    for step in range(len(frames) // program.stride):
        first = step * program.stride
        rows = {program.frames: stored[first : first + program.kernel].ravel()}
        rows |= dict(zip(program.states, states, strict=True))
        for operation in program.operations:
            rows[operation.y] = _apply(operation, rows)
        states = [rows[row] for row in program.nexts]
        scores.append(rows[program.scores] + 128)
    shape = (len(scores), len(program.words))
    return (
        np.array(scores, np.uint8).reshape(shape),
        np.concatenate(states).astype(np.int8) if states else np.zeros(0, np.int8),
    )
