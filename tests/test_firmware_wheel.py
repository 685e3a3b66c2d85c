"""The wheel carries the C sources, harness and templates that the exporter writes from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_carries_every_source_and_template(tmp_path: Path) -> None:
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy)
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("wakeword", "train", "firmware_export"):
        shutil.copytree(ROOT / name, copy / name, ignore=skip)
    out = tmp_path / "wheel"
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(copy)], capture_output=True, check=True)
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
    here = {p for p in (ROOT / "firmware_export").rglob("*") if p.is_file()}
    wanted = {p.relative_to(ROOT).as_posix() for p in here if "__pycache__" not in p.parts}
    assert {n for n in wanted if n.endswith((".c", ".h", ".ld", ".cpp", ".ino", ".sh", ".txt"))}
    assert wanted - names == set()
