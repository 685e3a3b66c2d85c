"""The command line: what it prints where, its exit codes, and what it refuses."""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wakeword import Detector, cli, commands, devices, microphone
from wakeword.bundle import read_bundle, write_bundle
from wakeword.meter import Meter, level_db
from wakeword.sources import Chunk
from wakeword.tables import describe

ROOT = Path(__file__).parents[1]
TINY = str(ROOT / "tests" / "data" / "tiny_step.json")

# With that variable Python flushes by itself, and hides what we forget.
BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


def bursts() -> NDArray[np.int16]:
    """Noise and silence in turn: the tiny model, of random weights, fires on some of it."""
    rng = np.random.default_rng(0)
    parts = [
        np.r_[rng.standard_normal(4000) * level, np.zeros(4000)]
        for level in (3000, 8000, 1000, 12_000, 500, 5000)
    ]
    return np.concatenate(parts).astype(np.int16)


AUDIO = bursts()


def expected(audio: NDArray[np.int16] = AUDIO, **settings: Any) -> list[tuple[str, int]]:
    """What the detector itself hears."""
    detector = Detector.load(TINY, **settings)
    return [(d.word, d.sample_index) for d in detector.feed(audio) + detector.finish()]


@pytest.fixture
def wav(tmp_path: Path) -> str:
    path = tmp_path / "a.wav"
    soundfile.write(str(path), AUDIO, 16_000)
    return str(path)


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def heard(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["word"], row["sample"]) for row in rows]


def usage_error(*arguments: str) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2


# ---- detect


def test_the_recording_has_something_to_hear() -> None:
    assert {word for word, _ in expected()} == {"yes", "no"}


def test_detect_prints_time_word_and_score(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["detect", "--model", TINY, wav]) == 0
    out, err = capsys.readouterr()
    words = [(f[2], round(float(f[0]) * 100), f[1]) for f in map(str.split, out.splitlines())]
    assert words == [(word, round(n / 160), "s") for word, n in expected()]
    assert all(0 <= float(line.split()[3]) <= 1 for line in out.splitlines())
    assert err == ""


def test_detect_prints_json(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["detect", "--json", "-m", TINY, wav]) == 0
    rows = json_lines(capsys.readouterr().out)
    assert heard(rows) == expected()
    assert all(row["file"] == wav and row["time_s"] == row["sample"] / 16_000 for row in rows)
    assert all(0 <= row["prob"] <= 1 for row in rows)


def test_each_file_is_heard_from_a_fresh_start(
    wav: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["detect", "--json", "-m", TINY, wav, wav]) == 0
    assert heard(json_lines(capsys.readouterr().out)) == expected() * 2


def test_lines_of_several_files_name_theirs(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["detect", "-m", TINY, wav, wav])
    assert all(line.startswith(f"{wav}: ") for line in capsys.readouterr().out.splitlines())


