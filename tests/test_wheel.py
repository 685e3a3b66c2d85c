"""The wheel as others get it: what is in it, and that it runs with what it declares and no more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MODEL_LIMIT = 300_000  # bytes; a microcontroller's flash is not much larger, nor is patience


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no build folder is left behind or taken for new."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy)
    for name in ("wakeword", "train", "firmware_export"):
        skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, ignore=skip)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*command, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def run(*command: str | Path, cwd: Path) -> str:
    """Run without our checkout on the path, and return stdout; fail with what it said."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def requirements(package: Distribution) -> list[Requirement]:
    """What a distribution needs here, extras left out."""
    found = [Requirement(line) for line in package.requires or []]
    return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


def closure(package: Distribution) -> dict[str, Distribution]:
    """Everything that is installed along with ``package``, by name."""
    found: dict[str, Distribution] = {}
    todo = requirements(package)
    while todo:
        needed = todo.pop()
        if needed.name not in found:
            found[needed.name] = distribution(needed.name)
            assert needed.specifier.contains(found[needed.name].version, prereleases=True)
            todo += requirements(found[needed.name])
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and, linked in, what its metadata asks for: no network."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, symlinks=True, with_pip=False)
    interpreter = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--no-index"]
    run(*pip, "--no-deps", "--quiet", wheel, cwd=home)
    (site,) = home.glob("lib/python3.*/site-packages")
    (info,) = site.glob("wakeword-*.dist-info")
    for needed in closure(Distribution.at(info)).values():
        for top in {file.parts[0] for file in needed.files or [] if file.parts[0] != ".."}:
            source = Path(str(needed.locate_file(top)))
            if source.exists() and not (site / top).exists() and top != "__pycache__":
                (site / top).symlink_to(source)
    return interpreter


def test_wheel_has_exactly_three_top_level_names(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "wakeword",
        "wakeword_train",
        "firmware_export",
    }


def test_wheel_carries_every_module(names: list[str]) -> None:
    for folder in (ROOT / "wakeword", ROOT / "train" / "wakeword_train", ROOT / "firmware_export"):
        here = {f.relative_to(folder.parent).as_posix() for f in folder.rglob("*.py")}
        assert here
        assert here - set(names) == set()


def test_wheel_carries_types_licence_and_training_settings(names: list[str]) -> None:
    assert {f"{top}/py.typed" for top in ("wakeword", "wakeword_train", "firmware_export")} <= set(
        names
    )
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "wakeword_train/data/splits.tsv" in names
    assert "wakeword_train/recipes/computer_jarvis.toml" in names
    page = {f.name for f in (ROOT / "wakeword" / "web" / "page").iterdir()}
    assert {f"wakeword/web/page/{name}" for name in page} <= set(names)
    assert "index.html" in page


def test_models_ship_and_are_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        models = [i for i in archive.infolist() if i.filename.startswith("wakeword/models/")]
    assert {Path(i.filename).suffix for i in models} >= {".json", ".tflite"}
    bundles = {Path(i.filename).stem for i in models}
    assert len(bundles) > 1
    assert sum(i.file_size for i in models) < MODEL_LIMIT * len(bundles)


def test_installed_command_says_its_version(wheel: Path, python: Path, tmp_path: Path) -> None:
    said = run(python.with_name("wakeword"), "--version", cwd=tmp_path)
    assert said.split() == ["wakeword", wheel.name.split("-")[1]]


def test_installed_wheel_hears_the_word_in_the_demo_and_never_loads_tensorflow(
    python: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, wakeword, wakeword.cli, pathlib\n"
        "demo = pathlib.Path(wakeword.__file__).parent / 'demo' / 'computer.flac'\n"
        "code = wakeword.cli.main(['detect', '--json', str(demo)])\n"
        "assert not {'tensorflow', 'keras', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    found = [json.loads(line) for line in run(python, "-c", code, cwd=tmp_path).splitlines()]
    assert [detection["word"] for detection in found] == ["computer", "jarvis"]


@pytest.mark.parametrize("module", ["tensorflow", "keras", "scipy", "matplotlib", "sounddevice"])
def test_runtime_asks_for_nothing_heavy(python: Path, module: str, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print(u.find_spec({module!r}))"
    assert run(python, "-c", code, cwd=tmp_path).strip() == "None"
