"""Be a satellite of Home Assistant: it connects, and hears the command after each word.

It says ``run-satellite`` and asks ``describe``. For a word we send ``detection``, ``run-pipeline``
and ``audio-chunk``s up to the end of the command, and then ``audio-stop``; it says ``transcript``,
and speaks its answer by ``audio-start``, ``audio-chunk`` and ``audio-stop``, upon which we say
``played``.

Source: the messages of https://github.com/OHF-Voice/wyoming, and the order in which Home Assistant
and wyoming-satellite send them. Where we differ from the latter: the end of a command is found here
and said, and a word breaks off what is being spoken.
"""

from __future__ import annotations

import concurrent.futures
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import wakeword
from wakeword.audio import RATE_HZ, to_int16
from wakeword.daemon.actions import AssistConfig
from wakeword.daemon.announce import announce, can_announce
from wakeword.daemon.hub import Hub
from wakeword.daemon.wyoming_server import wake_info
from wakeword.daemon.wyoming_stream import form_of, pcm
from wakeword.daemon.wyoming_wire import Message, WireError
from wakeword.errors import ConfigError
from wakeword.microphone import Clock
from wakeword.sinks.assist_command import AssistCommand
from wakeword.sinks.assist_port import AssistPort, Link
from wakeword.sinks.event import AudioStream, Event, Utterance
from wakeword.sinks.outage import Outage
from wakeword.sinks.player import Player, player_program
from wakeword.sinks.sound import chime
from wakeword.web.guard import is_loopback

__all__ = ["AssistSink"]

RINGS = 3  # chimes for a timer that is over
VOLUME = 0.3

log = logging.getLogger("wakeword")


