"""Find a TFLite runtime and open a model with it.

LiteRT, tflite-runtime and TensorFlow ship the same ``Interpreter`` class under three names.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from numpy import __version__ as numpy_version

from wakeword.errors import BundleError, ConfigError, DeviceError

__all__ = [
    "RUNTIMES",
    "TFLITE_RUNTIMES",
    "first_that_works",
    "open_interpreter",
    "runtimes_to_try",
]

T = TypeVar("T")

# Name -> module, the Interpreter class in it, and the command that installs it. (tensorflow.lite is
# an attribute that TensorFlow fills when it is asked for, not a module with a class in it.)
TFLITE_RUNTIMES: Mapping[str, tuple[str, str, str]] = {
    "litert": ("ai_edge_litert.interpreter", "Interpreter", "pip install ai-edge-litert"),
    "tflite-runtime": (
        "tflite_runtime.interpreter",
        "Interpreter",
        "pip install 'wakeword[tflite-runtime]'",
    ),
    "tf": ("tensorflow", "lite.Interpreter", "pip install 'wakeword[train]'"),
}
RUNTIMES = (*TFLITE_RUNTIMES, "numpy")


def runtimes_to_try(runtime: str | None) -> tuple[str, ...]:
    """Return the runtimes to try in turn: the one asked for, or all that are installed.

    Raises:
        ConfigError: ``runtime`` is none of :data:`RUNTIMES`.
    """
    if runtime is None:
        return (*(n for n, (m, _, _) in TFLITE_RUNTIMES.items() if _installed(m)), "numpy")
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime={runtime!r}: need one of {', '.join(RUNTIMES)}")
    return (runtime,)


def first_that_works(runtime: str | None, open_with: Callable[[str], T]) -> T:
    """Open a model with the runtime asked for, or with the first of those installed that works.

    Args:
        runtime: see :func:`runtimes_to_try`.
        open_with: given a runtime's name, opens the model; raises DeviceError where it cannot.

    Raises:
        ConfigError: no such runtime.
        DeviceError: the one asked for, or every one, does not work here.
    """
    reasons = []
    for name in runtimes_to_try(runtime):
        try:
            return open_with(name)
        except DeviceError as exc:
            if runtime is not None:
                raise
            reasons.append(str(exc))
    raise DeviceError("no runtime for the model: " + "; ".join(reasons))


def _installed(module: str) -> bool:
    """Tell whether a module's package can be found, without importing it."""
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def open_interpreter(model: bytes, runtime: str) -> Any:
    """Open a model on one thread, its tensors allocated.

    Args:
        model: content of a .tflite.
        runtime: a key of :data:`TFLITE_RUNTIMES`.

    Raises:
        DeviceError: the runtime is not installed or does not work here.
        BundleError: the runtime refuses the model.
    """
    module, attribute, command = TFLITE_RUNTIMES[runtime]
    try:
        make = attrgetter(attribute)(importlib.import_module(module))
    except (ImportError, AttributeError) as exc:
        raise DeviceError(
            f"runtime {runtime!r} cannot be imported ({exc}); {command}, or use another of "
            f"{', '.join(RUNTIMES)}"
        ) from exc
    try:
        interpreter = make(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    except SystemError as exc:  # tflite-runtime 2.14, built for numpy 1
        raise DeviceError(
            f"runtime {runtime!r} does not work with numpy {numpy_version}: "
            "pip install 'numpy<2', or pip install ai-edge-litert"
        ) from exc
    except (ValueError, RuntimeError, TypeError) as exc:
        raise BundleError(f"runtime {runtime!r} refuses the model: {exc}") from exc
    return interpreter
