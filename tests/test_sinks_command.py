"""Programs and sounds: what they are given, how long they may take, and what waits behind them."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, event, until
from wakeword.audio import read_audio
from wakeword.daemon.actions import CommandConfig, RecordingConfig, SoundConfig
from wakeword.errors import ConfigError
from wakeword.sinks.command import CommandSink
from wakeword.sinks.event import Utterance
from wakeword.sinks.recording import RecordingSink
from wakeword.sinks.sound import SoundSink, chime
from wakeword.sinks.wav import wav_bytes

SOUND = Utterance(np.arange(-500, 500, dtype=np.int16), 300, "silence")


def sink_for(*run: str, **settings: object) -> CommandSink:
    config = CommandConfig(run=run, **settings)  # type: ignore[arg-type]
    sink = CommandSink("note", config, CLOCK)
    sink.start()
    return sink


def test_a_program_gets_the_event_and_no_shell_sees_it(tmp_path: Path) -> None:
    code = (
        "import json, os, sys\n"
        "seen = {k: v for k, v in os.environ.items() if k.startswith('WAKEWORD_')}\n"
        "print(json.dumps([sys.argv[2:], seen, sys.stdin.read()]), file=open(sys.argv[1], 'w'))"
    )
    out = tmp_path / "out"
    nasty = "$(touch /tmp/x); `id` \"'"
    sink = sink_for(sys.executable, "-c", code, str(out), nasty, timeout_s=PATIENCE_S)
    sink.put(event(1, "hey; rm -rf"), None)
    sink.stop(PATIENCE_S)
    arguments, env, stdin = json.loads(out.read_text())
    assert arguments == [nasty]
    assert env["WAKEWORD_WORD"] == "hey; rm -rf"
    assert (env["WAKEWORD_ID"], env["WAKEWORD_PROB"]) == ("run-1", "0.900000")
    assert json.loads(stdin)["id"] == "run-1"
    assert (sink.delivered, sink.dropped, sink.pending) == (1, 0, 0)


def test_a_program_gets_the_command_after_the_word_as_a_wav(tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    sink = sink_for("dd", f"of={out}", "status=none", stdin="audio")
    assert sink.wants_audio
    sink.put(event(1), SOUND)
    sink.stop(PATIENCE_S)
    np.testing.assert_array_equal(read_audio(out), SOUND.samples)


def test_a_program_that_hangs_is_killed_with_its_children(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The child holds the pipe open for writing: its end is seen when the child is dead.
    sink = sink_for("sh", "-c", f"(sleep 600 > '{fifo}') & wait", timeout_s=0.5)
    sink.put(event(1), None)
    with fifo.open("rb") as pipe:
        assert pipe.read() == b""
    sink.stop(PATIENCE_S)
    assert (sink.delivered, sink.dropped) == (0, 1)
    assert "took longer than timeout_s=0.5 and was killed" in caplog.text


def test_a_program_that_does_not_read_does_not_block(tmp_path: Path) -> None:
    sink = sink_for("true", stdin="audio")
    sink.put(event(1), Utterance(np.zeros(200_000, np.int16), 0, "limit"))  # more than a pipe holds
    sink.stop(PATIENCE_S)
    assert sink.delivered == 1


def test_trouble_is_said_once_and_its_end_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flag = tmp_path / "flag"
    sink = sink_for("test", "-e", str(flag))
    for n in range(20):
        sink.put(event(n), None)
        until(lambda n=n: sink.dropped == n + 1)  # type: ignore[misc]
    flag.touch()
    sink.put(event(20), None)
    sink.stop(PATIENCE_S)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "test: ended with exit code 1; need 0" in said[0]
    assert "works again" in said[1]


def test_a_program_that_is_not_there_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sink = sink_for("/no/such/program")
    sink.put(event(1), None)
    sink.stop(PATIENCE_S)
    assert "/no/such/program: cannot be run" in caplog.text
    assert sink.dropped == 1


def test_events_beyond_those_that_may_wait_are_dropped_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sink = sink_for("dd", f"if={fifo}", "status=none", waiting=2, timeout_s=PATIENCE_S)
    sink.put(event(0), None)
    until(lambda: not sink._jobs, "the first event taken")
    caller = threading.get_ident()
    for n in range(1, 6):
        sink.put(event(n), None)  # returns although the program is stuck
    assert threading.get_ident() == caller
    assert (sink.pending, sink.dropped) == (3, 3)
    with fifo.open("wb") as first:  # lets the first one end; the others find the fifo gone
        first.write(b"x")
        fifo.unlink()
    sink.stop(PATIENCE_S)
    assert sink.delivered == 1


def test_the_service_manager_s_socket_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    sink = sink_for("sh", "-c", 'test -z "$NOTIFY_SOCKET"')
    sink.put(event(1), None)
    sink.stop(PATIENCE_S)
    assert sink.delivered == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"run": ()}, r"run=\[\]: need a program"),
        ({"run": ("a\0b",)}, "cannot hold a NUL"),
        ({"run": ("x",), "timeout_s": 0.0}, "timeout_s=0.0: need 0.1 to 600"),
        ({"run": ("x",), "stdin": "both"}, "stdin='both': need"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CommandConfig(**settings)  # type: ignore[arg-type]


def test_the_chime_is_played_by_a_player_in_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "played.wav"
    config = SoundConfig(player=("sh", "-c", f"cp \"$1\" '{out}'", "sh"))
    sink = SoundSink("chime", config, CLOCK)
    sink.start()
    sink.put(event(1), None)
    sink.stop(PATIENCE_S)
    assert sink.delivered == 1
    np.testing.assert_array_equal(read_audio(out), chime(0.3))
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)


def test_the_chime_is_short_and_never_clips() -> None:
    loud = chime(1.0)
    assert len(loud) < 16_000 // 4
    assert 32_000 < np.abs(loud.astype(int)).max() <= 32_767
    assert loud[0] == loud[-1] == 0


def test_commands_are_kept_whole_and_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    long = Utterance(np.ones(200_000, np.int16), 24_000, "limit")  # 0.4 MB each
    sink = RecordingSink("keep", RecordingConfig(folder=str(folder), limit_mb=1.0), CLOCK)
    sink.start()
    for n in range(4):
        sink.put(event(n), long)
        until(lambda n=n: sink.delivered == n + 1)  # type: ignore[misc]
        os.utime(folder / f"run-{n}.wav", (n, n))
    sink.stop(PATIENCE_S)
    assert {p.name for p in folder.iterdir()} == {
        "run-2.wav", "run-2.json", "run-3.wav", "run-3.json",
    }  # fmt: skip
    assert (folder / "run-3.wav").read_bytes() == wav_bytes(long.samples)
    note = json.loads((folder / "run-3.json").read_text())
    assert (note["id"], note["word_end"], note["ended"]) == ("run-3", 24_000, "limit")
