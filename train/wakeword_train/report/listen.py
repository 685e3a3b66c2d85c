"""Sounds to listen to."""

from __future__ import annotations

from wakeword_train.report.charts import (
    example_chart,
)
from wakeword_train.report.facts import Example, WordFacts
from wakeword_train.report.markup import Markup, fragment, tag
from wakeword_train.report.say import count
from wakeword_train.report.table import badge

__all__ = ["listen"]


def listen(word: str, facts: WordFacts) -> Markup:
    """Show what to listen to."""
    missed = sum(not one.fired for one in facts.misses)
    fired = sum(one.fired for one in facts.alarms)
    row = facts.rows["in use"]
    misses = sum(hits["misses"] for hits in row["conditions"].values())
    alarms = row["all_conditions"]["false_alarms"]
    return fragment(
        tag("h3", "Listen: missed words"),
        tag(
            "p",
            f"{missed} of {count(misses, 'miss', 'misses')}: the lowest score of each condition in "
            "turn, each recording once, at most two of a speaker while there are others. Exactly "
            "as the detector heard them, noise and all. Green: the word; dashed red: the "
            "threshold.",
            "" if missed == len(facts.misses) else " Then those heard with the lowest scores.",
        ),
        tag("div", *(_example(e, facts, word) for e in facts.misses), class_="examples"),
        tag("h3", "Listen: false alarms"),
        tag(
            "p",
            f"{fired} of {count(alarms, 'false alarm')}: the highest scores, at most two of a "
            "label while there are others; from 2 s before.",
            "" if fired == len(facts.alarms) else " Then where it came nearest to one.",
        ),
        tag("div", *(_example(e, facts, word) for e in facts.alarms), class_="examples"),
    )


def _example(example: Example, facts: WordFacts, word: str) -> Markup:
    """Show one stretch of sound."""
    is_word = example.word_s is not None
    if is_word:
        state = badge("good", "heard") if example.fired else badge("bad", "missed")
    else:
        state = badge("bad", "false alarm") if example.fired else badge("note", "did not fire")
    about = [
        f"at {example.condition}" if example.condition else "",
        f"speaker {example.speaker}" if example.speaker else "",
        "synthetic" if example.synthetic else "",
        "" if is_word else f"{example.at_s + example.event_s:.1f} s into the file",
        f"score {example.peak:.2f}",
    ]
    name = example.label.replace("_", " ") or "sound"
    caption = tag(
        "figcaption",
        state, " ", tag("b", word if is_word else name), ", ",
        ", ".join(part for part in about if part),
        tag("div", tag("small", tag("code", example.file))),
    )  # fmt: skip
    sound = tag(
        "audio", controls=True, preload="none", src=f"data:audio/flac;base64,{example.audio}",
        aria_label=f"{name}, {example.file}, {example.seconds:.1f} seconds",
    )  # fmt: skip
    return tag("figure", caption, example_chart(example, facts.threshold), sound)
