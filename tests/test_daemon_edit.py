"""Changing one setting of a configuration on disk, and nothing else in it."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.daemon.command import EXAMPLE
from wakeword.daemon.config import read_config
from wakeword.daemon.edit import set_device, set_threshold
from wakeword.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "w.toml"
    path.write_bytes(text.encode())
    return path


def changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:2] not in ("--", "++", "@@")]


def test_a_default_in_the_example_gives_way_and_its_comment_stays(tmp_path: Path) -> None:
    before = EXAMPLE.read_text(encoding="utf-8")
    path = written(tmp_path, before)
    set_threshold(path, "computer", 0.65432)
    set_device(path, 'USB "Mic" ü')
    assert changed(before, path.read_text(encoding="utf-8")) == [
        '-# device = "USB"                # part of its name, see: wakeword devices',
        '+device = "USB \\"Mic\\" ü"        # part of its name, see: wakeword devices',
        "-# threshold = 0.71              # higher: fewer false alarms, more misses",
        "+threshold = 0.654               # higher: fewer false alarms, more misses",
    ]
    set_threshold(path, "computer", 0.7)
    assert read_config(path).words["computer"].threshold == 0.7
    assert read_config(path).audio.device == 'USB "Mic" ü'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("word.computer = {}\n", "word.computer = {threshold = 0.6}\n"),
        ("[word]\ncomputer = { } # c\n", "[word]\ncomputer = { threshold = 0.6} # c\n"),
        ("[word.computer]\nthreshold=0.5 # why\n", "[word.computer]\nthreshold=0.6 # why\n"),
        ("[word.computer]\n# x\n[after]\n", "[word.computer]\nthreshold = 0.6\n# x\n[after]\n"),
        ("[word.computer]\r\n\r\n", "[word.computer]\r\nthreshold = 0.6\r\n\r\n"),
        ("[ word . 'computer' ]", "[ word . 'computer' ]\nthreshold = 0.6"),
        ("[word.computer]\n#threshold = 1\n", "[word.computer]\nthreshold = 0.6\n"),
    ],
)
def test_any_way_to_write_a_table_is_kept(tmp_path: Path, before: str, after: str) -> None:
    path = written(tmp_path, before)
    set_threshold(path, "computer", 0.6)
    assert path.read_bytes().decode() == after


def test_a_header_within_a_string_is_none(tmp_path: Path) -> None:
    run = '"""\n[word.computer]\n# threshold = 1\n"""'
    path = written(
        tmp_path, f'action.a = {{kind = "command", run = [{run}]}}\nword.computer = {{}}'
    )
    before = read_config(path)
    set_threshold(path, "computer", 0.6)
    assert read_config(path).actions == before.actions
    assert read_config(path).words["computer"].threshold == 0.6


@settings(max_examples=30)
@given(
    value=st.floats(0.001, 1),
    name=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=9),
)
def test_what_is_set_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, value: float, name: str
) -> None:
    text = "# mine\n[audio] # the room\n# device = 'USB'\n[word.computer]\n# threshold = 1 # why\n"
    path = written(tmp_path_factory.mktemp("edit"), text)
    set_threshold(path, "computer", value)
    set_device(path, name)
    found = read_config(path)
    assert found.words["computer"].threshold == round(value, 3)
    assert found.audio.device == name
    after = path.read_text(encoding="utf-8")
    assert all(comment in after for comment in ("# mine", "# the room", "# why"))
    set_device(path, None)
    assert read_config(path).audio.device is None


@pytest.mark.parametrize(
    ("word", "value", "why"),
    [("jarvis", 0.5, "no .word.jarvis"), ("computer", 1.5, "threshold=1.5: need")],
)
def test_what_would_be_wrong_is_refused(tmp_path: Path, word: str, value: float, why: str) -> None:
    path = written(tmp_path, "[word.computer]\n")
    with pytest.raises(ConfigError, match=why):
        set_threshold(path, word, value)
    assert path.read_text() == "[word.computer]\n"


def test_a_link_stays_one_and_the_mode_stays(tmp_path: Path) -> None:
    path = written(tmp_path, "[word.computer]\n")
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    set_threshold(link, "computer", 0.5)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_config(path).words["computer"].threshold == 0.5
    assert {p.name for p in tmp_path.iterdir()} == {"w.toml", "link.toml"}


def test_a_disk_that_refuses_leaves_the_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[word.computer]\n")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match=r"cannot be changed \(No space left"):
        set_threshold(path, "computer", 0.5)
    assert path.read_text() == "[word.computer]\n"
    assert [p.name for p in tmp_path.iterdir()] == ["w.toml"]


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(ConfigError, match="pip install"):
        set_threshold(written(tmp_path, "[word.computer]\n"), "computer", 0.5)
