"""Audio in: any sample type to int16, any rate to 16 kHz, any file to a stream of chunks.

Everything behind this module is int16, mono, 16 kHz. Nothing here looks at a whole clip: gain is
never normalised, and any chunking gives the same samples as one batch, bit for bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wakeword.errors import AudioFormatError, ConfigError, WakewordError

__all__ = ["RATE_HZ", "Resampler", "iter_audio", "mix_down", "read_audio", "to_int16"]

RATE_HZ = 16_000
MIN_RATE_HZ = 4_000  # below this no word is left to hear
MAX_RATE_HZ = 768_000  # the fastest converters sold; beyond it the header is damaged
UNKNOWN_WAV_BYTES = 0x7FFF_F000  # sizes from here on are what recorders write before they know


def to_int16(samples: ArrayLike, *, bits: int | None = None) -> NDArray[np.int16]:
    """Convert samples of any usual type to int16 at the same loudness.

    Args:
        samples: any shape. Floats lie in [-1, 1]: NaN becomes 0, infinities and values beyond the
            range are clipped. Signed integers are full scale for their type, unsigned ones are
            centred on half their range (the 8-bit WAV convention).
        bits: bits in use, for integers that do not fill their type: 24 for 24-bit samples kept in
            the low bytes of int32. (soundfile keeps them in the high bytes: leave it out.)

    Returns:
        The same shape, int16. Rounded, then clipped: full scale 1.0 becomes 32767.

    Raises:
        AudioFormatError: neither floats nor integers, or 64-bit integers without ``bits``.
        ConfigError: ``bits`` is not in 1..64.

    >>> to_int16([0.0, 0.5, -1.0, 2.0, float("nan")]).tolist()
    [0, 16384, -32768, 32767, 0]
    >>> to_int16(np.array([0, 128, 255], np.uint8)).tolist()
    [-32768, 0, 32512]
    """
    array = np.asarray(samples)
    if array.dtype == np.int16 and bits in (None, 16):
        return np.asarray(array, dtype=np.int16)
    if array.dtype.kind == "f":
        scaled = np.rint(_clean(array) * 32768)
        return np.asarray(np.clip(scaled, -32768, 32767), dtype=np.int16)
    if array.dtype.kind not in "iu":
        raise AudioFormatError(
            f"samples are {array.dtype}: need floats in [-1, 1] or integers; convert them first"
        )
    if bits is None:
        bits = array.dtype.itemsize * 8
        if bits > 32:
            raise AudioFormatError(
                f"samples are {array.dtype}: no recorder writes 64-bit integers, so their scale is "
                "unknown; pass bits=, or convert to int16, int32 or float"
            )
    if not 1 <= bits <= 64:
        raise ConfigError(f"bits={bits}: need 1 to 64")
    centre = 2.0 ** (bits - 1) if array.dtype.kind == "u" else 0.0
    scaled = np.rint((array.astype(np.float64) - centre) * 2.0 ** (16 - bits))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def _clean(floats: NDArray[Any]) -> NDArray[Any]:
    """Return finite floats in [-1, 1], of at least 32 bits: NaN is silence."""
    wide = floats.astype(np.promote_types(floats.dtype, np.float32), copy=False)
    finite = np.nan_to_num(wide, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(finite, -1.0, 1.0))


def mix_down(block: NDArray[Any], channel: int | None = None) -> NDArray[Any]:
    """Make one channel of several.

    Args:
        block: (N, C) floats or integers.
        channel: 0-based channel to keep, or None for the mean of all.

    Returns:
        (N,): the block's dtype for a chosen or only channel, else float32 in [-1, 1]. A NaN in one
        channel counts as silence there and leaves the others alone.

    Raises:
        ConfigError: there is no such channel.
    """
    channels = block.shape[1]
    if channel is not None and not 0 <= channel < channels:
        raise ConfigError(
            f"channel={channel}: there are {channels}, counted from 0; choose 0 to {channels - 1}"
        )
    if channels == 1 or channel is not None:
        return np.asarray(block[:, channel or 0])
    return np.asarray(_to_float(block).mean(axis=1), dtype=np.float32)


def _to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Convert samples of any usual type to clean float32 in [-1, 1]."""
    if samples.dtype.kind == "f":
        return np.asarray(_clean(samples), dtype=np.float32)
    return np.asarray(to_int16(samples) / np.float32(32768.0), dtype=np.float32)


