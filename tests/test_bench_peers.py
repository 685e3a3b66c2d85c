"""The benchmark programs run and say what they measured. Never how fast: machines differ."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TINY = ROOT / "tests" / "data" / "tiny_step.json"


def bench(program: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / program), *args],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    folder = tmp_path_factory.mktemp("bench")
    printed = bench(
        "peers.py", "--bundle", str(TINY), "--seconds", "2", "--rounds", "2", "--chunks", "80",
        "--json", str(folder / "out.json"), "--markdown", str(folder / "page.md"),
    )  # fmt: skip
    return json.loads((folder / "out.json").read_text()), printed, folder / "page.md"


def test_every_engine_is_measured_in_every_round(
    measured: tuple[dict[str, Any], str, Path],
) -> None:
    run, _, _ = measured
    names = [row["name"] for row in run["engines"]]
    assert names[0] == "wakeword, yes and no"
    assert sorted(r["name"] for r in run["results"]) == sorted(names * 2)
    for result in run["results"]:
        assert result["seconds"] == pytest.approx(0.96)  # 2 s less the first 1.04 s, whole chunks
        for key in ("cpu_ms_per_s", "load_cpu_s", "ready_s", "peak_mb"):
            assert result[key] > 0, key


def test_each_peer_has_a_ratio_per_round(measured: tuple[dict[str, Any], str, Path]) -> None:
    run, _, _ = measured
    peers = [n for n in (row["name"] for row in run["engines"]) if not n.startswith("wakeword")]
    found = {(r["ours"], r["peer"]): r["80"] for r in run["ratios"]}
    assert {peer for _, peer in found} == set(peers)
    for (ours, peer), values in found.items():
        cpu = {
            name: [r["cpu_ms_per_s"] for r in run["results"] if r["name"] == name]
            for name in (ours, peer)
        }
        assert values == [a / b for a, b in zip(cpu[ours], cpu[peer], strict=True)]


def test_the_page_names_command_machine_and_versions_but_no_paths(
    measured: tuple[dict[str, Any], str, Path],
) -> None:
    run, printed, page = measured
    text = page.read_text()
    assert printed.strip() in text
    assert run["command"] in text
    assert run["machine"] in text
    assert "numpy" in text
    assert "--bundle tiny_step.json" in text
    assert str(ROOT) not in text
    assert str(page.parent) not in text
    for row in run["engines"]:
        assert text.count(f"| {row['name']} |") == 1


def test_a_section_is_replaced_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import machine

    page = tmp_path / "docs" / "page.md"
    machine.put_section(page, "one", "first")
    machine.put_section(page, "two", r"with \1 and | marks")
    machine.put_section(page, "one", "second")
    text = page.read_text()
    assert re.findall(r"<!-- (.*) -->", text) == [
        "one: begin",
        "one: end",
        "two: begin",
        "two: end",
    ]
    assert "first" not in text
    assert "second" in text
    assert r"with \1 and | marks" in text
    assert [p.name for p in page.parent.iterdir()] == ["page.md"]


def test_a_long_run_reports_each_mark(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    printed = bench(
        "long_run.py", "--bundle", str(TINY), "--minutes", "1", "0.5", "--json", str(out)
    )
    marks = json.loads(out.read_text())["marks"]
    assert [m["minutes"] for m in marks] == [0.5, 1]
    assert 0 < marks[0]["cpu_s"] < marks[1]["cpu_s"]
    # 30 s of audio are 0.9 MB, of scores 8 kB: a stream that were kept would show
    assert marks[1]["rss_mb"] - marks[0]["rss_mb"] < 0.9
    assert "2 times the audio" in printed
