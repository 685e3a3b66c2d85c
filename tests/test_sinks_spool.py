"""The queue on disk: order, bounds, a full disk, and kill -9 at every step of a write."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wakeword.errors import ConfigError, WakewordError
from wakeword.sinks.spool import MAX_BYTES, Spool

ROOT = Path(__file__).parents[1]


def drain(spool: Spool) -> list[bytes]:
    found = []
    while (first := spool.first()) is not None:
        found.append(first[1])
        spool.done(first[0])
    return found


def test_entries_come_out_in_order_and_survive_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "q", keep=10)
    for n in range(5):
        assert spool.put(b"%d" % n) == 0
    spool.done(1)
    spool.close()
    again = Spool(tmp_path / "q", keep=10)
    again.put(b"5")
    assert len(again) == 5
    assert drain(again) == [b"1", b"2", b"3", b"4", b"5"]
    again.close()


def test_the_oldest_goes_when_there_are_too_many(tmp_path: Path) -> None:
    spool = Spool(tmp_path, keep=3)
    assert [spool.put(b"%d" % n) for n in range(5)] == [0, 0, 0, 1, 1]
    assert drain(spool) == [b"2", b"3", b"4"]
    assert [p.name for p in tmp_path.iterdir()] == ["lock"]
    spool.close()


def test_what_is_no_entry_is_left_alone_and_halves_are_removed(tmp_path: Path) -> None:
    (tmp_path / "000000000007.part").write_bytes(b"ha")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "000000000003.entry").write_bytes(b"")  # a file system that lost its content
    (tmp_path / "000000000004.entry").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "000000000005.entry").write_bytes(b"whole")
    spool = Spool(tmp_path, keep=10)
    assert drain(spool) == [b"whole"]
    assert {p.name for p in tmp_path.iterdir()} == {"lock", "notes.txt"}
    spool.close()


def test_two_daemons_do_not_share_a_queue(tmp_path: Path) -> None:
    spool = Spool(tmp_path, keep=10)
    with pytest.raises(ConfigError, match=r"another daemon uses it; stop that one"):
        Spool(tmp_path, keep=10)
    spool.close()
    Spool(tmp_path, keep=10).close()


def test_an_entry_that_is_too_long_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path, keep=10)
    with pytest.raises(WakewordError, match=f"need at most {MAX_BYTES}"):
        spool.put(b"x" * (MAX_BYTES + 1))
    assert len(spool) == 0
    spool.close()


# Dies by SIGKILL within the STEP-th call of the system that the third put makes.
KILLED = """
import os, signal, sys
from pathlib import Path
from wakeword.sinks import spool as module
folder, step = Path(sys.argv[1]), int(sys.argv[2])
spool = module.Spool(folder, keep=10)
for n in (1, 2):
    spool.put(b"entry %d" % n)
    print(n, flush=True)
calls = 0
def deadly(real, half=None):
    def call(*args):
        global calls
        calls += 1
        if calls == step:
            if half is not None:
                half(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    return call
write = os.write
os.write = deadly(os.write, half=lambda handle, data: write(handle, data[:4]))
os.open, os.fsync, os.close = deadly(os.open), deadly(os.fsync), deadly(os.close)
Path.rename = deadly(Path.rename)
spool.put(b"entry 3")
print(3, flush=True)
print("steps", calls, flush=True)
"""


def killed(folder: Path, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(step)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_kill_9_at_any_step_of_a_write_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    whole = killed(tmp_path / "whole", 0)
    steps = int(whole.stdout.split()[-1])
    assert steps >= 7, whole.stderr  # open, write, fsync, close, rename; open, fsync, close
    kept = set()
    for step in range(1, steps + 1):
        folder = tmp_path / str(step)
        done = killed(folder, step)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert done.stdout.split() == ["1", "2"]
        spool = Spool(folder, keep=10)
        found = drain(spool)
        assert found[:2] == [b"entry 1", b"entry 2"]
        assert found[2:] in ([], [b"entry 3"])  # whole, or not at all
        kept.add(len(found))
        assert [p.name for p in folder.iterdir()] == ["lock"]
        spool.close()
    assert kept == {2, 3}


def test_kill_9_at_random_moments_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from wakeword.sinks.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), keep=100_000); n = 0\n"
        "while True:\n"
        "    n += 1; spool.put(b'entry %d' % n); sys.stdout.write(f'{n}\\n'); sys.stdout.flush()\n"
    )
    for lines in (1, 3, 10, 37, 101):
        folder = tmp_path / str(lines)
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(lines):
            writer.stdout.readline()
        writer.kill()  # within one of the next writes
        promised = lines + len(writer.stdout.read().split())
        writer.stdout.close()
        writer.wait()
        spool = Spool(folder, keep=100_000)
        found = drain(spool)
        spool.close()
        assert found == [b"entry %d" % n for n in range(1, len(found) + 1)]
        assert len(found) in (promised, promised + 1)


def test_a_full_disk_changes_nothing_and_is_no_end(small_disk: Path) -> None:
    spool = Spool(small_disk / "q", keep=100_000)
    entry = b"x" * 4000

    def fill() -> None:
        for _ in range(100):
            spool.put(entry)

    with pytest.raises(OSError, match="No space left"):
        fill()
    count = len(spool)
    assert 5 < count < 20
    assert not list((small_disk / "q").glob("*.part"))
    first = spool.first()
    assert first is not None
    assert first[1] == entry
    spool.done(first[0])
    spool.put(entry)  # there is room again
    assert drain(spool) == [entry] * count
    spool.close()
