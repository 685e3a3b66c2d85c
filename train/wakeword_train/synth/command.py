"""``wakeword synth``: speak clips of a phrase, or fetch the voices that speak them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["main"]

Progress = Callable[[str, int, int], None]
MEGABYTE = 1_000_000


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="wakeword synth",
        description="Speak clips of a phrase with synthetic voices: many speakers, accents, speeds "
        "and pitches. A run that was interrupted goes on where it stopped. With --download, "
        "fetch voices and speak nothing.",
    )
    parser.add_argument("phrase", nargs="?", metavar="PHRASE", help="what to say")
    parser.add_argument("-n", "--count", type=int, default=1000, metavar="N",
                        help="clips there should be in the end (default: 1000)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the clips")
    parser.add_argument("--engine", nargs="+", action="extend", metavar="NAME", dest="engines",
                        help="who speaks: kokoro, piper, espeak, flite (default: all that are "
                        "here, kokoro most)")  # fmt: skip
    parser.add_argument("--voices", type=Path, metavar="DIR", help="folder with Kokoro's two "
                        "files, voices of Piper, or both (default: where --download puts "
                        "them)")  # fmt: skip
    parser.add_argument("--piper", nargs="+", action="extend", type=Path, default=[],
                        metavar="FILE", help="voices of Piper that lie elsewhere: NAME.onnx, with "
                        "NAME.onnx.json beside it")  # fmt: skip
    parser.add_argument("--language", default="en-us", metavar="CODE", help="of the phrase, as "
                        "espeak-ng names it (default: en-us)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="the same one gives the same clips "
                        "(default: 1)")  # fmt: skip
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--ray", metavar="ADDRESS", help="speak on a Ray cluster instead of here: "
                        "HOST:6379, auto, or local to start one here; on all of its cores, "
                        "whatever --processes says")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace clips of another phrase, "
                        "seed or engines in DIR; fetched files that are others")  # fmt: skip
    fetching = parser.add_argument_group("fetching voices")
    fetching.add_argument("--download", metavar="WHAT", help="kokoro (121 MB), or piper:VOICE as "
                          "in piper:en_US-lessac-medium")  # fmt: skip
    fetching.add_argument("--to", type=Path, metavar="DIR", help="folder to put them in (default: "
                          "$WAKEWORD_HOME, or wakeword in the user's cache)")  # fmt: skip
    fetching.add_argument("--url", default="", help="fetch from here: the same files at the same "
                          "paths below it")  # fmt: skip
    fetching.add_argument("--sha256", nargs="+", default=[], metavar="HEX", help="sums of Kokoro's "
                          "model and voices at --url, if they are others")  # fmt: skip
    return parser


def main(argv: Sequence[str], progress: Progress) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.download:
        if args.phrase:
            parser.error("--download speaks nothing: leave PHRASE out, and say it afterwards")
        return _fetch(args, progress)
    if not args.phrase or args.out is None:
        parser.error("name a PHRASE and a folder for its clips with --out; or --download voices")
    if args.count < 1 or args.processes < 1:
        parser.error("-n and --processes: need at least 1")
    if args.seed < 0:
        parser.error(f"--seed {args.seed}: need 0 or more")
    return _speak(args, progress)


def _fetch(args: argparse.Namespace, progress: Progress) -> int:
    """Fetch voices and print where they are."""
    from wakeword_train.synth.fetch import fetch
    from wakeword_train.synth.find import home_of

    to = args.to or home_of(args.download.partition(":")[0])

    def megabytes(name: str, done: int, total: int) -> None:
        whole = done // MEGABYTE
        end = -(-total // MEGABYTE) or whole + 1  # where nobody knows it, not yet
        progress(f"{name}, MB", end if done == total else min(whole, end - 1), end)

    files = fetch(
        args.download, to, url=args.url, sha256=args.sha256, force=args.force, progress=megabytes
    )
    for card in (f for f in files if f.name.endswith("MODEL_CARD")):
        print(f"whose voice it is, and under which licence: {card}", file=sys.stderr)
    print(to)
    return 0


def _speak(args: argparse.Namespace, progress: Progress) -> int:
    """Speak the clips and print where they are."""
    from wakeword_train.phonemes import code_of, pronunciations
    from wakeword_train.synth.find import find_engines
    from wakeword_train.synth.speak import engines_of, synthesize

    ways = pronunciations(args.phrase, args.language)
    engines = find_engines(
        args.engines, voices=args.voices, piper=args.piper, language=code_of(args.language)
    )
    print(
        f"{len(ways)} pronunciations (if they are wrong, spell it as it sounds): {', '.join(ways)}",
        file=sys.stderr,
    )
    for done, total in synthesize(
        {args.phrase: ways}, args.count, args.out,
        engines=engines, seed=args.seed, processes=args.processes, force=args.force,
        ray=args.ray,
    ):  # fmt: skip
        progress("speak", done, total)
    shares = ", ".join(f"{name} {count}" for name, count in sorted(engines_of(args.out).items()))
    print(f"clips by engine: {shares}", file=sys.stderr)
    print(args.out)
    return 0
