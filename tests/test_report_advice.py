"""What a report advises: a rule speaks where the counts say so, and is silent where they do not."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeword.intervals import rate_interval, share_interval
from wakeword_train.report.advice import LEVELS, advise, clips_to_claim
from wakeword_train.report.facts import Advice, Group, Share, Use, WordFacts
from wakeword_train.report.markup import Markup, fragment, tag
from wakeword_train.report.uses import ANSWERS, hours_to_claim, uses_of

Counts = dict[str, tuple[int, int]]


def hits(misses: int, clips: int, **more: Any) -> dict[str, Any]:
    low, high = share_interval(misses, clips)
    return {
        "misses": misses, "clips": clips, "frr": misses / clips, "frr_low": low, "frr_high": high,
        "doubles": 0, "strays": 0, "median_ms": 60.0, "p90_ms": 90.0, "p95_ms": 120.0, **more,
    }  # fmt: skip


def rate(part: str, events: int, hours: float) -> dict[str, Any]:
    low, high = rate_interval(events, hours)
    return {
        "part": part, "false_alarms": events, "hours": hours, "fa_per_hour": events / hours,
        "fa_low": low, "fa_high": high,
    }  # fmt: skip


def row(conditions: Counts, *rates: dict[str, Any], threshold: float = 0.5, **more: Any) -> Any:
    return {
        "threshold": threshold,
        "conditions": {name: hits(*counts, **more) for name, counts in conditions.items()},
        "false_alarms": list(rates),
        "false_alarm_sources": [{**r, "part": f"{r['part']} source"} for r in rates],
    }


GOOD: Counts = {"clean": (0, 300), "10dB": (3, 300), "0dB": (3, 300), "reverb": (3, 300)}


def facts(conditions: Counts = GOOD, *, events: int = 0, hours: float = 50.0, **more: Any
          ) -> WordFacts:  # fmt: skip
    """A good word by default, of 30 voices and 50 hours."""
    own = row(conditions, rate("speech", events, hours))
    uses = uses_of(own["conditions"], events, hours, doubtful=False)
    values: dict[str, Any] = {
        "threshold": 0.5, "rows": {"in use": own}, "curve": {}, "latency_ms": {}, "labelled": 0,
        "estimated": 300, "synthetic": 0, "speakers": 30, "long_alarms": events,
        "long_hours": hours, "groups": (), "misses": (), "alarms": (), "fired_on": (),
        "swallowed": (), "peers": (), "uses": uses, "advice": (),
    }  # fmt: skip
    return WordFacts(**{**values, **more})


def found(rule: str, advice: Sequence[Advice]) -> Advice | None:
    return next((one for one in advice if one.rule == rule), None)


def say(rule: str, given: WordFacts, **more: Any) -> str:
    """Text and remedy of one rule; fails where it is silent."""
    one = found(rule, advise("pancake", given, **more))
    assert one is not None, rule
    return f"{one.text} {one.do}"


def test_own_recordings_are_told_with_and_without() -> None:
    then = row({"clean": (12, 40), "10dB": (20, 40)}, rate("speech", 1, 2.0))
    better = facts({"clean": (3, 40), "10dB": (5, 40)}, events=1, hours=2.0, before=then)
    text = say("own", better)
    assert "3 of 40" in text
    assert "at clean, without them 12" in text
    assert "at 10dB, without them 20" in text
    assert found("own", advise("pancake", better)).level == "good"  # type: ignore[union-attr]
    worse = facts({"clean": (3, 40), "10dB": (5, 40)}, events=3, hours=2.0, before=then)
    assert "False alarms: 3, without them 1" in say("own", worse)
    assert found("own", advise("pancake", worse)).level == "warn"  # type: ignore[union-attr]
    assert found("own", advise("pancake", facts())) is None


def group(sort: str, name: str, misses: int, clips: int, origin: str = "real") -> Group:
    share = Share(misses, clips, misses / clips, *share_interval(misses, clips))
    return Group(sort=sort, origin=origin, name=name, speakers=4, shares={"10dB": share})


def test_a_word_without_faults_gets_a_verdict_and_nothing_else() -> None:
    advice = advise("pancake", facts())
    assert [one.rule for one in advice] == ["verdict"]
    assert advice[0].level == "good"
    assert "Good enough for a quiet room" in advice[0].text


def test_the_verdict_says_what_is_known_and_what_is_not() -> None:
    bad = advise("pancake", facts({"clean": (30, 60), "10dB": (40, 60)}, events=400))[0]
    assert bad.level == "bad"
    assert "Good enough" not in bad.text
    assert "Not good enough for a quiet room" in bad.text
    short = advise("pancake", facts(hours=0.5))[0]
    assert short.level == "warn"
    assert "Not known for a quiet room" in short.text


def test_the_verdict_comes_first_and_the_worst_after_it() -> None:
    given = facts({"clean": (1, 60), "0dB": (40, 60)}, hours=2.0, swallowed=("pancakes",))
    levels = [one.level for one in advise("pancake", given)[1:]]
    assert levels == sorted(levels, key=LEVELS.index)
    assert {"bad", "warn", "note"} == set(levels)


def test_a_condition_is_named_only_where_intervals_do_not_overlap() -> None:
    text = say("condition", facts({"clean": (1, 60), "10dB": (9, 60), "0dB": (30, 60)}))
    assert "go up most at 0dB" in text
    assert "30 of 60, 50 % (37 to 63 %)" in text
    assert "Record 10 clips each in three noisy places" in text
    room = say("condition", facts({"clean": (1, 60), "reverb": (30, 60)}))
    assert "from 3 m away" in room
    assert found("condition", advise("p", facts({"clean": (1, 20), "0dB": (4, 20)}))) is None
    pink = say("condition", facts({"clean": (1, 60), "0dB-pink": (30, 60)}))
    assert "a fan), noise as loud as the voice" in pink


def test_voices_are_named_only_where_intervals_do_not_overlap() -> None:
    low = [group("pitch", "below 130 Hz", 14, 40), group("pitch", "130 to 180 Hz", 2, 90)]
    text = say("pitch", facts(groups=low))
    assert "a pitch below 130 Hz: at 10dB 14 of 40, 35 % (21 to 52 %)" in text
    assert "all others 2 of 90" in text
    assert "Record 10 clips each of at least three people with such voices" in text
    close = [group("pitch", "below 130 Hz", 4, 20), group("pitch", "130 to 180 Hz", 6, 90)]
    assert found("pitch", advise("p", facts(groups=close))) is None
    assert "No pitch, speed or speaker" in say("voices", facts(groups=close))
    assert found("voices", advise("p", facts(groups=low))) is None


def test_groups_of_one_or_two_clips_are_not_compared() -> None:
    groups = [group("speaker", "ann", 2, 2), group("speaker", "bob", 0, 400)]
    assert found("speaker", advise("p", facts(groups=groups))) is None


def test_the_worst_of_many_speakers_is_not_called_worse_for_that() -> None:
    one, many = [group("speaker", "ann", 4, 4)], [group("speaker", "rest", 30, 180)]
    assert "speaker ann" in say("speaker", facts(groups=one + many))
    split = [group("speaker", f"p{n}", 1, 6) for n in range(30)]
    assert found("speaker", advise("p", facts(groups=one + split))) is None


def test_at_most_three_speakers_are_named_and_the_most_missed_first() -> None:
    groups = [group("speaker", f"p{n}", 8 + n, 12) for n in range(4)]
    groups.append(group("speaker", "others", 0, 400))
    named = [one.text for one in advise("p", facts(groups=groups)) if one.rule == "speaker"]
    assert len(named) == 3
    assert "The speaker p3 is missed" in named[0]


def test_synthetic_voices_are_compared_among_themselves() -> None:
    groups = [
        group("length", "fast: up to 400 ms", 20, 30, "synthetic"),
        group("length", "slow: longer than 400 ms", 0, 30, "synthetic"),
        group("length", "fast: up to 380 ms", 0, 30), group("length", "slow: 380", 0, 30),
    ]  # fmt: skip
    text = say("length", facts(groups=groups))
    assert "synthetic recordings that say it fast, up to 400 ms" in text
    assert "all others 0 of 30" in text


def test_nobody_real_is_a_problem_and_nothing_is_shown() -> None:
    given = facts(synthetic=300, speakers=0)
    assert "Nobody real was heard" in say("synthetic", given)
    assert found("people", advise("p", given)) is None
    assert found("synthetic", advise("p", facts(synthetic=299))) is None


def test_few_or_unnamed_people_are_said() -> None:
    assert "6 voices in the test" in say("people", facts(speakers=6))
    assert "of 4 more people" in say("people", facts(speakers=6))
    assert "do not name their speakers" in say("people", facts(speakers=0))
    assert found("people", advise("p", facts(speakers=10))) is None


def test_hours_say_what_they_can_show_and_what_it_would_take() -> None:
    text = say("hours", facts(hours=4.0))
    assert "4 h of long sound can verify 0.25 false alarms an hour at best" in text
    assert "37 h without a single one" in text
    assert found("hours", advise("p", facts(hours=37.0))) is None
    none = found("hours", advise("p", facts(long_hours=0.0)))
    assert none is not None
    assert none.level == "bad"


def test_clips_say_how_many_more_it_takes() -> None:
    assert "Record 22 clips or more" in say("clips", facts({"clean": (0, 50)}))
    assert found("clips", advise("p", facts({"clean": (0, 72)}))) is None  # shows 5 %
    assert found("clips", advise("p", facts({"clean": (30, 60)}))) is None  # more would not help


def test_a_source_is_named_with_what_it_said() -> None:
    own = row(GOOD, rate("speech", 1, 40.0), rate("noise", 7, 1.0))
    fired = (("door", "noise source", 5), ("dog", "noise source", 2), ("", "speech source", 1))
    text = say("source", facts(rows={"in use": own}, fired_on=fired))
    assert "7 of 8 false alarms come from noise source, most often door (5) and dog (2)" in text
    once = row(GOOD, rate("speech", 1, 40.0))
    assert found("source", advise("p", facts(rows={"in use": once}))) is None


def test_a_better_threshold_is_offered_where_there_is_one() -> None:
    own = row({"clean": (9, 60)}, rate("speech", 0, 10.0))
    lower = {"in use": own, "0.5 per hour": row({"clean": (2, 60)}, threshold=0.3)}
    assert "--threshold 'pancake=0.300'" in say("threshold", facts(rows=lower))
    noisy = row({"clean": (1, 60)}, rate("speech", 20, 10.0))
    higher = {"in use": noisy, "0.5 per hour": row({"clean": (4, 60)}, threshold=0.8)}
    text = say("threshold", facts(rows=higher))
    assert "more than 0.5 per hour in “speech”" in text
    assert "--threshold 'pancake=0.800'" in text
    deaf = {"in use": noisy, "0.5 per hour": row({"clean": (60, 60)}, threshold=1.0)}
    text = say("threshold", facts(rows=deaf))
    assert "only by hearing nothing at all" in text
    assert "--threshold" not in text
    refused = {"in use": own, "0.5 per hour": {"refused": "too short"}}
    assert found("threshold", advise("p", facts(rows=refused))) is None


@pytest.mark.parametrize(
    ("rule", "more"), [("latency", {"p95_ms": 640.0}), ("doubles", {"doubles": 12})]
)
def test_lateness_and_double_triggers_are_said(rule: str, more: dict[str, Any]) -> None:
    own = row({"clean": (0, 300)}, rate("speech", 0, 50.0), **more)
    assert say(rule, facts(rows={"in use": own}))
    assert found(rule, advise("p", facts())) is None


def test_nothing_heard_has_no_lateness() -> None:
    own = row({"clean": (60, 60)}, rate("speech", 0, 50.0), median_ms=None, p95_ms=None)
    assert found("latency", advise("p", facts(rows={"in use": own}))) is None


def test_words_that_begin_with_it_are_said() -> None:
    text = say("swallowed", facts(swallowed=("pancakes", "pancake day")))
    assert "2 longer words begin" in text
    assert "“pancakes” and “pancake day”" in text


def test_a_threshold_chosen_here_is_said() -> None:
    assert "better than it is" in say("chosen here", facts(), chosen_here=True)


# --- uses ------------------------------------------------------------------------------------


def quiet_room(conditions: Counts, events: int, hours: float, *, doubtful: bool = False) -> Use:
    """5 % clean and one an hour."""
    heard = {name: hits(*counts) for name, counts in conditions.items()}
    return uses_of(heard, events, hours, doubtful=doubtful)[0]


@pytest.mark.parametrize(
    ("misses", "clips", "answer"),
    [
        (0, 300, "shown"),  # at most 1.2 %
        (0, 60, "likely"),  # at most 6 %
        (5, 60, "unlikely"),  # 8.3 %, from 2.8
        (20, 60, "no"),  # from 22 %
    ],
)
def test_misses_are_judged_by_their_interval(misses: int, clips: int, answer: str) -> None:
    assert quiet_room({"clean": (misses, clips)}, 0, 50.0).answer == answer


@pytest.mark.parametrize(
    ("events", "hours", "answer"),
    [
        (0, 4.0, "shown"),  # at most 0.92 an hour
        (1, 4.0, "likely"),
        (6, 4.0, "unlikely"),
        (20, 4.0, "no"),
        (0, 0.9, "unknown"),  # one event must be expected
        (9, 0.9, "no"),  # few hours can refute all the same
        (0, 0.0, "unknown"),
    ],
)
def test_false_alarms_are_judged_by_their_interval(events: int, hours: float, answer: str) -> None:
    assert quiet_room({"clean": (0, 300)}, events, hours).answer == answer


def test_a_use_is_as_good_as_its_weakest_need() -> None:
    use = quiet_room({"clean": (20, 60)}, 0, 0.9)
    assert [need.answer for need in use.needs] == ["no", "unknown"]
    assert use.answer == "no"


def test_what_was_not_measured_is_not_known_and_pink_noise_stands_for_noise() -> None:
    living_room = uses_of({"clean": hits(0, 300)}, 0, 50.0, doubtful=False)[1]
    assert living_room.needs[1].found == "not measured"
    assert living_room.answer == "unknown"
    pink = uses_of({"clean": hits(0, 300), "10dB-pink": hits(0, 300)}, 0, 50.0, doubtful=False)[1]
    assert pink.answer == "shown"


def test_doubtful_recordings_show_nothing() -> None:
    assert quiet_room({"clean": (0, 300)}, 0, 50.0, doubtful=True).answer == "likely"
    assert quiet_room({"clean": (20, 60)}, 0, 50.0, doubtful=True).answer == "no"


def test_answers_go_from_weak_to_strong() -> None:
    assert ANSWERS.index("no") < ANSWERS.index("unknown") < ANSWERS.index("shown")


@given(st.floats(0.01, 0.5))
def test_so_many_clips_and_not_one_fewer_show_a_share(share: float) -> None:
    clips = clips_to_claim(share)
    assert share_interval(0, clips)[1] <= share + 1e-9
    assert clips == 1 or share_interval(0, clips - 1)[1] > share - 1e-9


def test_so_many_hours_show_a_rate() -> None:
    assert rate_interval(0, hours_to_claim(0.1))[1] == pytest.approx(0.1, rel=1e-4)


# --- markup ----------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_text_is_escaped_once_wherever_it_comes_from(content: str, attribute: str) -> None:
    made = tag("p", content, [content, tag("b", content)], title=attribute)
    assert isinstance(made, Markup)
    inner = made.split(">", 1)[1]
    assert html.unescape(inner.replace("<b>", "").replace("</b>", "")[:-4]) == 3 * content
    assert fragment(made) == made
    assert made.count("<") == 4
