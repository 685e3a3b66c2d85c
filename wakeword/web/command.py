"""The command ``wakeword web``: listen, and show it on a page, without doing anything else."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from wakeword.audio import RATE_HZ, read_audio
from wakeword.bundle import find_bundle, read_bundle
from wakeword.daemon.config import DaemonConfig, read_config, state_folder
from wakeword.daemon.models import read_models
from wakeword.daemon.service import Service
from wakeword.daemon.settings import AudioConfig, WebConfig, WordConfig
from wakeword.errors import ConfigError
from wakeword.microphone import Clock, SystemClock
from wakeword.sources import BLOCK_MS, Chunk

__all__ = ["config_of", "paced", "web"]

DEFAULT_MODEL = "computer_jarvis"
BLOCK = RATE_HZ * BLOCK_MS // 1000


def web(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    clock = SystemClock()
    source = paced(Path(args.file), clock) if args.file else None
    path = Path(args.config) if args.config else None
    service = Service(path, read=partial(config_of, args), source=source, clock=clock)
    read_models(service.config)
    before = {
        number: signal.signal(number, lambda *_: service.request_stop())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        service.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def config_of(args: argparse.Namespace) -> DaemonConfig:
    """Make of the options, and of the file they name, what the daemon's own parts take.

    No action is run and no other port is opened: the daemon itself may be running, and one word
    would do everything twice. Clips are kept for review as the file says.

    Raises:
        ConfigError: an option or the file is wrong.
        BundleError: a bundle is damaged.
    """
    config = read_config(Path(args.config)) if args.config else _config(args.bundle)
    audio = config.audio
    if args.device is not None:
        device = int(args.device) if args.device.isdecimal() else args.device
        audio = AudioConfig(device=device)
    elif audio.source != "microphone":
        audio = AudioConfig()
    return replace(
        config,
        words={word: replace(w, actions=()) for word, w in config.words.items()},
        actions={}, audio=audio, metrics=None, wyoming=None, once=None,
        web=_page(config.web or WebConfig(), args),
    )  # fmt: skip


def paced(path: Path, clock: Clock) -> Iterator[Chunk]:
    """Yield a recording as a microphone would, over and over.

    Raises:
        AudioFormatError: it cannot be read.
        ConfigError: it is empty.
    """
    samples = read_audio(path)
    if not len(samples):
        raise ConfigError(f"{path}: holds no sound")
    due_s = clock.now()
    while True:
        for start in range(0, len(samples), BLOCK):
            chunk = samples[start : start + BLOCK]
            due_s += len(chunk) / RATE_HZ
            clock.sleep(max(0.0, due_s - clock.now()))
            yield Chunk(chunk)


def _config(bundles: list[str]) -> DaemonConfig:
    """Make a configuration of bundles, for all their words."""
    words = {}
    for name in bundles or [DEFAULT_MODEL]:
        path, word = find_bundle(name)
        for one in [word] if word else read_bundle(path).words:
            words[one] = WordConfig(model=str(path))
    return DaemonConfig(words=words, state=state_folder())


def _page(config: WebConfig, args: argparse.Namespace) -> WebConfig:
    """Let options override what the file says of the page."""
    host, port = config.host_port
    host = args.host or host
    port = port if args.port is None else args.port
    given = {
        "token_file": args.token_file, "cert_file": args.cert, "key_file": args.key,
        "recordings": args.recordings,
    }  # fmt: skip
    return replace(
        config,
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        **{name: value for name, value in given.items() if value is not None},
    )
