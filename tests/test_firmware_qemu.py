"""The exported C on emulated boards: the same words, and what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firmware_export.boards import CORES
from firmware_export.qemu import MACHINES, Run, run_machine
from firmware_export.sizes import sizes_of
from firmware_export.tools import run_tool
from firmware_export.verify import check_events, compile_host, golden_audio, parse_events
from tests.firmware_cases import GOLDEN, need, sources
from wakeword.audio import read_audio

DEMO = golden_audio()["the demo"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Run]:
    """Each preset on each machine, over the demo."""
    done = {}
    for name in ("preset_tiny", "preset_small"):
        folder = tmp_path_factory.mktemp(name)
        sources(name, folder)
        for machine in MACHINES:
            need(MACHINES[machine].compiler, MACHINES[machine].emulator[0])
            done[name, machine] = run_machine(machine, folder, DEMO)
    return done


@pytest.mark.parametrize("machine", MACHINES)
def test_boards_hear_what_the_host_hears(machine: str, tmp_path: Path) -> None:
    need(MACHINES[machine].compiler, MACHINES[machine].emulator[0], "gcc")
    pytest.importorskip("ai_edge_litert")
    bundle, _, folder = sources("computer_jarvis", tmp_path)
    compile_host(folder, tmp_path / "check")
    for samples in (DEMO, *(read_audio(p) for p in GOLDEN[:2])):
        host = run_tool([tmp_path / "check", "events", "160"], what="", stdin=samples.tobytes())
        run = run_machine(machine, folder, samples)
        assert list(run.events) == parse_events(host)
        check_events(list(run.events), bundle, samples, machine)


def test_tiny_keeps_its_budget_on_a_cortex_m4(runs: dict[tuple[str, str], Run]) -> None:
    run = runs["preset_tiny", "cortex-m4"]
    assert run.flash <= 64 * 1024
    assert run.detector + run.stack <= 16 * 1024
    assert run.per_second <= 10_000_000


def test_small_keeps_its_budget_on_a_cortex_m4(runs: dict[tuple[str, str], Run]) -> None:
    run = runs["preset_small", "cortex-m4"]
    assert run.flash <= 160 * 1024
    assert run.detector + run.stack <= 32 * 1024
    assert run.per_second <= 30_000_000


@pytest.mark.parametrize("preset", ["preset_tiny", "preset_small"])
@pytest.mark.parametrize("machine", CORES)
def test_the_plan_foretells_what_is_counted(
    preset: str, machine: str, runs: dict[tuple[str, str], Run], tmp_path: Path
) -> None:
    bundle, program, _ = sources(preset, tmp_path)
    sizes, core, run = sizes_of(program, bundle), CORES[machine], runs[preset, machine]
    assert run.detector == sizes.detector
    assert run.stack <= core.stack
    # Words of another length, and code that another compiler makes a little larger.
    assert sizes.constants <= run.flash <= sizes.constants + 1.1 * core.code
    step = (
        core.per_frame * sizes.stride
        + core.per_multiply_add * sizes.multiply_adds
        + core.per_value * sizes.values
    )
    # Other versions of GCC allocate registers otherwise.
    assert run.per_second == pytest.approx(step * 100 / sizes.stride, rel=0.1)


def test_counts_are_the_same_every_time(runs: dict[tuple[str, str], Run], tmp_path: Path) -> None:
    sources("preset_tiny", tmp_path)
    assert run_machine("cortex-m4", tmp_path, DEMO) == runs["preset_tiny", "cortex-m4"]


def test_a_step_of_the_model_is_the_worst_hop(runs: dict[tuple[str, str], Run]) -> None:
    for run in runs.values():
        assert run.per_second / 100 < run.worst_hop < run.per_second / 10


def test_without_the_dsp_instructions_the_words_are_the_same(tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", "qemu-system-arm")
    sources("preset_tiny", tmp_path)
    with_dsp = run_machine("cortex-m4", tmp_path, DEMO)
    without = run_machine("cortex-m4", tmp_path, DEMO, optimise="-O2 -DWK_NO_DSP")
    assert without.events == with_dsp.events
    assert len(with_dsp.events) > 3
    assert without.per_second > 1.2 * with_dsp.per_second


def test_silence_costs_no_more_than_noise(tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", "qemu-system-arm")
    sources("preset_tiny", tmp_path)
    rng = np.random.default_rng(1)
    noise = rng.integers(-32768, 32768, 32_000).astype(np.int16)
    loud = run_machine("cortex-m4", tmp_path, noise)
    quiet = run_machine("cortex-m4", tmp_path, np.zeros(32_000, np.int16))
    assert quiet.per_second < 1.05 * loud.per_second
