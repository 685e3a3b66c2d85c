"""The sinks of a configuration, which can be exchanged while events come."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from wakeword.daemon.actions import ActionConfig, AssistConfig, MqttConfig
from wakeword.errors import WakewordError
from wakeword.sinks.event import AudioStream, Event, ServingSink, Sink, StreamingSink, Utterance

__all__ = ["GRACE_S", "Maker", "SinkSet"]

Maker = Callable[[str, ActionConfig, Sequence[str]], Sink]
"""Makes a sink of its name, its settings, and the words that may come."""

HELD = 100  # events for a sink that is being exchanged
GRACE_S = 5.0

log = logging.getLogger("wakeword")


class SinkSet:
    """Sinks by name.

    Args:
        make: makes one; raises ConfigError where its settings cannot be used.
    """

    def __init__(self, make: Maker) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._sinks: dict[str, Sink] = {}
        self._keys: dict[str, tuple[ActionConfig, tuple[str, ...]]] = {}
        self._held: dict[str, deque[tuple[Event, Utterance | None]]] = {}

    def sinks(self) -> dict[str, Sink]:
        """Return those there are now."""
        with self._lock:
            return dict(self._sinks)

    def wants_audio(self, name: str) -> bool:
        """Tell whether a sink waits for the command after the word."""
        sink = self._sinks.get(name)
        return sink is not None and sink.wants_audio

    def open(self, name: str, event: Event) -> AudioStream | None:
        """Begin to stream to a sink; a sink that takes no stream is handed the event instead."""
        sink = self._sinks.get(name)
        if isinstance(sink, StreamingSink):
            return sink.open(event)
        self.put(name, event, None)
        return None

    def put(self, name: str, event: Event, utterance: Utterance | None) -> None:
        """Hand an event to a sink; neither blocks nor raises."""
        with self._lock:
            if name in self._held:
                self._held[name].append((event, utterance))
            elif name in self._sinks:
                self._sinks[name].put(event, utterance)

    def change(
        self, actions: Mapping[str, ActionConfig], words: Mapping[str, Sequence[str]]
    ) -> None:
        """Make the sinks those of a configuration; one whose settings stay is not touched.

        Args:
            actions: settings by name.
            words: per name, the words that may come; asked for where a sink announces them.

        Raises:
            WakewordError: one cannot be made. Its old self is there again, the others are as asked.
        """
        trouble: WakewordError | None = None
        for name in [n for n in self._keys if n not in actions]:
            self._remove(name)
        for name, config in actions.items():
            # Only these tell others which words there are; nobody else is cut off for a new one.
            told = isinstance(config, (MqttConfig, AssistConfig))
            key = (config, tuple(words[name]) if told else ())
            before = self._keys.get(name)
            if before == key:
                continue
            with self._lock:
                self._held[name] = deque(maxlen=HELD)
            self._remove(name)
            try:
                self._add(name, *key)
            except WakewordError as exc:
                trouble = trouble or exc
                self._restore(name, before)
            finally:
                self._release(name)
        if trouble is not None:
            raise trouble

    def renew(self) -> None:
        """Read certificates again where something is served; ConfigError where one is no good."""
        for sink in self.sinks().values():
            if isinstance(sink, ServingSink):
                sink.renew()

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Stop all; together they have so many seconds."""
        deadline_s = time.monotonic() + grace_s
        for name in list(self._keys):
            self._remove(name, max(0.1, deadline_s - time.monotonic()))

    def _add(self, name: str, config: ActionConfig, words: tuple[str, ...]) -> None:
        """Make and start one."""
        sink = self._make(name, config, words)
        sink.start()
        with self._lock:
            self._sinks[name] = sink
        self._keys[name] = (config, words)

    def _restore(self, name: str, before: tuple[ActionConfig, tuple[str, ...]] | None) -> None:
        """Bring back what was there, where there was something."""
        if before is not None:
            try:
                self._add(name, *before)
            except WakewordError as exc:
                log.error("action %s: cannot be brought back: %s", name, exc)

    def _remove(self, name: str, grace_s: float = GRACE_S) -> None:
        """Take one out, and stop it."""
        with self._lock:
            sink = self._sinks.pop(name, None)
        self._keys.pop(name, None)
        if sink is not None:
            sink.stop(grace_s)
            if sink.pending or sink.dropped:
                log.info(
                    "action %s: ended, %d waiting, %d dropped", name, sink.pending, sink.dropped
                )

    def _release(self, name: str) -> None:
        """Hand on what came in the meantime."""
        with self._lock:
            held = self._held.pop(name, deque())
            sink = self._sinks.get(name)
            for event, utterance in held:
                if sink is not None:
                    sink.put(event, utterance)
