"""Run the exported code on bare machines that QEMU emulates, and count what it costs.

Counted are instructions, not cycles: with ``-icount`` QEMU's clock advances by a fixed time for
each, so that a run gives the same number every time. On the ARM boards the core's own timer is
read, whose tick is a little longer than an instruction; on RISC-V the counter of retired
instructions, which QEMU 7.2 gives in its nanoseconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_export.emit import packaged, write_files
from firmware_export.tools import find_tool, run_tool
from firmware_export.verify import Event, parse_events
from wakeword.errors import ExportError

__all__ = ["MACHINES", "Machine", "Run", "code_bytes", "run_machine"]

RATE_HZ = 16_000
_SHIFT = 5  # an instruction takes 2**5 ns of QEMU's time


@dataclass(frozen=True, slots=True)
class Machine:
    """A compiler with its flags, and the emulated board to run on.

    ``per_tick``: instructions in a tick of the timer that the program reads.
    """

    about: str
    compiler: str
    flags: tuple[str, ...]
    script: str
    emulator: tuple[str, ...]
    per_tick: float


_ARM = ("-mthumb", "-mfloat-abi=soft")
_VIRT = ("-M", "virt", "-bios", "none")
# The timers of mps2 run at 25 MHz, those of mps3 at 32 MHz.
MACHINES: Mapping[str, Machine] = {
    "cortex-m0plus": Machine(
        "Cortex-M0+ code on a Cortex-M3 (mps2-an385)",
        "arm-none-eabi-gcc",
        ("-mcpu=cortex-m0plus", *_ARM),
        "arm.ld",
        ("qemu-system-arm", "-M", "mps2-an385"),
        40 / 2**_SHIFT,
    ),
    "cortex-m4": Machine(
        "Cortex-M4 (mps2-an386)",
        "arm-none-eabi-gcc",
        ("-mcpu=cortex-m4", *_ARM),
        "arm.ld",
        ("qemu-system-arm", "-M", "mps2-an386"),
        40 / 2**_SHIFT,
    ),
    "cortex-m55": Machine(
        "Cortex-M55 (mps3-an547)",
        "arm-none-eabi-gcc",
        ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
        "arm.ld",
        ("qemu-system-arm", "-M", "mps3-an547"),
        31.25 / 2**_SHIFT,
    ),
    "riscv32": Machine(
        "RV32IMAC (virt)",
        "riscv64-unknown-elf-gcc",
        ("-march=rv32imac", "-mabi=ilp32", "-misa-spec=2.2", "--specs=picolibc.specs"),
        "riscv.ld",
        ("qemu-system-riscv32", *_VIRT),
        1 / 2**_SHIFT,
    ),
    "riscv64": Machine(
        "RV64IMAC (virt)",
        "riscv64-unknown-elf-gcc",
        (
            "-march=rv64imac",
            "-mabi=lp64",
            "-mcmodel=medany",
            "-misa-spec=2.2",
            "--specs=picolibc.specs",
        ),
        "riscv.ld",
        ("qemu-system-riscv64", *_VIRT),
        1 / 2**_SHIFT,
    ),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What a machine heard and what that took.

    Attributes:
        events: words heard.
        per_second: instructions for a second of sound.
        worst_hop: instructions for the most expensive 10 ms, a step of the model among them.
        detector: bytes of a ``wk_detector``.
        stack: bytes of stack used at most, this program's own among them.
        flash: bytes of code and constants of the exported sources.
        probs: a checksum of the smoothed probabilities after every 10 ms.
    """

    events: tuple[Event, ...]
    per_second: int
    worst_hop: int
    detector: int
    stack: int
    flash: int
    probs: int


def run_machine(name: str, sources: Path, samples: NDArray[np.int16], optimise: str = "-O2") -> Run:
    """Cross-compile an exported folder, run it over one recording, and read what it tells.

    Args:
        name: of :data:`MACHINES`.
        sources: the exported folder.
        samples: 16 kHz mono.
        optimise: further words for the compiler.

    Raises:
        ExportError: a tool is missing, or the program fails.
    """
    machine = MACHINES[name]
    compiler = find_tool(machine.compiler, "leave --qemu out")
    emulator = find_tool(machine.emulator[0], "leave --qemu out")
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        write_files(folder, packaged("harness"))
        (folder / "samples.raw").write_bytes(samples.astype("<i2").tobytes())
        flags = (
            "-std=c99",
            "-Wall",
            "-Werror",
            *optimise.split(),
            "-ffunction-sections",
            "-fdata-sections",
        )
        objects: list[Path] = []
        for source in sorted(p for p in sources.glob("*.c") if p.name != "example.c"):
            objects.append(folder / f"{source.stem}.o")
            command: list[str | Path] = [
                compiler,
                *flags,
                *machine.flags,
                f"-I{sources}",
                "-c",
                source,
            ]
            run_tool([*command, "-o", objects[-1]], what=f"compiling for {machine.about}")
        program = folder / "check.elf"
        link: list[str | Path] = [
            compiler,
            *flags,
            *machine.flags,
            "-fno-tree-loop-distribute-patterns",  # memset must not call itself
            f"-I{sources}",
            folder / "wk_bare.c",
            *objects,
            "-nostdlib",
            "-nostartfiles",
            f"-T{folder / machine.script}",
            "-Wl,--gc-sections",
            "-lgcc",
        ]
        run_tool([*link, "-o", program], what=f"linking for {machine.about}")
        said = run_tool(
            [
                emulator,
                *machine.emulator[1:],
                *("-nographic", "-monitor", "none", "-serial", "none"),
                *("-icount", f"shift={_SHIFT},sleep=off"),
                *("-semihosting-config", "enable=on,target=native"),
                *("-kernel", program),
            ],
            what=f"the exported C on {machine.about}",
            folder=folder,
            timeout_s=60 + len(samples) / RATE_HZ,
            both=True,  # what the program says comes out on standard error
        )
        flash = code_bytes(objects, machine.compiler)
    return _read(said, machine, flash)


def code_bytes(objects: Sequence[Path], compiler: str) -> int:
    """Bytes of code and constants in object files."""
    size = find_tool(compiler.replace("gcc", "size"), "install binutils")
    table = run_tool([size, *objects], what="measuring the code").decode().splitlines()[1:]
    return sum(int(row.split()[0]) + int(row.split()[1]) for row in table)


def _read(said: bytes, machine: Machine, flash: int) -> Run:
    """Read the program's lines."""
    facts = {}
    for line in said.decode().splitlines():
        if line.startswith("# "):
            _, name, value = line.split()
            facts[name] = int(value)
    if not facts.keys() >= {"samples", "ticks", "most", "state", "stack", "probs"}:
        raise ExportError(f"the exported C on {machine.about} stopped before its end")
    ticks = facts["ticks"] * machine.per_tick
    return Run(
        tuple(parse_events(said)),
        round(ticks * RATE_HZ / max(1, facts["samples"])),
        round(facts["most"] * machine.per_tick),
        facts["state"],
        facts["stack"],
        flash,
        facts["probs"],
    )
