"""Computed rooms: what was drawn is what rings, and a set is made once and the same again."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("pyroomacoustics")
from wakeword.errors import ConfigError
from wakeword_train.data import rooms
from wakeword_train.data.arrays import save_array
from wakeword_train.data.rooms import (
    RIR_SAMPLES,
    SOURCES,
    Room,
    build_rooms,
    compute,
    direct,
    draw_room,
)

NEAR_AND_FAR = Room(
    size_m=(6.0, 4.0, 2.6), rt60_s=0.4, absorption=(0.3,) * 7, microphone_m=(1.0, 2.0, 1.0),
    sources_m=((1.4, 2.0, 1.0), (3.0, 2.0, 1.2), (5.6, 2.0, 1.4)), seed=1,
)  # fmt: skip


def _drawn(count: int) -> list[Room]:
    return [draw_room(np.random.default_rng([7, number])) for number in range(count)]


def _decay_s(rir: np.ndarray) -> float:
    """Time in which the energy left falls by 60 dB, from its fall from -5 to -25 dB."""
    left_db = 10 * np.log10(np.cumsum(np.square(rir, dtype=np.float64)[::-1])[::-1] + 1e-20)
    left_db -= left_db[0]
    first, last = (int(np.argmax(left_db < level)) for level in (-5, -25))
    return 3 * (last - first) / 16_000


def test_everything_stands_within_the_walls_and_in_reach() -> None:
    for room in _drawn(200):
        places = np.array([room.microphone_m, *room.sources_m])
        assert len(places) == 1 + SOURCES
        assert (places > 0.19).all()
        assert (places < np.array(room.size_m) - 0.19).all()
        away = np.linalg.norm(places[1:] - places[0], axis=1)
        assert ((away >= 0.3 - 1e-9) & (away <= 5)).all()
        assert 0.15 <= room.rt60_s <= 0.9
        assert all(0.02 <= share <= 0.95 for share in room.absorption)


def test_rooms_are_near_and_far_dry_and_ringing() -> None:
    drawn = _drawn(200)
    away = [np.linalg.norm(np.subtract(s, r.microphone_m)) for r in drawn for s in r.sources_m]
    assert np.quantile(away, 0.1) < 0.6
    assert np.quantile(away, 0.9) > 2.5
    assert np.quantile([room.rt60_s for room in drawn], (0.1, 0.9)) == pytest.approx(
        (0.23, 0.82), abs=0.05
    )


def test_a_computed_room_rings_as_long_as_it_was_drawn_to() -> None:
    ratios = []
    for room in _drawn(5):
        found = compute(room)
        assert found.shape == (SOURCES, RIR_SAMPLES)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        ratios += [_decay_s(rir) / room.rt60_s for rir in found]
    # Sabine's rule is one for diffuse sound: within a third, and right on average.
    assert all(0.6 < ratio < 1.5 for ratio in ratios)
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)


def test_the_farther_the_source_the_less_of_it_is_direct() -> None:
    found = compute(NEAR_AND_FAR)
    energy = np.square(found)
    part = energy[:, :32].sum(axis=1) / energy.sum(axis=1)  # 2 ms, before the floor answers
    assert part[0] > part[1] > part[2]
    assert part[0] > 0.5
    # The direct sound comes at once, whatever the distance: labels stay true.
    assert all(np.abs(rir[:4]).max() > 0.5 * np.abs(rir[:32]).max() for rir in found)


def test_an_impulse_response_begins_at_its_direct_sound() -> None:
    rir = np.zeros(20_000)
    rir[[100, 300, 15_000]] = 0.6, -0.8, 0.5
    assert np.flatnonzero(direct(rir)).tolist() == [0]  # the highest peak, and 0.8 s from there
    found = direct(rir, 100)
    assert np.flatnonzero(found).tolist() == [0, 200]
    assert found[[0, 200]].tolist() == pytest.approx([1.0, -0.8 / 0.6])
    assert not direct(np.zeros(500)).any()


def test_a_damaged_set_is_made_again_by_any_number_of_processes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rooms.npy"
    made = np.stack([compute(draw_room(np.random.default_rng([5, n]))) for n in range(2)])
    assert not np.array_equal(made[0], made[1])
    save_array(path, made)
    assert list(build_rooms(path, 2, seed=5)) == [(2, 2)]  # it is there
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with caplog.at_level(logging.WARNING):
        assert list(build_rooms(path, 2, seed=5, processes=2)) == [(0, 2), (1, 2), (2, 2)]
    assert path.read_bytes() == whole
    assert "rooms.npy is damaged" in caplog.text


def test_without_the_library_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install .*rooms = 0"):
        list(build_rooms(tmp_path / "rooms.npy", 1, seed=5))
