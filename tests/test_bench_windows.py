"""The benchmark of training windows runs and says what it measured. Never how fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

for library in ("scipy", "pyroomacoustics"):
    pytest.importorskip(library)

ROOT = Path(__file__).resolve().parents[1]


def test_every_sort_of_window_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    command = [sys.executable, str(ROOT / "bench" / "windows.py"), "--count", "5", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--markdown", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    figures = {row[0].strip(): [float(cell) for cell in row[1:]] for row in rows[1:]}
    assert {"front end alone", "as trained with", "telephone", "Opus"} < set(figures)
    for ms, rate, times in figures.values():
        assert rate == pytest.approx(1_000 / ms, rel=0.1)
        assert times == pytest.approx(3.72 * rate, rel=0.1)
    # A part costs less than the whole; half, to stand a machine that is busy elsewhere.
    assert figures["front end alone"][0] < 2 * figures["in a computed room"][0]
    assert "python bench/windows.py --count 5 --rounds 1" in path.read_text()
