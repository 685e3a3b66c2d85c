"""The Pi target, and deploy, against an ssh server that the test starts."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_export.deploy import deploy
from firmware_export.pi import archive_pi
from tests.firmware_cases import ROOT
from wakeword.bundle import read_bundle
from wakeword.cli import main
from wakeword.errors import ExportError

FILES = {
    "alexa.json", "alexa.tflite", "check.wav", "install.sh", "run.sh", "follow.sh", "stop.sh",
    "wakeword.service", "README.md", "requirements-aarch64.txt", "requirements-armv7l.txt",
}  # fmt: skip


def test_folder_has_all_it_takes_and_only_one_model(tmp_path: Path) -> None:
    out = tmp_path / "pi"
    assert main(["export", "alexa", "--target", "pi", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir() if p.is_file()} == FILES
    assert (out / "lib" / "wakeword" / "cli.py").is_file()
    assert not list(out.rglob("computer_jarvis*"))
    assert read_bundle(out / "alexa.json").words == ("alexa",)
    for script in out.glob("*.sh"):
        assert "@NAME@" not in script.read_text()
        subprocess.run(["sh", "-n", script], check=True)
    assert "@HOME@/run.sh" in (out / "wakeword.service").read_text()


def test_archive_is_the_folder_and_the_same_every_time(tmp_path: Path) -> None:
    bundle = read_bundle("alexa")
    content = archive_pi(bundle)
    assert content == archive_pi(bundle)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = {n.removeprefix("wakeword/") for n in archive.getnames()}
        modes = {m.name: m.mode for m in archive.getmembers()}
    assert names >= FILES
    assert modes["wakeword/install.sh"] == 0o755
    out = tmp_path / "alexa.tar.gz"
    assert main(["export", "alexa", "--target", "pi", "--out", str(out)]) == 0
    assert out.read_bytes() == content
    assert main(["export", "alexa", "--target", "pi", "--out", str(out)]) == 1
    assert main(["export", "alexa", "--target", "pi", "--out", str(out), "--force"]) == 0


def test_lists_pin_every_library_the_runtime_asks_for(tmp_path: Path) -> None:
    folder = ROOT / "firmware_export" / "templates" / "pi"
    asked = {"numpy", "pymicro-features", "soundfile", "soxr", "sounddevice"}
    for name, runtime in (("aarch64", "ai-edge-litert"), ("armv7l", "tflite-runtime")):
        lines = (folder / f"requirements-{name}.txt").read_text().splitlines()
        pins = dict(line.split(";")[0].strip().split("==") for line in lines if line[:1] != "#")
        assert asked | {runtime} <= pins.keys()
        assert all(pins.values())
    assert pins["numpy"].startswith("1.")  # what tflite-runtime was built for


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "pi@", "x;y", "", "pi@-x"])
def test_hosts_that_ssh_would_misread_are_refused(host: str) -> None:
    with pytest.raises(ExportError, match="user@host"):
        deploy(host, read_bundle("alexa"))


def test_folders_that_a_shell_would_misread_are_refused() -> None:
    with pytest.raises(ExportError, match="folder"):
        deploy("pi@host", read_bundle("alexa"), folder="a; rm -rf b")


@dataclass(frozen=True)
class Server:
    """An ssh server on this machine, and the words ssh needs for it."""

    port: int
    options: list[str]
    home: Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("no ssh server is installed; CI installs openssh-server")
    if os.getuid() != 0:
        pytest.skip("this server runs as root only: as another user it cannot set up a session")
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    (tmp_path / "authorized").write_text((tmp_path / "key.pub").read_text())
    home = tmp_path / "home"
    home.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    # A microphone that hears the demo and then nothing.
    recording = tmp_path / "demo.raw"
    from firmware_export.verify import golden_audio

    recording.write_bytes(golden_audio()["the demo"].tobytes())
    (tools / "arecord").write_text(f"#!/bin/sh\ncat {recording}\nexec sleep 60\n")
    (tools / "arecord").chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "authorized", "PidFile": tmp_path / "sshd.pid",
        "StrictModes": "no", "UsePAM": "no", "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "SetEnv": f"WAKEWORD_PYTHON={sys.executable} WAKEWORD_ARECORD=1 "
        f"PATH={tools}:{os.environ['PATH']}",
    }  # fmt: skip
    (tmp_path / "config").write_text("".join(f"{k} {v}\n" for k, v in settings.items()))
    with (tmp_path / "sshd.log").open("wb") as log:
        running = subprocess.Popen([sshd, "-D", "-e", "-f", tmp_path / "config"], stderr=log)
        options = [
            "-p", str(port), "-i", str(tmp_path / "key"), "-o", "StrictHostKeyChecking=no",
            "-o", f"UserKnownHostsFile={tmp_path / 'known'}", "-o", "BatchMode=yes",
            "-o", "LogLevel=ERROR",
        ]  # fmt: skip
        try:
            for _ in range(100):
                if (
                    subprocess.run(
                        ["ssh", *options, "root@127.0.0.1", "true"], check=False
                    ).returncode
                    == 0
                ):
                    break
                time.sleep(0.1)
            else:
                pytest.skip(
                    f"sshd does not take a login here: {(tmp_path / 'sshd.log').read_text()}"
                )
            yield Server(port, options, home)
        finally:
            running.terminate()
            running.wait()


def test_deploy_copies_installs_starts_and_shows_what_is_heard(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = server.home / "wakeword"
    bundle = read_bundle("computer_jarvis")
    try:
        code = deploy(
            "root@127.0.0.1", bundle, folder=str(folder), options=server.options, follow=False
        )
        assert code == 0
        assert "installed in" in capfd.readouterr().err
        assert (folder / "check.txt").read_text().count("computer") == 1
        follow = subprocess.Popen(
            ["ssh", *server.options, "root@127.0.0.1", f"sh {folder}/follow.sh"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follow.stdout is not None
        try:
            said = ""
            for line in follow.stdout:
                said += line
                if '"jarvis"' in line:
                    break
        finally:
            follow.terminate()
            follow.wait()
            follow.stdout.close()
        assert '"word": "computer"' in said
        # Again, over the one that runs: the old one ends, the new one starts.
        first = (folder / "service.pid").read_text()
        assert (
            deploy(
                "root@127.0.0.1", bundle, folder=str(folder), options=server.options, follow=False
            )
            == 0
        )
        assert (folder / "service.pid").read_text() != first
        state = Path(f"/proc/{first.strip()}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"
    finally:
        pid = folder / "service.pid"
        if pid.is_file():
            subprocess.run(["sh", folder / "stop.sh"], check=False)


def test_a_host_that_does_not_answer_is_named(server: Server) -> None:
    options = [*server.options, "-o", "Port=1"]
    options[1] = "1"
    with pytest.raises(ExportError, match="cannot be reached by ssh"):
        deploy("root@127.0.0.1", read_bundle("alexa"), options=options, follow=False)


def test_an_installation_that_fails_is_told(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = server.home / "broken"
    folder.mkdir()
    (folder / "check.txt").mkdir()  # where the script writes
    with pytest.raises(ExportError, match="installing on root@127"):
        deploy(
            "root@127.0.0.1",
            read_bundle("alexa"),
            folder=str(folder),
            options=server.options,
            follow=False,
        )
