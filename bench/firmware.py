"""What the exported firmware takes, counted, beside microWakeWord's published models.

    PYTHONPATH=.:train python bench/firmware.py docs/FIRMWARE.md [PRESETS_FOLDER]

Writes the section "cost" of the page and docs/firmware-cost.png. Needs the compilers and emulators
that .ci/run installs, pymicro-wakeword and tflite-micro. PRESETS_FOLDER holds preset_base and
preset_course, made by tests/data/make_presets.py, for the rows of those presets.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine, put_section, versions

from firmware_export.arena import arena_bytes
from firmware_export.c99 import write_c99
from firmware_export.esphome import micro_model
from firmware_export.lower import lower
from firmware_export.qemu import MACHINES, Run, run_machine
from firmware_export.sizes import sizes_of
from firmware_export.verify import golden_audio
from wakeword.bundle import read_bundle
from wakeword.tflite_graph import read_graph

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Row:
    """One exported bundle and its run on every machine."""

    name: str
    multiply_adds_per_s: float
    constants: int
    model_file: int
    arena: int | None
    micro_file: int | None
    micro_arena: int | None
    runs: dict[str, Run]


def measure(name: str, path: Path | str) -> Row:
    """Export, compile, emulate."""
    bundle = read_bundle(path)
    program = lower(bundle)
    sizes = sizes_of(program, bundle)
    micro: tuple[int, int | None] | None = None
    if name != "course":
        model, _ = micro_model(bundle, bundle.words[0])
        micro = len(model), arena_bytes(model)
    samples = golden_audio()["the demo"]
    with tempfile.TemporaryDirectory() as folder:
        write_c99(Path(folder), program, bundle, sizes)
        runs = {key: run_machine(key, Path(folder), samples) for key in MACHINES}
    if len({run.events for run in runs.values()}) != 1:
        raise SystemExit(f"{name}: the machines do not hear the same")
    return Row(
        name,
        program.multiply_adds * 100 / program.stride,
        sizes.constants,
        len(bundle.model_bytes),
        arena_bytes(bundle.model_bytes),
        micro[0] if micro else None,
        micro[1] if micro else None,
        runs,
    )


def multiply_adds(model: bytes) -> int:
    """Of one run of a microWakeWord model: its convolutions and matrix products."""
    graph = read_graph(model)
    total = 0
    for op in graph.operators:
        out = graph.tensors[op.outputs[0]].size if op.outputs else 0
        if op.name == "FULLY_CONNECTED":
            total += out * graph.tensors[op.inputs[1]].shape[-1]
        elif op.name == "CONV_2D":
            _, height, width, depth = graph.tensors[op.inputs[1]].shape
            total += out * height * width * depth
        elif op.name == "DEPTHWISE_CONV_2D":
            _, height, width, _ = graph.tensors[op.inputs[1]].shape
            total += out * height * width
    return total


def peers() -> list[tuple[str, int, int, int | None, float]]:
    """Name, file, published arena, arena measured here, multiply-adds a second."""
    import json

    import pymicro_wakeword

    found = []
    for path in sorted((Path(str(pymicro_wakeword.__file__)).parent / "models").glob("*.json")):
        model = path.with_suffix(".tflite").read_bytes()
        published = json.loads(path.read_text())["micro"]["tensor_arena_size"]
        graph = read_graph(model)
        stride = graph.tensors[graph.inputs[0]].shape[1]
        work = multiply_adds(model) * 100 / stride
        found.append((path.stem, len(model), published, arena_bytes(model), work))
    return found


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}".replace(",", " ")


def text(rows: Sequence[Row], others: Sequence[tuple[str, int, int, int | None, float]]) -> str:
    """The section."""
    used = versions(["tflite-micro", "pymicro-wakeword", "numpy"])
    head = ("flash, bytes", "RAM, bytes", "stack, bytes", "instructions a second of sound")
    lines = [
        "Measured by `PYTHONPATH=.:train python bench/firmware.py docs/FIRMWARE.md`, "
        f"{machine()}; {used}; GCC 12.2 -O2. Sound: the recording that ships, 9.4 s.",
        "",
        "C99 on a Cortex-M4 (QEMU, mps2-an386): front end, model and decision, all there is. The "
        "RAM is one `wk_detector`.",
        "",
        f"| model | {' | '.join(head)} | in the worst 10 ms | multiply-adds a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        run = row.runs["cortex-m4"]
        values = (run.flash, run.detector, run.stack, run.per_second, run.worst_hop)
        cells = " | ".join(map(number, (*values, row.multiply_adds_per_s)))
        lines.append(f"| {row.name} | {cells} |")
    lines += [
        "",
        "Instructions a second of sound, in millions, on every machine that was emulated. All hear "
        "the same words at the same samples.",
        "",
        "| model | " + " | ".join(MACHINES[key].about for key in MACHINES) + " |",
        "|---|" + "---|" * len(MACHINES),
    ]
    for row in rows:
        counts = " | ".join(f"{row.runs[key].per_second / 1e6:.1f}" for key in MACHINES)
        lines.append(f"| {row.name} | {counts} |")
    lines += [
        "",
        "As TFLite Micro models, beside microWakeWord's. The arena was measured in the same way "
        "for all: the smallest in which TFLite Micro's interpreter runs the model on this 64-bit "
        "machine. A 32-bit board needs less. An arena does not hold the front end; the C99 RAM "
        "above does.",
        "",
        "| model | file, bytes | arena published | arena measured | multiply-adds a second |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name}, state outside | {number(row.model_file)} | | {number(row.arena)} | "
            f"{number(row.multiply_adds_per_s)} |"
        )
        if row.micro_file is not None:
            lines.append(
                f"| {row.name}, for ESPHome | {number(row.micro_file)} | | "
                f"{number(row.micro_arena)} | {number(row.multiply_adds_per_s)} |"
            )
    for name, size, published, arena, work in others:
        lines.append(
            f"| microWakeWord {name} | {number(size)} | {number(published)} | {number(arena)} | "
            f"{number(work)} |"
        )
    lines += [
        "",
        "![Million instructions for a second of sound, by machine and model](firmware-cost.png)",
    ]
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """A bar per machine and model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure: Any
    axes: Any
    figure, axes = plt.subplots(figsize=(7, 3.6), constrained_layout=True)
    width = 0.8 / len(rows)
    for i, row in enumerate(rows):
        at = [j + (i - (len(rows) - 1) / 2) * width for j in range(len(MACHINES))]
        axes.bar(at, [row.runs[k].per_second / 1e6 for k in MACHINES], width, label=row.name)
    axes.axhline(10, color="0.5", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(MACHINES)), list(MACHINES))
    axes.set_ylabel("million instructions per second of sound")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    partial = path.with_suffix(".part.png")
    figure.savefig(partial, dpi=110)
    plt.close(figure)
    partial.replace(path)


def main() -> None:
    page = Path(sys.argv[1])
    cases: list[tuple[str, Path | str]] = [
        ("tiny", DATA / "preset_tiny.json"),
        ("small", DATA / "preset_small.json"),
        ("base (alexa, ships)", "alexa"),
    ]
    if len(sys.argv) > 2:
        cases.append(("course", Path(sys.argv[2]) / "preset_course.json"))
    rows = [measure(name, path) for name, path in cases]
    put_section(page, "cost", text(rows, peers()))
    draw(rows, page.with_name("firmware-cost.png"))


if __name__ == "__main__":
    main()
