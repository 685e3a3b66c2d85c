"""Bundles: what is written is read back, and every kind of damage is refused with its reason."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wakeword.bundle
from wakeword.bundle import find_bundle, read_bundle, shipped, write_bundle
from wakeword.bundle_check import MAX_BYTES, SCHEMA
from wakeword.decide import DecisionConfig
from wakeword.errors import BundleError, ConfigError
from wakeword.model import open_model

DATA = Path(__file__).parent / "data"
POINT = {
    "threshold": 0.4,
    "frr": 0.05,
    "frr_low": 0.02,
    "frr_high": 0.1,
    "misses": 5,
    "clips": 100,
    "fa_per_hour": 0.1,
    "fa_low": 0.0,
    "fa_high": 0.5,
    "false_alarms": 1,
    "hours": 10.0,
    "set": "dev",
}
ENTRY = {
    "name": "a",
    "source": "b",
    "licence": "CC0-1.0",
    "clips": 3,
    "hours": 0.1,
    "used_for": "wake",
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A copy of the small bundle, to be damaged: the path of its JSON."""
    for suffix in (".json", ".tflite"):
        shutil.copy(DATA / f"tiny_step{suffix}", tmp_path)
    return tmp_path / "tiny_step.json"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def swap_model(path: Path, content: bytes) -> None:
    """Put other bytes in the model's place, with a hash that agrees."""
    path.with_suffix(".tflite").write_bytes(content)
    edit(path, lambda d: d.update(sha256=hashlib.sha256(content).hexdigest()))


def fields(**changes: Any) -> dict[str, Any]:
    bundle = read_bundle(DATA / "tiny_step.json")
    return {
        "model": bundle.model_bytes,
        "words": bundle.words,
        "stride": bundle.stride,
        "kernel": bundle.kernel,
        "inputs": bundle.inputs,
        "outputs": bundle.outputs,
        "decision": bundle.decision,
        "operating_points": {"yes": [POINT]},
        "training": {"seed": 28, "nested": {"list": [1, 2.5, None, "x"]}},
        "ledger": [ENTRY],
    } | changes


def test_written_bundle_is_read_back(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "new" / "some.name", **fields())
    assert written == read_bundle(tmp_path / "new" / "some.name.json")
    assert written == read_bundle(tmp_path / "new" / "some.name.tflite")
    assert written.name == "some.name"
    assert (written.kind, written.schema, written.words) == ("wakeword", SCHEMA, ("yes", "no"))
    assert (written.stride, written.kernel) == (3, 6)
    assert written.sha256 == hashlib.sha256(written.model_bytes).hexdigest()
    assert written.decision["no"].release == 0.3
    assert written.decision["yes"].release_level == pytest.approx(0.64)
    assert written.operating_points["yes"][0] == POINT
    assert written.training["nested"] == {"list": [1, 2.5, None, "x"]}
    assert list(written.ledger) == [ENTRY]
    assert sorted(p.name for p in written.path.parent.iterdir()) == [
        "some.name.json",
        "some.name.tflite",
    ]


