"""Wake-word detection for others over the Wyoming protocol, as Home Assistant and satellites ask.

A client says ``describe`` and gets ``info``; or ``detect`` with the words it wants, then
``audio-start``, ``audio-chunk``s and ``audio-stop``. It gets a ``detection`` for every word, or
``not-detected`` when its sound ended without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import wakeword
from wakeword.daemon.models import Models
from wakeword.daemon.settings import ServerConfig
from wakeword.daemon.wyoming_port import UNSENT_BYTES, WyomingPort
from wakeword.daemon.wyoming_stream import WyomingStream
from wakeword.daemon.wyoming_wire import Message, WireError, read_message, write_message
from wakeword.errors import WakewordError

__all__ = ["WyomingServer", "info", "wake_info"]

NAMES = 100


def info(models: Models) -> dict[str, Any]:
    """Describe the words that can be asked for, as ``info`` does."""
    return wake_info({w: bundle.sha256[:12] for bundle, words in models.bundles for w in words})


def wake_info(versions: Mapping[str, str]) -> dict[str, Any]:
    """Describe words, each with the version of its model, as ``info`` does."""
    own = {"name": "wakeword", "url": ""}
    words = [
        {
            "name": word,
            "description": word,
            "phrase": word,
            "languages": [],
            "attribution": own,
            "installed": True,
            "version": version,
        }
        for word, version in versions.items()
    ]
    program = {
        "name": "wakeword",
        "description": "Wake words on the machine itself",
        "attribution": own,
        "installed": True,
        "version": wakeword.__version__,
        "models": words,
    }
    return {
        "asr": [],
        "tts": [],
        "handle": [],
        "intent": [],
        "wake": [program],
        "mic": [],
        "snd": [],
    }


class WyomingServer(WyomingPort):
    """Serves each client with a detector of its own.

    Args:
        config: where, and how many at once.
        models: returns the models in force; a client gets those of the time when it asks.
    """

    def __init__(self, config: ServerConfig, models: Callable[[], Models]) -> None:
        super().__init__(config)
        self._models = models

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer message after message."""
        stream = WyomingStream(self._models())
        while (message := await read_message(reader)) is not None:
            if message.type == "describe":
                stream.models = self._models()
                writer.write(write_message("info", info(stream.models)))
            elif message.type == "ping":
                writer.write(write_message("pong", message.data))
            elif message.type == "detect":
                stream.models = self._models()
                names = _names(message)
                if unknown := stream.choose(names):
                    text = f"no such wake word: {', '.join(unknown)[:200]}"
                    writer.write(write_message("error", {"text": text, "code": "unknown-word"}))
            elif message.type in ("audio-start", "audio-chunk", "audio-stop"):
                try:
                    await stream.take(message, lambda k, d: writer.write(write_message(k, d)))
                except WakewordError as exc:
                    raise WireError(str(exc)) from exc
            if writer.transport.get_write_buffer_size() > UNSENT_BYTES:
                raise WireError("does not read its answers")


def _names(message: Message) -> list[str]:
    """Return the words a client asks for; none means all."""
    names = message.data.get("names")
    if names is None:
        return []
    if not isinstance(names, list) or len(names) > NAMES:
        raise WireError(f"names: need a list of at most {NAMES}")
    if not all(isinstance(name, str) for name in names):
        raise WireError("names: need strings")
    return names
