"""Publish events to an MQTT broker, where Home Assistant finds them by itself."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wakeword.daemon.actions import MqttConfig
from wakeword.daemon.tls import client_context
from wakeword.errors import ConfigError
from wakeword.microphone import Clock
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.outage import Outage

__all__ = ["MqttSink", "close_client", "connect_client", "discovery"]

KEEPALIVE_S = 30
RECONNECT_S = (1, 60)
CALLBACKS = ("on_connect", "on_connect_fail", "on_disconnect", "on_message", "on_publish")
HELD = 100  # events that wait for the broker
TICK_S = 0.5  # how often acknowledgements and old events are looked at while there are any

log = logging.getLogger("wakeword")


def discovery(config: MqttConfig, words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return topic and payload that announce one event entity, whose types are the words."""
    node = config.node_name
    payload = {
        "name": "Wake word",
        "unique_id": f"wakeword_{node}",
        "state_topic": f"wakeword/{node}/event",
        "event_types": list(words),
        "availability_topic": f"wakeword/{node}/status",
        "icon": "mdi:ear-hearing",
        "device": {"identifiers": [f"wakeword_{node}"], "name": node, "manufacturer": "wakeword"},
        "origin": {"name": "wakeword"},
    }
    return f"{config.discovery}/event/wakeword_{node}/config", payload


class MqttSink:
    """Publishes with quality of service 1: an event counts as delivered when the broker says so.

    Topics: ``wakeword/NODE/event`` for events, ``wakeword/NODE/status`` for "online" and "offline".
    An event that the broker could not take within ``hold_s`` is dropped: a lamp that goes on ten
    minutes late helps nobody. The broker, or the way to it, may hand one on twice, with one id.

    Raises:
        ConfigError: paho-mqtt or the password is missing.
    """

    wants_audio = False

    def __init__(self, name: str, config: MqttConfig, words: Sequence[str], clock: Clock) -> None:
        self.name = name
        self.config = config
        self.words = tuple(words)
        self.delivered = 0
        self.dropped = 0
        self._clock = clock
        self._held: deque[tuple[float, bytes]] = deque()
        self._in_flight: list[tuple[float, Any]] = []
        self._wake = threading.Event()
        self._stopping = False
        self._outage = Outage(f"action {name}, broker", clock)
        self._stale = Outage(f"action {name}, queue", clock)
        self._status = f"wakeword/{config.node_name}/status"
        self._topic = f"wakeword/{config.node_name}/event"
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    @property
    def pending(self) -> int:
        """Events not acknowledged yet."""
        return len(self._held) + len(self._in_flight)

    def start(self) -> None:
        """Begin to connect, in the background and again and again."""
        self._client.connect_async(self.config.host, self.config.port, KEEPALIVE_S)
        self._client.loop_start()
        self._thread.start()

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Take an event; Home Assistant wants its type beside the rest."""
        body = json.dumps({"event_type": event.word, **event.fields()}).encode("ascii")
        if len(self._held) >= HELD:
            self._held.popleft()
            self.dropped += 1
        self._held.append((self._clock.now(), body))
        self._wake.set()

    def stop(self, grace_s: float) -> None:
        """Wait at most so long for what is on its way, and say good-bye."""
        self._stopping = True
        self._wake.set()
        self._thread.join(grace_s)
        if self._client.is_connected():
            farewell = self._client.publish(self._status, "offline", qos=1, retain=True)
            self._wait_for(farewell, min(grace_s, 2.0))
        close_client(self._client)

    def _run(self) -> None:
        """Publish what is held and count what the broker took."""
        while True:
            self._send()
            busy = bool(self._held or self._in_flight)
            if self._stopping and not (busy and self._client.is_connected()):
                self.dropped += self.pending
                return
            self._clock.wait(self._wake, TICK_S if busy else 3600.0)
            self._wake.clear()

    def _send(self) -> None:
        """One round: drop what is too old, publish the rest, count acknowledgements."""
        oldest = self._clock.now() - self.config.hold_s
        connected = self._client.is_connected()
        while self._held and (connected or self._held[0][0] < oldest):
            if connected and len(self._in_flight) >= HELD:
                break  # a broker that takes and never acknowledges
            since, body = self._held.popleft()
            if connected:
                self._in_flight.append((since, self._client.publish(self._topic, body, qos=1)))
            else:
                self.dropped += 1
                self._stale.failed(f"broker away for hold_s={self.config.hold_s:g}; events dropped")
        waiting = []
        for since, info in self._in_flight:
            if info.is_published():
                self.delivered += 1
                self._stale.over()
            else:
                waiting.append((since, info))
        self._in_flight = waiting

    def _wait_for(self, info: Any, seconds: float) -> None:
        """Wait until a message is out; RuntimeError is paho's word for a lost connection."""
        try:
            info.wait_for_publish(seconds)
        except (RuntimeError, ValueError) as exc:
            log.debug("action %s: %s", self.name, exc)

    def _make_client(self) -> Any:
        """Set the client up; it connects later."""
        config = self.config
        client = connect_client(f"action {self.name}", config, f"wakeword-{config.node_name}")
        client.will_set(self._status, "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda *_: self._wake.set()
        return client

    def _on_connect(self, client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        """Announce ourselves, in paho's thread."""
        if code.is_failure:
            self._outage.failed(f"{self.config.host} refuses: {code}")
            return
        self._outage.over()
        log.info("action %s: connected to %s:%d", self.name, self.config.host, self.config.port)
        if self.config.discovery:
            topic, payload = discovery(self.config, self.words)
            client.publish(topic, json.dumps(payload), qos=1, retain=True)
        client.publish(self._status, "online", qos=1, retain=True)
        self._wake.set()

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        """Note that the broker is not there."""
        self._outage.failed(f"{self.config.host}:{self.config.port} cannot be reached")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        """Note that the broker went away, unless we left."""
        if not self._stopping:
            self._outage.failed(f"connection lost ({code})")


def connect_client(who: str, config: MqttConfig, client_id: str) -> Any:
    """Return a client of paho-mqtt with the settings of a broker, not connected yet.

    Raises:
        ConfigError: paho-mqtt is missing, or the password or a certificate cannot be read.
    """
    try:
        from paho.mqtt import client as paho
    except ImportError as exc:
        raise ConfigError(f'{who} needs paho-mqtt: pip install "wakeword[mqtt]"') from exc
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id)
    if config.username is not None:
        client.username_pw_set(config.username, _password(config.password_file))
    if config.tls:
        client.tls_set_context(client_context(config.ca_file))
    client.reconnect_delay_set(*RECONNECT_S)
    return client


def close_client(client: Any) -> None:
    """Disconnect, end the client's thread, and undo the circles of references in its callbacks.

    It closes its own sockets only when it is collected, and a circle leaves that to chance.
    """
    client.disconnect()
    client.loop_stop()
    for name in CALLBACKS:
        setattr(client, name, None)


def _password(path: str | None) -> str | None:
    """Read the password from its file."""
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"password_file={path}: cannot be read ({exc})") from exc
