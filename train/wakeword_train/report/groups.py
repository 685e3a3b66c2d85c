"""Who is missed and what sets it off, group by group, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wakeword_train.report.chart import Scale
from wakeword_train.report.charts import (
    interval_bar,
)
from wakeword_train.report.facts import Group, Share, WordFacts
from wakeword_train.report.markup import Content, Markup, fragment, tag
from wakeword_train.report.say import range_percent, rate
from wakeword_train.report.table import SHARES, body, details, table

__all__ = ["false_alarms", "groups"]

MANY = 10  # rows of speakers shown at once

_SORTS = {
    "pitch": "By pitch: the median of the word, measured with Praat",
    "length": "By speed: how long the word takes, in three equal parts",
    "speaker": "By speaker, as the recordings name them; most missed first",
}


def groups(facts: WordFacts) -> Markup:
    """Show who is missed."""
    parts: list[Content] = [
        tag("h3", "Who is missed"),
        tag(
            "p",
            "At the threshold in use. Intervals are exact for that many independent clips; clips "
            "of one person are alike, so groups of few people are less certain than they look.",
        ),
    ]
    if not facts.groups:
        parts.append(tag("p", "Too few recordings to sort into groups."))
    for origin in ("real", "synthetic"):
        for sort, caption in _SORTS.items():
            some = [g for g in facts.groups if g.sort == sort and g.origin == origin]
            if not some:
                continue
            voices = "Recordings of people" if origin == "real" else "Synthetic voices"
            few = some if len(some) <= MANY + 2 else some[:MANY]
            parts.append(_group_table(f"{voices}. {caption}.", few))
            if rest := some[len(few) :]:
                folded = _group_table(f"{voices}. {caption}, the others.", rest)
                parts.append(details(f"{len(rest)} more", folded))
    return fragment(parts)


def _group_table(caption: str, groups: Sequence[Group]) -> Markup:
    """Show groups: a row each, a column per condition."""
    conditions = list(dict.fromkeys(name for group in groups for name in group.shares))
    people = any(g.speakers for g in groups) and groups[0].sort != "speaker"
    rows: list[Sequence[Content]] = []
    for group in groups:
        shares = [_share(group.shares.get(name)) for name in conditions]
        speakers: list[Content] = [str(group.speakers)] if people else []
        rows.append([group.name, *speakers, *shares])
    heads = [groups[0].sort, *(["people"] if people else []), *conditions]
    return table(caption, heads, [body(rows, numbers=(1,) if people else ())])


def _share(one: Share | None) -> Content:
    """Say a share, with a small picture of its interval."""
    if one is None:
        return "–"
    return [
        f"{one.misses} of {one.clips} ",
        tag("span", f"({range_percent(one.low, one.high)})", class_="range"),
        interval_bar(one.frr, one.low, one.high, SHARES),
    ]


def false_alarms(facts: WordFacts) -> Markup:
    """Show what sets it off."""
    row = facts.rows["in use"]
    rates = [*row["false_alarms"], *row["false_alarm_sources"]]
    top = max([r["fa_high"] for r in rates] + [1.0])
    scale = Scale(0.01, top, 6, 114, log=True)
    heads = ["sound", "hours", "events", "an hour", "95 %", "log scale", "can verify, an hour"]
    bodies = [
        body([_rate(r, scale) for r in some], head, numbers=(1, 2, 3), columns=len(heads))
        for head, some in (
            ("By kind of sound", row["false_alarms"]), ("By source", row["false_alarm_sources"])
        )
    ]  # fmt: skip
    labels = [
        [label or "(no label)", source, str(times)]
        for label, source, times in facts.fired_on if times
    ]  # fmt: skip
    heard = (
        table("What set it off, by label.", ["label", "source", "times"],
              [body(labels, numbers=(2,))], numbers=(2,))
        if labels else tag("p", "Nothing set it off.")
    )  # fmt: skip
    caption = (
        "False alarms at the threshold in use. Can verify: a rate below one event in these hours "
        "is too short to verify."
    )
    return fragment(
        tag("h3", "What sets it off"), table(caption, heads, bodies, numbers=(1, 2, 3)), heard
    )


def _rate(one: Mapping[str, Any], scale: Scale) -> Sequence[Content]:
    """Say one rate of false alarms."""
    events = one["false_alarms"]
    low, high = one["fa_low"], one["fa_high"]
    between = f"{rate(low)} to {rate(high)}" if events else f"at most {rate(high)}"
    return [
        one["part"] or "(no name)", f"{one['hours']:.2f}", str(events),
        rate(one["fa_per_hour"]) if events else "none",
        tag("span", between, class_="range"),
        interval_bar(one["fa_per_hour"], low, high, scale),
        rate(1 / one["hours"]),
    ]  # fmt: skip
