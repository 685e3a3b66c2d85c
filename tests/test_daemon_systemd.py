"""The unit file under a real systemd: ready, reload, watchdog, restart, sandbox, stop.

systemd runs as process 1 of namespaces of its own, with nothing but this unit, on a root that is
read-only and tmpfs where it writes; all of it ends with the test. That takes root, on Linux.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.daemon_kit import PATIENCE_S, until
from wakeword.daemon.command import UNIT

ROOT = Path(__file__).parents[1]
SYSTEMD = Path("/lib/systemd/systemd")
PYTHON = "/usr/bin/python3"  # one that a user without rights may run
TARGETS = ("sysinit", "basic", "shutdown", "sound", "network-online", "umount", "final", "exit")
WATCHDOG_S = 6
INSIDE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/t /mnt/src /mnt/site
mount --bind "$FOLDER" /mnt/t
mount --bind "$SRC" /mnt/src
mount --bind "$SITE" /mnt/site
mount -o remount,bind,ro /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for folder in /run /opt /tmp /var/lib /var/cache /var/log; do mount -t tmpfs tmpfs $folder; done
mkdir -p /opt/wakeword/bin
printf '#!/bin/sh\\nPYTHONPATH=/mnt/src:/mnt/site exec %s -m wakeword "$@"\\n' "$PYTHON" \
    > /opt/wakeword/bin/wakeword
chmod 755 /opt/wakeword /opt/wakeword/bin /opt/wakeword/bin/wakeword
export container=test SYSTEMD_UNIT_PATH=/mnt/t/units
exec "$SYSTEMD" --system --unit=test.target --show-status=0
"""
OVERRIDE = f"""
[Service]
StandardInput=file:/mnt/t/sound
StandardOutput=append:/mnt/t/log
StandardError=append:/mnt/t/log
Environment=PYTHONDONTWRITEBYTECODE=1
WatchdogSec={WATCHDOG_S}
RestartSec=0
"""
CONFIG = '[audio]\nsource = "stdin"\n[word.computer]\n'


