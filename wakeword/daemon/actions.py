"""The kinds of action that a configuration can name, and the settings of each."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from wakeword.daemon.settings import ServerConfig, WyomingConfig, host_and_port
from wakeword.errors import ConfigError

__all__ = [
    "KINDS",
    "ActionConfig",
    "AssistConfig",
    "CommandConfig",
    "MqttConfig",
    "RecordingConfig",
    "SatelliteConfig",
    "SocketConfig",
    "SoundConfig",
    "WebhookConfig",
]

TOPIC_PART = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number out of its range."""
    if not low <= value <= high:
        raise ConfigError(f"{name}={value}: need {low:g} to {high:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandConfig:
    """Run a program.

    Args:
        run: the program and its arguments; no shell sees them.
        timeout_s: after which it and its children are killed, 0.1 to 600.
        stdin: "event" gives it the event as JSON at once; "audio" waits for the command after the
            word and gives it that as a WAV.
        waiting: events that may wait while it runs; more are dropped, 1 to 1000.
    """

    run: tuple[str, ...]
    timeout_s: float = 10.0
    stdin: str = "event"
    waiting: int = 16
    PATHS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not (self.run and self.run[0]):
            raise ConfigError('run=[]: need a program, such as run = ["/usr/bin/logger", "heard"]')
        if any("\0" in argument for argument in self.run):
            raise ConfigError("run: an argument cannot hold a NUL")
        if self.stdin not in ("event", "audio"):
            raise ConfigError(f'stdin={self.stdin!r}: need "event" or "audio"')
        _between("timeout_s", self.timeout_s, 0.1, 600)
        _between("waiting", self.waiting, 1, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundConfig:
    """Play a short sound.

    Args:
        file: a WAV; None plays a chime of two tones.
        player: program and arguments, to which the path of the WAV is added; empty takes the first
            there is of pw-play, paplay and aplay.
        volume: of the chime, in (0, 1].
    """

    file: str | None = None
    player: tuple[str, ...] = ()
    volume: float = 0.3
    PATHS: ClassVar[tuple[str, ...]] = ("file",)

    def __post_init__(self) -> None:
        _between("volume", self.volume, 0.001, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Post the event to a URL, signed, and again until the receiver took it.

    Args:
        url: http or https.
        secret_file: the key of the signature; None signs nothing.
        timeout_s: for a whole request, 0.1 to 120.
        keep: events kept on disk while the receiver is away; beyond that the oldest goes,
            1 to 100000.
        ca_file: PEM of who signs for the receiver; None believes whom the system believes.
    """

    url: str
    secret_file: str | None = None
    timeout_s: float = 10.0
    keep: int = 1000
    ca_file: str | None = None
    PATHS: ClassVar[tuple[str, ...]] = ("secret_file", "ca_file")

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as exc:
            raise ConfigError(f"url={self.url!r}: {exc}") from exc
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ConfigError(f"url={self.url!r}: need http://HOST... or https://HOST...")
        if parts.username is not None or not self.url.isascii() or re.search(r"\s", self.url):
            raise ConfigError(
                "url: need plain ASCII without blanks and without a password; sign the events "
                "with secret_file instead"
            )
        if self.ca_file is not None and parts.scheme != "https":
            raise ConfigError(f"ca_file with url={self.url!r}: need https")
        _between("timeout_s", self.timeout_s, 0.1, 120)
        _between("keep", self.keep, 1, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig:
    """Publish to an MQTT broker, with discovery for Home Assistant.

    Args:
        host, port: the broker.
        node: name of this device in topics; empty takes the host name.
        username, password_file: where the broker asks for them.
        tls: speak TLS, checking the broker's certificate.
        ca_file: PEM of who signs for the broker; None believes whom the system believes.
        discovery: prefix of Home Assistant's discovery; empty announces nothing.
        hold_s: seconds for which an event waits for a broker that is away; an older one is of no
            use to anybody, 0 to 86400.
    """

    host: str
    port: int = 1883
    node: str = ""
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    discovery: str = "homeassistant"
    hold_s: float = 30.0
    PATHS: ClassVar[tuple[str, ...]] = ("password_file", "ca_file")

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigError('host="": need the name or address of the broker')
        _between("port", self.port, 1, 65_535)
        _between("hold_s", self.hold_s, 0, 86_400)
        for name, value in (("node", self.node), ("discovery", self.discovery)):
            if value and not TOPIC_PART.fullmatch(value):
                raise ConfigError(f"{name}={value!r}: need letters, digits, - and _, at most 64")
        if self.ca_file is not None and not self.tls:
            raise ConfigError("ca_file without tls: write tls = true")
        if self.password_file is not None and self.username is None:
            raise ConfigError("password_file without username: give both")

    @property
    def node_name(self) -> str:
        """The name in topics."""
        return self.node or re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname())[:64] or "wakeword"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketConfig:
    """Write a JSON line to everybody who is connected to a unix socket, or to a port.

    Args:
        path: of the unix socket; at most 100 bytes.
        address: HOST:PORT in place of it.
        clients: at most so many at once, 1 to 1000.
        token_file: the token that clients send as their first line, readable by us alone; made if
            missing. None takes ``socket_token`` in the state folder where ``address`` is not one of
            loopback.
        cert_file, key_file, client_ca_file: as of any port.
    """

    path: str | None = None
    address: str | None = None
    clients: int = 128
    token_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    PATHS: ClassVar[tuple[str, ...]] = ("path", "token_file", *ServerConfig.PATHS)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.address is None):
            raise ConfigError("path, address: give one of the two")
        if self.path is not None:
            if not 1 <= len(self.path.encode()) <= 100:
                raise ConfigError(f"path={self.path!r}: need 1 to 100 bytes; no system allows more")
            if (self.token_file, self.cert_file, self.key_file) != (None, None, None):
                raise ConfigError("token_file, cert_file, key_file: need address, not path")
            _between("clients", self.clients, 1, 1000)
        else:
            _ = self.server

    @property
    def server(self) -> ServerConfig:
        """The port's settings; ConfigError where there is none, or they are wrong."""
        return ServerConfig(
            address=self.address or "",
            clients=self.clients,
            cert_file=self.cert_file,
            key_file=self.key_file,
            client_ca_file=self.client_ca_file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingConfig:
    """Keep the sound of the command after the word as a WAV, and the event beside it as JSON.

    Args:
        folder: made if missing.
        limit_mb: the oldest go when there is more than this, 1 to 100000.
    """

    folder: str
    limit_mb: float = 100.0
    PATHS: ClassVar[tuple[str, ...]] = ("folder",)

    def __post_init__(self) -> None:
        _between("limit_mb", self.limit_mb, 1, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SatelliteConfig:
    """Stream the microphone after the word to a Wyoming server, such as one that writes text.

    Args:
        address: HOST:PORT of the server; an IPv6 host in brackets.
        tls: speak TLS, checking the server's certificate.
        ca_file: PEM of who signs for the server; None believes whom the system believes.
        timeout_s: to connect, to take a piece of sound, and for all that is left once the command
            is over, 0.1 to 120.
    """

    address: str
    tls: bool = False
    ca_file: str | None = None
    timeout_s: float = 10.0
    PATHS: ClassVar[tuple[str, ...]] = ("ca_file",)

    def __post_init__(self) -> None:
        if self.host_port[1] == 0:
            raise ConfigError(f"address={self.address!r}: need a port from 1")
        if self.ca_file is not None and not self.tls:
            raise ConfigError("ca_file without tls: write tls = true")
        _between("timeout_s", self.timeout_s, 0.1, 120)

    @property
    def host_port(self) -> tuple[str, int]:
        """The host without brackets, and the port."""
        return host_and_port(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistConfig(WyomingConfig):
    """Be a satellite of Home Assistant, which connects to us and hears the command after the word.

    Args:
        address: HOST:PORT at which it finds us; 10700 is the usual port.
        clients: at most so many at once; one of them alone is served with sound.
        name: as it shows us, and under which we are announced; empty takes the host name.
        area: the room we stand in, as a hint.
        before_ms: of sound before the word fired, 0 to 1500; more, and the word itself is written
            down with the command.
        answers: whether answers are spoken here.
        player: program and arguments that play raw 16-bit mono samples of ``{rate}`` Hz from their
            standard input; empty takes the first there is of paplay and aplay.
        peers: addresses or networks that may connect; none lets all that reach the port.
    """

    address: str = "0.0.0.0:10700"
    clients: int = 8
    area: str = ""
    before_ms: int = 100  # of 80 recordings of "computer" nine in ten end later than 130 ms before
    answers: bool = True
    player: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        WyomingConfig.__post_init__(self)
        _between("before_ms", self.before_ms, 0, 1500)
        if len(self.area) > 64:
            raise ConfigError(f"area={self.area[:64]!r}...: need at most 64 letters")
        if self.player and not self.player[0]:
            raise ConfigError('player=[""]: need a program, or leave it out')
        for peer in self.peers:
            try:
                ipaddress.ip_network(peer, strict=False)
            except ValueError as exc:
                raise ConfigError(
                    f"peers={peer!r}: need addresses, or networks such as 192.168.1.0/24"
                ) from exc

    @property
    def node_name(self) -> str:
        """How Home Assistant calls us."""
        found = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:50]
        return self.name or found or "wakeword"


ActionConfig = (
    CommandConfig
    | SoundConfig
    | WebhookConfig
    | MqttConfig
    | SocketConfig
    | RecordingConfig
    | SatelliteConfig
    | AssistConfig
)
KINDS: dict[str, type[ActionConfig]] = {
    "command": CommandConfig,
    "sound": SoundConfig,
    "webhook": WebhookConfig,
    "mqtt": MqttConfig,
    "socket": SocketConfig,
    "recording": RecordingConfig,
    "satellite": SatelliteConfig,
    "assist": AssistConfig,
}
