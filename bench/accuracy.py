"""How well words are heard: our bundles beside pymicro-wakeword and pyopen-wakeword, in one run.

    python bench/accuracy.py --bundle alexa.json --data DIR --markdown docs/ACCURACY.md --plot

All engines hear the same recordings in the same noise and rooms, and one program counts their
events by one rule (`wakeword.metrics`). Without ``--bundle`` the peers are heard alone. Scores are
kept in ``--work``, so a run that was ended goes on where it was; openWakeWord takes minutes, the
others seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from accuracy_page import page, picture
from listeners import Engine, from_text, peers_of
from machine import machine, put_section, versions
from scores import score_all

from wakeword.errors import ConfigError, WakewordError
from wakeword.metrics import (
    Curve,
    Stream,
    Utterance,
    listen,
    rates,
    sweep,
    unverified,
    with_utterances,
)
from wakeword_train.conditions import Condition, parse_condition
from wakeword_train.data.splits import SPLITS_FILE
from wakeword_train.scoring import SAME_WORDS
from wakeword_train.testset import label_of, read_corpus

ROOT = Path(__file__).resolve().parents[1]
CONDITIONS = "clean,10dB,10dB-pink,0dB,0dB-pink,-5dB,-5dB-pink,reverb-10dB,talk,talk-10dB"
HOLD = ("speech", SAME_WORDS)
LIBRARIES = ("wakeword", "pymicro-wakeword", "pyopen-wakeword", "ai-edge-litert",
             "pymicro-features", "numpy")  # fmt: skip
Row = dict[str, Any]


def lowest_holding(
    utterances: Sequence[Utterance],
    held: Sequence[Stream],
    engine: Engine,
    fa_per_hour: float,
) -> float | None:
    """Find the lowest threshold from which on every part holds a rate of false alarms by itself.

    `wakeword.metrics.at_false_alarms` is not used: it refuses what the hours cannot verify, and
    takes the middle of the thresholds with equal misses. Here every engine gets what helps it most.

    Returns:
        The threshold, None where none holds. A false alarm more needs a lower one: thresholds just
        above each peak are tried too.
    """
    curve = sweep(utterances, held, engine.config, strict=engine.strict)
    levels = np.unique(np.concatenate([curve.thresholds, np.nextafter(curve.thresholds, 2)]))
    curve = sweep(
        utterances, held, engine.config, thresholds=levels[levels <= 1], strict=engine.strict
    )
    allowed = np.floor(fa_per_hour * np.array(curve.hours) + 1e-9)
    broken = np.flatnonzero(np.any(curve.false_alarms > allowed, axis=1))
    first = int(broken[-1]) + 1 if len(broken) else 0
    return float(curve.thresholds[first]) if first < len(curve.thresholds) else None


def count(
    engine: Engine,
    heard: tuple[Sequence[Utterance], Sequence[Stream]],
    conditions: Sequence[Condition],
    hold: Sequence[str],
    fa_per_hour: float,
) -> Row:
    """Count what an engine heard: at its own threshold, and at the lowest that holds the rate.

    Raises:
        ConfigError: a part to hold is not among the negatives.
    """
    utterances, streams = heard
    parts = list(dict.fromkeys(stream.part for stream in streams))
    if missing := [part for part in hold if part not in parts]:
        raise ConfigError(
            f"--hold {missing[0]!r}: of {engine.label!r} there is only {', '.join(parts) or 'none'}"
        )
    held = [stream for stream in streams if stream.part in hold]
    lowest = lowest_holding(utterances, held, engine, fa_per_hour)
    rows: Row = {}
    for name, threshold in (("shipped", engine.config.threshold), ("lowest", lowest)):
        if threshold is None:
            rows[name] = None
            continue
        config = engine.config.with_threshold(threshold)
        now = sweep(utterances, streams, config, thresholds=[threshold], strict=engine.strict)
        rows[name] = {
            "threshold": threshold,
            "conditions": {
                c.name: asdict(listen(_heard_in(utterances, c), config, strict=engine.strict))
                for c in conditions
            },
            "false_alarms": {rate.part: asdict(rate) for rate in rates(now, 0)},
            "unverified": unverified(now, fa_per_hour),
        }
    return {
        "name": engine.name, "ours": engine.ours, "digest": engine.digest, "rows": rows,
        "curve": _thin(sweep(utterances, held, engine.config, strict=engine.strict), utterances,
                       conditions),
    }  # fmt: skip


def _thin(curve: Curve, utterances: Sequence[Utterance], conditions: Sequence[Condition]) -> Row:
    """Keep the thresholds at which a count changes: false alarms in the parts held, and misses."""
    alarms = curve.false_alarms.sum(axis=1)
    misses = [with_utterances(curve, _heard_in(utterances, c)).misses for c in conditions]
    counts = np.column_stack([alarms, *misses])
    keep = np.concatenate([[True], (np.diff(counts, axis=0) != 0).any(axis=1)])
    return {
        "hours": sum(curve.hours),
        "threshold": curve.thresholds[keep].tolist(),
        "false_alarms": alarms[keep].tolist(),
        "misses": {c.name: m[keep].tolist() for c, m in zip(conditions, misses, strict=True)},
    }


def _heard_in(utterances: Sequence[Utterance], condition: Condition) -> list[Utterance]:
    """Choose those of one condition."""
    return [u for u in utterances if u.condition == condition.name]


def ratios(engines: Sequence[Row], conditions: Sequence[str]) -> list[Row]:
    """Set our misses beside those of the better peer, the one with the fewest in each condition.

    The peers' thresholds are the lowest that hold the rate on these very recordings.
    """
    peers = [e for e in engines if not e["ours"] and e["rows"]["lowest"]]
    found = []
    for own in (e for e in engines if e["ours"] and peers):
        for kind, row in own["rows"].items():
            if row is None:
                continue
            cells = {}
            for name in conditions:
                best = min(peers, key=lambda p: p["rows"]["lowest"]["conditions"][name]["misses"])
                theirs = best["rows"]["lowest"]["conditions"][name]
                ours = row["conditions"][name]
                ratio = ours["misses"] / theirs["misses"] if theirs["misses"] else None
                cells[name] = {"ours": ours, "peer": best["name"], "theirs": theirs, "ratio": ratio}
            found.append({"name": own["name"], "kind": kind, "conditions": cells})
    return found


def run(args: argparse.Namespace) -> Row:
    """Hear and count everything."""
    conditions = [parse_condition(name.strip()) for name in args.conditions.split(",")]
    ours = [engine for text in args.bundle for engine in from_text(text)]
    labels = list(dict.fromkeys([e.label for e in ours] + [label_of(w) for w in args.word]))
    recordings = read_corpus(args.data, args.splits, args.split)
    words = {}
    for label in labels or ["alexa"]:
        engines = [e for e in ours if e.label == label] + peers_of(label)
        if not engines:
            raise ConfigError(
                f"{label!r}: no engine has it: name a bundle with --bundle, or install "
                "pymicro-wakeword or pyopen-wakeword, which have alexa"
            )
        heard = score_all(
            engines, recordings, conditions, work=args.work, seed=args.seed,
            processes=args.processes, progress=_show,
        )  # fmt: skip
        rows = [
            count(engine, scores, conditions, args.hold, args.rate)
            for engine, scores in zip(engines, heard, strict=True)
        ]
        rates_there = rows[0]["rows"]["shipped"]["false_alarms"]
        words[label] = {
            "clips": len(_heard_in(heard[0][0], conditions[0])),
            "parts": {part: rate["hours"] for part, rate in rates_there.items()},
            "unverified": [p for p in rows[0]["rows"]["shipped"]["unverified"] if p in args.hold],
            "engines": rows,
            "ratios": ratios(rows, [c.name for c in conditions]),
        }
    return {
        "command": _command(args), "date": time.strftime("%Y-%m-%d"), "machine": machine(),
        "versions": versions(LIBRARIES), "split": args.split, "seed": args.seed,
        "fa_per_hour": args.rate, "hold": list(args.hold),
        "conditions": [c.name for c in conditions], "words": words,
    }  # fmt: skip


def _command(args: argparse.Namespace) -> str:
    """Name the options that matter, and files by their last part only."""
    parts = ["python bench/accuracy.py"]
    parts += [f"--bundle {Path(text).name}" for text in args.bundle]
    parts += [f"--word {word}" for word in args.word]
    parts += [f"--data DIR --split {args.split}"]
    if args.conditions != CONDITIONS:
        parts.append(f"--conditions {args.conditions}")
    if tuple(args.hold) != HOLD:
        parts.append("--hold " + " ".join(f"'{part}'" for part in args.hold))
    return " ".join([*parts, f"--rate {args.rate:g} --seed {args.seed}"])


def _show(stage: str, done: int, total: int) -> None:
    """Show how far it is: a counter on a terminal, else a line each."""
    end = "" if sys.stderr.isatty() and done < total else "\n"
    start = "\r" if sys.stderr.isatty() else ""
    print(f"{start}{stage}: {done} of {total}", end=end, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--bundle",
        action="append",
        default=[],
        metavar="PATH[:WORD]",
        help="ours to measure, or the name of a shipped one; may be repeated",
    )
    parser.add_argument(
        "--word",
        action="append",
        default=[],
        help="a word of the peers' (default: those of the bundles, else alexa)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder of recordings with manifest.tsv",
    )
    parser.add_argument("--splits", type=Path, default=SPLITS_FILE, metavar="FILE")
    parser.add_argument("--split", default="test", help="train, dev or test (default: test)")
    parser.add_argument("--conditions", default=CONDITIONS, help=f"(default: {CONDITIONS})")
    parser.add_argument(
        "--hold",
        nargs="+",
        default=HOLD,
        metavar="PART",
        help=f"parts of the negatives to hold (default: {', '.join(HOLD)})",
    )
    parser.add_argument("--rate", type=float, default=0.5, help="false alarms per hour to hold")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / "build" / "accuracy",
        metavar="DIR",
        help="keeps the scores (default: build/accuracy)",
    )
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--markdown", type=Path, help="write the tables into this page")
    parser.add_argument("--plot", action="store_true", help="a picture per word beside the page")
    return parser  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.plot and not args.markdown:
        parser.error("--plot puts a picture beside the page: name it with --markdown")
    if not args.rate > 0 or args.processes < 1:
        parser.error("need --rate above 0 and at least 1 process")
    try:
        result = run(args)
        if args.json:
            args.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
        for label in result["words"]:
            name = f"accuracy-{label}.png" if args.plot else None
            text = page(result, label, name)
            if args.markdown:
                put_section(args.markdown, f"accuracy {label}", text)
            if name:
                (args.markdown.parent / name).write_bytes(picture(result, label))
            print(text)
    except (WakewordError, OSError) as exc:
        print(f"accuracy.py: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nended; the pieces heard so far are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
