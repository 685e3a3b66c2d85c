"""The TFLite Micro projects: their C++ compiles, and hears what the C99 hears.

TFLite Micro's sources are in no package, so its interpreter is stood in for: its class, with our
own compiled step behind ``Invoke``. That proves the glue (which tensor gets what, arena, resolver);
that TFLite Micro computes the same is proven with its own interpreter in test_firmware_step.py.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from firmware_export import arena
from firmware_export.c99 import c99_sources
from firmware_export.emit import packaged, write_files
from firmware_export.layout import lay_out
from firmware_export.program import Program
from firmware_export.targets import Request, export
from firmware_export.tflm import _METHODS
from firmware_export.verify import golden_audio
from tests.firmware_cases import load, need
from wakeword.bundle import Bundle
from wakeword.errors import ExportError
from wakeword.tflite_graph import read_graph

PLACES = ("esp-idf/components/wakeword", "arduino/src", "zephyr/src")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Program, Path]:
    pytest.importorskip("tflite_micro", reason="pip install --pre tflite-micro")
    bundle, program = load("computer_jarvis")
    out = tmp_path_factory.mktemp("tflm") / "out"
    export(Request(bundle=bundle, program=program, target="tflm", out=out))
    return bundle, program, out


def stand_ins(folder: Path, bundle: Bundle, program: Program) -> None:
    """Headers with the part of TFLite Micro's interface that is used."""
    methods = "".join(
        f"    int {m}() {{ return count++ < N ? kTfLiteOk : 1; }}\n" for m in _METHODS.values()
    )
    layout = lay_out(program)
    steps = []
    for i, name in enumerate(bundle.inputs):
        if name.startswith("state_"):
            at = layout.places[program.states[int(name[6:])]].offset
            size = program.sizes[program.states[int(name[6:])]]
            steps.append(f"memcpy((int8_t *)states + {at}, in[{i}].data.int8, {size});")
    frames = f"in[{bundle.inputs.index('frames')}].data.int8"
    steps.append(f"wk_c99_step({frames}, (int8_t *)states, work, scores);")
    for i, name in enumerate(bundle.outputs):
        if name == "scores":
            score = "(int8_t)(scores[w] - 128)"
            steps.append(f"for (int w = 0; w < WK_WORDS; w++) out[{i}].data.int8[w] = {score};")
        else:
            at = layout.places[program.states[int(name[5:])]].offset
            size = program.sizes[program.states[int(name[5:])]]
            steps.append(f"memcpy(out[{i}].data.int8, (int8_t *)states + {at}, {size});")
    body = "\n        ".join(steps)
    write_files(
        folder,
        {
            "tensorflow/lite/schema/schema_generated.h": (
                "#pragma once\n#define TFLITE_SCHEMA_VERSION 3\nnamespace tflite {\n"
                "struct Model { int version() const { return 3; } };\n"
                "inline const Model *GetModel(const void *) { static Model m; return &m; }\n}\n"
            ),
            "tensorflow/lite/micro/micro_mutable_op_resolver.h": (
                "#pragma once\nenum { kTfLiteOk = 0 };\nnamespace tflite {\n"
                "template <int N> struct MicroMutableOpResolver {\n    int count = 0;\n"
                f"{methods}}};\n}}\n"
            ),
            "tensorflow/lite/micro/micro_interpreter.h": f"""#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
extern "C" {{
#include "wk_frontend.h"
#include "wk_model.h"
void wk_c99_step(const int8_t *, int8_t *, uint32_t *, uint8_t *);
}}
struct TfLiteTensor {{ struct {{ int8_t *int8; }} data; }};
namespace tflite {{
class MicroInterpreter {{
    int8_t memory[8][4096] = {{}};
    TfLiteTensor in[4], out[4];
    uint32_t states[WK_STATE_WORDS], work[WK_SCRATCH_WORDS];
    bool ready = false;
  public:
    template <class R> MicroInterpreter(const Model *, const R &, uint8_t *, size_t size) {{
        ready = size > 2000; for (int i = 0; i < 4; i++) {{ in[i].data.int8 = memory[i];
        out[i].data.int8 = memory[4 + i]; }}
    }}
    int AllocateTensors() {{ return ready ? kTfLiteOk : 1; }}
    TfLiteTensor *input(int i) {{ return &in[i]; }}
    TfLiteTensor *output(int i) {{ return &out[i]; }}
    int Invoke() {{
        uint8_t scores[WK_WORDS];
        {body}
        return kTfLiteOk;
    }}
}};
}}
""",
            "Chirale_TensorFlowLite.h": "#pragma once\n",
        },
    )


