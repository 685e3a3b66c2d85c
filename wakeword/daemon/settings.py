"""The parts of the daemon's configuration, each with its defaults and its rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from wakeword.daemon.quiet_hours import QuietHours
from wakeword.errors import ConfigError

__all__ = [
    "NAME",
    "AfterConfig",
    "AudioConfig",
    "OnceConfig",
    "PlaybackConfig",
    "ReviewConfig",
    "ServerConfig",
    "WebConfig",
    "WordConfig",
    "WyomingConfig",
    "host_and_port",
]

SOURCES = ("microphone", "stdin", "none")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """Where the sound comes from.

    Args:
        source: "microphone"; "stdin" for raw int16 mono samples; "none" to serve Wyoming alone.
        device: part of the name of the microphone, or its number; None takes the system's default.
        channel: from 0; None takes mono, or the mean of all.
        rate_hz: of the device or of stdin; None takes the device's own, or 16000.
    """

    source: str = "microphone"
    device: str | int | None = None
    channel: int | None = None
    rate_hz: int | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ConfigError(f"source={self.source!r}: need one of {', '.join(SOURCES)}")
        if self.source != "microphone" and (self.device, self.channel) != (None, None):
            raise ConfigError(f"source={self.source!r} is no device: leave device and channel out")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordConfig:
    """One word.

    Args:
        model: a shipped word, or the path of a bundle's .json; empty takes the word itself.
        threshold: in (0, 1]; None takes the bundle's.
        actions: names of actions; None takes all.
        quiet_hours: such as ["22:00-07:00"], in local time: heard then, it is counted and logged,
            and nothing is done.
        speech: probability, in [0, 1], that a voice detector must give to the moments before the
            word fired, for anything to be done; 0 asks none.
        playing: added to the threshold while the machine itself plays sound, 0 to 1; None takes
            ``raise_by`` of [playback].
        speakers_file: voices of which one has to have said it, as `wakeword speakers` wrote them.
        speaker_score: that a voice needs, -100 to 100; None takes what was measured as right.
    """

    model: str = ""
    threshold: float | None = None
    actions: tuple[str, ...] | None = None
    quiet_hours: tuple[str, ...] = ()
    speech: float = 0.0
    playing: float | None = None
    speakers_file: str | None = None
    speaker_score: float | None = None
    PATHS: ClassVar[tuple[str, ...]] = ("speakers_file",)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError(f"threshold={self.threshold}: need 0 < threshold <= 1")
        QuietHours.parse(self.quiet_hours)
        if not 0 <= self.speech <= 1:
            raise ConfigError(f"speech={self.speech}: need 0 to 1")
        if self.playing is not None and not 0 <= self.playing <= 1:
            raise ConfigError(f"playing={self.playing}: need 0 to 1")
        if self.speaker_score is not None:
            if not -100 <= self.speaker_score <= 100:
                raise ConfigError(f"speaker_score={self.speaker_score}: need -100 to 100")
            if self.speakers_file is None:
                raise ConfigError("speaker_score without speakers_file: give both")


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterConfig:
    """What is handed on to actions that take the sound of the command after the word.

    Args:
        before_ms: of sound before the word fired, 0 to 4000; the word itself lies in it.
        wait_ms: for the command to begin; after that it ends without one.
        silence_ms: that end a command.
        limit_ms: the longest command.
        margin_db: above the room's own level counts as speech.
    """

    before_ms: int = 1500
    wait_ms: int = 3000
    silence_ms: int = 800
    limit_ms: int = 10_000
    margin_db: float = 9.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("before_ms", 0, 4000), ("wait_ms", 200, 30_000), ("silence_ms", 100, 5_000),
            ("limit_ms", 500, 60_000), ("margin_db", 3, 40),
        ):  # fmt: skip
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name}={value}: need {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackConfig:
    """While the machine itself plays sound a word must be more certain.

    Args:
        raise_by: added to every threshold then, 0 to 1; a word whose threshold would lie above 1
            does nothing.
        level_db: of full scale, from which what is played counts, -90 to 0.
        hold_ms: after the last of it, 100 to 60000.
        run: program and arguments that write what is played as raw 16-bit mono samples of 16 kHz;
            empty takes parec at the monitor of the default sink.
    """

    raise_by: float = 0.15
    level_db: float = -50.0
    hold_ms: int = 1500
    run: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in (
            ("raise_by", 0, 1), ("level_db", -90, 0), ("hold_ms", 100, 60_000),
        ):  # fmt: skip
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name}={value}: need {low} to {high}")
        if self.run and not self.run[0]:
            raise ConfigError('run=[""]: need a program, or leave it out')


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfig:
    """Clips of what was heard and what nearly was, for `wakeword review`; they stay here.

    Args:
        folder: made if missing.
        limit_mb: the oldest go when there is more than this, 1 to 100000.
        near: share of a word's threshold from which a score counts as near, 0.1 to 1.
    """

    folder: str
    limit_mb: float = 50.0
    near: float = 0.6
    PATHS: ClassVar[tuple[str, ...]] = ("folder",)

    def __post_init__(self) -> None:
        for name, low, high in (("limit_mb", 1, 100_000), ("near", 0.1, 1)):
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name}={value}: need {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceConfig:
    """Of several machines that hear a word only one acts.

    Args:
        action: of kind "mqtt", whose broker and ``node`` are used.
        group: machines that agree with each other.
        wait_ms: for what the others say, 50 to 1000; every action comes so much later.
    """

    action: str
    group: str = "home"
    wait_ms: int = 250

    def __post_init__(self) -> None:
        if not 50 <= self.wait_ms <= 1000:
            raise ConfigError(f"wait_ms={self.wait_ms}: need 50 to 1000")
        if not NAME.fullmatch(self.group):
            raise ConfigError(f"group={self.group!r}: need letters, digits, - and _, at most 64")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """A port to serve at.

    Args:
        address: HOST:PORT; an IPv6 host in brackets. Port 0 takes a free one.
        clients: at most so many at once.
        cert_file, key_file: PEM files; with them TLS is spoken, and nothing else.
        client_ca_file: PEM; only clients with a certificate signed by it are served.
    """

    address: str
    clients: int = 16
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    PATHS: ClassVar[tuple[str, ...]] = ("cert_file", "key_file", "client_ca_file")

    def __post_init__(self) -> None:
        _ = self.host_port
        if not 1 <= self.clients <= 1000:
            raise ConfigError(f"clients={self.clients}: need 1 to 1000")
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("cert_file and key_file: give both, or none")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ConfigError("client_ca_file without cert_file and key_file: give all three")

    @property
    def host_port(self) -> tuple[str, int]:
        """The host without brackets, and the port."""
        return host_and_port(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class WyomingConfig(ServerConfig):
    """A port for Wyoming, and whether others are told of it.

    Args:
        announce: tell the network by zeroconf, so that Home Assistant finds it by itself; a port of
            this machine alone is not announced.
        name: under which it is announced; empty takes the host name.
    """

    announce: bool = True
    name: str = ""

    def __post_init__(self) -> None:
        ServerConfig.__post_init__(self)
        if self.name and not NAME.fullmatch(self.name):
            raise ConfigError(f"name={self.name!r}: need letters, digits, - and _, at most 64")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig(ServerConfig):
    """A port for the page.

    Args:
        token_file: the token that the page asks for, readable by us alone; made if missing. None
            takes ``web_token`` in the state folder where a token is needed: unless ``address`` is
            one of loopback and there are no ``names``.
        names: under which browsers reach the page besides the machine's own, such as a proxy's.
        recordings: folder for samples; None takes ``recordings`` in the state folder.
    """

    address: str = "127.0.0.1:10480"
    clients: int = 8
    token_file: str | None = None
    names: tuple[str, ...] = ()
    recordings: str | None = None
    PATHS: ClassVar[tuple[str, ...]] = (*ServerConfig.PATHS, "token_file", "recordings")


def host_and_port(address: str) -> tuple[str, int]:
    """Take HOST:PORT apart; the host without brackets.

    Raises:
        ConfigError: not of that form.

    >>> host_and_port("[::1]:10400")
    ('::1', 10400)
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65_536):
        raise ConfigError(f'address={address!r}: need HOST:PORT, such as "127.0.0.1:9468"')
    return host.strip("[]"), int(port)
