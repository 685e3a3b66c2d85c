"""The C99 target: a folder of sources that any C compiler builds, with the model in it."""

from __future__ import annotations

from pathlib import Path

from firmware_export.cgen import model_header, model_source, tables_source
from firmware_export.emit import fill, packaged, plain, write_files
from firmware_export.program import Program
from firmware_export.sizes import Sizes
from wakeword.bundle import Bundle

__all__ = ["c99_sources", "write_c99"]


def c99_sources(program: Program, bundle: Bundle) -> dict[str, str]:
    """Name and text of every source file."""
    return {
        **packaged("runtime"),
        "wk_model.h": model_header(program, bundle),
        "wk_model.c": model_source(program, bundle),
        "wk_tables.c": tables_source(),
    }


def write_c99(folder: Path, program: Program, bundle: Bundle, sizes: Sizes) -> None:
    """Write the sources, an example and a page about them."""
    write_files(folder, c99_sources(program, bundle))
    values = {
        "NAME": plain(bundle.name),
        "WORDS": plain(", ".join(program.words)),
        "STRIDE_MS": str(10 * program.stride),
        "DETECTOR": str(sizes.detector),
        "CONSTANTS": str(sizes.constants),
    }
    for name, text in packaged("templates/c99").items():
        write_files(folder, {name: fill(text, values)})
