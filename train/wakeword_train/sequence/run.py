"""A recipe and its run: which there are, where their files lie, in which order their parts go."""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import pkgutil
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.files import write_file
from wakeword_train.loop import Progress
from wakeword_train.sequence.fit import Draw, FitConfig, Spent, fit
from wakeword_train.sequence.table import Row, machine, markdown

__all__ = ["Recipe", "Run", "find", "names", "run"]

log = logging.getLogger(__name__)
PACKAGE = "wakeword_train.recipes.sequence"


class Recipe(Protocol):
    """What a file of ``wakeword_train/recipes/sequence`` defines; its docstring's first line is
    its title."""

    CONFIG: Any
    """Frozen dataclass: the real thing, for a table."""
    SMALL: Any
    """The same class: everything in under a minute, on little data."""
    LEDGER: Sequence[Mapping[str, str]]
    """Sets of data, each with name, source, licence and used_for."""

    def load(self, run: Run) -> Any:
        """Read the data."""

    def build(self, run: Run, data: Any) -> Any:
        """Make the models."""

    def fit(self, run: Run, data: Any, models: Any) -> None:
        """Train them, by ``run.fit``."""

    def evaluate(self, run: Run, data: Any, models: Any) -> Sequence[Row]:
        """Measure them; if ``run.compare``, baselines and reference libraries too."""

    def export(self, run: Run, data: Any, models: Any) -> Sequence[Row]:
        """Write bundles into ``run.out``; measure what became of the models."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a recipe.

    Args:
        name: of the recipe.
        config: of the recipe.
        data: folder of the data sets.
        work: folder of what a run keeps between interruptions.
        out: folder of bundles and pictures.
        seed: of everything that is drawn.
        compare: whether to measure baselines and reference libraries too.
        small: whether this is the small version.
        progress: told of stages: (stage, done, total).
    """

    name: str
    config: Any
    data: Path
    work: Path
    out: Path
    seed: int = 1
    compare: bool = False
    small: bool = False
    progress: Callable[[str, int, int], None] = lambda *_: None
    rows: list[Row] = dataclasses.field(default_factory=list)
    spent: dict[str, Spent] = dataclasses.field(default_factory=dict)

    def rng(self, what: str) -> np.random.Generator:
        """Make a generator for a purpose; the same seed and purpose draw the same."""
        return np.random.default_rng([self.seed, zlib.crc32(what.encode())])

    def file(self, name: str) -> Path:
        """Find a file of the data.

        Raises:
            ConfigError: it is not there.
        """
        path = self.data / name
        if not path.is_file():
            raise ConfigError(
                f"{path}: no such file: recipe {self.name!r} reads it; name the folder with --data"
            )
        return path

    def fit(
        self,
        what: str,
        model: Any,
        draw: Draw,
        loss: Callable[..., Any],
        config: FitConfig,
        check: Callable[[], float] | None = None,
    ) -> None:
        """Train a model in the shared loop, or go on with it; see `wakeword_train.sequence.fit`."""

        def progress(done: int, batches: int, value: float) -> None:
            self.progress(f"{what}: loss {value:.4f}, batch", done, batches)

        told: Progress = progress
        self.spent[what] = fit(
            model, draw, loss, config,
            seed=self.seed, folder=self.work / what, check=check, progress=told,
        )  # fmt: skip

    def training(self, ledger: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Say for a bundle how it came to be."""
        return {
            "recipe": self.name,
            "seed": self.seed,
            "small": self.small,
            "config": json.loads(json.dumps(dataclasses.asdict(self.config))),
            "results": [_result(row) for row in self.rows],
            "ledger": [dict(entry) for entry in ledger],
        }


def names() -> list[str]:
    """List the recipes, by the names of their files."""
    package = importlib.import_module(PACKAGE)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_")


def find(name: str) -> Recipe:
    """Load a recipe.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in names():
        raise ConfigError(f"recipe {name!r}: choose one of {', '.join(names())}")
    return cast(Recipe, importlib.import_module(f"{PACKAGE}.{name}"))


def run(recipe: Recipe, going: Run) -> str:
    """Go through a recipe: load, build, fit, evaluate, export.

    Returns:
        Its table, also written to ``NAME.md`` with the figures in ``NAME-results.json``.
    """
    import keras

    began = time.monotonic()
    data = recipe.load(going)
    keras.utils.set_random_seed(going.seed)
    models = recipe.build(going, data)
    recipe.fit(going, data, models)
    log.info("trained in %.1f minutes", sum(spent.clock for spent in going.spent.values()) / 60)
    going.rows.extend(recipe.evaluate(going, data, models))
    going.rows.extend(recipe.export(going, data, models))
    trained = "; ".join(
        f"{what} {spent.clock / 60:.1f} ({spent.cpu / 60:.1f} of CPU)"
        for what, spent in going.spent.items()
    )
    flags = " --compare" * going.compare + " --small" * going.small
    note = (
        f"`wakeword train --recipe {going.name}{flags} --seed {going.seed}`, {date.today()}, "
        f"{machine()}. Minutes of training: {trained or 'none'}; this run took "
        f"{(time.monotonic() - began) / 60:.1f} minutes."
    )
    table = markdown(going.rows, note)
    results = {"note": note, "rows": [_result(row) for row in going.rows]}
    write_file(going.out / f"{going.name}.md", (table + "\n").encode())
    write_file(
        going.out / f"{going.name}-results.json", (json.dumps(results, indent=2) + "\n").encode()
    )
    return table


def _result(row: Row) -> dict[str, Any]:
    """Plain values of a row."""
    return {**dataclasses.asdict(row), "met": row.met}
