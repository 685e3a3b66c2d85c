"""How a test recording is heard: clean, in noise, in a room, or in a noisy room, fixed by the seed.

Every recording is put into the same frame: 1 s of faint hiss before it, so that the front end has
settled as it has on a live microphone, and 0.7 s after it, in which a late detection still counts.
The frame is the same for every engine and condition. A recurrent model was just reset then, as it
is once in its life; so there are conditions in which others talk for a while before the frame.
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

__all__ = ["LEAD", "TAIL", "TALK", "Condition", "frame", "hear", "hiss", "parse_condition"]

LEAD = 16_000
TAIL = 11_200
TALK = 80_000  # samples of talk before the frame
HISS_RMS = 4.0  # of 32768: -78 dB, below any microphone's own noise; digital silence is never live

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to hear: ``snr_db`` None is without added noise; ``pink`` takes no recordings.

    With ``reverb`` and ``snr_db`` the word goes through the room first, and the noise is measured
    against what arrives of it. With ``talk`` somebody else has talked until a second before.
    """

    name: str
    snr_db: float | None = None
    pink: bool = False
    reverb: bool = False
    talk: bool = False

    @property
    def before(self) -> int:
        """Samples before the frame."""
        return TALK if self.talk else 0


def parse_condition(name: str) -> Condition:
    """Read ``clean``, ``reverb``, ``10dB`` (recorded noise), ``10dB-pink`` or ``reverb-10dB``.

    ``talk`` is clean after talk; before any other name ``talk-`` does the same for that.

    Raises:
        ConfigError: none of these.

    >>> parse_condition("-3dB-pink")
    Condition(name='-3dB-pink', snr_db=-3.0, pink=True, reverb=False, talk=False)
    """
    if name in ("clean", "talk"):
        return Condition(name, talk=name == "talk")
    found = re.fullmatch(r"(talk-)?(?:reverb|(reverb-)?(-?\d{1,2}(?:\.\d)?)dB(-pink)?)", name)
    if not found:
        raise ConfigError(
            f"condition {name!r}: use clean, reverb, 10dB, 10dB-pink, reverb-10dB, "
            "reverb-10dB-pink, talk, or talk- before one of them"
        )
    return Condition(
        name, snr_db=float(found[3]) if found[3] else None, pink=bool(found[4]),
        reverb="reverb" in name, talk=bool(found[1]),
    )  # fmt: skip


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
    talks: Sequence[Samples] = (),
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
        talks: recordings of talk, to draw from; short ones are repeated.

    Returns:
        Shape (``condition.before`` + N,). Noise covers all of it. The level of the word stays what
        it was, talk is as loud; unless the sum would clip: then all of it is made softer.

    Raises:
        ConfigError: the condition needs recordings that are not there.
    """
    rng = np.random.default_rng(
        [seed, zlib.crc32(condition.name.encode()), zlib.crc32(name.encode())]
    )
    heard = samples.astype(np.float64)
    if condition.talk:
        if not talks:
            raise ConfigError(
                f"condition {condition.name!r} needs recordings of long speech: add --talk"
            )
        talk = _stretch(rng, TALK, talks[int(rng.integers(len(talks)))].astype(np.float64))
        heard = np.concatenate([talk * (_rms(heard[word]) / _rms(talk)), heard])
        word = slice(word.start + TALK, word.stop + TALK)
    if condition.reverb:
        if not rirs:
            raise ConfigError(
                f"condition {condition.name!r} needs impulse responses: name them with --rir"
            )
        heard = _in_room(heard, word, rirs[int(rng.integers(len(rirs)))])
    if condition.snr_db is not None:
        noise = _drawn(rng, len(heard), condition, noises)
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
    """Draw a stretch of noise."""
    if condition.pink:
        return coloured_noise(rng, count, 1.0).astype(np.float64)
    if not noises:
        raise ConfigError(
            f"condition {condition.name!r} needs recordings of noise: name them with --noise, "
            f"or use {condition.name}-pink"
        )
    return _stretch(rng, count, noises[int(rng.integers(len(noises)))].astype(np.float64))


def _stretch(rng: np.random.Generator, count: int, sound: Floats) -> Floats:
    """Cut ``count`` samples from a place where a recording is not silent; repeat a short one."""
    if len(sound) < count:
        sound = np.tile(sound, -(-count // len(sound)))
    level = _rms(sound)
    for _ in range(20):
        start = int(rng.integers(len(sound) - count + 1))
        if _rms(sound[start : start + count]) > 0.3 * level:
            break
    return sound[start : start + count]
