"""A short day of the daemon, with the program that measures the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_nothing_is_lost_or_doubled_and_memory_stays(tmp_path: Path) -> None:
    """Half an hour of sound, 60 words; what the page for people says comes from the same run."""
    out = tmp_path / "run.json"
    command = [sys.executable, str(ROOT / "bench/daemon_day.py"), "--hours", "0.5", "--json"]
    done = subprocess.run(
        [*command, str(out)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())["result"]
    assert result["samples_heard"] == result["samples_fed"] == 30 * 60 * 16_000
    heard = result["detections"]
    assert heard >= 58  # two words a minute, of which the noise may hide one or other
    assert set(result["sinks"]) >= {"hook", "lines", "far", "program"}
    for name, sink in result["sinks"].items():
        assert (sink["delivered"], sink["dropped"]) == (heard, 0), name
        if sink["received"] is not None:
            assert sink["received"] == sink["different"] == heard, name
    marks = result["marks"]
    assert marks[0]["minutes"] == 10
    assert marks[-1]["rss_mb"] - marks[0]["rss_mb"] < 2.0  # what a day may add, see the bench
