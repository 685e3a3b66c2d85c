"""Downloads, against servers of our own on this machine: nothing here leaves it."""

from __future__ import annotations

import errno
import hashlib
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

from wakeword_train.download import DownloadError, check_file, download

CONTENT = np.random.default_rng(1).bytes(700_001)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /file; how well is up to the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
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
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        if told.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", told.asked[-1])):
            start = int(asked[1])
            if start >= len(told.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(told.content)}")
                self.end_headers()
                return
            self.send_response(206)
            last = len(told.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(told.content)}")
        else:
            self.send_response(200)
        body = told.content[start:]
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
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match=r"sha256 is \w{64}, not .*thrown away"):
        download(server.url, tmp_path / "file", digest=SHA256)
    assert only(tmp_path) == []
    assert len(server.asked) == 1


def test_a_wrong_hash_after_a_resume_is_fetched_once_more_then_reported(
    server: Server, tmp_path: Path
) -> None:
    server.content = CONTENT[:-1] + b"!"
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
    md5 = hashlib.md5(CONTENT).hexdigest()
    download(server.url, tmp_path / "file", digest=f"md5:{md5}")
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
