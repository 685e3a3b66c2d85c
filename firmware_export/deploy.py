"""``wakeword deploy user@host``: copy a bundle and the runtime over ssh, install, start, follow."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence

from firmware_export.pi import archive_pi
from firmware_export.tools import find_tool
from wakeword.bundle import Bundle, read_bundle, shipped
from wakeword.errors import ExportError

__all__ = ["deploy", "main"]

# What a shell or ssh could take for anything but a name stays out: no spaces, no leading dash.
_HOST = re.compile(r"(?:[A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9_\[][\w.:\]%-]*")
_FOLDER = re.compile(r"[A-Za-z0-9_~/.][\w./~-]*")


def deploy(
    host: str,
    bundle: Bundle,
    *,
    folder: str = ".local/share/wakeword",
    options: Sequence[str] = (),
    follow: bool = True,
) -> int:
    """Copy, install, start and, until Ctrl-C, show what is heard.

    Args:
        host: as ssh takes it, user@host.
        bundle: ours, or a microWakeWord model.
        folder: on the host, below the home folder unless it begins with a slash.
        options: further words for ssh, before the host.
        follow: show the log in the end.

    Returns:
        The exit code of the last command on the host.

    Raises:
        ExportError: ssh is missing, the host cannot be reached, or the installation fails there.
    """
    if not _HOST.fullmatch(host):
        raise ExportError(f"{host!r}: need user@host, or a host's name")
    if not _FOLDER.fullmatch(folder):
        raise ExportError(f"{folder!r}: need a folder of letters, digits, dots, dashes and slashes")
    ssh = [find_tool("ssh"), *options, "--", host]
    where = folder.removesuffix("/")
    archive = archive_pi(bundle)
    print(f"copying {len(archive)} bytes to {host}:{where}", file=sys.stderr)
    unpack = (
        f"set -e; mkdir -p {where}; rm -rf {where}/lib.new; "
        f"tar -xz -f - -C {where} --strip-components=1"
    )
    _run(ssh, unpack, "copying", archive)
    # The session ends when the script does: what it leaves running must not hold the connection.
    _run(ssh, f"sh {where}/install.sh", "installing", None)
    if not follow:
        return 0
    print("following the log; Ctrl-C ends that, not the service", file=sys.stderr)
    return subprocess.run([*ssh, f"sh {where}/follow.sh"], check=False).returncode


def _run(ssh: Sequence[str], command: str, what: str, content: bytes | None) -> None:
    """Run a command on the host; what it says goes to our standard error."""
    try:
        done = subprocess.run(
            [*ssh, command],
            input=content,
            stdin=subprocess.DEVNULL if content is None else None,
            stdout=sys.stderr.fileno(),
            check=False,
        )
    except OSError as exc:
        raise ExportError(f"ssh: {exc}") from exc
    if done.returncode == 255:
        raise ExportError(f"{ssh[-1]} cannot be reached by ssh: try {shlex.join(ssh)} true")
    if done.returncode != 0:
        raise ExportError(f"{what} on {ssh[-1]} ended with {done.returncode}; its words are above")


def main(argv: Sequence[str]) -> int:
    """Parse and call."""
    parser = argparse.ArgumentParser(
        prog="wakeword deploy",
        description="Install a bundle on a Raspberry Pi, or any Linux machine, over ssh; start it "
        "as a service, and show what it hears.",
    )
    parser.add_argument("host", metavar="USER@HOST")
    parser.add_argument(
        "-m",
        "--model",
        metavar="BUNDLE",
        help="a shipped word or bundle, or a path; default: shipped",
    )
    parser.add_argument("--to", default=".local/share/wakeword", metavar="DIR", help="folder there")
    parser.add_argument("--port", type=int, metavar="N", help="of the ssh server")
    parser.add_argument("--identity", metavar="FILE", help="key for ssh")
    parser.add_argument(
        "-o", action="append", default=[], dest="options", metavar="OPTION", help="as -o of ssh"
    )
    parser.add_argument("--no-follow", action="store_true", help="do not show the log")
    args = parser.parse_args(argv)
    options = [word for option in args.options for word in ("-o", option)]
    if args.port is not None:
        options += ["-p", str(args.port)]
    if args.identity is not None:
        options += ["-i", args.identity]
    bundle = read_bundle(args.model or next(iter(shipped())))
    return deploy(args.host, bundle, folder=args.to, options=options, follow=not args.no_follow)
