"""``wakeword train PHRASE``: from a phrase, or a recipe, to a bundle."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wakeword.errors import ConfigError
from wakeword_train.crew import STRATEGIES

if TYPE_CHECKING:
    from wakeword_train.recipes.config import Recipe

__all__ = ["main"]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="wakeword train",
        description="Make a model that hears a phrase. An interrupted run goes on from there.",
        epilog="wakeword train --recipe NAME makes a model for other sequences, text above all; "
        "see wakeword train --recipe NAME --help.",
    )
    parser.add_argument(
        "phrase", nargs="+",
        help="a phrase, or several for one model; or a recipe: a .toml file, or the name of one of "
        "the package",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the bundle")
    parser.add_argument("--force", action="store_true", help="replace a bundle that exists")
    parser.add_argument("--preset", help="tiny, small (default), base or course")
    parser.add_argument("--language", help="of the phrase, as espeak names it (default: en-us)")
    parser.add_argument(
        "--voices", type=Path,
        help="folder with Kokoro's two files and voices of Piper (default: where `wakeword synth "
        "--download` puts them)",
    )  # fmt: skip
    parser.add_argument(
        "--no-synthesis", action="store_true",
        help="speak nothing: train with clips that are in --work, or with recordings alone",
    )  # fmt: skip
    parser.add_argument(
        "--pack", type=Path,
        help="folder of a pack (default: the one that `wakeword data` installed)",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path,
        help="folder of recordings with manifest.tsv, in place of a pack (default: "
        "$WAKEWORD_SHARED/data/audio)",
    )  # fmt: skip
    own = parser.add_argument_group("your own recordings, a sub-folder for each person")
    own.add_argument("--positives", type=Path, metavar="DIR", help="people saying the phrase")
    own.add_argument("--negatives", type=Path, metavar="DIR", help="sound without it")
    own.add_argument("--from-review", type=Path, metavar="DIR", help="clips that a daemon kept, as "
                     "`wakeword review` labelled them: more of both")  # fmt: skip
    own.add_argument("--background", type=Path, metavar="DIR", help="noise to hear it in")
    more = parser.add_argument_group("how much")
    more.add_argument("--quick", action="store_true", help="a first model, of less of everything; "
                      "what is spoken for it counts towards the whole one")  # fmt: skip
    more.add_argument("--clips", type=int, help="synthetic clips of each word")
    more.add_argument("--batches", type=int, help="batches to train")
    more.add_argument("--members", type=int, help="models of the preset to run side by side as "
                      "one: fewer misses, and so many times the training and the cost")  # fmt: skip
    more.add_argument("--fa-per-hour", type=float, help="false alarms an hour to hold")
    more.add_argument("--seed", type=int)
    more.add_argument("--without-recordings", action="store_true", help="leave out recordings of "
                      "the phrase that the pack may have")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder of the stages "
                        "(default: runs)")  # fmt: skip
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ray", metavar="ADDRESS", help="speak and cut windows on a Ray cluster: "
                        "HOST:6379, auto, or local to start one here; on all of its cores, "
                        "whatever --processes says")  # fmt: skip
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default=STRATEGIES[0],
        help="multiworker: train on several machines that TF_CONFIG names, with the same command "
        "on each",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str], progress: Progress) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(argv)

    from wakeword_train.data.near import strength
    from wakeword_train.data.pack_file import installed
    from wakeword_train.data.reviewed import gather
    from wakeword_train.recipes.make import run
    from wakeword_train.recipes.plan import plan
    from wakeword_train.recipes.sources import Sources

    recipe = plan(_recipe(args))
    for word in recipe.words:
        for sentence in strength(recipe.synth.spellings[word]):
            log.info("%s: %s", word, sentence)
    data = args.data
    if data is None and args.pack is None and "WAKEWORD_SHARED" in os.environ:
        data = Path(os.environ["WAKEWORD_SHARED"]) / "data" / "audio"
    pack = args.pack or (installed() if data is None else None)
    if data is None and pack is None:
        raise ConfigError(
            "no pack is installed: fetch one with `wakeword data --download`, or name a folder of "
            "recordings with --data"
        )
    bundle = run(
        recipe, args.work,
        Sources(
            data=data, pack=pack, voices=args.voices, silent=args.no_synthesis,
            positives=args.positives, negatives=args.negatives, background=args.background,
            reviewed=gather(args.from_review, recipe.words, args.work) if args.from_review else (),
        ),
        args.out, processes=args.processes, ray=args.ray, strategy=args.strategy, force=args.force,
        progress=progress,
    )  # fmt: skip
    if bundle is None:
        log.info("trained; the chief writes the bundle")
        return 0
    print(bundle.path)
    print(bundle.path.with_name(f"{bundle.name}-report.html"))
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    """Read a recipe, or make one of phrases; options overrule it."""
    from wakeword_train.recipes.config import find_recipe, read_recipe
    from wakeword_train.recipes.plan import quick, recipe_of

    try:
        recipe = read_recipe(find_recipe(args.phrase[0])) if len(args.phrase) == 1 else None
    except ConfigError:
        if args.phrase[0].endswith(".toml"):
            raise
        recipe = None
    recipe = recipe or recipe_of(args.phrase)
    if args.quick:
        recipe = quick(recipe)
    given = {
        "preset": args.preset, "language": args.language, "fa_per_hour": args.fa_per_hour,
        "seed": args.seed, "members": args.members,
        "real": False if args.without_recordings else None,
    }  # fmt: skip
    recipe = replace(recipe, **{key: value for key, value in given.items() if value is not None})
    if args.batches:
        recipe = replace(recipe, fit=replace(recipe.fit, batches=args.batches))
    if args.clips:
        recipe = replace(recipe, synth=replace(recipe.synth, count=args.clips))
    return recipe
