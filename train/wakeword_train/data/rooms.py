"""Rooms that nobody measured: impulse responses computed from drawn walls, places and absorption.

Room n of a set depends on the seed and n alone. Early reflections are image sources, the rest is
traced rays (pyroomacoustics; Scheibler et al. 2018, doi:10.1109/ICASSP.2018.8461310).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.data.arrays import load_array, save_array
from wakeword_train.pool import workers

__all__ = ["RIR_SAMPLES", "SOURCES", "Room", "build_rooms", "compute", "direct", "draw_room"]

RATE_HZ = 16_000
RIR_SAMPLES = 12_800  # 0.8 s
DIRECT = 40  # samples in which the direct sound peaks
SOURCES = 3  # places from which speech or noise comes
SOUND_M_S = 343.0
BANDS_HZ = (125, 250, 500, 1_000, 2_000, 4_000, 8_000)
WALL_M = 0.2  # nothing is nearer to a wall
NEAREST_M, FARTHEST_M = 0.3, 5.0
IMAGE_ORDER = 4
RAYS = 1_000
FloatArray = NDArray[np.float32]
log = logging.getLogger(__name__)
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A box with a microphone and places of sound in it, all in metres from one corner.

    ``absorption`` is the share of the energy that the walls take, for each of `BANDS_HZ`.
    """

    size_m: Point
    rt60_s: float
    absorption: tuple[float, ...]
    microphone_m: Point
    sources_m: tuple[Point, ...]
    seed: int


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a room of a home or an office, up to 8 m long, that rings for 0.15 to 0.9 s at 1 kHz."""
    size = rng.uniform((2.5, 2.2, 2.3), (8.0, 6.0, 3.4))
    volume = float(np.prod(size))
    walls = 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    sabine = 24 * np.log(10) / SOUND_M_S * volume / walls  # s, times the absorption
    rt60_s = float(rng.uniform(max(0.15, sabine / 0.8), 0.9))
    tilt = rng.uniform(-0.05, 0.2)  # octaves of absorption per octave: treble dies sooner
    bands = sabine / rt60_s * 2.0 ** (tilt * np.arange(-3, 4))
    low, high = np.full(3, WALL_M), size - WALL_M
    microphone = rng.uniform((WALL_M, WALL_M, 0.5), (*high[:2], 1.6))
    sources: list[Point] = []
    while len(sources) < SOURCES:
        away = rng.uniform(NEAREST_M, FARTHEST_M)
        heading = rng.standard_normal(3) * (1.0, 1.0, 0.4)
        place = microphone + away * heading / np.linalg.norm(heading)
        if (place > low).all() and (place < high).all():
            sources.append(_point(place))
    return Room(
        size_m=_point(size), rt60_s=rt60_s,
        absorption=tuple(float(a) for a in np.clip(bands, 0.02, 0.95)),
        microphone_m=_point(microphone), sources_m=tuple(sources),
        seed=int(rng.integers(2**31)),
    )  # fmt: skip


def _point(values: NDArray[np.float64]) -> Point:
    """Turn three numbers into plain ones."""
    x, y, z = values.tolist()
    return x, y, z


def direct(rir: NDArray[np.floating], at: int | None = None) -> FloatArray:
    """Let an impulse response begin at its direct sound, end after 0.8 s, with a direct sound of 1.

    Args:
        rir: shape (N,).
        at: where the direct sound is; None for the highest peak.
    """
    if at is None:
        at = int(np.argmax(np.abs(rir)))
    cut = rir[at : at + RIR_SAMPLES]
    return np.asarray(cut / (np.abs(cut[:DIRECT]).max(initial=0.0) + 1e-9), np.float32)


def compute(room: Room) -> FloatArray:
    """Compute the impulse responses of a room.

    Returns:
        Shape (SOURCES, RIR_SAMPLES), each as `direct` makes it.
    """
    import pyroomacoustics

    pyroomacoustics.constants.set("num_threads", 1)  # or the order of a sum depends on threads
    pyroomacoustics.random.seed(room.seed)
    walls = {"coeffs": list(room.absorption), "center_freqs": list(BANDS_HZ)}
    box = pyroomacoustics.ShoeBox(
        room.size_m, fs=RATE_HZ, materials=pyroomacoustics.Material(walls),
        max_order=IMAGE_ORDER, ray_tracing=True, air_absorption=True,
    )  # fmt: skip
    box.set_ray_tracing(n_rays=RAYS, receiver_radius=0.3, time_thres=RIR_SAMPLES / RATE_HZ)
    for place in room.sources_m:
        box.add_source(place)
    box.add_microphone(room.microphone_m)
    box.compute_rir()
    late = pyroomacoustics.constants.get("frac_delay_length") // 2
    found = np.zeros((SOURCES, RIR_SAMPLES), np.float32)
    for row, rir, place in zip(found, box.rir[0], room.sources_m, strict=True):
        away = np.linalg.norm(np.subtract(place, room.microphone_m))
        cut = direct(rir, round(float(away) / pyroomacoustics.constants.get("c") * RATE_HZ) + late)
        row[: len(cut)] = cut
    return found


def _room(seed: int, number: int) -> FloatArray:
    """Compute one room of a set."""
    return compute(draw_room(np.random.default_rng([seed, number])))


def build_rooms(
    path: Path, count: int, *, seed: int, processes: int = 2, ray: str | None = None
) -> Iterator[tuple[int, int]]:
    """Compute a set of rooms into ``path``, unless it is there: (count, SOURCES, RIR_SAMPLES).

    Args:
        path: the file.
        count: rooms.
        seed: of the rooms.
        processes: worker processes.
        ray: address of a Ray cluster to compute them, in place of processes.

    Yields:
        (rooms done, rooms in all), after each room.

    Raises:
        ConfigError: the library that computes them is missing.
        WakewordError: the disk is full.
    """
    if load_array(path, (count, SOURCES, RIR_SAMPLES), np.float32) is not None:
        yield count, count
        return
    if path.exists():
        log.warning("%s is damaged: it is made again", path)
    if find_spec("pyroomacoustics") is None:
        raise ConfigError(
            "pyroomacoustics, which computes rooms, is missing: pip install 'wakeword[train]', or "
            "train with rooms = 0 and the measured ones alone"
        )
    rooms = np.zeros((count, SOURCES, RIR_SAMPLES), np.float32)
    yield 0, count
    with workers(processes, ray=ray) as pool:
        found = pool.map(_room, ((seed, number) for number in range(count)))
        for done, (number, room) in enumerate(found, start=1):
            rooms[number] = room
            yield done, count
    path.parent.mkdir(parents=True, exist_ok=True)
    save_array(path, rooms)
