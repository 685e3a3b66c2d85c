"""The command ``wakeword``: parse, call, and turn what went wrong into one line and an exit code.

Exit codes: 0 success, 1 an error of ours in one line on stderr, 2 wrong usage, 130 Ctrl-C.
Results go to stdout (one JSON object a line with ``--json``), everything else to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wakeword.cli_service import add_assistant, add_service_commands
from wakeword.errors import WakewordError

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Sibling:
    """A command of a sibling package, listed only where its module is installed.

    Attributes:
        module: has ``main([COMMAND, ...]) -> int``.
        extra: what to install when a library is missing.
        needs: libraries looked for before the work begins, not hours into it.
        about: what the command does.
    """

    module: str
    extra: str
    needs: tuple[str, ...]
    about: str


SIBLINGS = {
    "train": Sibling("wakeword_train.cli", "train", ("tensorflow",), "train a word of your own"),
    "data": Sibling("wakeword_train.cli", "train", (), "what every word is trained with"),
    "synth": Sibling("wakeword_train.cli", "synth", (), "speak clips of a word"),
    "evaluate": Sibling("wakeword_train.cli", "train", (), "measure misses and false alarms"),
    "export": Sibling("firmware_export.cli", "export", (), "turn a bundle into firmware"),
    "deploy": Sibling("firmware_export.cli", "export", (), "install a bundle on a Pi over ssh"),
}
log = logging.getLogger("wakeword")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (argparse leaves by SystemExit on wrong usage)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _logging():
        try:
            code = _run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            code = 0  # `| head` has seen enough: no error of anybody's
        except KeyboardInterrupt:
            code = 130
        except (WakewordError, OSError) as exc:
            log.error("%s", " ".join(str(exc).split()))
            code = 1
        try:
            sys.stdout.flush()
        except OSError:  # a closed pipe or a full disk, dealt with above
            _drop_stdout()
    return code


def _run(arguments: list[str]) -> int:
    """Hand over to the sibling package, or parse and call one of our own commands."""
    if arguments and arguments[0] in SIBLINGS and _installed(SIBLINGS[arguments[0]].module):
        return _run_sibling(arguments[0], arguments)
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command == "listen" and args.stdin and (args.device, args.channel) != (None, None):
        parser.error("--stdin is no device and has one channel: leave --device and --channel out")
    if args.command == "score" and args.plot is not None and args.json:
        parser.error("--plot draws in place of the table: leave --json out")
    if args.command == "record":
        _check_record(parser, args)
    if args.command == "assistant" and args.no_wake and args.file is None:
        parser.error("--no-wake is for a FILE")
    if args.verbose:
        log.setLevel(logging.DEBUG)
    elif args.quiet:
        log.setLevel(logging.WARNING)
    # Before numpy is imported. A step's products are too small to share: 2 threads took no less
    # time than 1 (x86-64, 2026-11-21), and each keeps 40 MB of address space.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from wakeword import commands

    code: int = getattr(commands, args.command)(args)
    return code


def _check_record(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Leave with a usage error where options of ``record`` contradict each other."""
    if not (args.phrase or args.negative):
        parser.error("say which phrase to record; for ordinary sound without it: --negative")
    if args.negative and args.count is not None:
        parser.error("--negative records by time: --minutes in place of --count")
    if args.minutes is not None and (args.files or not args.negative):
        parser.error("--minutes is for --negative with a microphone: leave it out")
    if args.files and (args.device is not None or args.yes):
        parser.error("--from reads files and asks nothing: leave --device and --yes out")
    for name in ("count", "minutes"):
        if (value := getattr(args, name)) is not None and not 0 < value < 10_000:
            parser.error(f"--{name} {value}: need more than 0 and less than 10000")


def _installed(module: str) -> bool:
    """Tell whether a module of a sibling package is there, without importing the package."""
    top, _, name = module.partition(".")
    spec = importlib.util.find_spec(top)
    folders = spec.submodule_search_locations if spec else None
    return any((Path(folder) / f"{name}.py").is_file() for folder in folders or ())


def _run_sibling(command: str, arguments: list[str]) -> int:
    """Run a command of a sibling package; a library that is missing names its extra."""
    sibling = SIBLINGS[command]
    if not {"-h", "--help"} & set(arguments):
        for library in sibling.needs:
            if importlib.util.find_spec(library) is None:
                raise _missing(command, library, sibling.extra)
    try:
        code: int = importlib.import_module(sibling.module).main(arguments)
    except ModuleNotFoundError as exc:
        library = (exc.name or "").partition(".")[0]
        if library in ("", "wakeword", "wakeword_train", "firmware_export"):
            raise  # a mistake in our own code, not a library left out
        raise _missing(command, library, sibling.extra) from exc
    return code


