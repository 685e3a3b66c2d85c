"""The small version of every recipe goes through, and what it writes runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wakeword.sequence_bundle import read_sequence_bundle
from wakeword_train.cli import main
from wakeword_train.sequence.run import find, names

pytest.importorskip("tensorflow", reason="recipes need the extra `train`")
pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("WAKEWORD_SHARED", "absent")) / "data" / "text"
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", names())
def test_the_small_version_goes_through_and_its_bundles_open(name: str, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("reads the texts of $WAKEWORD_SHARED")
    out = tmp_path / "out"
    command = [
        "train", "--recipe", name, "--small", "--compare", "--data", str(DATA),
        "--out", str(out), "--work", str(tmp_path / "work"),
    ]  # fmt: skip
    assert main(command) == 0
    results = json.loads((out / f"{name}-results.json").read_text())
    assert results["rows"]
    bundles = [p for p in out.glob("*.json") if not p.name.endswith("-results.json")]
    assert bundles
    for path in bundles:
        bundle = read_sequence_bundle(path)
        assert bundle.training["recipe"] == name
        for graph in bundle.graphs:
            bundle.open(graph)


@pytest.mark.parametrize("name", names())
def test_a_recipe_is_wiring(name: str) -> None:
    recipe = find(name)
    text = Path(str(recipe.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    # 150 lines, apart from imports, blank lines and docstrings of the module.
    code = text.split('"""', 2)[2]
    lines = [line for line in code.splitlines() if line.strip()]
    body = next(i for i, line in enumerate(lines) if line.startswith(("LEDGER", "@", "def ")))
    assert len(lines) - body <= 150
    assert (recipe.__doc__ or "").splitlines()[0].endswith(".")
    assert type(recipe.CONFIG) is type(recipe.SMALL)
    for entry in recipe.LEDGER:
        assert set(entry) == {"name", "source", "licence", "used_for"}
