"""What the page is made of, without a server: figures, what is seen of the sound, the command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.daemon_kit import PATIENCE_S, QuickClock
from tests.web_kit import CONFIG, DEMO, ROOT
from wakeword.bundle import Bundle, read_bundle
from wakeword.cli import _parser, main
from wakeword.daemon.ring import Ring
from wakeword.daemon.service import Service
from wakeword.errors import ConfigError, DeviceError
from wakeword.intervals import rate_interval, share_interval
from wakeword.sinks.event import Event
from wakeword.sources import Chunk
from wakeword.web.command import config_of, paced
from wakeword.web.figures import figures, read_report
from wakeword.web.memory import LENGTH, LINES, LogMemory
from wakeword.web.microphones import microphones
from wakeword.web.monitor import AFTER, BEFORE, COLUMN, KEPT, Monitor

# ---- figures

CURVE = {
    "threshold": [0.01, 0.5, 0.505, 0.8],
    "misses": {"clean": [0, 1, 2, 9], "10dB": [1, 2, 3, 10]},
    "clips": {"clean": 10, "10dB": 10},
    "false_alarms": {"speech": [40, 5, 4, 0], "noise": [9, 1, 1, 0]},
    "hours": {"speech": 2.0, "noise": 0.5},
}
BUNDLE = read_bundle("computer")
REPORT = {"sha256": BUNDLE.sha256, "tested": "ten clips", "words": {"computer": {"curve": CURVE}}}


def counts(threshold: float, report: Any = REPORT) -> tuple[list[int], list[int]]:
    found = figures(BUNDLE, "computer", threshold, report)
    return [m["events"] for m in found["misses"]], [a["events"] for a in found["alarms"]]


@pytest.mark.parametrize(
    ("threshold", "misses", "alarms"),
    [
        (0.01, [0, 1], [49, 40, 9]),
        (0.49, [0, 1], [49, 40, 9]),  # a row stands for all hundredths up to the next
        (0.5, [1, 2], [6, 5, 1]),
        (0.503, [2, 3], [6, 5, 1]),  # between two that were tried: the worse of both
        (0.505, [2, 3], [5, 4, 1]),
        (0.6, [2, 3], [5, 4, 1]),
        (0.796, [9, 10], [5, 4, 1]),
        (0.8, [9, 10], [0, 0, 0]),
        (1.0, [9, 10], [0, 0, 0]),
    ],
)
def test_a_report_has_the_counts_at_every_threshold(
    threshold: float, misses: list[int], alarms: list[int]
) -> None:
    assert counts(threshold) == (misses, alarms)


def test_counts_carry_their_exact_intervals() -> None:
    found = figures(BUNDLE, "computer", 0.5, REPORT)
    clean, (every, speech, _) = found["misses"][0], found["alarms"]
    assert (clean["low"], clean["high"]) == share_interval(1, 10)
    assert (every["name"], every["trials"], every["rate"]) == ("all", 2.5, 6 / 2.5)
    assert (speech["low"], speech["high"]) == rate_interval(5, 2.0)
    assert {row["bound"] for row in found["misses"] + found["alarms"]} == {""}


def bundle_of(*points: tuple[str, float, int, int]) -> Bundle:
    rows = [
        {"set": name, "threshold": at, "misses": misses, "clips": 100, "false_alarms": alarms,
         "hours": 1.0 if ", noise" in name else 3.0}
        for name, at, misses, alarms in points
    ]  # fmt: skip
    return replace(BUNDLE, operating_points={"computer": rows})


def rows_of(bundle: Bundle, threshold: float) -> tuple[list[Any], list[Any]]:
    found = figures(bundle, "computer", threshold)
    return tuple(  # type: ignore[return-value] # of two
        [(r["name"], r["bound"], r["events"], r["at"]) for r in found[kind]]
        for kind in ("misses", "alarms")
    )


def test_a_bundle_bounds_what_it_was_not_measured_at() -> None:
    bundle = bundle_of(("t", 0.4, 5, 30), ("t", 0.6, 10, 9), ("t, noise", 0.4, 5, 7))
    misses, alarms = rows_of(bundle, 0.5)
    assert misses == [("t", "least", 5, 0.4), ("t", "most", 10, 0.6)]
    assert alarms == [
        ("t", "most", 30, 0.4), ("t", "least", 9, 0.6), ("t, noise", "most", 7, 0.4)
    ]  # fmt: skip
    assert rows_of(bundle, 0.3)[0] == [("t", "most", 5, 0.4)]
    assert rows_of(bundle, 0.7)[0] == [("t", "least", 10, 0.6)]
    assert rows_of(bundle, 0.4)[0] == [("t", "", 5, 0.4)]
    assert rows_of(bundle, 0.6)[1][0] == ("t", "", 9, 0.6)


def test_where_nothing_was_measured_nothing_is_said() -> None:
    found = figures(bundle_of(), "computer", 0.5)
    assert (found["basis"], found["misses"], found["alarms"]) == ("none", [], [])


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_no_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="need 0 < threshold <= 1"):
        figures(BUNDLE, "computer", threshold)


@pytest.mark.parametrize(
    "report",
    [
        {}, {"words": []}, {"words": {"computer": {}}}, {"words": {"computer": {"curve": {}}}},
        {"words": {"computer": {"curve": {**CURVE, "clips": {}}}}},
        {"words": {"computer": {"curve": {**CURVE, "threshold": ["x"]}}}},
        {"words": {"computer": {"curve": {**CURVE, "threshold": [0.9]}}}},
        {"words": {"computer": {"curve": {**CURVE, "clips": {"clean": 0, "10dB": 0}}}}},
        {"words": {"computer": {"curve": {**CURVE, "misses": {"clean": [1]}}}}},
    ],
)  # fmt: skip
def test_a_report_that_is_none_is_left_aside(report: Any) -> None:
    assert figures(BUNDLE, "computer", 0.71, report)["basis"] == "bundle"


def test_only_the_report_of_this_very_model_is_taken(tmp_path: Path) -> None:
    for ending in (".json", ".tflite"):
        (tmp_path / f"mine{ending}").write_bytes(BUNDLE.path.with_suffix(ending).read_bytes())
    text = (tmp_path / "mine.json").read_text().replace("computer_jarvis.tflite", "mine.tflite")
    (tmp_path / "mine.json").write_text(text)
    bundle = read_bundle(tmp_path / "mine.json")
    assert read_report(bundle) is None
    beside = tmp_path / "mine-report.json"
    for content in ("", "[]", "[" * 100_000, json.dumps({**REPORT, "sha256": "0" * 64}), "\0"):
        beside.write_text(content)
        assert read_report(bundle) is None
    beside.write_text(json.dumps(REPORT))
    assert read_report(bundle) == REPORT
    beside.write_text(" " * 4_000_001)
    assert read_report(bundle) is None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine-evaluation.json").write_text(json.dumps(REPORT))
    assert read_report(bundle, tmp_path / "elsewhere") == REPORT


# ---- microphones


def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Any:
    """List the microphones as a program in place of Python says."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return microphones(SimpleNamespace(sounddevice=None))  # type: ignore[arg-type] # all it asks for


