"""Whose voice may it be? Statistics of a word's own sound, and how alike two of them are.

Convenience, not security: a recording of the right voice passes, and so does one voice in so many,
see docs/DAEMON.md for the figures.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.errors import BundleError

__all__ = ["LOOK_BACK", "SIZE", "VoiceSpace", "shipped_space", "voice_vector"]

SPACE_FILE = Path(__file__).with_name("voice_space.json")
WORD = RATE_HZ  # what is looked at for the voice; words fire soon after their end
LOOK_BACK = 3 * RATE_HZ  # what tells of the noise around it
WINDOW, HOP, FFT = 400, 160, 512  # samples
LOW_HZ, HIGH_HZ, BANDS = 100.0, 7000.0, 30
CEPSTRA = 20
SIZE = 2 * CEPSTRA + 2
NOISE_SHARE = 10  # percentile of a band over the look back, taken as its noise
NOISE_TIMES = 2.0  # so much of it is taken out
LEAST = 0.02  # of a band that is left at least
FLOOR_DB = 25.0  # below the loudest: quieter bands are drowned in every room
VOICED_DB = 25.0  # below the loudest frame: quieter frames are none of the word
FEWEST = 15  # frames that tell something of a voice
PITCH_HZ = (65, 400)
PITCH_WINDOW, PITCH_FFT = 640, 1024
PERIODIC = 0.5  # autocorrelation of a frame that has a pitch
EDGE = 1e-9

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=1)
def _tables() -> tuple[FloatArray, FloatArray]:
    """Return mel bands (FFT // 2 + 1, BANDS) and cosines (BANDS, CEPSTRA) without the level."""
    edges_hz = _hz(np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2))
    at_hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    up = (at_hz[:, None] - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    down = (edges_hz[2:] - at_hz[:, None]) / np.diff(edges_hz)[1:]
    n = np.arange(BANDS)[:, None] + 0.5
    cosines = np.cos(np.pi * n * np.arange(1, CEPSTRA + 1) / BANDS) * np.sqrt(2 / BANDS)
    return np.maximum(0, np.minimum(up, down)), cosines


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _hz(mel: FloatArray) -> FloatArray:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def voice_vector(samples: NDArray[np.int16]) -> FloatArray | None:
    """Describe the voice in the last second of some sound.

    Args:
        samples: (N,), int16, 16 kHz mono, that end where a word fired; of more than LOOK_BACK the
            last are looked at.

    Returns:
        (SIZE,): mean and deviation of CEPSTRA mel cepstra over the frames of the word, the median
        of the log of the pitch and how much it moves. None where there is too little of a word.

    Source: cepstra as in Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420; noise taken
        out as in Boll 1979, doi:10.1109/TASSP.1979.1163209; pitch by autocorrelation.
    """
    sound = samples[-LOOK_BACK:].astype(np.float64) / 32768
    if len(sound) < 2 * PITCH_WINDOW:
        return None
    bands_of, cosines = _tables()
    sharp = np.append(sound[0], sound[1:] - 0.97 * sound[:-1])
    power = np.abs(np.fft.rfft(_frames(sharp, WINDOW) * np.hamming(WINDOW), FFT)) ** 2
    bands = power @ bands_of
    noise = np.percentile(bands, NOISE_SHARE, axis=0)
    count = min(len(bands), WORD // HOP)
    bands = bands[-count:]
    bands = np.maximum(bands - NOISE_TIMES * noise, LEAST * bands)
    bands = bands + 10 ** (-FLOOR_DB / 10) * np.percentile(bands.sum(axis=1), 95) / BANDS
    level_db = 10 * np.log10(bands.sum(axis=1) + EDGE)
    voiced = level_db > level_db.max() - VOICED_DB
    if voiced.sum() < FEWEST or level_db.max() <= 10 * np.log10(EDGE) + 3:
        return None
    cepstra = np.log(bands[voiced] + EDGE) @ cosines
    pitch = _pitch(sound, count, voiced)
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0), pitch])


