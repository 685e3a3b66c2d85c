"""Convert steps to TFLite: ``python -m wakeword_train.tflite_step FOLDER...``, by `step_export`.

Each FOLDER holds a step as a SavedModel in ``saved``, ``step.json`` and, to quantise,
``calibration.npz``; ``SCHEME.tflite`` for each scheme and ``tensors.json`` are written there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def pin_state(model: bytes, bounded: Collection[str]) -> bytes:
    """Give every state the same scale coming in and going out, and zero point 0.

    The converter calibrates the two sides apart and their scales differ by a little; copied back,
    the state would shrink or grow at every step. A state that lies in (-1, 1) gets the scale of
    tanh, 1/128 or with 16 bits 1/32768; the cell of an LSTM the larger of both sides' ranges.
    Biases are in units of input scale x weight scale and are rewritten to match.

    Args:
        model: as converted.
        bounded: names of the states that lie in (-1, 1).
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = root.subgraphs[0]
    signature = root.signatureDefs[0]
    ends = {t.name.decode(): t.tensorIndex for t in (*signature.inputs, *signature.outputs)}
    before = {name: graph.tensors[index].quantization for name, index in ends.items()}
    pinned: dict[int, tuple[float, float]] = {}  # tensor: scale as converted, and as pinned
    for name in (n for n in ends if n.startswith("state_")):
        sides = name, f"next_{name.removeprefix('state_')}"
        wide = graph.tensors[ends[name]].type == schema.TensorType.INT16
        most = 32767 if wide else 127
        scale = 1 / (most + 1)
        if name not in bounded:
            ranges = [
                before[side].scale[0] * (most + abs(int(before[side].zeroPoint[0])))
                for side in sides
            ]
            scale = max(ranges) / most
        for side in sides:
            pinned[ends[side]] = (float(before[side].scale[0]), scale)
    for index, (_, scale) in pinned.items():
        quantization = graph.tensors[index].quantization
        quantization.scale, quantization.zeroPoint = [scale], [0]
    for operator in graph.operators:
        code = root.operatorCodes[operator.opcodeIndex].builtinCode
        if code != schema.BuiltinOperator.FULLY_CONNECTED or operator.inputs[0] not in pinned:
            continue
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        bias = graph.tensors[operator.inputs[2]]
        was, scale = pinned[operator.inputs[0]]
        ratio = was / scale
        dtype = "<i8" if bias.type == schema.TensorType.INT64 else "<i4"
        values = np.frombuffer(bytes(root.buffers[bias.buffer].data), dtype) * ratio
        # a buffer of its own: the converter may share equal ones
        fresh = schema.BufferT()
        fresh.data = np.frombuffer(np.rint(values).astype(dtype).tobytes(), np.uint8)
        root.buffers.append(fresh)
        bias.buffer = len(root.buffers) - 1
        bias.quantization.scale = [s / ratio for s in bias.quantization.scale]
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def convert(folder: Path, scheme: str, bounded: Collection[str]) -> tuple[bytes, dict[str, Any]]:
    """Convert what lies in ``folder``; give the file and the names of its ends in its order."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    if scheme != "float32":
        with np.load(folder / "calibration.npz") as data:
            samples = {name: data[name] for name in data.files}

        def representative() -> Iterator[dict[str, Any]]:
            for row in range(len(next(iter(samples.values())))):
                yield {name: array[row : row + 1] for name, array in samples.items()}

        wide = scheme == "16x8"
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            if wide
            else tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        kind = tf.int16 if wide else tf.int8
        converter.inference_input_type = converter.inference_output_type = kind
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    model = converter.convert()
    if scheme != "float32":
        model = pin_state(model, bounded)
    interpreter = tf.lite.Interpreter(model_content=model)
    runner = interpreter.get_signature_runner("serving_default")
    return model, {
        "inputs": _in_order(runner.get_input_details(), interpreter.get_input_details()),
        "outputs": _in_order(runner.get_output_details(), interpreter.get_output_details()),
    }


def _in_order(named: dict[str, Any], details: list[Any]) -> list[str]:
    """Name the ends of a graph in its order; what two names share is there twice."""
    left: dict[int, list[str]] = {}
    for name, detail in named.items():
        left.setdefault(detail["index"], []).append(name)
    return [left[detail["index"]].pop() for detail in details]


def main(folder: Path) -> None:
    """Convert what lies in ``folder`` in each of the schemes that are asked for."""
    facts = json.loads((folder / "step.json").read_text())
    tensors = {}
    for scheme in facts["schemes"]:
        model, tensors[scheme] = convert(folder, scheme, facts["bounded"])
        (folder / f"{scheme}.tflite").write_bytes(model)
    (folder / "tensors.json").write_text(json.dumps(tensors))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        main(Path(argument))
