"""Rooms, noise, microphones, levels: what may be drawn, and the channel that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.data.codecs import CODECS

__all__ = ["EQ_POINTS_HZ", "HARD", "USUAL", "AugmentConfig", "Channel", "Stock", "draw_channel"]

EQ_POINTS_HZ = (60.0, 150.0, 350.0, 800.0, 1_800.0, 3_500.0, 6_000.0, 8_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How windows are heard. A plain number is a share of windows, a pair the range of a draw.

    What noise there is: none in ``quiet``, generated in ``coloured``, several voices at once in
    ``babble``, music in ``music`` if the corpus has some, and a recording in the rest. Its level
    moves in ``uneven`` of the windows, and it comes in bursts only in ``bursts`` of them.
    ``reverb`` is heard in a room, ``simulated`` of that in one of ``rooms`` rooms that are computed
    (a count, and never more than one for 100 windows), the others in one that was measured; in a
    computed room the noise stands in a place of its own in ``elsewhere``. ``narrow`` loses its
    treble; ``telephone``, ``opus`` and ``mp3`` come through that codec (the last two take ten times
    the time of all the rest). ``bend`` of the words are drawn out here and hurried there.
    ``begins`` of the ordinary sound begins within the window, and half of that ends within it: were
    only words heard out of the quiet, whatever breaks it would be taken for one.

    Computed rooms, babble, bursts and codecs are off unless asked for: what each of them brings has
    not been measured by itself yet.
    """

    snr_db: tuple[float, float] = (-4.0, 30.0)
    peak_db: tuple[float, float] = (-36.0, -1.0)
    speed: tuple[float, float] = (0.88, 1.14)
    quiet: float = 0.15
    coloured: float = 0.25
    babble: float = 0.0
    music: float = 0.0
    uneven: float = 0.0
    bursts: float = 0.0
    reverb: float = 0.45
    simulated: float = 0.0
    rooms: int = 0
    elsewhere: float = 0.6
    narrow: float = 0.2
    clipped: float = 0.06
    telephone: float = 0.0
    opus: float = 0.0
    mp3: float = 0.0
    bend: float = 0.0
    begins: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                if not isinstance(value, tuple) or len(value) != 2 or not value[0] <= value[1]:
                    raise ConfigError(f"{field.name}={value}: need a pair (low, high)")
            elif field.name != "rooms" and not 0 <= value <= 1:
                raise ConfigError(f"{field.name}={value}: a share lies in [0, 1]")
        if not 0.5 <= self.speed[0] <= self.speed[1] <= 2:
            raise ConfigError(f"speed={self.speed}: need 0.5 to 2")
        if self.peak_db[1] > 0:
            raise ConfigError(f"peak_db={self.peak_db}: full scale is 0 dB, and nothing is louder")
        if self.rooms < 0:
            raise ConfigError(f"rooms={self.rooms}: need a count, 0 for none")
        for group in (("quiet", "coloured", "babble", "music"), CODECS, ("uneven", "bursts")):
            if sum(getattr(self, name) for name in group) > 1 + 1e-9:
                raise ConfigError(f"{' + '.join(group)} is more than 1: they exclude each other")


