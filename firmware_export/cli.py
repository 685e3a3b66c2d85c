"""``wakeword export`` and ``wakeword deploy``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wakeword.bundle import read_bundle

__all__ = ["main"]

TARGETS = {
    "c99": "a folder of C sources for any board, checked against the bundle",
    "tflm": "TFLite Micro projects for ESP-IDF, Arduino and Zephyr",
    "esphome": "a microWakeWord version 2 model for ESPHome",
    "pi": "a folder or .tar.gz that installs on a Raspberry Pi",
}


def _export_parser() -> argparse.ArgumentParser:
    targets = "; ".join(f"{name}: {about}" for name, about in TARGETS.items())
    parser = argparse.ArgumentParser(
        prog="wakeword export",
        description="Say what a bundle takes on a board, or turn it into firmware.",
        epilog=targets,
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a shipped word or bundle, or a path")
    parser.add_argument("--plan", action="store_true", help="only say what it takes")
    parser.add_argument(
        "--board", action="append", default=[], metavar="NAME", help="for this board"
    )
    parser.add_argument("--target", choices=TARGETS, help="what to make")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write it")
    parser.add_argument("--word", metavar="WORD", help="for esphome: which word of several")
    parser.add_argument(
        "--arena",
        type=int,
        metavar="BYTES",
        help="for tflm and esphome: in place of a measured one",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument("--no-verify", action="store_true", help="do not compile and compare")
    parser.add_argument("--qemu", action="store_true", help="also run it on emulated boards")
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="compare on this too",
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    return parser


def _export(argv: Sequence[str]) -> int:
    parser = _export_parser()
    args = parser.parse_args(argv)
    if args.plan == (args.target is not None):
        parser.error("choose one: --plan, or --target with --out")
    if args.target is not None and args.out is None:
        parser.error("--target needs --out, the place to write to")
    if args.target == "pi":
        return _pi(args)
    from firmware_export.lower import lower
    from firmware_export.plan import make_plan, plan_text, refuse_what_does_not_fit

    bundle = read_bundle(args.bundle)
    program = lower(bundle)
    if args.plan:
        plan = make_plan(program, bundle, args.board)
        print(json.dumps(asdict(plan)) if args.json else plan_text(plan))
        if args.board:
            refuse_what_does_not_fit(plan, len(bundle.words))
        return 0
    if args.board:
        refuse_what_does_not_fit(make_plan(program, bundle, args.board), len(bundle.words))
    from firmware_export.targets import Request, export

    said = export(
        Request(
            bundle=bundle,
            program=program,
            target=args.target,
            out=args.out,
            word=args.word,
            arena=args.arena,
            force=args.force,
            verify=not args.no_verify,
            qemu=args.qemu,
            audio=tuple(args.audio),
        )
    )
    _print(said, args)
    return 0


def _pi(args: argparse.Namespace) -> int:
    """A Pi runs any bundle as it is, microWakeWord models too."""
    from firmware_export.pi import write_pi

    said = write_pi(read_bundle(args.bundle), args.out, force=args.force)
    _print(said, args)
    return 0


def _print(said: Mapping[str, Any], args: argparse.Namespace) -> None:
    """The result as JSON, or line by line."""
    print(json.dumps(said) if args.json else "\n".join(f"{k}: {v}" for k, v in said.items()))


def _deploy(argv: Sequence[str]) -> int:
    from firmware_export import deploy

    return deploy.main(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of the exporter; return its exit code.

    Raises:
        WakewordError: what went wrong, for the caller to print in a line.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {"export": _export, "deploy": _deploy}
    if not words or words[0] not in commands:
        print(f"usage: wakeword {{{','.join(commands)}}} ...", file=sys.stderr)
        return 2
    return commands[words[0]](words[1:])