def why_not() -> str | None:
    """Say what is missing to run these tests, if anything is."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs root, on Linux"
    if not SYSTEMD.exists() or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "systemd or util-linux is not installed"
    ours = ".".join(map(str, sys.version_info[:2]))
    told = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=False)
    if f" {ours}." not in told.stdout:
        return f"{PYTHON} is no Python {ours}"
    if cgroup_root() is None:
        return "no cgroups of version 2 that may be written"
    return None


def cgroup_root() -> Path | None:
    """Find where a cgroup of our own can be made."""
    for folder in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (folder / "cgroup.procs").is_file() and (folder / "cgroup.controllers").is_file():
            return folder if os.access(folder, os.W_OK) else None
    return None


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


class Machine:
    """A systemd with one service, and a microphone that can be held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "w.toml"
        self.config.write_text(CONFIG)
        self._write_units(folder / "units")
        os.mkfifo(folder / "sound")
        (folder / "sound").chmod(0o666)
        (folder / "log").touch()
        (folder / "log").chmod(0o666)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
        root = cgroup_root()
        assert root is not None
        self.cgroup = root / f"test-of-wakeword-{os.getpid()}"
        self.cgroup.mkdir()
        self.speaking = threading.Event()
        self._ended = threading.Event()
        self._speaker = threading.Thread(target=self._speak)
        self._speaker.start()
        self._unshare = subprocess.Popen(
            [
                "sh", "-c", 'echo $$ > "$0"/cgroup.procs; exec unshare --mount --pid --fork '
                '--cgroup --ipc --uts --kill-child=KILL sh -c "$1"', str(self.cgroup), INSIDE,
            ],
            env={
                **os.environ, "FOLDER": str(folder), "SRC": str(ROOT), "PYTHON": PYTHON,
                "SITE": sysconfig.get_paths()["purelib"], "SYSTEMD": str(SYSTEMD),
            },
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def _write_units(self, units: Path) -> None:
        (units / "wakeword.service.d").mkdir(parents=True)
        text = UNIT.read_text().replace("/etc/wakeword/wakeword.toml", "/mnt/t/w.toml")
        (units / "wakeword.service").write_text(text)
        (units / "wakeword.service.d" / "test.conf").write_text(OVERRIDE)
        bare = "[Unit]\nDescription=Nothing\nDefaultDependencies=no\n"
        for name in TARGETS:
            (units / f"{name}.target").write_text(bare)
        (units / "test.target").write_text(bare + "Wants=wakeword.service\n")

    def _speak(self) -> None:
        """Be a microphone in a quiet room, for as long as somebody speaks."""
        hiss = np.random.default_rng(5).normal(0, 20, 480).astype("<i2").tobytes()
        handle = os.open(self.folder / "sound", os.O_RDWR | os.O_NONBLOCK)
        while not self._ended.wait(0.03):
            if self.speaking.is_set():
                with contextlib.suppress(BlockingIOError):
                    os.write(handle, hiss)
        os.close(handle)

    def init(self) -> str | None:
        """Find systemd's number among our processes."""
        path = self.cgroup / "init.scope" / "cgroup.procs"
        numbers = path.read_text().split() if path.exists() else []
        return numbers[0] if numbers else None

    def ctl(self, *arguments: str) -> str:
        """Ask systemctl."""
        number = self.init()
        assert number is not None
        spaces = ["nsenter", "-t", number, "-m", "-p", "-C", "-i", "-u"]
        done = subprocess.run(
            [*spaces, "systemctl", "--no-pager", *arguments],
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        return done.stdout + done.stderr

    def shows(self, **wanted: str) -> bool:
        """Tell whether the service's properties are such."""
        told = self.ctl("show", "wakeword", *(f"-p{name}" for name in wanted))
        found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        return found == wanted

    def main(self) -> Path:
        """The folder in /proc of the daemon."""
        path = self.cgroup / "system.slice" / "wakeword.service" / "cgroup.procs"
        return Path("/proc") / path.read_text().split()[0]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        self._ended.set()
        self._speaker.join(PATIENCE_S)
        self._unshare.kill()
        self._unshare.communicate(timeout=PATIENCE_S)
        for path in sorted(self.cgroup.rglob("*"), reverse=True):
            if path.is_dir():
                until(lambda path=path: removed(path))  # type: ignore[misc]
        until(lambda: removed(self.cgroup))


def removed(cgroup: Path) -> bool:
    """Remove a cgroup, whose last process may not be gone yet."""
    with contextlib.suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        until(lambda: machine._unshare.poll() is not None or machine.init())
        if machine._unshare.poll() is not None and machine._unshare.stderr is not None:
            pytest.skip(f"no systemd of our own: {machine._unshare.stderr.read().decode()[-200:]}")
        yield machine
    finally:
        machine.close()


def test_the_unit_is_ready_reloads_is_watched_and_restarted_in_its_sandbox(
    machine: Machine,
) -> None:
    until(lambda: "listening for: computer" in machine.log(), "start")
    assert machine.shows(ActiveState="activating")  # no sound: not ready
    machine.speaking.set()
    until(lambda: machine.shows(ActiveState="active", StatusText="listening for computer"))
    status = (machine.main() / "status").read_text()
    assert re.search(r"^Uid:\t(?!0\t)(\d+)\t\1\t\1\t\1$", status, re.MULTILINE)
    for fact in ("CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert fact in status
    # A reload that is wrong, and one that is right.
    machine.config.write_text("[word.nothing]\n")
    machine.ctl("reload", "wakeword")
    until(lambda: "configuration stays as it was" in machine.log())
    machine.config.write_text(CONFIG + "[word.jarvis]\n")
    machine.ctl("reload", "wakeword")
    until(lambda: machine.shows(StatusText="listening for computer, jarvis", NRestarts="0"))
    # The microphone hangs without saying so: the watchdog ends the daemon, systemd starts it anew.
    machine.speaking.clear()
    until(lambda: machine.shows(NRestarts="1", ActiveState="activating"), "watchdog")
    machine.speaking.set()
    until(lambda: machine.shows(NRestarts="1", ActiveState="active"))
    # kill -9
    os.kill(int(machine.main().name), 9)
    until(lambda: machine.shows(NRestarts="2", ActiveState="active"))
    machine.ctl("stop", "wakeword")
    until(lambda: machine.shows(ActiveState="inactive", Result="success"))
    assert len(re.findall(r"stopped after \d+ s of sound", machine.log())) == 1