def test_write_refuses_to_overwrite_unless_forced(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a.json", **fields())
    before = (tmp_path / "a.json").read_bytes()
    with pytest.raises(BundleError, match=r"exists.*force"):
        write_bundle(tmp_path / "a", **fields(training={}))
    assert (tmp_path / "a.json").read_bytes() == before
    assert write_bundle(tmp_path / "a.tflite", force=True, **fields(training={})).training == {}


def test_write_checks_before_it_touches_the_disk(tmp_path: Path) -> None:
    for changes in (
        {"words": ["yes"]},
        {"kernel": 2},
        {"training": {"loss": float("nan")}},
        {"training": {"when": object()}},
        {"ledger": [{}]},
    ):
        with pytest.raises(BundleError):
            write_bundle(tmp_path / "a", **fields(**changes))
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_bundle_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_bundle(tmp_path / "a", **fields())

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BundleError, match="No space left"):
        write_bundle(tmp_path / "a", force=True, **fields(training={}))
    assert read_bundle(tmp_path / "a.json") == old
    assert len(list(tmp_path.iterdir())) == 2


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "wrong hash": (lambda d: d.update(sha256="0" * 64), "sha256 is .*damaged"),
    "hash that is none": (lambda d: d.update(sha256="zz"), "sha256 is 'zz'; need 64"),
    "future schema": (lambda d: d.update(schema=2), "schema is 2; .*update wakeword"),
    "ancient schema": (lambda d: d.update(schema=0), "schema is 0; "),
    "schema True": (lambda d: d.update(schema=True), "schema is True; "),
    "no schema": (lambda d: d.pop("schema"), "schema is None; "),
    "unknown key": (lambda d: d.update(extra=1), r"unknown \['extra'\]"),
    "missing key": (lambda d: d.pop("step"), r"without \['step'\]"),
    "escaped path": (lambda d: d.update(model="../tiny_step.tflite"), "bare name"),
    "absolute path": (lambda d: d.update(model="/tmp/x.tflite"), "bare name"),
    "windows path": (lambda d: d.update(model="..\\x.tflite"), "bare name"),
    "drive": (lambda d: d.update(model="C:x.tflite"), "bare name"),
    "hidden file": (lambda d: d.update(model=".x.tflite"), "bare name"),
    "other suffix": (lambda d: d.update(model="tiny_step.json"), "bare name"),
    "name with a NUL": (lambda d: d.update(model="a\0.tflite"), "bare name"),
    "model that is a list": (lambda d: d.update(model=["x"]), "bare name"),
    "model elsewhere": (lambda d: d.update(model="absent.tflite"), "no such file"),
    "no words": (lambda d: d.update(words=[]), "words is"),
    "word twice": (lambda d: d.update(words=["yes", "yes"]), "words is"),
    "word of control characters": (lambda d: d.update(words=["yes", "\x1b[2J"]), "words is"),
    "words that are a string": (lambda d: d.update(words="yes"), "words is"),
    "another word": (lambda d: d.update(words=["yes", "nay"]), "decision without"),
    "other front end": (lambda d: d["frontend"].update(rate_hz=8000), "frontend is"),
    "stride over kernel": (lambda d: d["step"].update(stride=7), "stride <= kernel"),
    "stride 0": (lambda d: d["step"].update(stride=0), "stride <= kernel"),
    "stride as text": (lambda d: d["step"].update(stride="3"), "whole number"),
    "huge kernel": (lambda d: d["step"].update(kernel=10**9), "stride <= kernel"),
    "tensor unknown": (lambda d: d["tensors"]["inputs"].append("extra"), "tensors.inputs"),
    "tensor twice": (
        lambda d: d["tensors"].update(inputs=["frames", "state_0", "state_0"]),
        "tensors.inputs",
    ),
    "state lost": (lambda d: d["tensors"]["outputs"].remove("next_1"), "as many states out"),
    "tensor names no strings": (lambda d: d["tensors"].update(inputs=[1, 2, 3]), "list of names"),
    "no threshold": (lambda d: d["decision"]["yes"].pop("threshold"), "without"),
    "threshold 2": (lambda d: d["decision"]["yes"].update(threshold=2), "threshold=2"),
    "threshold as text": (lambda d: d["decision"]["yes"].update(threshold="0.5"), "threshold='0.5"),
    "decision a list": (lambda d: d.update(decision=[]), "decision is"),
    "steps a float": (lambda d: d["decision"]["yes"].update(smooth_steps=1.5), "smooth_steps"),
    "operating point of no word": (
        lambda d: d.update(operating_points={"maybe": []}),
        "words of the bundle",
    ),
    "operating point without hours": (
        lambda d: d.update(
            operating_points={"yes": [{k: POINT[k] for k in POINT if k != "hours"}]}
        ),
        r"without \['hours'\]",
    ),
    "operating point with a rate of 2": (
        lambda d: d.update(operating_points={"yes": [POINT | {"frr": 2}]}),
        "frr is 2; need a number from 0 to 1",
    ),
    "training a list": (lambda d: d.update(training=[]), "training is"),
    "ledger entry without licence": (
        lambda d: d.update(ledger=[{k: ENTRY[k] for k in ENTRY if k != "licence"}]),
        r"without \['licence'\]",
    ),
    "ledger clips negative": (lambda d: d.update(ledger=[ENTRY | {"clips": -1}]), "clips is -1"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_json_is_refused_with_its_reason(tiny: Path, kind: str) -> None:
    change, said = DAMAGE[kind]
    read_bundle(tiny)
    edit(tiny, change)
    with pytest.raises(BundleError, match=said) as caught:
        read_bundle(tiny)
    assert "tiny_step" in str(caught.value) or "absent" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not the JSON"),
        (b"not json", "not the JSON"),
        (b"\xff\xfe{}", "not the JSON"),
        (b"[]", "a JSON list; need an object"),
        (b"null", "need an object"),
        (b'{"a": 1, "a": 2}', "'a' comes twice"),
        (b"[" * 100_000, "not the JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not the JSON|schema"),
    ],
    ids=["empty", "text", "bytes", "list", "null", "key twice", "deep", "long number"],
)
def test_what_is_no_json_object_is_refused(tiny: Path, content: bytes, said: str) -> None:
    tiny.write_bytes(content)
    with pytest.raises(BundleError, match=said):
        read_bundle(tiny)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(tiny: Path, value: str) -> None:
    text = tiny.read_text().replace('"threshold": 0.8', f'"threshold": {value}')
    tiny.write_text(text)
    with pytest.raises(BundleError, match="no finite number"):
        read_bundle(tiny)


