"""Two processes on this machine that train one model."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.crew import ALONE, open_crew, read_tf_config

ROOT = Path(__file__).resolve().parents[1]
# What each worker runs; it takes a folder, "one" or "multiworker", and the seed of its windows.
WORKER = """
import os, sys
from pathlib import Path
from wakeword_train.crew import open_crew
from wakeword_train.fit import FitConfig, fit
folder, strategy, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with open_crew(strategy) as crew:
    import keras
    import numpy as np
    from wakeword_train.data.windows import FRAMES, Windows
    from wakeword_train.models.trigger import TriggerConfig, build
    rng = np.random.default_rng(seed)
    said = np.arange(40) < 20
    windows = Windows(
        features=[rng.integers(0, 600, (40, FRAMES, 40)).astype(np.uint16)],
        label=np.where(said, 0, -1).astype(np.int16), end=np.where(said, 150, -1).astype(np.int16),
        group=(~said).astype(np.int16), names=("real yes", "long speech"),
    )
    keras.utils.set_random_seed(1)
    model = build(TriggerConfig(filters=4, units=(4,), dropout=0.2, batch_norm=True), 1)
    def progress(done, batches, loss):
        print("after", done, flush=True)
    fit(
        model, windows, words=1, share={"real": 0.4, "long": 0.0}, stride=3, seed=7, folder=folder,
        config=FitConfig(
            batches=40, batch=6, save_every=10, mine_every=15, average_last=0.5, warm_up=1
        ),
        crew=crew, progress=progress,
    )
    np.savez(folder / f"worker{crew.index}.npz", *map(np.asarray, model.variables))
"""


def _begin(
    folder: Path, strategy: str, *, index: int = 0, ports: tuple[int, ...] = (), seed: int = 3
) -> subprocess.Popen[str]:
    """Begin a worker in a folder of its own."""
    folder.mkdir(exist_ok=True)
    table = {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": index},
    }
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "train")]), "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
    }  # fmt: skip
    if ports:
        env["TF_CONFIG"] = json.dumps(table)
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), strategy, str(seed)],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _free() -> tuple[int, int]:
    """Find two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _pair(folder: Path, *, seeds: tuple[int, int] = (3, 3)) -> list[subprocess.Popen[str]]:
    ports = _free()
    folder.mkdir(exist_ok=True)
    return [
        _begin(folder / str(index), "multiworker", index=index, ports=ports, seed=seeds[index])
        for index in range(2)
    ]


def _weights(path: Path) -> list[np.ndarray]:
    with np.load(path) as found:
        return [found[name] for name in found.files]


def _same(some: list[np.ndarray], others: list[np.ndarray]) -> None:
    assert len(some) == len(others) > 5
    for one, other in zip(some, others, strict=True):
        if one.dtype.kind == "f":  # the rest are seeds of random numbers
            np.testing.assert_allclose(one, other, atol=2e-3)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Train in one process."""
    pytest.importorskip("tensorflow", reason="pip install 'wakeword[train]'")
    folder = tmp_path_factory.mktemp("alone")
    worker = _begin(folder, "one")
    out = worker.communicate(timeout=300)[0]
    assert worker.returncode == 0, out
    return _weights(folder / "worker0.npz")


def test_two_workers_make_the_model_that_one_makes(alone: list[np.ndarray], tmp_path: Path) -> None:
    workers = _pair(tmp_path)
    for worker in workers:
        out = worker.communicate(timeout=300)[0]
        assert worker.returncode == 0, out
    for index in range(2):
        _same(_weights(tmp_path / str(index) / f"worker{index}.npz"), alone)
    assert not (tmp_path / "1" / "state.npz").exists()  # only the chief keeps it


def test_after_a_kill_two_workers_go_on_to_the_same_model(
    alone: list[np.ndarray], tmp_path: Path
) -> None:
    workers = _pair(tmp_path)
    state = tmp_path / "0" / "state.npz"
    end = time.monotonic() + 240
    while not state.is_file() and time.monotonic() < end and workers[0].poll() is None:
        time.sleep(0.05)
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    for worker in workers:
        worker.communicate(timeout=60)
    with np.load(state) as kept:
        assert 0 < int(kept["batch"]) <= 40
    for worker in _pair(tmp_path):
        out = worker.communicate(timeout=300)[0]
        assert worker.returncode == 0, out
    _same(_weights(tmp_path / "1" / "worker1.npz"), alone)


def test_a_worker_with_other_windows_stops_all(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="pip install 'wakeword[train]'")
    pair = _pair(tmp_path, seeds=(3, 4))
    for worker, out in [(worker, worker.communicate(timeout=300)[0]) for worker in pair]:
        assert worker.returncode != 0
        assert re.search("worker 1 has other windows or settings than the chief", out), out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "TF_CONFIG is not set"),
        ("{", "not like"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}}', "has 'ps'"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "HOST:PORT"),
        (
            '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
            "twice",
        ),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "has 1 of"),
    ],
)
def test_a_wrong_tf_config_is_told(text: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_tf_config(text)


def test_a_chief_comes_first() -> None:
    cluster = {"chief": ["c:1"], "worker": ["a:1", "b:1"]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 1}}
    assert read_tf_config(json.dumps(config)) == (2, ["c:1", "a:1", "b:1"])


def test_alone_nothing_is_shared() -> None:
    with open_crew("one") as crew:
        assert crew is ALONE
        assert crew.chief
        assert crew.part(8) == slice(0, 8)
        assert crew.of_chief(b"mine") == b"mine"
    with pytest.raises(ConfigError, match="choose one of one, multiworker"), open_crew("many"):
        pass
