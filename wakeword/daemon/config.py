"""The daemon's configuration: what to listen to, for which words, and what to do then."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wakeword.daemon.actions import KINDS, ActionConfig, MqttConfig
from wakeword.daemon.settings import (
    NAME,
    AfterConfig,
    AudioConfig,
    OnceConfig,
    PlaybackConfig,
    ReviewConfig,
    ServerConfig,
    WebConfig,
    WordConfig,
    WyomingConfig,
)
from wakeword.daemon.tables import build, read_toml, table_of
from wakeword.errors import ConfigError

__all__ = ["DaemonConfig", "read_config", "state_folder"]

PARTS: Mapping[str, type] = {
    "audio": AudioConfig,
    "after": AfterConfig,
    "metrics": ServerConfig,
    "wyoming": WyomingConfig,
    "review": ReviewConfig,
    "once": OnceConfig,
    "playback": PlaybackConfig,
    "web": WebConfig,
}
LOG_FORMS = ("text", "json")
MAX_WORD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """All of it, as :func:`read_config` returns it.

    ``state`` is the folder for what must outlive a restart; ``log`` the form of the log.
    """

    words: Mapping[str, WordConfig]
    actions: Mapping[str, ActionConfig] = field(default_factory=dict)
    audio: AudioConfig = field(default_factory=AudioConfig)
    after: AfterConfig = field(default_factory=AfterConfig)
    metrics: ServerConfig | None = None
    wyoming: WyomingConfig | None = None
    review: ReviewConfig | None = None
    once: OnceConfig | None = None
    playback: PlaybackConfig | None = None
    web: WebConfig | None = None
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
        if self.playback is None:
            for word, settings in self.words.items():
                if settings.playing is not None:
                    raise ConfigError(f"[word.{word}] playing: needs [playback]; write that, too")
        if self.once is not None:
            if not isinstance(self.actions.get(self.once.action), MqttConfig):
                raise ConfigError(f"[once] action={self.once.action!r}: need one of kind mqtt")
            if self.once.wait_ms >= min(self.after.wait_ms, self.after.limit_ms):
                raise ConfigError("[once] wait_ms: need less than wait_ms and limit_ms of [after]")
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
    table = read_toml(path, f"; to write one: wakeword daemon --init {path}")
    try:
        return _config(table, path.parent)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _config(table: Mapping[str, Any], folder: Path) -> DaemonConfig:
    """Build each part of a parsed file."""
    known = {"word", "action", "state", "log", *PARTS}
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
    for name, cls in PARTS.items():
        if name in table:
            own = table_of(table[name], name)
            parts[name] = build(cls, _placed(own, cls, folder), name)
    return DaemonConfig(**parts)


def _word(name: str, table: Mapping[str, Any], folder: Path) -> WordConfig:
    """Build a word; the model's path starts at the configuration's folder."""
    model = table.get("model", name)
    if isinstance(model, str) and Path(model).suffix in (".json", ".tflite"):
        model = str(folder / model)
    placed = _placed({**table, "model": model}, WordConfig, folder)
    return build(WordConfig, placed, f"word.{name}")


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
    rest = _placed({key: value for key, value in table.items() if key != "kind"}, cls, folder)
    action: ActionConfig = build(cls, rest, f"action.{name}")
    return action


def _placed(table: Mapping[str, Any], cls: type, folder: Path) -> dict[str, Any]:
    """Let the paths in a table start at the configuration's folder."""
    placed = dict(table)
    for key in getattr(cls, "PATHS", ()):
        if isinstance(path := placed.get(key), str):
            placed[key] = str(_secret(folder, path) if "_file" in key else folder / path)
    return placed


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
