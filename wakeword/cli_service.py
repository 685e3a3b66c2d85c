"""The options of the commands around the daemon."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_assistant", "add_service_commands"]


def add_assistant(
    commands: Any, common: argparse.ArgumentParser, listening: list[argparse.ArgumentParser]
) -> None:
    """Describe ``assistant``.

    Args:
        commands, common: see :func:`add_service_commands`.
        listening: the options of who listens for words.
    """
    parser = commands.add_parser(
        "assistant",
        parents=[common, *listening],
        help="hear a word, then a command, and say what it asks for",
        description="Hear a wake word, write the command after it, and tell its intent, slots, "
        "names and sentiment, each by a small model of --models. Say the word, wait a moment, and "
        "give the command.",
    )
    sound = parser.add_mutually_exclusive_group(required=True)
    sound.add_argument("file", nargs="?", metavar="FILE", help="WAV, FLAC, Ogg, Opus or MP3")
    sound.add_argument("--mic", action="store_true", help="listen live, until Ctrl-C")
    sound.add_argument("--text", metavar="TEXT", help="read a command, in place of hearing one")
    parser.add_argument(
        "--models", required=True, dest="folder", metavar="DIR",
        help="folder that the recipes ctc, intents, entities and sentiment were told to write to",
    )  # fmt: skip
    parser.add_argument("--no-wake", action="store_true", help="take all of FILE as one command")
    parser.add_argument("--device", metavar="D", help="index or part of the name of a microphone")


def add_service_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Describe ``daemon``, ``web``, ``review`` and ``speakers``.

    Args:
        commands: what ``add_subparsers`` returned.
        common: the options that every command has.
    """
    daemon = commands.add_parser("daemon", parents=[common], help="listen as a service")
    daemon.add_argument(
        "--config", default="wakeword.toml", metavar="FILE", help="what to do (wakeword.toml)"
    )
    what = daemon.add_mutually_exclusive_group()
    what.add_argument("--init", metavar="FILE", help="write a commented configuration, and end")
    what.add_argument("--check", action="store_true", help="say whether it is right, and end")
    what.add_argument("--unit", action="store_true", help="print a unit file for systemd, and end")
    daemon.add_argument("--force", action="store_true", help="replace a file that exists")

    web = commands.add_parser(
        "web",
        parents=[common],
        help="show on a page what is heard",
        description="Listen, and show it on a page: sound, scores, detections, thresholds, samples "
        "and review. Nothing is done about a word; the daemon serves the same page with [web].",
    )
    what = web.add_mutually_exclusive_group()
    what.add_argument("--config", metavar="FILE", help="of the daemon: its words and settings")
    what.add_argument(
        "--bundle",
        action="append",
        default=[],
        metavar="MODEL",
        help="a shipped word or bundle, or the path of a .json (repeatable)",
    )
    sound = web.add_mutually_exclusive_group()
    sound.add_argument("--device", metavar="D", help="index or part of the name of a microphone")
    sound.add_argument(
        "--from", dest="file", metavar="FILE", help="hear a recording, over and over"
    )
    web.add_argument("--host", metavar="H", help="address to serve at (127.0.0.1)")
    web.add_argument("--port", type=int, metavar="P", help="port to serve at (10480)")
    web.add_argument(
        "--token-file", metavar="FILE", help="token that the page asks for; made if missing"
    )
    web.add_argument("--cert", metavar="FILE", help="certificate, PEM: serve by TLS")
    web.add_argument("--key", metavar="FILE", help="its key, PEM")
    web.add_argument("--recordings", metavar="DIR", help="where samples go")

    review = commands.add_parser(
        "review", parents=[common], help="judge what the daemon heard and nearly heard"
    )
    review.add_argument(
        "folder", metavar="FOLDER", help="as [review] of its configuration names it"
    )
    how = review.add_mutually_exclusive_group()
    how.add_argument("--list", action="store_true", help="list the clips")
    how.add_argument("--suggest", action="store_true", help="say what each threshold did to them")
    how.add_argument(
        "--apply", metavar="CONFIG", help="write better thresholds into a daemon's configuration"
    )
    how.add_argument("--label", nargs="+", metavar=("yes|no", "ID"), help="label clips by their id")

    voices = commands.add_parser(
        "speakers",
        parents=[common],
        help="enrol voices, so that a word of the daemon's wakes for them alone",
        description="Enrol voices from recordings of a word, and list them. Where a word's "
        "speakers_file names the file, the daemon leaves other voices alone. Convenience, not "
        "security: a recording of the right voice passes, and so does one stranger in so many.",
    )
    voices.add_argument("file", metavar="FILE", help="of voices; made if missing")
    voices.add_argument("--word", metavar="W", help="that is said, for a new file")
    voices.add_argument("--model", metavar="M", help="that hears it (the shipped one of the word)")
    voices.add_argument(
        "--add",
        nargs="+",
        metavar=("NAME", "CLIP"),
        help="a voice, and recordings of it or folders of them; those of a folder of the daemon's "
        "[review] have to be labelled yes, and all of one person",
    )
    voices.add_argument("--remove", metavar="NAME", help="take a voice out")
