"""Check that a one-step graph is what the JSON of its bundle says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle
from wakeword.errors import BundleError
from wakeword.frontend import BINS
from wakeword.tflite_graph import Graph, Tensor

__all__ = ["Quantised", "check_graph", "quantised"]

MAX_STATE = 65_536


@dataclass(frozen=True, slots=True)
class Quantised:
    """How an 8-bit tensor stores reals: real = scale * (stored - zero_point)."""

    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def probs(self) -> NDArray[np.float32]:
        """Return the probability of each stored byte, read as unsigned; clipped to [0, 1]."""
        stored = np.arange(256, dtype=np.uint8).view(self.dtype)
        real = (stored.astype(np.float64) - self.zero_point) * self.scale
        return np.asarray(np.clip(real, 0, 1), np.float32)


def quantised(
    name: str,
    dtype: np.dtype[Any],
    scales: Sequence[float],
    zero_points: Sequence[int],
) -> Quantised:
    """Return a tensor's quantisation.

    Raises:
        BundleError: it has not a single usable scale and zero point.
    """
    limits = np.iinfo(dtype)
    if (
        len(scales) != 1
        or len(zero_points) != 1
        or not 0 < scales[0] < np.inf
        or not limits.min <= zero_points[0] <= limits.max
    ):
        raise BundleError(
            f"{name} has scales {list(scales)} and zero points {list(zero_points)}, "
            f"need one of each, positive and within {dtype}"
        )
    return Quantised(dtype, float(scales[0]), int(zero_points[0]))


def check_graph(graph: Graph, bundle: Bundle) -> tuple[tuple[int, ...], dict[str, Quantised]]:
    """Return the width of each state and, for int8, the quantisation of each end by its name.

    Raises:
        BundleError: number, order, shape or dtype of the ends are not as the JSON has them, or a
            state would come back in another scale.
    """

    tensors: dict[str, Tensor] = {}
    for side, names, indices in (
        ("inputs", bundle.inputs, graph.inputs),
        ("outputs", bundle.outputs, graph.outputs),
    ):
        if len(names) != len(indices):
            raise BundleError(f"the JSON names {len(names)} {side}, the model has {len(indices)}")
        tensors |= {n: graph.tensors[i] for n, i in zip(names, indices, strict=True)}
        for signature in graph.signatures.values():
            named = signature.inputs if side == "inputs" else signature.outputs
            if set(named) == set(names) and tuple(named[n] for n in names) != indices:
                raise BundleError(
                    f"the JSON gives the {side} as {list(names)}, the model otherwise"
                )
    layers = range(len(bundle.inputs) - 1)
    shapes = {"frames": (1, bundle.kernel, BINS), "scores": (1, len(bundle.words))}
    for i in layers:
        shape = tensors[f"state_{i}"].shape
        if len(shape) != 2 or shape[0] != 1 or not 1 <= shape[1] <= MAX_STATE:
            raise BundleError(f"state_{i} has shape {shape}, need (1, H) with H up to {MAX_STATE}")
        shapes |= {f"state_{i}": shape, f"next_{i}": shape}
    dtype = tensors["frames"].dtype
    if dtype not in (np.int8, np.float32):
        raise BundleError(f"frames are {dtype}, need int8 or float32")
    for name, tensor in tensors.items():
        if tensor.shape != shapes[name]:
            raise BundleError(f"{name} has shape {tensor.shape}, by the JSON it is {shapes[name]}")
        if tensor.dtype != dtype:
            raise BundleError(f"{name} is {tensor.dtype}, frames are {dtype}; need one dtype")
    ends: dict[str, Quantised] = {}
    if dtype == np.int8:
        ends = {
            name: quantised(name, dtype, t.scales.tolist(), t.zero_points.tolist())
            for name, t in tensors.items()
        }
        for i in layers:
            if ends[f"state_{i}"] != ends[f"next_{i}"]:
                raise BundleError(
                    f"state_{i} and next_{i} differ in scale or zero point; need the same"
                )
    return tuple(tensors[f"state_{i}"].shape[1] for i in layers), ends
