"""What the page shows of the daemon, as plain values."""

from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wakeword
from wakeword.daemon.config import read_config
from wakeword.errors import WakewordError
from wakeword.shelf import read_table

if TYPE_CHECKING:
    from wakeword.web.server import WebServer

__all__ = ["recordings_of", "state_of", "status_of"]


def state_of(server: WebServer) -> dict[str, Any]:
    """Return what changes seldom: words, thresholds, microphone, and what the file says of them."""
    service = server.service
    config = service.config
    written: dict[str, Any] = {"path": None, "trouble": "", "thresholds": {}, "device": None}
    if service.path is not None:
        written["path"] = str(service.path)
        try:
            file = read_config(service.path)
            written["device"] = file.audio.device
            written["thresholds"] = {word: w.threshold for word, w in file.words.items()}
        except WakewordError as exc:
            written["trouble"] = str(exc)
    in_force = service.models.threshold_of()
    return {
        "version": wakeword.__version__,
        "token": server.token is not None,
        "words": [
            {
                "word": word,
                "threshold": in_force[word],
                "own": bundle.decision[word].threshold,
                "bundle": bundle.name,
            }
            for bundle, words in service.models.bundles
            for word in words
        ],
        "source": "file" if service.has_source else config.audio.source,
        "device": config.audio.device,
        "file": written,
        "review": config.review is not None,
    }


def status_of(server: WebServer) -> dict[str, Any]:
    """Return how the daemon is."""
    service = server.service
    stats = service.stats
    now_s = service.clock.now()
    last_s = stats.last_audio_s
    return {
        "uptime_s": now_s - server.started_s,
        "audio_s": stats.audio_s,
        "last_audio_age_s": None if last_s is None else now_s - last_s,
        "dropped_s": stats.dropped / 16_000,
        "overflows": stats.overflows,
        "restarts": stats.restarts,
        "reloads": stats.reloads,
        "load": stats.real_time_factor,
        "words": [
            {
                "word": word,
                "heard": stats.detections[word],
                "quiet": stats.quiet[word],
                "left": stats.unspoken[word] + stats.strangers[word] + stats.elsewhere[word]
                + stats.masked[word],
            }
            for word in service.models.words
        ],
        "actions": [
            {
                "name": name, "pending": sink.pending, "delivered": sink.delivered,
                "dropped": sink.dropped,
            }
            for name, sink in service.sinks.sinks().items()
        ],
        "pages": len(server.feeds),
        "versions": {
            "wakeword": wakeword.__version__,
            "Python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "log": server.memory.lines(),
    }  # fmt: skip


def recordings_of(root: Path) -> list[dict[str, Any]]:
    """Count the samples in a folder, by what is said and who says it."""
    counts = Counter((row.label, row.speaker) for row in read_table(root))
    return [
        {"phrase": phrase, "speaker": speaker, "count": count}
        for (phrase, speaker), count in sorted(counts.items())
    ]
