"""The loop all training goes through: batches by number, progress, a state that survives a kill.

A batch depends on its number alone, and the state is saved whole beside its name and renamed. So a
run that was killed at any moment goes on from the state saved last to the same weights, bit for
bit.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword_train.events import Events

__all__ = ["TELL_EVERY", "Progress", "loop", "read_losses", "read_state"]

log = logging.getLogger(__name__)
Progress = Callable[[int, int, float], None]
"""Told of a run now and then: batches done, batches in all, mean loss of the last ones."""
TELL_EVERY = 50


def read_state(folder: Path) -> bytes:
    """Read what a run saved last; nothing where it saved nothing."""
    saved = folder / "state.npz"
    return saved.read_bytes() if saved.is_file() else b""


def read_losses(folder: Path, every: int = 100) -> list[float]:
    """Read the mean loss of each ``every`` batches of a run, over its members if there are any."""
    runs = []
    for path in sorted(folder.glob("member-*/state.npz")) or [folder / "state.npz"]:
        with np.load(path) as state:
            runs.append(state["losses"])
    losses = np.mean(runs, axis=0)
    return [round(float(losses[i : i + every].mean()), 4) for i in range(0, len(losses), every)]


def loop(
    train: Callable[[int], float],
    variables: Sequence[Any],
    *,
    batches: int,
    folder: Path,
    before: bytes,
    save_every: int,
    after: Callable[[int, Events], None] = lambda *_: None,
    more: Callable[[], Mapping[str, Any]] = dict,
    restore: Callable[[Mapping[str, NDArray[Any]]], None] = lambda _: None,
    keep: bool = True,
    progress: Progress = lambda *_: None,
) -> None:
    """Train from where a run stood to its last batch.

    Args:
        train: trains batch ``number``, counted from 0, and gives its loss.
        variables: all that training changes, optimizer included.
        batches: in all.
        folder: of ``state.npz`` and, for TensorBoard, ``events``.
        before: of :func:`read_state`: the state to go on from, or nothing.
        save_every: batches between states.
        after: called behind each batch with the number of batches done.
        more: arrays to save with the variables.
        restore: given what was saved, takes back what ``more`` gave.
        keep: whether to write; of several workers only the chief does.
        progress: see `Progress`.
    """
    start, losses = 0, list[float]()
    if before:
        with np.load(io.BytesIO(before)) as state:
            start = int(state["batch"])
            for index, variable in enumerate(variables):
                variable.assign(state[f"v{index}"])
            losses = state["losses"].tolist()
            restore(state)
        log.info("going on from batch %d of %d", start, batches)
    if keep:
        folder.mkdir(parents=True, exist_ok=True)
    events = Events(folder / "events" if keep else None)
    for number in range(start, batches):
        losses.append(train(number))
        done = number + 1
        if done % TELL_EVERY == 0:
            mean = float(np.mean(losses[-TELL_EVERY:]))
            progress(done, batches, mean)
            events.tell(done, loss=mean)
        after(done, events)
        if keep and (done % save_every == 0 or done == batches):
            _save(folder, done, losses, variables, more())


def _save(
    folder: Path, done: int, losses: list[float], variables: Sequence[Any], more: Mapping[str, Any]
) -> None:
    """Write the state beside its name, then rename it."""
    state: dict[str, Any] = {"batch": np.int64(done), "losses": np.asarray(losses)}
    state |= {f"v{i}": np.asarray(v) for i, v in enumerate(variables)}
    state |= more
    partial = folder / f"state.{os.getpid()}.part.npz"
    np.savez(partial, **state)
    partial.replace(folder / "state.npz")
