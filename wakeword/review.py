"""Judge what the daemon kept, and say which threshold would have been right: `wakeword review`."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wakeword.errors import ConfigError, WakewordError
from wakeword.sinks.clips import read_note, write_note
from wakeword.tables import table

__all__ = [
    "ENOUGH",
    "Advice",
    "Clip",
    "advice",
    "advise",
    "apply",
    "ask_all",
    "clips_in",
    "drop",
    "misses_many",
    "review",
    "set_label",
]

LABELS = ("yes", "no")
ENOUGH = 10  # clips of a kind below which a threshold chosen on them says little
MOST_MISSED = 0.2  # of the clips that said the word, for a threshold to be taken over
PLAYERS = (("pw-play",), ("paplay",), ("aplay", "-q"))
PLAY_S = 15.0
KEYS = "y: it was said, n: it was not, p: play, s: skip, d: delete, q: quit"

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: where, what was scored, and what a person said.

    Attributes:
        note: path of its JSON.
        word: that was or nearly was heard.
        prob: the highest smoothed probability.
        threshold: in force then.
        kind: "heard" or "near".
        label: "yes", "no", or empty.
        at: when, UTC.
    """

    note: Path
    word: str
    prob: float
    threshold: float
    kind: str
    label: str
    at: str

    @property
    def wav(self) -> Path:
        """Its sound."""
        return self.note.with_suffix(".wav")


def review(args: argparse.Namespace) -> int:
    """List, label or judge the clips of a folder."""
    folder = Path(args.folder)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder; [review] in the daemon's configuration names it"
        )
    clips = clips_in(folder)
    if args.label:
        label, *names = args.label
        set_labels(clips, label, names)
    elif args.suggest:
        print(advice(clips))
    elif args.apply:
        apply(clips, Path(args.apply))
    elif args.list or not sys.stdin.isatty():
        _list(clips, as_json=args.json)
    else:
        ask_all(clips, input, play)
    return 0


def clips_in(folder: Path) -> list[Clip]:
    """Read the clips of a folder, oldest first; what is no clip is left alone."""
    found = []
    for path in folder.glob("*.json"):
        note = read_note(path)
        clip = None if note is None else _clip(path, note)
        if clip is not None and clip.wav.is_file():
            found.append(clip)
    return sorted(found, key=lambda clip: (clip.at, clip.note.name))


