"""The daemon as a whole: start, listen, take over a new configuration, stop."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakeword.daemon.actions import MqttConfig
from wakeword.daemon.config import DaemonConfig, read_config
from wakeword.daemon.keeper import Keeper
from wakeword.daemon.listener import Listener
from wakeword.daemon.models import Models, read_models
from wakeword.daemon.notify import Notifier
from wakeword.daemon.once import Once
from wakeword.daemon.once_broker import OnceBroker
from wakeword.daemon.playback import Playback
from wakeword.daemon.servers import Servers
from wakeword.daemon.settings import AudioConfig
from wakeword.daemon.sources import StopListening, chunks
from wakeword.daemon.speakers import Enrolled, enrolled
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

if TYPE_CHECKING:
    from wakeword.web.monitor import Monitor

__all__ = ["Service"]

Change = Callable[[DaemonConfig], DaemonConfig]

FIXED = (
    "metrics",
    "wyoming",
    "web",
    "review",
    "once",
    "playback",
    "state",
    "log",
)  # until a restart
IDLE_S = 1.0  # how often the watchdog is fed where there is no sound to wait for

log = logging.getLogger("wakeword")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A new configuration, ready to be taken over; the detector is None where it stays."""

    config: DaemonConfig
    models: Models
    detector: Detector | None
    gate: SpeechGate | None
    enrolled: Enrolled


