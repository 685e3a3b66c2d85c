"""The page's server: strangers, limits, and each thing that the page asks for."""

from __future__ import annotations

import http.cookies
import io
import json
import re
import socket
import ssl
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon_kit import PATIENCE_S, until
from tests.test_sources import FakeSoundDevice, device
from tests.web_kit import CLEAN, CONFIG, DEMO, HISS, OWN, Daemon, Desk, parsed
from wakeword.daemon.config import read_config
from wakeword.errors import ConfigError
from wakeword.shelf import read_table
from wakeword.sinks.clips import write_clip
from wakeword.web import server
from wakeword.web.server import BEHIND, BODY_BYTES, CONNECTIONS, HEAD_BYTES

TOKEN = "t" * 40
PRIVATE = CONFIG + 'token_file = "token"\n'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("web")) as daemon:
        daemon.say(DEMO[:48_000])
        yield daemon


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(TOKEN)
    with Daemon(tmp_path, PRIVATE) as daemon:
        yield daemon


# ---- strangers

PATHS = [
    "/", "/login", "/static/main.js", "/api/state", "/api/status", "/api/stream",
    "/api/detections", "/api/record", "/api/review", "/api/figures?word=computer&threshold=0.7",
    "/api/microphones", "/api/detections/x.wav", "/nothing",
]  # fmt: skip
ORDERS = ["/api/threshold", "/api/microphones", "/api/record", "/api/review", "/logout", "/login"]


@pytest.mark.parametrize("path", PATHS + ORDERS)
def test_a_name_that_is_not_ours_gets_nothing(daemon: Daemon, path: str) -> None:
    status, _, body = daemon.ask(path, Host="attacker.example")
    assert (status, json.loads(body)["error"][:19]) == (421, "not under this name")