@pytest.mark.parametrize("place", PLACES)
def test_projects_hear_what_the_c99_hears(
    place: str, project: tuple[Bundle, Program, Path], tmp_path: Path
) -> None:
    need("gcc", "g++")
    bundle, program, out = project
    stand_ins(tmp_path / "stand_ins", bundle, program)
    include = ["-I", str(out / place), "-I", str(tmp_path / "stand_ins")]
    # The C99 step under another name, for the stand-in to call.
    parts = c99_sources(program, bundle)
    step = parts["wk_model.c"].replace("wk_run_step", "wk_c99_step")
    for what in (r"const wk_rule wk_rules.*?;\n\n.*?;\n\n", r"void wk_store_frame.*?\n}\n"):
        step, count = re.subn(what, "", step, flags=re.DOTALL)
        assert count == 1
    declared = "void wk_c99_step(const int8_t *, int8_t *, uint32_t *, uint8_t *);\n"
    main = packaged("harness")["wk_check.c"]
    begin = "int main(int count, char **words)\n{\n"
    assert begin in main
    checked = f'#include "wk_step_tflm.h"\n{begin}    if (!wk_tflm_begin()) {{ return 9; }}\n'
    c99 = {n: parts[n] for n in ("wk_kernels.c", "wk_kernels.h")}
    c99 |= {
        "step.c": f"#include <stdint.h>\n{declared}{step}",
        "main.c": main.replace(begin, checked),
    }
    write_files(tmp_path / "c99", c99)
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    own = ["-I", str(tmp_path / "c99")]
    objects = []
    for source in (*(out / place).glob("*.c"), *(tmp_path / "c99").glob("*.c")):
        objects.append(tmp_path / f"{source.parent.name}-{source.stem}.o")
        command = ["gcc", "-std=c99", *flags, *include, *own, "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True)
    listen = tmp_path / "listen"
    command = ["g++", "-std=c++17", *flags, *include, *(out / place).glob("*.cpp"), *objects]
    subprocess.run([*command, "-o", listen], check=True)
    demo = golden_audio()["the demo"].tobytes()
    said = subprocess.run([listen, "events", "160"], input=demo, capture_output=True, check=True)
    words = [line.split()[:2] for line in said.stdout.decode().splitlines()]
    assert words == [["32000", "computer"], ["133760", "jarvis"]]


def test_resolver_registers_the_operators_of_the_graph_and_no_other(
    project: tuple[Bundle, Program, Path],
) -> None:
    bundle, _, out = project
    needed = {_METHODS[o.name] for o in read_graph(bundle.model_bytes).operators}
    for place in PLACES:
        text = (out / place / "wk_step_tflm.cpp").read_text()
        assert set(re.findall(r"operators\.(\w+)\(\)", text)) == needed
        assert f"MicroMutableOpResolver<{len(needed)}>" in text


def test_arena_is_the_measured_one_and_the_model_runs_in_it(
    project: tuple[Bundle, Program, Path],
) -> None:
    from tflite_micro.python.tflite_micro import runtime

    bundle, _, out = project
    text = (out / PLACES[0] / "wk_step_tflm.cpp").read_text()
    size = int(re.search(r"kArenaBytes = (\d+)", text)[1])  # type: ignore[index] # else it fails here
    runtime.Interpreter.from_bytes(bundle.model_bytes, arena_size=size).invoke()


def test_model_is_in_the_array_byte_for_byte(project: tuple[Bundle, Program, Path]) -> None:
    bundle, _, out = project
    for place in PLACES:
        text = (out / place / "wk_model_data.c").read_text()
        assert "aligned(16)" in text
        body = text.partition("{\n")[2].partition("};")[0]
        assert bytes(int(n, 16) for n in re.findall(r"0x(..)", body)) == bundle.model_bytes


def test_projects_have_what_their_tools_look_for(project: tuple[Bundle, Program, Path]) -> None:
    out = project[2]
    for name in (
        "esp-idf/CMakeLists.txt", "esp-idf/main/main.cpp", "esp-idf/README.md",
        "esp-idf/components/wakeword/idf_component.yml", "arduino/library.properties",
        "arduino/examples/Listen/Listen.ino", "arduino/README.md", "zephyr/zephyr/module.yml",
        "zephyr/Kconfig", "zephyr/samples/listen/prj.conf", "zephyr/README.md", "README.md",
    ):  # fmt: skip
        text = (out / name).read_text()
        assert text
        assert not re.search(r"@[A-Z_]+@", text), name


def test_without_the_interpreter_no_arena_is_made_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(arena, "can_measure", lambda: False)
    bundle, program = load("preset_tiny")
    with pytest.raises(ExportError, match="pip install --pre tflite-micro"):
        export(Request(bundle=bundle, program=program, target="tflm", out=tmp_path / "out"))
    with pytest.raises(ExportError, match="--arena 0"):
        export(
            Request(bundle=bundle, program=program, target="tflm", out=tmp_path / "out", arena=0)
        )
    assert not (tmp_path / "out").exists()
