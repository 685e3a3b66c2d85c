"""Messages of the Wyoming protocol, with every length checked before anything is allocated.

A message is a line of JSON with ``type``, then ``data_length`` bytes of more JSON, then
``payload_length`` bytes of sound; both lengths may be missing.

Source: https://github.com/OHF-Voice/wyoming, "Format". Where we differ: the reader there takes any
length that a stranger names; this one refuses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wakeword.errors import WakewordError

__all__ = ["HEADER_BYTES", "Message", "WireError", "read_message", "write_message"]

HEADER_BYTES = 65_536
DATA_BYTES = 65_536
PAYLOAD_BYTES = 2**20  # half a minute of 16-bit sound at 16 kHz
REST_S = 30.0  # for the rest of a message whose header is there


class WireError(WakewordError):
    """What came is no message of this protocol, or too long for one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``data`` is a JSON object."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Read the next message, or None where the stream ends between two.

    Args:
        reader: made with ``limit=HEADER_BYTES``.

    Raises:
        WireError: not JSON, not an object, a wrong type, a length out of range, a broken end.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise WireError("message broke off in its header") from exc
        return None
    except asyncio.LimitOverrunError as exc:
        raise WireError(f"header: need a line of at most {HEADER_BYTES} bytes") from exc
    header = _parse(line, "header")
    kind = header.get("type")
    if not isinstance(kind, str):
        raise WireError(f"type={str(kind)[:40]!r}: need a string")
    data = header.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise WireError("data: need an object")
    data_length = _length(header, "data_length", DATA_BYTES)
    payload_length = _length(header, "payload_length", PAYLOAD_BYTES)
    try:
        rest = await asyncio.wait_for(reader.readexactly(data_length + payload_length), REST_S)
    except asyncio.IncompleteReadError as exc:
        raise WireError("message broke off after its header") from exc
    except asyncio.TimeoutError as exc:
        raise WireError(f"message not whole within {REST_S:g} s") from exc
    if data_length:
        data = {**data, **_parse(rest[:data_length], "data")}
    return Message(kind, data, rest[data_length:])


def write_message(kind: str, data: Mapping[str, Any] | None = None, payload: bytes = b"") -> bytes:
    """Return a message as bytes.

    >>> write_message("pong")
    b'{"type": "pong"}\\n'
    """
    body = json.dumps(data).encode("ascii") if data else b""
    lengths = {"data_length": len(body), "payload_length": len(payload)}
    header = {"type": kind, **{name: length for name, length in lengths.items() if length}}
    return json.dumps(header).encode("ascii") + b"\n" + body + payload


def _parse(text: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise WireError(f"{what}: not JSON") from exc
    if not isinstance(value, dict):
        raise WireError(f"{what}: need a JSON object")
    return value


def _length(header: Mapping[str, Any], name: str, limit: int) -> int:
    """Return a length of the header, 0 where it is missing."""
    value = header.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise WireError(f"{name}={str(value)[:40]}: need a whole number from 0 to {limit}")
    return value