@pytest.mark.parametrize("path", PATHS + ORDERS)
def test_another_page_gets_nothing(daemon: Daemon, path: str) -> None:
    body = {} if path in ORDERS else None
    for headers in (
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{daemon.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert daemon.ask(path, body, **headers)[0] == 403, headers


def test_no_host_or_two_get_nothing(daemon: Daemon) -> None:
    ours = f"Host: 127.0.0.1:{daemon.port}\r\n"
    for hosts in ("", ours * 2, ours + "Host: attacker.example\r\n"):
        request = f"GET /api/state HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
        assert daemon.raw(request.encode())[0] in (0, 400, 421)  # or it hangs up


def test_our_own_page_gets_what_it_asks_for(daemon: Daemon) -> None:
    origin = f"http://localhost:{daemon.port}"
    host = f"localhost:{daemon.port}"
    assert (
        daemon.ask("/api/state", Host=host, Origin=origin, Sec_Fetch_Site="same-origin")[0] == 200
    )


@pytest.mark.parametrize("path", [p for p in PATHS if p != "/login" and "static" not in p])
def test_without_the_token_nothing_is_told(private: Daemon, path: str) -> None:
    status, headers, body = private.ask(path)
    assert (status, headers.get("location")) == ((303, "/login") if path == "/" else (401, None))
    assert b"computer" not in body


@pytest.mark.parametrize("path", [p for p in ORDERS if p != "/login"])
def test_without_the_token_nothing_is_done(private: Daemon, path: str) -> None:
    assert private.ask(path, {"word": "computer", "threshold": 0.5, "save": True})[0] == 401
    assert read_config(private.path).words["computer"].threshold is None


def form(token: str) -> dict[str, Any]:
    body = f"token={quote(token)}".encode()
    return {"body": body, "Content_Type": "application/x-www-form-urlencoded"}


def test_the_form_takes_the_token_and_gives_a_cookie_that_no_script_sees(private: Daemon) -> None:
    status, headers, body = private.ask("/login", **form(TOKEN))
    assert (status, headers["location"], body) == (303, "/", b"")
    jar = http.cookies.SimpleCookie(headers["set-cookie"])
    (cookie,) = jar.values()
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in headers["set-cookie"]
    sent = f"{cookie.key}={cookie.coded_value}"
    assert private.ask("/api/state", Cookie=sent)[0] == 200
    assert private.ask("/", Cookie=sent)[0] == 200
    broken = f"{cookie.key}={cookie.coded_value[:-1]}{'0' if sent[-1] != '0' else '1'}"
    assert private.ask("/api/state", Cookie=broken)[0] == 401
    status, headers, _ = private.ask("/logout", b"", Cookie=sent)
    assert (status, headers["location"]) == (303, "/login")
    assert "expires=" in headers["set-cookie"].casefold()


def test_a_wrong_token_gives_no_cookie(private: Daemon) -> None:
    for wrong in ("", "x" * 40, TOKEN[:-1], TOKEN + "t", "ü" * 40):
        status, headers, _ = private.ask("/login", **form(wrong))
        assert (status, headers["location"]) == (303, "/login?wrong")
        assert "set-cookie" not in headers
    assert b"not the token" in private.ask("/login?wrong")[2]


def test_a_program_shows_the_token_in_a_header_and_never_in_the_address(private: Daemon) -> None:
    assert private.ask("/api/state", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert private.ask("/api/state", Authorization=f"Bearer {TOKEN}x")[0] == 401
    assert private.ask(f"/api/state?token={TOKEN}")[0] == 401


def test_a_cookie_of_another_token_is_none(private: Daemon, tmp_path: Path) -> None:
    cookie = private.ask("/login", **form(TOKEN))[1]["set-cookie"].partition(";")[0]
    value = cookie.partition("=")[2]
    other = tmp_path / "other"
    other.mkdir()
    (other / "token").touch(0o600)
    (other / "token").write_text("u" * 40)
    with Daemon(other, PRIVATE) as daemon:
        assert daemon.ask("/api/state", Cookie=f"wakeword-{daemon.port}={value}")[0] == 401


@pytest.mark.parametrize(
    "more", ['address = "0.0.0.0:0"\n', 'address = "127.0.0.1:0"\nnames = ["kitchen.example"]\n']
)
def test_whoever_can_be_reached_from_elsewhere_has_a_token(tmp_path: Path, more: str) -> None:
    config = CONFIG.replace('address = "127.0.0.1:0"\n', more)
    with Daemon(tmp_path, config) as daemon:
        token = (tmp_path / "state" / "web_token").read_text().strip()
        assert daemon.ask("/api/state")[0] == 401
        assert daemon.ask("/api/state", Authorization=f"Bearer {token}")[0] == 200
        if "names" in more:
            good = {"Host": "kitchen.example", "Authorization": f"Bearer {token}"}
            assert daemon.ask("/api/state", **good)[0] == 200


def test_tls_is_spoken_with_the_certificate_and_nothing_else(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    with Daemon(tmp_path, CONFIG + 'cert_file = "cert.pem"\nkey_file = "key.pem"\n') as daemon:
        assert daemon.ask("/api/state")[0] == 0
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with (
            socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as wire,
        ):
            head = f"Host: localhost:{daemon.port}\r\nOrigin: https://localhost:{daemon.port}"
            wire.sendall(f"GET /api/state HTTP/1.0\r\n{head}\r\n\r\n".encode())
            assert parsed(wire)[0] == 200  # type: ignore[arg-type] # a socket, all the same


def test_what_every_answer_forbids(daemon: Daemon) -> None:
    for path in ("/", "/login", "/static/main.js", "/api/state", "/nothing"):
        headers = daemon.ask(path)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    folder = Path(__file__).parents[1] / "wakeword" / "web" / "page"
    for path in folder.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<style" not in text
        assert " style=" not in text
        assert re.search(r"<[^>]*\son\w+=", text) is None
        assert text.count("<script") == text.count('src="/static/main.js"')
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text


# ---- limits


def test_a_head_that_is_too_long_is_not_read_to_its_end(daemon: Daemon) -> None:
    assert daemon.ask("/api/state", X=HEAD_BYTES * "x")[0] in (0, 400, 431)
    assert daemon.ask("/" + HEAD_BYTES * "x")[0] in (0, 400, 414)


def test_a_body_is_refused_by_the_length_it_names(daemon: Daemon) -> None:
    head = f"POST /api/threshold HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n"
    for length in (BODY_BYTES + 1, 10**12, 10**30, -1, "0x10", ""):
        request = f"{head}Content-Length: {length}\r\n\r\n".encode()
        assert daemon.raw(request)[0] in (0, 400, 413), length
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    assert daemon.raw(chunked + b"3000\r\n" + b"x" * 0x3000 + b"\r\n0\r\n\r\n")[0] in (0, 400, 413)
    assert daemon.raw(chunked + b"f" * 30 + b"\r\n")[0] in (0, 400)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400), (b"[]", "application/json", 400),
        (b"[" * 8000, "application/json", 400), (b"\xff", "application/json", 400),
        (b"{}", "application/json", 400), (b"{}", "text/plain", 415), (b"{}", "", 415),
        (b'{"word": "computer", "threshold": NaN, "save": false}', "application/json", 400),
        (b'{"word": "computer", "threshold": true, "save": false}', "application/json", 400),
        (b'{"word": "computer", "threshold": 0, "save": false}', "application/json", 400),
        (b'{"word": "computer", "threshold": 1e999, "save": false}', "application/json", 400),
        (b'{"word": "computer", "threshold": 0.5, "save": 1}', "application/json", 400),
        (b'{"word": ["computer"], "threshold": 0.5, "save": false}', "application/json", 400),
        (b'{"word": "nobody", "threshold": 0.5, "save": false}', "application/json", 404),
    ],
)  # fmt: skip
def test_an_order_that_is_none_is_refused(
    daemon: Daemon, body: bytes, kind: str, status: int
) -> None:
    got, _, content = daemon.ask("/api/threshold", body, Content_Type=kind)
    assert got == status
    assert json.loads(content)["error"]


def test_no_more_connections_than_allowed_and_others_later(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG + "clients = 1\n") as daemon:
        held = []
        for _ in range(CONNECTIONS):
            held.append(socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_S))
        until(lambda: daemon.server._http._open_count == CONNECTIONS, "connecting")
        assert daemon.ask("/api/state")[0] == 0
        for wire in held:
            wire.close()
        until(lambda: daemon.server._http._open_count == 0, "closing")
        assert daemon.ask("/api/state")[0] == 200


