"""The ports that a daemon serves at, and the one thread behind them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wakeword.daemon.hub import Hub
from wakeword.daemon.port import Port
from wakeword.errors import ConfigError

if TYPE_CHECKING:
    from wakeword.daemon.service import Service
    from wakeword.web.monitor import Monitor

__all__ = ["Servers"]

log = logging.getLogger("wakeword")


class Servers:
    """Opened by name: "metrics", "web" and "wyoming"."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self._open: dict[str, Port] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._open

    def __getitem__(self, name: str) -> Port:
        return self._open[name]

    def hub(self) -> Hub:
        """Return the thread; started when first asked for."""
        if self._hub is None:
            self._hub = Hub()
            self._hub.start()
        return self._hub

    def serve(self, service: Service, monitor: Monitor | None) -> None:
        """Open the ports that a configuration names.

        Raises:
            ConfigError: one is taken, or a library is missing.
        """
        config = service.config
        if config.metrics is not None:
            from wakeword.daemon.metrics_page import MetricsServer

            self._serve("metrics", MetricsServer(config.metrics, service))
        if config.wyoming is not None:
            from wakeword.daemon.announce import announce, can_announce
            from wakeword.daemon.wyoming_server import WyomingServer

            self._serve("wyoming", WyomingServer(config.wyoming, lambda: service.models))
            if why := can_announce(config.wyoming):
                log.info("wyoming is not announced: %s", why)
            else:
                port = self._open["wyoming"].port
                self.hub().spawn(announce(config.wyoming, port, service.clock))
        if config.web is not None and monitor is not None:
            from wakeword.web.server import WebServer

            self._serve("web", WebServer(config.web, service, monitor))

    def renew(self) -> None:
        """Read the certificates again; ConfigError where one cannot be used."""
        for server in self._open.values():
            server.renew()

    def close(self) -> None:
        """Close the ports, and end the thread."""
        if self._hub is not None:
            for server in self._open.values():
                self._hub.call(server.close())
            self._hub.stop()

    def _serve(self, name: str, server: Port) -> None:
        """Open one."""
        try:
            self.hub().call(server.open())
        except OSError as exc:
            raise ConfigError(f"[{name}] address: cannot be served at ({exc.strerror})") from exc
        self._open[name] = server
        log.info("%s at %s port %d", name, server.host, server.port)
