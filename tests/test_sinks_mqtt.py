"""MQTT against a real mosquitto that is stopped, killed, frozen and started again."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_kit import CLOCK, PATIENCE_S, QuickClock, event, until
from wakeword.daemon.actions import MqttConfig
from wakeword.errors import ConfigError
from wakeword.sinks.mqtt import MqttSink, close_client, discovery

BROKER = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
pytestmark = pytest.mark.skipif(
    BROKER is None, reason="mosquitto is not installed (Debian: mosquitto)"
)


class Broker:
    """A mosquitto of our own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run(
            ["mosquitto_passwd", "-b", str(passwords), "ann", "secret"],
            check=True, capture_output=True,
        )  # fmt: skip
        folder.chmod(0o755)
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            "persistence false\nuser root\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(BROKER), "-c", str(self._config)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._answers, "mosquitto")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)


class Subscriber:
    """paho itself, on the other side."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho

        self.messages: list[Any] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("ann", "secret")
        self._client.on_message = lambda _c, _d, message: self.messages.append(message)
        ready: list[int] = []
        self._client.on_subscribe = lambda *_: ready.append(1)
        self._client.on_connect = lambda *_: self._client.subscribe("#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: ready)

    def ids(self) -> list[str]:
        return [json.loads(m.payload)["id"] for m in self.messages if m.topic.endswith("/event")]

    def payloads(self, topic: str) -> list[bytes]:
        return [m.payload for m in self.messages if m.topic == topic]

    def close(self) -> None:
        self._client.on_subscribe = None
        close_client(self._client)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def subscriber(broker: Broker) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


def sink_for(
    broker: Broker,
    tmp_path: Path,
    hold_s: float = 30.0,
    clock: Any = CLOCK,
    password: str = "secret",
) -> MqttSink:
    (tmp_path / "password").write_text(f"{password}\n")
    config = MqttConfig(
        host="127.0.0.1", port=broker.port, node="den", username="ann", hold_s=hold_s,
        password_file=str(tmp_path / "password"),
    )  # fmt: skip
    return MqttSink("home", config, ["computer", "jarvis"], clock)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_events_arrive_and_home_assistant_can_discover_them(
    broker: Broker, subscriber: Subscriber, tmp_path: Path
) -> None:
    sink = sink_for(broker, tmp_path)
    sink.start()
    for n in range(5):
        sink.put(event(n, "jarvis"), None)
    until(lambda: sink.delivered == 5)
    assert (sink.pending, sink.dropped) == (0, 0)
    until(lambda: len(subscriber.ids()) == 5)
    sink.stop(PATIENCE_S)
    assert subscriber.ids() == [f"run-{n}" for n in range(5)]
    until(lambda: len(subscriber.payloads("wakeword/den/status")) == 2)
    assert subscriber.payloads("wakeword/den/status") == [b"online", b"offline"]
    (heard, *_) = subscriber.payloads("wakeword/den/event")
    (announced,) = subscriber.payloads("homeassistant/event/wakeword_den/config")
    entity = json.loads(announced)
    # What Home Assistant checks of an event entity: the type is one of those announced.
    assert json.loads(heard)["event_type"] in entity["event_types"] == ["computer", "jarvis"]
    assert entity["state_topic"] == "wakeword/den/event"
    assert entity["availability_topic"] == "wakeword/den/status"
    assert entity["unique_id"] == entity["device"]["identifiers"][0] == "wakeword_den"
    retained = Subscriber(broker.port)  # who comes later finds the entity, and no old event
    until(lambda: len(retained.messages) == 2)
    assert all(m.retain for m in retained.messages)
    assert retained.ids() == []
    retained.close()


def test_a_broker_that_is_killed_and_returns_gets_what_was_heard_meanwhile(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(broker, tmp_path, hold_s=600)
    sink.start()
    sink.put(event(1), None)
    until(lambda: sink.delivered == 1)
    broker.kill()
    until(lambda: any("connection lost" in line for line in warnings(caplog)))
    for n in (2, 3, 4):
        sink.put(event(n), None)
    until(lambda: sink.pending == 3)
    broker.start()
    listener = Subscriber(broker.port)  # may come later than what was held
    until(lambda: sink.delivered == 4, "delivery after the return")
    sink.put(event(5), None)
    until(lambda: "run-5" in listener.ids())
    sink.stop(PATIENCE_S)
    heard = list(dict.fromkeys(listener.ids()))
    assert heard == ["run-2", "run-3", "run-4", "run-5"][-len(heard) :]
    assert (sink.delivered, sink.dropped) == (5, 0)
    listener.close()
    lost, back = warnings(caplog)
    assert "connection lost" in lost
    assert "works again" in back


def test_a_broker_killed_with_events_on_their_way_gets_them_again(
    broker: Broker, tmp_path: Path
) -> None:
    sink = sink_for(broker, tmp_path)
    sink.start()
    sink.put(event(0), None)
    until(lambda: sink.delivered == 1)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)  # takes them, and never says so
    for n in (1, 2, 3):
        sink.put(event(n), None)
    until(lambda: len(sink._in_flight) == 3)
    broker.kill()
    broker.start()
    until(lambda: sink.delivered == 4)
    assert (sink.pending, sink.dropped) == (0, 0)
    sink.stop(PATIENCE_S)


def test_a_broker_that_freezes_in_the_middle_gets_everything_when_it_wakes(
    broker: Broker, subscriber: Subscriber, tmp_path: Path
) -> None:
    sink = sink_for(broker, tmp_path)
    sink.start()
    sink.put(event(0), None)
    until(lambda: sink.delivered == 1)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    for n in range(1, 11):
        sink.put(event(n), None)  # comes back at once all the same
    assert sink.delivered == 1
    broker.process.send_signal(signal.SIGCONT)
    until(lambda: sink.delivered == 11)
    sink.stop(PATIENCE_S)
    until(lambda: len(set(subscriber.ids())) == 11)
    assert list(dict.fromkeys(subscriber.ids())) == [f"run-{n}" for n in range(11)]


def test_an_event_that_is_too_old_is_not_sent_late(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    clock = QuickClock()  # half-second looks take no time, so that 30 s pass at once
    sink = sink_for(broker, tmp_path, hold_s=30, clock=clock)
    sink.start()
    for n in range(3):
        sink.put(event(n), None)
    until(lambda: sink.dropped == 3)
    assert clock.time > 1030.0
    assert sum("events dropped" in line for line in warnings(caplog)) == 1
    sink.stop(1)


def test_a_wrong_password_is_said_once(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(broker, tmp_path, password="wrong")
    sink.start()
    until(lambda: sink._outage.failures >= 3, "three refusals")
    sink.stop(1)
    (said,) = warnings(caplog)
    assert "refuses: Not authorized" in said


def test_a_missing_password_file_is_said(tmp_path: Path) -> None:
    config = MqttConfig(host="h", username="ann", password_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"password_file=.*cannot be read"):
        MqttSink("home", config, ["computer"], CLOCK)


def test_discovery_names_what_the_host_name_cannot_break() -> None:
    topic, payload = discovery(MqttConfig(host="h", node="a-b_1"), ["x"])
    assert topic == "homeassistant/event/wakeword_a-b_1/config"
    assert payload["event_types"] == ["x"]
    with pytest.raises(ConfigError, match="node='a/#': need letters"):
        MqttConfig(host="h", node="a/#")
