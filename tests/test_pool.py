"""Pools of workers: a worker that is killed is reported, and an error drops what has not begun."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from wakeword.errors import WakewordError
from wakeword_train.pool import end_with_parent, spawn_pool

_told = ""


def _tell(text: str) -> None:
    global _told
    _told = text


def _told_now() -> str:
    return _told


def _fail_slowly(path: str) -> None:
    Path(path).touch()
    time.sleep(0.2)
    raise WakewordError("broken")


def _queue_failing(folder: Path) -> None:
    with spawn_pool(1) as pool:
        jobs = [pool.submit(_fail_slowly, str(folder / str(n))) for n in range(20)]
        jobs[0].result()


def test_workers_begin_with_their_initializer() -> None:
    with spawn_pool(2, _tell, ("hello",)) as pool:
        assert [pool.submit(_told_now).result() for _ in range(3)] == ["hello"] * 3


def test_a_worker_that_is_killed_is_reported_with_a_remedy() -> None:
    with (
        pytest.raises(WakewordError, match="run again with fewer --processes"),
        spawn_pool(1) as pool,
    ):
        pool.submit(os._exit, 9).result()


def test_an_error_drops_the_jobs_that_have_not_begun(tmp_path: Path) -> None:
    with pytest.raises(WakewordError, match="broken"):
        _queue_failing(tmp_path)
    # One more runs, and one may wait in the pipe to the worker.
    assert 1 <= len(list(tmp_path.iterdir())) <= 4


def test_a_process_with_no_parent_of_its_kind_goes_on() -> None:
    end_with_parent()
