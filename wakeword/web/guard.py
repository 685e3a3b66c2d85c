"""Who may speak to the page: its token, and where a request says it comes from."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from wakeword.daemon.actions import SocketConfig
from wakeword.daemon.settings import WebConfig
from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = [
    "bearer",
    "from_here",
    "host_names",
    "is_loopback",
    "named",
    "read_token",
    "same",
    "socket_token_path",
    "token_path",
]

SHORTEST = 20  # characters of a token that somebody chose; ours have 43
TOKEN_BYTES = 1024
HOST = re.compile(r"(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::[0-9]{1,5})?")
CLOSED = getattr(os, "O_CLOEXEC", 0)  # Windows has none, and no modes
FOREIGN = {"cross-site", "same-site"}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address to serve at.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_names(more: Iterable[str] = (), *, loopback: bool) -> frozenset[str]:
    """Return the names under which a browser may ask for the page.

    A page of somebody else's, whose name was made to point here (DNS rebinding), has another one.

    Args:
        more: that the configuration names.
        loopback: only this machine can reach us; its names in the network are none of ours then.
    """
    names = {"localhost", *(name.casefold() for name in more)}
    if not loopback:
        own = socket.gethostname().casefold()
        short = own.partition(".")[0]
        names |= {own, short, f"{short}.local"}
    return frozenset(names)


def named(host: str | None, names: frozenset[str], *, loopback: bool) -> bool:
    """Tell whether a Host header names us: by one of our names, or by an address.

    An address cannot be made to point elsewhere, so any will do; on loopback any of loopback.

    >>> ours = frozenset({"localhost"})
    >>> [named(h, ours, loopback=True) for h in ("localhost:80", "[::1]", "x.example", "10.0.0.1")]
    [True, True, False, False]
    """
    found = HOST.fullmatch(host or "")
    if found is None:
        return False
    name = (found[1] or found[2]).casefold().rstrip(".")
    if name in names:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not loopback


def from_here(headers: Mapping[str, str], *, tls: bool) -> bool:
    """Tell whether a request comes from our own page, or from no page at all.

    Browsers say which page a request comes from: in ``Origin`` wherever it could change something,
    and in ``Sec-Fetch-Site``. Programs say neither.

    Args:
        headers: of the request; its Host was checked.
        tls: we speak TLS ourselves. If not, a proxy before us may.
    """
    if headers.get("Sec-Fetch-Site", "") in FOREIGN:
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    host = headers.get("Host", "")
    schemes = ("https",) if tls else ("http", "https")
    return origin.casefold() in {f"{scheme}://{host}".casefold() for scheme in schemes}


def same(given: str, token: str) -> bool:
    """Compare in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode("utf-8"))


def bearer(header: str | None) -> str:
    """Return the token in an Authorization header; empty where there is none.

    >>> bearer("Bearer abc"), bearer("Basic abc"), bearer(None)
    ('abc', '', '')
    """
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def token_path(config: WebConfig, state: Path) -> Path | None:
    """Return where the token of the page lies; None where none is asked for."""
    own = config.names or not is_loopback(config.host_port[0])
    return Path(config.token_file or state / "web_token") if own or config.token_file else None


def socket_token_path(config: SocketConfig, state: Path) -> Path | None:
    """Return where the token of a port for JSON lines lies; None where none is asked for."""
    if config.address is None:
        return None
    own = not is_loopback(config.server.host_port[0])
    return Path(config.token_file or state / "socket_token") if own or config.token_file else None


def read_token(path: Path) -> str:
    """Read the token, and make one first where there is none.

    Raises:
        ConfigError: others may read the file, it is too short or too long, or it cannot be read or
            written.
    """
    try:
        if not path.exists():
            _make(path)
        handle = os.open(path, os.O_RDONLY | CLOSED)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(TOKEN_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"token_file={path}: cannot be read or written ({exc.strerror})") from exc
    if (
        os.name == "posix"
        and mode & 0o077
        and str(path.parent) != os.environ.get("CREDENTIALS_DIRECTORY")
    ):
        raise ConfigError(f"token_file={path}: others may read it; chmod 600 {path}")
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"token_file={path}: need ASCII; remove it, and one is made") from exc
    if not SHORTEST <= len(token) <= TOKEN_BYTES or not token.isprintable() or " " in token:
        raise ConfigError(
            f"token_file={path}: need {SHORTEST} to {TOKEN_BYTES} characters without blanks; "
            "remove it, and one is made"
        )
    return token


def _make(path: Path) -> None:
    """Write a new token that only we can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with beside(path) as partial:
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOSED, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
