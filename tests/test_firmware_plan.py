"""The plan: sizes known before anything is written, and refusals in bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_export import arena
from firmware_export.boards import BOARDS, CORES, find_board
from firmware_export.plan import make_plan, plan_text, refuse_what_does_not_fit
from firmware_export.sizes import PRESETS, preset_sizes, sizes_of
from tests.firmware_cases import RANDOM, load
from wakeword.cli import main
from wakeword.errors import ExportError


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_sizes_of_a_preset_are_those_of_its_bundle(name: str) -> None:
    bundle, program = load(f"preset_{name}")
    sizes, foretold = sizes_of(program, bundle), preset_sizes(name)
    # The bundle's word has three letters, the preset's is taken to have seven.
    assert foretold.constants - sizes.constants == 4
    assert foretold.detector == sizes.detector
    assert (foretold.multiply_adds, foretold.values) == (sizes.multiply_adds, sizes.values)
    assert (foretold.weights, foretold.stride) == (sizes.weights, sizes.stride)


def test_presets_are_those_of_the_trainer() -> None:
    from wakeword_train.models.trigger import PRESETS as TRAINER

    assert PRESETS.keys() == TRAINER.keys()
    for name, (kernel, stride, filters, units) in PRESETS.items():
        config = TRAINER[name]
        assert (config.kernel, config.stride, config.filters, config.units) == (
            kernel, stride, filters, units
        )  # fmt: skip
    sizes = [preset_sizes(name).constants for name in PRESETS]
    assert sizes == sorted(sizes)


def test_a_board_that_is_too_small_is_refused_in_bytes_with_a_preset_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("firmware_export.plan.arena_bytes", lambda _: None)
    bundle, program = load("alexa")
    plan = make_plan(program, bundle, ["stm32l053"])
    (row,) = plan.rows
    assert not row.fits
    with pytest.raises(ExportError, match=r"\d+ bytes of flash, it has 65536; .* 'tiny'") as caught:
        refuse_what_does_not_fit(plan, 1)
    assert f"{row.flash} bytes of flash" in str(caught.value)
    refuse_what_does_not_fit(make_plan(program, bundle, ["nRF52840"]), 1)


def test_a_board_that_is_too_slow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_export.plan.arena_bytes", lambda _: None)
    bundle, program = load("preset_small")
    slow = replace(BOARDS["stm32l053"], flash=1 << 20, ram=1 << 16)
    monkeypatch.setattr("firmware_export.boards.BOARDS", {"slow": slow})
    with pytest.raises(ExportError, match=r"% of its time; train with preset = 'tiny'"):
        refuse_what_does_not_fit(make_plan(program, bundle, ["slow"]), 1)


def test_an_unknown_board_is_refused_with_those_there_are() -> None:
    with pytest.raises(ExportError, match="esp32-s3"):
        find_board("zx81")


def test_every_board_has_a_core_and_a_cost() -> None:
    for board in BOARDS.values():
        assert board.core in CORES
    bundle, program = load("preset_tiny")
    rows = make_plan(program, bundle).rows
    assert {row.board for row in rows} == set(BOARDS)
    assert all(0 < row.load < 1 for row in rows)  # tiny runs on all of them


def test_the_arena_is_measured_by_running_the_model() -> None:
    pytest.importorskip("tflite_micro", reason="pip install --pre tflite-micro")
    from tflite_micro.python.tflite_micro import runtime

    model = RANDOM["preset_tiny"].with_suffix(".tflite").read_bytes()
    size = arena.arena_bytes(model)
    assert size is not None
    assert 2_000 < size < 22_348  # the smallest arena of microWakeWord's models
    runtime.Interpreter.from_bytes(model, arena_size=size).invoke()
    with pytest.raises(ExportError, match="does not run the model"):
        arena.arena_bytes(b"\0\0\0\0TFL3 but no model")


def test_without_the_interpreter_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "can_measure", lambda: False)
    bundle, program = load("preset_tiny")
    plan = make_plan(program, bundle, ["rp2040"])
    assert plan.arena is None
    assert "pip install --pre tflite-micro" in plan_text(plan)


def test_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "alexa", "--plan", "--board", "esp32-s3", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["name"] == "alexa"
    assert [row["board"] for row in plan["rows"]] == ["esp32-s3"]
    assert main(["export", "alexa", "--plan"]) == 0
    assert "nrf52840" in capsys.readouterr().out


def test_command_refuses_before_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["export", "alexa", "--target", "c99", "--out", str(out), "--board", "stm32l053"]
    assert main(words) == 1
    assert "bytes of flash" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["alexa"], ["alexa", "--target", "c99"], ["alexa", "--plan", "--target", "c99"]]
)
def test_command_asks_for_one_thing_to_do(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["export", *words])
    assert left.value.code == 2
