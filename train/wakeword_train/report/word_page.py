"""The part of a report that is about one word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wakeword.intervals import rate_interval
from wakeword_train.report.charts import (
    latency_chart,
)
from wakeword_train.report.facts import WordFacts
from wakeword_train.report.groups import false_alarms, groups
from wakeword_train.report.listen import listen
from wakeword_train.report.markup import Markup, fragment, tag
from wakeword_train.report.say import count, percent, range_percent, rate
from wakeword_train.report.table import badge
from wakeword_train.report.trade_off import trade_off

__all__ = ["summary_card", "word_section"]

ANSWERS = {
    "shown": ("good", "✓ yes"),
    "likely": ("good", "✓ probably"),
    "unknown": ("note", "? not known"),
    "unlikely": ("warn", "✗ probably not"),
    "no": ("bad", "✗ no"),
}
LEVELS = {"bad": "Problem", "warn": "Watch", "good": "Good", "note": "Note"}


def summary_card(word: str, facts: WordFacts, anchor: str) -> Markup:
    """Sum up one word in four figures and a sentence."""
    row = facts.rows["in use"]
    conditions: Mapping[str, Any] = row["conditions"]
    figures = [_missed(name, hits) for name, hits in list(conditions.items())[:3]]
    events, hours = facts.long_alarms, facts.long_hours
    if hours:
        low, high = rate_interval(events, hours)
        said = f"{rate(events / hours)} an hour" if events else "none"
        between = f"{rate(low)} to {rate(high)}" if events else f"at most {rate(high)} an hour"
        figures.append(
            ("false alarms", said, f"{events} in {hours:.2g} h of long sound: {between}")
        )
    else:
        figures.append(("false alarms", "not known", "no long sound was heard"))
    cells = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
        for name, value, note in figures
    ]
    verdict = facts.advice[0]
    answers = [use.answer for use in facts.uses]
    good = answers.count("likely") + answers.count("shown")
    sure = "" if "shown" in answers or not good else "probably "
    mark = {"good": "✓", "warn": "?", "bad": "✗"}[verdict.level]
    return tag(
        "article",
        tag("h3", word),
        badge(verdict.level, f"{mark} {sure}good enough for {good} of {len(answers)} uses"),
        tag("p", verdict.text.partition(": ")[2]),
        tag("dl", *cells, class_="figures"),
        tag("p", tag("a", f"All about {word}", href=f"#{anchor}")),
        class_="card",
    )


def _missed(name: str, hits: Mapping[str, Any]) -> tuple[str, str, str]:
    """Say the misses of one condition as a figure."""
    return (
        f"missed, {name}", percent(hits["frr"]),
        f"{hits['misses']} of {hits['clips']}: {range_percent(hits['frr_low'], hits['frr_high'])}",
    )  # fmt: skip


def word_section(word: str, facts: WordFacts, anchor: str) -> Markup:
    """Show everything about one word."""
    return tag(
        "section",
        tag("h2", f"“{word}”", id=anchor),
        _recommendation(facts),
        trade_off(word, facts),
        _latency(word, facts),
        groups(facts),
        false_alarms(facts),
        listen(word, facts),
        _swallowed(word, facts),
        aria_labelledby=anchor,
    )


def _recommendation(facts: WordFacts) -> Markup:
    """Say what it is good for, and what to do next."""
    uses = []
    for use in facts.uses:
        needs = []
        for need in use.needs:
            level, text = ANSWERS[need.answer]
            answer = tag("b", text, class_=level)
            needs.append(tag("li", f"{need.what}: {need.found}. ", answer))
        name = tag("h4", use.name, " ", badge(*ANSWERS[use.answer]))
        uses.append(tag("section", name, tag("ul", *needs, class_="plain"), class_="card use"))
    found = [
        tag(
            "li",
            badge(advice.level, LEVELS[advice.level]),
            tag("p", advice.text),
            tag("p", advice.do, class_="do") if advice.do else "",
            class_=f"is-{advice.level}",
        )
        for advice in facts.advice[1:]
    ]
    return fragment(
        tag("h3", "Is it good enough?"),
        tag(
            "p",
            "Yes: the whole 95 % interval keeps the limit. Probably: the figure does, the interval "
            "reaches past it. Not known: too little was heard. The weakest answer counts.",
            class_="soft",
        ),
        tag("div", *uses, class_="cards uses"),
        tag("h3", "What the figures say, and what to do next"),
        tag("ul", *found, class_="advice"),
    )


def _latency(word: str, facts: WordFacts) -> Markup:
    """Show how soon a word is reported."""
    ends = []
    if facts.labelled:
        ends.append(f"was labelled by hand in {count(facts.labelled, 'recording')}")
    if facts.estimated:
        ends.append(
            f"was estimated from the energy of {count(facts.estimated, 'recording')} (the last "
            "10 ms within 30 dB of the loudest; breath and echo make that late, so times come out "
            "short)"
        )
    return fragment(
        tag("h3", "How soon it answers"),
        tag(
            "figure",
            latency_chart(word, facts),
            tag(
                "figcaption",
                "Of the words heard, at the threshold in use; 50 ms a bar, the line is the median. "
                f"The end of the word {' and '.join(ends)}. Below 0: reported before that end.",
            ),
            class_="aside",
        ),
    )


def _swallowed(word: str, facts: WordFacts) -> Markup:
    """List longer words that set it off."""
    if not facts.swallowed:
        return fragment()
    return fragment(
        tag("h3", "Words that begin with it"),
        tag("p", f"These will set “{word}” off too, and were not trained against: ",
            ", ".join(facts.swallowed), "."),
    )  # fmt: skip