def test_a_bad_file_is_one_line_and_does_not_stop_the_others(
    wav: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no audio here")
    bad = [str(tmp_path / "text.wav"), str(tmp_path / "gone.wav")]
    assert cli.main(["detect", "--json", "-m", TINY, bad[0], wav, bad[1]]) == 1
    out, err = capsys.readouterr()
    assert heard(json_lines(out)) == expected()
    assert [line.split(": ")[:2] for line in err.splitlines()] == [["wakeword", b] for b in bad]


def test_a_chosen_channel_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "stereo.wav")
    soundfile.write(path, np.stack([np.zeros_like(AUDIO), AUDIO], 1), 16_000)
    cli.main(["detect", "--json", "-m", TINY, "--channel", "1", path])
    assert heard(json_lines(capsys.readouterr().out)) == expected()
    assert cli.main(["detect", "-m", TINY, "--channel", "2", path]) == 1
    assert "choose 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "thresholds"),
    [
        (["0.97"], {"yes": 0.97, "no": 0.97}),
        (["no=0.97"], {"no": 0.97}),
        (["0.97", "no=0.5"], {"yes": 0.97, "no": 0.5}),
    ],
)
def test_thresholds_replace_the_bundles(
    wav: str,
    options: list[str],
    thresholds: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [part for option in options for part in ("--threshold", option)]
    assert cli.main(["detect", "--json", "-m", TINY, *arguments, wav]) == 0
    want = expected(thresholds=thresholds)
    assert want != expected()
    assert heard(json_lines(capsys.readouterr().out)) == want


def test_bad_thresholds_are_refused(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    usage_error("detect", "--threshold", "loud", wav)
    assert cli.main(["detect", "-m", TINY, "--threshold", "1.5", wav]) == 1
    assert cli.main(["detect", "-m", TINY, "--threshold", "maybe=0.5", wav]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "maybe" in last
    assert "yes" in last


def test_another_runtime_is_taken_or_refused(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["detect", "-m", TINY, "--runtime", "numpy", "--json", wav]) == 0
    assert heard(json_lines(capsys.readouterr().out)) == expected(runtime="numpy")
    assert cli.main(["detect", "-m", TINY, "--runtime", "abacus", wav]) == 1
    assert "abacus" in capsys.readouterr().err


def test_without_a_model_the_shipped_one_is_taken(
    wav: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped: dict[str, Path] = {"computer_jarvis": Path(TINY), "aaa": Path("elsewhere.json")}
    monkeypatch.setattr(commands, "shipped", lambda: shipped)
    monkeypatch.setattr("wakeword.bundle.shipped", lambda: shipped)
    assert cli.main(["detect", "--json", wav]) == 0
    assert heard(json_lines(capsys.readouterr().out)) == expected()
    shipped.clear()
    assert cli.main(["detect", wav]) == 1
    assert "no model came with this installation" in capsys.readouterr().err
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out == ""


# ---- score


def test_score_prints_every_step(wav: str, capsys: pytest.CaptureFixture[str]) -> None:
    detector = Detector.load(TINY)
    rows, indices = detector.scores(np.concatenate([AUDIO, np.zeros(8000, np.int16)]))
    assert cli.main(["score", "-m", TINY, wav]) == 0
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert table[0] == ["sample", "time_s", "yes", "no"]
    np.testing.assert_array_equal([int(r[0]) for r in table[1:]], indices)
    # six decimals are printed
    np.testing.assert_allclose([[float(p) for p in r[2:]] for r in table[1:]], rows, atol=6e-7)
    assert cli.main(["score", "--json", "-m", TINY, wav]) == 0
    printed = json_lines(capsys.readouterr().out)
    assert [r["sample"] for r in printed] == indices.tolist()
    np.testing.assert_allclose([list(r["probs"].values()) for r in printed], rows, atol=6e-7)


def test_a_picture_is_never_overwritten_without_force(
    wav: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    picture.write_text("precious")
    arguments = ["score", "-m", TINY, wav, "--plot", str(picture)]
    assert cli.main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert picture.read_text() == "precious"
    assert cli.main([*arguments, "--force"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == ""
    assert cli.main(["score", "-m", TINY, wav, "--plot", str(tmp_path / "no" / "a.png")]) == 1
    assert "no such folder" in capsys.readouterr().err
    usage_error(*arguments, "--json")


# ---- listen


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Raw samples of the recording on standard input."""
    buffer = io.BytesIO(AUDIO.astype("<i2").tobytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
    return buffer


@pytest.mark.usefixtures("stdin")
def test_listen_hears_raw_samples_on_stdin(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["listen", "--stdin", "--json", TINY]) == 0
    out, err = capsys.readouterr()
    assert heard(json_lines(out)) == expected()
    assert all(row["at"].endswith("+00:00") for row in json_lines(out))
    assert err == "wakeword: listening for: yes, no; Ctrl-C stops\n"


@pytest.mark.usefixtures("stdin")
def test_quiet_leaves_only_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["listen", "--stdin", "-q", TINY]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(expected())
    assert err == ""


def test_stdin_and_a_device_exclude_each_other() -> None:
    usage_error("listen", "--stdin", "--device", "usb", TINY)
    usage_error("listen", "--stdin", "--channel", "0", TINY)


class FakeMicrophone:
    """Gives prepared chunks, and remembers what it was asked for."""

    chunks: Iterator[Chunk]
    asked: dict[str, Any]

    def __init__(self, device: int | str | None, **settings: Any) -> None:
        type(self).asked = {"device": device, **settings}

    def __iter__(self) -> Iterator[Chunk]:
        return type(self).chunks


@pytest.fixture
def mic(monkeypatch: pytest.MonkeyPatch) -> type[FakeMicrophone]:
    monkeypatch.setattr(microphone, "Microphone", FakeMicrophone)
    return FakeMicrophone


def test_times_go_on_over_drops_and_a_device_that_returned(
    mic: type[FakeMicrophone], capsys: pytest.CaptureFixture[str]
) -> None:
    mic.chunks = iter(
        [Chunk(AUDIO, dropped=160), Chunk(AUDIO, restarted=True), Chunk(AUDIO[:160], dropped=1600)]
    )
    assert cli.main(["listen", "--json", TINY]) == 0
    rows = json_lines(capsys.readouterr().out)
    detector = Detector.load(TINY)
    alone = [(d.word, d.sample_index) for d in detector.feed(AUDIO)]
    start = 160 + len(AUDIO)
    want = [(w, n + 160) for w, n in alone] + [(w, n + start) for w, n in alone]
    assert heard(rows)[: len(want)] == want


@pytest.mark.parametrize(("given", "meant"), [("2", 2), ("usb mic", "usb mic"), (None, None)])
def test_options_reach_the_microphone(
    mic: type[FakeMicrophone], given: str | None, meant: int | str | None
) -> None:
    mic.chunks = iter([])
    device = [] if given is None else ["--device", given]
    assert cli.main(["listen", *device, "--rate", "8000", "--channel", "1", TINY]) == 0
    assert mic.asked == {"device": meant, "rate_hz": 8000, "channel": 1}


def test_ctrl_c_is_130_and_silent(
    mic: type[FakeMicrophone], capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> Iterator[Chunk]:
        yield Chunk(AUDIO)
        raise KeyboardInterrupt

    mic.chunks = interrupted()
    assert cli.main(["listen", "-q", "--json", TINY]) == 130
    out, err = capsys.readouterr()
    assert out
    assert err == ""


def test_a_terminal_gets_a_meter_that_detections_do_not_run_into(
    mic: type[FakeMicrophone], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    mic.chunks = iter([Chunk(AUDIO[:16_000]), Chunk(AUDIO[16_000:])])
    assert cli.main(["listen", TINY]) == 0
    assert "mic " in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "mic" not in capsys.readouterr().out


def test_a_detection_is_flushed_while_the_stream_goes_on() -> None:
    command = [sys.executable, "-m", "wakeword", "listen", "--stdin", "--json", TINY]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=BUFFERED, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(AUDIO.astype("<i2").tobytes())
        process.stdin.flush()
        watchdog = threading.Timer(20, process.kill)  # else a line held back would hang the test
        watchdog.start()
        line = process.stdout.readline()  # stdin is still open: not the end's flush
        process.communicate()
        watchdog.cancel()
    first = json.loads(line)
    assert (first["word"], first["sample"]) == expected()[0]
    assert process.returncode == 0


# ---- devices, models, info


def fake_devices(monkeypatch: pytest.MonkeyPatch, listed: list[dict[str, Any]]) -> None:
    def query(kind: str | None = None) -> Any:
        return {"index": 1} if kind else listed

    fake = SimpleNamespace(
        query_hostapis=lambda: [{"name": "ALSA"}], query_devices=query, PortAudioError=OSError
    )
    monkeypatch.setattr(devices, "load_sounddevice", lambda: fake)


@pytest.mark.parametrize("command", [["devices"], ["listen", "--list-devices"]])
def test_devices_lists_what_can_record(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"hostapi": 0, "default_samplerate": 48_000.0}
    fake_devices(
        monkeypatch,
        [
            {"name": "Speaker", "max_input_channels": 0, **common},
            {"name": "USB Mic", "max_input_channels": 2, **common},
        ],
    )
    assert cli.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "USB", "Mic", "ALSA", "2", "48000", "default"]
    ]
    assert cli.main([*command, "--json"]) == 0
    assert json_lines(capsys.readouterr().out) == [
        {
            "index": 1,
            "name": "USB Mic",
            "api": "ALSA",
            "channels": 2,
            "rate_hz": 48_000,
            "default": True,
        }
    ]


def test_devices_without_any_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_devices(monkeypatch, [])
    assert cli.main(["devices"]) == 0
    assert "plug in a microphone" in capsys.readouterr().err


def test_models_lists_the_shipped_bundles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "shipped", lambda: {"tiny_step": Path(TINY)})
    size = Path(TINY).with_suffix(".tflite").stat().st_size
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "tiny_step",
        "yes,",
        "no",
        str(size),
        TINY,
    ]
    assert cli.main(["models", "--json"]) == 0
    assert json_lines(capsys.readouterr().out) == [
        {"name": "tiny_step", "words": ["yes", "no"], "bytes": size, "path": TINY}
    ]


@pytest.fixture
def rich_bundle(tmp_path: Path) -> Path:
    """The tiny bundle with an operating point, and a ledger entry that attacks the terminal."""
    tiny = read_bundle(TINY)
    point = {
        "threshold": 0.8,
        "frr": 0.0125,
        "frr_low": 0.0026,
        "frr_high": 0.0361,
        "misses": 3,
        "clips": 240,
        "fa_per_hour": 0.25,
        "fa_low": 0.0682,
        "fa_high": 0.6401,
        "false_alarms": 4,
        "hours": 16.0,
        "set": "test",
    }
    entry = {
        "name": "clips\x1b[2J\nfake: line",
        "source": "example.org",
        "licence": "CC0",
        "clips": 240,
        "hours": 0.2,
        "used_for": "test",
    }
    write_bundle(
        tmp_path / "rich",
        model=tiny.model_bytes,
        words=tiny.words,
        stride=tiny.stride,
        kernel=tiny.kernel,
        inputs=tiny.inputs,
        outputs=tiny.outputs,
        decision=tiny.decision,
        operating_points={"yes": [point]},
        training={"seed": 1},
        ledger=[entry],
    )
    return tmp_path / "rich.json"


def test_info_shows_rates_with_their_intervals_and_what_is_behind(
    rich_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", str(rich_bundle)]) == 0
    out = capsys.readouterr().out
    for part in (
        "every 30 ms (3 hops), seeing 6 frames",
        "0.8",
        "1.25 %  0.26 to 3.61 %  3 of 240",
        "0.250    0.068 to 0.640  4 in 16.0 h",
        "CC0",
        read_bundle(rich_bundle).sha256,
    ):
        assert part in out
    assert "none were measured" not in out


def test_info_lets_no_control_character_through(
    rich_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["info", str(rich_bundle)])
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert not any(line.startswith("fake") for line in out.splitlines())


def test_info_as_json_carries_the_same(
    rich_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", "--json", str(rich_bundle)]) == 0
    (shown,) = json_lines(capsys.readouterr().out)
    bundle = read_bundle(rich_bundle)
    assert shown["words"] == ["yes", "no"]
    assert shown["operating_points"] == {"yes": [dict(bundle.operating_points["yes"][0])]}
    assert shown["training"] == {"seed": 1}
    assert shown["decision"]["yes"]["threshold"] == bundle.decision["yes"].threshold


def test_info_of_an_unmeasured_bundle_says_so() -> None:
    assert "Operating points: none were measured" in describe(read_bundle(TINY))


def test_info_of_nothing_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(tmp_path / "none.json")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("wakeword: ")
    assert len(err.splitlines()) == 1


# ---- the program as a whole


def test_wrong_usage_is_2() -> None:
    usage_error()
    usage_error("frobnicate")
    usage_error("detect")


def test_logging_leaves_nothing_behind(wav: str) -> None:
    log = logging.getLogger("wakeword")
    before = (log.level, list(log.handlers))
    cli.main(["detect", "-m", TINY, "-q", wav])
    assert (log.level, list(log.handlers)) == before


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(str(path), np.tile(AUDIO, 40), 16_000)  # 360 kB of JSON, more than a pipe holds
    command = [sys.executable, "-m", "wakeword", "score", "--json", "-m", TINY, str(path)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=BUFFERED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_disk_is_one_line_and_exit_code_1(wav: str) -> None:
    command = [sys.executable, "-m", "wakeword", "score", "-m", TINY, wav]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=BUFFERED,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_detect_needs_less_than_100_mb_and_no_picture_library(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(str(path), np.tile(AUDIO, 100), 16_000)  # 5 minutes
    code = (
        "import sys; from wakeword.cli import main; from pathlib import Path\n"
        f"code = main(['detect', '-m', {TINY!r}, {str(path)!r}])\n"
        "peak, = [l for l in Path('/proc/self/status').read_text().splitlines() if 'VmHWM' in l]\n"
        "print(peak.split()[1], file=sys.stderr)\n"
        "assert not {'matplotlib', 'scipy', 'sounddevice'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) < 100_000  # kB; 57,000 were measured with LiteRT 2.3


@pytest.fixture
def sibling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A sibling package with a command line, in place of the real ones."""
    package = tmp_path / "some_sibling"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    train = cli.Sibling("some_sibling.cli", "train", (), "train a word")
    monkeypatch.setattr(cli, "SIBLINGS", {"train": train})
    yield package / "cli.py"
    for name in ("some_sibling", "some_sibling.cli"):
        sys.modules.pop(name, None)


def commands_listed() -> set[str]:
    """Names of the commands in the help."""
    (subparsers,) = (
        action
        for action in cli._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return set(subparsers.choices)


def test_a_siblings_command_is_not_listed_where_it_is_not_installed(sibling: Path) -> None:
    assert "train" not in commands_listed()
    usage_error("train")
    sibling.touch()
    assert "train" in commands_listed()


def test_a_siblings_command_gets_all_arguments_and_returns_its_code(
    sibling: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sibling.write_text("def main(argv):\n    print(argv)\n    return 7\n")
    assert cli.main(["train", "--help", "x"]) == 7
    assert capsys.readouterr().out == "['train', '--help', 'x']\n"


def test_a_library_left_out_names_its_extra(
    sibling: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sibling.write_text("def main(argv):\n    import tensorflow_that_is_not_there.x\n")
    assert cli.main(["train"]) == 1
    assert capsys.readouterr().err == (
        "wakeword: train needs tensorflow_that_is_not_there, which is not installed: "
        'pip install "wakeword[train]"\n'
    )


def test_a_library_left_out_is_noticed_before_the_work_but_help_is_given(
    sibling: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sibling.write_text("def main(argv):\n    print('at work')\n    return 0\n")
    needy = cli.Sibling("some_sibling.cli", "train", ("json", "no_such_library"), "train a word")
    monkeypatch.setattr(cli, "SIBLINGS", {"train": needy})
    assert cli.main(["train"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert 'train needs no_such_library, which is not installed: pip install "wakeword[t' in err
    assert cli.main(["train", "--help"]) == 0
    assert capsys.readouterr().out == "at work\n"


def test_every_sibling_names_an_extra_that_exists() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.split("[project.optional-dependencies]\n")[1].split("\n[")[0]
    for sibling in cli.SIBLINGS.values():
        assert f"\n{sibling.extra} = [" in f"\n{extras}"


# ---- the meter


def test_the_meter_shows_level_scores_and_thresholds() -> None:
    meter = Meter(io.StringIO(), {"yes": 0.5, "no": 0.9}, width=lambda: 200)
    meter.update(np.full(100, 3277, np.int16), np.array([0.0, 1.0], np.float32))
    line = meter.line()
    assert "-20 dB" in line  # a tenth of full scale
    assert "yes ......|..... 0.00" in line.replace("░", ".").replace("│", "|")
    assert "no ##########|# 1.00" in line.replace("█", "#").replace("│", "|")


def test_the_meter_draws_ten_times_a_second_and_keeps_the_peak_between() -> None:
    out = io.StringIO()
    meter = Meter(out, {"yes": 0.5}, width=lambda: 200)
    for i in range(100):  # one second in chunks of 10 ms
        prob = 0.9 if i == 3 else 0.1
        meter.update(np.zeros(160, np.int16), np.array([prob], np.float32))
    drawings = out.getvalue().split("\r\x1b[K")[1:]
    assert len(drawings) == 10
    assert [d[-4:] for d in drawings] == ["0.90"] + ["0.10"] * 9


@pytest.mark.parametrize("width", [0, 1, 10, 40])
def test_the_meter_never_fills_the_last_column(width: int) -> None:
    meter = Meter(io.StringIO(), {"a long word": 0.5, "another": 0.5}, width=lambda: width)
    assert len(meter.line()) <= max(0, width - 1)


def test_the_meter_draws_ascii_where_nothing_else_goes() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    meter = Meter(out, {"yes": 0.5}, width=lambda: 100)
    meter.update(np.zeros(1600, np.int16), np.array([0.2], np.float32))
    assert meter.line().isascii()


def test_silence_has_a_finite_level() -> None:
    assert level_db(0.0) == -70.0


def test_runtime_chatter_is_held_back_but_not_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    from wakeword.quiet import quiet_runtime

    with quiet_runtime():
        os.write(2, b"INFO: Created a delegate\nWARNING: it is hot\n")
    os.write(2, b"INFO: after\n")
    assert capfd.readouterr().err == "WARNING: it is hot\nINFO: after\n"
