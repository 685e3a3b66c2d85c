"""What the figures say in plain words, and what to do next. Each rule looks at counts alone.

A condition is called worse only where the exact 95 % intervals do not overlap, a group only where
those do not that are widened for the number of groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wakeword_train.report.advice_voices import CLIPS_EACH, own, people, voices
from wakeword_train.report.facts import Advice, WordFacts
from wakeword_train.report.say import (
    and_list,
    condition_text,
    count,
    per_hour,
    percent,
    range_percent,
    share,
)
from wakeword_train.report.uses import hours_to_claim

__all__ = ["LEVELS", "advise", "clips_to_claim"]

LEVELS = ("bad", "warn", "good", "note")
CLAIM_FRR, CLAIM_FA = 0.05, 0.1
LATE_MS = 500.0
DOUBLES = 0.02
IN_USE = "in use"


def clips_to_claim(frr: float) -> int:
    """Clips, none of them missed, that show no more than this share to be missed.

    >>> clips_to_claim(0.05)
    72
    """
    return math.ceil(math.log(0.025) / math.log1p(-frr))


def advise(word: str, facts: WordFacts, *, chosen_here: bool = False) -> list[Advice]:
    """Apply all rules to one word.

    Args:
        word: its name.
        facts: everything measured of it; ``uses`` answered.
        chosen_here: its threshold was chosen on the same recordings.

    Returns:
        The verdict first, then what is bad, what to watch, what is good, and notes.
    """
    found = [advice for rule in _RULES for advice in rule(word, facts)]
    if chosen_here:
        found.append(
            Advice(
                "chosen here", "warn",
                "The threshold was chosen on these same recordings, so all of this looks a little "
                "better than it is.",
                "Evaluate on recordings that chose nothing: --split test, or your own.",
            )
        )  # fmt: skip
    return [_verdict(word, facts), *sorted(found, key=lambda a: LEVELS.index(a.level))]


def _row(facts: WordFacts) -> Mapping[str, Any]:
    """Figures at the threshold in use."""
    row: Mapping[str, Any] = facts.rows[IN_USE]
    return row


def _base(facts: WordFacts) -> tuple[str, Mapping[str, Any]]:
    """The easiest condition: clean, or the first there is."""
    conditions = _row(facts)["conditions"]
    name = "clean" if "clean" in conditions else next(iter(conditions))
    return name, conditions[name]


def _said(hits: Mapping[str, Any]) -> str:
    """Say the misses of one condition."""
    return share(hits["misses"], hits["clips"], hits["frr_low"], hits["frr_high"])


def _verdict(word: str, facts: WordFacts) -> Advice:
    """Sum up the answers."""
    by_answer: dict[str, list[str]] = {}
    for use in facts.uses:
        by_answer.setdefault(use.answer, []).append(use.name[0].lower() + use.name[1:])
    good = [("shown", "Good enough for"), ("likely", "Probably good enough for")]
    poor = [("unknown", "Not known for"), ("unlikely", "Probably not good enough for"),
            ("no", "Not good enough for")]  # fmt: skip
    parts = [f"{say} {_or(by_answer[a])}." for a, say in (*good, *poor) if a in by_answer]
    fine = any(answer in by_answer for answer, _ in good)
    level = "good" if fine else "bad" if set(by_answer) <= {"no", "unlikely"} else "warn"
    return Advice("verdict", level, f"“{word}”: " + " ".join(parts))


def _or(names: list[str]) -> str:
    """Join the names of places, which have commas in them."""
    return "; ".join(names)


def _synthetic(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Nobody real was heard."""
    if facts.synthetic and facts.synthetic == facts.labelled + facts.estimated:
        yield Advice(
            "synthetic", "bad",
            "Nobody real was heard: all recordings of the word were made by a machine. People will "
            "be missed more often than these figures say.",
            f"Record {CLIPS_EACH} clips each of at least five people, and evaluate on them.",
        )  # fmt: skip


