"""How a test recording is heard: clean, in noise, in a room, or in a noisy room, fixed by the seed.

Every recording is put into the same frame: 1 s of faint hiss before it, so that the front end has
settled as it has on a live microphone, and 0.7 s after it, in which a late detection still counts.
The frame is the same for every engine and condition.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.data.mixing import coloured_noise, rms

__all__ = ["LEAD", "TAIL", "Condition", "frame", "hear", "hiss", "parse_condition"]

LEAD = 16_000
TAIL = 11_200
HISS_RMS = 4.0  # of 32768: -78 dB, below any microphone's own noise; digital silence is never live

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to hear: ``snr_db`` None is without added noise; ``pink`` takes no recordings.

    With ``reverb`` and ``snr_db`` the word goes through the room first, and the noise is measured
    against what arrives of it.
    """

    name: str
    snr_db: float | None = None
    pink: bool = False
    reverb: bool = False


def parse_condition(name: str) -> Condition:
    """Read ``clean``, ``reverb``, ``10dB`` (recorded noise), ``10dB-pink`` or ``reverb-10dB``.

    Raises:
        ConfigError: none of these.

    >>> parse_condition("-3dB-pink")
    Condition(name='-3dB-pink', snr_db=-3.0, pink=True, reverb=False)
    """
    if name == "clean":
        return Condition(name)
    if name == "reverb":
        return Condition(name, reverb=True)
    found = re.fullmatch(r"(reverb-)?(-?\d{1,2}(?:\.\d)?)dB(-pink)?", name)
    if not found:
        raise ConfigError(
            f"condition {name!r}: use clean, reverb, 10dB, 10dB-pink, reverb-10dB or "
            "reverb-10dB-pink"
        )
    return Condition(name, snr_db=float(found[2]), pink=bool(found[3]), reverb=bool(found[1]))


def hiss(seed: int, count: int) -> Samples:
    """Make faint white noise, shape (count,)."""
    return np.rint(np.random.default_rng(seed).normal(0, HISS_RMS, count)).astype(np.int16)


def frame(samples: Samples, seed: int) -> Samples:
    """Put 1 s of faint noise before a recording and 0.7 s after it."""
    noise = hiss(seed, LEAD + TAIL)
    return np.concatenate([noise[:LEAD], samples, noise[LEAD:]])


def hear(
    samples: Samples,
    word: slice,
    condition: Condition,
    *,
    name: str,
    seed: int,
    noises: Sequence[Samples] = (),
    rirs: Sequence[NDArray[np.float32]] = (),
) -> Samples:
    """Hear a framed recording under a condition.

    Args:
        samples: shape (N,), framed.
        word: where its level is measured for the SNR.
        condition: how it is heard.
        name: of the recording; with seed and condition it fixes the draw, in whatever order and
            company recordings are heard.
        seed: of the whole evaluation.
        noises: recordings to draw from, each with samples; shorter ones are repeated.
        rirs: impulse responses, each with its direct sound at sample 0.

    Returns:
        Shape (N,). Noise covers the frame too. The level of the word stays what it was, unless the
        sum would clip: then all of it is made softer.

    Raises:
        ConfigError: the condition needs recordings that are not there.
    """
    rng = np.random.default_rng(
        [seed, zlib.crc32(condition.name.encode()), zlib.crc32(name.encode())]
    )
    heard = samples.astype(np.float64)
    if condition.reverb:
        if not rirs:
            raise ConfigError(
                f"condition {condition.name!r} needs impulse responses: name them with --rir"
            )
        heard = _in_room(heard, word, rirs[int(rng.integers(len(rirs)))])
    if condition.snr_db is not None:
        noise = _drawn(rng, len(samples), condition, noises)
        gain = _rms(heard[word]) / _rms(noise) * 10 ** (-condition.snr_db / 20)
        heard = heard + gain * noise
    peak = float(np.abs(heard).max(initial=0))
    if peak > 32_767:
        heard = heard * (32_767 / peak)
    return np.rint(heard).astype(np.int16)


def _rms(samples: Floats) -> float:
    """Root of the mean square, never 0."""
    return rms(samples.astype(np.float32))


def _in_room(samples: Floats, word: slice, rir: NDArray[np.float32]) -> Floats:
    """Convolve, and give the word its level back."""
    from scipy.signal import fftconvolve

    wet = np.asarray(fftconvolve(samples, rir.astype(np.float64)), np.float64)[: len(samples)]
    return wet * (_rms(samples[word]) / _rms(wet[word]))


def _drawn(
    rng: np.random.Generator, count: int, condition: Condition, noises: Sequence[Samples]
) -> Floats:
    """Draw a stretch of noise, from a place in a recording where it is not silent."""
    if condition.pink:
        return coloured_noise(rng, count, 1.0).astype(np.float64)
    if not noises:
        raise ConfigError(
            f"condition {condition.name!r} needs recordings of noise: name them with --noise, "
            f"or use {condition.name}-pink"
        )
    noise = noises[int(rng.integers(len(noises)))].astype(np.float64)
    if len(noise) < count:
        noise = np.tile(noise, -(-count // len(noise)))
    level = _rms(noise)
    for _ in range(20):
        start = int(rng.integers(len(noise) - count + 1))
        if _rms(noise[start : start + count]) > 0.3 * level:
            break
    return noise[start : start + count]
