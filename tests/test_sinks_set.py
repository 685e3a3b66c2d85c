"""Exchanging sinks while events come: who stays, who waits, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.daemon_kit import event
from wakeword.daemon.actions import ActionConfig, CommandConfig, MqttConfig
from wakeword.errors import ConfigError
from wakeword.sinks.event import Event, Utterance
from wakeword.sinks.sink_set import SinkSet

A, B, BAD = (CommandConfig(run=(name,)) for name in ("a", "b", "bad"))


class Recorder:
    """A sink that remembers its life, and can have something happen while it starts."""

    wants_audio = False
    delivered = dropped = pending = 0

    def __init__(self, story: Story, name: str, program: str) -> None:
        self.story, self.name, self.program = story, name, program
        self.events: list[str] = []

    def start(self) -> None:
        self.story.said.append(f"start {self.name} {self.program}")
        self.story.sinks.put(self.name, event(99), None)  # heard just now

    def put(self, event: Event, utterance: Utterance | None) -> None:
        self.events.append(event.id)

    def stop(self, grace_s: float) -> None:
        self.story.said.append(f"stop {self.name} {self.program}")


class Story:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.made: dict[str, Recorder] = {}
        self.sinks = SinkSet(self.make)

    def make(self, name: str, config: ActionConfig, words: Sequence[str]) -> Recorder:
        program = config.host if isinstance(config, MqttConfig) else ""
        if config is BAD:
            raise ConfigError("bad")
        if isinstance(config, CommandConfig):
            program = config.run[0]
        self.made[name] = Recorder(self, name, program)
        return self.made[name]


def test_only_what_changed_is_exchanged() -> None:
    story = Story()
    words = {"x": ["w"], "y": ["w"], "z": ["w"]}
    story.sinks.change({"x": A, "y": A}, words)
    kept = story.made["x"]
    story.said.clear()
    story.sinks.change({"x": A, "y": B, "z": A}, words)
    assert story.said == ["stop y a", "start y b", "start z a"]
    assert story.sinks.sinks()["x"] is kept
    story.said.clear()
    story.sinks.change({"x": A}, words)
    assert sorted(story.said) == ["stop y b", "stop z a"]


def test_other_words_make_another_sink_only_where_they_are_announced() -> None:
    story = Story()
    home = MqttConfig(host="h")
    story.sinks.change({"x": A, "y": home}, {"x": ["w"], "y": ["w"]})
    story.sinks.change({"x": A, "y": home}, {"x": ["w", "v"], "y": ["w", "v"]})
    assert story.said == ["start x a", "start y h", "stop y h", "start y h"]


def test_an_event_that_comes_during_the_exchange_reaches_the_new_sink() -> None:
    story = Story()
    story.sinks.change({"x": A}, {"x": ["w"]})
    story.sinks.change({"x": B}, {"x": ["w"]})
    assert story.made["x"].program == "b"
    assert story.made["x"].events == ["run-99"]


def test_one_that_cannot_be_made_leaves_its_old_self_and_the_others_change() -> None:
    story = Story()
    words = {"x": ["w"], "y": ["w"]}
    story.sinks.change({"x": A, "y": A}, words)
    with pytest.raises(ConfigError, match="bad"):
        story.sinks.change({"x": BAD, "y": B}, words)
    assert {n: s.program for n, s in story.made.items()} == {"x": "a", "y": "b"}
    story.sinks.put("x", event(1), None)
    assert story.made["x"].events == ["run-99", "run-1"]


def test_an_event_for_nobody_is_nobody_s() -> None:
    story = Story()
    story.sinks.put("gone", event(1), None)
    assert not story.sinks.wants_audio("gone")
