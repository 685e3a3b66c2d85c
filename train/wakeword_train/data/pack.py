"""The pack: what every word is trained with, made once and kept.

Windows of words said by many people, each under its label, and of ordinary sound; and a bank of
noises, rooms and talk in which the clips of a new word are heard. None of it depends on that word.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.files import beside
from wakeword_train.data.augment import USUAL, AugmentConfig
from wakeword_train.data.corpus import SPOKEN, Corpus, Item, build_corpus, open_corpus, save_corpus
from wakeword_train.data.manifest import Clip, trains
from wakeword_train.data.windows import (
    LONG_KINDS,
    Group,
    Windows,
    build_windows,
    open_windows,
)

__all__ = [
    "Joined",
    "Pack",
    "PackConfig",
    "build_pack",
    "head_labels",
    "join",
    "key_of",
    "long_groups",
    "open_pack",
]

WORD_KINDS = ("wake", "wake_extra", "command")
BANK_TALK_S = 2_400.0
SYNTHETIC_MORPHS = 2
SPREAD = {"speech": 0.55, "sentence": 0.15, "talk": 0.1, "noise": 0.2}  # of the ordinary sound
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """Windows to cut: per word said by people, of short other sounds, and of ordinary sound.

    ``morphs`` makes up for few speakers: so many other voices of each clip at most, fewer where a
    word has more than 80 clips. ``fewest`` clips of a word earn it a head of its own. ``talk`` is
    synthetic sentences, ``spoken`` synthetic clips of each word of people, if Kokoro is here; they
    get half as many windows as people. ``talk_morphs`` does the same as ``morphs`` to every
    15 s of speech: what is done to words only would give them away.
    """

    head: int = 5_000
    other: int = 2_000
    long: int = 36_000
    morphs: int = 6
    talk_morphs: int = 2
    talk: int = 120
    spoken: int = 200
    fewest: int = 30
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Pack:
    """``windows.label`` indexes ``labels``; ``bank`` is a folder to open as a corpus."""

    windows: Windows
    labels: tuple[str, ...]
    bank: Path
    ledger: tuple[Mapping[str, Any], ...]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.bank.parent

    @property
    def key(self) -> str:
        """Name what is in it."""
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Joined:
    """Several sets of windows as one, for `wakeword_train.fit`; rows of later sets come later."""

    parts: tuple[Windows, ...]
    label: NDArray[np.int16]
    end: NDArray[np.int16]
    group: NDArray[np.int16]
    names: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Gather rows: shape (len(rows), 320, 40)."""
        starts = np.cumsum([0, *(len(part.label) for part in self.parts)])
        out: NDArray[np.uint16] | None = None
        for part, first, stop in zip(self.parts, starts[:-1], starts[1:], strict=True):
            mine = np.flatnonzero((rows >= first) & (rows < stop))
            if len(mine) or out is None:
                found = part.take(rows[mine] - first)
                if out is None:
                    out = np.empty((len(rows), *found.shape[1:]), np.uint16)
                out[mine] = found
        if out is None:
            raise ConfigError("no windows: nothing to train on")
        return out


