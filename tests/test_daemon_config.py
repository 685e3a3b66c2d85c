"""The configuration: what is taken, what is refused and in which words, and the shipped example."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time as clock_time
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon_kit import event
from wakeword.cli import main
from wakeword.daemon.actions import CommandConfig, MqttConfig, WebhookConfig
from wakeword.daemon.command import EXAMPLE, UNIT
from wakeword.daemon.config import read_config
from wakeword.daemon.models import read_models
from wakeword.daemon.quiet_hours import QuietHours
from wakeword.daemon.settings import AfterConfig, AudioConfig
from wakeword.errors import ConfigError
from wakeword.sinks.post import signature

ROOT = Path(__file__).parents[1]


def written(folder: Path, text: str) -> Path:
    path = folder / "w.toml"
    path.write_text(text)
    return path


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'state = "s"\nlog = "json"\n'
        '[audio]\nsource = "microphone"\ndevice = 2\nrate_hz = 48000\n'
        '[word.computer]\nthreshold = 1\nactions = ["b"]\nquiet_hours = ["22:00-07:00"]\n'
        '[word.yes]\nmodel = "own/tiny.json"\n'
        '[action.a]\nkind = "command"\nrun = ["x", "y"]\n'
        '[action.b]\nkind = "mqtt"\nhost = "h"\nusername = "u"\npassword_file = "pw"\n'
        '[after]\nsilence_ms = 500\n[metrics]\naddress = "[::1]:0"\n',
    )
    config = read_config(path)
    assert config.audio == AudioConfig(device=2, rate_hz=48_000)
    assert config.words["computer"].threshold == 1.0
    assert config.actions_of("computer") == ("b",)
    assert config.actions_of("yes") == ("a", "b")
    assert config.words["yes"].model == str(tmp_path / "own/tiny.json")
    assert config.actions["a"] == CommandConfig(run=("x", "y"))
    assert config.actions["b"] == MqttConfig(
        host="h", username="u", password_file=str(tmp_path / "pw")
    )
    assert config.after == AfterConfig(silence_ms=500)
    assert config.metrics is not None
    assert config.metrics.host_port == ("::1", 0)
    assert (config.state, config.log, config.wyoming) == (tmp_path / "s", "json", None)


WORD = "[word.computer]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[word.NAME\]: name at least one word"),
        ("[word", "not TOML"),
        ("\0", "not TOML"),
        ("word = 3", r"word=3: need a table, written as \[word\]"),
        ("[word]\ncomputer = 1", r"word.computer=1: need a table"),
        (WORD + "treshold = 0.5", r"\[word.computer\]: unknown \['treshold'\]; known are"),
        (WORD + 'threshold = "high"', r"\[word.computer\] threshold='high': need a number"),
        (WORD + "threshold = true", r"threshold=True: need a number"),
        (WORD + "threshold = nan", r"threshold=nan: need 0 < threshold"),
        (WORD + "threshold = 0", r"\[word.computer\] threshold=0.0: need 0 < threshold <= 1"),
        (WORD + 'actions = ["x"]', r"actions: 'x' is not there; write \[action.x\]"),
        (WORD + 'actions = "x"', r"actions='x': need a list of strings"),
        (WORD + 'quiet_hours = ["22-7"]', r"quiet_hours='22-7': need HH:MM-HH:MM"),
        (WORD + 'quiet_hours = ["24:00-07:00"]', "need HH:MM-HH:MM"),
        (WORD + 'quiet_hours = ["07:00-07:00"]', "begins when it ends"),
        (WORD + "[action.a]\nrun = ['x']", r"\[action.a\] kind=None: need one of command, sound"),
        (WORD + "[action.a]\nkind = 'command'", r"\[action.a\]: run is missing"),
        (WORD + "[action.a]\nkind = 'command'\nrun = [1]", r"run=\[1\]: need a list of strings"),
        (WORD + "[action.'../a']\nkind = 'command'\nrun = ['x']", "need letters, digits"),
        (WORD + "[action.a]\nkind = 'webhook'\nurl = 'ftp://x'", "need http://HOST"),
        (WORD + "[action.a]\nkind = 'webhook'\nurl = 'http://u:p@x'", "without a password"),
        (WORD + "[action.a]\nkind = 'webhook'\nurl = 'http://x:99999'", "url="),
        (WORD + "[action.a]\nkind = 'socket'\npath = '/" + "x" * 100 + "'", "need 1 to 100 bytes"),
        (WORD + "[metrics]\naddress = '9468'", r"\[metrics\] address='9468': need HOST:PORT"),
        (WORD + "[wyoming]\naddress = 'x:70000'", "need HOST:PORT"),
        (WORD + "[audio]\nsource = 'none'", r"hears nothing: write \[wyoming\]"),
        (WORD + "[audio]\nsource = 'stdin'\ndevice = 'x'", "is no device"),
        (WORD + "[after]\nsilence_ms = 5", r"\[after\] silence_ms=5: need 100 to 5000"),
        (WORD + "[once]\naction = 'x'", r"\[once\] action='x': need one of kind mqtt"),
        ("log = 'xml'\n" + WORD, "log='xml': need one of text, json"),
        ("state = 3\n" + WORD, "state=3: need a string"),
    ],
)
def test_a_wrong_one_is_refused_with_value_and_rule(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(written(tmp_path, text))


def test_a_missing_one_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file.*wakeword daemon --init"):
        read_config(tmp_path / "none.toml")


def test_a_word_that_its_model_does_not_know_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '[word.alexa]\nmodel = "computer"\n')
    with pytest.raises(
        ConfigError, match=r"\[word.alexa\] model='computer': it knows \['computer'"
    ):
        read_models(read_config(path))


def test_secrets_come_from_systemd_where_it_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "key").write_text("x")
    text = WORD + "[action.a]\nkind = 'webhook'\nurl = 'http://x'\nsecret_file = 'key'\n"
    path = written(tmp_path, text)
    for folder, expected in ((None, tmp_path / "key"), ("creds", tmp_path / "creds" / "key")):
        if folder:
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / folder))
        action = read_config(path).actions["a"]
        assert isinstance(action, WebhookConfig)
        assert action.secret_file == str(expected)


def test_init_writes_what_check_accepts_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "w.toml")
    assert main(["daemon", "--init", path]) == 0
    assert main(["daemon", "--check", "--config", path]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["computer: note (command)"]
    assert main(["daemon", "--init", path]) == 1
    assert "exists; choose another name" in capsys.readouterr().err
    assert main(["daemon", "--init", path, "--force"]) == 0


def test_check_says_what_is_wrong_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["daemon", "--check", "--config", str(written(tmp_path, "[word.x]\n"))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no shipped word or bundle of that name" in line


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("kind = 'command'\nrun = ['/no/such']", "'/no/such' is no program here"),
        ("kind = 'socket'\naddress = '127.0.0.1:0'\ntoken_file = 'w.toml'", "token_file="),
        ("kind = 'assist'\nplayer = ['/no/such']", "'/no/such' is no program here"),
        ("kind = 'assist'\npeers = ['x']", "need addresses, or networks"),
        ("kind = 'assist'\nbefore_ms = 2000", "need 0 to 1500"),
        ("kind = 'assist'\ncert_file = 'no'\nkey_file = 'no'", "cert_file="),
        ("kind = 'webhook'\nurl = 'http://x'\nsecret_file = 'none'", "none: cannot be read"),
        ("kind = 'mqtt'\nhost = 'x'\nusername = 'u'\npassword_file = 'none'", "cannot be read"),
    ],
)
def test_check_finds_what_an_action_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, message: str
) -> None:
    path = str(written(tmp_path, f"{WORD}[action.a]\n{action}\n"))
    assert main(["daemon", "--check", "--config", path]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "[action.a]" in line
    assert message in line


def test_every_setting_of_the_example_is_known(tmp_path: Path) -> None:
    """With every setting switched on, the example is still right."""
    text = re.sub(r"(?m)^# (\[|\w+ = )", r"\1", EXAMPLE.read_text())
    text = text.replace('[word."hey computer"]\nmodel = "hey_computer.json"', "")
    assert text.count("\nkind = ") == 9
    config = read_config(written(tmp_path, text))
    assert len(config.actions) == 9
    assert config.metrics is not None
    assert config.wyoming is not None
    assert config.review is not None
    assert config.once is not None
    assert config.playback is not None
    assert config.web is not None
    assert config.web.names == ("kitchen.example",)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ('cert_file = "no.pem"\nkey_file = "no.key"', "cert_file="),
        ('cert_file = "no.pem"', "give both"),
        ('address = "here"', "need HOST:PORT"),
        ('token_file = "open"', "others may read it"),
        ("names = [1]", "need a list of strings"),
    ],
)
def test_check_finds_what_a_page_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: str, message: str
) -> None:
    (tmp_path / "open").write_text("x" * 40)
    (tmp_path / "open").chmod(0o644)
    path = str(written(tmp_path, f"{WORD}[web]\n{page}\n"))
    assert main(["daemon", "--check", "--config", path]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "[web]" in line
    assert message in line


def test_check_makes_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f'state = "s"\n{WORD}[web]\naddress = "0.0.0.0:0"\n'
    assert main(["daemon", "--check", "--config", str(written(tmp_path, text))]) == 0
    assert not (tmp_path / "s").exists()


def test_the_example_states_the_defaults() -> None:
    text = EXAMPLE.read_text()
    for name, value in (("wait_ms", 3000), ("silence_ms", 800), ("limit_ms", 10_000)):
        assert getattr(AfterConfig(), name) == value
        assert f"# {name} = {value} " in text
    assert CommandConfig(run=("x",)).timeout_s == 10
    assert WebhookConfig(url="http://x").keep == 1000
    assert MqttConfig(host="x").hold_s == 30


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_file_is_right_and_hardened(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/wakeword/bin/wakeword", sys.executable)
    unit = tmp_path / "wakeword.service"
    unit.write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    # Names no key it does not know; a bare container lacks targets, which is said as well.
    assert "wakeword.service:" not in done.stderr, done.stderr
    rate = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    done = subprocess.run(rate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]  # exposure at most 2.5 of 10


DAEMON_PAGE = (ROOT / "docs/DAEMON.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", range(9))
def test_configurations_in_the_documentation_are_right(number: int, tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DAEMON_PAGE, re.DOTALL)
    assert len(blocks) == 9
    read_models(read_config(written(tmp_path, blocks[number])))


def test_the_receiver_in_the_documentation_takes_what_is_signed_and_nothing_else() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DAEMON_PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    stamp = str(int(clock_time.time()))
    body, secret = b'{"id": "run-1"}', b"k" * 16
    headers = {
        "Wakeword-Id": "run-1",
        "Wakeword-Timestamp": stamp,
        "Wakeword-Signature": "sha256=" + signature(secret, stamp, body),
    }
    assert names["take"](headers, body, secret) == 204
    assert names["seen"] == {"run-1"}
    assert names["take"](headers, body + b" ", secret) == 401
    assert names["take"]({**headers, "Wakeword-Timestamp": "1"}, body, secret) == 401


def test_the_event_in_the_documentation_has_the_fields_of_one() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", DAEMON_PAGE, re.DOTALL)
    assert json.loads(shown).keys() == json.loads(event(1).to_json()).keys()


def test_unit_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["daemon", "--unit"]) == 0
    assert capsys.readouterr().out == UNIT.read_text()


@given(begin=st.times(), end=st.times(), now=st.times())
def test_quiet_hours_are_those_between_begin_and_end(begin: time, end: time, now: time) -> None:
    begin, end = (t.replace(second=0, microsecond=0) for t in (begin, end))
    if begin == end:
        return
    hours = QuietHours.parse([f"{begin:%H:%M}-{end:%H:%M}"])
    back = QuietHours.parse([f"{end:%H:%M}-{begin:%H:%M}"])
    assert hours.holds(now) != back.holds(now)  # every moment is in just one of the two
    assert hours.holds(begin)
    assert not hours.holds(end)
