"""The command ``wakeword daemon``: write a configuration, check one, or listen with one."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import sys
from pathlib import Path

from wakeword.daemon.actions import (
    ActionConfig,
    AssistConfig,
    CommandConfig,
    MqttConfig,
    SatelliteConfig,
    SocketConfig,
    WebhookConfig,
)
from wakeword.daemon.announce import can_announce
from wakeword.daemon.config import DaemonConfig, read_config
from wakeword.daemon.log_form import daemon_log
from wakeword.daemon.models import read_models
from wakeword.daemon.playback import monitor_program
from wakeword.daemon.port import Port
from wakeword.daemon.raised import raised
from wakeword.daemon.service import Service
from wakeword.daemon.settings import ServerConfig, WebConfig
from wakeword.daemon.speakers import enrolled
from wakeword.daemon.speech_gate import SpeechGate
from wakeword.daemon.tls import client_context
from wakeword.errors import ConfigError, DeviceError, WakewordError
from wakeword.files import beside
from wakeword.quiet import quiet_runtime
from wakeword.sinks.mqtt import connect_client
from wakeword.sinks.player import player_program
from wakeword.sinks.webhook import read_secret
from wakeword.web.guard import read_token, socket_token_path, token_path

__all__ = ["check", "daemon", "init"]

EXAMPLE = Path(__file__).with_name("example.toml")
UNIT = Path(__file__).with_name("wakeword.service")


def daemon(args: argparse.Namespace) -> int:
    """Do what the options ask for."""
    if args.unit:
        print(UNIT.read_text(encoding="utf-8"), end="")
        return 0
    path = Path(args.init or args.config)
    if args.init:
        init(path, force=args.force)
        return 0
    if args.check:
        print(check(path))
        return 0
    return run(path)


def init(path: Path, *, force: bool) -> None:
    """Write a commented configuration.

    Raises:
        ConfigError: it exists and ``force`` is not set, or the disk refuses.
    """
    if path.exists() and not force:
        raise ConfigError(f"{path}: exists; choose another name, or replace it with --force")
    try:
        with beside(path) as partial:
            partial.write_bytes(EXAMPLE.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written ({exc.strerror})") from exc


def check(path: Path) -> str:
    """Read a configuration and its models, and say what would be done.

    Raises:
        ConfigError: it is wrong, or names a program, a library or a secret that is not here.
        BundleError: a model is.
    """
    config = read_config(path)
    with quiet_runtime():
        models = read_models(config)
        models.detector()
    if config.playback is not None:
        try:
            monitor_program(config.playback)
        except WakewordError as exc:
            raise ConfigError(f"{path}: {exc}") from exc
    try:
        voices = enrolled(config.words)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    if any(word.speech for word in config.words.values()):
        SpeechGate()
    for name, action in config.actions.items():
        try:
            _check_action(action, name, config.state)
        except ConfigError as exc:
            raise ConfigError(f"{path}: [action.{name}] {exc}") from exc
    for name in ("metrics", "wyoming", "web"):
        if (server := getattr(config, name)) is not None:
            _check_port(path, name, server)
    if config.metrics is not None and importlib.util.find_spec("prometheus_client") is None:
        raise ConfigError('[metrics] needs prometheus-client: pip install "wakeword[metrics]"')
    if config.web is not None:
        _check_page(path, config.web, config.state)
    lines = [f"{path}: fine"]
    for word in config.words:
        actions = ", ".join(f"{n} ({kind(config, n)})" for n in config.actions_of(word))
        lines.append(f"{word}: {actions or 'nothing but a line in the log'}")
    lines += [f"{word}: only {', '.join(own.voices)}" for word, own in voices.items()]
    if config.playback is not None:
        for word, value in raised(config, models.threshold_of()).items():
            needs = "nothing is done" if value > 1 else f"it needs {value:.3f}"
            lines.append(f"{word}: {needs} while the machine plays sound")
    if config.wyoming is not None and (why := can_announce(config.wyoming)):
        lines.append(f"[wyoming] is not announced: {why}")
    for name, action in config.actions.items():
        if isinstance(action, AssistConfig):
            lines += [f"[action.{name}] {what}" for what in _assist(action)]
    return "\n".join(lines)


def _check_page(path: Path, web: WebConfig, state: Path) -> None:
    """Raise ConfigError where a library is missing, or a token cannot be used; makes none."""
    for library in ("tornado", "tomlkit"):
        if importlib.util.find_spec(library) is None:
            raise ConfigError(f'[web] needs {library}: pip install "wakeword[web]"')
    token_file = token_path(web, state)
    if token_file is not None and token_file.exists():
        try:
            read_token(token_file)
        except ConfigError as exc:
            raise ConfigError(f"{path}: [web] {exc}") from exc


def _assist(action: AssistConfig) -> list[str]:
    """Say what a satellite of Home Assistant's cannot do here."""
    found = []
    if why := can_announce(action):
        found.append(f"is not announced: {why}")
    if action.answers and not player_program(action.player):
        found.append("speaks no answers: no paplay or aplay here (apt install alsa-utils)")
    return found


def _check_port(path: Path, name: str, server: ServerConfig) -> None:
    """Raise ConfigError where a certificate cannot be used; binds nothing."""
    try:
        Port(server, 0)
    except ConfigError as exc:
        raise ConfigError(f"{path}: [{name}] {exc}") from exc


def _check_action(action: ActionConfig, name: str, state: Path) -> None:
    """Raise ConfigError where a program, a library or a secret is missing; connects to nobody."""
    if isinstance(action, CommandConfig) and shutil.which(action.run[0]) is None:
        raise ConfigError(f"run: {action.run[0]!r} is no program here; give its whole path")
    if isinstance(action, MqttConfig):
        connect_client(f"action {name}", action, "check")
    if isinstance(action, SocketConfig) and action.address is not None:
        Port(action.server, 0)
        token_file = socket_token_path(action, state)
        if token_file is not None and token_file.exists():
            read_token(token_file)
    if isinstance(action, AssistConfig):
        Port(action, 0)
        player_program(action.player)
    if isinstance(action, SatelliteConfig) and action.tls:
        client_context(action.ca_file)
    if isinstance(action, WebhookConfig):
        read_secret(action.secret_file)
        client_context(action.ca_file)


def kind(config: DaemonConfig, name: str) -> str:
    """Return the kind of an action, as the file names it."""
    return type(config.actions[name]).__name__.removesuffix("Config").lower()


def run(path: Path) -> int:
    """Listen until SIGTERM or SIGINT; SIGHUP reads the configuration again."""
    if sys.platform == "win32":
        raise DeviceError("the daemon needs Linux or macOS; here take: wakeword listen --json")
    service = Service(path)
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: service.request_stop()),
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: service.request_stop()),
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: service.request_reload()),
    }
    try:
        with daemon_log(service.config.log):
            service.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.stderr.flush()
    return 0