@pytest.mark.parametrize("suffix", [".json", ".tflite"])
def test_missing_half_is_named(tiny: Path, suffix: str) -> None:
    tiny.with_suffix(suffix).unlink()
    with pytest.raises(BundleError, match=rf"tiny_step\{suffix}: no such file"):
        read_bundle(tiny)


@pytest.mark.parametrize("suffix", [".json", ".tflite"])
def test_huge_file_is_refused_unread(tiny: Path, suffix: str) -> None:
    with tiny.with_suffix(suffix).open("ab") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BundleError, match=f"{MAX_BYTES + 1} bytes; need at most"):
        read_bundle(tiny)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipe_is_no_model(tiny: Path) -> None:
    tiny.with_suffix(".tflite").unlink()
    os.mkfifo(tiny.with_suffix(".tflite"))
    with pytest.raises(BundleError, match="no such file"):
        read_bundle(tiny)


def test_truncated_model_is_refused_by_its_hash(tiny: Path) -> None:
    model = tiny.with_suffix(".tflite")
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"sha256 is .*damaged"):
        read_bundle(tiny)


def test_json_about_another_model_is_refused_by_model_path(tiny: Path) -> None:
    shutil.copy(tiny, tiny.with_name("other.json"))
    shutil.copy(tiny.with_suffix(".tflite"), tiny.with_name("other.tflite"))
    assert read_bundle(tiny.with_name("other.json")).model == "tiny_step.tflite"
    with pytest.raises(BundleError, match=r"about 'tiny_step.tflite', not 'other.tflite'"):
        read_bundle(tiny.with_name("other.tflite"))


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a word less": (
        lambda d: (d["words"].pop(), d["decision"].pop("no")),
        r"scores has shape \(1, 2\), by the JSON it is \(1, 1\)",
    ),
    "a longer kernel": (lambda d: d["step"].update(kernel=7), r"frames has shape \(1, 6, 40\)"),
    "a state less": (
        lambda d: d.update(
            tensors={"inputs": ["frames", "state_0"], "outputs": ["scores", "next_0"]}
        ),
        "names 2 inputs, the model has 3",
    ),
    "states exchanged": (
        lambda d: d["tensors"].update(
            inputs=[
                {"state_0": "state_1", "state_1": "state_0"}.get(n, n)
                for n in d["tensors"]["inputs"]
            ]
        ),
        "the JSON gives the inputs as",
    ),
    "outputs rotated": (
        lambda d: d["tensors"]["outputs"].append(d["tensors"]["outputs"].pop(0)),
        "the JSON gives the outputs as",
    ),
}


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("runtime", ["litert", "numpy"])
def test_json_that_lies_about_its_model_is_refused(tiny: Path, kind: str, runtime: str) -> None:
    change, said = LIES[kind]
    edit(tiny, change)
    bundle = read_bundle(tiny)  # in itself the JSON is in order
    with pytest.raises(BundleError, match=said):
        open_model(bundle, runtime)


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(5_000), b"\xff" * 5_000])
def test_garbage_with_a_valid_hash_is_refused(tiny: Path, content: bytes) -> None:
    swap_model(tiny, content)
    with pytest.raises(BundleError, match=r"tiny_step.json"):
        open_model(read_bundle(tiny))