def _missing(command: str, library: str, extra: str) -> WakewordError:
    """Name the extra that brings a library."""
    return WakewordError(
        f'{command} needs {library}, which is not installed: pip install "wakeword[{extra}]"'
    )


class _Version(argparse.Action):
    """Print the version; looked up only now, since that takes its time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print("wakeword", version("wakeword"))
        except PackageNotFoundError:
            print("wakeword, from a checkout that is not installed")
        parser.exit()


def _threshold(text: str) -> tuple[str, float]:
    """Parse P or WORD=P; the word is empty where there is none."""
    word, _, number = text.rpartition("=")
    return word, float(number)


def _parser() -> argparse.ArgumentParser:
    """Describe every command."""
    parser = argparse.ArgumentParser(
        prog="wakeword", description="Listen for a word, in files or live."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON object a line")
    volume = common.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", help="only warnings on stderr")
    volume.add_argument("-v", "--verbose", action="store_true", help="more on stderr")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--threshold",
        action="append",
        default=[],
        type=_threshold,
        metavar="[WORD=]P",
        help="probability from which a word counts, in place of the bundle's (repeatable)",
    )
    model.add_argument(
        "--runtime",
        metavar="NAME",
        help="litert, tflite-runtime, tf or numpy; default: the first that works",
    )
    model.add_argument(
        "--channel", type=int, metavar="N", help="channel to hear, from 0; default: all, mixed"
    )
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="MODEL",
        help="a shipped word or bundle, or the path of a .json; default: the shipped one "
        "(repeatable)",
    )

    live = commands.add_parser(
        "listen", parents=[common, model], help="listen live", description="Listen live."
    )
    live.add_argument("models", nargs="*", metavar="MODEL", help="as --model of detect")
    live.add_argument("--stdin", action="store_true", help="hear raw int16 samples from stdin")
    live.add_argument("--device", metavar="D", help="index or part of the name of a microphone")
    live.add_argument(
        "--rate", type=int, metavar="HZ", help="sample rate of the device, or of stdin (16000)"
    )
    live.add_argument("--list-devices", action="store_true", help="as the command devices")

    detect = commands.add_parser(
        "detect", parents=[common, model, named], help="find words in recordings"
    )
    detect.add_argument("files", nargs="+", metavar="FILE", help="WAV, FLAC, Ogg, Opus or MP3")

    score = commands.add_parser(
        "score", parents=[common, model, named], help="score a recording, step by step"
    )
    score.add_argument("file", metavar="FILE")
    score.add_argument("--plot", metavar="PNG", help="draw a picture in place of the table")
    score.add_argument("--force", action="store_true", help="replace a picture that exists")

    record = commands.add_parser(
        "record",
        parents=[common],
        help="record clips of your own",
        description="Record clips of a phrase, guided; or of the ordinary sound of a room.",
    )
    record.add_argument("phrase", nargs="?", metavar="PHRASE", help="what to say")
    record.add_argument("--speaker", default="me", metavar="NAME", help="who speaks (me)")
    record.add_argument(
        "--count", type=int, metavar="N", help="clips there should be in the end (20)"
    )
    record.add_argument("--out", default="recordings", metavar="DIR", help="where (recordings)")
    record.add_argument(
        "--from",
        dest="files",
        nargs="+",
        default=[],
        metavar="FILE",
        help="cut these recordings into clips, in place of a microphone",
    )
    record.add_argument(
        "--negative", action="store_true", help="ordinary sound, in which nobody says the phrase"
    )
    record.add_argument("--minutes", type=float, metavar="M", help="how much of it to record (5)")
    record.add_argument("--device", metavar="D", help="index or part of the name of a microphone")
    record.add_argument(
        "--channel", type=int, metavar="N", help="channel to hear, from 0; default: all, mixed"
    )
    record.add_argument(
        "-y", "--yes", action="store_true", help="keep what passes, without asking for a key"
    )

    add_service_commands(commands, common)
    add_assistant(commands, common, [model, named])
    commands.add_parser("devices", parents=[common], help="list what can record")
    commands.add_parser("models", parents=[common], help="list the models that come with this")
    info = commands.add_parser("info", parents=[common], help="show what a bundle is and can do")
    info.add_argument("bundle", metavar="BUNDLE", help="a shipped word or bundle, or a path")

    for name, sibling in SIBLINGS.items():
        if _installed(sibling.module):
            commands.add_parser(name, help=sibling.about, add_help=False)
    return parser


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Send the log to stderr while a command runs, one line each, over the meter."""
    clear = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{clear}wakeword: %(message)s"))
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def _drop_stdout() -> None:
    """Point stdout nowhere, so that Python's own flush at the end does not complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
