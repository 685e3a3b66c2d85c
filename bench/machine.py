"""Where a benchmark ran, and one section of the page of results."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

HEAD = "# {}\n\nMade by the programs in `bench/`; each section names its command.\n"


def machine() -> str:
    """Describe the machine in a line: no names, no paths."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = found[1].strip() if found else model
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"{model}, {platform.machine()}, {os.cpu_count()} cores ({load}), {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def versions(names: Sequence[str]) -> str:
    """List the versions of those distributions that are installed."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def put_section(path: Path, name: str, text: str) -> None:
    """Write one section of a page and leave the others as they are; a new page gets a title."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    title = HEAD.format(path.stem.capitalize())
    page = path.read_text(encoding="utf-8") if path.is_file() else title
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(page):
        page = pattern.sub(lambda _: section, page)
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
