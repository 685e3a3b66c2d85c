"""``wakeword train --recipe NAME``: train, measure and export a sequence model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from wakeword.errors import ConfigError
from wakeword_train.sequence.run import Run, find, names, run
from wakeword_train.sequence.table import put_table

__all__ = ["main"]


def main(argv: Sequence[str], progress: Callable[[str, int, int], None]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="wakeword train",
        description="Train, measure and export a sequence model. An interrupted run goes on.",
    )
    parser.add_argument("--recipe", required=True, metavar="NAME", help=", ".join(names()))
    parser.add_argument("--compare", action="store_true",
                        help="measure cheap baselines and reference libraries too")  # fmt: skip
    parser.add_argument("--small", action="store_true", help="little of everything, in a minute: "
                        "to see that it works, not how well")  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets "
                        "(default: $WAKEWORD_SHARED/data/text)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR",
                        help="folder of the bundle, the table and pictures")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs"), metavar="DIR",
                        help="folder of interrupted runs (default: runs)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path, metavar="PAGE", help="write the table into this "
                        "page too, such as docs/SEQUENCE_MODELS.md")  # fmt: skip
    args = parser.parse_args(argv)
    if args.small and args.table:
        raise ConfigError("--small --table: the figures of a small run belong into no table")
    if args.seed < 0:
        raise ConfigError(f"--seed {args.seed}: need at least 0")
    data = args.data
    if data is None:
        if "WAKEWORD_SHARED" not in os.environ:
            raise ConfigError("name the folder of the data sets with --data")
        data = Path(os.environ["WAKEWORD_SHARED"]) / "data" / "text"
    recipe = find(args.recipe)
    size = "small" if args.small else "full"
    going = Run(
        name=args.recipe,
        config=recipe.SMALL if args.small else recipe.CONFIG,
        data=data,
        work=args.work / f"{args.recipe}-{size}-{args.seed}",
        out=args.out,
        seed=args.seed,
        compare=args.compare,
        small=args.small,
        progress=progress,
    )
    table = run(recipe, going)
    if args.table:
        title = (getattr(recipe, "__doc__", None) or args.recipe).splitlines()[0].rstrip(".")
        put_table(args.table, args.recipe, title, table)
    print(table)
    return 0
