"""Check that a microWakeWord model is a graph that a TFLite runtime runs without harm.

LiteRT believes the shapes in the file: of 3,000 files with a few bytes changed, two made LiteRT 2.3
crash and one made it ask for memory without end (x86-64, measured). So every shape is worked out
here first, from the input through all operators, and must be the one in the file.

Source: the operators are those ESPHome's ``micro_wake_word`` registers (``streaming_model.cpp``);
their shapes follow ``tensorflow/lite/kernels``. Unlike there, 8-bit arithmetic is required.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wakeword.errors import BundleError
from wakeword.frontend import BINS
from wakeword.graph_check import Quantised
from wakeword.micro_shapes import SHAPES, output_shapes, stored
from wakeword.tflite_graph import Graph, Operator, Tensor, read_subgraphs
from wakeword.tflite_schema import RESOURCE

__all__ = ["check_micro_graph"]

MAX_STRIDE = 64
MAX_OPERATORS = 1_000
MAX_ELEMENTS = 1_000_000
"""Of all tensors that are not constant; the four models of pymicro-wakeword have up to 16,033."""
MAX_RANK = 4
# Operators that may take constants among what they join or combine; all others compute from their
# first input.
_JOIN = {"ADD", "CONCATENATION", "MUL", "PACK"}


def check_micro_graph(model: bytes) -> tuple[int, Quantised, Quantised]:
    """Return frames per step, and how the input and the output are stored.

    Args:
        model: content of the .tflite.

    Raises:
        BundleError: it is damaged, or is no microWakeWord version 2 model.
    """
    main, *others = read_subgraphs(model)
    stride, ends = _check_ends(main)
    for graph in (main, *others):
        _check_size(graph)
    variables: dict[tuple[str, str], Tensor] = {}
    if others:
        if len(others) > 1:
            raise BundleError(f"{len(others) + 1} subgraphs, need at most 2")
        variables = _initial_values(others[0])
    _Walk(main, variables).run()
    return stride, *ends


def _check_ends(main: Graph) -> tuple[int, tuple[Quantised, Quantised]]:
    """Return frames per step, and how the input and the output are stored."""
    if len(main.inputs) != 1 or len(main.outputs) != 1:
        raise BundleError(f"{len(main.inputs)} inputs, {len(main.outputs)} outputs, need one each")
    frames, score = main.tensors[main.inputs[0]], main.tensors[main.outputs[0]]
    shape = frames.shape
    if len(shape) != 3 or shape[::2] != (1, BINS) or not 1 <= shape[1] <= MAX_STRIDE:
        raise BundleError(f"its input has shape {shape}, need (1, stride, {BINS})")
    if score.shape != (1, 1):
        raise BundleError(f"its output has shape {score.shape}, need (1, 1)")
    return shape[1], (stored("its input", frames), stored("its output", score))


def _check_size(graph: Graph) -> None:
    """Refuse what would take a runtime much time or memory."""
    if len(graph.operators) > MAX_OPERATORS:
        raise BundleError(f"{len(graph.operators)} operators, need at most {MAX_OPERATORS}")
    elements = sum(t.size for t in graph.tensors if t.data is None)
    if elements > MAX_ELEMENTS:
        raise BundleError(f"{elements} values to compute a step, need at most {MAX_ELEMENTS}")


def _key(operator: Operator) -> tuple[str, str]:
    """Return what a handle's variable is known by."""
    return operator.options["container"], operator.options["shared_name"]


def _handle(tensor: Tensor) -> Tensor:
    """Return the tensor if it can hold a handle."""
    if tensor.dtype != np.dtype(RESOURCE) or tensor.data is not None or tensor.size != 1:
        raise BundleError(f"damaged model: {tensor.name!r} is no handle of a variable")
    return tensor


def _initial_values(init: Graph) -> dict[tuple[str, str], Tensor]:
    """Return each variable's first value: all that the second subgraph may do is to set them."""
    if init.inputs or init.outputs:
        raise BundleError("damaged model: its second subgraph has inputs or outputs")
    handles: dict[int, tuple[str, str]] = {}
    values: dict[tuple[str, str], Tensor] = {}
    for operator in init.operators:
        ins, outs = operator.inputs, operator.outputs
        if operator.name == "VAR_HANDLE" and not ins and len(outs) == 1 and outs[0] not in handles:
            _handle(init.tensors[outs[0]])
            handles[outs[0]] = _key(operator)
        elif operator.name == "ASSIGN_VARIABLE" and len(ins) == 2 and ins[0] in handles:
            key, value = handles[ins[0]], init.tensors[ins[1]]
            if outs or key in values or value.data is None:
                raise BundleError(f"damaged model: variable {key[1]!r} has no single first value")
            stored(f"variable {key[1]!r}", value)
            values[key] = value
        else:
            raise BundleError(f"damaged model: {operator.name} where variables get first values")
    return values


