"""Scores of several engines on the same recordings, kept on disk piece by piece.

A piece is some clips under one condition, or some sound without the word, heard by one engine. What
is there is not heard again, so a run that was ended goes on where it was. The name of a piece is a
digest of all that its scores depend on: the model, the recordings, how they are heard, the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from listeners import Engine

from wakeword.errors import ConfigError
from wakeword.metrics import Stream, Utterance
from wakeword_train.conditions import LEAD, Condition, frame, hear
from wakeword_train.pool import spawn_pool
from wakeword_train.scoring import score
from wakeword_train.testset import Recording, TestSet, says

FORMAT = 1  # of the files, and of whatever here changes scores
CLIPS = 100  # of the word in a piece
NEGATIVES = 24  # recordings, or words said by others, in a piece
Scores = tuple[list[Utterance], list[Stream]]
Piece = tuple[TestSet, tuple[Condition, ...]]
Progress = Callable[[str, int, int], None]


def _sha256(path: Path) -> str:
    """Digest of a file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc


def pieces(recordings: TestSet, label: str, conditions: Sequence[Condition]) -> Iterator[Piece]:
    """Divide a test set: heard one by one, its pieces give what `score` gives for the whole.

    Raises:
        ConfigError: nobody says the word.
    """
    own = [clip for clip in recordings.clips if clip.label == label]
    if not own:
        there = ", ".join(sorted({clip.label for clip in recordings.clips}))
        raise ConfigError(f"no clip is labelled {label!r}; there are: {there or 'none'}")
    for condition in conditions:
        recorded = condition.snr_db is not None and not condition.pink
        for at in range(0, len(own), CLIPS):
            some = TestSet(
                clips=tuple(own[at : at + CLIPS]), streams=(),
                noises=recordings.noises if recorded else (),
                rirs=recordings.rirs if condition.reverb else (),
                talks=recordings.talks if condition.talk else (),
            )  # fmt: skip
            yield some, (condition,)
    # One clip of the word per source tells which recordings are of the same chain.
    known = tuple({clip.source: clip for clip in reversed(own)}.values())
    groups: dict[tuple[str, str], list[Recording]] = {}
    for clip in recordings.clips:
        if not says(clip.label, label):
            groups.setdefault((clip.label, clip.source), []).append(clip)
    words = list(groups.values())
    for at in range(0, len(words), NEGATIVES):
        clips = tuple(clip for group in words[at : at + NEGATIVES] for clip in group)
        yield TestSet(clips=known + clips, streams=()), ()
    for at in range(0, len(recordings.streams), NEGATIVES):
        yield TestSet(clips=known, streams=recordings.streams[at : at + NEGATIVES]), ()


def score_all(
    engines: Sequence[Engine],
    recordings: TestSet,
    conditions: Sequence[Condition],
    *,
    work: Path,
    seed: int = 1,
    processes: int = 1,
    progress: Progress = lambda *_: None,
) -> list[Scores]:
    """Hear everything with every engine, and give the utterances and streams of each.

    Args:
        engines: what hears.
        recordings: what is heard, see `wakeword_train.scoring.score`.
        conditions: how the words are heard.
        work: folder that keeps the pieces.
        seed: of the noise and rooms.
        processes: workers; 1 works in this process.
        progress: called with (stage, pieces done, pieces in all), those found among them.

    Raises:
        ConfigError: nobody says the word, or a condition lacks recordings.
        WakewordError: an engine or a recording cannot be read.
    """
    _check(recordings, conditions)
    work.mkdir(parents=True, exist_ok=True)
    known: dict[Path, str] = {}
    jobs = [
        (n, piece, work / f"{_key(engine, piece, seed, known)}.npz")
        for n, engine in enumerate(engines)
        for piece in pieces(recordings, engine.label, conditions)
    ]
    missing = [(engines[n], piece, seed, path) for n, piece, path in jobs if not path.is_file()]
    done = len(jobs) - len(missing)
    progress("pieces", done, len(jobs))
    if processes == 1 or len(missing) < 2:
        for job in missing:
            _hear(*job)
            done += 1
            progress("pieces", done, len(jobs))
    else:
        with spawn_pool(min(processes, len(missing))) as pool:
            for _ in pool.map(_hear, *zip(*missing, strict=True)):
                done += 1
                progress("pieces", done, len(jobs))
    found: list[Scores] = [([], []) for _ in engines]
    for n, _, path in jobs:
        utterances, streams = _read(path)
        found[n][0].extend(utterances)
        found[n][1].extend(streams)
    return found


