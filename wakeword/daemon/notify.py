"""Tell systemd how we are: ready, reloading, alive, stopping.

Source: sd_notify(3). A datagram to the socket in NOTIFY_SOCKET; nothing happens without one.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

from wakeword.microphone import Clock

__all__ = ["Notifier"]


class Notifier:
    """systemd's notification socket.

    Args:
        clock: time.
        env: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked up; None: os.environ.

    A socket that is gone or full costs nothing: what is told is a courtesy, and comes again.
    """

    def __init__(self, clock: Clock, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        self._clock = clock
        self._address = env.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._watchdog_s = _watchdog_s(env)
        self._next_s = 0.0

    def tell(self, *lines: str) -> None:
        """Send lines such as "READY=1"."""
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with contextlib.suppress(OSError):
            self._socket.sendto("\n".join(lines).encode("utf-8"), address)

    def ready(self, status: str) -> None:
        """Say that we work."""
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that a new configuration is being read; :meth:`ready` ends that."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.now() * 1_000_000)}")

    def stopping(self) -> None:
        """Say that we end."""
        self.tell("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog; to be called whenever sound came, it sends what is due."""
        if self._watchdog_s and (now := self._clock.now()) >= self._next_s:
            self._next_s = now + self._watchdog_s / 4
            self.tell("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdog_s(env: Mapping[str, str]) -> float:
    """Return after how many seconds without a sign systemd acts; 0 where it does not."""
    text = env.get("WATCHDOG_USEC", "")
    meant = env.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(text) / 1_000_000 if text.isdecimal() and meant else 0.0
