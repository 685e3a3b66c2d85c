"""Who may speak to the page: names, origins and the token."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeword.errors import ConfigError
from wakeword.web.guard import bearer, from_here, host_names, is_loopback, named, read_token, same


@pytest.mark.parametrize(
    ("host", "loopback", "network"),
    [
        ("localhost", True, True), ("LOCALHOST:10480", True, True), ("localhost.:1", True, True),
        ("127.0.0.1:10480", True, True), ("127.9.9.9", True, True), ("[::1]:80", True, True),
        ("proxy.example", True, True), ("192.168.1.4:10480", False, True),
        ("[fe80::1]:10480", False, True), (f"{socket.gethostname()}:1", False, True),
        ("attacker.example", False, False), ("localhost.attacker.example", False, False),
        ("127.0.0.1.attacker.example:80", False, False), ("127.0.0.1@attacker", False, False),
        ("", False, False), (None, False, False), ("localhost:99999999", False, False),
        ("localhost:80:80", False, False), ("localhost, localhost", False, False),
        ("localhost\n", False, False), ("[localhost]", False, False), ("0x7f000001", False, False),
        ("2130706433", False, False), ("[::1", False, False), ("a" * 300, False, False),
    ],
)  # fmt: skip
def test_only_our_names_are_ours(host: str | None, loopback: bool, network: bool) -> None:
    for alone, expected in ((True, loopback), (False, network)):
        names = host_names(["Proxy.example"], loopback=alone)
        assert named(host, names, loopback=alone) is expected


@given(host=st.text(max_size=60))
def test_no_host_is_too_strange(host: str) -> None:
    named(host, frozenset({"localhost"}), loopback=True)


@pytest.mark.parametrize(
    ("origin", "site", "plain", "tls"),
    [
        (None, None, True, True),
        ("http://localhost:10480", "same-origin", True, False),
        ("https://localhost:10480", None, True, True),
        ("http://LocalHost:10480", None, True, False),
        ("http://localhost:10481", None, False, False),
        ("http://localhost", None, False, False),
        ("http://localhost:10480.attacker.example", None, False, False),
        ("null", None, False, False),
        ("", None, False, False),
        ("file://", None, False, False),
        (None, "cross-site", False, False),
        (None, "same-site", False, False),
        (None, "none", True, True),
    ],
)
def test_a_request_of_another_page_is_seen(
    origin: str | None, site: str | None, plain: bool, tls: bool
) -> None:
    headers = {"Host": "localhost:10480"}
    if origin is not None:
        headers["Origin"] = origin
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    assert from_here(headers, tls=False) is plain
    assert from_here(headers, tls=True) is tls


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.2", False), ("kitchen.local", False), ("localhost.example", False)],
)  # fmt: skip
def test_loopback_is_known(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


@given(given=st.text(max_size=50), token=st.text(st.characters(codec="ascii"), max_size=50))
def test_tokens_are_the_same_or_not(given: str, token: str) -> None:
    assert same(given, token) is (given == token)
    assert same(token, token)


def test_the_token_is_in_a_header_of_its_kind() -> None:
    assert bearer("bearer  abc ") == "abc"
    assert [bearer(h) for h in ("Bearer", "abc", "Digest abc", "", None)] == [""] * 5


def test_a_token_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    token = read_token(path)
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(path) == token
    assert read_token(tmp_path / "other") != token
    assert [p.name for p in path.parent.iterdir()] == ["token"]


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("x" * 43, 0o640, "others may read it; chmod 600"),
        ("x" * 43, 0o604, "others may read it"),
        ("x" * 19, 0o600, "need 20 to 1024"),
        ("x" * 1025, 0o600, "need 20 to 1024"),
        ("", 0o600, "need 20"),
        ("two words that are long enough", 0o600, "without blanks"),
        ("é" * 30, 0o600, "ASCII"),
    ],
)
def test_a_token_that_is_none_is_refused(tmp_path: Path, content: str, mode: int, why: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=why):
        read_token(path)
    assert path.read_text() == content


def test_systemd_may_hand_the_token_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("x" * 30)
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_token(path) == "x" * 30


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"token_file=.*cannot be read or written"):
        read_token(tmp_path / "file" / "token")
