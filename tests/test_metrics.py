"""Counting, intervals and operating points."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.decide import Decider, DecisionConfig
from wakeword.errors import ConfigError
from wakeword.intervals import rate_interval, share_interval
from wakeword.metrics import (
    Curve,
    Stream,
    Utterance,
    at_false_alarms,
    at_misses,
    check_support,
    listen,
    operating_point,
    rates,
    smooth,
    sweep,
    unverified,
    with_utterances,
)

STEP = 480
HOUR = 57_600_000
ONE_STEP = DecisionConfig(threshold=0.5, smooth_steps=1, refractory_ms=300)


def indices(count: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype=np.int64) * STEP


def said(probs: list[float], start: int, end: int, **more: object) -> Utterance:
    """A recording whose word spans steps start to end, with one step of tolerance."""
    return Utterance(
        probs=np.array(probs, np.float32),
        indices=indices(len(probs)),
        word_start=(start + 1) * STEP,
        word_end=(end + 1) * STEP,
        tolerance=STEP,
        **more,  # type: ignore[arg-type]
    )


def quiet(probs: list[float], part: str = "speech", hours: float = 1.0) -> Stream:
    return Stream(
        probs=np.array(probs, np.float32),
        indices=indices(len(probs)),
        samples=round(hours * HOUR),
        part=part,
    )


# --- intervals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [  # Clopper-Pearson as tabulated, e.g. Geigy Scientific Tables (1982): percent, two decimals
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (0, 50, 0.0, 0.0711),
    ],
)
def test_share_interval_equals_published_table(
    events: int, trials: int, low: float, high: float
) -> None:
    # half a unit of the table's last digit
    assert share_interval(events, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [  # Garwood 1936 as reprinted by Ulm 1990, doi:10.1093/oxfordjournals.aje.a115507
        (0, 0.0, 3.689),
        (1, 0.0253, 5.572),
        (2, 0.2422, 7.225),
        (5, 1.6235, 11.668),
        (10, 4.7954, 18.390),
    ],
)
def test_rate_interval_equals_published_table(events: int, low: float, high: float) -> None:
    assert rate_interval(events, 1.0) == pytest.approx((low, high), abs=6e-4)


@given(trials=st.integers(1, 3000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60)
def test_share_interval_equals_scipy(trials: int, share: float, level: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the oracle is scipy")
    events = round(share * trials)
    expected = stats.binomtest(events, trials).proportion_ci(level, method="exact")
    # log-gamma of 3000 carries about 1e-12 of relative error into the tail
    assert share_interval(events, trials, level) == pytest.approx(tuple(expected), rel=1e-9)


@given(events=st.integers(0, 3000), hours=st.floats(0.01, 1000))
@settings(max_examples=60)
def test_rate_interval_equals_scipy(events: int, hours: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the oracle is scipy")
    low = stats.chi2.ppf(0.025, 2 * events) / 2 / hours if events else 0.0
    high = stats.chi2.ppf(0.975, 2 * events + 2) / 2 / hours
    assert rate_interval(events, hours) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize(("events", "trials"), [(-1, 3), (4, 3), (0, 0)])
def test_impossible_shares_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ConfigError, match="events"):
        share_interval(events, trials)


@pytest.mark.parametrize("hours", [0.0, -1.0, math.inf, math.nan])
def test_impossible_hours_are_refused(hours: float) -> None:
    with pytest.raises(ConfigError, match="hours"):
        rate_interval(0, hours)


def test_confidence_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.95"):
        rate_interval(0, 1.0, level=95)


# --- counting --------------------------------------------------------------------------------

# Few distinct values, so that averages meet thresholds and releases exactly; and arbitrary ones.
SCORES = st.lists(
    st.one_of(st.sampled_from([0.0, 0.25, 0.4, 0.5, 0.75, 1.0]), st.floats(0, 1, width=32)),
    min_size=1,
    max_size=80,
)


@given(
    probs=SCORES,
    width=st.integers(1, 5),
    refractory_ms=st.sampled_from([0, 30, 31, 90, 1000]),
    ratio=st.one_of(st.none(), st.floats(0, 1)),
    thresholds=st.lists(
        st.one_of(st.sampled_from([0.25, 0.5, 0.8, 1.0]), st.floats(0.01, 1)),
        min_size=1,
        max_size=6,
    ),
    strict=st.booleans(),
)
@settings(max_examples=300)
def test_sweep_counts_what_decider_counts(
    probs: list[float],
    width: int,
    refractory_ms: int,
    ratio: float | None,
    thresholds: list[float],
    strict: bool,
) -> None:
    config = DecisionConfig(
        threshold=0.5,
        release=None if ratio is None else 0.5 * ratio,
        smooth_steps=width,
        refractory_ms=refractory_ms,
    )
    stream, utterance = quiet(probs), said(probs, 3, 9)
    curve = sweep([utterance], [stream], config, thresholds=thresholds, strict=strict)
    for row, threshold in enumerate(curve.thresholds):
        decider = Decider(config.with_threshold(float(threshold)), strict=strict)
        found = [index for index, _ in decider.feed(stream.probs, stream.indices)]
        inside = [i for i in found if 4 * STEP <= i <= 11 * STEP]
        assert curve.false_alarms[row].tolist() == [len(found)]
        assert curve.misses[row] == (not inside)
        assert curve.doubles[row] == max(0, len(inside) - 1)
        assert curve.strays[row] == len(found) - len(inside)


@given(probs=SCORES, width=st.integers(1, 6), strict=st.booleans())
def test_smooth_equals_the_average_of_decider(probs: list[float], width: int, strict: bool) -> None:
    decider = Decider(DecisionConfig(smooth_steps=width), strict=strict)
    averages = []
    for step, prob in enumerate(np.array(probs, np.float32).tolist()):
        decider.push(prob, step)
        averages.append(decider.prob)
    assert smooth(np.array(probs, np.float32), width, strict=strict).tolist() == averages


@given(probs=SCORES, width=st.integers(1, 3))
def test_chosen_thresholds_hold_every_count_a_peak_can_make(probs: list[float], width: int) -> None:
    config = DecisionConfig(smooth_steps=width, refractory_ms=0)
    curve = sweep([said(probs, 3, 9)], [quiet(probs)], config)
    peak = smooth(np.array(probs, np.float32), width).max()
    assert curve.thresholds[-1] == 1.0
    assert curve.thresholds[0] >= 0.01
    assert peak < 0.01 or peak in curve.thresholds
    assert (curve.false_alarms[curve.thresholds > peak] == 0).all()
    assert (curve.false_alarms[curve.thresholds <= peak] >= 1).all()


def test_second_detection_of_the_same_word_is_a_double() -> None:
    probs = [0.0] * 4 + [0.9] + [0.0] * 12 + [0.9] + [0.0] * 4
    hits = listen([said(probs, 3, 20)], ONE_STEP)
    assert (hits.misses, hits.doubles, hits.strays) == (0, 1, 0)


def test_detection_outside_the_word_is_neither_hit_nor_hidden() -> None:
    probs = [0.9] + [0.0] * 20
    hits = listen([said(probs, 10, 12)], ONE_STEP)
    assert (hits.misses, hits.doubles, hits.strays) == (1, 0, 1)


@pytest.mark.parametrize(("step", "missed"), [(2, 1), (3, 0), (9, 0), (10, 0), (11, 1)])
def test_window_is_from_word_start_to_end_plus_tolerance(step: int, missed: int) -> None:
    probs = [0.0] * 20
    probs[step] = 1.0
    assert listen([said(probs, 3, 9)], ONE_STEP).misses == missed


def test_detections_within_the_refractory_time_are_one_event() -> None:
    # 0.9 0.0 0.9 fires once: 60 ms apart, 300 ms refractory
    curve = sweep([said([0.0], 0, 0)], [quiet([0.9, 0.0, 0.9])], ONE_STEP, thresholds=[0.5])
    assert curve.false_alarms.tolist() == [[1]]


def test_latency_counts_from_the_end_of_the_word_in_ms() -> None:
    clips = []
    for late in range(1, 11):  # 30 ms .. 300 ms
        probs = [0.0] * 30
        probs[9 + late] = 1.0
        clips.append(said(probs, 3, 9))
    wide = [replace(c, tolerance=20 * STEP) for c in clips]
    hits = listen(wide, ONE_STEP)
    assert (hits.median_ms, hits.p90_ms, hits.p95_ms) == pytest.approx((165, 273, 286.5))


def test_latency_of_nothing_heard_is_none() -> None:
    assert listen([said([0.0] * 20, 3, 9)], ONE_STEP).median_ms is None


def test_results_are_json_and_their_counts_agree() -> None:
    curve = sweep([said([0.0] * 9 + [0.9], 3, 9)], [quiet([0.6, 0.1])], ONE_STEP)
    point = operating_point(curve, 0, "toy")
    stored = json.loads(json.dumps(asdict(point), allow_nan=False))
    assert stored["misses"] == 0
    assert stored["set"] == "toy"
    assert json.loads(json.dumps([asdict(r) for r in rates(curve, 0)]))[0]["part"] == "speech"
    assert json.dumps(asdict(listen([said([0.0] * 10, 3, 9)], ONE_STEP)), allow_nan=False)


def test_sweep_without_negatives_is_refused() -> None:
    with pytest.raises(ConfigError, match="without it"):
        sweep([said([0.5], 0, 0)], [], ONE_STEP)


def test_mismatched_shapes_are_refused() -> None:
    bad = Stream(probs=np.zeros(3, np.float32), indices=indices(4), samples=HOUR)
    with pytest.raises(ConfigError, match="same shape"):
        sweep([said([0.5], 0, 0)], [bad], ONE_STEP)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match="not finite"):
        sweep([said([0.5], 0, 0)], [quiet([0.1, bad])], ONE_STEP)


def test_two_hours_of_scores_are_swept_in_one_pass() -> None:
    # 240,000 steps, two words' worth of bursts a minute: the counts of the highest thresholds
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 0.005, 240_000).astype(np.float32)
    for start in range(500, 240_000, 1000):
        probs[start : start + 10] = (start // 1000 % 100) / 100
    stream = Stream(probs=probs, indices=indices(len(probs)), samples=2 * HOUR)
    curve = sweep([said([0.9] * 10, 3, 9)], [stream], DecisionConfig(smooth_steps=3))
    row = int(np.searchsorted(curve.thresholds, 0.5))
    assert curve.false_alarms[row].tolist() == [len([k for k in range(240) if k % 100 >= 50])]


def test_a_condition_keeps_the_thresholds_and_false_alarms_of_the_whole() -> None:
    loud, faint = said([0.0] * 9 + [0.9], 3, 9), said([0.0] * 9 + [0.3], 3, 9)
    whole = sweep([loud, faint], [quiet([0.0, 0.6])], ONE_STEP)
    part = with_utterances(whole, [faint])
    alone = sweep([faint], [quiet([0.0, 0.6])], ONE_STEP, thresholds=whole.thresholds)
    assert part.clips == 1
    assert part.misses.tolist() == alone.misses.tolist()
    assert part.false_alarms.tolist() == alone.false_alarms.tolist()
    assert (whole.misses == part.misses + with_utterances(whole, [loud]).misses).all()


# --- operating points ------------------------------------------------------------------------


def made_up(false_alarms: list[list[int]], misses: list[int], hours: list[float]) -> Curve:
    count = len(misses)
    zero = np.zeros(count, np.int64)
    return Curve(
        config=ONE_STEP,
        strict=False,
        thresholds=np.linspace(0.1, 0.1 * count, count),
        clips=100,
        misses=np.array(misses),
        doubles=zero,
        strays=zero,
        parts=tuple("abc"[: len(hours)]),
        hours=tuple(hours),
        false_alarms=np.array(false_alarms),
    )


def test_a_rate_below_one_event_in_the_hours_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"up to 10 h, or ask for 0\.24 or more"):
        check_support(0.1, 4.2)
    check_support(0.24, 4.2)  # what the message proposes passes
    curve = made_up([[0]], [0], [4.2])
    with pytest.raises(ConfigError, match="cannot be verified"):
        at_false_alarms(curve, 0.1)


@given(hours=st.floats(0.01, 1e4))
def test_the_rate_that_the_refusal_proposes_is_accepted(hours: float) -> None:
    with pytest.raises(ConfigError) as refused:
        check_support(0.5 / hours, hours)
    check_support(float(str(refused.value).split("ask for ")[1].split(" or")[0]), hours)


def test_zero_false_alarms_are_stated_as_an_upper_bound() -> None:
    point = operating_point(made_up([[0]], [3], [4.0]), 0)
    assert point.fa_high == pytest.approx(3.689 / 4, rel=1e-3)
    assert "no false alarm in 4.00 h: at most 0.92 per hour" in point.text()
    assert "0 per hour" not in point.text()


def test_a_rate_is_held_in_each_part_by_itself() -> None:
    # together 2 events in 8 h hold 0.5 per hour at 0.1; part b alone, 2 in 2 h, does not
    curve = made_up([[0, 2], [0, 1], [0, 0]], [1, 5, 9], [6.0, 2.0])
    point = at_false_alarms(curve, 0.5)
    assert point.threshold == pytest.approx(0.2)
    assert point.misses == 5


def test_a_short_part_must_be_silent_and_is_named() -> None:
    curve = made_up([[0, 1], [0, 0]], [1, 5], [6.0, 0.5])
    assert at_false_alarms(curve, 0.5).misses == 5
    assert unverified(curve, 0.5) == ["b"]


def test_a_rate_broken_at_a_higher_threshold_does_not_count_as_held() -> None:
    # hysteresis can merge two events at a low threshold into one; luck is no margin
    curve = made_up([[0], [3], [0], [0]], [0, 1, 2, 4], [2.0])
    assert at_false_alarms(curve, 0.5).misses == 2


def test_the_middle_of_equally_good_thresholds_is_taken() -> None:
    curve = made_up([[0]] * 5, [1, 1, 1, 1, 2], [2.0])
    assert at_false_alarms(curve, 0.5).threshold in (pytest.approx(0.2), pytest.approx(0.3))


def test_no_threshold_that_holds_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no threshold"):
        at_false_alarms(made_up([[9], [8]], [0, 1], [2.0]), 0.5)


def test_fewest_false_alarms_at_given_misses() -> None:
    point = at_misses(made_up([[9], [4], [1]], [1, 3, 9], [2.0]), 0.05)
    assert (point.misses, point.false_alarms) == (3, 4)
    with pytest.raises(ConfigError, match="fewest is 1 of 100"):
        at_misses(made_up([[9]], [1], [2.0]), 0.001)
