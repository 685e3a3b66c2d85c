"""``wakeword data``: the pack that every word is trained with; make it, fetch it, install it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from wakeword.errors import ConfigError

__all__ = ["main"]

Progress = Callable[[str, int, int], None]


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="wakeword data",
        description="The pack of other words and ordinary sound that training needs. Without an "
        "option: say which one is installed, and whose recordings are in it.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--download", metavar="URL", help="fetch a pack and install it")
    what.add_argument("--install", type=Path, metavar="FILE", help="install a pack from a file")
    what.add_argument("--build", type=Path, metavar="DIR", help="make a pack of a folder of "
                      "recordings with manifest.tsv")  # fmt: skip
    parser.add_argument("--sha256", help="of the file that is fetched; without it nothing is "
                        "fetched")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("wakeword.pack"), help="file that --build "
                        "makes (default: wakeword.pack)")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder of the stages")
    parser.add_argument("--head", type=int, default=800, help="windows of each word (default: 800)")
    parser.add_argument("--long", type=int, default=12_000, help="windows of ordinary sound "
                        "(default: 12000)")  # fmt: skip
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ray", metavar="ADDRESS", help="--build on a Ray cluster, not here: "
                        "HOST:6379, auto, or local to start one here; on all of its cores, "
                        "whatever --processes says")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace the file that --build makes")
    return parser


def main(argv: Sequence[str], progress: Progress) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(argv)

    from wakeword_train.data import pack_file
    from wakeword_train.data.pack import open_pack
    from wakeword_train.download import home

    if args.build:
        _build(args, progress)
        print(args.out)
    elif args.install:
        print(pack_file.install_pack(args.install, progress=progress))
    elif args.download:
        print(_fetch(args.download, args.sha256, progress))
    else:
        folder = pack_file.installed()
        if folder is None:
            raise ConfigError(
                f"no pack is installed in {home()}: --download URL, --install FILE, or "
                "--build DIR of recordings"
            )
        print(f"{folder}\n\n{pack_file.licences(open_pack(folder))}")
    return 0


def _build(args: argparse.Namespace, progress: Progress) -> None:
    """Make a pack and write it into one file, with what may ship of the dev part."""
    from wakeword_train.data.manifest import may_ship, read_clips
    from wakeword_train.data.pack import PackConfig
    from wakeword_train.data.pack_file import write_pack
    from wakeword_train.data.splits import SPLITS_FILE
    from wakeword_train.recipes.config import Recipe
    from wakeword_train.recipes.parts import dev_streams
    from wakeword_train.recipes.sources import Sources, pack_of
    from wakeword_train.testset import read_corpus

    if args.out.exists() and not args.force:
        raise ConfigError(f"{args.out} exists: choose another --out, or --force to replace it")
    recipe = Recipe(words=("any",), pack=PackConfig(head=args.head, long=args.long))
    pack = pack_of(
        recipe, args.work, Sources(data=args.build),
        processes=args.processes, ray=args.ray, progress=progress,
    )  # fmt: skip
    ship = {clip.file for clip in read_clips(args.build) if may_ship(clip.licence, clip.source)}
    dev = read_corpus(args.build, SPLITS_FILE, "dev")
    dev = replace(
        dev,
        clips=tuple(clip for clip in dev.clips if clip.name in ship),
        streams=tuple((part, one) for part, one in dev.streams if one.name in ship),
    )
    write_pack(pack.folder, args.out, dev_streams(dev), progress)


def _fetch(url: str, sha256: str | None, progress: Progress) -> Path:
    """Fetch a pack and install it."""
    from wakeword_train.data.pack_file import install_pack
    from wakeword_train.download import download, home

    if not sha256:
        raise ConfigError("--sha256 is missing: the page that offers the pack tells it")
    file = home() / Path(url).name
    download(url, file, digest=f"sha256:{sha256}", progress=progress)
    return install_pack(file, progress=progress)