def test_a_process_of_its_own_looks_for_microphones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = '{"index": 3, "name": "USB \\u00fc", "api": "ALSA", "channels": 1, "default": true}'
    script = f"test \"$*\" = '-m wakeword devices --json' && printf '%s\\n' '{row}'"
    assert fresh(tmp_path, monkeypatch, script) == [
        {"name": "USB ü", "api": "ALSA", "default": True}
    ]
    with pytest.raises(DeviceError, match="no PortAudio"):
        fresh(tmp_path, monkeypatch, "echo no PortAudio >&2; exit 1")


# ---- what is seen of the sound


class Scores:
    words = ("computer",)
    prob = 0.25

    @property
    def probs(self) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([self.prob], np.float32)


def look(monitor: Monitor, ring: Ring, samples: np.ndarray, at: int) -> int:  # type: ignore[type-arg]
    ring.feed(samples)
    heard = at + len(samples)
    monitor.look(Chunk(samples), Scores(), ring, heard)  # type: ignore[arg-type] # as much of one
    return heard


@pytest.mark.parametrize("size", [1, 333, 480, 16_000])
def test_any_chunking_gives_the_same_picture(size: int) -> None:
    told: list[dict[str, Any]] = []
    monitor, ring, heard = Monitor(), Ring(80_000), 0
    monitor.watched = True
    monitor.tell = lambda kind, fields: told.append(fields)
    samples = DEMO[:16_000]
    for start in range(0, len(samples), size):
        heard = look(monitor, ring, samples[start : start + size], heard)
    low = [value for frame in told for value in frame["low"]]
    columns = samples[: len(low) * COLUMN].reshape(-1, COLUMN)
    assert low == columns.min(axis=1).tolist()
    assert len(samples) - len(low) * COLUMN < 1600
    assert told[-1]["end"] == len(low) * COLUMN


def test_nobody_looks_and_nothing_is_made_or_kept() -> None:
    told: list[str] = []
    monitor, ring, heard = Monitor(), Ring(80_000), 0
    monitor.tell = lambda kind, fields: told.append(kind)
    for _ in range(100):
        heard = look(monitor, ring, DEMO[:480], heard)
    assert told == []
    assert len(monitor._rest) == len(monitor._scores) == 0


def event(number: int, sample: int) -> Event:
    return Event(f"a-{number}", "computer", 0.9, sample, "2026-11-21T12:00:00+00:00")


