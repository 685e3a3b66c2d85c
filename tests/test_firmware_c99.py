"""The exported folder: whole or not there, silent under the sanitizers, and equal to the bundle."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_export.cgen import feature_rule, weight_blocks
from firmware_export.emit import fill, new_folder, plain
from firmware_export.targets import Request, export
from firmware_export.verify import (
    SANITIZERS,
    check_events,
    compile_host,
    golden_audio,
    parse_events,
    verify,
)
from tests.firmware_cases import GOLDEN, RANDOM, SHIPPED, load, need, sources
from wakeword.audio import read_audio
from wakeword.errors import ExportError
from wakeword.int8 import quantize


def request(name: str, out: Path, **options: object) -> Request:
    bundle, program = load(name)
    return Request(bundle=bundle, program=program, target="c99", out=out, **options)  # type: ignore[arg-type] # words of a test


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_exported_and_hear_every_golden_recording(
    name: str, tmp_path: Path
) -> None:
    need("gcc")
    pytest.importorskip("ai_edge_litert")
    said = export(request(name, tmp_path / "out", audio=tuple(GOLDEN)))
    assert "speech_00002" in said["verified"]
    assert {"wakeword.h", "wk_model.c", "README.md"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    folder = tmp_path_factory.mktemp("c99")
    sources("tiny_step", folder)
    compile_host(folder, folder / "checked", flags=SANITIZERS)
    return folder / "checked"


def run(tool: Path, samples: bytes, *words: str) -> bytes:
    done = subprocess.run(
        [tool, "events", *words], input=samples, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@settings(max_examples=60)
@given(
    data=st.binary(max_size=30_000),
    repeat=st.integers(1, 4),
    most=st.integers(1, 5_000),
    seed=st.integers(0, 2**31),
)
def test_any_samples_in_any_chunks_are_heard_alike(
    checked: Path, data: bytes, repeat: int, most: int, seed: int
) -> None:
    samples = data[: len(data) // 2 * 2] * repeat
    assert run(checked, samples, str(most), str(seed)) == run(checked, samples, "160")


def test_words_are_heard_at_the_same_sample_in_any_chunks(checked: Path) -> None:
    samples = golden_audio()["the demo"].tobytes()
    whole = run(checked, samples, "1000000")
    assert len(parse_events(whole)) > 5
    for chunk in ("1", "159", "161", "480"):
        assert run(checked, samples, chunk) == whole


def test_a_wrong_weight_is_found(tmp_path: Path) -> None:
    need("gcc")
    bundle, program, folder = sources("preset_tiny", tmp_path)
    text = (folder / "wk_model.c").read_text()
    start = text.index("WK_AT(0) ") + len("WK_AT(0) ")
    first = re.compile(r"-?\d+").search(text, start)
    assert first is not None
    wrong = str(-int(first[0]) or 90)
    (folder / "wk_model.c").write_text(text[: first.start()] + wrong + text[first.end() :])
    with pytest.raises(ExportError, match=r"scores: .* differ"):
        verify(folder, program, bundle, golden_audio())


def test_words_that_python_does_not_hear_are_found() -> None:
    pytest.importorskip("ai_edge_litert")
    bundle, _ = load("alexa")
    samples = golden_audio()["the demo"]
    heard = parse_events(b"72800 alexa 60364\n")
    check_events(heard, bundle, samples, "x")
    with pytest.raises(ExportError, match="Python detector at"):
        check_events([], bundle, samples, "x")
    late = parse_events(b"73760 alexa 60364\n")
    with pytest.raises(ExportError, match="within 480 samples"):
        check_events(late, bundle, samples, "x")


def test_c_that_earns_a_warning_is_refused(tmp_path: Path) -> None:
    need("gcc")
    sources("tiny_step", tmp_path)
    source = tmp_path / "wakeword.c"
    source.write_text(source.read_text() + "static int unused(long x) { return (int)x; }\n")
    with pytest.raises(ExportError, match="unused"):
        compile_host(tmp_path, tmp_path / "x")


def test_nothing_is_left_behind_by_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fail() -> None:
        with new_folder(out, force=False) as folder:
            (folder / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_replaced_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(ExportError, match="--force"):
        export(request("tiny_step", out, verify=False))
    assert (out / "mine").exists()
    export(request("tiny_step", out, verify=False, force=True))
    assert not (out / "mine").exists()
    assert (out / "wakeword.h").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_exports_of_one_bundle_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(request("preset_tiny", tmp_path / name, verify=False))
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("name", ["tiny_step", "computer_jarvis"])
def test_long_products_of_short_ones_are_the_same(name: str, tmp_path: Path) -> None:
    need("gcc")
    sources(name, tmp_path)
    compile_host(tmp_path, tmp_path / "wide")
    compile_host(tmp_path, tmp_path / "narrow", flags=(*SANITIZERS, "-DWK_NARROW=1"))
    for samples in golden_audio(GOLDEN[:2]).values():
        for what in ("frames", "scores"):
            wide, narrow = (
                subprocess.run(
                    [tmp_path / tool, what],
                    input=samples.tobytes(),
                    capture_output=True,
                    check=True,
                ).stdout
                for tool in ("wide", "narrow")
            )
            assert wide == narrow
            assert len(wide) > 100


def test_the_library_asks_for_three_functions_and_no_heap(tmp_path: Path) -> None:
    need("gcc", "nm")
    sources("preset_tiny", tmp_path)
    files = [p for p in tmp_path.glob("*.c") if p.name != "example.c"]
    subprocess.run(["gcc", "-std=c99", "-O2", "-fno-pic", "-c", *files], cwd=tmp_path, check=True)
    said = subprocess.run(
        ["nm", *tmp_path.glob("*.o")], capture_output=True, text=True, check=True
    ).stdout
    undefined = set(re.findall(r"^ +U (\w+)$", said, re.MULTILINE))
    allowed = {"memcpy", "memmove", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert {n for n in undefined if not n.startswith("wk_")} <= allowed
    # All data is constant: what is not in a wk_detector is not there.
    assert re.findall(r" [bBdDC] \w+", said) == []


def test_the_example_hears_the_demo(tmp_path: Path) -> None:
    need("gcc")
    sources("computer_jarvis", tmp_path)
    command = ["gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", *tmp_path.glob("*.c")]
    subprocess.run([*command, "-o", tmp_path / "example"], check=True)
    demo = golden_audio()["the demo"].tobytes()
    said = subprocess.run([tmp_path / "example"], input=demo, capture_output=True, check=True)
    assert said.stdout.split()[2::4] == [b"computer", b"jarvis"]


def test_the_header_can_be_included_from_cpp(tmp_path: Path) -> None:
    need("g++")
    sources("tiny_step", tmp_path)
    (tmp_path / "x.cpp").write_text(
        '#include "wakeword.h"\nint main() { return wk_init(nullptr); }\n'
    )
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "x.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)


@settings(max_examples=50)
@given(scale=st.floats(0.002, 0.2), zero=st.integers(-128, -100))
def test_the_rule_for_features_is_exact_where_there_is_one(scale: float, zero: int) -> None:
    raw = np.arange(65536, dtype=np.float32) / np.float32(256)
    stored = quantize(raw, np.float32(scale), zero)
    rule = feature_rule(stored, 1 / (256 * scale))
    if rule is None:
        return
    m, addend, shift, top = rule
    values = (np.minimum(np.arange(65536), top) * m + addend) >> shift
    np.testing.assert_array_equal(values, stored)


def test_a_scale_with_ties_gets_a_table(tmp_path: Path) -> None:
    # Raw 64 lies at 25.5 steps exactly, and float32 rounds its neighbours either way.
    _, program, folder = sources("tiny_step", tmp_path)
    assert feature_rule(program.features, program.slope) is None
    assert "stored[raw]" in (folder / "wk_model.c").read_text()


def test_blocks_hold_every_weight_once_and_zeros_for_the_rest() -> None:
    weights = np.arange(1, 36, dtype=np.int8).reshape(5, 7)
    blocks = weight_blocks(weights)
    assert len(blocks) == 8 * 8
    assert sorted(blocks[blocks != 0].tolist()) == list(range(1, 36))


def test_words_of_a_bundle_cannot_end_a_comment_or_a_string() -> None:
    from firmware_export.cgen import _comment, _string

    assert _comment('a*/b\n"') == 'a??b?"'
    assert _string('a"\\\né0') == '"a\\042\\134\\012\\303\\2510"'


@pytest.mark.parametrize("name", RANDOM)
def test_bundles_with_random_weights_equal_their_c(name: str, tmp_path: Path) -> None:
    need("gcc")
    bundle, program, folder = sources(name, tmp_path)
    odd = {"odd sounds": golden_audio()["odd sounds"]}
    verify(folder, program, bundle, odd)


def test_golden_audio_is_what_ships() -> None:
    assert len(golden_audio()["the demo"]) == len(
        read_audio(GOLDEN[0].parents[3] / "wakeword/demo/computer.flac")
    )


def test_templates_are_filled_once_and_a_missing_value_is_named() -> None:
    assert fill("a @ONE@ b", {"ONE": "@TWO@"}) == "a @TWO@ b"
    with pytest.raises(ExportError, match="no value for TWO"):
        fill("@ONE@ @TWO@", {"ONE": "1"})
    assert plain('hey: "$(x)"\n%h, Öl') == "hey xh, Öl"
