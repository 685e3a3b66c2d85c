"""Any sample type, any rate, any file becomes int16 mono at 16 kHz, or a clear error."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ, Resampler, iter_audio, mix_down, read_audio, to_int16
from wakeword.errors import AudioFormatError, ConfigError

RNG = np.random.default_rng(7)
NOISE = (RNG.standard_normal(30_000) * 6000).clip(-32768, 32767).astype(np.int16)


def tone(rate_hz: int, seconds: float = 1.0, hz: float = 440.0) -> NDArray[np.float32]:
    """A sine at half of full scale."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * t), dtype=np.float32)


def level_db(got: NDArray[np.int16], want: NDArray[np.int16]) -> float:
    """Level of the difference under the wanted signal, away from the filter's edges."""
    a, b = got[400:-400].astype(float), want[400:-400].astype(float)
    return float(10 * np.log10(np.mean((a - b) ** 2) / np.mean(b**2)))


# ---- to_int16


def test_floats_round_to_nearest_before_they_are_clipped() -> None:
    x = np.array([0.4, 0.6, -0.6, 32766.6, 32767.4, -32768.4]) / 32768
    assert to_int16(x).tolist() == [0, 1, -1, 32767, 32767, -32768]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_nan_is_silence_and_infinities_are_full_scale(dtype: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.25], dtype)
    assert to_int16(x).tolist() == [0, 32767, -32768, 32767, -32768, 8192]


@given(st.lists(st.integers(-32768, 32767), max_size=50))
def test_int16_survives_every_wider_type(values: list[int]) -> None:
    x = np.asarray(values, dtype=np.int16)
    for same in (
        x,
        x.astype(np.int32) << 16,
        x.astype(np.float32) / np.float32(32768),
        x / 32768.0,
        (x.astype(np.int64) + 32768).astype(np.uint16),
    ):
        np.testing.assert_array_equal(to_int16(same), x)
    np.testing.assert_array_equal(to_int16(x.astype(np.int32) << 8, bits=24), x)
    np.testing.assert_array_equal(to_int16(x.astype(np.int64) << 8, bits=24), x)


def test_int32_at_the_top_is_clipped_not_wrapped() -> None:
    x = np.array([2**31 - 1, -(2**31), 2**15 - 1, 2**15 + 1], np.int32)
    assert to_int16(x).tolist() == [32767, -32768, 0, 1]


def test_eight_bits_are_centred() -> None:
    assert to_int16(np.array([0, 127, 128, 255], np.uint8)).tolist() == [-32768, -256, 0, 32512]
    assert to_int16(np.array([-128, 0, 127], np.int8)).tolist() == [-32768, 0, 32512]


@pytest.mark.parametrize("bad", [np.zeros(3, bool), np.zeros(3, complex), np.array(["a"])])
def test_what_is_no_number_is_refused(bad: NDArray[np.generic]) -> None:
    with pytest.raises(AudioFormatError, match="need floats"):
        to_int16(bad)


def test_64_bit_integers_need_their_scale() -> None:
    with pytest.raises(AudioFormatError, match="bits="):
        to_int16(np.array([1, 2]))
    with pytest.raises(ConfigError, match="bits=0"):
        to_int16(np.array([1, 2]), bits=0)


# ---- mix_down


def test_mixing_averages_without_overflow() -> None:
    loud = np.full((4, 2), 32767, np.int16)
    np.testing.assert_array_equal(to_int16(mix_down(loud)), np.full(4, 32767))
    half = np.array([[0.5, 0.0]], np.float32)
    assert mix_down(half).tolist() == [0.25]


def test_a_dead_channel_does_not_poison_the_others() -> None:
    block = np.array([[np.nan, 0.5], [np.inf, 0.0]], np.float32)
    assert mix_down(block).tolist() == [0.25, 0.5]


def test_a_channel_is_chosen_untouched_or_refused() -> None:
    block = np.array([[1, 2], [3, 4]], np.int16)
    assert mix_down(block, 1).tolist() == [2, 4]
    with pytest.raises(ConfigError, match=r"channel=2: there are 2.*0 to 1"):
        mix_down(block, 2)
    with pytest.raises(ConfigError, match="channel=-1"):
        mix_down(block, -1)


# ---- Resampler


@settings(max_examples=20)
@given(
    rate_hz=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000]),
    cuts=st.lists(st.integers(0, len(NOISE)), max_size=8),
)
def test_any_chunking_equals_one_batch(rate_hz: int, cuts: list[int]) -> None:
    whole = Resampler(rate_hz)
    batch = np.concatenate([whole.feed(NOISE), whole.finish()])
    parts = Resampler(rate_hz)
    pieces = [parts.feed(c) for c in np.split(NOISE, sorted(cuts))] + [parts.finish()]
    # Bit for bit: soxr's filter has no block edges; measured with soxr 1.1.
    np.testing.assert_array_equal(np.concatenate(pieces), batch)