def test_the_sound_of_a_detection_is_kept_once_it_is_whole() -> None:
    told: list[tuple[str, Any]] = []
    monitor, ring, heard = Monitor(), Ring(80_000), 0
    monitor.tell = lambda kind, fields: told.append((kind, fields.get("id")))
    sound = np.arange(60_000).astype(np.int16)
    heard = look(monitor, ring, sound[:40_000], heard)
    monitor.heard(event(1, 38_000), 0.7, "")
    heard = look(monitor, ring, sound[40_000:45_999], heard)
    assert monitor.kept()[0].sound is None
    look(monitor, ring, sound[45_999:60_000], heard)
    end = 38_000 + AFTER
    np.testing.assert_array_equal(monitor.find("a-1").sound, sound[end - BEFORE - AFTER : end])  # type: ignore[union-attr]
    assert told == [("heard", "a-1"), ("sound", "a-1")]


def test_sound_that_breaks_off_is_kept_as_far_as_it_came_and_only_so_many() -> None:
    monitor, ring = Monitor(), Ring(80_000)
    look(monitor, ring, DEMO[:20_000], 0)
    for number in range(KEPT + 3):
        monitor.heard(event(number, 20_000), 0.7, "quiet hours")
    monitor.finish(ring)
    assert len(monitor.kept()) == KEPT
    assert monitor.find("a-0") is None
    np.testing.assert_array_equal(monitor.kept()[0].sound, DEMO[:20_000])  # type: ignore[arg-type]
    assert monitor.kept()[0].fields()["why_not"] == "quiet hours"


def test_the_log_is_remembered_within_bounds() -> None:
    memory = LogMemory()
    for number in range(2 * LINES):
        text = "%d " + "x" * 2 * LENGTH
        memory.emit(logging.LogRecord("wakeword", logging.INFO, "", 1, text, (number,), None))
    lines = memory.lines()
    assert len(lines) == LINES
    assert lines[-1]["text"].startswith(f"{2 * LINES - 1} x")
    assert max(len(line["text"]) for line in lines) == LENGTH


# ---- the command


def parsed(*options: str) -> argparse.Namespace:
    args: argparse.Namespace = _parser().parse_args(["web", *options])
    return args


def test_the_command_takes_words_and_page_of_a_file_and_none_of_its_actions(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.toml"
    more = '[audio]\nsource = "stdin"\n[action.a]\nkind = "command"\nrun = ["true"]\n'
    servers = '[metrics]\naddress = "127.0.0.1:0"\n[wyoming]\naddress = "127.0.0.1:0"\n'
    path.write_text(CONFIG + more + servers)
    config = config_of(parsed("--config", str(path), "--port", "7", "--host", "::1"))
    assert list(config.words) == ["computer", "jarvis"]
    assert (config.actions, config.metrics, config.wyoming) == ({}, None, None)
    assert config.actions_of("computer") == ()
    assert config.audio.source == "microphone"
    assert config.web is not None
    assert config.web.host_port == ("::1", 7)
    assert config.review is not None
    assert config_of(parsed("--config", str(path), "--device", "3")).audio.device == 3


def test_the_command_takes_bundles_and_is_off_the_network_unless_asked() -> None:
    config = config_of(parsed())
    assert list(config.words) == ["computer", "jarvis"]
    assert config.web is not None
    assert config.web.host_port == ("127.0.0.1", 10480)
    assert list(config_of(parsed("--bundle", "alexa")).words) == ["alexa"]
    assert list(config_of(parsed("--bundle", "jarvis", "--bundle", "alexa")).words) == [
        "jarvis", "alexa",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no shipped word"):
        config_of(parsed("--bundle", "nobody"))
    with pytest.raises(ConfigError, match="give both"):
        config_of(parsed("--cert", "x.pem"))


def test_a_recording_is_heard_at_the_pace_of_a_microphone_and_again() -> None:
    clock = QuickClock()
    chunks = paced(ROOT / "wakeword/demo/computer.flac", clock)
    count = -(-len(DEMO) // 480)
    heard = np.concatenate([next(chunks).samples for _ in range(count)])
    np.testing.assert_array_equal(heard, DEMO)
    assert clock.time == pytest.approx(1000 + len(DEMO) / 16_000)
    np.testing.assert_array_equal(next(chunks).samples, DEMO[:480])


def test_a_configuration_that_is_nowhere_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match="no configuration"):
        Service(None)


def test_the_command_serves_the_page_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wakeword", "web", "--port", "0", "--from"]
    process = subprocess.Popen(
        [*command, str(ROOT / "wakeword/demo/computer.flac")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            port = int(re.fullmatch(r"wakeword: web at 127.0.0.1 port (\d+)\n", line)[1])  # type: ignore[index]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S) as page:
                assert b"<title>wakeword</title>" in page.read()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert list(tmp_path.rglob("*")) == []  # nothing is left where nothing was asked for


def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tornado", None)
    monkeypatch.setitem(sys.modules, "tornado.web", None)
    assert main(["web", "--from", str(ROOT / "wakeword/demo/computer.flac"), "--port", "0"]) == 1
    assert 'pip install "wakeword[web]"' in capsys.readouterr().err
