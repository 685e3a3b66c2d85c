"""What each target writes, how it is checked, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_export.c99 import write_c99
from firmware_export.emit import new_folder
from firmware_export.program import Program
from firmware_export.sizes import sizes_of
from wakeword.bundle import Bundle
from wakeword.errors import ExportError

__all__ = ["Request", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; ``audio``: recordings to compare on besides those that ship."""

    bundle: Bundle
    program: Program
    target: str
    out: Path
    word: str | None = None
    arena: int | None = None
    force: bool = False
    verify: bool = True
    qemu: bool = False
    audio: tuple[Path, ...] = ()


def export(request: Request) -> dict[str, Any]:
    """Make a target; nothing is left behind where it fails.

    Returns:
        What to tell: name to text or number.

    Raises:
        ExportError: it cannot be made, differs from the bundle, or a tool is missing.
    """
    with new_folder(request.out, force=request.force) as folder:
        said = _fill(request, folder)
    return {"written": str(request.out), **said}


def _fill(request: Request, folder: Path) -> dict[str, Any]:
    bundle, program = request.bundle, request.program
    if request.target == "tflm":
        from firmware_export.tflm import write_tflm

        return write_tflm(folder, program, bundle, request.arena)
    if request.target == "esphome":
        from firmware_export.esphome import write_esphome

        return write_esphome(folder, bundle, request.word, request.arena)
    sizes = sizes_of(program, bundle)
    write_c99(folder, program, bundle, sizes)
    said: dict[str, Any] = {"constants": sizes.constants, "ram": sizes.detector}
    if request.verify:
        said |= _check(request, folder)
    return said


def _check(request: Request, folder: Path) -> dict[str, Any]:
    """Compile and compare, here and on emulated boards."""
    from firmware_export.qemu import MACHINES, run_machine
    from firmware_export.verify import check_events, golden_audio, verify

    recordings = golden_audio(request.audio)
    heard = verify(folder, request.program, request.bundle, recordings)
    said: dict[str, Any] = {
        "verified": f"features, scores, states and words over {', '.join(recordings)}"
    }
    if not request.qemu:
        return said
    for name in MACHINES:
        for recording in ("the demo", *map(str, request.audio)):
            samples = recordings[recording]
            run = run_machine(name, folder, samples)
            if list(run.events) != heard[recording]:
                raise ExportError(
                    f"{name} hears {list(run.events)} in {recording}, "
                    f"this machine {heard[recording]}"
                )
            check_events(list(run.events), request.bundle, samples, recording)
            said[f"{name}, {recording}"] = (
                f"same words; {run.per_second} instructions a second, {run.worst_hop} in the worst "
                f"10 ms, flash {run.flash}, RAM {run.detector}, stack {run.stack}"
            )
    return said
