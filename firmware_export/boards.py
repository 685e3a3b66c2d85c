"""Boards and cores: memory from their data sheets, cost from counted instructions.

A core's three numbers are instructions for a frame of the front end, a multiply-add and a value
written; they were fitted to runs of five models under QEMU (GCC 12.2 -O2, 2026-11-21) and meet each
of them within 0.1 %. Cycles per instruction are an assumption, and where a core is not emulated, so
is the core whose count stands for it; nothing was measured on silicon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wakeword.errors import ExportError

__all__ = ["BOARDS", "CORES", "Board", "Core", "find_board"]


@dataclass(frozen=True, slots=True)
class Core:
    """What the exported C costs on a core; ``code`` and ``stack`` in bytes, the largest seen."""

    per_frame: float
    per_multiply_add: float
    per_value: float
    cycles: float
    code: int
    stack: int


@dataclass(frozen=True, slots=True)
class Board:
    """A board; ``flash`` and ``ram`` in bytes, what a program may have of them at most."""

    about: str
    core: str
    clock_mhz: int
    flash: int
    ram: int
    stands_for: str = ""


CORES: Mapping[str, Core] = {
    "cortex-m0plus": Core(113_900, 5.52, 85.1, 1.4, 6_208, 768),
    "cortex-m4": Core(44_770, 1.61, 37.3, 1.3, 4_768, 640),
    "cortex-m55": Core(42_260, 1.55, 37.7, 1.1, 4_864, 640),
    "riscv32": Core(89_070, 3.41, 42.8, 1.3, 6_624, 704),
}

_K, _M = 1024, 1024 * 1024
_XTENSA = "counted on RISC-V in place of Xtensa"
_M33 = "counted on a Cortex-M4 in place of an M33"
BOARDS: Mapping[str, Board] = {
    "esp32": Board("ESP32", "riscv32", 240, 4 * _M, 320 * _K, _XTENSA),
    "esp32-s3": Board("ESP32-S3", "riscv32", 240, 8 * _M, 512 * _K, _XTENSA),
    "esp32-c3": Board("ESP32-C3 (RISC-V)", "riscv32", 160, 4 * _M, 400 * _K),
    "rp2040": Board("RP2040, Pico", "cortex-m0plus", 133, 2 * _M, 264 * _K),
    "rp2350": Board("RP2350, Pico 2", "cortex-m4", 150, 4 * _M, 520 * _K, _M33),
    "nrf52840": Board("nRF52840", "cortex-m4", 64, _M, 256 * _K),
    "stm32f411": Board("STM32F411", "cortex-m4", 100, 512 * _K, 128 * _K),
    "stm32l476": Board("STM32L476", "cortex-m4", 80, _M, 128 * _K),
    "stm32u585": Board("STM32U585", "cortex-m4", 160, 2 * _M, 786 * _K, _M33),
    "stm32g071": Board("STM32G071 (Cortex-M0+)", "cortex-m0plus", 64, 128 * _K, 36 * _K),
    "stm32l053": Board("STM32L053 (Cortex-M0+)", "cortex-m0plus", 32, 64 * _K, 8 * _K),
    "stm32n657": Board("STM32N657 (Cortex-M55)", "cortex-m55", 600, 4 * _M, 4 * _M),
    "gd32vf103": Board("GD32VF103 (RISC-V)", "riscv32", 108, 128 * _K, 32 * _K),
}


def find_board(name: str) -> Board:
    """Return a board by its name.

    Raises:
        ExportError: there is none; the message lists them.
    """
    if name.lower() not in BOARDS:
        raise ExportError(f"board {name!r} is not known; there are {', '.join(BOARDS)}")
    return BOARDS[name.lower()]
