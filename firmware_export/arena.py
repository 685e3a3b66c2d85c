"""Measure the arena that TFLite Micro needs for a model, by running it in its interpreter.

The interpreter of the package ``tflite-micro`` runs on a 64-bit host, where the bookkeeping beside
the tensors is larger than on a 32-bit board: the number is enough there, and a little more.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from wakeword.errors import ExportError

__all__ = ["HOW_TO_MEASURE", "arena_bytes", "can_measure", "needed_arena"]

HOW_TO_MEASURE = "not measured: pip install --pre tflite-micro"
ALIGNMENT = 16
# In processes of their own: the library complains on standard error at each size that is too small,
# and some sizes crash it.
_MEASURE = """
import os
import sys

from tflite_micro.python.tflite_micro import runtime

model = sys.stdin.buffer.read()


def runs(size):
    child = os.fork()
    if child == 0:
        try:
            runtime.Interpreter.from_bytes(model, arena_size=size).invoke()
        except Exception:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


high = 1024
while not runs(high):
    high *= 2
    if high > 1 << 26:
        sys.exit("no arena is large enough")
low = high // 2
while high - low > 16:
    middle = (low + high) // 32 * 16
    low, high = (low, middle) if runs(middle) else (middle, high)
print(high)
"""


def can_measure() -> bool:
    """Tell whether the TFLite Micro interpreter is installed."""
    return importlib.util.find_spec("tflite_micro") is not None


def needed_arena(model: bytes, given: int | None) -> int:
    """Return the arena that was given, or else the measured one.

    Args:
        model: content of a .tflite.
        given: bytes, from somebody who measured elsewhere.

    Raises:
        ExportError: none is given and none can be measured here, or what is given is too small.
    """
    measured = arena_bytes(model)
    if given is None:
        if measured is None:
            raise ExportError(f"the arena is {HOW_TO_MEASURE}, or give it with --arena BYTES")
        return measured
    if given < (measured or 1):
        raise ExportError(f"--arena {given}: the model needs {measured or 'more'}")
    return given


def arena_bytes(model: bytes) -> int | None:
    """Return the smallest arena in which a model runs, in steps of 16; None where none can tell.

    Args:
        model: content of a .tflite.

    Raises:
        ExportError: the interpreter does not run the model.
    """
    if not can_measure():
        return None
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE], input=model, capture_output=True, check=False, timeout=120
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ExportError(f"TFLite Micro does not run the model: {' '.join(last) or 'it crashed'}")
    return -(-int(done.stdout) // ALIGNMENT) * ALIGNMENT