def key_of(*parts: object) -> str:
    """Name a stage after what it is made of, so that a changed recipe makes it anew."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def join(parts: Sequence[tuple[Windows, Mapping[str, tuple[str, int]]]]) -> Joined:
    """Join windows, giving the groups of each part new names and heads.

    Args:
        parts: windows, and for each of their groups that hold a word its new name and the head it
            trains; one that is left out is named "unused" and never drawn.
    """
    labels, groups = [], []
    names: list[str] = []
    for windows, known in parts:
        label = np.full(len(windows.label), -1, np.int16)
        renamed = list(windows.names)
        for number in np.unique(windows.group[windows.label >= 0]):
            name, head = known.get(windows.names[number], (f"unused {number}", -1))
            renamed[number] = name
            label[windows.group == number] = head
        labels.append(label)
        groups.append(windows.group + np.int16(len(names)))
        names += renamed
    return Joined(
        parts=tuple(windows for windows, _ in parts),
        label=np.concatenate(labels),
        end=np.concatenate([windows.end for windows, _ in parts]),
        group=np.concatenate(groups),
        names=tuple(names),
    )


def head_labels(clips: Iterable[Clip], fewest: int) -> tuple[str, ...]:
    """Name the words that enough clips say; digits are left out: few people on the telephone."""
    counts = Counter(
        c.label for c in clips if c.kind in WORD_KINDS and not c.label.startswith("digit")
    )
    return tuple(sorted(label for label, count in counts.items() if count >= fewest))


def long_groups(
    sorts: Mapping[str, Sequence[int]], items: Sequence[Item], total: int
) -> list[Group]:
    """Spread windows over kinds of ordinary sound, and within a kind evenly over its sources.

    Args:
        sorts: "KIND SOURCE" to items; an item counts once for every 10 s in it.
        items: of the corpus.
        total: windows.
    """
    kinds = Counter(name.split()[0] for name in sorts)
    scale = sum(SPREAD[kind] for kind in kinds)
    groups = []
    for name, own in sorted(sorts.items()):
        kind = name.split()[0]
        count = round(total * SPREAD[kind] / scale / kinds[kind])
        places = [i for i in own for _ in range(1 + (items[i].stop - items[i].start) // 160_000)]
        groups.append(Group(f"long {name}", -1, tuple(places), count))
    return groups


def _groups(corpus: Corpus, labels: Sequence[str], config: PackConfig) -> list[Group]:
    """Sort the items of the recordings into groups of windows."""
    heads: dict[str, list[int]] = {}
    spoken: dict[str, list[int]] = {}
    long: dict[str, list[int]] = {}
    other: list[int] = []
    for index, item in enumerate(corpus.items):
        if item.kind in LONG_KINDS:
            source = item.label if item.kind in SPOKEN else "all"
            long.setdefault(f"{item.kind} {source}", []).append(index)
        elif item.kind == "synthetic":
            spoken.setdefault(item.label, []).append(index)
        elif item.label in labels:
            heads.setdefault(item.label, []).append(index)
        elif item.kind != "rir":
            other.append(index)
    return [
        *(
            Group(f"head {label}", labels.index(label), tuple(i), config.head)
            for label, i in sorted(heads.items())
        ),
        *(
            Group(f"spoken {label}", labels.index(label), tuple(i), config.head // 2)
            for label, i in sorted(spoken.items())
            if label in labels
        ),
        Group("other", -1, tuple(other), config.other if other else 0),
        *long_groups(long, corpus.items, config.long),
    ]


def build_pack(
    work: Path,
    data: Path,
    clips: Sequence[Clip],
    ledger: Sequence[Mapping[str, Any]],
    config: PackConfig = PackConfig(),
    *,
    synthetic: Sequence[Path] = (),
    augment: AugmentConfig = USUAL,
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> Pack:
    """Make the pack of a folder of recordings below ``work``, or open it if it is there.

    Args:
        work: folder of the stages.
        data: what ``Clip.file`` is relative to.
        clips: recordings of the training part; those that may not train are refused.
        ledger: rows about them, kept with the pack.
        config: how much of what.
        synthetic: folders of synthetic talk, and of clips of words that people say too.
        augment: how windows are heard.
        processes: worker processes.
        ray: address of a Ray cluster, to work there.
        progress: called with (stage, done, in all).

    Raises:
        ConfigError: a clip may not train a model that ships, or there is no ordinary sound.
    """
    if wrong := next((clip for clip in clips if not trains(clip)), None):
        raise ConfigError(f"{wrong.file}: {wrong.licence!r} may not train: keep it for tests")
    if not any(clip.kind in LONG_KINDS for clip in clips):
        raise ConfigError(f"{data}: no speech and no noise to train on: add some of kind speech")
    made_of = sorted(f"{clip.file} {clip.label} {clip.source}" for clip in clips)
    made_of += [(one / "manifest.jsonl").read_text() for one in synthetic]
    folder = work / f"pack-{key_of(made_of, config, augment)}"
    if (folder / "pack.json").is_file():
        return open_pack(folder)
    labels = head_labels(clips, config.fewest)
    counts = Counter(clip.label for clip in clips)
    progress("decode recordings", 0, 1)
    corpus = build_corpus(
        folder / "corpus", data, clips, synthetic=synthetic, synthetic_morphs=SYNTHETIC_MORPHS,
        morphs={label: min(config.morphs, 500 // counts[label]) for label in labels},
        talk_morphs=config.talk_morphs, seed=config.seed, processes=processes, ray=ray,
    )  # fmt: skip
    progress("decode recordings", 1, 1)
    groups = _groups(corpus, labels, config)
    for done, total in build_windows(
        folder / "windows", folder / "corpus", groups,
        seed=config.seed, processes=processes, augment=augment, ray=ray,
    ):  # fmt: skip
        progress("cut windows of the pack", done, total)
    save_corpus(folder / "bank", *_bank(corpus, config.seed))
    about = {
        "labels": list(labels), "config": asdict(config), "augment": asdict(augment),
        "ledger": list(ledger),
        "groups": [asdict(group) for group in groups],
    }  # fmt: skip
    with beside(folder / "pack.json") as partial:
        partial.write_text(json.dumps(about))
    return open_pack(folder)


def open_pack(folder: Path) -> Pack:
    """Open a pack.

    Raises:
        ConfigError: it is not there, or damaged.
    """
    try:
        about = json.loads((folder / "pack.json").read_text())
        groups = [
            Group(g["name"], g["label"], tuple(g["items"]), g["count"]) for g in about["groups"]
        ]
        windows = open_windows(folder / "windows", groups, seed=about["config"]["seed"])
        return Pack(windows, tuple(about["labels"]), folder / "bank", tuple(about["ledger"]))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{folder}: not a pack ({exc}): make it with `wakeword data`") from exc


def _bank(corpus: Corpus, seed: int) -> tuple[list[NDArray[np.int16]], list[Item]]:
    """Choose noises, rooms and some talk of people, unchanged, for the clips of a new word."""
    rng = np.random.default_rng([seed, 1])
    plain = [item for item in corpus.items if "#morph" not in item.source]
    chosen = [item for item in plain if item.kind in ("noise", "rir")]
    talk = [item for item in plain if item.kind in SPOKEN and item.kind != "talk"]
    left = BANK_TALK_S * 16_000
    for index in rng.permutation(len(talk)):
        item = talk[index]
        size = min(item.stop - item.start, 30 * 16_000)
        if left < size:
            break
        chosen.append(item)
        left -= size
    audio = []
    for item in chosen:
        stop = item.stop if item.kind not in SPOKEN else min(item.stop, item.start + 30 * 16_000)
        audio.append(np.asarray(corpus.samples[item.start : stop]))
    return audio, chosen


def bank_of(folder: Path) -> tuple[list[NDArray[np.int16]], list[Item]]:
    """Read a bank: samples and items, to lay beside the clips of a word."""
    corpus = open_corpus(folder)
    return [np.asarray(corpus.samples[i.start : i.stop]) for i in corpus.items], list(corpus.items)
