"""``wakeword train``, ``wakeword synth`` and ``wakeword evaluate``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from wakeword.errors import WakewordError

__all__ = ["main"]


def _bar() -> Callable[[str, int, int], None]:
    """Make a progress line on stderr: a stage, its share, and the time that is left of it."""
    began: dict[str, tuple[float, int]] = {}
    shown = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        first, at = began.setdefault(stage, (now, done))
        if now - shown < (0.5 if sys.stderr.isatty() else 15) and done < total:
            return
        shown = now
        left = ""
        if done > at and done < total:
            left = f", {(now - first) / (done - at) * (total - done):.0f} s left"
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        print(f"{stage}: {done} of {total}{left}    ", end=end, file=sys.stderr, flush=True)

    return progress


def _train(argv: Sequence[str]) -> int:
    """Make a bundle from a recipe."""
    parser = argparse.ArgumentParser(prog="wakeword train", description=_train.__doc__)
    parser.add_argument("recipe", help="a .toml file, or the name of a recipe of the package")
    parser.add_argument("--data", type=Path, help="folder of recordings with manifest.tsv "
                        "(default: $WAKEWORD_SHARED/data/audio)")  # fmt: skip
    parser.add_argument("--voices", type=Path, help="folder with Kokoro's two files; without it, "
                        "clips already spoken are used")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder of the stages; an "
                        "interrupted run goes on from it (default: runs)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the bundle")
    parser.add_argument("--preset", help="tiny, small, base or course, in place of the recipe's")
    parser.add_argument("--batches", type=int, help="batches to train, in place of the recipe's")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--force", action="store_true", help="replace a bundle that exists")
    args = parser.parse_args(argv)

    from wakeword_train.recipes import trigger
    from wakeword_train.recipes.config import find_recipe, read_recipe

    recipe = read_recipe(find_recipe(args.recipe))
    if args.preset:
        recipe = replace(recipe, preset=args.preset)
    if args.batches:
        recipe = replace(recipe, fit=replace(recipe.fit, batches=args.batches))
    data = args.data
    if data is None and "WAKEWORD_SHARED" in os.environ:
        data = Path(os.environ["WAKEWORD_SHARED"]) / "data" / "audio"
    if data is None:
        parser.error("name the folder of recordings with --data")
    bundle = trigger.run(
        recipe, args.work, data, args.voices, args.out,
        processes=args.processes, force=args.force, progress=_bar(),
    )  # fmt: skip
    print(bundle.path)
    return 0


def _synth(argv: Sequence[str]) -> int:
    from wakeword_train.synth import command

    return command.main(argv, _bar())


def _evaluate(argv: Sequence[str]) -> int:
    from wakeword_train import evaluate

    return evaluate.main(argv)


COMMANDS = {"train": _train, "synth": _synth, "evaluate": _evaluate}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of the trainer; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in COMMANDS:
        print(f"usage: wakeword {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return COMMANDS[words[0]](words[1:])
    except WakewordError as exc:
        print(f"wakeword {words[0]}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
