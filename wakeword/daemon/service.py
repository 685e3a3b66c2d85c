"""The daemon as a whole: start, listen, take over a new configuration, stop."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wakeword.daemon.actions import MqttConfig
from wakeword.daemon.config import DaemonConfig, read_config
from wakeword.daemon.hub import Hub
from wakeword.daemon.keeper import Keeper
from wakeword.daemon.listener import Listener
from wakeword.daemon.models import Models, read_models
from wakeword.daemon.notify import Notifier
from wakeword.daemon.once import Once
from wakeword.daemon.once_broker import OnceBroker
from wakeword.daemon.playback import Playback
from wakeword.daemon.port import Port
from wakeword.daemon.sources import StopListening, chunks
from wakeword.daemon.speech_gate import SpeechGate
from wakeword.daemon.stats import Stats
from wakeword.detector import Detector
from wakeword.errors import ConfigError, WakewordError
from wakeword.microphone import Clock, SystemClock
from wakeword.quiet import quiet_runtime
from wakeword.sinks.event import new_events
from wakeword.sinks.make import sink_maker
from wakeword.sinks.sink_set import GRACE_S, SinkSet
from wakeword.sources import Chunk

__all__ = ["Service"]

IDLE_S = 1.0  # how often the watchdog is fed where there is no sound to wait for

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A new configuration, ready to be taken over; the detector is None where it stays."""

    config: DaemonConfig
    models: Models
    detector: Detector | None
    gate: SpeechGate | None


