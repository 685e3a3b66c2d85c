"""Misses against false alarms: the chart, the thresholds behind it, and what others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wakeword_train.report.charts import (
    det_chart,
    interval_bar,
    key,
)
from wakeword_train.report.facts import WordFacts
from wakeword_train.report.markup import Content, Markup, fragment, tag
from wakeword_train.report.say import condition_text, per_hour, percent, range_percent
from wakeword_train.report.table import SHARES, badge, body, table

__all__ = ["trade_off"]


def trade_off(word: str, facts: WordFacts) -> Markup:
    """Show misses against false alarms, and the table behind."""
    names = list(facts.curve["misses"])
    keys = [key(number, f"{name}: {condition_text(name)}") for number, name in enumerate(names)]
    hours = sum(facts.curve["hours"].values())
    return fragment(
        tag("h3", "Misses against false alarms"),
        tag(
            "figure",
            det_chart(word, facts, facts.peers),
            tag(
                "figcaption",
                tag("ul", *keys, class_="key"),
                f"Over all {hours:.2f} h without the word, single words among them. Full marks: "
                "the threshold in use, with its exact 95 % intervals (that of its false alarms "
                "above); hollow marks: thresholds chosen on these recordings for a rate, so a "
                "little too good. Shaded: intervals of the misses. Hatched: fewer than one event "
                "in all the hours, where nothing is verified.",
            ),
            class_="aside",
        ),
        _operating_points(facts),
        _peers(facts),
    )


def _operating_points(facts: WordFacts) -> Markup:
    """List thresholds with what they give, refusals too."""
    heads = ["heard", "missed", "95 %", "", "twice", "elsewhere", "median ms", "95 % within ms"]
    bodies = []
    for name, row in facts.rows.items():
        if "refused" in row:
            cell = [badge("note", "refused"), " ", row["refused"]]
            bodies.append(body([], [f"At most {name}: ", *cell], columns=len(heads)))
            continue
        if all(hits["misses"] == hits["clips"] for hits in row["conditions"].values()):
            text = f"At most {name} in every part: only by hearing nothing at all."
            bodies.append(body([], text, columns=len(heads)))
            continue
        total = row["all_conditions"]
        alarms = per_hour(
            total["false_alarms"], total["hours"], total["fa_low"], total["fa_high"]
        )  # fmt: skip
        chosen = "in use" if name == "in use" else f"chosen here for at most {name} in every part"
        head = [f"Threshold {row['threshold']:.3f}, {chosen}. False alarms: {alarms}."]
        if row.get("unverified_parts"):
            head += [" ", badge("note", "too short to verify"), " ",
                     f"this rate alone: {'; '.join(row['unverified_parts'])}."]  # fmt: skip
        rows = [_hits(condition, hits) for condition, hits in row["conditions"].items()]
        bodies.append(body(rows, head, numbers=(1, 4, 5, 6, 7), columns=len(heads)))
    caption = (
        "Operating points. Twice: a second detection of the same word. Elsewhere: a detection in "
        "the recording, but not of the word."
    )
    return table(caption, heads, bodies, numbers=(1, 4, 5, 6, 7))


def _hits(condition: str, hits: Mapping[str, Any]) -> Sequence[Content]:
    """Say one condition at one threshold."""
    low, high = hits["frr_low"], hits["frr_high"]
    return [
        condition,
        f"{hits['misses']} of {hits['clips']}, {percent(hits['frr'])}",
        tag("span", range_percent(low, high), class_="range"),
        interval_bar(hits["frr"], low, high, SHARES),
        str(hits["doubles"]), str(hits["strays"]), _ms(hits["median_ms"]), _ms(hits["p95_ms"]),
    ]  # fmt: skip


def _ms(value: float | None) -> str:
    """Round milliseconds."""
    return "–" if value is None else f"{value:.0f}"


def _peers(facts: WordFacts) -> Markup:
    """List what other engines report of this word."""
    if not facts.peers:
        return tag(
            "p", "No other engine is known to have reported this word under these conditions.",
            class_="soft",
        )  # fmt: skip
    rows = [
        [
            f"{number}. {peer.engine}", peer.condition, percent(peer.frr),
            "not stated" if peer.fa_per_hour is None else f"{peer.fa_per_hour:g}",
            peer.on, tag("a", peer.source, href=peer.url),
        ]
        for number, peer in enumerate(facts.peers, start=1)
    ]  # fmt: skip
    return table(
        "What others report. Other recordings, other noise, other counting: a hint, no comparison. "
        "In the chart a cross, or an arrow at the right edge where false alarms are not stated.",
        ["engine", "condition", "missed", "false alarms an hour", "measured on", "source"],
        [body(rows)],
    )
