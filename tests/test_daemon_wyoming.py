"""The Wyoming service against the real client of that project, and against what no client sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from tests.daemon_kit import PATIENCE_S
from wakeword.audio import read_audio, to_int16
from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.hub import Hub
from wakeword.daemon.models import Models, read_models
from wakeword.daemon.settings import ServerConfig, WordConfig
from wakeword.daemon.wyoming_server import WyomingServer
from wakeword.daemon.wyoming_stream import pcm
from wakeword.daemon.wyoming_wire import (
    HEADER_BYTES,
    PAYLOAD_BYTES,
    Message,
    WireError,
    read_message,
    write_message,
)
from wakeword.errors import AudioFormatError

ROOT = Path(__file__).parents[1]
RATE_HZ = 16_000


@lru_cache(maxsize=1)
def demo() -> NDArray[np.int16]:
    return read_audio(ROOT / "wakeword/demo/computer.flac")


@lru_cache(maxsize=1)
def models() -> Models:
    return read_models(DaemonConfig(words={"computer": WordConfig(), "jarvis": WordConfig()}))


@pytest.fixture(scope="module")
def server() -> Iterator[WyomingServer]:
    hub = Hub()
    hub.start()
    server = WyomingServer(ServerConfig(address="127.0.0.1:0", clients=8), models)
    hub.call(server.open())
    yield server
    hub.call(server.close())
    hub.stop()


def talk(server: WyomingServer, *conversations: Callable[[AsyncTcpClient], Awaitable[Any]]) -> Any:
    """Hold conversations with the server, all at once."""

    async def one(conversation: Callable[[AsyncTcpClient], Awaitable[Any]]) -> Any:
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            return await asyncio.wait_for(conversation(client), PATIENCE_S)

    async def all_of_them() -> Any:
        return await asyncio.gather(*(one(c) for c in conversations))

    return asyncio.run(all_of_them())


async def speak(
    client: AsyncTcpClient,
    names: list[str] | None,
    sound: NDArray[Any] | None = None,
    rate: int = RATE_HZ,
    width: int = 2,
    channels: int = 1,
) -> list[tuple[str, int] | None]:
    """Send a recording as a satellite does, and return what came back."""
    sound = demo() if sound is None else sound
    await client.write_event(Detect(names=names).event())
    await client.write_event(AudioStart(rate, width, channels, timestamp=0).event())
    step = rate // 10 * channels
    for at in range(0, len(sound), step):
        chunk = AudioChunk(
            rate, width, channels, sound[at : at + step].tobytes(),
            timestamp=1000 * at // (rate * channels),
        )  # fmt: skip
        await client.write_event(chunk.event())
    await client.write_event(AudioStop().event())
    await client.write_event(Ping(text="end").event())
    found: list[tuple[str, int] | None] = []
    while (event := await client.read_event()) is not None and not Pong.is_type(event.type):
        if Detection.is_type(event.type):
            detection = Detection.from_event(event)
            found.append((str(detection.name), int(detection.timestamp or 0)))
        elif NotDetected.is_type(event.type):
            found.append(None)
        else:
            found.append((event.type, 0))
    return found


def words(found: list[tuple[str, int] | None]) -> list[str | None]:
    return [None if one is None else one[0] for one in found]


def test_describe_gives_what_home_assistant_reads(server: WyomingServer) -> None:
    async def describe(client: AsyncTcpClient) -> Info:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        return Info.from_event(event)

    (info,) = talk(server, describe)
    (program,) = info.wake
    assert program.installed
    assert program.attribution.name == "wakeword"
    assert [(m.name, m.phrase, m.installed) for m in program.models] == [
        ("computer", "computer", True),
        ("jarvis", "jarvis", True),
    ]
    assert info.asr == info.tts == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, ["computer", "jarvis"]),
        ([], ["computer", "jarvis"]),
        (["jarvis"], ["jarvis"]),
        (["computer"], ["computer"]),
    ],
)
def test_chosen_words_are_detected(
    server: WyomingServer, names: list[str] | None, expected: list[str]
) -> None:
    (found,) = talk(server, lambda client: speak(client, names))
    assert words(found) == expected
    times = [one[1] for one in found]
    assert times == sorted(times)
    assert 500 < times[0] < len(demo()) / 16


def test_an_unknown_word_is_an_error_and_is_not_detected(server: WyomingServer) -> None:
    (found,) = talk(server, lambda client: speak(client, ["hal"]))
    assert words(found) == ["error", None]


def test_sound_without_a_word_is_not_detected_and_the_next_one_starts_anew(
    server: WyomingServer,
) -> None:
    async def twice(client: AsyncTcpClient) -> list[Any]:
        first = await speak(client, None, np.zeros(RATE_HZ, np.int16))
        return [first, await speak(client, None)]

    ((first, second),) = talk(server, twice)
    assert first == [None]
    assert words(second) == ["computer", "jarvis"]


def test_several_clients_at_once_each_hear_their_own(server: WyomingServer) -> None:
    found = talk(
        server,
        *[
            lambda client, names=names: speak(client, names)  # type: ignore[misc]
            for names in (["computer"], ["jarvis"], None, ["computer"], ["jarvis"])
        ],
    )
    assert [words(one) for one in found] == [
        ["computer"], ["jarvis"], ["computer", "jarvis"], ["computer"], ["jarvis"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(48_000, 2, 1), (44_100, 4, 2), (22_050, 2, 1), (16_000, 4, 2)]
)
def test_other_rates_and_forms_of_sound_are_heard(
    server: WyomingServer, rate: int, width: int, channels: int
) -> None:
    sound = soxr.resample(demo().astype(np.float32) / 32768, RATE_HZ, rate)
    scaled = np.rint(sound * (2 ** (8 * width - 1) - 256)).astype(f"<i{width}")
    frames = np.repeat(scaled, channels)
    (found,) = talk(server, lambda client: speak(client, None, frames, rate, width, channels))
    assert words(found) == ["computer", "jarvis"]


def test_clients_beyond_the_limit_are_hung_up_on(server: WyomingServer) -> None:
    with_server = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for client in with_server:
            client.settimeout(PATIENCE_S)
            client.sendall(b'{"type": "ping"}\n')
            assert client.recv(100)
        with socket.create_connection(("127.0.0.1", server.port)) as late:
            late.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionResetError):
                assert late.recv(1) == b""
    finally:
        for client in with_server:
            client.close()
    assert words(talk(server, lambda client: speak(client, ["jarvis"]))[0]) == ["jarvis"]


def test_the_end_of_the_daemon_closes_clients_and_complains_of_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub()
    hub.start()
    server = WyomingServer(ServerConfig(address="127.0.0.1:0"), models)
    hub.call(server.open())
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(PATIENCE_S)
        client.sendall(b'{"type": "ping"}\n')
        assert client.recv(100)
        hub.call(server.close())
        hub.stop()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert caplog.records == []


BAD = [
    b"\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"[]\n",
    b"{}\n",
    b'{"type": 3}\n',
    b'{"type": "ping", "data": []}\n',
    b'{"type": "ping", "data_length": -1}\n',
    b'{"type": "ping", "data_length": true}\n',
    b'{"type": "ping", "data_length": 1e3}\n',
    b'{"type": "ping", "data_length": 99999999999}\n',
    b'{"type": "audio-chunk", "payload_length": 10000000000000}\n',
    b'{"type": "ping", "data_length": 2}\n[]',
    b'{"type": "audio-chunk", "payload_length": 1000}\nkilled in the middle',
    b'{"type": "audio-ch',
    b"x" * (HEADER_BYTES + 10),
    b"[" * 60_000 + b"\n",
    write_message("audio-chunk", {"rate": 1, "width": 2, "channels": 1}),
    write_message("audio-chunk", {"rate": 16000, "width": 5, "channels": 1}),
    write_message("audio-chunk", {"rate": 16000, "width": 2, "channels": 0}),
    write_message("audio-chunk", {"rate": "16000", "width": 2, "channels": 1}),
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 2}, '
    b'"payload_length": 3}\nabc',
    write_message("detect", {"names": "computer"}),
    write_message("detect", {"names": [1]}),
    write_message("detect", {"names": ["x"] * 101}),
]


@pytest.mark.parametrize("garbage", BAD, ids=range(len(BAD)))
def test_garbage_is_cut_off_and_the_others_hear_on(server: WyomingServer, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(PATIENCE_S)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass

    async def ping(client: AsyncTcpClient) -> Event | None:
        await client.write_event(Ping(text="x").event())
        return await client.read_event()

    (answer,) = talk(server, ping)
    assert Pong.from_event(answer).text == "x"


def parse(data: bytes) -> list[Message]:
    """Read every message of a stream that ends."""

    async def read() -> list[Message]:
        reader = asyncio.StreamReader(limit=HEADER_BYTES)
        reader.feed_data(data)
        reader.feed_eof()
        found = []
        while (message := await read_message(reader)) is not None:
            found.append(message)
        return found

    return asyncio.run(read())


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "data", "data_length", "payload_length", "x"]), inner
                )
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode() + b"\nrest"),
    )
)
def test_any_bytes_are_messages_or_an_error_of_ours(data: bytes) -> None:
    said = ""
    try:
        for message in parse(data):
            assert isinstance(message.type, str)
            assert isinstance(message.data, dict)
            assert len(message.payload) <= PAYLOAD_BYTES
    except WireError as exc:
        said = str(exc)
    assert len(said) < 200  # nobody fills our log


@settings(max_examples=50)
@given(
    kind=st.text(max_size=20),
    data=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
def test_what_is_written_is_read_again(kind: str, data: dict[str, Any]) -> None:
    (message,) = parse(write_message(kind, data))
    assert (message.type, dict(message.data), message.payload) == (kind, data, b"")


@given(payload=st.binary(max_size=200), width=st.integers(1, 4), channels=st.integers(1, 8))
def test_any_pcm_is_samples_or_an_error(payload: bytes, width: int, channels: int) -> None:
    try:
        samples = to_int16(pcm(payload, width, channels))
    except WireError:
        assert len(payload) % (width * channels)
    except AudioFormatError as exc:
        pytest.fail(str(exc))
    else:
        assert samples.shape == (len(payload) // (width * channels),)


def test_24_bits_are_the_upper_bytes() -> None:
    assert pcm(b"\x00\x00\x80" b"\xff\xff\x7f" b"\x00\x00\x01", 3, 1).tolist() == [
        -32768, 32767, 256,
    ]  # fmt: skip
