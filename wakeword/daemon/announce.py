"""Tell the network by zeroconf that Wyoming is spoken here, so that Home Assistant finds it."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import logging
import re
import socket
from collections.abc import Callable
from typing import Any

from wakeword.daemon.settings import WyomingConfig
from wakeword.microphone import Clock
from wakeword.sinks.outage import Outage

__all__ = ["SERVICE", "announce", "can_announce", "own_addresses"]

SERVICE = "_wyoming._tcp.local."
LOOK_S = 60.0  # how often our addresses are looked at: networks come late, and change in a year

log = logging.getLogger("wakeword")


def can_announce(config: WyomingConfig) -> str:
    """Say why a port is not announced; empty where it is."""
    host = config.host_port[0]
    address = _address(host)
    if not config.announce:
        return "announce = false"
    if host == "localhost" or (address is not None and address.is_loopback):
        return f"{host} is reached from this machine alone"
    if importlib.util.find_spec("zeroconf") is None:
        return 'zeroconf is missing: pip install "wakeword[zeroconf]"'
    return ""


async def announce(
    config: WyomingConfig,
    port: int,
    clock: Clock,
    *,
    addresses: Callable[[], list[str]] | None = None,
    make: Callable[[], Any] | None = None,
    look_s: float = LOOK_S,
) -> None:
    """Announce a port until cancelled, and withdraw it then; anew when our addresses change.

    Args:
        config: under which name.
        port: as bound.
        clock: time, for the log.
        addresses: returns those of this machine; None asks the system.
        make: returns an AsyncZeroconf; None makes one for all interfaces.
        look_s: between two looks at the addresses.
    """
    from zeroconf import Error
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    look = addresses or (lambda: own_addresses(config.host_port[0]))
    name = config.name or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "wakeword"
    outage = Outage("wyoming, announcement", clock)
    known: list[str] = []
    speaker: Any = None
    try:
        while True:
            try:
                found = look()
                if found != known:
                    if speaker is not None:
                        await speaker.async_close()
                    known, speaker = [], (make or AsyncZeroconf)() if found else None
                    if speaker is not None:
                        info = AsyncServiceInfo(
                            SERVICE, f"{name}.{SERVICE}", port=port, parsed_addresses=found
                        )
                        await (await speaker.async_register_service(info, allow_name_change=True))
                        log.info("wyoming announced as %s", info.name.removesuffix(f".{SERVICE}"))
                    known = found
                outage.over()
            except (OSError, Error) as exc:  # no network yet, or one without multicast
                outage.failed(f"{exc or type(exc).__name__}; tried again")
            await asyncio.sleep(look_s)
    finally:
        if speaker is not None:
            await speaker.async_unregister_all_services()
            await speaker.async_close()


def own_addresses(host: str) -> list[str]:
    """Return the addresses at which others reach a host that we serve at, sorted.

    Args:
        host: an address; an unspecified one (all zeros) for all that this machine has.
    """
    import ifaddr

    all_of_them = _address(host)
    if all_of_them is None or not all_of_them.is_unspecified:
        return sorted({str(one[4][0]) for one in socket.getaddrinfo(host, None)})
    found = set()
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
            if not (address.is_loopback or address.is_link_local) and (
                address.version == 4 or all_of_them.version == 6
            ):
                found.add(str(address))
    return sorted(found)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a host as an address; None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
