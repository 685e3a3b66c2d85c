"""Augmentation: what is drawn is applied, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")
from wakeword_train.data.augment import (
    Channel,
    coloured_noise,
    draw_channel,
    equaliser,
    mix,
    rms,
    warp,
)
from wakeword_train.data.corpus import word_span

FLAT = Channel(
    rir=-1, noise=-1, noise_at=0.0, colour=0.0, snr_db=10.0, eq_db=(0.0,) * 8,
    cut_hz=8_000.0, peak_db=-6.0, clip_db=0.0,
)  # fmt: skip
RNG = np.random.default_rng(5)
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)


def test_a_flat_channel_only_sets_the_level() -> None:
    heard = mix(TONE, slice(0, 16_000), None, None, FLAT).astype(np.float32) / 32767
    expected = TONE / 0.3 * 10 ** (-6 / 20)
    np.testing.assert_allclose(heard, expected, atol=2e-4)  # one int16 step is 3e-5; FFT ripple


def test_noise_is_added_at_the_drawn_ratio() -> None:
    noise = coloured_noise(RNG, 16_000, 0.0)
    clean = mix(TONE, slice(0, 16_000), None, None, FLAT).astype(np.float32)
    noisy = mix(TONE, slice(0, 16_000), noise, None, FLAT).astype(np.float32)
    gain = float(np.dot(noisy, clean) / np.dot(clean, clean))
    ratio_db = 20 * np.log10(rms(gain * clean) / rms(noisy - gain * clean))
    assert ratio_db == pytest.approx(FLAT.snr_db, abs=0.2)


def test_a_room_delays_nothing_and_adds_a_tail() -> None:
    click = np.zeros(8_000, np.float32)
    click[1_000] = 1
    rir = np.zeros(2_000, np.float32)
    rir[[0, 800]] = 1, 0.5
    heard = mix(click, slice(0, 8_000), None, rir, FLAT)
    assert np.argmax(np.abs(heard)) == 1_000
    assert abs(int(heard[1_800])) == pytest.approx(0.5 * abs(int(heard[1_000])), rel=0.02)


def test_clipping_flattens_the_peaks() -> None:
    heard = mix(TONE, slice(0, 16_000), None, None, replace(FLAT, clip_db=9.0))
    assert np.mean(np.abs(heard) == np.abs(heard).max()) > 0.5


def test_coloured_noise_falls_with_its_colour() -> None:
    for colour, fall_db in ((0.0, 0.0), (1.0, 10.0), (2.0, 20.0)):
        power = np.abs(np.fft.rfft(coloured_noise(RNG, 160_000, colour))) ** 2
        low, high = power[1_000:2_000].mean(), power[10_000:20_000].mean()  # a decade apart
        assert 10 * np.log10(low / high) == pytest.approx(fall_db, abs=1.0)


def test_the_equaliser_passes_its_points() -> None:
    gain = equaliser((0, 0, 0, 6, 0, 0, 0, 0), 8_000.0, 8_001)
    assert 20 * np.log10(gain[800]) == pytest.approx(6, abs=0.01)
    assert 20 * np.log10(equaliser((0.0,) * 8, 4_000.0, 8_001)[5_000]) == pytest.approx(
        -5, abs=0.01
    )


def test_warping_changes_length_and_pitch_together() -> None:
    fast = warp(TONE, 1.25)
    assert len(fast) == pytest.approx(12_800, abs=2)
    spectrum = np.abs(np.fft.rfft(fast[:12_800]))
    assert np.argmax(spectrum) * 16_000 / 12_800 == pytest.approx(550, abs=2)


def test_the_same_seed_draws_the_same_channel() -> None:
    first, second = (draw_channel(np.random.default_rng(3), 4, 9) for _ in range(2))
    assert first == second
    assert first != draw_channel(np.random.default_rng(4), 4, 9)


def test_the_span_of_a_word_is_found_in_noise() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 30, 32_000)
    samples[8_000:16_000] += rng.normal(0, 3_000, 8_000)
    first, last = word_span(samples.astype(np.int16))
    assert abs(first - 8_000) <= 640  # the level is averaged over 50 ms
    assert abs(last - 16_000) <= 640
    assert word_span(np.zeros(300, np.int16)) == (0, 300)