def _noise(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Misses go up under a condition."""
    base_name, base = _base(facts)
    worse = {
        name: hits
        for name, hits in _row(facts)["conditions"].items()
        if hits["frr_low"] > base["frr_high"]
    }
    if not worse:
        return
    name, hits = max(worse.items(), key=lambda pair: pair[1]["frr"])
    where = (
        "from 3 m away and from the next room"
        if "reverb" in name
        else "with the radio talking before each"
        if name == "talk"
        else "in three noisy places (a running tap, television, a fan), "
        + condition_text(name.removesuffix("-pink"))
    )
    yield Advice(
        "condition", "bad" if hits["frr"] > 0.2 else "warn",
        f"Misses go up most at {name} ({condition_text(name)}): {_said(hits)}; {base_name}: "
        f"{_said(base)}.",
        f"Record {CLIPS_EACH} clips each {where}, and train again; or bring the microphone closer.",
    )  # fmt: skip


def _clips(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Too few clips to show that few are missed."""
    name, base = _base(facts)
    need = clips_to_claim(CLAIM_FRR)
    if base["frr_high"] <= CLAIM_FRR or base["frr_low"] > CLAIM_FRR or base["clips"] >= 3 * need:
        return
    yield Advice(
        "clips", "note",
        f"{count(base['clips'], 'clip')} ({name}) leave it open how many are missed: "
        f"{range_percent(base['frr_low'], base['frr_high'])}. To show {percent(CLAIM_FRR)} takes "
        f"{need} clips without a miss.",
        f"Record {max(need - base['clips'], CLIPS_EACH)} clips or more for testing alone.",
    )  # fmt: skip


def _hours(word: str, facts: WordFacts) -> Iterator[Advice]:
    """What the hours can and cannot show."""
    hours = facts.long_hours
    claim = hours_to_claim(CLAIM_FA)
    need = f"{claim:.0f} h without a single one"
    if not hours:
        yield Advice(
            "hours", "bad",
            "No long sound was heard, so nothing is known of false alarms in daily life.",
            f"Record ordinary hours without the word; {CLAIM_FA:g} an hour takes {need}.",
        )  # fmt: skip
    elif hours < claim:
        yield Advice(
            "hours", "warn",
            f"{hours:.2g} h of long sound can verify {1 / hours:.2g} false alarms an hour at best, "
            f"nothing rarer. To claim {CLAIM_FA:g} an hour takes {need}.",
            "Let it run for days where it will live, keep what sets it off, and evaluate on hours "
            "of that room.",
        )  # fmt: skip


def _sources(word: str, facts: WordFacts) -> Iterator[Advice]:
    """One source sets it off more than the others."""
    rates = _row(facts)["false_alarm_sources"]
    total = sum(r["false_alarms"] for r in rates)
    worst = max(rates, key=lambda r: (r["false_alarms"], r["fa_low"]), default=None)
    if worst is None or worst["false_alarms"] < 2:
        return
    labels = [
        (n, label) for label, source, n in facts.fired_on if source == worst["part"] and label
    ]
    often = [f"{label} ({n})" for n, label in sorted(labels, key=lambda p: (-p[0], p[1]))[:3]]
    named = f", most often {and_list(often)}" if often else ""
    rate = per_hour(worst["false_alarms"], worst["hours"], worst["fa_low"], worst["fa_high"])
    yield Advice(
        "source", "warn",
        f"{worst['false_alarms']} of {count(total, 'false alarm')} come from {worst['part']}"
        f"{named}: {rate}.",
        "Listen to them below. If such sounds are part of your days, record more of them and train "
        "with them as negatives.",
    )  # fmt: skip


def _threshold(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Another threshold would serve better, or none would."""
    name, base = _base(facts)
    for target, row in facts.rows.items():
        if target == IN_USE or "refused" in row:
            continue
        hits = row["conditions"][name]
        at = f"{row['threshold']:.3f}"
        if hits["misses"] == hits["clips"]:
            worst = max(_row(facts)["false_alarms"], key=lambda r: r["fa_per_hour"])
            yield Advice(
                "threshold", "bad",
                f"At most {target} in every part is held only by hearing nothing at all; most "
                f"false alarms are in “{worst['part']}”.",
                "Train with more sound like that as negatives: no threshold helps.",
            )  # fmt: skip
            return
        if row["threshold"] < facts.threshold and hits["misses"] < base["misses"]:
            yield Advice(
                "threshold", "note",
                f"A threshold of {at} would still hold {target} here and miss {_said(hits)} "
                f"({name}) in place of {_said(base)}.",
                f"Try --threshold '{word}={at}'.",
            )  # fmt: skip
            return
        over = [f"“{r['part']}”" for r in _row(facts)["false_alarms"]
                if r["false_alarms"] > _allowed(r, target)]  # fmt: skip
        if row["threshold"] > facts.threshold and over:
            yield Advice(
                "threshold", "note",
                f"At the threshold in use there are more than {target} in {and_list(over)}. At "
                f"{at} there are not; it then misses {_said(hits)} ({name}) in place of "
                f"{_said(base)}.",
                f"If false alarms annoy more than misses, try --threshold '{word}={at}'.",
            )  # fmt: skip
            return


def _allowed(rate: Mapping[str, Any], target: str) -> float:
    """False alarms that a part may have, as `wakeword.metrics.at_false_alarms` counts."""
    hours: float = rate["hours"]
    return math.floor(float(target.split()[0]) * hours + 1e-9)


def _late(word: str, facts: WordFacts) -> Iterator[Advice]:
    """It takes its time."""
    name, base = _base(facts)
    if base["p95_ms"] is not None and base["p95_ms"] > LATE_MS:
        yield Advice(
            "latency", "warn",
            f"One word in twenty ({name}) is reported {base['p95_ms']:.0f} ms after its end or "
            "later: people will start to repeat it.",
            "A smaller smoothing (smooth_steps) answers sooner.",
        )  # fmt: skip


def _doubles(word: str, facts: WordFacts) -> Iterator[Advice]:
    """It fires twice."""
    name, base = _base(facts)
    if base["doubles"] > DOUBLES * base["clips"]:
        yield Advice(
            "doubles", "warn",
            f"It fires twice on one word in {base['doubles']} of {count(base['clips'], 'clip')} "
            f"({name}).",
            "A longer refractory time (refractory_ms) stops that.",
        )  # fmt: skip


def _swallowed(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Longer words set it off too."""
    if facts.swallowed:
        yield Advice(
            "swallowed", "note",
            f"{count(len(facts.swallowed), 'longer word')} begin with “{word}” and will set it off "
            f"too, {and_list([f'“{w}”' for w in facts.swallowed[:4]])} for example: no model that "
            "answers at once can tell them apart.",
        )  # fmt: skip


Rule = Callable[[str, WordFacts], Iterator[Advice]]
_RULES: tuple[Rule, ...] = (
    _synthetic, own, _noise, voices, people, _sources, _threshold, _hours, _clips, _late, _doubles,
    _swallowed,
)  # fmt: skip