def _frames(sound: FloatArray, width: int) -> FloatArray:
    """Cut into frames (T, width), HOP apart."""
    return np.lib.stride_tricks.sliding_window_view(sound, width)[::HOP]


def _pitch(sound: FloatArray, count: int, voiced: NDArray[np.bool_]) -> FloatArray:
    """Median and spread between quartiles of the log of the pitch in the last ``count`` frames."""
    frames = _frames(sound, PITCH_WINDOW)
    frames = frames[-min(count, len(frames)) :]
    chosen = frames[voiced[-len(frames) :]]
    spectrum = np.abs(np.fft.rfft(chosen * np.hanning(PITCH_WINDOW), PITCH_FFT)) ** 2
    spectrum[:, int(1000 * PITCH_FFT / RATE_HZ) :] = 0  # the first harmonics tell it
    same = np.fft.irfft(spectrum, PITCH_FFT)
    same /= same[:, :1] + EDGE
    shortest, longest = RATE_HZ // PITCH_HZ[1], RATE_HZ // PITCH_HZ[0]
    lag = shortest + same[:, shortest:longest].argmax(axis=1)
    log_hz = np.log(RATE_HZ / lag)
    periodic = same[np.arange(len(lag)), lag] > PERIODIC
    if periodic.sum() >= 5:
        log_hz = log_hz[periodic]
    quarter, half, three = np.percentile(log_hz, [25, 50, 75])
    return np.array([half, three - quarter])


@dataclass(frozen=True, eq=False)
class VoiceSpace:
    """How voices differ, and how one differs from itself.

    Attributes:
        deviation: (SIZE,), by which a vector is divided.
        axes: (SIZE, SIZE), after which one voice varies by 1 in each direction.
        between: (SIZE,), the variance between voices there.
        threshold: score of the last one taken, chosen on voices of neither training nor test.
        name: of the numbers; what was enrolled in one space says nothing in another.
    """

    deviation: FloatArray
    axes: FloatArray
    between: FloatArray
    threshold: float
    name: str

    def place(self, vector: FloatArray) -> FloatArray:
        """Return where a vector (SIZE,) lies; only differences of places mean something."""
        return np.asarray(self.axes @ (vector / self.deviation))

    def score(self, place: FloatArray, known: FloatArray, clips: int) -> float:
        """Return the log of how many times likelier one voice is than two, for a difference.

        Args:
            place: of the voice in question.
            known: mean of the places of a known one.
            clips: of which it is the mean.

        Source: the two covariances of Brümmer and de Villiers 2010, "The speaker partitioning
            problem", for a mean that is not known, since it depends on the word.
        """
        square = (place - known) ** 2
        one = 1 + 1 / clips
        two = one + 2 * self.between
        return float(0.5 * np.sum(np.log(two / one) - square * (1 / one - 1 / two)))


@lru_cache(maxsize=1)
def shipped_space() -> VoiceSpace:
    """Read the space that comes along; made by ``python bench/speakers.py --fit``.

    Raises:
        BundleError: it is damaged.
    """
    content = SPACE_FILE.read_bytes()
    try:
        data = json.loads(content)
        deviation, axes, between = (
            np.array(data[name], np.float64) for name in ("deviation", "axes", "between")
        )
        threshold = float(data["threshold"])
    except (ValueError, KeyError, TypeError) as exc:
        raise BundleError(f"{SPACE_FILE}: damaged ({exc}); install wakeword anew") from exc
    if (deviation.shape, axes.shape, between.shape) != ((SIZE,), (SIZE, SIZE), (SIZE,)):
        raise BundleError(f"{SPACE_FILE}: damaged (wrong shapes); install wakeword anew")
    name = hashlib.sha256(content).hexdigest()[:12]
    return VoiceSpace(deviation, axes, between, threshold, name)