class Service:
    """Listens until stopped, or until its sound ends.

    ``request_stop`` and ``request_reload`` may be called from a signal handler.

    Args:
        path: of the configuration, read again at a reload.
        source: the sound; None opens what the configuration names.
        clock: time.
        wall: seconds since 1970.
        notifier: tells the service manager; None takes systemd's, where there is one.
    """

    def __init__(
        self,
        path: Path,
        *,
        source: Iterator[Chunk] | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        notifier: Notifier | None = None,
    ) -> None:
        self.path = path
        self.config = read_config(path)
        self.models = read_models(self.config)
        self.stats = Stats()
        self.clock: Clock = clock or SystemClock()
        self.sinks = SinkSet(sink_maker(self._started_hub, self.config.state, self.clock))
        self._source = source
        self._wall = wall
        self._notifier = notifier or Notifier(self.clock)
        self._hub: Hub | None = None
        self._once: OnceBroker | None = None
        playback = self.config.playback
        self._playback = None if playback is None else Playback(playback, self.clock)
        self._servers: dict[str, Port] = {}
        self._stop = False
        self._reloads: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._loaded: _Loaded | None = None
        self._reloader = threading.Thread(target=self._run_reloads, name="reload", daemon=True)

    def request_stop(self) -> None:
        """End soon."""
        self._stop = True

    def request_reload(self) -> None:
        """Read the configuration again, soon; the sound goes on meanwhile."""
        self._reloads.put(True)

    def stopped(self) -> bool:
        """Tell whether it is to end."""
        return self._stop

    def port(self, server: str) -> int:
        """Return the port at which "metrics" or "wyoming" is served."""
        return self._servers[server].port

    def run(self) -> None:
        """Listen.

        Raises:
            WakewordError: it cannot start, or its sound failed for good.
        """
        with quiet_runtime():  # here alone: it holds stderr back, for all threads
            detector = self.models.detector()
        listener = Listener(
            self.config,
            detector,
            self.sinks,
            stats=self.stats,
            clock=self.clock,
            wall=self._wall,
            make_event=new_events(self._wall),
            keeper=self._keeper(),
            gate=_gate(self.config),
            once=self._agree(),
            playback=self._playback,
        )
        try:
            if self._playback is not None:
                self._playback.start()
            self.sinks.change(self.config.actions, _words_of(self.config))
            self._serve()
            self._reloader.start()
            log.info("listening for: %s", ", ".join(self.models.words))
            if self.config.audio.source == "none" and self._source is None:
                self._idle()
            else:
                self._listen(listener)
        finally:
            self._notifier.stopping()
            self._reloads.put(False)
            listener.finish()
            self.sinks.stop()
            if listener.keeper is not None:
                listener.keeper.sink.stop(GRACE_S)
            if self._once is not None:
                self._once.stop()
            if self._playback is not None:
                self._playback.stop(GRACE_S)
            self._close_servers()
            self._notifier.close()
            log.info("stopped after %.0f s of sound", self.stats.audio_s)

    def _listen(self, listener: Listener) -> None:
        """Hear until told to stop, or until the sound ends."""
        source = self._source or chunks(self.config.audio, self.clock, self.stopped)
        ready = False
        try:
            for chunk in source:
                if self._stop:
                    return
                if self._loaded is not None:
                    self._take_over(listener)
                listener.hear(chunk)
                if not ready:
                    ready = True
                    self._notifier.ready(self._status())
                self._notifier.alive()
        except StopListening:
            return

    def _idle(self) -> None:
        """Serve others only."""
        self._notifier.ready(self._status())
        nothing = threading.Event()
        while not self._stop:
            self._notifier.alive()
            self.clock.wait(nothing, IDLE_S)

    def _take_over(self, listener: Listener) -> None:
        """Go over to a loaded configuration between two chunks."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            listener.switch(loaded.config, loaded.detector, loaded.gate)
            if listener.keeper is not None:
                listener.keeper.thresholds = loaded.models.threshold_of()
            self.config, self.models = loaded.config, loaded.models
            self.stats.reloads += 1
            log.info("configuration taken over; listening for: %s", ", ".join(loaded.models.words))
            self._notifier.ready(self._status())

    def _run_reloads(self) -> None:
        """Load new configurations beside the thread that listens."""
        while self._reloads.get():
            self._notifier.reloading()
            try:
                self._reload()
            except WakewordError as exc:
                log.error("configuration stays as it was: %s", exc)
                self._notifier.ready(self._status())
            except Exception:  # the thread must outlive a mistake of ours
                log.exception("configuration stays as it was")
                self._notifier.ready(self._status())

    def _reload(self) -> None:
        """Load one; what needs a restart is said and left as it is."""
        config = read_config(self.path)
        models = read_models(config)
        detector = None if models == self.models else models.detector()
        gate = _gate(config)
        for name in ("audio", "metrics", "wyoming", "review", "once", "playback", "state", "log"):
            if getattr(config, name) != getattr(self.config, name):
                log.warning("[%s] changed: that takes a restart of the daemon", name)
        for server in self._servers.values():
            server.renew()
        self.sinks.change(config.actions, _words_of(config))
        self._loaded = _Loaded(config, models, detector, gate)
        if self.config.audio.source == "none" and self._source is None:
            self.config, self.models, self._loaded = config, models, None
            self.stats.reloads += 1
            self._notifier.ready(self._status())

    def _keeper(self) -> Keeper | None:
        """Return what keeps clips, started, where the configuration asks for it."""
        if self.config.review is None:
            return None
        thresholds = self.models.threshold_of()
        keeper = Keeper(self.config.review, thresholds, new_events(self._wall), self.clock)
        keeper.sink.start()
        return keeper

    def _agree(self) -> Once | None:
        """Return what agrees with other machines, started, where the configuration asks for it."""
        once = self.config.once
        action = self.config.actions.get(once.action) if once is not None else None
        if once is None or not isinstance(action, MqttConfig):
            return None
        self._once = OnceBroker(action, once.group, once.wait_ms / 1000, self.clock)
        self._once.start()
        return self._once.once

    def _status(self) -> str:
        """One line for `systemctl status`."""
        return "listening for " + ", ".join(self.models.words)

    def _started_hub(self) -> Hub:
        """Return the thread for servers; started when first asked for."""
        if self._hub is None:
            self._hub = Hub()
            self._hub.start()
        return self._hub

    def _serve(self) -> None:
        """Open the ports that the configuration names."""
        if self.config.metrics is not None:
            from wakeword.daemon.metrics_page import MetricsServer

            self._open("metrics", MetricsServer(self.config.metrics, self))
        if self.config.wyoming is not None:
            from wakeword.daemon.announce import announce, can_announce
            from wakeword.daemon.wyoming_server import WyomingServer

            self._open("wyoming", WyomingServer(self.config.wyoming, lambda: self.models))
            if why := can_announce(self.config.wyoming):
                log.info("wyoming is not announced: %s", why)
            else:
                port = self.port("wyoming")
                self._started_hub().spawn(announce(self.config.wyoming, port, self.clock))

    def _open(self, name: str, server: Port) -> None:
        """Start one server in the hub."""
        try:
            self._started_hub().call(server.open())
        except OSError as exc:
            raise ConfigError(f"[{name}] address: cannot be served at ({exc.strerror})") from exc
        self._servers[name] = server
        log.info("%s at %s port %d", name, server.host, server.port)

    def _close_servers(self) -> None:
        """Close the ports, and the thread behind them."""
        if self._hub is not None:
            for server in self._servers.values():
                self._hub.call(server.close())
            self._hub.stop()


def _gate(config: DaemonConfig) -> SpeechGate | None:
    """Return a voice detector where a word asks for one."""
    return SpeechGate() if any(word.speech for word in config.words.values()) else None


def _words_of(config: DaemonConfig) -> dict[str, tuple[str, ...]]:
    """Return for each action the words that use it."""
    return {
        name: tuple(word for word in config.words if name in config.actions_of(word))
        for name in config.actions
    }
