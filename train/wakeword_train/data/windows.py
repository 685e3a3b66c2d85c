"""Windows of features to train on, each with a word in it or none, cached as memory-mapped shards.

Window n of a plan depends on the seed and n alone, so a shard can be made anywhere, in any order,
and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.frontend import BINS, HOP, WINDOW, features
from wakeword_train.data.augment import Channel, coloured_noise, draw_channel, mix, warp
from wakeword_train.data.corpus import SPOKEN, Corpus, Item, open_corpus

__all__ = ["FRAMES", "LONG_KINDS", "Group", "Windows", "build_windows", "open_windows"]

FRAMES = 320  # 3.2 s
LEAD = 50  # frames heard and dropped, so that the front end is not cold
SAMPLES = (LEAD + FRAMES - 1) * HOP + WINDOW
SHARD = 500
LONG_KINDS = (*SPOKEN, "noise")
FloatArray = NDArray[np.float32]


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


def _crop(rng: np.random.Generator, samples: FloatArray, count: int) -> FloatArray:
    """Cut ``count`` samples at a random place; a shorter clip lies in silence."""
    if len(samples) >= count:
        at = int(rng.integers(len(samples) - count + 1))
        return samples[at : at + count]
    out = np.zeros(count, np.float32)
    at = int(rng.integers(count - len(samples) + 1))
    out[at : at + len(samples)] = samples
    return out


def _paste(canvas: FloatArray, samples: FloatArray, at: int) -> None:
    """Add samples to the canvas from ``at`` on, cut off at its edges."""
    first, last = max(at, 0), min(at + len(samples), len(canvas))
    if first < last:
        canvas[first:last] += samples[first - at : last - at]


class _Studio:
    """What a worker needs: the corpus, its noises and rooms, and speech to put around a word."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        kinds: dict[str, list[Item]] = {}
        for item in corpus.items:
            kinds.setdefault(item.kind, []).append(item)
        self.noises = kinds.get("noise", [])
        self.talk = [item for kind in SPOKEN for item in kinds.get(kind, [])]
        self.rirs = [self._direct(corpus.audio(item)) for item in kinds.get("rir", [])]

    @staticmethod
    def _direct(rir: FloatArray) -> FloatArray:
        """Let an impulse response begin at its direct sound, end after 0.8 s, with peak 1."""
        at = int(np.argmax(np.abs(rir)))
        cut = rir[at : at + 12_800].copy()
        return np.asarray(cut / (np.abs(cut[0]) + 1e-9), np.float32)

    def _talk(self, rng: np.random.Generator, count: int) -> FloatArray:
        if not self.talk:
            return np.zeros(count, np.float32)
        return _crop(rng, self.corpus.audio(self.talk[int(rng.integers(len(self.talk)))]), count)

    def _noise(self, rng: np.random.Generator, channel: Channel) -> FloatArray | None:
        if channel.noise == -1:
            return None
        if channel.noise == -2:
            return coloured_noise(rng, SAMPLES, channel.colour)
        clip = self.corpus.audio(self.noises[channel.noise])
        repeats = -(-SAMPLES // len(clip)) + 1
        at = int(channel.noise_at * len(clip))
        tiled = np.tile(clip, repeats)[at : at + SAMPLES]
        return np.asarray(tiled + 1e-6, np.float32)

    def word(self, rng: np.random.Generator, item: Item) -> tuple[NDArray[np.int16], int]:
        """Make a window with the word of an item: samples, and the sample at which it ends."""
        ratio = float(rng.uniform(0.88, 1.14))
        clip = warp(self.corpus.audio(item), ratio)
        first, last = int(item.word_start / ratio), int(item.word_stop / ratio)
        # Half of the time only the word: its own surroundings carry the recording chain.
        if rng.uniform() < 0.5:
            margin = int(rng.integers(160, 1_600))
            begin = max(first - margin, 0)
            clip = clip[begin : last + margin].copy()
            fade = min(160, len(clip) // 2)
            clip[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            clip[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
            first, last = first - begin, last - begin
        level = np.float32(0.1 / (np.sqrt(np.mean(clip[first:last] ** 2)) + 1e-6))
        room = SAMPLES - LEAD * HOP
        end = LEAD * HOP + int(rng.integers(room * 28 // 100, room * 78 // 100))
        end = max(end, last - first + 800)
        canvas = np.zeros(SAMPLES, np.float32)
        _paste(canvas, clip * level, end - last)
        word = slice(max(end - (last - first), 0), end)
        if rng.uniform() < 0.3:
            gap = int(rng.integers(0, 6_400))
            before = self._talk(rng, SAMPLES) * np.float32(10 ** (rng.uniform(-10, 3) / 20))
            stop = word.start - gap
            if stop > 0:
                canvas[:stop] += before[:stop]
        if rng.uniform() < 0.3:
            start = end + int(rng.integers(800, 8_000))
            after = self._talk(rng, SAMPLES) * np.float32(10 ** (rng.uniform(-10, 3) / 20))
            canvas[start:] += after[: max(SAMPLES - start, 0)]
        channel = draw_channel(rng, len(self.rirs), len(self.noises))
        return self._finish(rng, canvas, word, channel), end

    def long(self, rng: np.random.Generator, item: Item) -> NDArray[np.int16]:
        """Make a window of ordinary sound: speech, a sentence, noise, or two of them at once."""
        ratio = float(rng.uniform(0.88, 1.14))
        clip = self.corpus.audio(item)
        canvas = warp(_crop(rng, clip, int(SAMPLES * ratio) + 8), ratio)[:SAMPLES].copy()
        canvas = np.pad(canvas, (0, SAMPLES - len(canvas)))
        if rng.uniform() < 0.15:
            canvas += self._talk(rng, SAMPLES) * np.float32(10 ** (rng.uniform(-15, 0) / 20))
        channel = draw_channel(rng, len(self.rirs), len(self.noises))
        return self._finish(rng, canvas, slice(0, SAMPLES), channel)

    def _finish(
        self, rng: np.random.Generator, canvas: FloatArray, active: slice, channel: Channel
    ) -> NDArray[np.int16]:
        rir = self.rirs[channel.rir] if channel.rir >= 0 else None
        return mix(canvas, active, self._noise(rng, channel), rir, channel)


_studio: _Studio | None = None  # one per worker process


def _open_studio(corpus: str) -> None:
    """Open the corpus once in each worker."""
    global _studio
    _studio = _Studio(open_corpus(Path(corpus)))


def _make_shard(out: str, shard: int, rows: list[tuple[int, int, int]], seed: int) -> int:
    """Make one shard: rows of (window number, item, label)."""
    assert _studio is not None  # set by the pool's initializer
    feats = np.zeros((len(rows), FRAMES, BINS), np.uint16)
    ends = np.full(len(rows), -1, np.int16)
    for place, (number, index, label) in enumerate(rows):
        rng = np.random.default_rng([seed, number])
        item = _studio.corpus.items[index]
        if item.kind in LONG_KINDS:
            samples = _studio.long(rng, item)
        else:
            samples, end = _studio.word(rng, item)
            if label >= 0:
                # the last frame that hears the end of the word
                ends[place] = min(max((end - WINDOW) // HOP + 1 - LEAD, 0), FRAMES - 1)
        feats[place] = features(samples)[LEAD : LEAD + FRAMES]
    for name, array in (("ends", ends), ("features", feats)):
        partial = Path(out) / f"{name}-{shard:04d}.{os.getpid()}.part.npy"
        np.save(partial, array)
        partial.replace(Path(out) / f"{name}-{shard:04d}.npy")
    return len(rows)


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
    out: Path, corpus: Path, groups: Sequence[Group], *, seed: int, processes: int = 2
) -> Iterator[tuple[int, int]]:
    """Make the shards of a plan that are not there yet.

    Yields:
        (windows done, windows in all), after each shard.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = _rows(groups, seed)
    shards = range(-(-len(table) // SHARD))
    done = 0
    jobs: list[tuple[int, list[tuple[int, int, int]]]] = []
    for shard in shards:
        first = shard * SHARD
        part = table[first : first + SHARD]
        if (out / f"features-{shard:04d}.npy").is_file():
            done += len(part)
        else:
            rows = [(first + n, int(r[0]), int(r[1])) for n, r in enumerate(part)]
            jobs.append((shard, rows))
    yield done, len(table)
    if not jobs:
        return
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_open_studio, initargs=(str(corpus),)
    ) as pool:
        futures = [pool.submit(_make_shard, str(out), shard, rows, seed) for shard, rows in jobs]
        for future in futures:
            done += future.result()
            yield done, len(table)


def open_windows(out: Path, groups: Sequence[Group], *, seed: int) -> Windows:
    """Open the shards of a plan, memory-mapped."""
    table = _rows(groups, seed)
    shards = range(-(-len(table) // SHARD))
    return Windows(
        features=[np.load(out / f"features-{s:04d}.npy", mmap_mode="r") for s in shards],
        label=table[:, 1].astype(np.int16),
        end=np.concatenate([np.load(out / f"ends-{s:04d}.npy") for s in shards]),
        group=table[:, 2].astype(np.int16),
        names=tuple(group.name for group in groups),
    )