def test_equal_rates_pass_through() -> None:
    r = Resampler(RATE_HZ)
    np.testing.assert_array_equal(r.feed(NOISE), NOISE)
    assert len(r.finish()) == 0


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_level_and_length(rate_hz: int) -> None:
    r = Resampler(rate_hz)
    got = np.concatenate([r.feed(tone(rate_hz)), r.finish()])
    want = to_int16(tone(RATE_HZ))
    assert abs(len(got) - len(want)) <= 1
    # One int16 step, away from the edges the filter smooths: it is good to more than 16 bits.
    assert np.abs(got[400:15_600].astype(int) - want[400:15_600]).max() <= 1


def test_what_16_khz_cannot_carry_is_filtered_out() -> None:
    r = Resampler(48_000)
    got = np.concatenate([r.feed(tone(48_000, hz=12_000)), r.finish()])
    assert np.abs(got[400:-400]).max() <= 2  # int16 steps, of 16384 fed


def test_nan_fed_does_not_poison_the_filter() -> None:
    x = tone(48_000)
    x[1000:1010] = np.nan
    r = Resampler(48_000)
    got = np.concatenate([r.feed(x), r.finish()])
    want = to_int16(tone(RATE_HZ))
    # The hole ends 333 samples in; 8000 is past any filter, so only rounding may differ.
    assert np.abs(got[8000:15_600].astype(int) - want[8000:15_600]).max() <= 1


def test_reset_and_finish_equal_a_new_object() -> None:
    fresh = Resampler(44_100)
    want = np.concatenate([fresh.feed(NOISE), fresh.finish()])
    used = Resampler(44_100)
    used.feed(NOISE[:777])
    used.reset()
    for _ in range(2):  # the second time after finish()
        np.testing.assert_array_equal(np.concatenate([used.feed(NOISE), used.finish()]), want)


def test_finishing_an_empty_stream_gives_nothing() -> None:
    assert len(Resampler(48_000).finish()) == 0


@pytest.mark.parametrize("rate_hz", [0, -1, 3999, 1_000_000, float("nan")])
def test_absurd_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(ConfigError, match="4000 to 768000"):
        Resampler(rate_hz)


def test_a_forgotten_channel_axis_is_refused() -> None:
    with pytest.raises(AudioFormatError, match=r"\(4, 2\).*mix_down"):
        Resampler(48_000).feed(np.zeros((4, 2), np.int16))


# ---- files


@pytest.mark.parametrize(
    ("name", "subtype", "worst"),
    [
        # worst: int16 steps of 16384. Exact where the format holds 16 bits; 8 bits round to 256.
        ("a.wav", "PCM_16", 0),
        ("a.wav", "PCM_24", 0),
        ("a.wav", "PCM_32", 0),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.wav", "PCM_U8", 256),
        ("a.flac", "PCM_16", 0),
        ("a.flac", "PCM_24", 0),
    ],
)
def test_lossless_files_come_back(tmp_path: Path, name: str, subtype: str, worst: int) -> None:
    x = to_int16(tone(RATE_HZ))
    written = x / 32768 if subtype in ("FLOAT", "DOUBLE") else x
    soundfile.write(str(tmp_path / name), written, RATE_HZ, subtype=subtype)
    got = read_audio(tmp_path / name)
    assert got.dtype == np.int16
    assert np.abs(got.astype(int) - x).max() <= worst


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
    ],
)
def test_lossy_files_come_back_nearly(tmp_path: Path, name: str, kwargs: dict[str, str]) -> None:
    x = tone(RATE_HZ, 2.0)
    soundfile.write(str(tmp_path / name), x, RATE_HZ, **kwargs)
    got = read_audio(tmp_path / name)
    assert abs(len(got) - len(x)) <= 2304  # MP3 pads to whole frames of 1152
    middle = slice(8000, 24_000)
    # A pure tone survives lossy coding in level; 1 dB is far above what was seen (0.1 dB).
    ratio = np.std(got[middle].astype(float)) / np.std(to_int16(x)[middle].astype(float))
    assert abs(20 * np.log10(ratio)) < 1