def _clip(path: Path, note: dict[str, Any]) -> Clip | None:
    """Make a clip of a note, or None where it is none of ours."""
    try:
        clip = Clip(
            path, str(note["word"]), float(note["prob"]), float(note["threshold"]),
            str(note["kind"]), str(note.get("label", "")), str(note["at"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None
    return clip if clip.label in ("", *LABELS) else None


def set_labels(clips: Sequence[Clip], label: str, names: Sequence[str]) -> None:
    """Label clips by their ids.

    Raises:
        ConfigError: no such label or clip.
    """
    if label not in LABELS or not names:
        raise ConfigError(f"--label {label}: need yes or no, and then the ids of clips")
    by_id = {clip.note.stem: clip for clip in clips}
    if unknown := [name for name in names if name not in by_id]:
        raise ConfigError(f"{unknown[0]}: no such clip; see --list")
    for name in names:
        set_label(by_id[name], label)


def set_label(clip: Clip, label: str) -> None:
    """Write a label into the clip's note."""
    write_note(clip.note, {**(read_note(clip.note) or {}), "label": label})


def drop(clip: Clip) -> None:
    """Remove a clip."""
    clip.note.unlink(missing_ok=True)
    clip.wav.unlink(missing_ok=True)


def ask_all(clips: Sequence[Clip], ask: Callable[[str], str], play: Callable[[Path], None]) -> None:
    """Play each clip that has no label, and ask for one.

    Args:
        clips: all of them.
        ask: shows a line and returns the answer; raises EOFError at the end.
        play: plays a WAV.
    """
    todo = [clip for clip in clips if not clip.label]
    log.info("%d clips, %d to judge. %s", len(clips), len(todo), KEYS)
    for number, clip in enumerate(todo, start=1):
        kind = "heard" if clip.kind == "heard" else "nearly heard"
        line = f"{number} of {len(todo)}: {clip.word} {kind}, {clip.prob:.2f}, {clip.at}? "
        answer = "p"
        while answer == "p":
            play(clip.wav)
            try:
                answer = ask(line).strip().lower()[:1]
            except EOFError:
                return
            while answer not in tuple("ynpsdq"):
                log.info(KEYS)
                answer = ask(line).strip().lower()[:1]
        if answer == "q":
            return
        if answer == "d":
            drop(clip)
        elif answer in "yn":
            set_label(clip, {"y": "yes", "n": "no"}[answer])


def play(path: Path) -> None:
    """Play a clip; say why where that does not work."""
    player = next((p for p in PLAYERS if shutil.which(p[0])), None)
    if player is None:
        raise WakewordError("no player: need pw-play, paplay or aplay (apt install alsa-utils)")
    try:
        subprocess.run([*player, str(path)], check=True, timeout=PLAY_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as exc:
        raise WakewordError(f"{path.name}: {player[0]} cannot play it ({exc})") from exc


@dataclass(frozen=True, slots=True)
class Advice:
    """What the labels of a word's clips say about its threshold.

    Attributes:
        word: which.
        now: the threshold in force when the newest clip was kept.
        said: highest probabilities of the clips labelled "yes", ascending.
        other: those of the clips labelled "no".
    """

    word: str
    now: float
    said: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def better(self) -> float | None:
        """The lowest threshold at which no clip labelled "no" is heard; None: unknown, or `now`."""
        value = above(self.other)
        if value is None or value > 1 or f"{value:.3f}" == f"{self.now:.3f}":
            return None
        return value

    @property
    def few(self) -> tuple[str, ...]:
        """The labels of which there are too few clips to tell anything."""
        counts = (("yes", len(self.said)), ("no", len(self.other)))
        return tuple(name for name, count in counts if count < ENOUGH)

    def heard(self, threshold: float) -> tuple[int, int]:
        """Count the clips labelled "yes", and those labelled "no", that a threshold hears."""
        said, other = (sum(p >= threshold for p in probs) for probs in (self.said, self.other))
        return said, other


def advise(clips: Sequence[Clip]) -> list[Advice]:
    """Gather per word what its labels say; words in alphabetical order."""
    found = []
    for word in sorted({clip.word for clip in clips}):
        own = [clip for clip in clips if clip.word == word]
        said, other = (
            tuple(sorted(clip.prob for clip in own if clip.label == label)) for label in LABELS
        )
        now = max((clip.at, clip.threshold) for clip in own)[1]
        found.append(Advice(word, now, said, other))
    return found


def advice(clips: Sequence[Clip]) -> str:
    """Say per word what its threshold did to the labelled clips, and which would do better.

    The lowest threshold at which none of the clips labelled "no" is heard, where there is one; what
    it misses of those labelled "yes" is said as well.
    """
    rows: list[list[object]] = [["word", "threshold", "heard of said", "false", ""]]
    lines = []
    for one in advise(clips):
        rows.append([one.word, f"{one.now:.3f}", *_counts(one, one.now), "in force"])
        if one.better is not None:
            rows.append([one.word, f"{one.better:.3f}", *_counts(one, one.better), "none false"])
        if one.few:
            kinds = " and ".join(one.few)
            lines.append(f"{one.word}: fewer than {ENOUGH} labelled {kinds}: too few to tell")
    if len(rows) == 1:
        return "no clip is here yet"
    lines += [
        "Clips are kept from near the threshold up: what scored lower is missed and not counted.",
        "To write the better ones into the daemon's configuration: --apply CONFIG",
    ]
    return "\n".join([table(rows), *lines])


def apply(clips: Sequence[Clip], config: Path) -> None:
    """Write the thresholds that would have been better into a daemon's configuration.

    A word keeps the one it has where there are too few clips, or where the other would miss more
    than MOST_MISSED of those that said it: then a label is wrong, or the model is.

    Args:
        clips: labelled.
        config: of the daemon.

    Raises:
        ConfigError: the configuration is wrong, lacks a word, or cannot be written.
    """
    from wakeword.daemon.edit import set_threshold

    written = False
    for one in advise(clips):
        if one.few:
            why = f"fewer than {ENOUGH} labelled {' and '.join(one.few)}: too few to tell"
        elif one.better is None:
            why = "no other threshold would be better"
        elif misses_many(one, one.better):
            missed = len(one.said) - one.heard(one.better)[0]
            why = (
                f"at {one.better:.3f}, above all that was false, {missed} of {len(one.said)} that "
                'were said would be missed; hear those labelled "no" again, or train anew: '
                "wakeword train --from-review"
            )
        else:
            set_threshold(config, one.word, one.better)
            written = True
            print(f"{one.word}: {one.now:.3f} becomes {one.better:.3f}")
            continue
        print(f"{one.word}: stays at {one.now:.3f}; {why}")
    if written:
        print(f"{config} is written; a running daemon takes it over: systemctl reload wakeword")


def misses_many(one: Advice, threshold: float) -> bool:
    """Tell whether a threshold misses too much of what was said to be taken over."""
    return len(one.said) - one.heard(threshold)[0] > MOST_MISSED * len(one.said)


def above(probs: Sequence[float]) -> float | None:
    """Return the lowest threshold of three digits above all of these; None where there is none."""
    return None if not probs else (int(max(probs) * 1000) + 1) / 1000


def _counts(one: Advice, threshold: float) -> list[object]:
    """Say what a threshold hears."""
    said, other = one.heard(threshold)
    return [f"{said} of {len(one.said)}", f"{other} of {len(one.other)}"]


def _list(clips: Sequence[Clip], *, as_json: bool) -> None:
    """Print the clips."""
    names = ("id", "word", "kind", "prob", "threshold", "label", "at")
    rows = [
        [c.note.stem, c.word, c.kind, round(c.prob, 3), c.threshold, c.label, c.at] for c in clips
    ]
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True))))
    else:
        print(table([list(names), *rows]))
