"""Convert a step, any TensorFlow function of plain tensors, to TFLite in a process of its own.

No loop and no hidden variable: inputs ``state_0``, ``state_1``, ... come back as outputs
``next_0``, ``next_1``, ... The converter ends some failures with a crash, hence the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, ExportError

__all__ = ["SCHEMES", "Scheme", "convert_module"]

Scheme = Literal["float32", "16x8", "int8"]
SCHEMES: tuple[Scheme, ...] = ("float32", "16x8", "int8")


def convert_module(
    module: Any,
    step: Any,
    *,
    schemes: Sequence[Scheme],
    calibration: Mapping[str, NDArray[Any]] | None,
    bounded: Collection[str],
) -> dict[Scheme, tuple[bytes, dict[str, list[str]]]]:
    """Convert a step.

    Args:
        module: a ``tf.Module`` that holds the step.
        step: its ``tf.function``, of one signature with names, batch 1.
        schemes: "float32"; "16x8" for activations of 16 bits and weights of 8; "int8".
        calibration: what a float run saw at some steps, states included: each input's name to an
            array whose first axis counts the steps. Needed unless all is float32.
        bounded: names of the states that lie in (-1, 1).

    Returns:
        For each scheme the TFLite file, and the names of its inputs and outputs in its order.

    Raises:
        ConfigError: an unknown scheme, or no calibration for one that needs it.
        ExportError: the step's weights do not fit, or the converter failed; its last words are in
            the message.
    """
    import tensorflow as tf

    for scheme in schemes:
        if scheme not in SCHEMES:
            raise ConfigError(f"scheme={scheme!r}: choose one of {', '.join(SCHEMES)}")
        if scheme != "float32" and not calibration:
            raise ConfigError(f"scheme={scheme!r}: needs calibration, the inputs of a float run")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        try:
            tf.saved_model.save(module, str(base / "saved"), signatures={"serving_default": step})
        except ValueError as exc:
            raise ExportError(f"the step cannot be traced: {exc}") from exc
        if calibration is not None:
            named: dict[str, Any] = dict(calibration)
            np.savez(base / "calibration.npz", **named)
        (base / "step.json").write_text(
            json.dumps({"schemes": list(schemes), "bounded": sorted(bounded)})
        )
        done = subprocess.run(
            [sys.executable, "-m", "wakeword_train.tflite_step", str(base)],
            capture_output=True,
            text=True,
            check=False,
            # Import what this process imports, also where nothing is installed.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        if done.returncode != 0 or not (base / "tensors.json").is_file():
            tail = " | ".join(done.stderr.strip().splitlines()[-3:])
            raise ExportError(f"the TFLite converter ended with {done.returncode}: {tail}")
        tensors = json.loads((base / "tensors.json").read_text())
        return {s: ((base / f"{s}.tflite").read_bytes(), tensors[s]) for s in schemes}