def test_stereo_at_44_khz_is_mixed_and_resampled(tmp_path: Path) -> None:
    x = tone(44_100)
    soundfile.write(str(tmp_path / "a.wav"), np.stack([x, np.zeros_like(x)], 1), 44_100)
    both, left, right = (read_audio(tmp_path / "a.wav", channel=c) for c in (None, 0, 1))
    want = to_int16(tone(RATE_HZ))
    assert level_db(left[: len(want)], want) < -80
    assert level_db(both[: len(want)], want // 2) < -70  # // 2 itself rounds by up to one step
    assert not right.any()


def test_nan_and_overload_in_a_float_file_are_tamed(tmp_path: Path) -> None:
    x = np.array([0.5, np.nan, np.inf, -np.inf, 3.0, 0.25], np.float32)
    soundfile.write(str(tmp_path / "a.wav"), x, RATE_HZ, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav").tolist() == [16384, 0, 32767, -32768, 32767, 8192]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("chunk", [1, 1600, 10**9])
def test_streaming_a_file_equals_reading_it(tmp_path: Path, rate_hz: int, chunk: int) -> None:
    soundfile.write(str(tmp_path / "a.wav"), NOISE[:3000], rate_hz)
    chunks = list(iter_audio(tmp_path / "a.wav", chunk))
    assert all(len(c) for c in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), read_audio(tmp_path / "a.wav"))


def test_a_long_file_is_streamed_in_constant_memory(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "a.wav"), np.tile(NOISE, 64), 48_000)  # 3.8 MB, 40 s
    next(iter_audio(tmp_path / "a.wav"))  # imports are not what is measured
    tracemalloc.start()
    total = sum(len(c) for c in iter_audio(tmp_path / "a.wav", 1600))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == len(NOISE) * 64 // 3
    assert peak < 300_000  # bytes; a chunk of 4800 frames in a few float copies is 60 kB


def test_a_wav_shorter_than_its_header_says_is_refused_before_the_first_chunk(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(str(path), NOISE, RATE_HZ)
    path.write_bytes(path.read_bytes()[:20_044])
    with pytest.raises(AudioFormatError, match=r"cut\.wav: is cut short: 20000 of 60000 bytes"):
        next(iter_audio(path))


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wav_written_to_a_pipe_is_not_called_short(tmp_path: Path, length: int) -> None:
    path = tmp_path / "pipe.wav"
    soundfile.write(str(path), NOISE, RATE_HZ)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", length)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_audio(path), NOISE)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_flac_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(str(path), NOISE, RATE_HZ)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * keep)])
    with pytest.raises(AudioFormatError, match=r"cut\.flac: is (damaged or )?cut short"):
        read_audio(path)


def test_a_cut_opus_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.opus"
    soundfile.write(str(path), np.tile(NOISE, 4), RATE_HZ, format="OGG", subtype="OPUS")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < len(read_audio(path)) < 4 * len(NOISE)


def wav_with_rate(rate_hz: int) -> bytes:
    """A WAV file whose header claims the rate."""
    body = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, 16)
    data = bytes(200)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + body + b"data" + struct.pack("<I", 200) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"hello, world\n" * 99, "cannot be read as audio"),
        ("text.mp3", b"hello, world\n" * 99, "cannot be read as audio"),
        ("zeros.flac", bytes(5000), "cannot be read as audio"),
        ("head.wav", wav_with_rate(16_000)[:20], "cannot be read as audio"),
        ("samples.raw", bytes(5000), "--stdin"),
        ("short.au", b"x" * 10, "cannot be read as audio"),
        ("slow.wav", wav_with_rate(100), "100 Hz is outside 4000 to 768000"),
        ("fast.wav", wav_with_rate(2_000_000_000), "outside 4000 to 768000"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioFormatError) as caught:
        read_audio(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_no_samples_is_refused(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "none.wav"), np.zeros(0, np.int16), RATE_HZ)
    with pytest.raises(AudioFormatError, match=r"none\.wav: holds no samples"):
        read_audio(tmp_path / "none.wav")


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match=r"gone\.wav: No such file.*check the name"):
        read_audio(tmp_path / "gone.wav")
    with pytest.raises(AudioFormatError, match="is a directory"):
        read_audio(tmp_path)
    with pytest.raises(AudioFormatError, match=r"/dev/null: is not an ordinary file.*--stdin"):
        read_audio("/dev/null")


def test_a_wrong_channel_or_chunk_is_refused(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "a.wav"), NOISE, RATE_HZ)
    with pytest.raises(ConfigError, match=r"a\.wav: channel 1 is not there; choose 0 to 0"):
        read_audio(tmp_path / "a.wav", channel=1)
    with pytest.raises(ConfigError, match="chunk_samples=0"):
        next(iter_audio(tmp_path / "a.wav", 0))
