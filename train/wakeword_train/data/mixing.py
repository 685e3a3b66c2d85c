"""What a room, noise and a microphone do to sound: pure functions that apply a drawn channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wakeword_train.data.augment import EQ_POINTS_HZ, Channel
from wakeword_train.data.codecs import through

__all__ = ["bend", "coloured_noise", "equaliser", "mix", "rms", "swell", "warp"]

RATE_HZ = 16_000
# Reverberation of the last samples of a window falls into its first ones past so many samples: they
# are heard before the window begins. It makes the transform of a window 2 ** 16 samples long.
TAIL = 6_016
STEP = 16  # samples for which the level of noise holds
FloatArray = NDArray[np.float32]


def rms(samples: FloatArray) -> float:
    """Root of the mean square, never 0."""
    return (
        float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
        if len(samples)
        else 1e-6
    )


def coloured_noise(rng: np.random.Generator, count: int, colour: float) -> FloatArray:
    """Draw noise whose power falls with f ** -colour: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    freq = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), 20.0)
    return np.fft.irfft(spectrum * freq ** (-colour / 2), count).astype(np.float32)


@lru_cache(maxsize=4)
def _eq_grid(bins: int) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
    """Give the frequency of each bin in kHz, and between which points it lies how far."""
    freq = np.linspace(0, RATE_HZ / 2, bins)
    place = np.interp(np.log(np.maximum(freq, 20)), np.log(EQ_POINTS_HZ), range(len(EQ_POINTS_HZ)))
    point = np.minimum(place.astype(np.int64), len(EQ_POINTS_HZ) - 2)
    return (freq / 1000).astype(np.float32), point, (place - point).astype(np.float32)


def equaliser(eq_db: Sequence[float], cut_hz: float, bins: int) -> FloatArray:
    """Gain of each of ``bins`` frequencies from 0 to 8 kHz, smooth between the points."""
    freq_khz, point, part = _eq_grid(bins)
    gains = np.asarray(eq_db, np.float32)
    gain_db: FloatArray = gains[point] + part * np.diff(gains)[point]
    if cut_hz < 8_000:
        gain_db -= np.maximum(freq_khz - np.float32(cut_hz / 1000), 0) * np.float32(5)  # dB / kHz
    return np.asarray(np.exp(gain_db * np.float32(np.log(10) / 20)), np.float32)


def warp(samples: FloatArray, ratio: float) -> FloatArray:
    """Play faster and higher (ratio above 1) or slower and lower."""
    import soxr

    return np.asarray(soxr.resample(samples, RATE_HZ * ratio, RATE_HZ, quality="LQ"), np.float32)


def bend(samples: FloatArray, first: int, last: int, depth: float, waves: int) -> FloatArray:
    """Hurry parts of a word and draw out others; its beginning and end stay where they are.

    Args:
        samples: shape (N,).
        first: where the word begins.
        last: where it ends.
        depth: the speed goes from 1 - depth to 1 + depth, and the pitch with it; below 0.5.
        waves: times the speed goes up and down, in halves: 1 for once from one to the other.

    Returns:
        Shape (N,), a copy. Between samples it follows a cubic (Catmull and Rom 1974).
    """
    out: FloatArray = samples.copy()
    first, last = max(first, 1), min(last, len(samples) - 2)
    if last - first < 4:
        return out
    along = np.arange(last - first, dtype=np.float32)
    turn = np.pi * waves / (last - first)
    at = along + np.float32(depth / turn) * np.sin(np.float32(turn) * along)
    whole = np.clip(at.astype(np.int64), 0, last - first - 1)
    f = at - whole.astype(np.float32)
    a, b, c, d = (samples[first - 1 + shift :][whole] for shift in range(4))
    half = np.float32(0.5)
    out[first:last] = b + half * f * (
        c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a))
    )
    return out


def swell(points: Sequence[tuple[float, float]], count: int) -> FloatArray:
    """Gain of each of ``count`` samples; decibels go straight between (place, gain) points.

    >>> [round(float(gain), 2) for gain in swell([(0.0, -20.0), (0.5, 0.0)], 32)[::16]]
    [0.1, 1.0]
    """
    places, gains = zip(*points, strict=True)
    steps = -(-count // STEP)
    gain_db = np.interp(np.arange(steps) / max(steps, 1), places, gains)
    gain = np.asarray(10 ** (gain_db / 20), np.float32)
    return np.asarray(np.repeat(gain, STEP)[:count], np.float32)


def mix(
    speech: FloatArray,
    active: slice,
    noise: FloatArray | None,
    channel: Channel,
    *,
    rir: FloatArray | None = None,
    noise_rir: FloatArray | None = None,
) -> NDArray[np.int16]:
    """Put speech and noise into a room, and pass both through a microphone and a codec.

    Args:
        speech: shape (N,).
        active: where the level of the speech is measured for the SNR.
        noise: shape (N,) or None.
        channel: what was drawn.
        rir: impulse response of the speech, its direct sound at sample 0 and 1, so that the SNR is
            that of the direct sound; None for no room. See `TAIL` for long ones.
        noise_rir: impulse response of the noise, or None.

    Returns:
        Shape (N,), int16.
    """
    from scipy import fft

    size = fft.next_fast_len(len(speech) + TAIL, real=True)
    if noise is not None:
        level = rms(speech[active]) if np.any(speech) else 0.05
        noise = noise * np.float32(level / rms(noise) * 10 ** (-channel.snr_db / 20))
        if channel.swell_db:
            noise *= swell(channel.swell_db, len(noise))
    if rir is None and noise_rir is None:
        spectrum = fft.rfft(speech if noise is None else speech + noise, size)
    else:
        spectrum = fft.rfft(speech, size)
        if rir is not None:
            spectrum *= fft.rfft(rir, size)
        if noise is not None:
            other = fft.rfft(noise, size)
            spectrum += other if noise_rir is None else other * fft.rfft(noise_rir, size)
    spectrum *= equaliser(channel.eq_db, channel.cut_hz, len(spectrum))
    heard = fft.irfft(spectrum, size)[: len(speech)]
    peak = max(float(heard.max()), -float(heard.min())) + 1e-9
    heard *= np.float32(32_767 * 10 ** ((channel.peak_db + channel.clip_db) / 20) / peak)
    if channel.clip_db:
        limit = np.float32(32_767 * 10 ** (channel.peak_db / 20))
        np.clip(heard, -limit, limit, out=heard)
    return through(channel.codec, np.rint(heard).astype(np.int16))
