from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import BundleError
from wakeword.numpy_step import NumpyStep
from wakeword.tflite_graph import Graph, read_graph

DATA = Path(__file__).parent / "data"
KINDS = ("float", "int8", "int8_channels")
MODELS = {kind: (DATA / f"gru_step_{kind}.tflite").read_bytes() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_equal_those_litert_reports(kind: str) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    graph = read_graph(MODELS[kind])
    runner = interpreter.Interpreter(model_content=MODELS[kind])
    runner.allocate_tensors()
    # LiteRT lists its own scratch tensors after those of the file
    details = runner.get_tensor_details()[: len(graph.tensors)]
    assert len(details) == len(graph.tensors)
    for tensor, detail in zip(graph.tensors, details, strict=True):
        assert tensor.name == detail["name"]
        assert tensor.shape == tuple(detail["shape"])
        assert tensor.dtype == detail["dtype"]
        quantization = detail["quantization_parameters"]
        # LiteRT repeats a single scale of some weights for each row while it prepares them
        shape = np.shape(quantization["scales"])
        scales = tensor.scales if len(tensor.scales) != 1 else np.broadcast_to(tensor.scales, shape)
        np.testing.assert_array_equal(scales, quantization["scales"])
        assert set(tensor.zero_points) == set(quantization["zero_points"])
        assert tensor.axis == quantization["quantized_dimension"]
        if tensor.data is not None:
            np.testing.assert_array_equal(tensor.data, runner.get_tensor(detail["index"]))
    assert list(graph.inputs) == [d["index"] for d in runner.get_input_details()]
    assert list(graph.outputs) == [d["index"] for d in runner.get_output_details()]
    signature = runner.get_signature_runner("serving_default")
    ours = graph.signatures["serving_default"]
    for mine, theirs in (
        (ours.inputs, signature.get_input_details()),
        (ours.outputs, signature.get_output_details()),
    ):
        assert mine == {name: detail["index"] for name, detail in theirs.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_operators_equal_those_of_tensorflows_own_reader(kind: str) -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    root = schema.ModelT.InitFromPackedBuf(MODELS[kind], 0)
    operators = read_graph(MODELS[kind]).operators
    assert len(operators) == len(root.subgraphs[0].operators)
    for ours, theirs in zip(operators, root.subgraphs[0].operators, strict=True):
        code = root.operatorCodes[theirs.opcodeIndex]
        assert (ours.name, ours.version) == (names[code.builtinCode], code.version)
        assert list(ours.inputs) == list(theirs.inputs)
        assert list(ours.outputs) == list(theirs.outputs)
        options: dict[str, Any] = vars(theirs.builtinOptions) if theirs.builtinOptions else {}
        spelled = {
            "begin_mask": "beginMask",
            "end_mask": "endMask",
            "shrink_axis_mask": "shrinkAxisMask",
            "keep_num_dims": "keepNumDims",
            "num_splits": "numSplits",
            "axis": "axis",
        }
        for key, name in spelled.items():
            if key in ours.options:
                assert ours.options[key] == options[name], (ours.name, key)
        if "activation" in ours.options:
            activation = getattr(schema.ActivationFunctionType, ours.options["activation"])
            assert activation == options["fusedActivationFunction"]
    assert {"FULLY_CONNECTED", "SPLIT", "STRIDED_SLICE", "CONCATENATION"} <= {
        o.name for o in operators
    }


def changed_options(kind: int | None) -> bytes:
    """The int8 model with FULLY_CONNECTED's options declared another type, or left out (None)."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    root = schema.ModelT.InitFromPackedBuf(MODELS["int8"], 0)
    for operator in root.subgraphs[0].operators:
        code = root.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.FULLY_CONNECTED:
            operator.builtinOptionsType = kind or 0
            if kind is None:
                operator.builtinOptions = None
    builder = flatbuffers.Builder(4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("kind", [0, 9, 255])
def test_options_of_another_type_are_refused(kind: int) -> None:
    with pytest.raises(BundleError, match=f"FULLY_CONNECTED has options of type {kind}, not 8"):
        read_graph(changed_options(kind))


def test_options_left_out_have_the_defaults_of_the_schema() -> None:
    model = changed_options(None)
    (options, *_) = (o.options for o in read_graph(model).operators if o.name == "FULLY_CONNECTED")
    assert options == {"activation": "NONE", "weights_format": 0, "keep_num_dims": False}
    assert use(model) is not None


def test_a_name_that_is_not_utf8_is_refused() -> None:
    name = read_graph(MODELS["int8"]).tensors[0].name.encode()
    with pytest.raises(BundleError, match="not UTF-8"):
        read_graph(MODELS["int8"].replace(name, b"\xff" + name[1:]))


def test_constants_are_read_only_and_take_no_memory_of_their_own() -> None:
    weights = [t.data for t in read_graph(MODELS["int8"]).tensors if t.data is not None]
    assert weights
    assert not any(w.flags.writeable or w.flags.owndata for w in weights)


def open_step(model: bytes) -> NumpyStep:
    names = ["state_0", "state_1", "frames"]
    return NumpyStep(model, ("a", "b"), 3, 6, names, ["next_0", "scores", "next_1"])


def use(model: bytes) -> Graph | None:
    """Read, prepare and run a model; None if it was refused, which is the only error allowed."""
    try:
        graph = read_graph(model)
    except BundleError:
        return None
    try:
        step = open_step(model)
    except BundleError:
        return graph
    with np.errstate(all="ignore"):  # damaged weights may be infinite
        probs, _ = step.step(np.full((3, step.bins), 300, np.uint16), step.initial_state())
    assert probs.shape == (2,)
    return graph


@settings(max_examples=60, deadline=5_000)
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_truncated_model_is_refused(kind: str, data: st.DataObject) -> None:
    model = MODELS[kind]
    # a FlatBuffer's last table may end in a constant: what is cut must be more than padding
    keep = data.draw(st.integers(0, len(model) - 64))
    assert use(model[:keep]) is None


@settings(max_examples=300, deadline=5_000)
@given(
    kind=st.sampled_from(KINDS),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_raise_nothing_but_bundle_error(
    kind: str, flips: list[tuple[float, int]]
) -> None:
    model = bytearray(MODELS[kind])
    for where, mask in flips:
        model[round(where * (len(model) - 1))] ^= mask
    use(bytes(model))


@settings(max_examples=200, deadline=5_000)
@given(
    kind=st.sampled_from(KINDS),
    words=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.sampled_from([0, 1, 4, 0x7F, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x40000000]),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_extreme_words_raise_nothing_but_bundle_error(
    kind: str, words: list[tuple[float, int]]
) -> None:
    model = bytearray(MODELS[kind])
    for where, value in words:
        struct.pack_into("<I", model, round(where * (len(model) - 4) / 4) * 4, value)
    use(bytes(model))


@settings(max_examples=100, deadline=5_000)
@given(body=st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_bundle_error(body: bytes) -> None:
    use(body[:4] + b"TFL3" + body[4:])


def test_a_file_that_repeats_itself_is_refused_soon() -> None:
    """A vector of operator codes that all are the same table, costing four values each."""
    count, root, vector = 250_000, 24, 40
    table = vector + 4 + 4 * count
    body = struct.pack("<I4s", root, b"TFL3")
    body += struct.pack("<HHHHHHHH", 12, 12, 4, 8, 0, 0, 0, 0)  # vtable: version, operator codes
    body += struct.pack("<iII", root - 8, 3, vector - (root + 8)).ljust(vector - root, b"\0")
    body += struct.pack("<I", count)
    body += b"".join(struct.pack("<I", table - (vector + 4 + 4 * i)) for i in range(count))
    body += struct.pack("<iHH", -4, 4, 4)  # a table and, behind it, its vtable without fields
    start = time.process_time()
    with pytest.raises(BundleError, match="more than a million values"):
        read_graph(body)
    # took 0.5 s on one core of a loaded x86-64 machine, 2026-11-21
    assert time.process_time() - start < 10
