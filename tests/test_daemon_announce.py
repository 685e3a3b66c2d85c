"""The announcement by zeroconf, seen by a real browser over loopback."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, until
from tests.test_daemon_service import CONFIG, HISS, Daemon
from wakeword.daemon.announce import SERVICE, announce, can_announce, own_addresses
from wakeword.daemon.hub import Hub
from wakeword.daemon.settings import WyomingConfig

zeroconf = pytest.importorskip("zeroconf", reason="zeroconf is not installed")


def multicast_works() -> bool:
    """Tell whether this machine hears its own multicast over loopback."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth,
    ):
        loopback = socket.inet_aton("127.0.0.1")
        try:
            ear.bind(("", 0))
            ear.settimeout(2)
            group = socket.inet_aton("224.0.0.251")
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + loopback)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
            mouth.sendto(b"?", ("224.0.0.251", ear.getsockname()[1]))
            return ear.recv(10) == b"?"
        except OSError:
            return False


pytestmark = pytest.mark.skipif(not multicast_works(), reason="no multicast over loopback")


class Browser:
    """What Home Assistant has: it sees services come and go."""

    def __init__(self) -> None:
        self._zeroconf = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
        self.seen: dict[str, tuple[int, list[str]]] = {}
        self._browser = zeroconf.ServiceBrowser(self._zeroconf, SERVICE, self)

    def add_service(self, zc: Any, kind: str, name: str) -> None:
        info = zc.get_service_info(kind, name, timeout=int(PATIENCE_S * 1000))
        if info is not None:
            self.seen[name.removesuffix(f".{SERVICE}")] = (info.port, info.parsed_addresses())

    update_service = add_service

    def remove_service(self, zc: Any, kind: str, name: str) -> None:
        self.seen.pop(name.removesuffix(f".{SERVICE}"), None)

    def close(self) -> None:
        self._browser.cancel()
        self._zeroconf.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.start()
    yield hub
    if hub.loop.is_running():
        hub.stop()


def on_loopback() -> Any:
    from zeroconf.asyncio import AsyncZeroconf

    return AsyncZeroconf(interfaces=["127.0.0.1"])


def spawn(hub: Hub, name: str, port: int, addresses: Callable[[], list[str]], **more: Any) -> None:
    config = WyomingConfig(address=f"0.0.0.0:{port}", name=name)
    more = {"make": on_loopback, "look_s": 0.02, **more}
    hub.spawn(announce(config, port, CLOCK, addresses=addresses, **more))


def test_a_browser_sees_it_and_sees_it_go(hub: Hub, browser: Browser) -> None:
    spawn(hub, "kitchen", 10400, lambda: ["192.0.2.7", "2001:db8::7"])
    until(lambda: browser.seen == {"kitchen": (10400, ["192.0.2.7", "2001:db8::7"])})
    hub.stop()
    until(lambda: browser.seen == {})


def test_an_address_that_changes_is_announced_and_a_network_may_come_late(
    hub: Hub, browser: Browser
) -> None:
    addresses: list[str] = []
    spawn(hub, "den", 10401, lambda: list(addresses))
    addresses.append("192.0.2.8")  # the network comes up
    until(lambda: browser.seen == {"den": (10401, ["192.0.2.8"])})
    addresses[:] = ["192.0.2.99"]  # and gives another address
    until(lambda: browser.seen == {"den": (10401, ["192.0.2.99"])})


def test_two_machines_of_one_name_are_both_seen(hub: Hub, browser: Browser) -> None:
    spawn(hub, "pi", 10402, lambda: ["192.0.2.1"])
    until(lambda: len(browser.seen) == 1)
    spawn(hub, "pi", 10403, lambda: ["192.0.2.2"])
    until(lambda: {port for port, _ in browser.seen.values()} == {10402, 10403})


def test_a_network_without_multicast_is_said_once_and_tried_again(
    hub: Hub, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def fails_thrice() -> Any:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise OSError(101, "Network is unreachable")
        return on_loopback()

    spawn(hub, "attic", 10404, lambda: ["192.0.2.3"], make=fails_thrice)
    until(lambda: "attic" in browser.seen)
    until(lambda: "works again" in caplog.text)
    warned = [r for r in caplog.records if r.levelno >= logging.WARNING and "wyoming" in r.message]
    assert [r.message.partition(":")[0] for r in warned] == ["wyoming, announcement"] * 2


@pytest.mark.parametrize(
    ("address", "announced", "why"),
    [
        ("0.0.0.0:1", True, ""),
        ("[::]:1", True, ""),
        ("kitchen.local:1", True, ""),
        ("0.0.0.0:1", False, "announce = false"),
        ("127.0.0.1:1", True, "127.0.0.1 is reached from this machine alone"),
        ("[::1]:1", True, "::1 is reached from this machine alone"),
        ("localhost:1", True, "localhost is reached from this machine alone"),
    ],
)
def test_what_is_not_announced_is_said(address: str, announced: bool, why: str) -> None:
    assert can_announce(WyomingConfig(address=address, announce=announced)) == why


def test_own_addresses_are_those_that_others_can_use() -> None:
    assert own_addresses("192.0.2.5") == ["192.0.2.5"]
    assert all("." in one for one in own_addresses("0.0.0.0"))
    found = own_addresses("::")
    assert set(own_addresses("0.0.0.0")) <= set(found)
    assert not [one for one in found if re.match(r"127\.|::1$|fe80:|169\.254\.", one)]


def test_the_daemon_starts_and_stops_with_an_announcement(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    config = CONFIG + "[wyoming]\naddress = '0.0.0.0:0'\nname = 'test-of-wakeword'\n"
    daemon = Daemon(tmp_path / "d", config)
    try:
        daemon.hear(HISS)
        if own_addresses("0.0.0.0"):
            daemon.says("wyoming announced as test-of-wakeword")
        assert daemon.end() == 0
        daemon.says("stopped after")
    finally:
        daemon.close()