def check_rate(rate_hz: float, what: str, error: type[WakewordError]) -> int:
    """Return the rate as a whole number of Hz, or raise ``error`` naming ``what``."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise error(
            f"{what}: sample rate {rate_hz:g} Hz is outside {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; "
            "check where it comes from, or resample to 16000 Hz"
        )
    return round(rate_hz)


class Resampler:
    """Turn a stream at any rate into int16 at 16 kHz (soxr, quality HQ).

    Equal rates pass through untouched. Otherwise the stream is sanitised to [-1, 1] floats first
    (one NaN would poison the filter for good), and any chunking gives the same samples as one
    batch, bit for bit (measured for 8 to 96 kHz, soxr 1.1). Output lags by the filter's look-ahead:
    37 ms at 48 kHz, 40 ms at 44.1 kHz, 115 ms at 8 kHz; ``finish`` gives the rest.

    Args:
        rate_hz: rate of the samples fed, 4000 to 768000.

    Raises:
        ConfigError: the rate is outside that range.

    Source: the SoX resampler library, https://sourceforge.net/projects/soxr/.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = check_rate(rate_hz, "Resampler", ConfigError)
        self._stream: Any = None
        self.reset()

    def reset(self) -> None:
        """Forget everything heard; equal to a new object."""
        if self.rate_hz != RATE_HZ:
            import soxr

            self._stream = soxr.ResampleStream(
                self.rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ"
            )

    def feed(self, samples: ArrayLike) -> NDArray[np.int16]:
        """Take (N,) samples of any type ``to_int16`` takes; return the int16 that are ready."""
        array = _one_channel(samples)
        return to_int16(array) if self._stream is None else self._convert(array, last=False)

    def finish(self) -> NDArray[np.int16]:
        """Return what the filter still holds, and start anew."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        rest = self._convert(np.zeros(0, np.float32), last=True)
        self.reset()
        return rest

    def _convert(self, samples: NDArray[Any], *, last: bool) -> NDArray[np.int16]:
        """Push samples through soxr as clean floats."""
        return to_int16(self._stream.resample_chunk(_to_float(samples), last=last))


def _one_channel(samples: ArrayLike) -> NDArray[Any]:
    """Refuse anything but one axis: a forgotten channel axis would play at double speed."""
    array = np.asarray(samples)
    if array.ndim != 1:
        raise AudioFormatError(f"samples have shape {array.shape}: need (N,); use mix_down first")
    return array


def read_audio(path: str | Path, *, channel: int | None = None) -> NDArray[np.int16]:
    """Read a whole file as int16 (N,), mono, 16 kHz. Arguments and errors as `iter_audio`."""
    return np.concatenate(list(iter_audio(path, channel=channel)))


def iter_audio(
    path: str | Path, chunk_samples: int = RATE_HZ, *, channel: int | None = None
) -> Iterator[NDArray[np.int16]]:
    """Stream a file as int16 chunks, mono, 16 kHz, in constant memory.

    WAV (8 to 32 bits, float), FLAC, Ogg Vorbis, Opus, MP3 and whatever else libsndfile reads, at
    any rate; channels are averaged, or one is chosen.

    A WAV or FLAC file that is shorter than its own header says is refused, though libsndfile would
    read what is left of the WAV: half a recording that looks whole gives wrong counts of misses.
    For WAV that is known before the first chunk, for FLAC at the end of what can be read. Headers
    written by a recorder that did not know the length yet (a pipe) are not called short. Ogg and
    MP3 are made to be cut anywhere; they are read as far as they go.

    Args:
        path: an ordinary file.
        chunk_samples: about how many samples a chunk holds, at least 1.
        channel: 0-based channel, or None for the mean of all.

    Yields:
        int16 (N,), N at least 1 and about ``chunk_samples``.

    Raises:
        AudioFormatError: missing, a directory, unreadable, no audio, no samples, cut short,
            damaged, or of an absurd rate.
        ConfigError: ``chunk_samples`` below 1, or no such channel.
    """
    if chunk_samples < 1:
        raise ConfigError(f"chunk_samples={chunk_samples}: need at least 1")
    path = Path(path)
    _check_file(path)
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.format == "RAW":  # chosen by libsndfile from the name alone
                raise AudioFormatError(_not_audio(path, "it has no header"))
            yield from _blocks(path, file, chunk_samples, channel)
    except soundfile.LibsndfileError as exc:
        raise AudioFormatError(_not_audio(path, str(exc.error_string).rstrip("."))) from exc
    except TypeError as exc:  # soundfile wants the rate of files called .raw
        raise AudioFormatError(_not_audio(path, "raw samples have no header")) from exc


def _blocks(
    path: Path, file: Any, chunk_samples: int, channel: int | None
) -> Iterator[NDArray[np.int16]]:
    """Yield the chunks of an open soundfile."""
    rate_hz = check_rate(file.samplerate, str(path), AudioFormatError)
    if channel is not None and not 0 <= channel < file.channels:
        raise ConfigError(
            f"{path}: channel {channel} is not there; choose 0 to {file.channels - 1}, "
            "or leave it out for the mean of all"
        )
    resampler = Resampler(rate_hz)
    block_frames = max(1, chunk_samples * rate_hz // RATE_HZ)
    dtype = "int16" if file.subtype == "PCM_16" else "float32"
    done = 0
    while len(block := _read(path, file, block_frames, dtype, done)):
        done += len(block)
        samples = resampler.feed(mix_down(block, channel))
        if len(samples):
            yield samples
    rest = resampler.finish()
    if len(rest):
        yield rest
    if done == 0:
        raise AudioFormatError(f"{path}: holds no samples; record it again")
    if file.format == "FLAC" and done < file.frames:
        raise AudioFormatError(_short(path, done, file.frames, "samples"))


def _read(path: Path, file: Any, frames: int, dtype: str, done: int) -> NDArray[Any]:
    """Return the next (frames, C) block, shorter or empty at the end."""
    import soundfile

    try:
        return np.asarray(file.read(frames, dtype=dtype, always_2d=True))
    except soundfile.LibsndfileError as exc:
        why = str(exc.error_string).rstrip(".")
        raise AudioFormatError(
            f"{path}: is damaged or cut short after {done / file.samplerate:.2f} s ({why}); "
            "copy or record it again"
        ) from exc


def _check_file(path: Path) -> None:
    """Raise AudioFormatError for what is not an ordinary file, is empty, or is a cut WAV."""
    if path.is_dir():
        raise AudioFormatError(f"{path}: is a directory; name the audio files in it")
    if path.exists() and not path.is_file():
        raise AudioFormatError(f"{path}: is not an ordinary file; pipe raw samples to --stdin")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if size == 0:
                raise AudioFormatError(f"{path}: is empty (0 bytes); record or copy it again")
            if file.read(4) == b"RIFF":
                _check_wav_length(path, file, size)
    except OSError as exc:
        raise AudioFormatError(f"{path}: {exc.strerror}; check the name") from exc


def _check_wav_length(path: Path, file: Any, size: int) -> None:
    """Compare the data chunk's length with the file's; ``file`` stands behind "RIFF"."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            if length < UNKNOWN_WAV_BYTES and (have := size - file.tell()) < length:
                raise AudioFormatError(_short(path, have, length, "bytes"))
            return
        file.seek(length + length % 2, 1)


def _short(path: Path, have: int, want: int, unit: str) -> str:
    """Say that a file is cut short."""
    return (
        f"{path}: is cut short: {have} of {want} {unit} are there; copy or record it again, "
        "or keep the rest with: ffmpeg -i IN OUT.wav"
    )


def _not_audio(path: Path, why: str) -> str:
    """Say that a file cannot be read as audio."""
    return (
        f"{path}: cannot be read as audio ({why}); need WAV, FLAC, Ogg, Opus or MP3, "
        "or pipe raw int16 samples to --stdin"
    )
