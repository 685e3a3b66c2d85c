"""A step as a short list of integer operations on numbered rows of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_export.micro_int8 import Factor

__all__ = ["Dense", "Lookup", "Operation", "Product", "Program", "Sum"]

Bytes = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """y = clamp(rescale(weights x + bias) + zero); the input's zero point is in the bias.

    ``weights`` int8 (units, depth), ``bias`` int64 (units,) that fits 32 bits.
    """

    x: int
    y: int
    weights: Bytes
    bias: NDArray[np.int64]
    by: Factor
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Sum:
    """y = clamp(rescale(rescale(a << 20) +- rescale(b << 20)) + zero), zero points taken off."""

    a: int
    b: int
    y: int
    size: int
    zero_a: int
    zero_b: int
    by_a: Factor
    by_b: Factor
    minus: bool
    by: Factor
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Product:
    """y = clamp(rescale(a * b) + zero), zero points taken off."""

    a: int
    b: int
    y: int
    size: int
    zero_a: int
    zero_b: int
    by: Factor
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """y = table[x], the table ordered by the byte read as unsigned."""

    x: int
    y: int
    size: int
    table: Bytes


Operation = Dense | Sum | Product | Lookup


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """One step as operations on numbered rows.

    ``sizes`` gives the bytes of each row; ``features`` is what the model takes for each raw feature
    0 .. 65535, ``slope`` the steps of it per raw unit.
    """

    words: tuple[str, ...]
    stride: int
    kernel: int
    frames: int
    scores: int
    states: tuple[int, ...]
    nexts: tuple[int, ...]
    sizes: Mapping[int, int]
    operations: tuple[Operation, ...]
    features: Bytes
    slope: float

    @property
    def multiply_adds(self) -> int:
        """Of one step, in its matrix products."""
        return sum(o.weights.size for o in self.operations if isinstance(o, Dense))
