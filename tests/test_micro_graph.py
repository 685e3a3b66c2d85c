"""The check a microWakeWord model passes before a runtime sees it: models that exist pass, every
shape must fit, and nothing but BundleError comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import BundleError
from wakeword.micro_graph import check_micro_graph
from wakeword.micro_shapes import output_shapes
from wakeword.tflite_graph import Operator, Tensor, read_subgraphs

peer = pytest.importorskip("pymicro_wakeword", reason="its models are looked at")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")
interpreter = pytest.importorskip("ai_edge_litert.interpreter")

FOLDER = Path(peer.__file__).parent / "models"
MODELS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.tflite"))}
NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
INT32, INT8 = schema.TensorType.INT32, schema.TensorType.INT8


@pytest.mark.parametrize("name", MODELS)
def test_published_models_pass_and_their_ends_are_those_litert_reports(name: str) -> None:
    stride, *ends = check_micro_graph(MODELS[name])
    runner = interpreter.Interpreter(model_content=MODELS[name])
    details = (*runner.get_input_details(), *runner.get_output_details())
    assert stride == details[0]["shape"][1]
    for end, detail in zip(ends, details, strict=True):
        assert (end.dtype, (end.scale, end.zero_point)) == (
            detail["dtype"],
            detail["quantization"],
        )


SPELLED = {
    "depth_multiplier": "depthMultiplier", "dilation_h": "dilationHFactor",
    "dilation_w": "dilationWFactor", "init_subgraph": "initSubgraphIndex",
    "num_splits": "numSplits", "padding": "padding", "shared_name": "sharedName",
    "stride_h": "strideH", "stride_w": "strideW",
}  # fmt: skip


def test_subgraphs_and_options_are_those_of_tensorflows_own_reader() -> None:
    seen = set()
    for model in MODELS.values():
        root = schema.ModelT.InitFromPackedBuf(model, 0)
        graphs = read_subgraphs(model)
        assert len(graphs) == len(root.subgraphs) == 2
        for graph, theirs in zip(graphs, root.subgraphs, strict=True):
            for ours, other in zip(graph.operators, theirs.operators, strict=True):
                assert ours.name == NAMES[root.operatorCodes[other.opcodeIndex].builtinCode]
                for key in ours.options.keys() & SPELLED.keys():
                    value = getattr(other.builtinOptions, SPELLED[key])
                    value = value.decode() if isinstance(value, bytes) else value
                    assert ours.options[key] == value, (ours.name, key)
                    seen.add(key)
    assert seen == SPELLED.keys()


def with_dimension(name: str, graph: int, tensor: int, axis: int, value: int) -> bytes:
    """The model with one dimension of one tensor changed in place."""
    model = bytearray(MODELS[name])
    table = schema.Model.GetRootAs(model).Subgraphs(graph).Tensors(tensor)
    table.ShapeAsNumpy()[axis] = value
    return bytes(model)


@pytest.mark.parametrize("name", ["okay_nabu", "hey_jarvis"])
@pytest.mark.parametrize("value", [0, 7, 2**30 + 1, -1])
def test_any_other_dimension_of_any_tensor_is_refused(name: str, value: int) -> None:
    for g, graph in enumerate(read_subgraphs(MODELS[name])):
        for t, tensor in enumerate(graph.tensors):
            if tensor.shape and tensor.shape[-1] != value:
                with pytest.raises(BundleError):
                    check_micro_graph(with_dimension(name, g, t, len(tensor.shape) - 1, value))


def changed(change: Callable[[Any], None]) -> bytes:
    """okay_nabu after a change to TensorFlow's own object of it."""
    root = schema.ModelT.InitFromPackedBuf(MODELS["okay_nabu"], 0)
    change(root)
    builder = flatbuffers.Builder(4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def find(root: Any, name: str, graph: int = 0) -> Any:
    """The first operator of this name."""
    for operator in root.subgraphs[graph].operators:
        if NAMES[root.operatorCodes[operator.opcodeIndex].builtinCode] == name:
            return operator
    raise AssertionError(name)


def drop(name: str, graph: int = 0) -> Callable[[Any], None]:
    return lambda root: root.subgraphs[graph].operators.remove(find(root, name, graph))


def option(operator: str, name: str, value: Any, graph: int = 0) -> Callable[[Any], None]:
    return lambda root: setattr(find(root, operator, graph).builtinOptions, name, value)


def rewire(operator: str, side: str, value: list[int], graph: int = 0) -> Callable[[Any], None]:
    return lambda root: setattr(find(root, operator, graph), side, value)


def to_tanh(root: Any) -> None:
    code = root.operatorCodes[find(root, "LOGISTIC").opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TANH


def another_subgraph(root: Any) -> None:
    root.subgraphs.append(root.subgraphs[1])


def test_packing_alone_changes_nothing() -> None:
    assert check_micro_graph(changed(lambda _: None)) == check_micro_graph(MODELS["okay_nabu"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (to_tanh, "operator TANH is not one of ADD, "),
        (another_subgraph, "3 subgraphs, need at most 2"),
        (drop("CALL_ONCE"), "used before it has a value"),
        (drop("VAR_HANDLE"), "used before it has a value"),
        (drop("READ_VARIABLE"), "before it is set"),
        (drop("QUANTIZE"), "nothing computes its output"),
        (drop("VAR_HANDLE", 1), "where variables get first values"),
        (drop("ASSIGN_VARIABLE", 1), "has no first value"),
        (option("CALL_ONCE", "initSubgraphIndex", 0), "sets no variables"),
        (option("CALL_ONCE", "initSubgraphIndex", 9), "sets no variables"),
        (option("VAR_HANDLE", "sharedName", b"other"), "has no first value"),
        (option("CONV_2D", "strideH", 0), "stride 0"),
        (option("CONV_2D", "padding", 0), "is declared"),
        (option("CONV_2D", "dilationHFactor", 2**31 - 1), "dilation 2147483647"),
        (option("CONV_2D", "padding", 2), "padding 2"),
        (option("CONV_2D", "fusedActivationFunction", 4), "activation TANH"),
        (option("DEPTHWISE_CONV_2D", "depthMultiplier", 2), "DEPTHWISE_CONV_2D of"),
        (option("SPLIT_V", "numSplits", 3), "SPLIT_V of"),
        (rewire("CONV_2D", "inputs", [58, -1, 46]), "with 3 inputs"),
        (rewire("CONV_2D", "inputs", [58, 58, 46]), "CONV_2D of"),
        (rewire("CONV_2D", "inputs", [47, 47, 46]), "of constants"),
        (rewire("CONV_2D", "inputs", [48, 47, 46]), "reads 'stream_10/states.*before it is set"),
        (rewire("CONV_2D", "inputs", [58]), "with 1 inputs"),
        (rewire("CONV_2D", "outputs", []), "CONV_2D"),
        (rewire("LOGISTIC", "outputs", [102]), "again"),
        (rewire("READ_VARIABLE", "inputs", [0]), "used before it has a value"),
        (rewire("ASSIGN_VARIABLE", "inputs", [50, 55]), "or their scales differ"),
        (rewire("VAR_HANDLE", "outputs", [54]), "is no handle"),
    ],
)
def test_a_graph_out_of_order_is_refused(change: Callable[[Any], None], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        check_micro_graph(changed(change))


@settings(max_examples=300, deadline=5_000)
@given(
    name=st.sampled_from(sorted(MODELS)),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_raise_nothing_but_bundle_error(
    name: str, flips: list[tuple[float, int]]
) -> None:
    model = bytearray(MODELS[name])
    for where, mask in flips:
        model[round(where * (len(model) - 1))] ^= mask
    try:
        stride, *_ = check_micro_graph(bytes(model))
    except BundleError:
        return
    assert 1 <= stride <= 64


def one_operator(name: str, options: dict[str, Any], tensors: list[tuple[Any, Any]]) -> bytes:
    """A model of one operator, its first tensor computed, the last one its output; (shape, data)"""
    root = schema.ModelT()
    root.version, root.buffers = 3, [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version, root.operatorCodes = 3 if "CONV" in name else 2, [code]
    graph, operator = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = []
    for i, (shape, data) in enumerate(tensors):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.shape, tensor.name, tensor.buffer = list(shape), str(i), i + 1
        tensor.type = INT32 if data is not None and data.dtype == np.int32 else INT8
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [0.5], [0]
        if data is not None and data.dtype == np.int32 and "CONV" in name:
            quantization.scale = [0.25]  # a bias: the product of the two
        tensor.quantization = quantization
        buffer.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
        root.buffers.append(buffer)
        graph.tensors.append(tensor)
    last = len(tensors) - 1
    operator.inputs, operator.outputs = list(range(last)), [last]
    graph.inputs = [i for i, (_, data) in enumerate(tensors[:-1]) if data is None]
    graph.outputs, graph.operators, root.subgraphs = [last], [operator], [graph]
    kind = {
        "AVERAGE_POOL_2D": "Pool2DOptions", "CONV_2D": "Conv2DOptions", "MEAN": "ReducerOptions",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "MAX_POOL_2D": "Pool2DOptions",
        "PACK": "PackOptions", "PAD": "PadOptions",
    }[name]  # fmt: skip
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    operator.builtinOptions = getattr(schema, kind + "T")()
    for key, value in options.items():
        assert hasattr(operator.builtinOptions, key)
        setattr(operator.builtinOptions, key, value)
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


X = ((1, 7, 5, 4), None)
WINDOW = {"strideH": 2, "strideW": 1}
POOL = {**WINDOW, "filterHeight": 3, "filterWidth": 2}


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(
    ("name", "options", "tensors"),
    [
        ("AVERAGE_POOL_2D", POOL, [X]),
        ("MAX_POOL_2D", POOL, [X]),
        (
            "CONV_2D",
            WINDOW,
            [X, ((6, 3, 2, 4), np.ones((6, 3, 2, 4), np.int8)), ((6,), np.ones(6, np.int32))],
        ),
        (
            "CONV_2D",
            {"strideH": 1, "strideW": 2, "dilationHFactor": 3},
            [X, ((6, 2, 2, 4), np.ones((6, 2, 2, 4), np.int8)), ((6,), np.ones(6, np.int32))],
        ),
        (
            "DEPTHWISE_CONV_2D",
            {**WINDOW, "depthMultiplier": 2},
            [X, ((1, 3, 2, 8), np.ones((1, 3, 2, 8), np.int8))],
        ),
        ("MEAN", {"keepDims": True}, [X, ((2,), np.array([1, -2], np.int32))]),
        ("MEAN", {"keepDims": False}, [X, ((2,), np.array([1, -2], np.int32))]),
        ("PAD", {}, [X, ((4, 2), np.array([0, 0, 2, 1, 0, 0, 0, 3], np.int32).reshape(4, 2))]),
        ("PACK", {"valuesCount": 2, "axis": -1}, [((3, 4), None), ((3, 4), None)]),
    ],
)
def test_shape_is_the_one_litert_works_out(
    name: str, options: dict[str, Any], tensors: list[Any], padding: int
) -> None:
    if name in ("MEAN", "PAD", "PACK"):
        if padding:
            pytest.skip(f"{name} has no padding")
    else:
        options = options | {"padding": padding}
    model = one_operator(name, options, [*tensors, ((1, 1), None)])
    runner = interpreter.Interpreter(
        model_content=model,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner.allocate_tensors()
    (detail,) = runner.get_output_details()
    (graph,) = read_subgraphs(model)
    assert output_shapes(graph.operators[0], graph.tensors) == [tuple(detail["shape"])]


def int8(shape: tuple[int, ...], scale: float) -> Tensor:
    scales, zeros = np.array([scale], np.float32), np.zeros(1, np.int64)
    return Tensor("t", shape, np.dtype(np.int8), scales, zeros, 0, None)


def test_a_sum_whose_scale_would_abort_the_runtime_is_refused() -> None:
    operator = Operator("ADD", 2, (0, 1), (2,), {"activation": "NONE"})
    tensors = [int8((1, 4), 1.0), int8((1, 4), 1.0), int8((1, 4), 2.0**-18)]
    assert output_shapes(operator, tensors) == [(1, 4)]
    tensors[2] = int8((1, 4), 2.0**-19)
    with pytest.raises(BundleError, match="too large for that of its output"):
        output_shapes(operator, tensors)
