"""The frame of the recipes: fitting that can be killed, rows, tables, the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.cli import main
from wakeword_train.sequence import command
from wakeword_train.sequence.fit import FitConfig, fit
from wakeword_train.sequence.run import Run, find, names, run
from wakeword_train.sequence.table import Row, put_table

keras = pytest.importorskip("keras", reason="fitting needs the extra `train`")
tf = pytest.importorskip("tensorflow")

CONFIG = FitConfig(batches=60, rate=0.05, check_every=10, save_every=20, clip_norm=1.0)


def line(seed: int = 3) -> Any:
    """A model with dropout, whose seed is part of the state."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dropout(0.2), keras.layers.Dense(1, name="line")]
    )


def draw(rng: np.random.Generator, number: int) -> tuple[Any, ...]:
    x = rng.normal(size=(8, 4)).astype(np.float32)
    return x, (x @ np.array([[1], [2], [3], [4]], np.float32)) + np.float32(number < 0)


def train(folder: Path, config: FitConfig = CONFIG, **more: Any) -> Any:
    model = line()

    def loss(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.square(model(x, training=True) - y))

    if "checks" in more:
        left = iter(more.pop("checks"))
        more["check"] = lambda: next(left)
    spent = fit(model, draw, loss, config, seed=1, folder=folder, **more)
    assert spent.clock > 0
    assert spent.cpu > 0
    return model


def weights(model: Any) -> list[Any]:
    return [np.asarray(v) for v in model.variables]


def kernel(model: Any) -> Any:
    return np.asarray(model.trainable_variables[0])


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("average", [0.0, 0.5], ids=["best", "best average"])
def test_an_interrupted_run_ends_with_the_same_weights(average: float, tmp_path: Path) -> None:
    config = FitConfig(batches=100, rate=0.05, check_every=10, save_every=20, average_last=average)

    def progress(done: int, *_: Any) -> None:
        if done == 50:  # after the state of batch 40 was saved
            raise StoppedError

    checks = [5.0, 4.0, 6.0, 3.0, 7.0, 2.0, 8.0, 1.0, 9.0, 10.0]
    whole = train(tmp_path / "whole", config, checks=checks)
    with pytest.raises(StoppedError):
        train(tmp_path / "cut", config, checks=checks, progress=progress)
    resumed = train(tmp_path / "cut", config, checks=checks[4:])
    for ours, theirs in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # Asked again when it is finished, it trains no further.
    again = train(tmp_path / "cut", config, checks=[])
    np.testing.assert_array_equal(kernel(again), kernel(whole))


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_sequence_frame import CONFIG, train
def progress(done, *_):
    os.kill(os.getpid(), signal.SIGKILL)
train(Path(sys.argv[1]), CONFIG, progress=progress)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_run_that_was_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    root = Path(__file__).parents[1]
    environment["PYTHONPATH"] = f"{root}{os.pathsep}{environment['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "cut")],
        check=False, capture_output=True, env=environment, cwd=root,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "cut" / "state.npz").is_file()
    resumed, whole = train(tmp_path / "cut"), train(tmp_path / "whole")
    for ours, theirs in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    seen: list[Any] = []
    figures = iter([3.0, 1.0, 2.0, 1.5, 4.0, 5.0])
    model = line()

    def check() -> float:
        seen.append(kernel(model))
        return next(figures)

    fit(
        model, draw, lambda x, y: tf.reduce_mean(tf.square(model(x, training=True) - y)), CONFIG,
        seed=1, folder=tmp_path, check=check,
    )  # fmt: skip
    np.testing.assert_array_equal(kernel(model), seen[1])
    assert (seen[1] != seen[-1]).any()


@pytest.mark.parametrize(
    ("clip", "most"),
    [({"clip_norm": 1e-9}, 1e-2), ({"clip_norm": 0.0, "clip_value": 1e-9}, 1e-2)],
    ids=["norm", "value"],
)
def test_clipped_gradients_move_little(clip: dict[str, float], most: float, tmp_path: Path) -> None:
    start = kernel(line())
    free = train(tmp_path / "free", FitConfig(batches=1, rate=0.1, warm_up=1, clip_norm=0.0))
    held = train(tmp_path / "held", FitConfig(batches=1, rate=0.1, warm_up=1, **clip))
    moved = [np.abs(kernel(m) - start).max() for m in (free, held)]
    # Adam divides by the gradient's size plus 1e-7: only far below that does it move less.
    assert moved[1] < most < 0.05 < moved[0]


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    train(tmp_path, FitConfig(batches=2))
    with pytest.raises(ConfigError, match="other settings"):
        train(tmp_path, FitConfig(batches=3))


def test_nan_in_the_data_ends_the_run(tmp_path: Path) -> None:
    model = line()
    with pytest.raises(ConfigError, match="batch 0: the loss is nan: look for NaN"):
        fit(
            model, lambda rng, n: (np.full((1, 4), np.nan, np.float32),),
            lambda x: tf.reduce_mean(model(x)), CONFIG, seed=1, folder=tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"batches": 0}, {"batches": 1, "rate": 0.0}, {"batches": 1, "clip_norm": -1.0},
     {"batches": 1, "average_last": 2.0}, {"batches": 1, "check_every": 0}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="need"):
        FitConfig(**wrong)


