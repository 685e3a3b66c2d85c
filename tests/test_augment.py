"""Augmentation: what is drawn is applied, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")
from wakeword.errors import ConfigError
from wakeword_train.data.augment import HARD, AugmentConfig, Channel, Stock, draw_channel
from wakeword_train.data.codecs import CODECS, mu_law, telephone, through
from wakeword_train.data.corpus import word_span
from wakeword_train.data.mixing import bend, coloured_noise, equaliser, mix, rms, swell, warp

FLAT = Channel(peak_db=-6.0, snr_db=10.0)
STOCK = Stock(noises=9, music=2, talk=5, measured=4, rooms=6, sources=3)
RNG = np.random.default_rng(5)
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
ALL = slice(0, 16_000)


def _gain_db(heard: np.ndarray, of: np.ndarray) -> float:
    """How much of ``of`` is in what is heard."""
    return float(20 * np.log10(np.dot(heard, of) / np.dot(of, of)))


def test_a_flat_channel_only_sets_the_level() -> None:
    heard = mix(TONE, ALL, None, FLAT).astype(np.float32) / 32767
    expected = TONE / 0.3 * 10 ** (-6 / 20)
    np.testing.assert_allclose(heard, expected, atol=2e-4)  # one int16 step is 3e-5; FFT ripple


def test_noise_is_added_at_the_drawn_ratio() -> None:
    noise = coloured_noise(RNG, 16_000, 0.0)
    clean = mix(TONE, ALL, None, FLAT).astype(np.float32)
    noisy = mix(TONE, ALL, noise, FLAT).astype(np.float32)
    gain = float(np.dot(noisy, clean) / np.dot(clean, clean))
    ratio_db = 20 * np.log10(rms(gain * clean) / rms(noisy - gain * clean))
    assert ratio_db == pytest.approx(FLAT.snr_db, abs=0.2)


def test_a_room_delays_nothing_and_adds_a_tail() -> None:
    click = np.zeros(8_000, np.float32)
    click[1_000] = 1
    rir = np.zeros(2_000, np.float32)
    rir[[0, 800]] = 1, 0.5
    heard = mix(click, slice(0, 8_000), None, FLAT, rir=rir)
    assert np.argmax(np.abs(heard)) == 1_000
    assert abs(int(heard[1_800])) == pytest.approx(0.5 * abs(int(heard[1_000])), rel=0.02)


def test_speech_and_noise_stand_at_places_of_their_own() -> None:
    click, knock = np.zeros((2, 8_000), np.float32)
    click[1_000] = knock[3_000] = 1
    rirs = np.zeros((2, 2_000), np.float32)
    rirs[0, [0, 500]] = 1, 0.5
    rirs[1, [0, 700]] = 1, -0.5
    heard = mix(click, slice(0, 8_000), knock, replace(FLAT, snr_db=0.0), rir=rirs[0])
    both = mix(
        click, slice(0, 8_000), knock, replace(FLAT, snr_db=0.0), rir=rirs[0], noise_rir=rirs[1]
    )
    peak = abs(int(both[1_000]))
    for at, part in ((1_500, 0.5), (3_000, 1.0), (3_700, -0.5)):
        assert both[at] / peak == pytest.approx(part, abs=0.01)
    assert heard[1_500] / peak == pytest.approx(0.5, abs=0.01)
    assert heard[3_700] / peak == pytest.approx(0.0, abs=0.01)


def test_a_long_tail_wraps_only_into_what_is_dropped() -> None:
    """The lead of a window is dropped, and a tail of 0.8 s must end within it."""
    from wakeword_train.data.mixing import TAIL
    from wakeword_train.data.rooms import RIR_SAMPLES
    from wakeword_train.data.studio import LEAD, SAMPLES

    assert RIR_SAMPLES - TAIL <= LEAD * 160
    click = np.zeros(SAMPLES, np.float32)
    click[-1] = 1
    rir = np.zeros(RIR_SAMPLES, np.float32)
    rir[[0, -1]] = 1, 0.9
    heard = mix(click, slice(0, SAMPLES), None, FLAT, rir=rir)
    assert np.abs(heard[:-50]).max() > 1_000  # it does wrap, or the test shows nothing
    assert np.abs(heard[LEAD * 160 : -200]).max() <= 3  # the ripple of a cut transform


def test_clipping_flattens_the_peaks() -> None:
    heard = mix(TONE, ALL, None, replace(FLAT, clip_db=9.0))
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


def test_bending_moves_the_middle_of_a_word_and_neither_end() -> None:
    clicks = np.zeros(8_000, np.float32)
    clicks[[1_000, 2_000, 3_000, 4_000, 5_000, 7_000]] = 1
    bent = bend(clicks, 2_000, 6_000, 0.2, 1)
    # Faster in its first half: what lay there comes earlier, by 0.2 * 4,000 / pi at most.
    near = [int(np.argmax(bent * ((np.arange(8_000) > a) & (np.arange(8_000) < a + 900))))
            for a in (2_300, 3_300)]  # fmt: skip
    assert near[0] == pytest.approx(3_000 - 165, abs=10)
    assert near[1] == pytest.approx(4_000 - 250, abs=10)
    for place in (1_000, 2_000, 7_000):
        assert bent[place] == 1
    assert np.array_equal(bend(TONE, 100, 102, 0.2, 1), TONE)  # too short to bend


def test_bending_keeps_a_tone_clean() -> None:
    """Its pitch moves by the depth, and no image of it rises: it is no click and no hiss."""
    bent = bend(TONE, 0, 16_000, 0.1, 1)
    power = np.abs(np.fft.rfft(bent * np.hanning(16_000))) ** 2
    assert power[380:500].sum() / power.sum() > 0.9999


def test_a_swell_goes_through_its_points() -> None:
    gain = swell([(0.25, -20.0), (0.5, 0.0), (0.75, -40.0)], 16_000)
    assert len(gain) == 16_000
    for place, level_db in ((0.0, -20), (0.25, -20), (0.375, -10), (0.5, 0), (0.75, -40)):
        assert 20 * np.log10(gain[int(place * 16_000)]) == pytest.approx(level_db, abs=0.2)


def test_noise_swells_and_speech_does_not() -> None:
    noise = coloured_noise(RNG, 16_000, 0.0)
    channel = replace(FLAT, snr_db=0.0, swell_db=((0.0, -60.0), (0.5, -60.0), (0.51, 0.0)))
    heard = mix(TONE, ALL, noise, channel).astype(np.float32)
    quiet, loud = slice(0, 7_900), slice(8_300, 16_000)
    left = [rms(heard[s] - np.dot(heard[quiet], TONE[quiet]) / np.dot(TONE[quiet], TONE[quiet])
                * TONE[s]) for s in (quiet, loud)]  # fmt: skip
    assert 20 * np.log10(left[1] / left[0]) > 40
    assert left[1] == pytest.approx(rms(heard[quiet]), rel=0.05)  # 0 dB


def test_mu_law_keeps_38_db_at_any_level() -> None:
    """Which is what eight bits of it give for a sine, from loud to 30 dB softer."""
    for level in (0.9, 0.1, 0.03):
        tone = np.rint(TONE / 0.3 * level * 32_767).astype(np.int16)
        error = mu_law(tone).astype(np.float64) - tone
        assert 20 * np.log10(level * 32_767 / np.sqrt(2) / np.sqrt(np.mean(error**2))) > 36
    assert np.array_equal(mu_law(-mu_law(tone)), -mu_law(tone))


def test_a_telephone_passes_its_band() -> None:
    time = np.arange(16_000) / 16_000
    for pitch, passed in ((100, False), (440, True), (3_000, True), (5_000, False)):
        tone = np.rint(8_000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)
        heard = telephone(tone)[2_000:14_000]
        loss_db = 20 * np.log10(np.std(tone) / max(np.std(heard), 1e-3))
        assert loss_db == pytest.approx(0, abs=0.5) if passed else loss_db > 30


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_changes_the_sound_but_neither_its_place_nor_itself(codec: str) -> None:
    pytest.importorskip("soundfile")
    sound = np.rint(3_000 * RNG.standard_normal(59_520) * (np.arange(59_520) // 4_000 % 2))
    samples = sound.astype(np.int16)
    heard = through(codec, samples)
    assert heard.dtype == np.int16
    assert len(heard) == len(samples)
    assert not np.array_equal(heard, samples)
    assert np.array_equal(heard, through(codec, samples))
    match = np.fft.irfft(np.fft.rfft(heard) * np.conj(np.fft.rfft(samples)))
    assert abs((int(np.argmax(match)) + 1_000) % 59_520 - 1_000) <= 2
    assert np.array_equal(through("", samples), samples)


def test_the_same_seed_draws_the_same_channel() -> None:
    config = HARD
    first, second = (draw_channel(np.random.default_rng(3), config, STOCK) for _ in range(2))
    assert first == second
    assert first != draw_channel(np.random.default_rng(4), config, STOCK)


def test_a_share_that_changes_moves_no_other_draw() -> None:
    dull = replace(HARD, reverb=0.0, uneven=0.0, telephone=0.0, clipped=0.0, narrow=0.0)
    for seed in range(20):
        one = draw_channel(np.random.default_rng(seed), HARD, STOCK)
        two = draw_channel(np.random.default_rng(seed), dull, STOCK)
        assert (one.noise, one.noise_at, one.voices) == (two.noise, two.noise_at, two.voices)
        assert (one.snr_db, one.eq_db, one.peak_db) == (two.snr_db, two.eq_db, two.peak_db)


def test_channels_are_drawn_in_their_shares() -> None:
    config = HARD
    rng = np.random.default_rng(0)
    drawn = [draw_channel(rng, config, STOCK) for _ in range(4_000)]
    part = {name: count / 4_000 for name, count in Counter(c.noise for c in drawn).items()}
    rest = 1 - config.quiet - config.coloured - config.babble - config.music
    wanted = {
        "none": config.quiet, "coloured": config.coloured, "babble": config.babble,
        "music": config.music, "recorded": rest,
    }  # fmt: skip
    assert part == pytest.approx(wanted, abs=0.025)  # three standard errors
    wet = [c for c in drawn if c.measured >= 0 or c.room >= 0]
    assert len(wet) / 4_000 == pytest.approx(config.reverb, abs=0.025)
    computed = [c for c in wet if c.room >= 0]
    assert len(computed) / len(wet) == pytest.approx(config.simulated, abs=0.035)
    assert all(c.measured < 0 for c in computed)
    assert all(c.noise_source != c.source for c in computed)
    assert {c.room for c in computed} == set(range(6))
    assert {c.measured for c in wet} - {-1} == set(range(4))
    # Hard noise is no rarity: a fifth of what is heard in noise lies below 0 dB.
    assert np.mean([c.snr_db < 0 for c in drawn]) == pytest.approx(8 / 36, abs=0.02)
    assert {c.codec for c in drawn} == {"", *CODECS}
    assert all(3 <= len(c.voices) <= 7 for c in drawn if c.noise == "babble")


def test_what_is_not_in_stock_is_not_drawn() -> None:
    rng = np.random.default_rng(0)
    for stock, kinds in (
        (Stock(), {"none", "coloured"}),
        (Stock(noises=1), {"none", "coloured", "recorded"}),
        (Stock(talk=2), {"none", "coloured", "babble"}),
    ):
        drawn = [draw_channel(rng, HARD, stock) for _ in range(300)]
        assert {c.noise for c in drawn} == kinds
        assert all(c.measured == c.room == c.noise_source == -1 for c in drawn)
    drawn = [draw_channel(rng, HARD, Stock(measured=2)) for _ in range(300)]
    assert {c.measured for c in drawn} == {-1, 0, 1}
    assert {c.room for c in drawn} == {-1}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"snr_db": (10.0, 0.0)}, "low, high"),
        ({"snr_db": 3.0}, "low, high"),
        ({"reverb": 1.5}, r"reverb=1\.5"),
        ({"babble": 0.6, "coloured": 0.4}, "more than 1"),
        ({"speed": (0.1, 1.0)}, "speed"),
        ({"rooms": -1}, "rooms=-1"),
        ({"peak_db": (-6.0, 3.0)}, "full scale"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        AugmentConfig(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_the_span_of_a_word_is_found_in_noise() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 30, 32_000)
    samples[8_000:16_000] += rng.normal(0, 3_000, 8_000)
    first, last = word_span(samples.astype(np.int16))
    assert abs(first - 8_000) <= 640  # the level is averaged over 50 ms
    assert abs(last - 16_000) <= 640
    assert word_span(np.zeros(300, np.int16)) == (0, 300)
