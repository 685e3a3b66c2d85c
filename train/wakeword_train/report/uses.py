"""Good enough for what? Each use asks for something, and the intervals say whether it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wakeword.intervals import rate_interval
from wakeword.metrics import Stream
from wakeword_train.report.facts import Need, Use
from wakeword_train.report.outcomes import Alarm
from wakeword_train.report.say import per_hour, percent, range_percent
from wakeword_train.scoring import OTHER_WORDS, SAME_WORDS

__all__ = ["ANSWERS", "LONG", "hours_to_claim", "long_sound", "uses_of"]

ANSWERS = ("no", "unlikely", "unknown", "likely", "shown")  # the weakest first
LONG = 160_000  # samples, 10 s: the shortest recording that is long sound
SAMPLES_PER_HOUR = 57_600_000
NO_EVENT = 3.6889  # events per 1 / rate that 0 events refute: -ln(0.025), two-sided 95 %


@dataclass(frozen=True, slots=True)
class _Place:
    """What a place asks for: most misses by condition, most false alarms an hour."""

    name: str
    frr: Mapping[str, float]
    fa_per_hour: float


PLACES = (
    _Place("A quiet room, close to the microphone", {"clean": 0.05}, 1.0),
    _Place("A living room with talk, radio or television", {"clean": 0.05, "10dB": 0.10}, 0.5),
    _Place("Across the room, or beside running water", {"reverb": 0.10, "0dB": 0.20}, 0.5),
    _Place("Always on, in a product for strangers", {"clean": 0.03, "10dB": 0.05}, 0.1),
)


def hours_to_claim(fa_per_hour: float) -> float:
    """Hours without a single false alarm that show a rate to be no higher than this.

    >>> round(hours_to_claim(0.1))
    37
    """
    return NO_EVENT / fa_per_hour


def long_sound(
    alarms: Sequence[Alarm], streams: Sequence[Stream], shortest: int = LONG
) -> tuple[int, float]:
    """Count false alarms and hours in long sound alone: recordings of 10 s or more, not joined.

    Words one a second, and noises of a few seconds cut out because they are remarkable, are a hard
    test, but no room sounds like that.
    """
    long = {
        id(s) for s in streams
        if s.samples >= shortest and s.part not in (SAME_WORDS, OTHER_WORDS)
    }  # fmt: skip
    hours = sum(s.samples for s in streams if id(s) in long) / SAMPLES_PER_HOUR
    return sum(id(a.stream) in long for a in alarms if a.fired), hours


def uses_of(
    conditions: Mapping[str, Any], events: int, hours: float, *, doubtful: bool
) -> list[Use]:
    """Answer for each place, at one threshold.

    Args:
        conditions: hits by condition, as in a row of `wakeword_train.judge.judge`.
        events: false alarms in long sound.
        hours: of long sound.
        doubtful: the recordings are easier than life (synthetic, or those that chose the
            threshold): nothing is more than likely.
    """
    found = []
    for place in PLACES:
        needs = [_misses(name, limit, conditions) for name, limit in place.frr.items()]
        needs.append(_alarms(place.fa_per_hour, events, hours))
        found.append(_use(place.name, needs, doubtful))
    return found


def _use(name: str, needs: Sequence[Need], doubtful: bool) -> Use:
    """Answer for one place."""
    if doubtful:
        needs = [
            Need(what=n.what, found=n.found, answer="likely" if n.answer == "shown" else n.answer)
            for n in needs
        ]
    return Use(
        name=name, needs=tuple(needs), answer=min((n.answer for n in needs), key=ANSWERS.index)
    )


def _misses(name: str, limit: float, conditions: Mapping[str, Any]) -> Need:
    """Compare the misses under one condition, or its twin in pink noise, with a limit."""
    hits = conditions.get(name) or conditions.get(f"{name}-pink")
    what = f"at most {percent(limit)} missed ({name})"
    if hits is None:
        return Need(what=what, found="not measured", answer="unknown")
    found = f"{percent(hits['frr'])} ({range_percent(hits['frr_low'], hits['frr_high'])})"
    if hits["frr_high"] <= limit:
        answer = "shown"
    elif hits["frr_low"] > limit:
        answer = "no"
    else:
        answer = "likely" if hits["frr"] <= limit else "unlikely"
    return Need(what=what, found=found, answer=answer)


def _alarms(limit: float, events: int, hours: float) -> Need:
    """Compare the false alarms in long sound with a limit."""
    what = f"at most {limit:g} false alarms an hour"
    if not hours:
        return Need(what=what, found="no long sound was heard", answer="unknown")
    low, high = rate_interval(events, hours)
    found = per_hour(events, hours, low, high)
    if high <= limit:
        answer = "shown"
    elif low > limit:
        answer = "no"
    elif limit * hours < 1:
        found += f": too short to verify, {1 / limit:g} h is the least"
        answer = "unknown"
    else:
        answer = "likely" if events / hours <= limit else "unlikely"
    return Need(what=what, found=found, answer=answer)
