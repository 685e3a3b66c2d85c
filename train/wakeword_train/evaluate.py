"""``wakeword evaluate``: how often a bundle misses its words, and how often it wakes for nothing.

Everything is heard through `wakeword.detector.Detector`, so exactly as it runs live; microWakeWord
models too. The row "in use" is the bundle's own threshold. Rows for a rate of false alarms choose
the threshold on the tested recordings themselves: what the model could do, not what it does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wakeword.bundle import Bundle, find_bundle, read_bundle
from wakeword.detector import Detector
from wakeword.errors import ConfigError, WakewordError
from wakeword_train.conditions import Condition, parse_condition
from wakeword_train.data.splits import SPLITS_FILE
from wakeword_train.det_plot import det_plot
from wakeword_train.files import write_file
from wakeword_train.judge import judge
from wakeword_train.report.text import table
from wakeword_train.scoring import Progress, Scored, score
from wakeword_train.testset import TestSet, read_corpus, read_lists

__all__ = ["evaluate", "main"]


def evaluate(
    bundle: Bundle,
    recordings: TestSet,
    conditions: Sequence[Condition],
    *,
    words: Sequence[str] | None = None,
    targets: Sequence[float] = (0.5,),
    seed: int = 1,
    tolerance_ms: int = 700,
    runtime: str | None = None,
    scored: Scored | None = None,
    progress: Progress = lambda *_: None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Test a bundle.

    Args:
        bundle: of either kind.
        recordings: what to hear.
        conditions: how to hear the words.
        words: of the bundle, None for all.
        targets: false alarms per hour to find a threshold for.
        seed: of the noise and rooms.
        tolerance_ms: after the word's end within which a detection is a hit.
        runtime: as `wakeword.model.open_model` takes it.
        scored: what was heard already, with the same settings; None hears it now.
        progress: called with (stage, done, in all).

    Returns:
        The result, plain JSON values; and per word a PNG of the error trade-off.

    Raises:
        WakewordError: see `wakeword_train.scoring.score`.
    """
    if scored is None:
        scored = score(
            Detector([(bundle, words)], runtime=runtime), recordings, conditions, seed=seed,
            tolerance_ms=tolerance_ms, progress=progress,
        )  # fmt: skip
    result, drawn = judge(
        bundle, scored, conditions, targets=targets, seed=seed, tolerance_ms=tolerance_ms
    )
    return result, {w: det_plot(d.curves, d.live, f"{w} ({bundle.name})") for w, d in drawn.items()}


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="wakeword evaluate",
        description="Measure misses, false alarms per hour and latency of a bundle.",
    )
    parser.add_argument("bundle", help="path of a bundle's .json, or a shipped bundle or word")
    parser.add_argument("--word", action="append", help="test only this word of the bundle")
    corpus = parser.add_argument_group("a folder of recordings with manifest.tsv")
    corpus.add_argument("--data", type=Path, metavar="DIR")
    corpus.add_argument("--splits", type=Path, default=SPLITS_FILE, metavar="FILE")
    corpus.add_argument("--split", help="train, dev or test (default with --data: test)")
    own = parser.add_argument_group("or recordings of your own")
    own.add_argument("--positives", type=Path, metavar="PATH", help="folder, or TSV: file word "
                     "speaker split [word_end_s]")  # fmt: skip
    own.add_argument("--negatives", type=Path, nargs="+", metavar="PATH", default=[])
    own.add_argument("--noise", type=Path, nargs="+", metavar="PATH", default=[])
    own.add_argument("--rir", type=Path, nargs="+", metavar="PATH", default=[])
    own.add_argument("--talk", type=Path, nargs="+", metavar="PATH", default=[])
    parser.add_argument("--conditions", help="comma-separated: clean, reverb, "
                        "10dB (recorded noise), 10dB-pink, reverb-10dB (the room, then noise), "
                        "reverb-10dB-pink, talk (others talked before), or talk- before any "
                        "of these (default: clean)")  # fmt: skip
    parser.add_argument("--target", type=float, nargs="+", default=[0.5], metavar="RATE",
                        help="false alarms per hour to find a threshold for")  # fmt: skip
    parser.add_argument("--tolerance-ms", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runtime", choices=["litert", "tflite-runtime", "tf", "numpy"])
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="pictures go beside it "
                        "(default: BUNDLE-evaluation.json)")  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write a report to read and "
                        "to listen to, with a JSON beside it; conditions default to clean, 10, "
                        "0 dB, reverb, talk; without --out nothing else is written")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    return parser