USUAL = AugmentConfig()
# Everything that can be drawn.
HARD = AugmentConfig(
    snr_db=(-8.0, 28.0), coloured=0.2, babble=0.12, music=0.1, uneven=0.25, bursts=0.1, reverb=0.5,
    simulated=0.7, rooms=200, telephone=0.02, opus=0.005, mp3=0.01, bend=0.3,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How many there are to draw from: recordings by kind, measured rooms, computed rooms."""

    noises: int = 0
    music: int = 0
    talk: int = 0
    measured: int = 0
    rooms: int = 0
    sources: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How one window is heard.

    ``measured`` and ``room`` index the impulse responses, -1 for none; in a room that was computed
    the speech stands at ``source`` and the noise at ``noise_source``, -1 for no place. ``noise`` is
    none, coloured, babble, music or recorded: ``noise_item`` indexes the recordings of its kind,
    ``voices`` are (recording, place, gain) and places lie in [0, 1). ``snr_db`` compares the level
    of the speech where it is active to that of the noise before ``swell_db``, points (place, gain)
    between which its level moves. ``cut_hz`` is where a narrow microphone stops.
    """

    measured: int = -1
    room: int = -1
    source: int = 0
    noise_source: int = -1
    noise: str = "none"
    noise_item: int = 0
    noise_at: float = 0.0
    colour: float = 0.0
    voices: tuple[tuple[int, float, float], ...] = ()
    snr_db: float = 0.0
    swell_db: tuple[tuple[float, float], ...] = ()
    eq_db: tuple[float, ...] = (0.0,) * len(EQ_POINTS_HZ)
    cut_hz: float = 8_000.0
    peak_db: float = -6.0
    clip_db: float = 0.0
    codec: str = ""


def _pick(point: float, shares: Sequence[tuple[str, float]], rest: str) -> str:
    """Name the share in which a point of [0, 1) lies."""
    for name, share in shares:
        if point < share:
            return name
        point -= share
    return rest


def _swell(rng: np.random.Generator, kind: str) -> tuple[tuple[float, float], ...]:
    """Draw how the level of noise moves: up and down slowly, or bursts of 50 to 500 ms."""
    turns = np.sort(rng.random(3))
    gains = rng.uniform(-12, 6, 3)
    begins = np.sort(rng.random(3)) * 0.9
    lengths = rng.uniform(0.05, 0.5, 3) / 3.7  # seconds in a window of 3.7 s
    count = int(rng.integers(1, 4))
    if kind == "uneven":
        return tuple((float(at), float(gain)) for at, gain in zip(turns, gains, strict=True))
    if kind != "bursts":
        return ()
    edge = 0.002
    points = [(0.0, -50.0)]
    for begin, length in zip(begins[:count], lengths[:count], strict=True):
        begin = max(float(begin), points[-1][0])
        stop = begin + float(length)
        points += [(begin, -50.0), (begin + edge, 0.0), (stop, 0.0), (stop + edge, -50.0)]
    return tuple(points)


def draw_channel(rng: np.random.Generator, config: AugmentConfig, stock: Stock) -> Channel:
    """Draw a channel out of what there is.

    Every draw is made whether it is used or not: a share that changes moves no other.
    """
    kind = _pick(
        rng.random(),
        (
            ("none", config.quiet),
            ("coloured", config.coloured),
            ("babble", config.babble),
            ("music", config.music),
        ),
        "recorded",
    )
    have = {"babble": stock.talk, "music": stock.music, "recorded": stock.noises}
    if not have.get(kind, 1):
        kind = "recorded" if stock.noises else "coloured"
    item, place, colour = rng.random(), rng.random(), rng.uniform(0, 2)
    voices = [
        (int(v * stock.talk), float(at), float(gain))
        for v, at, gain in zip(rng.random(7), rng.random(7), rng.uniform(-8, 0, 7), strict=True)
    ]
    several = int(rng.integers(3, 8))
    moves = _pick(rng.random(), (("uneven", config.uneven), ("bursts", config.bursts)), "")
    swell_db = _swell(rng, moves)

    wet, computed = rng.random() < config.reverb, rng.random() < config.simulated
    which, source, other = rng.random(), int(rng.integers(64)), int(rng.integers(64))
    apart = rng.random() < config.elsewhere
    computed = bool(stock.rooms) and (computed or not stock.measured)
    measured = wet and not computed and bool(stock.measured)
    room = wet and computed
    mine = source % max(stock.sources, 1)
    theirs = (mine + 1 + other % max(stock.sources - 1, 1)) % max(stock.sources, 1)
    return Channel(
        measured=int(which * stock.measured) if measured else -1,
        room=int(which * stock.rooms) if room else -1,
        source=mine,
        noise_source=theirs if room and apart and kind != "none" else -1,
        noise=kind,
        noise_item=int(item * have.get(kind, 0)),
        noise_at=float(place),
        colour=float(colour),
        voices=tuple(voices[:several]) if kind == "babble" else (),
        snr_db=float(rng.uniform(*config.snr_db)),
        swell_db=swell_db if kind != "none" else (),
        eq_db=tuple(float(g) for g in rng.normal(0, 4, len(EQ_POINTS_HZ))),
        cut_hz=_or(rng.random() < config.narrow, rng.uniform(3_200, 7_000), 8_000.0),
        peak_db=float(rng.uniform(*config.peak_db)),
        clip_db=_or(rng.random() < config.clipped, rng.uniform(0, 12), 0.0),
        codec=_pick(rng.random(), [(name, getattr(config, name)) for name in CODECS], ""),
    )


def _or(chosen: bool, value: float, otherwise: float) -> float:
    """Choose between two values that are both drawn."""
    return float(value) if chosen else otherwise
