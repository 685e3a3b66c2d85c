"""Run any small TFLite graph in numpy alone, and look like TFLite's interpreter while doing so.

Each operator is prepared once (:mod:`wakeword.tflite_ops`) and the list is run in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import BundleError
from wakeword.tflite_graph import Graph
from wakeword.tflite_ops import Kernel, build

__all__ = ["MAX_ELEMENTS", "MAX_OPERATORS", "NumpyGraph", "NumpyInterpreter"]

Values = list[Any]
"""The value of each tensor, by its index; None where it is not known yet."""
MAX_OPERATORS = 1_000
MAX_ELEMENTS = 4_000_000
"""Of all computed tensors together: a hostile file must not exhaust the memory."""


class NumpyGraph:
    """A graph that is ready to run.

    Args:
        graph: as read.
        file_size: bytes of the model, which bounds what its constants may take.

    Raises:
        BundleError: it is damaged, or holds an operator numpy does not run here.
    """

    def __init__(self, graph: Graph, file_size: int) -> None:
        self._values, self._kernels = _prepare(graph, file_size)

    def start(self) -> Values:
        """Give the values before a run, constants filled in; the caller puts in the inputs."""
        return self._values.copy()

    def run(self, values: Values) -> None:
        """Compute all other values in place."""
        for kernel in self._kernels:
            result = kernel.run(*[values[i] for i in kernel.inputs])
            if len(kernel.outputs) == 1:
                values[kernel.outputs[0]] = result
            else:
                for place, value in zip(kernel.outputs, result, strict=True):
                    values[place] = value


class NumpyInterpreter:
    """What :mod:`wakeword.step_graph` needs of TFLite's ``Interpreter``, in numpy.

    Raises:
        BundleError: see :class:`NumpyGraph`.
    """

    def __init__(self, graph: Graph, file_size: int) -> None:
        self._graph = NumpyGraph(graph, file_size)
        self._inputs, self._outputs = graph.inputs, graph.outputs
        self._values = self._graph.start()

    def get_input_details(self) -> list[dict[str, int]]:
        """Indices of the inputs."""
        return [{"index": i} for i in self._inputs]

    def get_output_details(self) -> list[dict[str, int]]:
        """Indices of the outputs."""
        return [{"index": i} for i in self._outputs]

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Set an input."""
        self._values[index] = value

    def invoke(self) -> None:
        """Run the graph."""
        self._graph.run(self._values)

    def get_tensor(self, index: int) -> NDArray[Any]:
        """Return an output."""
        return np.asarray(self._values[index])


def _prepare(graph: Graph, file_size: int) -> tuple[Values, list[Kernel]]:
    """Initial values of all tensors, and the kernels in order."""
    if len(graph.operators) > MAX_OPERATORS:
        raise BundleError(f"{len(graph.operators)} operators: at most {MAX_OPERATORS} here")
    computed = sum(t.size for t in graph.tensors if t.data is None)
    if computed > MAX_ELEMENTS:
        raise BundleError(f"{computed} values to compute a step: at most {MAX_ELEMENTS} here")
    values: Values = [t.data for t in graph.tensors]
    known = {i for i, value in enumerate(values) if value is not None} | set(graph.inputs)
    kernels: list[Kernel] = []
    weights = 0
    for operator in graph.operators:
        if operator.name == "FULLY_CONNECTED" and len(operator.inputs) > 1:
            # Many operators may share one constant, but each gets its own copy.
            weights += graph.tensors[operator.inputs[1]].size
            if weights > 4 * file_size:
                raise BundleError(f"damaged model: {weights} weights in {file_size} bytes")
        kernel = build(operator, graph.tensors)
        for i in kernel.inputs:
            if i not in known:
                name = graph.tensors[i].name
                raise BundleError(f"damaged model: {operator.name} reads {name!r} before it is set")
        if known & set(kernel.outputs) or len(set(kernel.outputs)) != len(kernel.outputs):
            raise BundleError(f"damaged model: {operator.name} writes a tensor a second time")
        known |= set(kernel.outputs)
        kernels.append(kernel)
    if not known >= set(graph.outputs):
        raise BundleError("damaged model: nothing computes one of its outputs")
    return values, kernels
