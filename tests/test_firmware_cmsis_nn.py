"""With WK_CMSIS_NN the exported C gives the same scores, by a stand-in and by CMSIS-NN itself.

The stand-in is ours and runs everywhere. For CMSIS-NN itself the environment variable ``CMSIS_NN``
names its folder, with ``Include`` and ``Source`` in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_export.qemu import Run, run_machine
from firmware_export.tools import run_tool
from firmware_export.verify import compile_host, golden_audio, verify
from tests.firmware_cases import DATA, GOLDEN, RANDOM, need, sources
from wakeword.audio import read_audio
from wakeword.errors import ExportError

STAND_IN = DATA / "cmsis_nn"
USED = (
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
    "BasicMathFunctions/arm_elementwise_add_s8.c",
    "BasicMathFunctions/arm_elementwise_mul_s8.c",
)
PAIRS = "-DWK_CMSIS_NN_PAIRS=1"  # sums and products too, as with a vector unit
DEMO = golden_audio()["the demo"]


def real() -> Path:
    """The folder of CMSIS-NN, or skip."""
    place = os.environ.get("CMSIS_NN")
    if place is None:
        pytest.skip("CMSIS_NN names no folder with CMSIS-NN's Include and Source")
    missing = [name for name in USED if not (Path(place) / "Source" / name).is_file()]
    assert not missing, f"CMSIS_NN={place}: lacks {missing}"
    return Path(place)


def words(folder: Path) -> tuple[str, ...]:
    """What to tell a compiler."""
    return ("-DWK_CMSIS_NN", "-isystem", str(folder / "Include"))


def on_board(machine: str, name: str, folder: Path, cmsis_nn: Path) -> tuple[Run, Run]:
    """The demo on a board, by our kernels and by those of CMSIS-NN."""
    need("arm-none-eabi-gcc", "qemu-system-arm")
    sources(name, folder)
    ours = run_machine(machine, folder, DEMO)
    files = (
        sorted((cmsis_nn / "Source").glob("*.c"))
        if cmsis_nn == STAND_IN
        else [cmsis_nn / "Source" / used for used in USED]
    )
    for file in files:
        shutil.copy(file, folder)
    # Warnings of a library are not ours.
    optimise = " ".join(("-O2", "-Wno-error", *words(cmsis_nn)))
    return ours, run_machine(machine, folder, DEMO, optimise=optimise)


@pytest.mark.parametrize("pairs", [(), (PAIRS,)], ids=["dense", "all"])
@pytest.mark.parametrize("name", RANDOM)
def test_scores_by_the_stand_in_equal_the_bundle(
    name: str, pairs: tuple[str, ...], tmp_path: Path
) -> None:
    need("gcc")
    bundle, program, folder = sources(name, tmp_path)
    shutil.copy(STAND_IN / "Source" / "stand_in.c", folder)
    odd = {"odd sounds": golden_audio()["odd sounds"]}
    verify(folder, program, bundle, odd, flags=(*words(STAND_IN), *pairs))


def test_the_weights_are_where_either_kernel_reads_them(tmp_path: Path) -> None:
    # Read row by row by our kernels, or in blocks by the other, nearly every score would differ.
    need("gcc")
    bundle, program, folder = sources("preset_tiny", tmp_path)
    shutil.copy(STAND_IN / "Source" / "stand_in.c", folder)
    model = folder / "wk_model.c"
    model.write_text(model.read_text().replace("#if defined(WK_CMSIS_NN)", "#if 0"))
    with pytest.raises(ExportError, match=r"scores: .* differ"):
        verify(folder, program, bundle, {"odd sounds": DEMO[:32_000]}, flags=words(STAND_IN))


def test_single_rounding_is_refused(tmp_path: Path) -> None:
    need("gcc")
    sources("tiny_step", tmp_path)
    with pytest.raises(ExportError, match="CMSIS_NN_USE_SINGLE_ROUNDING"):
        compile_host(
            tmp_path,
            tmp_path / "x",
            flags=(*words(STAND_IN), "-DCMSIS_NN_USE_SINGLE_ROUNDING"),
        )


@pytest.mark.parametrize("machine", ["cortex-m4", "cortex-m55"])
def test_boards_give_the_same_scores_by_the_stand_in(machine: str, tmp_path: Path) -> None:
    ours, theirs = on_board(machine, "preset_tiny", tmp_path, STAND_IN)
    assert theirs.probs == ours.probs
    assert theirs.events == ours.events
    assert len(ours.events) > 3
    assert theirs.detector == ours.detector
    # The weights, 26 KB, are there once; the difference is code.
    assert abs(theirs.flash - ours.flash) < 8 * 1024


@pytest.mark.parametrize("pairs", [(), (PAIRS,)], ids=["dense", "all"])
@pytest.mark.parametrize("name", [*RANDOM, "computer_jarvis", "alexa"])
def test_scores_by_cmsis_nn_equal_ours(name: str, pairs: tuple[str, ...], tmp_path: Path) -> None:
    need("gcc")
    folder = real()
    sources(name, tmp_path)
    objects = [str(tmp_path / f"{Path(used).stem}.o") for used in USED]
    for used, to in zip(USED, objects, strict=True):
        source = folder / "Source" / used
        command = ["gcc", "-std=c99", "-O2", f"-I{folder / 'Include'}", "-c", source, "-o", to]
        subprocess.run(command, check=True)
    compile_host(tmp_path, tmp_path / "ours")
    compile_host(tmp_path, tmp_path / "theirs", flags=(*words(folder), *pairs, *objects))
    odd = golden_audio()["odd sounds"]
    for samples in (DEMO, odd, *(read_audio(path) for path in GOLDEN)):
        ours, theirs = (
            run_tool([tmp_path / tool, "scores"], what=tool, stdin=samples.tobytes())
            for tool in ("ours", "theirs")
        )
        assert len(ours) > 100
        assert theirs == ours


@pytest.mark.parametrize("machine", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("name", ["preset_tiny", "alexa"])
def test_boards_give_the_same_scores_by_cmsis_nn(name: str, machine: str, tmp_path: Path) -> None:
    ours, theirs = on_board(machine, name, tmp_path, real())
    assert theirs.probs == ours.probs
    assert theirs.events == ours.events
    assert theirs.detector == ours.detector
