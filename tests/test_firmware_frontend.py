"""The C front end equals the library that training and the Pi use, bit for bit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware_export.frontend_tables import frontend_tables
from firmware_export.verify import SANITIZERS, compile_host
from tests.firmware_cases import DEMO, GOLDEN, need, recordings, sources
from wakeword.audio import read_audio
from wakeword.frontend import features


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The check program, plain and under the sanitizers."""
    need("gcc")
    folder = tmp_path_factory.mktemp("c99")
    sources("tiny_step", folder)
    plain, checked = folder / "plain", folder / "checked"
    compile_host(folder, plain)
    compile_host(folder, checked, flags=SANITIZERS)
    return plain, checked


def frames(tool: Path, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
    done = subprocess.run(
        [tool, "frames"], input=samples.tobytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.uint16).reshape(-1, 40)


@pytest.mark.parametrize("path", [DEMO, *GOLDEN], ids=lambda p: p.stem)
def test_recordings_give_the_same_features(tools: tuple[Path, Path], path: Path) -> None:
    samples = read_audio(path)
    np.testing.assert_array_equal(frames(tools[1], samples), features(samples))


def test_ten_minutes_give_the_same_features(tools: tuple[Path, Path]) -> None:
    samples = recordings(600)
    np.testing.assert_array_equal(frames(tools[0], samples), features(samples))


def loud(kind: str) -> NDArray[np.int16]:
    """Sounds at the ends of 16 bits."""
    n = np.arange(32_000)
    rng = np.random.default_rng(3)
    shapes = {
        "square": np.where(n // 8 % 2, 32767, -32768),
        "lowest": np.full(len(n), -32768),
        "highest": np.full(len(n), 32767),
        "nyquist": np.where(n % 2, 32767, -32768),
        "clipped noise": np.clip(rng.normal(0, 60_000, len(n)), -32768, 32767),
        "one sample": np.where(n == 16_000, -32768, 0),
        "faint": rng.integers(-1, 2, len(n)),
        "loud, then silent": np.where(n < 8_000, rng.integers(-32768, 32768, len(n)), 0),
        "random walk of levels": rng.normal(0, 1, len(n)) * 10 ** (2 + 2 * np.sin(n / 500)),
    }
    return np.asarray(shapes[kind]).astype(np.int16)


@pytest.mark.parametrize(
    "kind",
    ["square", "lowest", "highest", "nyquist", "clipped noise", "one sample", "faint",
     "loud, then silent", "random walk of levels"],
)  # fmt: skip
def test_odd_sounds_give_the_same_features(tools: tuple[Path, Path], kind: str) -> None:
    np.testing.assert_array_equal(frames(tools[1], loud(kind)), features(loud(kind)))


@settings(max_examples=40)
@given(data=st.binary(max_size=6_000), gain=st.sampled_from([1, 40, 32_767]))
def test_any_samples_give_the_same_features(
    tools: tuple[Path, Path], data: bytes, gain: int
) -> None:
    drawn = np.frombuffer(data[: len(data) // 2 * 2], np.int16)
    samples = np.tile(np.clip(drawn.astype(np.int64) * gain, -32768, 32767), 3).astype(np.int16)
    np.testing.assert_array_equal(frames(tools[1], samples), features(samples))


def test_the_bands_share_each_bin_and_their_sums_fit() -> None:
    tables = frontend_tables()
    assert tables.ends[-1] - tables.first == len(tables.weights) == 236
    # The root takes sums below 2^56; energies lie below 2^31.
    widest = max(b - a for a, b in zip(tables.ends, tables.ends[1:], strict=False))
    assert 2**31 * 4096 * 2 * widest < 2**56
    assert sorted(tables.order) == list(range(256))


def test_oracle_sees_one_wrong_constant(tmp_path: Path) -> None:
    need("gcc")
    sources("tiny_step", tmp_path)
    tables = (tmp_path / "wk_tables.c").read_text()
    assert " 54," in tables
    (tmp_path / "wk_tables.c").write_text(tables.replace(" 54,", " 53,", 1))
    compile_host(tmp_path, tmp_path / "wrong")
    samples = recordings(10)
    assert not np.array_equal(frames(tmp_path / "wrong", samples), features(samples))
