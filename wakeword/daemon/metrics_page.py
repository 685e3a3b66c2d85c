"""The daemon's numbers for Prometheus, over the smallest HTTP server that is safe to leave open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from wakeword.daemon.port import Port
from wakeword.daemon.settings import ServerConfig
from wakeword.errors import ConfigError

if TYPE_CHECKING:
    from wakeword.daemon.service import Service

__all__ = ["MetricsServer"]

HEAD_BYTES = 8192
PATIENCE_S = 5.0  # for a whole request, and for the reader of the answer


class _Collector:
    """Reads the daemon's counts when it is asked, so that counting costs the listener nothing."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Any]:
        """Yield one family after the other; prometheus-client calls this at each scrape."""
        from prometheus_client.core import CounterMetricFamily as Counter
        from prometheus_client.core import GaugeMetricFamily as Gauge

        stats = self._service.stats
        for name, text, value in (
            ("audio_seconds", "Sound heard.", stats.audio_s),
            ("audio_dropped_seconds", "Sound lost because we were late.", stats.dropped / 16_000),
            ("audio_overflows", "Times the audio system lost sound.", stats.overflows),
            ("device_restarts", "Times the microphone went and came back.", stats.restarts),
            ("reloads", "Configurations taken over while running.", stats.reloads),
            ("busy_seconds", "Processor time spent on the sound.", stats.busy_s),
        ):
            yield Counter(f"wakeword_{name}", text, value=value)
        factor = Gauge("wakeword_real_time_factor", "Processor seconds per second of sound.")
        factor.add_metric([], stats.real_time_factor)
        yield factor
        age = Gauge(
            "wakeword_last_audio_age_seconds", "Since sound last came; -1 before the first."
        )
        last = stats.last_audio_s
        age.add_metric([], -1 if last is None else self._service.clock.now() - last)
        yield age
        if self._service.config.playback is not None:
            playing = Gauge("wakeword_playing", "1 while the machine itself plays sound, or 0.")
            playing.add_metric([], stats.playing)
            yield playing
        for name, text, counts in (
            ("detections", "Words heard.", stats.detections),
            ("quiet", "Words heard in quiet hours.", stats.quiet),
            ("unspoken", "Words heard where nobody spoke.", stats.unspoken),
            ("strangers", "Words that no enrolled voice said.", stats.strangers),
            ("elsewhere", "Words on which another machine acted.", stats.elsewhere),
            ("masked", "Words that do nothing while the machine plays sound.", stats.masked),
        ):
            family = Counter(f"wakeword_{name}", text, labels=["word"])
            for word in self._service.models.words:
                family.add_metric([word], counts[word])
            yield family
        sinks = self._service.sinks.sinks()
        pending = Gauge("wakeword_pending", "Events not delivered yet.", labels=["action"])
        delivered = Counter("wakeword_delivered", "Events delivered.", labels=["action"])
        dropped = Counter("wakeword_dropped", "Events given up.", labels=["action"])
        for name, sink in sinks.items():
            pending.add_metric([name], sink.pending)
            delivered.add_metric([name], sink.delivered)
            dropped.add_metric([name], sink.dropped)
        yield from (pending, delivered, dropped)


class MetricsServer(Port):
    """Answers ``GET /metrics``, one request a connection, and nothing else.

    Raises:
        ConfigError: prometheus-client is missing, or the certificate cannot be used.
    """

    def __init__(self, config: ServerConfig, service: Service) -> None:
        super().__init__(config, HEAD_BYTES)
        try:
            from prometheus_client import CollectorRegistry, generate_latest
        except ImportError as exc:
            raise ConfigError(
                '[metrics] needs prometheus-client: pip install "wakeword[metrics]"'
            ) from exc
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(service))
        self._page: Callable[[], bytes] = lambda: generate_latest(registry)
        self._open_count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request within PATIENCE_S, or hang up."""
        self._open_count += 1
        try:
            if self._open_count <= self.config.clients:
                await asyncio.wait_for(self._answer(reader, writer), PATIENCE_S)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            pass
        except asyncio.LimitOverrunError:
            pass  # a head longer than HEAD_BYTES
        finally:
            self._open_count -= 1
            with contextlib.suppress(OSError):
                if writer.transport.get_write_buffer_size():
                    writer.transport.abort()
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the head of a request and write the answer."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            status, body = "405 Method Not Allowed", b"only GET\n"
        elif target != b"/metrics":
            status, body = "404 Not Found", b"only /metrics\n"
        else:
            status, body = "200 OK", self._page()
        lines = (
            f"HTTP/1.1 {status}",
            "Content-Type: text/plain; version=0.0.4; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "X-Content-Type-Options: nosniff",
        )
        writer.write("\r\n".join(lines).encode("ascii") + b"\r\n\r\n")
        if method != b"HEAD":
            writer.write(body)
        await writer.drain()