class Stream:
    """One open page's messages."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def __init__(self, daemon: Daemon) -> None:
        self.wire = socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_S)
        head = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n"
        self.wire.sendall(head.encode())
        self.text = b""

    def until(self, what: bytes) -> bytes:
        while what not in self.text:
            piece = self.wire.recv(65_536)
            assert piece, self.text[-200:]
            self.text += piece
        return self.text

    def messages(self, kind: str) -> list[Any]:
        parts = self.text.decode().split(f"event: {kind}\ndata: ")[1:]
        return [json.loads(p.partition("\n")[0]) for p in parts if "\n" in p]


def test_an_open_page_is_told_sound_scores_and_words(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Stream(daemon) as page:
        page.until(b"retry")
        daemon.say(DEMO[:56_000])
        page.until(b"event: sound")
        frames = page.messages("frame")
        assert frames[0]["end"] >= 1600
        low = np.concatenate([f["low"] for f in frames])
        high = np.concatenate([f["high"] for f in frames])
        columns = DEMO[: len(low) * 320].reshape(-1, 320)
        np.testing.assert_array_equal(low, columns.min(axis=1))
        np.testing.assert_array_equal(high, columns.max(axis=1))
        (heard,) = page.messages("heard")
        assert (heard["word"], heard["threshold"], heard["why_not"]) == ("computer", OWN, "")
        scores = {row[0]: row[1] for f in frames for row in f["scores"]}
        assert max(scores.values()) >= OWN > scores[min(scores)]
        page.wire.close()
        until(lambda: not daemon.server.feeds, "leaving")
        assert not daemon.server.monitor.watched


def test_too_many_pages_are_told_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG + "clients = 1\n") as daemon, Stream(daemon) as page:
        page.until(b"retry")
        status, _, body = daemon.ask("/api/stream")
        assert (status, b"too many" in body) == (503, True)


def test_a_page_that_never_reads_is_cut_off_and_no_other_waits(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Stream(daemon), Stream(daemon) as page:
        page.until(b"retry")
        until(lambda: len(daemon.server.feeds) == 2, "joining")
        big = {"text": "x" * 100_000}
        for number in range(4 * BEHIND):  # far more than the kernel holds for one who is deaf
            daemon.server.tell("big", {**big, "number": number})
            page.until(f'"number":{number}}}'.encode())
            page.text = b""
            if len(daemon.server.feeds) == 1:
                break
        assert len(daemon.server.feeds) == 1


def test_what_is_not_there_and_what_is_no_path_of_ours(daemon: Daemon) -> None:
    for path in (
        "/nothing", "/static/", "/static/../w.toml", "/static/%2e%2e/w.toml", "/static/index.html",
        "/static/..%2f..%2fweb_token", "/api/detections/../../w.toml", "/static//etc/passwd",
        "/api/detections/..%2f..%2fstate.wav", "/api/review/..%2fx.wav", "/api/review/x%00.wav",
        "/api/review/.wav", "//etc/passwd", "/api/review/" + "a" * 61 + ".wav", "/static/main.js/",
    ):  # fmt: skip
        status, _, body = daemon.ask(path)
        assert status in (400, 404), path
        assert b"root:" not in body
    assert daemon.ask("/api/state", method="DELETE")[0] == 405
    assert daemon.ask("/api/threshold")[0] == 405


@settings(max_examples=300)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_survived(daemon: Daemon, data: bytes) -> None:
    status, _, _ = daemon.raw(data)
    assert status in (0, 200, 303, 400, 403, 404, 405, 413, 414, 421, 431)


TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=30)
SLOW = ("microphones", "stream")  # one starts a process, the other does not end
QUICK = [p for p in PATHS + ORDERS if not any(name in p for name in SLOW)]
HEADERS = [
    "Host", "Origin", "Cookie", "Content-Length", "Transfer-Encoding", "Expect", "Range",
    "Authorization", "Content-Type", "If-None-Match", "Connection", "X-Forwarded-For",
]  # fmt: skip
COMMON = ["chunked", "100-continue", "application/json", "5", "localhost", "close"]
STATUSES = {
    0, 100, 200, 303, 304, 400, 403, 404, 405, 411, 413, 414, 415, 417, 421, 431, 501,
}  # fmt: skip


@settings(max_examples=300)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "P\x00ST"]),
    path=st.sampled_from(QUICK) | TEXT.map(lambda text: f"/{text}"),
    headers=st.lists(
        st.tuples(st.sampled_from(HEADERS), TEXT | st.sampled_from(COMMON)), max_size=5
    ),
    body=st.binary(max_size=200),
)
def test_any_request_is_answered_or_refused(
    daemon: Daemon, method: str, path: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{daemon.port}"]
    lines += [f"{name}: {value}" for name, value in headers]
    status, _, _ = daemon.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    assert status in STATUSES


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["word", "threshold", "save", "device", "do", "phrase", "speaker", "count", "id", "label"]


@settings(max_examples=300)
@given(
    path=st.sampled_from(["/api/threshold", "/api/microphones", "/api/record", "/api/review"]),
    asked=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
)
def test_any_order_is_done_or_refused(daemon: Daemon, path: str, asked: dict[str, Any]) -> None:
    status, _, body = daemon.ask(path, asked)
    assert status in (200, 400, 404)
    assert isinstance(json.loads(body), dict)


def test_after_all_that_it_listens_on_and_says_no_word_of_it(daemon: Daemon) -> None:
    daemon.server.recorder.stop()
    before = daemon.service.stats.detections["computer"]
    daemon.say(HISS[:16_000], DEMO[:48_000])
    assert daemon.service.stats.detections["computer"] == before + 1
    assert [
        line["text"] for line in daemon.json("/api/status")["log"] if line["level"] == "error"
    ] == []


# ---- what the page asks for


def test_the_state_says_what_is_in_force_and_what_is_written(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        state = daemon.json("/api/state")
        assert [w["word"] for w in state["words"]] == ["computer", "jarvis"]
        assert state["words"][0]["threshold"] == state["words"][0]["own"] == OWN
        assert state["file"]["thresholds"] == {"computer": None, "jarvis": None}
        daemon.path.write_text("broken")
        assert "not TOML" in daemon.json("/api/state")["file"]["trouble"]


def test_a_threshold_is_tried_without_being_written(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        before = daemon.path.read_text()
        daemon.json("/api/threshold", {"word": "computer", "threshold": 0.999, "save": False})
        until(lambda: daemon.service._loaded, "loading")
        daemon.say(HISS[:4000], DEMO[:48_000], HISS[:8000])
        assert daemon.service.stats.detections["computer"] == 0
        assert daemon.json("/api/state")["words"][0]["threshold"] == 0.999
        assert daemon.path.read_text() == before
        daemon.service.request_reload()  # the file's again
        until(lambda: daemon.service._loaded, "loading")
        daemon.say(HISS[:16_000], DEMO[:48_000])
        assert daemon.service.stats.detections["computer"] == 1


def test_a_threshold_is_written_and_its_comment_stays(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.json("/api/threshold", {"word": "computer", "threshold": 0.6543, "save": True})
        assert "threshold = 0.654    # higher: fewer" in daemon.path.read_text()
        assert "[word.computer]  # ours" in daemon.path.read_text()
        until(lambda: daemon.service._loaded, "loading")
        daemon.say(HISS[:4000])
        assert daemon.json("/api/state")["words"][0]["threshold"] == 0.654
        daemon.path.write_text("broken")
        status, _, body = daemon.ask(
            "/api/threshold", {"word": "computer", "threshold": 0.5, "save": True}
        )
        assert (status, "not TOML" in json.loads(body)["error"]) == (400, True)


def test_figures_are_those_that_were_measured(daemon: Daemon) -> None:
    here = daemon.json(f"/api/figures?word=computer&threshold={OWN}")
    assert here["basis"] == "bundle"
    first = here["misses"][0]
    assert [first["name"], first["events"], first["trials"]] == [
        CLEAN["set"], CLEAN["misses"], CLEAN["clips"],
    ]  # fmt: skip
    assert {m["bound"] for m in here["misses"]} == {""}
    above = daemon.json(f"/api/figures?word=computer&threshold={OWN + 0.05}")
    assert {m["bound"] for m in above["misses"]} == {"least"}
    assert {a["bound"] for a in above["alarms"]} == {"most"}
    for query, status in (
        ("word=nobody&threshold=0.5", 404), ("word=computer&threshold=x", 400),
        ("word=computer&threshold=nan", 400), ("word=computer&threshold=2", 400), ("", 400),
    ):  # fmt: skip
        assert daemon.ask(f"/api/figures?{query}")[0] == status


def wav(content: bytes) -> np.ndarray[Any, Any]:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_a_detection_can_be_heard_again(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.say(HISS[:16_000])
        at = 0
        while not daemon.server.monitor.kept():
            daemon.say(DEMO[at : at + 960])
            at += 960
        (found,) = daemon.json("/api/detections")["detections"]
        assert not found["sound"]
        assert daemon.ask(f"/api/detections/{found['id']}.wav")[0] == 404
        daemon.say(DEMO[at : at + 12_000])
        (found,) = daemon.json("/api/detections")["detections"]
        assert found["sound"]
        status, headers, content = daemon.ask(f"/api/detections/{found['id']}.wav")
        assert (status, headers["content-type"]) == (200, "audio/wav")
        heard = np.concatenate([HISS[:16_000], DEMO[:48_000]])
        end = found["sample"] + 8000
        np.testing.assert_array_equal(wav(content), heard[max(0, end - 40_000) : end])
        assert daemon.ask("/api/detections/other-1.wav")[0] == 404


def said(seed: int) -> np.ndarray[Any, Any]:
    """Something like a word, and the silence around it."""
    word = np.random.default_rng(seed).uniform(-1, 1, 10_000) * 5000
    return np.concatenate([HISS[:8000], word.astype(np.int16), HISS[:14_000]])


def test_samples_are_recorded_where_training_takes_them(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        plan = {"do": "start", "phrase": "Hey ../Computer", "speaker": "Zoë", "count": 2}
        state = daemon.json("/api/record", plan)
        assert (state["running"], state["have"], state["wanted"]) == (True, 0, 2)
        assert daemon.ask("/api/record", plan)[0] == 400  # one at a time
        recorder = daemon.server.recorder
        daemon.say(HISS[:32_000], said(1))
        until(lambda: recorder.state()["waiting"], "a take")
        assert len(wav(daemon.ask("/api/record/take.wav")[2])) > 10_000
        daemon.json("/api/record", {"do": "again"})
        daemon.say(HISS[:4800])
        until(lambda: recorder.state()["waiting"] is None, "again")
        for seed in (2, 3):
            daemon.say(HISS[:16_000], said(seed))
            until(lambda: recorder.state()["waiting"], "a take")
            daemon.json("/api/record", {"do": "keep"})
            daemon.say(HISS[:4800])
            until(lambda: recorder.state()["waiting"] is None, "keeping")
        until(lambda: not recorder.state()["running"], "the end")
        rows = read_table(tmp_path / "state" / "recordings")
        assert [r.file for r in rows] == [f"hey_computer/Zoë/{n:04d}.flac" for n in (1, 2)]
        kept = daemon.json("/api/record")["kept"]
        assert kept == [{"phrase": "Hey ../Computer", "speaker": "Zoë", "count": 2}]
        assert not daemon.server.monitor.hold


def test_while_samples_are_recorded_words_do_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.json(
            "/api/record", {"do": "start", "phrase": "computer", "speaker": "me", "count": 1}
        )
        daemon.say(DEMO[:48_000])
        (found,) = daemon.json("/api/detections")["detections"]
        assert found["why_not"] == "samples are being recorded"
        daemon.json("/api/record", {"do": "stop"})
        until(lambda: not daemon.server.recorder.state()["running"], "the end")
        daemon.say(HISS[:16_000], DEMO[:48_000])
        assert daemon.json("/api/detections")["detections"][-1]["why_not"] == ""


def test_a_recording_whose_page_was_closed_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ABANDONED_S", 0.01)
    plan = {"do": "start", "phrase": "computer", "speaker": "me", "count": 1}
    with Daemon(tmp_path) as daemon:
        with Stream(daemon) as page, Stream(daemon) as other:
            page.until(b"retry")
            other.until(b"retry")
            daemon.json("/api/record", plan)
            other.wire.close()
            until(lambda: len(daemon.server.feeds) == 1, "one to go")
            assert daemon.server.recorder.state()["running"]
        until(lambda: not daemon.server.recorder.state()["running"], "the end")
        assert not daemon.server.monitor.hold


def test_ordinary_sound_is_recorded_in_pieces(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.json("/api/record", {"do": "start", "phrase": "", "speaker": "hall", "count": 1})
        assert not daemon.server.monitor.hold  # nobody says the word, or means it
        for _ in range(31):
            daemon.say(HISS[:16_000])
            until(lambda: daemon.server.recorder._chunks.qsize() < 100, "recording")
        daemon.json("/api/record", {"do": "stop"})
        until(lambda: not daemon.server.recorder.state()["running"], "the end")
        (row,) = read_table(tmp_path / "state" / "recordings")
        assert (row.file, row.kind) == ("negative/hall/0001.flac", "negative")


@pytest.mark.parametrize(
    ("phrase", "speaker", "count"),
    [
        ("///", "me", 1),
        ("x", "..", 1),
        ("negative", "me", 1),
        ("", "me", 121),
        ("x", "me", 501),
        ("x" * 61, "me", 1),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    daemon: Daemon, phrase: str, speaker: str, count: int
) -> None:
    plan = {"do": "start", "phrase": phrase, "speaker": speaker, "count": count}
    assert daemon.ask("/api/record", plan)[0] == 400
    assert not daemon.server.monitor.hold


def clips(folder: Path) -> None:
    for number, (prob, label) in enumerate([(0.8, ""), (0.75, "no"), (0.9, "yes")]):
        note = {
            "id": f"a-{number}", "word": "computer", "prob": prob, "threshold": 0.71,
            "kind": "heard", "at": f"2026-11-21T12:00:0{number}+00:00", "label": label,
        }  # fmt: skip
        write_clip(folder, f"a-{number}", DEMO[:16_000], note, 10**8)


def test_clips_are_judged_and_a_threshold_follows(tmp_path: Path) -> None:
    clips(tmp_path / "clips")
    with Daemon(tmp_path) as daemon:
        review = daemon.json("/api/review")
        assert [c["id"] for c in review["clips"]] == ["a-2", "a-1", "a-0"]
        (advice,) = review["advice"]
        assert advice["better"] == {"threshold": 0.751, "yes": 1, "no": 0}
        assert advice["now"] == {"threshold": OWN, "yes": 1, "no": 1}
        np.testing.assert_array_equal(wav(daemon.ask("/api/review/a-0.wav")[2]), DEMO[:16_000])
        review = daemon.json("/api/review", {"id": "a-0", "label": "no"})
        assert review["advice"][0]["better"]["threshold"] == 0.801
        assert json.loads((tmp_path / "clips" / "a-0.json").read_text())["label"] == "no"
        daemon.json("/api/review", {"id": "a-1", "label": "drop"})
        assert sorted(p.name for p in (tmp_path / "clips").glob("*.wav")) == ["a-0.wav", "a-2.wav"]
        for asked in ({"id": "../w", "label": "drop"}, {"id": "a-1", "label": "no"}):
            assert daemon.ask("/api/review", asked)[0] == 404
        assert daemon.ask("/api/review", {"id": "a-0", "label": "maybe"})[0] == 400
        assert daemon.ask("/api/review/a-1.wav")[0] == 404


def test_without_review_there_is_nothing_to_judge(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG.replace('[review]\nfolder = "clips"\n', "")) as daemon:
        assert daemon.json("/api/review")["folder"] is None


def test_a_recording_cannot_be_exchanged_for_a_microphone(daemon: Daemon) -> None:
    status, _, body = daemon.ask("/api/microphones", {"device": "USB", "save": False})
    assert (status, "microphone" in json.loads(body)["error"]) == (400, True)


def loudest(page: Stream) -> int:
    """What the next moments are like."""
    page.text = b""
    page.until(b"event: frame")
    page.until(b"}\n\n")
    found: int = page.messages("frame")[-1]["high"][-1]
    return found


def test_a_reload_exchanges_the_microphone(tmp_path: Path) -> None:
    desk = Desk(device("Built in"), device("Desk array"))
    with Daemon(tmp_path, sounddevice=desk) as daemon, Stream(daemon) as page:
        until(lambda: loudest(page) == 900, "the first")
        daemon.path.write_text(CONFIG + '[audio]\ndevice = "desk"\n')
        daemon.service.request_reload()
        until(lambda: loudest(page) == 9000, "the other")
        assert daemon.service.stats.restarts == 0


def test_a_microphone_that_is_not_there_is_waited_for_and_can_be_left(tmp_path: Path) -> None:
    desk = Desk(device("Built in"), device("Desk array"))
    with Daemon(tmp_path, sounddevice=desk) as daemon, Stream(daemon) as page:
        until(lambda: loudest(page) == 900, "the first")
        daemon.json("/api/microphones", {"device": "Gone", "save": False})
        until(
            lambda: any("no such input" in x["text"] for x in daemon.json("/api/status")["log"]),
            "waiting",
        )
        daemon.json("/api/microphones", {"device": "Desk array", "save": False})
        until(lambda: loudest(page) == 9000, "the other")
        names = [m["name"] for m in daemon.json("/api/microphones")["microphones"]]
        assert names == ["Built in", "Desk array"]


def test_a_page_that_is_there_already_is_not_sent_again(daemon: Daemon) -> None:
    status, headers, body = daemon.ask("/static/main.js")
    assert (status, bool(body), headers["cache-control"]) == (200, True, "no-cache")
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    status, _, body = daemon.ask("/static/main.js", If_None_Match=headers["etag"])
    assert (status, body) == (304, b"")
    assert daemon.ask("/", method="HEAD")[2] == b""


def test_a_daemon_without_ears_shows_what_it_has_and_takes_thresholds(tmp_path: Path) -> None:
    config = CONFIG + '[audio]\nsource = "none"\n[wyoming]\naddress = "127.0.0.1:0"\n'
    with Daemon(tmp_path, config, sounddevice=FakeSoundDevice()) as daemon:
        state = daemon.json("/api/state")
        assert (state["source"], len(state["words"])) == ("none", 2)
        assert daemon.json("/api/status")["last_audio_age_s"] is None
        daemon.json("/api/threshold", {"word": "computer", "threshold": 0.6, "save": False})
        until(lambda: daemon.service.models.threshold_of()["computer"] == 0.6, "changing")
        plan = {"do": "start", "phrase": "computer", "speaker": "me", "count": 1}
        status, _, body = daemon.ask("/api/record", plan)
        assert (status, "no microphone" in json.loads(body)["error"]) == (400, True)
        assert daemon.ask("/api/microphones", {"device": "USB", "save": False})[0] == 400


def test_a_port_that_is_taken_is_named(daemon: Daemon, tmp_path: Path) -> None:
    taken = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{daemon.port}")
    with pytest.raises(ConfigError, match=r"\[web\] address"), Daemon(tmp_path, taken):
        pass
