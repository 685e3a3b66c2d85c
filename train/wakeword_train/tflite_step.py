"""Convert one step to TFLite. Run as ``python -m wakeword_train.tflite_step FOLDER`` by `quantize`.

FOLDER holds ``weights.npz``, ``step.json`` and, for int8, ``calibration.npz``; ``step.tflite`` and
``tensors.json`` are written there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from wakeword_train.quantize import by_member, layers_of

STATE_SCALE = 1 / 128


def step_module(arrays: dict[str, Any], kernel: int, reset_after: bool) -> tuple[tf.Module, Any]:
    """Write the step as plain products, so that each keeps its own scale."""
    members = by_member(arrays)
    units = [[m[f"recurrent_{i}"].shape[0] for i in range(layers_of(m))] for m in members]
    bins = arrays["conv"].shape[0] // kernel
    spec = [tf.TensorSpec((1, kernel, bins), tf.float32, name="frames")]
    widths = [h for own in units for h in own]
    spec += [tf.TensorSpec((1, h), tf.float32, name=f"state_{i}") for i, h in enumerate(widths)]
    module = tf.Module()

    def gru(member: dict[str, Any], x: Any, h: Any, i: int) -> Any:
        kernel_i, recurrent, bias = (member[f"{n}_{i}"] for n in ("kernel", "recurrent", "bias"))
        size = recurrent.shape[0]

        def of_x(gate: int) -> Any:
            part = slice(gate * size, (gate + 1) * size)
            return tf.matmul(x, kernel_i[:, part]) + bias[0, part]

        def of_h(gate: int, value: Any = h) -> Any:
            part = slice(gate * size, (gate + 1) * size)
            return tf.matmul(value, recurrent[:, part]) + bias[1, part]

        update = tf.sigmoid(of_x(0) + of_h(0))
        reset = tf.sigmoid(of_x(1) + of_h(1))
        inner = reset * of_h(2) if reset_after else of_h(2, reset * h)
        new = tf.tanh(of_x(2) + inner)
        return new + update * (h - new)

    @tf.function(input_signature=spec, autograph=False)
    def step(frames: Any, *state: Any) -> dict[str, Any]:
        flat = tf.reshape(frames, (1, -1))
        out: dict[str, Any] = {}
        odds = []
        for member, own in zip(members, units, strict=True):
            y = tf.nn.relu(tf.matmul(flat, member["conv"]) + member["conv_bias"])
            for i in range(len(own)):
                number = len(out)
                out[f"next_{number}"] = y = gru(member, y, state[number], i)
            share = np.float32(1 / len(members))
            odds.append(tf.matmul(y, member["head"] * share) + member["head_bias"] * share)
        out["scores"] = tf.sigmoid(sum(odds[1:], odds[0]))
        return out

    module.step = step
    return module, step


def pin_state(model: bytes) -> bytes:
    """Give every state, coming in and going out, the scale 1/128 and zero point 0.

    The converter calibrates the two sides apart and their scales differ by a little; copied back,
    the state would shrink or grow at every step. A GRU's state lies in (-1, 1), so the scale of
    tanh fits it. Biases are in units of input scale x weight scale and are rewritten to match.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = root.subgraphs[0]
    signature = root.signatureDefs[0]
    pinned = {
        tensor.tensorIndex: graph.tensors[tensor.tensorIndex].quantization.scale[0]
        for tensor in (*signature.inputs, *signature.outputs)
        if tensor.name.decode().startswith(("state_", "next_"))
    }
    for index in pinned:
        quantization = graph.tensors[index].quantization
        quantization.scale, quantization.zeroPoint = [STATE_SCALE], [0]
    for operator in graph.operators:
        code = root.operatorCodes[operator.opcodeIndex].builtinCode
        if code != schema.BuiltinOperator.FULLY_CONNECTED or operator.inputs[0] not in pinned:
            continue
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        bias = graph.tensors[operator.inputs[2]]
        ratio = pinned[operator.inputs[0]] / STATE_SCALE
        buffer = root.buffers[bias.buffer]
        values = np.frombuffer(bytes(buffer.data), "<i4") * ratio
        # a buffer of its own: the converter may share equal ones
        fresh = schema.BufferT()
        fresh.data = np.frombuffer(np.rint(values).astype("<i4").tobytes(), np.uint8)
        root.buffers.append(fresh)
        bias.buffer = len(root.buffers) - 1
        bias.quantization.scale = [bias.quantization.scale[0] / ratio]
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main(folder: Path) -> None:
    """Convert what lies in ``folder``."""
    with np.load(folder / "weights.npz") as data:
        arrays = {name: data[name] for name in data.files}
    facts = json.loads((folder / "step.json").read_text())
    module, step = step_module(arrays, facts["kernel"], facts["reset_after"])
    saved = folder / "saved"
    tf.saved_model.save(module, str(saved), signatures={"serving_default": step})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    if (folder / "calibration.npz").is_file():
        with np.load(folder / "calibration.npz") as data:
            samples = {name: data[name].astype(np.float32) for name in data.files}

        def representative() -> Iterator[dict[str, Any]]:
            for row in range(len(samples["frames"])):
                yield {name: array[row : row + 1] for name, array in samples.items()}

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    model = converter.convert()
    if converter.representative_dataset is not None:
        model = pin_state(model)
    interpreter = tf.lite.Interpreter(model_content=model)
    runner = interpreter.get_signature_runner("serving_default")
    names = {
        "inputs": {d["index"]: n for n, d in runner.get_input_details().items()},
        "outputs": {d["index"]: n for n, d in runner.get_output_details().items()},
    }
    tensors = {
        "inputs": [names["inputs"][d["index"]] for d in interpreter.get_input_details()],
        "outputs": [names["outputs"][d["index"]] for d in interpreter.get_output_details()],
    }
    (folder / "step.tflite").write_bytes(model)
    (folder / "tensors.json").write_text(json.dumps(tensors))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
