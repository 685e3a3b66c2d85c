"""The TFLite Micro target: projects for ESP-IDF, Arduino and Zephyr around the bundle's own model.

They share the C99 front end, decision and detector; only the step of the model is run by TFLite
Micro's interpreter, behind the same three-line interface.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firmware_export.arena import needed_arena
from firmware_export.c99 import c99_sources
from firmware_export.cgen import model_glue
from firmware_export.emit import c_array, fill, packaged, plain, write_files
from firmware_export.layout import lay_out
from firmware_export.program import Program
from wakeword.bundle import Bundle
from wakeword.errors import ExportError
from wakeword.tflite_graph import read_graph

__all__ = ["write_tflm"]

_METHODS = {
    "ADD": "AddAdd",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "LOGISTIC": "AddLogistic",
    "MUL": "AddMul",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "SQUEEZE": "AddSqueeze",
    "SUB": "AddSub",
    "TANH": "AddTanh",
}
_UNUSED = ("wk_kernels.c", "wk_kernels.h")
# Project -> where its sources go, and what its world wants included first.
_PROJECTS = {
    "esp-idf": ("esp-idf/components/wakeword", ""),
    "arduino": ("arduino/src", "#include <Chirale_TensorFlowLite.h>"),
    "zephyr": ("zephyr/src", ""),
}


def write_tflm(
    folder: Path, program: Program, bundle: Bundle, arena: int | None = None
) -> dict[str, Any]:
    """Write the three projects.

    Raises:
        ExportError: the arena cannot be measured here, or an operator has no place in the resolver.
    """
    arena = needed_arena(bundle.model_bytes, arena)
    operators = sorted({operator.name for operator in read_graph(bundle.model_bytes).operators})
    if missing := [name for name in operators if name not in _METHODS]:
        raise ExportError(f"{bundle.path}: no TFLite Micro registration is known for {missing}")
    values = {
        "NAME": "".join(c if c.isascii() and c.isalnum() else "_" for c in bundle.name),
        "WORDS": plain(", ".join(program.words)),
        "ARENA": str(arena),
        "OPERATORS": str(len(operators)),
        "REGISTER": " ||\n        ".join(
            f"operators.{_METHODS[name]}() != kTfLiteOk" for name in operators
        ),
        **_copies(program, bundle),
    }
    sources = c99_sources(program, bundle)
    for name in _UNUSED:
        del sources[name]
    sources["wk_model.c"] = model_glue(program, bundle)
    sources["wk_model_data.c"] = _model_data(bundle)
    templates = packaged("templates/tflm")
    shared = {n.removeprefix("shared/"): t for n, t in templates.items() if n.startswith("shared/")}
    for place, include in _PROJECTS.values():
        filled = {n: fill(t, {**values, "INCLUDES": include}) for n, t in shared.items()}
        write_files(folder / place, {**sources, **filled})
    rest = {n: fill(t, values) for n, t in templates.items() if not n.startswith("shared/")}
    write_files(folder, rest)
    return {
        "arena": arena,
        "operators": ", ".join(operators),
        "model": len(bundle.model_bytes),
    }


def _copies(program: Program, bundle: Bundle) -> dict[str, str]:
    """C++ that moves frames and states into the tensors and the next states out."""
    layout = lay_out(program)
    at = [layout.places[row].offset for row in program.states]
    size = [program.sizes[row] for row in program.states]
    into, out = [], []
    for i, name in enumerate(bundle.inputs):
        what, count = ("frames", program.sizes[program.frames])
        if name != "frames":
            layer = int(name.removeprefix("state_"))
            what, count = f"states + {at[layer]}", size[layer]
        into.append(f"    memcpy(interpreter->input({i})->data.int8, {what}, {count});")
    for i, name in enumerate(bundle.outputs):
        if name != "scores":
            layer = int(name.removeprefix("next_"))
            tensor = f"interpreter->output({i})->data.int8"
            out.append(f"    memcpy(states + {at[layer]}, {tensor}, {size[layer]});")
    return {
        "COPY_IN": "\n".join(into),
        "COPY_OUT": "\n".join(out),
        "SCORES": str(bundle.outputs.index("scores")),
    }


def _model_data(bundle: Bundle) -> str:
    """The .tflite as an aligned array."""
    content = bundle.model_bytes
    return (
        '#include "wk_model_data.h"\n\n'
        "#if defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif\n"
        f"const unsigned char wk_model_data[] = {{\n{c_array(content)}\n}};\n"
        f"const unsigned int wk_model_data_size = {len(content)};\n"
    )
