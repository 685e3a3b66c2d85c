from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeword.errors import ConfigError
from wakeword_train.data.rdata import parse_rda, read_rda

NULL = struct.pack(">i", 254)
DATA = Path(os.environ.get("WAKEWORD_SHARED", "absent")) / "data" / "text"


def chars(text: str | None) -> bytes:
    if text is None:
        return struct.pack(">ii", 9, -1)
    return struct.pack(">ii", 9 | 64 << 12, len(text.encode())) + text.encode()


def strings(texts: list[str | None], flags: int = 0) -> bytes:
    return struct.pack(">ii", 16 | flags, len(texts)) + b"".join(map(chars, texts))


def numbers(values: list[Any], kind: int, flags: int = 0) -> bytes:
    form = {13: "i", 10: "i", 14: "d", 24: "B"}[kind]
    return struct.pack(f">ii{len(values)}{form}", kind | flags, len(values), *values)


def pairs(named: dict[str, bytes]) -> bytes:
    """A chain of named values, each name told in full."""
    links = [struct.pack(">ii", 2 | 1024, 1) + chars(n) + item for n, item in named.items()]
    return b"".join(links) + NULL


def table(columns: dict[str, bytes]) -> bytes:
    names = pairs({"names": strings(list(columns)), "class": strings(["data.frame"])})
    return struct.pack(">ii", 19 | 256 | 512, len(columns)) + b"".join(columns.values()) + names


def saved(named: dict[str, bytes], version: int = 3) -> bytes:
    head = f"RDX{version}\nX\n".encode() + struct.pack(">iii", version, 0x40003, 0x20300)
    encoding = struct.pack(">i", 5) + b"UTF-8" if version == 3 else b""
    return head + encoding + pairs(named)


FACTOR = numbers([2, 1, -(2**31)], 13, 256 | 512) + pairs({"levels": strings(["no", "yes"])})
FRAME = {
    "x": numbers([1.5, 2.5, float("nan")], 14),
    "n": numbers([1, 2, 3], 13),
    "gone": numbers([1, -(2**31), 3], 13),
    "word": strings(["a", None, "\u00e9"]),
    "kind": FACTOR,
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_data_frame_is_read(version: int, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.rda"
    path.write_bytes(pack(saved({"frame": table(FRAME), "k": numbers([7], 13)}, version)))
    found = read_rda(path)
    assert list(found) == ["frame", "k"]
    frame = found["frame"]
    assert list(frame) == list(FRAME)
    np.testing.assert_array_equal(frame["x"], [1.5, 2.5, np.nan])
    assert frame["n"].dtype == np.int32
    np.testing.assert_array_equal(frame["gone"], [1, np.nan, 3])
    assert frame["word"].tolist() == ["a", None, "\u00e9"]
    assert frame["kind"].tolist() == ["yes", "no", None]
    assert found["k"].tolist() == [7]


@given(
    st.lists(st.floats(), max_size=9), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=9)
)
def test_numbers_come_back_as_they_were(reals: list[float], whole: list[int]) -> None:
    found = parse_rda(saved({"a": numbers(reals, 14), "b": numbers(whole, 13)}))
    np.testing.assert_array_equal(found["a"], reals)
    np.testing.assert_array_equal(found["b"], whole)


def test_matrices_references_and_short_forms_are_read() -> None:
    matrix = numbers([1, 2, 3, 4, 5, 6], 13, 512) + pairs({"dim": numbers([2, 3], 13)})
    short = (
        struct.pack(">i", 238)
        + struct.pack(">i", 2) + struct.pack(">i", 1) + chars("compact_intseq")
        + struct.pack(">i", 2) + struct.pack(">i", 1) + chars("base")
        + struct.pack(">i", 2) + numbers([13], 13) + NULL
        + numbers([4.0, 3.0, 2.0], 14) + NULL
    )  # fmt: skip
    again = struct.pack(">iI", 2 | 1024, 1 << 8 | 255) + numbers([9], 13)  # the name read first
    content = saved({"x": matrix})[:-4] + struct.pack(">ii", 2 | 1024, 1) + chars("s") + short
    found = parse_rda(content + again + NULL)
    assert found["s"].tolist() == [3, 5, 7, 9]
    assert found["x"].tolist() == [9]  # told a second time, under the same name
    assert parse_rda(saved({"x": matrix}))["x"].tolist() == [[1, 3, 5], [2, 4, 6]]


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_refused_or_read_but_nothing_else(
    place: int, value: int, cut: bool
) -> None:
    content = bytearray(saved({"frame": table(FRAME), "k": numbers([7], 13)}))
    place %= len(content)
    if cut:
        del content[place:]
    else:
        content[place] = value
    try:
        parse_rda(bytes(content))
    except ConfigError as exc:
        assert str(exc)  # noqa: PT017 - whatever it is, it says so
    else:
        assert not cut


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RDA3\nA\n", "need data saved by R in its binary form"),
        (b"", "need data saved by R"),
        (saved({"f": struct.pack(">i", 3)}), "need data, not code"),
        (saved({"f": struct.pack(">ii", 14, 10**6)}), "damaged"),
        (saved({"f": struct.pack(">i", 19 | 0) + struct.pack(">i", 1)}), "cut off"),
        (saved({}), "no named objects"),
        (saved({"f": (struct.pack(">ii", 19, 1)) * 300 + NULL}), "deep"),
        (saved({"k": numbers([3], 13, 512) + pairs({"levels": strings(["a"])})}), "not there"),
        (saved({"k": numbers([3], 13, 512) + pairs({"dim": numbers([2], 13)})}), "for the shape"),
        (saved({"k": struct.pack(">i", 255 | 9 << 8)}), "refers to item 9"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_rda(content)


def test_a_file_that_is_not_there_or_not_packed_right_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.rda"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rda(path)
    path.write_bytes(gzip.compress(saved({"k": numbers([7], 13)}))[:-9])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rda(path)
    path.write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"x\.rda: begins with"):
        read_rda(path)


@pytest.mark.skipif(not DATA.is_dir(), reason="reads $WAKEWORD_SHARED")
def test_real_files_have_what_their_makers_say() -> None:
    genes = read_rda(DATA / "dna" / "DNA.rda")["DNA"]
    assert len(genes) == 181
    assert {name: len(column) for name, column in genes.items()} == dict.fromkeys(genes, 3186)
    assert sorted(set(genes["Class"])) == ["ei", "ie", "n"]
    spy = read_rda(DATA / "volatility" / "SPYRM.rda")["SPYRM"]
    assert len(spy["RV5"]) == 1495
    assert spy["RV5"].min() > 0
    trades = read_rda(DATA / "volatility" / "sampleTDataRaw.rda")["sampleTDataRaw"]
    assert len({len(column) for column in trades.values()}) == 1