class AssistSink:
    """Streams each command to the Home Assistant that is connected, and speaks its answers.

    A word is streamed once, or counted as dropped: nobody is connected, or a command is under way.

    Args:
        name: as in the configuration.
        config: the settings.
        words: that Home Assistant is told of.
        hub: where it runs.
        clock: time, for the log.

    Raises:
        ConfigError: the certificate or the player cannot be used.
    """

    wants_audio = False

    def __init__(
        self, name: str, config: AssistConfig, words: Sequence[str], hub: Hub, clock: Clock
    ) -> None:
        self.name = name
        self.config = config
        self.delivered = 0
        self.dropped = 0
        self.hub = hub
        self._words = tuple(words)
        self._clock = clock
        self._port = AssistPort(self, config)
        program = player_program(config.player) if config.answers else ()
        if config.answers and not program:
            log.warning(
                "action %s: no paplay or aplay here, so answers are not spoken "
                "(apt install alsa-utils, or answers = false)", name,
            )  # fmt: skip
        self._program = program
        self._player: Player | None = None
        self._link: Link | None = None
        self._why_away = "not connected"
        self._command: AssistCommand | None = None
        self._announced: concurrent.futures.Future[None] | None = None
        self._away = Outage(f"action {name}, Home Assistant", clock)
        self._second = Outage(f"action {name}, another one", clock)

    @property
    def port(self) -> int:
        """The port, as bound."""
        return self._port.port

    @property
    def pending(self) -> int:
        """Commands that are under way."""
        command = self._command
        return int(command is not None and not command.counted)

    def start(self) -> None:
        """Serve; raise ConfigError where the port is taken."""
        try:
            self.hub.call(self._port.open())
        except OSError as exc:
            raise ConfigError(
                f"address={self.config.address!r}: cannot be served at ({exc.strerror})"
            ) from exc
        log.info("action %s at %s port %d", self.name, self._port.host, self.port)
        if not (self.config.peers or is_loopback(self._port.host)):
            log.warning(
                "action %s: no peers: whoever reaches the port can hear what follows a word",
                self.name,
            )
        if self._program:
            self._player = Player(f"action {self.name}", self._program, self._clock)
        if why := can_announce(self.config):
            log.info("action %s is not announced: %s", self.name, why)
            return
        # Of its own beside that of [wyoming]: Home Assistant knows each by its name.
        own = replace(self.config, name=f"{self.config.node_name[:50]}-satellite")
        self._announced = self.hub.spawn(announce(own, self.port, self._clock))

    def renew(self) -> None:
        """Read the certificate again; ConfigError where it cannot be used."""
        self._port.renew()

    def put(self, event: Event, utterance: Utterance | None) -> None:
        """Count an event that came while this sink was being exchanged: its sound is gone."""
        self.dropped += 1

    def open(self, event: Event) -> AudioStream | None:
        """Begin to stream; None where nobody listens, or a command is under way."""
        link = self._link
        if link is None:
            self.dropped += 1
            self._away.failed(f"{self._why_away}; a word is for nobody")
            return None
        if self.pending:
            self.dropped += 1
            log.info("action %s: %s is part of the command before", self.name, event.id)
            return None
        if self._player is not None:
            self._player.stop()
        self._command = AssistCommand(self, link, event)
        self.hub.post(self._command.begin)
        return self._command

    def stop(self, grace_s: float) -> None:
        """Withdraw, hang up, and be silent."""
        if self._announced is not None:
            self._announced.cancel()
        self.hub.call(self._close())
        if self._player is not None:
            self._player.close(grace_s)

    async def _close(self) -> None:
        await self._port.close()
        if self._link is not None:
            self._link.cut()
            self.left(self._link)

    # ---- in the hub's thread

    def take(self, link: Link, message: Message) -> None:
        """Do what one message asks for.

        Raises:
            WireError: it cannot be done, and the connection is to end.
        """
        kind = message.type
        if kind == "describe":
            link.send("info", self.info())
        elif kind == "ping":
            link.asks = True
            link.send("pong", dict(message.data))
        elif kind == "run-satellite":
            self._run(link)
        elif link is self._link:
            self._hear(link, message)

    def info(self) -> dict[str, Any]:
        """Describe us, as ``info`` does."""
        name = self.config.node_name
        satellite = {
            "name": name,
            "description": f"wakeword on {name}",
            "attribution": {"name": "wakeword", "url": ""},
            "installed": True,
            "version": wakeword.__version__,
            "area": self.config.area or None,
            "has_vad": True,
            "active_wake_words": list(self._words),
            "max_active_wake_words": len(self._words),
            "supports_trigger": False,
        }
        return {**wake_info(dict.fromkeys(self._words, wakeword.__version__)),
                "satellite": satellite}  # fmt: skip

    def left(self, link: Link) -> None:
        """A connection ended."""
        if link is self._link:
            self._link, self._why_away = None, "not connected"
            self._end("hung up")
            log.info("action %s: Home Assistant is gone", self.name)

    def serves(self, link: Link) -> bool:
        """Tell whether a connection is the one that hears us."""
        return link is self._link

    def _run(self, link: Link) -> None:
        """Take one as the one that hears us; there is no other beside it."""
        if self._link not in (None, link):
            self._second.failed(f"{link.peer} wants the sound, too; refused")
            raise WireError("another one has the sound already")
        if self._link is None:
            log.info("action %s: Home Assistant is there (%s)", self.name, link.peer)
        self._link = link
        self._second.over()
        self._away.over()

    def _hear(self, link: Link, message: Message) -> None:
        """Do what the one that hears us says."""
        kind = message.type
        if kind in ("audio-start", "audio-chunk", "audio-stop"):
            self._speak(link, message)
        elif kind in ("voice-stopped", "transcript"):
            self._end()
        elif kind == "error":
            said = [str(message.data.get(part, ""))[:200] for part in ("code", "text")]
            log.info("action %s: Home Assistant says: %s", self.name, ": ".join(filter(None, said)))
            self._end()
        elif kind == "pause-satellite":  # muted there, or it goes
            self._link, self._why_away = None, "wants no sound for now; is it muted there?"
            self._end()
            log.info("action %s: Home Assistant wants no sound for now", self.name)
        elif kind == "timer-finished" and self._player is not None:
            self._player.begin(RATE_HZ)
            ring = np.concatenate([chime(VOLUME), np.zeros(RATE_HZ // 2, np.int16)])
            self._player.feed(np.tile(ring, RINGS).astype("<i2").tobytes())
            self._player.end()

    def _speak(self, link: Link, message: Message) -> None:
        """Play what it says; a form that nobody sends is a WireError."""
        if message.type == "audio-stop":
            if link.rate_hz and self._player is not None:
                self._player.end(lambda: self.hub.post(self._played, link))
            link.rate_hz = 0
            return
        rate_hz, width, channels = form_of(message)
        if rate_hz != link.rate_hz:
            if self._player is not None:
                self._player.begin(rate_hz)
            link.rate_hz = rate_hz
        if message.type == "audio-chunk" and self._player is not None:
            sound = to_int16(pcm(message.payload, width, channels))
            self._player.feed(sound.astype("<i2").tobytes())

    def _played(self, link: Link) -> None:
        """Tell that it was heard to its end."""
        if link is self._link:
            link.send("played")

    def _end(self, why: str = "") -> None:
        """The command is over: taken, or lost for the reason given."""
        if self._command is not None:
            self._command.over(why)

    def done(self, why: str) -> None:
        """Count a command."""
        if why:
            self.dropped += 1
            self._away.failed(why)
        else:
            self.delivered += 1
            self._away.over()

    @property
    def end_stage(self) -> str:
        """How far Home Assistant is to go: to its answer's sound, or not."""
        return "tts" if self._program else "handle"
