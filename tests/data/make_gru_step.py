"""Make gru_step_float.tflite, gru_step_int8.tflite and gru_step_int8_channels.tflite.

A one-step model with random weights: dense, two GRU layers (reset after the product), two sigmoids.
It is written so that the converter emits every operator the numpy runtime executes in such models,
RELU and RELU6 on their own among them. Made on 2026-11-21 with TensorFlow 2.21:

    python tests/data/make_gru_step.py
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

KERNEL, STRIDE, BINS, HIDDEN, WORDS = 6, 3, 40, 8, 2
HERE = Path(__file__).parent


def weights(rng: np.random.Generator) -> dict[str, Any]:
    """Large enough that the gates and the scores move."""
    shapes = {"dense": (KERNEL * BINS, HIDDEN), "head": (HIDDEN, WORDS)}
    for layer in range(2):
        shapes[f"kernel_{layer}"] = shapes[f"recurrent_{layer}"] = (HIDDEN, 3 * HIDDEN)
    gains = {"dense": 1.0, "head": 8.0, "kernel_0": 3.0, "kernel_1": 3.0}
    arrays = {
        name: rng.normal(size=shape) * gains.get(name, 2.0) / np.sqrt(shape[0])
        for name, shape in shapes.items()
    }
    arrays["dense_bias"] = rng.normal(size=HIDDEN) * 0.1
    arrays["head_bias"] = rng.normal(size=WORDS) * 0.1
    for layer in range(2):
        arrays[f"bias_{layer}"] = rng.normal(size=(2, 3 * HIDDEN)) * 0.3
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def convert(kind: str) -> None:
    """Convert one kind: "float", "int8" or "int8_channels". A crash ends only this process."""
    import tensorflow as tf

    rng = np.random.default_rng(7)
    w = weights(rng)

    def gru(x: Any, h: Any, layer: int) -> Any:
        of_x = tf.matmul(x, w[f"kernel_{layer}"]) + w[f"bias_{layer}"][0]
        of_h = tf.matmul(h, w[f"recurrent_{layer}"]) + w[f"bias_{layer}"][1]
        if layer == 0:
            (xz, xr, xn), (hz, hr, hn) = tf.split(of_x, 3, -1), tf.split(of_h, 3, -1)
        else:
            cuts = [slice(g * HIDDEN, (g + 1) * HIDDEN) for g in range(3)]
            (xz, xr, xn), (hz, hr, hn) = ([a[:, cut] for cut in cuts] for a in (of_x, of_h))
        z, r = tf.sigmoid(xz + hz), tf.sigmoid(xr + hr)
        n = tf.tanh(xn + r * hn)
        return z * h + (1.0 - z) * n if layer == 0 else n + z * (h - n)

    spec = [tf.TensorSpec((1, KERNEL, BINS), name="frames")]
    spec += [tf.TensorSpec((1, HIDDEN), name=f"state_{i}") for i in range(2)]
    module = tf.Module()

    @tf.function(input_signature=spec, autograph=False)  # type: ignore[untyped-decorator, unused-ignore]  # no stubs
    def step(frames: Any, state_0: Any, state_1: Any) -> dict[str, Any]:
        x = tf.matmul(tf.reshape(frames, (1, -1)), w["dense"]) + w["dense_bias"]
        half = HIDDEN // 2
        x = tf.concat([tf.nn.relu(x[:, :half]), tf.nn.relu6(x[:, half:])], axis=1)
        next_0 = gru(x, state_0, 0)
        next_1 = gru(next_0, state_1, 1)
        scores = tf.sigmoid(tf.matmul(next_1, w["head"]) + w["head_bias"])
        return {"scores": scores, "next_0": next_0, "next_1": next_1}

    module.step = step
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": step})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if kind != "float":
            samples = calibration(step, rng)

            def representative() -> Iterator[dict[str, Any]]:
                yield from samples

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
            whole = kind == "int8"
            converter._experimental_disable_per_channel_quantization_for_dense_layers = whole
        model = converter.convert()
    if kind != "float":
        model = equal_state_scales(model)
    (HERE / f"gru_step_{kind}.tflite").write_bytes(model)


def equal_state_scales(model: bytes) -> bytes:
    """Give each state going in the scale it has coming out; they may differ in the last bit."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model, 0)
    ends = (*root.signatureDefs[0].inputs, *root.signatureDefs[0].outputs)
    tensors = {e.name.decode(): root.subgraphs[0].tensors[e.tensorIndex] for e in ends}
    for i in range(2):
        before, after = (tensors[f"{name}_{i}"].quantization for name in ("state", "next"))
        np.testing.assert_allclose(before.scale, after.scale, rtol=1e-6)
        np.testing.assert_array_equal(before.zeroPoint, after.zeroPoint)
        before.scale = after.scale
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def calibration(step: Any, rng: np.random.Generator) -> list[dict[str, Any]]:
    """A float run of 300 steps, cut where the last state is not an extreme one.

    So the states seen going in and coming out span the same range and get the same scale.
    """
    sound = random_frames(rng, 300 * STRIDE).astype(np.float32) / np.float32(256)
    window = np.concatenate((np.zeros((KERNEL - STRIDE, BINS), np.float32), sound))
    state = [np.zeros((1, HIDDEN), np.float32)] * 2
    samples, ends = [], []
    for t in range(0, len(sound), STRIDE):
        frames = window[t : t + KERNEL][None]
        samples.append({"frames": frames, "state_0": state[0], "state_1": state[1]})
        out = step(frames, *state)
        state = [out["next_0"].numpy(), out["next_1"].numpy()]
        ends.append(state)
    count = next(
        n
        for n in range(len(ends), 0, -1)
        if all(
            np.min([e[i] for e in ends[: n - 1]]) <= ends[n - 1][i].min()
            and np.max([e[i] for e in ends[: n - 1]]) >= ends[n - 1][i].max()
            for i in range(2)
        )
    )
    return samples[:count]


def random_frames(rng: np.random.Generator, count: int) -> Any:
    """Raw features (count, BINS), 0..670, that wander like sound and sometimes jump."""
    walk = rng.normal(0, 40, size=(count, BINS)).cumsum(axis=0)
    walk += np.repeat(rng.normal(0, 300, size=(count // 30 + 1, 1)), 30, axis=0)[:count]
    return np.abs((walk + 670) % 2680 - 1340).clip(0, 670).astype(np.uint16)


if __name__ == "__main__":
    for kind in ("float", "int8", "int8_channels"):
        process = multiprocessing.get_context("spawn").Process(target=convert, args=(kind,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{kind}: the converter ended with {process.exitcode}")
