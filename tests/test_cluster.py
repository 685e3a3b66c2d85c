"""A Ray cluster on this machine, whose workers are killed, fail, or are not as we are."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, ConfigError, WakewordError
from wakeword_train import cluster
from wakeword_train.data import corpus, windows
from wakeword_train.data.augment import AugmentConfig
from wakeword_train.data.manifest import Clip
from wakeword_train.pool import ArrayFile, Files, workers
from wakeword_train.synth import speak, synthesize
from wakeword_train.synth.carried import open_file
from wakeword_train.synth.recipe import Recipe, draw

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Start a cluster of three workers."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'wakeword[cluster]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # or a token is written to the home folder
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "train")]))
        started = ray.init(
            address="local", num_cpus=3, object_store_memory=100_000_000,
            include_dashboard=False, logging_level="WARNING",
        )  # fmt: skip
        yield str(started.address_info["address"])
        ray.shutdown()


_held: tuple[Any, ...] = ()


def _hold(*what: Any) -> None:
    global _held
    _held = what


def _tell(number: int) -> tuple[int, int, bytes, str, int]:
    array, files, text = _held
    time.sleep(0.1)  # long enough that no worker does everything
    return number, int(array.sum()), bytes(next(iter(files.values()))), text, os.getpid()


def test_workers_have_what_they_need_when_the_files_are_gone(address: str, tmp_path: Path) -> None:
    array, file = tmp_path / "array.npy", tmp_path / "voice"
    np.save(array, np.arange(1_000))
    file.write_bytes(b"sound")
    with workers(9, _hold, (ArrayFile(array), Files((file,)), "hello"), ray=address) as pool:
        array.unlink()
        file.unlink()
        found = dict(pool.map(_tell, ((n,) for n in range(24))))
    assert {n: row[:4] for n, row in found.items()} == {
        n: (n, 499_500, b"sound", "hello") for n in range(24)
    }
    assert len({row[4] for row in found.values()}) > 1


class Whistler:
    """An engine that plays the file it is made of, at the speed of the recipe."""

    name, voices, sounds = "whistler", ("only",), frozenset("jˈɛs .,!?")

    def __init__(self, file: Path) -> None:
        self.reads = (file,)

    def draw(self, number: int, label: str, spellings: list[str], seed: int) -> Recipe:
        return draw(self, number, label, spellings, seed)[0]

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        with open_file(self.reads[0]) as raw:
            samples = np.frombuffer(raw.read(), np.float32)
        return samples, RATE_HZ * recipe.settings["speed"]

    def fingerprints(self) -> dict[str, bytes]:
        return {"only": b""}


def _dies(log: Path, at: int, module: str, name: str, *job: Any) -> Any:
    """Do a job; the worker that is done with the ``at``-th one is killed before it can tell."""
    found = getattr(import_module(module), name)(*job)  # unchanged in a worker
    line = f"{os.getpid()} {time.monotonic_ns()}"
    with log.open("a") as file:
        file.write(line + "\n")
    if log.read_text().splitlines().index(line) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    times = np.arange(RATE_HZ // 2) / RATE_HZ
    for name, hz in (("one", 140), ("two", 220)):
        tone = sum(np.sin(2 * np.pi * hz * k * times) / k for k in range(1, 12))
        word = np.concatenate([np.zeros(4_000), 0.1 * tone, np.zeros(4_000)])
        soundfile.write(folder / f"{name}.wav", word + rng.normal(0, 1e-4, len(word)), RATE_HZ)
    soundfile.write(folder / "hum.wav", rng.normal(0, 0.05, 6 * RATE_HZ), RATE_HZ)
    (folder / "voice").write_bytes(rng.normal(0, 0.1, 4_000).astype(np.float32).tobytes())
    return folder


def _clips(sounds: Path) -> list[Clip]:
    rows = [("one.wav", "wake", "yes"), ("two.wav", "wake", "yes"), ("hum.wav", "noise", "hum")]
    return [Clip(f, 0.0, 1.0, k, n, "me", "CC0-1.0", "made by the test") for f, k, n in rows]


def _speak(out: Path, sounds: Path, ray: str | None) -> None:
    """Speak twelve clips by an engine of one file."""
    engine = Whistler(sounds / "voice")
    list(synthesize({"yes": ["jˈɛs"]}, 12, out, engines=[engine], seed=1, processes=1, ray=ray))


def _morph(out: Path, sounds: Path, ray: str | None) -> None:
    """Give two clips and six pieces of noise other voices."""
    clips = [*_clips(sounds), *(Clip(f"{n}.wav", 0, 1, "command", "no", "", "", "") for n in "ab")]
    for n in "ab":
        (sounds / f"{n}.wav").write_bytes((sounds / "one.wav").read_bytes())
    corpus.build_corpus(out, sounds, clips, morphs={"yes": 2, "no": 2}, seed=5, ray=ray)


def _cut(out: Path, sounds: Path, ray: str | None) -> None:
    """Cut ten shards of six windows, in a computed room."""
    pytest.importorskip("pyroomacoustics")
    base = out.parent / "corpus"
    corpus.build_corpus(base, sounds, _clips(sounds))
    groups = [windows.Group("real yes", 0, (0, 1), 30), windows.Group("long", -1, (2,), 30)]
    how = AugmentConfig(rooms=1, opus=0.05, mp3=0.05, telephone=0.1)
    list(windows.build_windows(out, base, groups, seed=3, augment=how, ray=ray))


@pytest.mark.parametrize(
    ("stage", "module", "name", "jobs"),
    [
        (_speak, speak, "_make_clip", 12),
        (_morph, corpus, "_morphs", 4),
        (_cut, windows, "_make_shard", 10),
    ],
)
def test_a_stage_gives_the_same_bytes_as_here_though_a_worker_is_killed(
    stage: Callable[..., None], module: Any, name: str, jobs: int, address: str, sounds: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("parselmouth")
    monkeypatch.setattr(windows, "SHARD", 6)
    stage(tmp_path / "here" / "made", sounds, None)
    log = tmp_path / "log"
    monkeypatch.setattr(module, name, partial(_dies, log, jobs // 2, module.__name__, name))
    stage(tmp_path / "there" / "made", sounds, address)
    assert len(log.read_text().splitlines()) == jobs + 1  # the lost one ran again
    here, there = (
        {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path / "here", tmp_path / "there")
    )
    assert there == here
    assert len(here) > 1


def test_a_job_that_kills_every_worker_is_given_up(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "TRIES", 0)
    with (
        pytest.raises(WakewordError, match=r"gave a job up after 1 tries .* kept: run again"),
        workers(1, ray=address) as pool,
    ):
        list(pool.map(os._exit, [(9,)]))


def _fail() -> None:
    raise AudioFormatError("broken")


def test_an_error_in_a_worker_arrives_as_it_is(address: str) -> None:
    with pytest.raises(AudioFormatError, match=r"^broken$"), workers(1, ray=address) as pool:
        list(pool.map(_fail, [()]))


def test_workers_with_other_versions_are_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: Mapping[str, str] = cluster.versions()
    monkeypatch.setattr(cluster, "versions", lambda: {**here, "numpy": "0.1"})
    with (
        pytest.raises(ConfigError, match=r"other versions.*: numpy \S+ instead of 0\.1; install"),
        workers(1, ray=address) as pool,
    ):
        list(pool.map(os.getpid, [()]))


def test_an_address_without_a_cluster_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'wakeword[cluster]'")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for where in ("127.0.0.1:9", "nonsense"):
        with (
            pytest.raises(WakewordError, match=f"--ray {where}: no cluster there .*ray start"),
            workers(1, ray=where),
        ):
            pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'wakeword\[cluster\]'"),
        workers(1, ray="auto"),
    ):
        pass