def test_truncated_model_with_a_valid_hash_is_refused(tiny: Path) -> None:
    content = tiny.with_suffix(".tflite").read_bytes()
    for length in (8, 100, len(content) // 2, len(content) - 4):
        swap_model(tiny, content[:length])
        with pytest.raises(BundleError):
            open_model(read_bundle(tiny))


FUZZ = """
import random, sys
from dataclasses import replace
import numpy as np
from wakeword.bundle import read_bundle
from wakeword.errors import BundleError
from wakeword.model import open_model
bundle = read_bundle(sys.argv[1])
opened = 0
for seed in map(int, sys.argv[2:]):
    rng, content = random.Random(seed), bytearray(bundle.model_bytes)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        i = rng.randrange(len(content))
        flipped = content[i] ^ (1 << rng.randrange(8))
        content[i] = rng.choice([rng.randrange(256), 0, 255, flipped])
    try:
        model = open_model(replace(bundle, model_bytes=bytes(content)), "litert")
    except BundleError:
        continue
    model.run(np.zeros((9, 40), np.uint16), model.initial_state())
    opened += 1
print(opened)
"""


def test_damaged_bytes_with_a_valid_hash_never_crash_the_process() -> None:
    pytest.importorskip("ai_edge_litert")
    draw = random.Random(1)
    # LiteRT alone aborts on some of this kind (4 of 1,500 measured), so another process runs them.
    seeds = [86, 393, 1082, 1147, *(draw.randrange(10**6) for _ in range(80))]
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(DATA / "tiny_step.json"), *map(str, seeds)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Some damage, in weights or names, leaves a working model: the test did reach the runtime.
    assert 0 < int(done.stdout) < len(seeds)


def test_shipped_bundles_are_found_by_stem_and_by_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    write_bundle(tmp_path / "models" / "yes_no", **fields())
    monkeypatch.setattr(wakeword.bundle, "__file__", str(tmp_path / "bundle.py"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "models" / "yes_no.json"
    assert shipped() == {"yes_no": path}
    assert find_bundle("yes_no") == (path, None)
    assert find_bundle("no") == (path, "no")
    assert find_bundle("x/y.json") == (Path("x/y.json"), None)
    assert read_bundle("no").words == ("yes", "no")
    with pytest.raises(ConfigError, match=r"'maybe': .*there are: no, yes, yes_no.*path"):
        read_bundle("maybe")


def test_path_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"need the .json or the .tflite"):
        read_bundle(tmp_path)
    with pytest.raises(BundleError, match="no such file"):
        read_bundle(tmp_path / "absent.json")


def test_every_shipped_bundle_is_in_order() -> None:
    for path in shipped().values():
        open_model(read_bundle(path))


def test_decision_defaults_fill_the_json(tmp_path: Path) -> None:
    decision = {"yes": DecisionConfig(), "no": DecisionConfig(threshold=0.25)}
    written = write_bundle(tmp_path / "a", **fields(decision=decision))
    assert written.decision["no"].release == pytest.approx(0.2)
