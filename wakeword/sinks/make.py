"""Which class stands behind each kind of action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from wakeword.daemon.actions import (
    ActionConfig,
    AssistConfig,
    CommandConfig,
    MqttConfig,
    RecordingConfig,
    SatelliteConfig,
    SocketConfig,
    SoundConfig,
)
from wakeword.daemon.hub import Hub
from wakeword.microphone import Clock
from wakeword.sinks.event import Sink
from wakeword.sinks.sink_set import Maker

__all__ = ["sink_maker"]


def sink_maker(hub: Callable[[], Hub], state: Path, clock: Clock) -> Maker:
    """Return what makes sinks; modules are loaded when a sink of theirs is asked for.

    Args:
        hub: returns the thread for servers, started; called only if one is needed.
        state: folder under which queues lie.
        clock: time.
    """

    def make(name: str, config: ActionConfig, words: Sequence[str]) -> Sink:
        if isinstance(config, CommandConfig):
            from wakeword.sinks.command import CommandSink

            return CommandSink(name, config, clock)
        if isinstance(config, SoundConfig):
            from wakeword.sinks.sound import SoundSink

            return SoundSink(name, config, clock)
        if isinstance(config, MqttConfig):
            from wakeword.sinks.mqtt import MqttSink

            return MqttSink(name, config, words, clock)
        if isinstance(config, SocketConfig):
            from wakeword.sinks.socket_lines import SocketSink

            return SocketSink(name, config, hub(), clock, state)
        if isinstance(config, SatelliteConfig):
            from wakeword.sinks.satellite import SatelliteSink

            return SatelliteSink(name, config, hub(), clock)
        if isinstance(config, AssistConfig):
            from wakeword.sinks.assist import AssistSink

            return AssistSink(name, config, words, hub(), clock)
        if isinstance(config, RecordingConfig):
            from wakeword.sinks.recording import RecordingSink

            return RecordingSink(name, config, clock)
        from wakeword.sinks.webhook import WebhookSink

        return WebhookSink(name, config, state / "webhooks" / name, clock)

    return make
