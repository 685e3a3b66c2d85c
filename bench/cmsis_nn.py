"""The exported C by its own kernels and by CMSIS-NN's, on emulated boards.

    PYTHONPATH=. python bench/cmsis_nn.py FOLDER VERSION docs/FIRMWARE.md

FOLDER holds CMSIS-NN's Include and Source, VERSION says in words which it is. Writes the section
"cmsis-nn" of the page; stops where a score differs.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from machine import machine, put_section

from firmware_export.c99 import write_c99
from firmware_export.lower import lower
from firmware_export.qemu import MACHINES, Run, run_machine
from firmware_export.sizes import sizes_of
from firmware_export.verify import golden_audio
from wakeword.bundle import read_bundle

DATA = Path(__file__).parents[1] / "tests" / "data"
MODELS = {"tiny": DATA / "preset_tiny.json", "base (alexa, ships)": "alexa"}
DENSE = (
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
)
PAIRS = (
    "BasicMathFunctions/arm_elementwise_add_s8.c",
    "BasicMathFunctions/arm_elementwise_mul_s8.c",
)
BOARDS = {"cortex-m0plus": DENSE, "cortex-m4": DENSE, "cortex-m55": DENSE + PAIRS}
"""Board to the files of CMSIS-NN that are linked there."""


def measure(board: str, model: Path | str, cmsis_nn: Path) -> tuple[Run, Run]:
    """Run by our kernels, then by CMSIS-NN's, over the recording that ships."""
    bundle = read_bundle(model)
    program = lower(bundle)
    samples = golden_audio()["the demo"]
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        write_c99(folder, program, bundle, sizes_of(program, bundle))
        ours = run_machine(board, folder, samples)
        for name in BOARDS[board]:
            shutil.copy(cmsis_nn / "Source" / name, folder)
        flags = f"-O2 -Wno-error -DWK_CMSIS_NN -isystem {cmsis_nn / 'Include'}"
        theirs = run_machine(board, folder, samples, optimise=flags)
    if (theirs.probs, theirs.events) != (ours.probs, ours.events):
        raise SystemExit(f"{board}, {model}: the scores differ")
    return ours, theirs


def row(name: str, board: str, ours: Run, theirs: Run) -> str:
    """Pairs of numbers: ours, CMSIS-NN's."""
    pairs = (
        (ours.per_second, theirs.per_second),
        (ours.worst_hop, theirs.worst_hop),
        (ours.flash, theirs.flash),
        (ours.stack, theirs.stack),
    )
    cells = [f"{a:,} / {b:,}".replace(",", " ") for a, b in pairs]
    change = 100 * (theirs.per_second / ours.per_second - 1)
    return f"| {name} | {MACHINES[board].about} | {' | '.join(cells)} | {change:+.0f} % |"


def main() -> None:
    folder, version, page = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    lines = [
        "Measured by `PYTHONPATH=. python bench/cmsis_nn.py FOLDER VERSION docs/FIRMWARE.md`, "
        f"{machine()}; GCC 12.2 -O2; CMSIS-NN: {version}. Sound: the recording that ships, 9.4 s. "
        "Our kernels / CMSIS-NN's; every score was the same.",
        "",
        "| model | machine | instructions a second of sound | in the worst 10 ms | flash, bytes | "
        "stack, bytes | instructions |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, model in MODELS.items():
        for board in BOARDS:
            lines.append(row(name, board, *measure(board, model, folder)))
    put_section(page, "cmsis-nn", "\n".join(lines))


if __name__ == "__main__":
    main()
