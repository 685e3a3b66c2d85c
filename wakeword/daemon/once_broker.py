"""The broker over which machines agree who acts on a word."""

from __future__ import annotations

import json
import logging
from typing import Any

from wakeword.daemon.actions import MqttConfig
from wakeword.daemon.once import Message, Once
from wakeword.microphone import Clock
from wakeword.sinks.mqtt import close_client, connect_client
from wakeword.sinks.outage import Outage

__all__ = ["OnceBroker"]

MESSAGE_BYTES = 1024

log = logging.getLogger("wakeword")


class OnceBroker:
    """An MQTT client of its own, which says and hears who heard what.

    Args:
        config: of the MQTT action whose broker is used.
        group: machines that agree with each other.
        wait_s: for what the others say.
        clock: time.

    Raises:
        ConfigError: paho-mqtt or the password is missing.
    """

    def __init__(self, config: MqttConfig, group: str, wait_s: float, clock: Clock) -> None:
        self.once = Once(config.node_name, wait_s, clock, self._send)
        self._topic = f"wakeword/once/{group}"
        self._config = config
        self._stopping = False
        self._outage = Outage("once, broker: every machine acts by itself", clock)
        self._client = connect_client("once", config, f"wakeword-once-{config.node_name}")
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._outage.failed("cannot be reached")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Begin to connect, in the background and again and again."""
        self._client.connect_async(self._config.host, self._config.port, 30)
        self._client.loop_start()

    def stop(self) -> None:
        """Leave."""
        self._stopping = True
        close_client(self._client)

    def _send(self, message: Message) -> bool:
        """Publish at once or not at all: a claim that comes late decides nothing."""
        if not self._client.is_connected():
            return False
        self._client.publish(self._topic, json.dumps(message), qos=0)
        return True

    def _on_connect(self, client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._outage.failed(f"refused: {code}")
            return
        self._outage.over()
        client.subscribe(self._topic, qos=0)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if not self._stopping:
            self._outage.failed(f"connection lost ({code})")

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        """Take what another machine said; what is no such message is left out."""
        if message.retain or len(message.payload) > MESSAGE_BYTES:
            return
        try:
            said = json.loads(message.payload)
        except (ValueError, RecursionError):
            return
        if isinstance(said, dict):
            self.once.receive(said)