def _recordings(args: argparse.Namespace, words: Sequence[str]) -> TestSet:
    """Find the recordings that the arguments name."""
    if (args.data is None) == (args.positives is None):
        raise ConfigError("name the recordings: either --data DIR, or --positives and --negatives")
    if args.data is None:
        if not args.negatives:
            raise ConfigError("--negatives is missing: misses mean nothing without false alarms")
        return read_lists(
            args.positives, args.negatives, words=words, split=args.split, noises=args.noise,
            rirs=args.rir,
            talks=args.talk,
        )  # fmt: skip
    if args.negatives or args.noise or args.rir:
        raise ConfigError("--negatives, --noise and --rir go with --positives; --data has its own")
    return read_corpus(args.data, args.splits, args.split or "test")


def _run(args: argparse.Namespace) -> None:
    """Do what the arguments say."""
    from wakeword_train.report import all_conditions, as_json, gather, write_report

    path, word = find_bundle(args.bundle)
    bundle = read_bundle(path)
    words = args.word or ([word] if word else list(bundle.words))
    out = args.out or (None if args.html else Path(f"{bundle.name}-evaluation.json"))
    targets = _targets(out, args.html, words)
    for target in targets:
        if target.exists() and not args.force:
            raise ConfigError(f"{target} exists: choose another name, or replace it with --force")
    names = args.conditions or ("" if args.html else "clean")
    given = [parse_condition(name.strip()) for name in names.split(",")] if names else []
    recordings = _recordings(args, words)
    conditions = given or all_conditions(recordings)
    scored = score(
        Detector([(bundle, words)], runtime=args.runtime), recordings, conditions,
        seed=args.seed, tolerance_ms=args.tolerance_ms, progress=_show,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "words": words, "targets": args.target, "seed": args.seed, "runtime": args.runtime,
        "tolerance_ms": args.tolerance_ms, "scored": scored, "progress": _show,
    }  # fmt: skip
    result: dict[str, Any] = {}
    if args.html:
        split = args.split or ("test" if args.data else None)
        facts = gather(
            bundle, recordings, conditions, **settings,
            tested=_tested(args, split), chosen_here=split == "dev",
        )  # fmt: skip
        write_report(args.html, facts)
        result = as_json(facts)
    if out:
        result, pictures = evaluate(bundle, recordings, conditions, **settings)
        write_file(out, json.dumps(result, indent=1, allow_nan=False).encode() + b"\n")
        for w in words:
            write_file(_picture(out, w), pictures[w])
    print(json.dumps(result, allow_nan=False) if args.json else table(result))
    print("wrote " + ", ".join(str(target) for target in targets), file=sys.stderr)


def _targets(out: Path | None, html: Path | None, words: Sequence[str]) -> list[Path]:
    """List the files that will be written, each once."""
    from wakeword_train.report.page import json_beside

    targets = [out, *(_picture(out, w) for w in words)] if out else []
    if html:
        targets += [html, json_beside(html)]
    if len(set(targets)) < len(targets):
        raise ConfigError(f"--out {out} and --html {html}: the JSON beside the page is in the way; "
                          "give them different names")  # fmt: skip
    return targets


def _tested(args: argparse.Namespace, split: str | None) -> str:
    """Name the recordings for the report."""
    source = (args.data or args.positives).resolve().name
    return f"the {split} part of {source}" if split else source


def _picture(out: Path, word: str) -> Path:
    """Name the picture of a word."""
    return out.with_name(f"{out.stem}-{'_'.join(word.casefold().split())}.png")


def _show(stage: str, done: int, total: int) -> None:
    """Show how far it is: a counter on a terminal, else one line per stage."""
    if sys.stderr.isatty():
        end = "\n" if done + 1 == total else ""
        print(f"\r{stage}: {done + 1} of {total} ", end=end, file=sys.stderr, flush=True)
    elif done == 0:
        print(f"{stage}: {total}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``wakeword evaluate``; return its exit code."""
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except WakewordError as exc:
        print(f"wakeword evaluate: {exc}", file=sys.stderr)
        return 1
    return 0
