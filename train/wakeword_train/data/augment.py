"""Rooms, noise, microphones and levels: parameters drawn first, then applied by pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Channel", "coloured_noise", "draw_channel", "equaliser", "mix", "rms", "warp"]

RATE_HZ = 16_000
EQ_POINTS_HZ = (60.0, 150.0, 350.0, 800.0, 1_800.0, 3_500.0, 6_000.0, 8_000.0)
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How one window is heard.

    ``rir`` and ``noise`` index the recordings of the part, -1 for none; ``noise`` -2 is generated
    noise with a spectrum of f ** -colour. ``snr_db`` compares the level of the speech where it is
    active to that of the noise. ``cut_hz`` is where a narrow microphone or codec stops.
    """

    rir: int
    noise: int
    noise_at: float
    colour: float
    snr_db: float
    eq_db: tuple[float, ...]
    cut_hz: float
    peak_db: float
    clip_db: float


def draw_channel(rng: np.random.Generator, rirs: int, noises: int) -> Channel:
    """Draw a channel: 45 % reverberant, 15 % without added noise, 25 % in generated noise."""
    kind = rng.uniform()
    noise = -1 if kind < 0.15 else -2 if kind < 0.4 or not noises else int(rng.integers(noises))
    return Channel(
        rir=int(rng.integers(rirs)) if rirs and rng.uniform() < 0.45 else -1,
        noise=noise,
        noise_at=float(rng.uniform()),
        colour=float(rng.uniform(0, 2)),
        snr_db=float(rng.uniform(-4, 30)),
        eq_db=tuple(float(g) for g in rng.normal(0, 4, len(EQ_POINTS_HZ))),
        cut_hz=float(rng.uniform(3_200, 7_000)) if rng.uniform() < 0.2 else 8_000.0,
        peak_db=float(rng.uniform(-36, -1)),
        clip_db=float(rng.uniform(0, 12)) if rng.uniform() < 0.06 else 0.0,
    )


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


def equaliser(eq_db: tuple[float, ...], cut_hz: float, bins: int) -> FloatArray:
    """Gain of each of ``bins`` frequencies from 0 to 8 kHz, smooth between the points."""
    freq = np.linspace(0, RATE_HZ / 2, bins)
    gain_db = np.interp(np.log(np.maximum(freq, 20)), np.log(EQ_POINTS_HZ), eq_db)
    gain_db -= np.maximum(freq - cut_hz, 0) / 200  # 5 dB a kHz past the cut
    return np.asarray(10 ** (gain_db / 20), np.float32)


def warp(samples: FloatArray, ratio: float) -> FloatArray:
    """Play faster and higher (ratio above 1) or slower and lower."""
    import soxr

    return np.asarray(soxr.resample(samples, RATE_HZ * ratio, RATE_HZ, quality="LQ"), np.float32)


def mix(
    speech: FloatArray,
    active: slice,
    noise: FloatArray | None,
    rir: FloatArray | None,
    channel: Channel,
) -> NDArray[np.int16]:
    """Put speech into a room, add noise, and pass both through a microphone.

    Args:
        speech: shape (N,).
        active: where the level of the speech is measured for the SNR.
        noise: shape (N,) or None.
        rir: impulse response, its direct sound at sample 0, or None.
        channel: what was drawn.

    Returns:
        Shape (N,), int16.
    """
    from scipy import fft

    count = len(speech)
    size = fft.next_fast_len(count + (len(rir) if rir is not None else 1_600), real=True)
    spectrum = fft.rfft(speech, size)
    if rir is not None:
        spectrum *= fft.rfft(rir, size)
    if noise is not None:
        level = rms(speech[active]) if np.any(speech) else 0.05
        gain = level / rms(noise) * 10 ** (-channel.snr_db / 20)
        spectrum += fft.rfft(noise * np.float32(gain), size)
    spectrum *= equaliser(channel.eq_db, channel.cut_hz, len(spectrum))
    heard = fft.irfft(spectrum, size)[:count]
    peak = float(np.max(np.abs(heard))) + 1e-9
    heard *= 10 ** ((channel.peak_db + channel.clip_db) / 20) / peak
    limit = 10 ** (channel.peak_db / 20)
    return np.asarray(np.rint(np.clip(heard, -limit, limit) * 32767), np.int16)
