"""Which voices are missed more often than others, if they are enough, and what a user's add."""

from __future__ import annotations

from collections.abc import Iterator

from wakeword.intervals import LEVEL, share_interval
from wakeword_train.report.facts import Advice, Group, WordFacts
from wakeword_train.report.say import count, share

__all__ = ["CLIPS_EACH", "own", "people", "voices"]

CLIPS_EACH = 10  # to record of each person
PEOPLE = 10  # fewer voices than these do not stand for everybody
FEWEST = 3  # recordings of a group that is compared


def voices(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Some voices are missed more often than the others."""
    found = False
    for sort, most in (("pitch", 1), ("length", 1), ("speaker", 3)):
        for origin in ("real", "synthetic"):
            groups = [g for g in facts.groups if g.sort == sort and g.origin == origin]
            worst = sorted((c for g in groups if (c := _compared(g, groups))), key=lambda c: -c[0])[
                :most
            ]
            for _, name, text in worst:
                found = True
                yield Advice(sort, "warn", *_voice_text(sort, origin, name, text))
    if facts.groups and not found:
        yield Advice(
            "voices", "note",
            "No pitch, speed or speaker is missed clearly more often than the rest. The groups are "
            "small: their intervals say how much could hide.",
        )  # fmt: skip


def _compared(group: Group, groups: list[Group]) -> tuple[float, str, str] | None:
    """Compare a group with the rest under each condition: gap, name and text of the clearest.

    Of many groups one is the worst by chance: the intervals that must not overlap are those that
    all groups together leave with 95 % (Bonferroni).
    """
    best = None
    level = 1 - (1 - LEVEL) / len(groups)
    for name, own in group.shares.items():
        rest = [g.shares[name] for g in groups if g is not group and name in g.shares]
        misses, clips = sum(s.misses for s in rest), sum(s.clips for s in rest)
        if own.clips < FEWEST or clips < FEWEST:
            continue
        gap = share_interval(own.misses, own.clips, level)[0]
        gap -= share_interval(misses, clips, level)[1]
        if gap > 0 and (best is None or gap > best[0]):
            own_text = share(own.misses, own.clips, own.low, own.high)
            rest_text = share(misses, clips, *share_interval(misses, clips))
            best = (gap, group.name, f"at {name} {own_text}; all others {rest_text}")
    return best


def _voice_text(sort: str, origin: str, name: str, text: str) -> tuple[str, str]:
    """Say which voices are missed, and what to record."""
    kind = "" if origin == "real" else "synthetic "
    if sort == "pitch":
        return (
            f"Missed most often are {kind}voices with {_pitch(name)}: {text}.",
            f"Record {CLIPS_EACH} clips each of at least three people with such voices ({name}).",
        )
    if sort == "length":
        return (
            f"Missed most often are {kind}recordings that say it {name.replace(':', ',')}: {text}.",
            f"Record {CLIPS_EACH} clips each of three people who say it as {name.split(':')[0]} as "
            "that.",
        )
    return (
        f"The {kind}speaker {name} is missed far more often than the others: {text}.",
        f"Listen to the recordings of {name}, and record {CLIPS_EACH} clips each of people who "
        "speak alike.",
    )


def _pitch(name: str) -> str:
    """Say a range of pitch within a sentence."""
    return name if name.startswith("no ") else f"a pitch {name}"


def people(word: str, facts: WordFacts) -> Iterator[Advice]:
    """Few voices, or nobody knows how many."""
    if facts.synthetic == facts.labelled + facts.estimated:
        return
    if not facts.speakers:
        yield Advice(
            "people", "warn",
            "The recordings do not name their speakers, so nobody knows how many voices this is.",
            "Put each person's recordings into a folder of their own.",
        )  # fmt: skip
    elif facts.speakers < PEOPLE:
        yield Advice(
            "people", "warn",
            f"{count(facts.speakers, 'voice')} in the test do not stand for everybody: another "
            "voice may fare better or worse than all of these.",
            f"Record {CLIPS_EACH} clips each of {PEOPLE - facts.speakers} more people.",
        )  # fmt: skip


def own(word: str, facts: WordFacts) -> Iterator[Advice]:
    """What the user's own recordings changed."""
    if not facts.before:
        return
    now, then = facts.rows["in use"], facts.before
    parts = [
        f"{share(hits['misses'], hits['clips'], hits['frr_low'], hits['frr_high'])} at {name}, "
        f"without them {then['conditions'][name]['misses']}"
        for name, hits in now["conditions"].items()
        if name in then["conditions"]
    ]
    missed, before = (
        sum(row["conditions"][name]["misses"] for name in now["conditions"]) for row in (now, then)
    )
    fired, fired_before = (
        sum(r["false_alarms"] for r in row["false_alarms"]) for row in (now, then)
    )
    fewer = missed <= before and fired <= fired_before
    level = "note" if (missed, fired) == (before, fired_before) else "good" if fewer else "warn"
    text = (
        f"With your recordings it missed {'; '.join(parts)}. False alarms: {fired}, without them "
        f"{fired_before}. Both models heard the same test, each at its own threshold."
    )
    do = (
        "Where misses went up or false alarms did, listen to your clips: is the word whole, "
        "and nothing else in them? More people help more than more clips."
    )
    yield Advice("own", level, text, do if level == "warn" else "")
