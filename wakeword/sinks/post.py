"""One HTTP POST, signed, within a time limit that no receiver can stretch."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

from wakeword.daemon.tls import client_context
from wakeword.errors import WakewordError

__all__ = ["post", "signature"]

ANSWER_BYTES = 65_536


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of ``timestamp``, a full stop and ``body``.

    >>> signature(b"key", "1700000000", b"{}")[:16]
    '9d713ed406bb7076'
    """
    return hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout_s: float,
    ca_file: str | None = None,
) -> int:
    """Post and return the status; redirects are not followed.

    Args:
        url: http or https, checked before.
        body: sent as it is.
        headers: added to those of the request.
        timeout_s: from the first packet to the end of the answer.
        ca_file: PEM of who signs for an https server; None believes whom the system believes.

    Raises:
        WakewordError: no answer in time, or none that is HTTP; a server that is not who it should.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = str(parts.hostname)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":  # read anew for every request: certificates change in a year
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=timeout_s, context=client_context(ca_file)
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    late = threading.Event()

    def cut() -> None:
        """End a request that trickles: each byte alone is within the socket's own time limit."""
        late.set()
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                # Past TLS, which would take its state from under the thread that reads.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, cut)
    timer.daemon = True
    try:
        timer.start()
        connection.connect()
        if late.is_set():
            raise TimeoutError
        connection.request("POST", target, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as exc:
        if late.is_set() or isinstance(exc, TimeoutError):
            raise WakewordError(f"no whole answer within timeout_s={timeout_s:g}") from exc
        raise WakewordError(f"no answer ({exc or type(exc).__name__})") from exc
    finally:
        timer.cancel()
        connection.close()
    if late.is_set():  # a shut socket reads as the end of an answer
        raise WakewordError(f"no whole answer within timeout_s={timeout_s:g}")
    return int(answer.status)
