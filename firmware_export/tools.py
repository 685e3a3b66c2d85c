"""Find and run the tools of others: compilers, emulators, ssh."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from wakeword.errors import ExportError

__all__ = ["PACKAGES", "find_tool", "run_tool"]

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "gcc": "gcc libc6-dev",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "qemu-system-riscv64": "qemu-system-misc",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "ssh": "openssh-client",
}
"""Tool to the Debian packages that bring it."""


def find_tool(name: str, otherwise: str = "") -> str:
    """Return the path of a tool.

    Raises:
        ExportError: it is not installed; ``otherwise`` says what to do without it.
    """
    found = shutil.which(name)
    if found is None:
        package = PACKAGES.get(name, name)
        raise ExportError(
            f"{name} is not installed: sudo apt install {package}"
            + (f"; or {otherwise}" if otherwise else "")
        )
    return found


def run_tool(
    command: Sequence[str | Path],
    *,
    what: str,
    stdin: bytes = b"",
    folder: Path | None = None,
    timeout_s: float = 300,
    both: bool = False,
) -> bytes:
    """Run a tool and return its standard output; with ``both``, its standard error as well.

    Raises:
        ExportError: it ends with anything but 0, or takes longer than ``timeout_s``; the message
            has ``what`` it should have done, and its first complaint.
    """
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, cwd=folder, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise ExportError(f"{what}: no end after {timeout_s:g} s; it hangs") from exc
    except OSError as exc:
        raise ExportError(f"{what}: {exc}") from exc
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        telling = (
            [line for line in lines if "error" in line.lower()] or lines or ["it said nothing"]
        )
        raise ExportError(f"{what} ended with {done.returncode}: {telling[0].strip()}")
    return done.stdout + done.stderr if both else done.stdout
