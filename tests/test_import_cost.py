"""What `import wakeword` loads: numpy and the standard library, nothing that takes its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEAVY = {
    "ai_edge_litert", "keras", "matplotlib", "pydoc", "rich", "scipy", "sounddevice", "soundfile",
    "soxr", "tensorflow", "tflite_runtime", "tqdm", "wakeword_train", "firmware_export",
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


def test_oracle_sees_a_heavy_module() -> None:
    assert loaded_by("import soxr") & HEAVY == {"soxr"}
