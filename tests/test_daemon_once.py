"""Several machines hear one word and one of them acts, whatever the order of their messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon_kit import CLOCK, until
from tests.test_daemon_listener import Bench, demo, plain
from tests.test_sinks_mqtt import BROKER, Broker
from wakeword.daemon.actions import MqttConfig
from wakeword.daemon.once import TAKEN_S, Once
from wakeword.daemon.once_broker import OnceBroker
from wakeword.sinks.event import Event

WAIT_S = 0.25


class Bus:
    """Machines, a clock, and messages that take their time."""

    def __init__(self, delays: dict[str, float]) -> None:
        self.time = 0.0
        self.delays = delays
        self.up = True
        self._sent: list[tuple[float, str, dict[str, Any]]] = []
        self.machines = {n: Once(n, WAIT_S, self, lambda m: self._send(m)) for n in delays}
        self.acted: list[str] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    wait: Any = sleep

    def _send(self, message: dict[str, Any]) -> bool:
        if self.up:
            for name in self.machines:  # a broker sends to who said it, too
                at = self.time + self.delays[message["node"]] + self.delays[name]
                self._sent.append((at, name, message))
        return self.up

    def run(self, heard: dict[str, tuple[float, float]], until_s: float = 5.0) -> None:
        """Let each machine hear a word at a time, with a score; look every 30 ms, as chunks do."""
        left = dict(heard)
        for step in range(int(until_s / 0.03)):
            self.time = 0.03 * step
            for name, (at, prob) in list(left.items()):
                if at <= self.time:
                    del left[name]
                    event = Event(f"{name}-1", "computer", prob, 0, "")
                    if not self.machines[name].claim(event):
                        self.acted.append(name)
            for at, name, message in [m for m in self._sent if m[0] <= self.time]:
                self._sent.remove((at, name, message))
                self.machines[name].receive(message)
            for name, machine in self.machines.items():
                for _, winner in machine.decide():
                    if winner == name:
                        self.acted.append(name)


@settings(max_examples=200)
@given(
    probs=st.lists(st.sampled_from([0.5, 0.7, 0.9]), min_size=2, max_size=4),
    times=st.lists(st.floats(0, 0.6), min_size=4, max_size=4),
    delays=st.lists(st.floats(0, 0.03), min_size=4, max_size=4),
)
def test_just_one_machine_acts(probs: list[float], times: list[float], delays: list[float]) -> None:
    names = [f"m{n}" for n in range(len(probs))]
    bus = Bus(dict(zip(names, delays, strict=False)))
    heard = {n: (t, p) for n, t, p in zip(names, times, probs, strict=False)}
    bus.run(heard)
    assert len(bus.acted) == 1


def test_the_best_score_wins_and_of_equal_ones_the_last_name() -> None:
    bus = Bus({"attic": 0.01, "bath": 0.01, "cellar": 0.01})
    bus.run({"attic": (0.0, 0.8), "bath": (0.1, 0.9), "cellar": (0.05, 0.9)})
    assert bus.acted == ["cellar"]


def test_a_late_machine_leaves_a_taken_word_alone_and_the_next_one_is_its_own() -> None:
    bus = Bus({"attic": 0.01, "bath": 0.01})
    bus.run({"attic": (0.0, 0.6), "bath": (0.7, 0.99)}, until_s=1.5)
    assert bus.acted == ["attic"]
    bus.acted.clear()
    bus.run({"bath": (TAKEN_S + 2.0, 0.6)})
    assert bus.acted == ["bath"]


def test_without_a_broker_everybody_acts_at_once() -> None:
    bus = Bus({"attic": 0.01, "bath": 0.01})
    bus.up = False
    bus.run({"attic": (0.0, 0.6), "bath": (0.1, 0.9)})
    assert bus.acted == ["attic", "bath"]


@given(
    st.dictionaries(
        st.sampled_from(["kind", "word", "node", "prob", "x"]),
        st.none() | st.floats() | st.text(max_size=80) | st.just("taken") | st.lists(st.none()),
    )
)
def test_any_message_is_taken_or_left_out(message: dict[str, Any]) -> None:
    once = Once("den", 0.0, CLOCK, lambda message: True)
    for _ in range(3):
        once.receive(message)
    once.claim(Event("a-1", "computer", 0.9, 0, ""))
    ((event, winner),) = once.decide()
    assert event.id == "a-1"
    assert winner == "den" or message["word"] == "computer"


def test_a_flood_of_messages_takes_no_more_memory() -> None:
    once = Once("den", 0.0, CLOCK, lambda message: True)
    for n in range(5000):
        once.receive({"kind": "heard", "word": "computer", "node": f"n{n}", "prob": 0.1})
    assert len(once._inbox) == 200


class Fixed:
    """Another machine always wins, or never, at the next look."""

    node = "den"

    def __init__(self, winner: str) -> None:
        self.winner = winner
        self.events: list[Event] = []

    def claim(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def decide(self) -> list[tuple[Event, str]]:
        events, self.events = self.events, []
        return [(event, self.winner) for event in events]


@pytest.mark.parametrize(("winner", "count"), [("den", 2), ("attic", 0)])
def test_the_listener_acts_only_on_what_it_won(winner: str, count: int) -> None:
    bench = Bench()
    bench.listener._once = Fixed(winner)  # type: ignore[assignment]
    bench.hear(demo())
    assert bench.heard() == plain()[:count]
    assert len(bench.sinks["audio"].events) == count
    assert sum(bench.stats.elsewhere.values()) == 2 - count


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if BROKER is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


def test_two_machines_agree_over_a_real_broker(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    machines = {}
    for node in ("attic", "bath"):
        config = MqttConfig(
            host="127.0.0.1", port=broker.port, node=node, username="ann",
            password_file=str(tmp_path / "password"),
        )  # fmt: skip
        # Long, for a machine that is busy with other things: what counts is who acts.
        machines[node] = OnceBroker(config, "home", 3.0, CLOCK)
        machines[node].start()
    asked = Event("ask-1", "nobody", 0.1, 0, "")
    until(lambda: all(m._client.is_connected() for m in machines.values()))
    until(  # both have subscribed when each hears what the other says
        lambda: (
            all(m._send({**m.once._message("heard", asked)}) for m in machines.values())
            and all(m.once._inbox for m in machines.values())
        )
    )
    for node, prob in (("attic", 0.9), ("bath", 0.8)):
        assert machines[node].once.claim(Event(f"{node}-1", "computer", prob, 0, ""))
    decided: dict[str, str] = {}

    def all_decided() -> bool:
        for machine in machines.values():
            decided.update({event.id: winner for event, winner in machine.once.decide()})
        return len(decided) == 2

    until(all_decided)
    assert decided == {"attic-1": "attic", "bath-1": "attic"}
    for machine in machines.values():
        machine.stop()