def test_the_rate_rises_then_falls() -> None:
    config = FitConfig(batches=100, rate=1.0, warm_up=10, last_rate=0.1)
    rates = [config.rate_at(n) for n in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert np.argmax(rates) == 9
    assert 0.1 < rates[-1] < 0.101


def test_rows_say_whether_the_bar_is_met() -> None:
    assert Row("x", 2.35, "<= 2.35").met is True
    assert Row("x", 0.9, ">= 0.91").met is False
    assert Row("x", 1e-6, "<= 1e-6").met is True
    assert Row("x", 1.0).met is None
    with pytest.raises(ConfigError, match="bar="):
        Row("x", 1.0, "about 2")


def test_small_figures_keep_their_digits() -> None:
    cells = Row("error", 2.5e-7, "<= 1e-6", baseline=("none", 0.0)).cells()
    assert cells == ("error", "2.5e-07", "", "none 0.000", "≤ 1e-6", "met")


def test_a_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nText.\n")
    put_table(page, "a", "First", "one")
    put_table(page, "b", "Second", "two")
    words = page.read_text().replace("## First\n", "## First\n\nBy hand.\n")
    page.write_text(words)
    put_table(page, "a", "First", "three")
    assert page.read_text() == words.replace("one", "three")
    assert words.index("## First") < words.index("one") < words.index("## Second")
    page.write_text(words.replace("<!-- a: end -->", ""))
    with pytest.raises(ConfigError, match="once each"):
        put_table(page, "a", "First", "four")


@dataclass(frozen=True)
class Tiny:
    batches: int = 20


def recipe() -> Any:
    """A recipe as a module is one."""
    order: list[str] = []

    def load(run: Run) -> Any:
        order.append("load")
        return run.file("x.txt").read_text()

    def build(run: Run, data: Any) -> Any:
        order.append(f"build with {data}")
        return line()

    def fit_(run: Run, data: Any, model: Any) -> None:
        order.append("fit")
        run.fit(
            "line", model, draw, lambda x, y: tf.reduce_mean(tf.square(model(x) - y)),
            FitConfig(batches=run.config.batches),
        )  # fmt: skip

    def evaluate(run: Run, data: Any, model: Any) -> list[Row]:
        order.append("evaluate")
        baseline = ("nothing", 9.0) if run.compare else None
        return [Row("error", 0.25, "<= 0.5", baseline=baseline)]

    def export(run: Run, data: Any, model: Any) -> list[Row]:
        order.append("export")
        assert run.training([])["results"][0]["met"] is True
        return [Row("bytes", 12.0, digits=0)]

    return SimpleNamespace(
        __doc__="Lines.\n\nMore.", CONFIG=Tiny(), SMALL=Tiny(3), LEDGER=(), load=load, build=build,
        fit=fit_, evaluate=evaluate, export=export, order=order,
    )  # fmt: skip


def test_the_command_goes_through_a_recipe_and_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = recipe()
    monkeypatch.setattr(command, "find", lambda name: lines)
    (tmp_path / "x.txt").write_text("text")
    page = tmp_path / "page.md"
    common = ["train", "--recipe", "lines", "--data", str(tmp_path), "--work", str(tmp_path / "w")]
    options = ["--out", str(tmp_path / "out"), "--compare", "--table", str(page)]
    assert main([*common, *options]) == 0
    assert lines.order == ["load", "build with text", "fit", "evaluate", "export"]
    out = capsys.readouterr().out
    assert "| error | 0.250 |  | nothing 9.000 | ≤ 0.5 | met |" in out
    assert "`wakeword train --recipe lines --compare --seed 1`" in out
    assert "line 0." in out  # minutes of training
    text = page.read_text()
    assert text.startswith("## Lines\n")
    assert out.splitlines()[2] in text
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "lines-results.json", "lines.md",
    ]  # fmt: skip
    assert main([*common, "--small", "--table", str(page)]) == 1
    assert "small run" in capsys.readouterr().err


def test_a_data_set_that_is_missing_is_named(tmp_path: Path) -> None:
    going = Run(name="lines", config=Tiny(), data=tmp_path, work=tmp_path, out=tmp_path)
    with pytest.raises(ConfigError, match=r"x\.txt: no such file: recipe 'lines' reads it"):
        run(recipe(), going)


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="choose one of"):
        find("absent")
    assert "absent" not in names()


def test_a_purpose_draws_the_same_with_the_same_seed(tmp_path: Path) -> None:
    def drawn(seed: int, what: str) -> float:
        going = Run(name="x", config=0, data=tmp_path, work=tmp_path, out=tmp_path, seed=seed)
        return float(going.rng(what).random())

    assert drawn(1, "a") == drawn(1, "a") != drawn(1, "b") != drawn(2, "b")