class _Walk:
    """Go through the main subgraph in order, checking each operator."""

    def __init__(self, graph: Graph, variables: dict[tuple[str, str], Tensor]) -> None:
        self.graph, self.variables = graph, variables
        self.tensors = graph.tensors
        self.computed = set(graph.inputs)
        self.handles: dict[int, Tensor] = {}
        self.initialised = False

    def run(self) -> None:
        """Check every operator, and that they compute the output."""
        for operator in self.graph.operators:
            self._check(operator)
        if not self.computed >= set(self.graph.outputs):
            raise BundleError("damaged model: nothing computes its output")
        if bool(self.variables) != self.initialised:
            raise BundleError("damaged model: its variables get no first values")

    def _check(self, operator: Operator) -> None:
        name, outs = operator.name, operator.outputs
        if name in _STATEFUL:
            inputs, outputs, check = _STATEFUL[name]
            if (len(operator.inputs), len(outs)) != (inputs, outputs):
                raise BundleError(f"damaged model: {name} with {len(operator.inputs)} inputs")
            check(self, operator)
        elif name in SHAPES:
            self._check_inputs(operator)
            got = output_shapes(operator, self.tensors)
            if got != (declared := [self.tensors[i].shape for i in outs]):
                raise BundleError(f"damaged model: {name} gives {got}, {declared} is declared")
            for i in outs:
                stored(repr(self.tensors[i].name), self.tensors[i])
        else:
            known = ", ".join(sorted({*_STATEFUL, *SHAPES}))
            raise BundleError(f"operator {name} is not one of {known}")
        for i in outs:
            tensor = self.tensors[i]
            if i in self.computed or tensor.data is not None:
                raise BundleError(f"damaged model: {name} writes {tensor.name!r} again")
            if not tensor.size or len(tensor.shape) > MAX_RANK:
                raise BundleError(f"damaged model: tensor {tensor.name!r} has shape {tensor.shape}")
            self.computed.add(i)

    def _check_inputs(self, operator: Operator) -> None:
        """Constants and what was computed before, but no handles."""
        name = operator.name
        for i in operator.inputs:
            if i in self.handles or (i >= 0 and not self._known(i)):
                where = self.tensors[i].name
                raise BundleError(f"damaged model: {name} reads {where!r} before it is set")
        data = operator.inputs if name in _JOIN else operator.inputs[:1]
        if not self.computed & set(data):
            raise BundleError(f"damaged model: {name} of constants")

    def _known(self, i: int) -> bool:
        return i in self.computed or self.tensors[i].data is not None

    def call_once(self, operator: Operator) -> None:
        """The second subgraph, before any variable is used."""
        if operator.options["init_subgraph"] != 1 or not self.variables or self.initialised:
            raise BundleError("damaged model: CALL_ONCE of a subgraph that sets no variables")
        self.initialised = True

    def var_handle(self, operator: Operator) -> None:
        """A variable that has a first value."""
        key = _key(operator)
        if key not in self.variables:
            raise BundleError(f"damaged model: variable {key[1]!r} has no first value")
        _handle(self.tensors[operator.outputs[0]])
        self.handles[operator.outputs[0]] = self.variables[key]

    def read_variable(self, operator: Operator) -> None:
        """What is read has the variable's type."""
        self._same(operator.inputs[0], self.tensors[operator.outputs[0]])

    def assign_variable(self, operator: Operator) -> None:
        """What is assigned was computed and has the variable's type."""
        handle, value = operator.inputs
        if value not in self.computed:
            raise BundleError("damaged model: a variable is assigned what nothing computes")
        self._same(handle, self.tensors[value])

    def _same(self, handle: int, value: Tensor) -> None:
        if handle not in self.handles or not self.initialised:
            raise BundleError("damaged model: a variable is used before it has a value")
        variable = self.handles[handle]
        same = value.shape == variable.shape and value.dtype == variable.dtype
        if not same or stored("a variable", value) != stored("a variable", variable):
            raise BundleError(
                f"damaged model: {value.name!r} is {value.dtype} {value.shape}, its variable "
                f"{variable.dtype} {variable.shape}, or their scales differ"
            )


# Operator -> inputs, outputs, what checks it.
_STATEFUL: dict[str, tuple[int, int, Callable[[_Walk, Operator], None]]] = {
    "CALL_ONCE": (0, 0, _Walk.call_once),
    "VAR_HANDLE": (0, 1, _Walk.var_handle),
    "READ_VARIABLE": (1, 1, _Walk.read_variable),
    "ASSIGN_VARIABLE": (2, 0, _Walk.assign_variable),
}
