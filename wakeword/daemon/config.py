"""The daemon's configuration: what to listen to, for which words, and what to do then."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wakeword.daemon.actions import KINDS, ActionConfig
from wakeword.daemon.quiet_hours import QuietHours
from wakeword.daemon.tables import build, read_toml, table_of
from wakeword.errors import ConfigError

__all__ = [
    "AfterConfig",
    "AudioConfig",
    "DaemonConfig",
    "ReviewConfig",
    "ServerConfig",
    "WordConfig",
    "read_config",
]

SOURCES = ("microphone", "stdin", "none")
LOG_FORMS = ("text", "json")
MAX_WORD = 100
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
    """

    model: str = ""
    threshold: float | None = None
    actions: tuple[str, ...] | None = None
    quiet_hours: tuple[str, ...] = ()
    speech: float = 0.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError(f"threshold={self.threshold}: need 0 < threshold <= 1")
        QuietHours.parse(self.quiet_hours)
        if not 0 <= self.speech <= 1:
            raise ConfigError(f"speech={self.speech}: need 0 to 1")


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

    def __post_init__(self) -> None:
        for name, low, high in (("limit_mb", 1, 100_000), ("near", 0.1, 1)):
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name}={value}: need {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """A port to serve at.

    Args:
        address: HOST:PORT; an IPv6 host in brackets. Port 0 takes a free one.
        clients: at most so many at once.
    """

    address: str
    clients: int = 16

    def __post_init__(self) -> None:
        _ = self.host_port
        if not 1 <= self.clients <= 1000:
            raise ConfigError(f"clients={self.clients}: need 1 to 1000")

    @property
    def host_port(self) -> tuple[str, int]:
        """The host without brackets, and the port."""
        host, colon, port = self.address.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 65_536):
            raise ConfigError(f'address={self.address!r}: need HOST:PORT, such as "127.0.0.1:9468"')
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """All of it, as :func:`read_config` returns it.

    ``state`` is the folder for what must outlive a restart; ``log`` the form of the log.
    """

    words: Mapping[str, WordConfig]
    actions: Mapping[str, ActionConfig] = field(default_factory=dict)
    audio: AudioConfig = AudioConfig()
    after: AfterConfig = AfterConfig()
    metrics: ServerConfig | None = None
    wyoming: ServerConfig | None = None
    review: ReviewConfig | None = None
    state: Path = Path("state")
    log: str = "text"

    def __post_init__(self) -> None:
        if not self.words:
            raise ConfigError("no [word.NAME]: name at least one word to listen for")
        if self.log not in LOG_FORMS:
            raise ConfigError(f"log={self.log!r}: need one of {', '.join(LOG_FORMS)}")
        for word, settings in self.words.items():
            if not 1 <= len(word) <= MAX_WORD:
                raise ConfigError(f"[word.{word[:MAX_WORD]}]: need 1 to {MAX_WORD} letters")
            for name in settings.actions or ():
                if name not in self.actions:
                    raise ConfigError(
                        f"[word.{word}] actions: {name!r} is not there; write [action.{name}], or "
                        f"take one of {sorted(self.actions)}"
                    )
        if self.audio.source == "none" and self.wyoming is None:
            raise ConfigError('source="none" hears nothing: write [wyoming], or take a microphone')

    def actions_of(self, word: str) -> tuple[str, ...]:
        """Names of the actions of a word."""
        chosen = self.words[word].actions
        return tuple(self.actions) if chosen is None else chosen


def read_config(path: Path) -> DaemonConfig:
    """Read and check a configuration; relative paths in it start at its own folder.

    Raises:
        ConfigError: the file is no TOML, or names something unknown or out of range.
    """
    table = read_toml(path)
    try:
        return _config(table, path.parent)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _config(table: Mapping[str, Any], folder: Path) -> DaemonConfig:
    """Build each part of a parsed file."""
    known = {"word", "action", "audio", "after", "metrics", "wyoming", "review", "state", "log"}
    if unknown := sorted(set(table) - known):
        raise ConfigError(f"unknown {unknown}; known are {sorted(known)}")
    for name in ("state", "log"):
        if not isinstance(table.get(name, ""), str):
            raise ConfigError(f"{name}={table[name]!r}: need a string")
    parts: dict[str, Any] = {
        "words": {
            name: _word(name, table_of(value, f"word.{name}"), folder)
            for name, value in table_of(table.get("word", {}), "word").items()
        },
        "actions": {
            name: _action(name, table_of(value, f"action.{name}"), folder)
            for name, value in table_of(table.get("action", {}), "action").items()
        },
        "state": folder / table["state"] if table.get("state") else state_folder(),
        "log": table.get("log", "text"),
    }
    for name, cls in (("audio", AudioConfig), ("after", AfterConfig)):
        parts[name] = build(cls, table_of(table.get(name, {}), name), name)
    for name in ("metrics", "wyoming"):
        if name in table:
            parts[name] = build(ServerConfig, table_of(table[name], name), name)
    if "review" in table:
        own = dict(table_of(table["review"], "review"))
        if isinstance(own.get("folder"), str):
            own["folder"] = str(folder / own["folder"])
        parts["review"] = build(ReviewConfig, own, "review")
    return DaemonConfig(**parts)


def _word(name: str, table: Mapping[str, Any], folder: Path) -> WordConfig:
    """Build a word; the model's path starts at the configuration's folder."""
    model = table.get("model", name)
    if isinstance(model, str) and Path(model).suffix in (".json", ".tflite"):
        model = str(folder / model)
    return build(WordConfig, {**table, "model": model}, f"word.{name}")


def _action(name: str, table: Mapping[str, Any], folder: Path) -> ActionConfig:
    """Build an action of the kind it names; its paths start at the configuration's folder."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"[action.{name}]: need letters, digits, - and _, at most 64, as its name"
        )
    kind = table.get("kind")
    if not (isinstance(kind, str) and kind in KINDS):
        raise ConfigError(f"[action.{name}] kind={kind!r}: need one of {', '.join(KINDS)}")
    cls = KINDS[kind]
    rest = {key: value for key, value in table.items() if key != "kind"}
    for key in cls.PATHS:
        if isinstance(rest.get(key), str):
            rest[key] = str(_secret(folder, rest[key]) if "_file" in key else folder / rest[key])
    action: ActionConfig = build(cls, rest, f"action.{name}")
    return action


def _secret(folder: Path, name: str) -> Path:
    """Find a secret: among systemd's credentials where it hands some over, else beside the file."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / name).is_file():
        return Path(credentials) / name
    return folder / name


def state_folder() -> Path:
    """Where state lies unless the configuration says so: systemd's folder, or the user's own."""
    if systemd := os.environ.get("STATE_DIRECTORY"):
        return Path(systemd.partition(":")[0])
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "wakeword"