def _check(recordings: TestSet, conditions: Sequence[Condition]) -> None:
    """Refuse a condition that needs recordings which are not there."""
    for condition in conditions:
        lacks = [
            kind
            for kind, needed, there in (
                ("noise", condition.snr_db is not None and not condition.pink, recordings.noises),
                ("impulse responses", condition.reverb, recordings.rirs),
                ("long speech", condition.talk, recordings.talks),
            )
            if needed and not there
        ]
        if lacks:
            raise ConfigError(
                f"condition {condition.name!r} needs recordings of {lacks[0]}, and this part "
                "of the folder has none: leave it out with --conditions"
            )


def _key(engine: Engine, piece: Piece, seed: int, known: dict[Path, str]) -> str:
    """Name a piece by what its scores depend on; ``known`` keeps the digests of files."""
    some, conditions = piece
    lists = [some.clips, [one for _, one in some.streams], some.noises, some.rirs, some.talks]
    for one in (one for ones in lists for one in ones):
        if one.path not in known:
            known[one.path] = _sha256(one.path)
    # How a burst is heard stands for the code that frames and mixes.
    burst = np.random.default_rng(0).normal(0, 3_000, 8_000).astype(np.int16)
    rir = np.exp(-np.arange(800) / 200).astype(np.float32)
    heard = [frame(burst, seed)]
    drawn: dict[str, Any] = {"noises": [burst], "rirs": [rir], "talks": [burst]}
    word = slice(LEAD, LEAD + 8_000)
    heard += [hear(heard[0], word, c, name="", seed=seed, **drawn) for c in conditions]
    facts = {
        "format": FORMAT,
        "engine": engine.digest,
        "conditions": [c.name for c in conditions],
        "seed": seed,
        "heard": [hashlib.sha256(x.tobytes()).hexdigest() for x in heard],
        "parts": [part for part, _ in some.streams],
        "recordings": [
            [(x.name, x.label, x.source, x.word_end_s, known[x.path]) for x in ones]
            for ones in lists
        ],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _hear(engine: Engine, piece: Piece, seed: int, path: Path) -> None:
    """Hear one piece and keep its scores."""
    some, conditions = piece
    detector = engine.open()
    scored = score(detector, some, conditions, seed=seed)
    (word,) = detector.words
    kept: list[dict[str, Any]] = []
    for u in scored.utterances[word]:
        kept.append({"word": [u.word_start, u.word_end], "condition": u.condition,
                     "source": u.source, "steps": len(u.probs)})  # fmt: skip
    for s in scored.streams[word]:
        kept.append({"samples": s.samples, "part": s.part, "source": s.source,
                     "steps": len(s.probs)})  # fmt: skip
    rows: list[Any] = [*scored.utterances[word], *scored.streams[word]]
    handle, partial_name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        np.savez_compressed(
            file,
            facts=np.frombuffer(json.dumps(kept).encode(), np.uint8),
            probs=np.concatenate([np.zeros(0, np.float32), *(r.probs for r in rows)]),
            indices=np.concatenate([np.zeros(0, np.int64), *(r.indices for r in rows)]),
        )
    Path(partial_name).replace(path)


def _read(path: Path) -> Scores:
    """Read what `_hear` kept."""
    try:
        with path.open("rb") as file, np.load(file) as data:
            kept = json.loads(data["facts"].tobytes())
            probs, indices = data["probs"], data["indices"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise ConfigError(f"{path}: a damaged piece: {exc}; delete it and run again") from exc
    utterances, streams, at = [], [], 0
    for one in kept:
        rows = slice(at, at + one["steps"])
        at = rows.stop
        if "word" in one:
            start, end = one["word"]
            utterances.append(
                Utterance(
                    probs=probs[rows], indices=indices[rows], word_start=start, word_end=end,
                    condition=one["condition"], source=one["source"],
                )
            )  # fmt: skip
        else:
            streams.append(
                Stream(
                    probs=probs[rows], indices=indices[rows], samples=one["samples"],
                    part=one["part"], source=one["source"],
                )
            )  # fmt: skip
    return utterances, streams
