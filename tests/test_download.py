"""Downloads and the voices they fetch, from a server of our own: nothing leaves this machine."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.cli import main
from wakeword_train.download import DownloadError, check_file, download, home
from wakeword_train.synth.fetch import KOKORO, fetch, kokoro_files, piper_files

CONTENT = np.random.default_rng(1).bytes(700_001)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /file; how well is up to the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/file": CONTENT}
        self.ranges = True  # whether it understands Range
        self.cut: list[int] = []  # bytes after which to break off, one answer each
        self.codes: list[int] = []  # answers with these first
        self.length = True  # whether it says how long the file is
        self.asked: list[str] = []  # the Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: a client that leaves is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the server was told."""

    server: Server

    def do_GET(self) -> None:
        told = self.server
        told.asked.append(self.headers.get("Range", ""))
        if told.codes:
            self.send_error(told.codes.pop(0))
            return
        content = told.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        if told.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", told.asked[-1])):
            start = int(asked[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        if told.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if told.cut:
            self.wfile.write(body[: told.cut.pop(0)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def no_wait(_: float) -> None:
    """Try again at once."""


def only(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_arrives_whole_and_under_its_name_alone(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = tmp_path / "deep" / "file"
    assert download(server.url, path, digest=SHA256, progress=lambda *x: seen.append(x))
    assert path.read_bytes() == CONTENT
    assert only(path.parent) == ["file"]
    assert seen[0] == ("file", 0, len(CONTENT))
    assert seen[-1] == ("file", len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert not download(server.url, path, digest=SHA256)
    assert server.asked == []


def test_another_file_of_that_name_is_replaced_by_force_only(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(DownloadError, match="--force"):
        download(server.url, path, digest=SHA256)
    assert path.read_bytes() == b"mine"
    assert download(server.url, path, digest=SHA256, force=True)
    assert path.read_bytes() == CONTENT


def test_a_cut_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut = [300_000, 100_000]
    download(server.url, tmp_path / "file", digest=SHA256, wait=no_wait)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == ["", "bytes=300000-", "bytes=400000-"]


def test_a_later_call_goes_on_from_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:500_000])
    download(server.url, tmp_path / "file", digest=SHA256)
    assert server.asked == ["bytes=500000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_ignores_range_is_read_from_the_beginning(
    server: Server, tmp_path: Path
) -> None:
    server.ranges = False
    server.cut = [300_000]
    download(server.url, tmp_path / "file", digest=SHA256, wait=no_wait)
    assert server.asked == ["", "bytes=300000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_what_was_left_whole_only_needs_its_name(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "file", digest=SHA256)  # the server answers 416
    (tmp_path / "other.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "other", digest=SHA256, size=len(CONTENT))
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert only(tmp_path) == ["file", "other"]


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * 800_000], ids=["shorter", "longer"])
def test_a_rest_of_another_file_is_thrown_away(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "file.part").write_bytes(left)
    download(server.url, tmp_path / "file", digest=SHA256, wait=no_wait)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match=r"sha256 is \w{64}, not .*thrown away"):
        download(server.url, tmp_path / "file", digest=SHA256)
    assert only(tmp_path) == []
    assert len(server.asked) == 1


def test_a_wrong_hash_after_a_resume_is_fetched_once_more_then_reported(
    server: Server, tmp_path: Path
) -> None:
    server.files["/file"] = CONTENT[:-1] + b"!"
    (tmp_path / "file.part").write_bytes(CONTENT[:5])
    with pytest.raises(DownloadError, match="sha256"):
        download(server.url, tmp_path / "file", digest=SHA256)
    assert only(tmp_path) == []
    assert server.asked == ["bytes=5-", ""]


def test_another_length_than_promised_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="700001 bytes arrived, 700002 were promised"):
        download(server.url, tmp_path / "file", size=len(CONTENT) + 1)
    assert only(tmp_path) == []


def test_a_length_that_nobody_told_is_no_obstacle(server: Server, tmp_path: Path) -> None:
    server.length = False
    download(server.url, tmp_path / "file", digest=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_md5_is_checked_where_only_that_is_known(server: Server, tmp_path: Path) -> None:
    download(server.url, tmp_path / "file", digest=f"md5:{md5(CONTENT)}")
    with pytest.raises(DownloadError, match="its md5 is"):
        check_file(tmp_path / "file", "md5:00", remedy="so what")


def test_a_missing_file_says_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"file2: HTTP 404 .*no such file"):
        download(server.url + "2", tmp_path / "file")
    assert only(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    server.codes = [503, 500]
    download(server.url, tmp_path / "file", digest=SHA256, wait=waits.append)
    assert waits == [2, 4]


def test_a_connection_that_only_breaks_is_given_up_and_the_rest_kept(
    server: Server, tmp_path: Path
) -> None:
    server.cut = [1000] + [0] * 5
    with pytest.raises(DownloadError, match="1000 bytes are here, and the same command goes on"):
        download(server.url, tmp_path / "file", wait=no_wait)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1000]


def test_no_server_at_all_suggests_that_we_are_offline(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match=r"offline.* put it at .*file"):
            download(url, tmp_path / "file", wait=no_wait)


def test_a_disk_too_small_is_told_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(DownloadError, match=r"no space is left .*699001 bytes too few"):
        download(server.url, tmp_path / "file")
    assert only(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_keeps_what_has_arrived(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(answer: Any, file: Any, *_: object) -> None:
        file.write(answer.read(1000))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("wakeword_train.download._copy", copy)
        with pytest.raises(DownloadError, match=r"no space is left .*stays in file\.part"):
            download(server.url, tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1000]
    download(server.url, tmp_path / "file", digest=SHA256)
    assert server.asked == ["", "bytes=1000-"]


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(server.url, tmp_path / "file" / "below")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "host/file"])
def test_only_the_web_is_fetched_from(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="only http and https"):
        download(url, tmp_path / "file")


def test_voices_are_kept_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAKEWORD_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert home() == tmp_path / "own"
    monkeypatch.delenv("WAKEWORD_HOME")
    assert home() == tmp_path / "cache" / "wakeword"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "wakeword"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_kokoros_two_files_are_pinned() -> None:
    assert [(f.name, f.size) for f in kokoro_files()] == [
        ("kokoro-v1.0.int8.onnx", 92_361_271), ("voices-v1.0.bin", 28_214_398),
    ]  # fmt: skip
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", f.digest) for f in KOKORO)
    for sums in (["a" * 64], ["a" * 63, "b" * 64], ["a" * 64] * 3):
        with pytest.raises(ConfigError, match=r"--sha256: give 2 sums of 64 hex digits"):
            kokoro_files(sums)


def test_kokoros_files_of_another_place_are_fetched_by_their_sums(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, voices = b"model" * 1000, b"voices" * 500_000
    server.files = {"/m/kokoro-v1.0.int8.onnx": model, "/m/voices-v1.0.bin": voices}
    place = server.url.removesuffix("file") + "m/"
    command = ["synth", "--download", "kokoro", "--to", str(tmp_path), "--url", place]
    assert main([*command, "--sha256", sha256(model), sha256(voices)]) == 0
    assert only(tmp_path) == ["kokoro-v1.0.int8.onnx", "voices-v1.0.bin"]
    told = capsys.readouterr()
    assert told.out == f"{tmp_path}\n"
    assert told.err.splitlines()[-1].startswith("voices-v1.0.bin, MB: 3 of 3")
    # Those of the place are not the ones that are known.
    assert main(["synth", "--download", "kokoro", "--to", str(tmp_path), "--url", place]) == 1
    assert "its sha256 is" in capsys.readouterr().err
    assert (tmp_path / "voices-v1.0.bin").read_bytes() == voices


def listing(voice: str, files: dict[str, bytes]) -> dict[str, Any]:
    """Write what voices.json of rhasspy/piper-voices says of one voice."""
    about = {p: {"size_bytes": len(c), "md5_digest": md5(c)} for p, c in files.items()}
    return {voice: {"key": voice, "num_speakers": 1, "files": about}}


def test_a_voice_of_piper_is_fetched_by_name_with_its_licence(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice, folder = "en_US-joe-medium", "en/en_US/joe/medium"
    files = {
        f"{folder}/{voice}.onnx": b"model", f"{folder}/{voice}.onnx.json": b"{}",
        f"{folder}/MODEL_CARD": b"CC0",
    }  # fmt: skip
    server.files = {f"/{path}": content for path, content in files.items()}
    server.files["/voices.json"] = json.dumps(listing(voice, files)).encode()
    place = server.url.removesuffix("/file")
    command = ["synth", "--to", str(tmp_path), "--url", place, "--download"]
    assert main([*command, f"piper:{voice}"]) == 0
    assert only(tmp_path) == [f"{voice}.MODEL_CARD", f"{voice}.onnx", f"{voice}.onnx.json"]
    assert f"{voice}.MODEL_CARD" in capsys.readouterr().err
    assert main([*command, "piper:en_US-jo-medium"]) == 1
    assert f"no such voice; near: {voice}" in capsys.readouterr().err
    server.files[f"/{folder}/{voice}.onnx"] = b"other"
    with pytest.raises(DownloadError, match="its md5 is"):
        fetch(f"piper:{voice}", tmp_path / "again", url=place)


def test_lists_of_voices_that_are_none_are_told(server: Server, tmp_path: Path) -> None:
    place = server.url.removesuffix("/file")
    with pytest.raises(DownloadError, match=r"list of Piper's voices cannot be .*404.*--piper"):
        fetch("piper:x", tmp_path, url=place)
    server.files["/voices.json"] = b"<html>"
    with pytest.raises(DownloadError, match="no list of voices"):
        fetch("piper:x", tmp_path, url=place)
    with pytest.raises(ConfigError, match="not as expected at x"):
        piper_files("x", {"x": {"files": {"x.onnx": {}}}})
    with pytest.raises(ConfigError, match="names no model for x"):
        piper_files("x", listing("x", {"x/x.onnx": b""}))
    with pytest.raises(ConfigError, match="a name is LANGUAGE_REGION-NAME-QUALITY"):
        piper_files("joe", listing("en_US-joe-medium", {}))
    for what in ("mimic", "piper", "piper:", "kokoro:2"):
        with pytest.raises(ConfigError, match=r"choose kokoro, or piper:VOICE"):
            fetch(what, tmp_path)