class Service:
    """Listens until stopped, or until its sound ends.

    ``request_stop`` and ``request_reload`` may be called from a signal handler.

    Args:
        path: of the configuration, where what is set on the page is written; None: nowhere.
        read: reads the configuration, at the start and at each reload; None reads ``path``.
        source: the sound; None opens what the configuration names.
        sounddevice: the module of that name; None imports it.
        clock: time.
        wall: seconds since 1970.
        notifier: tells the service manager; None takes systemd's, where there is one.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        read: Callable[[], DaemonConfig] | None = None,
        source: Iterator[Chunk] | None = None,
        sounddevice: Any = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        notifier: Notifier | None = None,
    ) -> None:
        self.path = path
        if read is None:
            if path is None:
                raise ConfigError("no configuration: give its path, or what reads one")
            read = partial(read_config, path)
        self._read = read
        self.config = self._read()
        self.models = read_models(self.config)
        self.stats = Stats()
        self.clock: Clock = clock or SystemClock()
        self.servers = Servers()
        self.sinks = SinkSet(sink_maker(self.servers.hub, self.config.state, self.clock))
        self.sounddevice = sounddevice
        self._source = source
        self._wall = wall
        self._notifier = notifier or Notifier(self.clock)
        self._once: OnceBroker | None = None
        playback = self.config.playback
        self._playback = None if playback is None else Playback(playback, self.clock)
        self._stop = False
        self._ready = False
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._wanted, self._latest = self.config, self.models
        self._loaded: _Loaded | None = None
        self._reloader = threading.Thread(target=self._run_reloads, name="reload", daemon=True)

    def request_stop(self) -> None:
        """End soon."""
        self._stop = True

    def request_reload(self) -> None:
        """Read the configuration again, soon; the sound goes on meanwhile."""
        self._changes.put(lambda _: self._read())

    def request_change(self, change: Change) -> None:
        """Go over to another configuration, soon, and until the file is read again."""
        self._changes.put(change)

    @property
    def has_source(self) -> bool:
        """Whether the sound was given, and does not come from what the configuration names."""
        return self._source is not None

    def port(self, server: str) -> int:
        """Return the port at which "metrics", "web" or "wyoming" is served."""
        return self.servers[server].port

    def run(self) -> None:
        """Listen.

        Raises:
            WakewordError: it cannot start, or its sound failed for good.
        """
        with quiet_runtime():  # here alone: it holds stderr back, for all threads
            detector = self.models.detector()
        monitor = self._monitor()
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
            enrolled=enrolled(self.config.words),
            once=self._agree(),
            playback=self._playback,
            monitor=monitor,
        )
        try:
            if self._playback is not None:
                self._playback.start()
            self.sinks.change(self.config.actions, _words_of(self.config))
            self.servers.serve(self, monitor)
            self._reloader.start()
            log.info("listening for: %s", ", ".join(self.models.words))
            if self.config.audio.source == "none" and self._source is None:
                self._idle()
            else:
                self._listen(listener)
        finally:
            self._notifier.stopping()
            self._changes.put(None)
            listener.finish()
            self.sinks.stop()
            if listener.keeper is not None:
                listener.keeper.sink.stop(GRACE_S)
            if self._once is not None:
                self._once.stop()
            if self._playback is not None:
                self._playback.stop(GRACE_S)
            self.servers.close()
            self._notifier.close()
            log.info("stopped after %.0f s of sound", self.stats.audio_s)

    def _listen(self, listener: Listener) -> None:
        """Hear until told to stop, or until the sound ends; another device begins anew."""
        while not self._hear(listener, self.config.audio):
            self._take_over(listener)
            listener.break_off()

    def _hear(self, listener: Listener, audio: AudioConfig) -> bool:
        """Hear one source; return whether that is all."""

        def over() -> bool:
            return self._stop or self._elsewhere(audio)

        source = self._source or chunks(audio, self.clock, over, self.sounddevice)
        try:
            for chunk in source:
                if over():
                    return self._stop
                self._take_over(listener)
                listener.hear(chunk)
                if not self._ready:
                    self._ready = True
                    self._notifier.ready(self._status())
                self._notifier.alive()
        except StopListening:
            return self._stop
        finally:
            if isinstance(source, Generator):
                source.close()
        return True

    def _elsewhere(self, audio: AudioConfig) -> bool:
        """Tell whether a loaded configuration wants to hear something else."""
        return self._loaded is not None and self._loaded.config.audio != audio

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
            listener.switch(loaded.config, loaded.detector, loaded.gate, loaded.enrolled)
            if listener.keeper is not None:
                listener.keeper.thresholds = loaded.models.threshold_of()
            self.config, self.models = loaded.config, loaded.models
            self.stats.reloads += 1
            log.info("configuration taken over; listening for: %s", ", ".join(loaded.models.words))
            self._notifier.ready(self._status())
            if listener.monitor is not None:
                listener.monitor.tell("changed", {})

    def _run_reloads(self) -> None:
        """Load new configurations beside the thread that listens."""
        while (change := self._changes.get()) is not None:
            self._notifier.reloading()
            try:
                self._reload(change)
            except WakewordError as exc:
                log.error("configuration stays as it was: %s", exc)
                self._notifier.ready(self._status())
            except Exception:  # the thread must outlive a mistake of ours
                log.exception("configuration stays as it was")
                self._notifier.ready(self._status())

    def _reload(self, change: Change) -> None:
        """Load one; what needs a restart is said and left as it is."""
        config = change(self._wanted)
        models = read_models(config)
        # One that was not taken over yet goes along: what it is for did not change.
        waiting = self._loaded.detector if self._loaded is not None else None
        detector = waiting if models == self._latest else models.detector()
        gate, voices = _gate(config), enrolled(config.words)
        sources = {config.audio.source, self.config.audio.source}
        fixed = FIXED if sources == {"microphone"} and self._source is None else (*FIXED, "audio")
        for name in fixed:
            if getattr(config, name) != getattr(self.config, name):
                log.warning("[%s] changed: that takes a restart of the daemon", name)
        if "audio" in fixed:
            config = replace(config, audio=self.config.audio)
        self.servers.renew()
        self.sinks.renew()
        self.sinks.change(config.actions, _words_of(config))
        self._wanted, self._latest = config, models
        self._loaded = _Loaded(config, models, detector, gate, voices)
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

    def _monitor(self) -> Monitor | None:
        """Return what the page looks through, where there is a page."""
        if self.config.web is None:
            return None
        from wakeword.web.monitor import Monitor

        return Monitor()

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


def _gate(config: DaemonConfig) -> SpeechGate | None:
    """Return a voice detector where a word asks for one."""
    return SpeechGate() if any(word.speech for word in config.words.values()) else None


def _words_of(config: DaemonConfig) -> dict[str, tuple[str, ...]]:
    """Return for each action the words that use it."""
    return {
        name: tuple(word for word in config.words if name in config.actions_of(word))
        for name in config.actions
    }
