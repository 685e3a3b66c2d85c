"""What `import wakeword` loads: numpy and the standard library, nothing that takes its time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEAVY = {
    "ai_edge_litert", "asyncio", "keras", "matplotlib", "paho", "prometheus_client", "pydoc",
    "rich", "scipy", "sounddevice", "soundfile", "soxr", "tensorflow", "tflite_runtime", "tqdm",
    "tomlkit", "tornado", "wakeword_train", "firmware_export",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Top-level names in ``sys.modules`` of a new interpreter after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_wakeword_loads_nothing_heavy() -> None:
    loaded = loaded_by("import wakeword")
    assert "wakeword" in loaded
    assert loaded & HEAVY == set()


def test_asking_for_the_version_loads_nothing_heavy() -> None:
    loaded = loaded_by(
        "from wakeword.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    )
    assert "wakeword" in loaded
    assert loaded & HEAVY == set()


def test_the_command_alone_sets_the_threads_of_numpy_before_numpy_is_there() -> None:
    assert "numpy" not in loaded_by("import wakeword.cli")
    show = "import os, sys; print(os.environ.get('OPENBLAS_NUM_THREADS'), 'numpy' in sys.modules)"
    run = "from wakeword.cli import main; main(['models'])"
    for before, statement, after in (
        ({}, run, "1 True"),
        ({"OPENBLAS_NUM_THREADS": "3"}, run, "3 True"),  # the user's own setting stands
        ({}, "import wakeword; wakeword.Detector", "None True"),
    ):
        env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | before
        done = subprocess.run(
            [sys.executable, "-c", f"{statement}\n{show}"],
            cwd=ROOT, env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == after


def test_every_public_name_is_found() -> None:
    import wakeword

    for name in set(wakeword.__all__) - {"__version__"}:
        assert getattr(wakeword, name).__name__ == name
    assert not hasattr(wakeword, "no_such_name")


def test_oracle_sees_a_heavy_module() -> None:
    assert loaded_by("import soxr") & HEAVY == {"soxr"}
