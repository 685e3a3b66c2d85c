"""Windows of features to train on, each with a word in it or none, cached as memory-mapped shards.

Window n of a plan depends on the seed and n alone, so a shard can be made anywhere, in any order,
and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.frontend import BINS, HOP, RATE_HZ, WINDOW, features
from wakeword_train.data.arrays import load_array, remove_partial, save_array
from wakeword_train.data.augment import USUAL, AugmentConfig
from wakeword_train.data.corpus import SAMPLES_FILE, SPOKEN, Corpus, Item, open_corpus
from wakeword_train.data.rooms import build_rooms
from wakeword_train.data.studio import FRAMES, LEAD, SAMPLES, Studio
from wakeword_train.pool import ArrayFile, workers

__all__ = ["FRAMES", "LONG_KINDS", "Group", "Windows", "build_windows", "open_windows"]

SHARD = 500
LONG_KINDS = (*SPOKEN, "noise")
WINDOWS_A_ROOM = 100  # no more rooms are computed than would be heard in so many windows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """Windows of one sort: ``count`` of them, cycling over ``items``; ``label`` -1 for no word."""

    name: str
    label: int
    items: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Windows:
    """A cached plan.

    ``features`` (n, 320, 40) uint16; ``label`` (n,) int16, -1 for none; ``end`` (n,) int16, the
    frame at which the word ends; ``group`` (n,) int16, index into ``names``.
    """

    features: Sequence[NDArray[np.uint16]]
    label: NDArray[np.int16]
    end: NDArray[np.int16]
    group: NDArray[np.int16]
    names: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Gather rows from the shards: shape (len(rows), 320, 40)."""
        out = np.empty((len(rows), FRAMES, BINS), np.uint16)
        for place, row in enumerate(rows):
            out[place] = self.features[row // SHARD][row % SHARD]
        return out


_studio: Studio | None = None  # one per worker process


def _open_studio(
    samples: NDArray[np.int16],
    items: tuple[Item, ...],
    config: AugmentConfig,
    rooms: NDArray[np.float32] | None,
) -> None:
    """Take over the corpus and the rooms in a worker."""
    global _studio
    _studio = Studio(Corpus(samples, items), config, rooms)


def _build_rooms(
    folder: Path, windows: int, seed: int, processes: int, config: AugmentConfig, ray: str | None
) -> ArrayFile | None:
    """Compute the rooms of a plan, if it has any."""
    count = min(config.rooms, -(-windows // WINDOWS_A_ROOM))
    if not count or not config.reverb or not config.simulated:
        return None
    path = folder / f"rooms-{seed}-{count}.npy"
    for done, total in build_rooms(path, count, seed=seed, processes=processes, ray=ray):
        if done % 20 == 0 or done == total:
            log.info("%d of %d rooms", done, total)
    return ArrayFile(path)


def _make_shard(
    rows: list[tuple[int, int, int]], seed: int
) -> tuple[NDArray[np.int16], NDArray[np.uint16], float]:
    """Make one shard of rows (window number, item, label): ends, features, and seconds of CPU."""
    assert _studio is not None  # nosec B101 # set by the pool's initializer
    began = time.process_time()
    feats = np.zeros((len(rows), FRAMES, BINS), np.uint16)
    ends = np.full(len(rows), -1, np.int16)
    for place, (number, index, label) in enumerate(rows):
        rng = np.random.default_rng([seed, number])
        item = _studio.corpus.items[index]
        if item.kind in (*LONG_KINDS, "music"):
            samples = _studio.long(rng, item)
        else:
            samples, end = _studio.word(rng, item)
            if label >= 0:
                # the last frame that hears the end of the word
                ends[place] = min(max((end - WINDOW) // HOP + 1 - LEAD, 0), FRAMES - 1)
        feats[place] = features(samples)[LEAD : LEAD + FRAMES]
    return ends, feats, time.process_time() - began


def _files(out: Path, shard: int) -> tuple[Path, Path]:
    """Name the two files of a shard, in the order in which they are written."""
    return out / f"ends-{shard:04d}.npy", out / f"features-{shard:04d}.npy"


def _load_shard(
    out: Path, shard: int, total: int
) -> tuple[NDArray[np.generic] | None, NDArray[np.generic] | None]:
    """Open both files of a shard of a plan of so many windows."""
    count = min(SHARD, total - shard * SHARD)
    ends, feats = _files(out, shard)
    return load_array(ends, (count,), np.int16), load_array(feats, (count, FRAMES, BINS), np.uint16)


def _rows(groups: Sequence[Group], seed: int) -> NDArray[np.int64]:
    """Order the plan: (n, 3) of item, label, group; items cycle in a new order each round."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int]] = []
    for index, group in enumerate(groups):
        order: list[int] = []
        while len(order) < group.count and group.items:
            order += [group.items[i] for i in rng.permutation(len(group.items))]
        rows += [(item, group.label, index) for item in order[: group.count]]
    table = np.asarray(rows, np.int64).reshape(-1, 3)
    return table[rng.permutation(len(table))]


def build_windows(
    out: Path,
    corpus: Path,
    groups: Sequence[Group],
    *,
    seed: int,
    processes: int = 2,
    augment: AugmentConfig = USUAL,
    ray: str | None = None,
) -> Iterator[tuple[int, int]]:
    """Make the shards of a plan that are not there yet, or are damaged.

    Args:
        out: folder of the shards; it belongs to these arguments and no others. Computed rooms are
            kept beside it, for other plans of the same seed.
        corpus: folder of the corpus.
        groups: what to cut from which of its items.
        seed: of everything drawn.
        processes: worker processes; their number changes nothing in the windows.
        augment: how windows are heard.
        ray: address of a Ray cluster to make them, in place of processes.

    Yields:
        (windows done, windows in all), after each shard.

    Raises:
        WakewordError: the disk is full, or a worker was killed; run again, and it goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_partial(out)
    table = _rows(groups, seed)
    done = 0
    jobs: list[tuple[int, list[tuple[int, int, int]]]] = []
    for shard in range(-(-len(table) // SHARD)):
        first = shard * SHARD
        part = table[first : first + SHARD]
        found = _load_shard(out, shard, len(table))
        if all(array is not None for array in found):
            done += len(part)
            continue
        for path, array in zip(_files(out, shard), found, strict=True):
            if array is None and path.exists():
                log.warning("%s is damaged: it is made again", path)
        rows = [(first + n, int(r[0]), int(r[1])) for n, r in enumerate(part)]
        jobs.append((shard, rows))
    yield done, len(table)
    if not jobs:
        return
    rooms = _build_rooms(out.parent, len(table), seed, processes, augment, ray)
    began, made, spent_s = time.monotonic(), 0, 0.0
    studio = (ArrayFile(corpus / SAMPLES_FILE), open_corpus(corpus).items, augment, rooms)
    with workers(processes, _open_studio, studio, ray=ray) as pool:
        for job, (*arrays, cpu_s) in pool.map(_make_shard, ((rows, seed) for _, rows in jobs)):
            for path, array in zip(_files(out, jobs[job][0]), arrays, strict=True):
                save_array(path, array)
            count = len(jobs[job][1])
            made, spent_s, done = made + count, spent_s + cpu_s, done + count
            yield done, len(table)
    heard_s = made * SAMPLES / RATE_HZ
    log.info(
        "%d windows, %.1f h of sound, in %.0f s: %.0f times real time, %.0f on each core",
        made, heard_s / 3600, time.monotonic() - began,
        heard_s / (time.monotonic() - began), heard_s / spent_s,
    )  # fmt: skip


def open_windows(out: Path, groups: Sequence[Group], *, seed: int) -> Windows:
    """Open the shards of a plan, memory-mapped.

    Raises:
        ConfigError: shards are missing or damaged: `build_windows` makes them again.
    """
    table = _rows(groups, seed)
    found = [_load_shard(out, shard, len(table)) for shard in range(-(-len(table) // SHARD))]
    wrong = [
        path.name
        for shard, arrays in enumerate(found)
        for path, array in zip(_files(out, shard), arrays, strict=True)
        if array is None
    ]
    if wrong:
        raise ConfigError(
            f"{out}: {', '.join(wrong[:5])}{' and more' * (len(wrong) > 5)} missing or damaged: "
            "run the same command again to make them anew"
        )
    ends, feats = zip(*found, strict=True) if found else ((), ())
    return Windows(
        features=list(feats),
        label=table[:, 1].astype(np.int16),
        end=np.concatenate([np.zeros(0, np.int16), *ends]),
        group=table[:, 2].astype(np.int16),
        names=tuple(group.name for group in groups),
    )
