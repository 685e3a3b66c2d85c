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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, ExportError

__all__ = ["SCHEMES", "Converted", "Part", "Scheme", "convert_module", "convert_modules"]

Scheme = Literal["float32", "16x8", "int8"]
SCHEMES: tuple[Scheme, ...] = ("float32", "16x8", "int8")
Converted = dict[Scheme, tuple[bytes, dict[str, list[str]]]]
"""For each scheme the TFLite file, and the names of its inputs and outputs in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step to convert; the fields are the arguments of :func:`convert_module`."""

    module: Any
    step: Any
    calibration: Mapping[str, NDArray[Any]] | None
    bounded: Collection[str] = ()


def convert_module(
    module: Any,
    step: Any,
    *,
    schemes: Sequence[Scheme],
    calibration: Mapping[str, NDArray[Any]] | None,
    bounded: Collection[str],
) -> Converted:
    """Convert a step.

    Args:
        module: a ``tf.Module`` that holds the step.
        step: its ``tf.function``, of one signature with names, batch 1.
        schemes: "float32"; "16x8" for activations of 16 bits and weights of 8; "int8".
        calibration: what a float run saw at some steps, states included: each input's name to an
            array whose first axis counts the steps. Needed unless all is float32.
        bounded: names of the states that lie in (-1, 1).

    Raises:
        ConfigError: an unknown scheme, or no calibration for one that needs it.
        ExportError: the step's weights do not fit, or the converter failed; its last words are in
            the message.
    """
    part = Part(module=module, step=step, calibration=calibration, bounded=bounded)
    return convert_modules({"step": part}, schemes=schemes)["step"]


def convert_modules(
    parts: Mapping[str, Part], *, schemes: Sequence[Scheme]
) -> dict[str, Converted]:
    """Convert the steps that one model is made of, by their names, in one process.

    Raises:
        ConfigError, ExportError: as :func:`convert_module`.
    """
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise ConfigError(f"scheme={scheme!r}: choose one of {', '.join(SCHEMES)}")
        if scheme != "float32" and not all(part.calibration for part in parts.values()):
            raise ConfigError(f"scheme={scheme!r}: needs calibration, the inputs of a float run")
    with tempfile.TemporaryDirectory() as folder:
        bases = {name: Path(folder) / name for name in parts}
        for name, part in parts.items():
            _save(bases[name], part, schemes)
        done = subprocess.run(
            [sys.executable, "-m", "wakeword_train.tflite_step", *map(str, bases.values())],
            capture_output=True,
            text=True,
            check=False,
            # Import what this process imports, also where nothing is installed.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        if done.returncode != 0 or not all((b / "tensors.json").is_file() for b in bases.values()):
            tail = " | ".join(done.stderr.strip().splitlines()[-3:])
            raise ExportError(f"the TFLite converter ended with {done.returncode}: {tail}")
        return {name: _read(base, schemes) for name, base in bases.items()}


def _save(base: Path, part: Part, schemes: Sequence[Scheme]) -> None:
    """Lay out one step for the converter."""
    import tensorflow as tf

    base.mkdir()
    try:
        tf.saved_model.save(
            part.module, str(base / "saved"), signatures={"serving_default": part.step}
        )
    except ValueError as exc:
        raise ExportError(f"the step cannot be traced: {exc}") from exc
    if part.calibration is not None:
        named: dict[str, Any] = dict(part.calibration)
        np.savez(base / "calibration.npz", **named)
    (base / "step.json").write_text(
        json.dumps({"schemes": list(schemes), "bounded": sorted(part.bounded)})
    )


def _read(base: Path, schemes: Sequence[Scheme]) -> Converted:
    """Read what the converter made."""
    tensors = json.loads((base / "tensors.json").read_text())
    return {s: ((base / f"{s}.tflite").read_bytes(), tensors[s]) for s in schemes}
