"""Numbers in words, alike everywhere in the report."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "and_list",
    "condition_text",
    "count",
    "per_hour",
    "percent",
    "range_percent",
    "rate",
    "share",
]


def percent(value: float) -> str:
    """Say a share in percent, with two digits that count.

    >>> percent(0.0384), percent(0.4906), percent(0.05), percent(0.0004), percent(1)
    ('3.8 %', '49 %', '5 %', '0.04 %', '100 %')
    """
    return f"{rate(100 * value)} %"


def rate(value: float) -> str:
    """Say a number of two digits that count, however large or small.

    >>> rate(0.0761), rate(3), rate(29.6), rate(874.2)
    ('0.076', '3', '30', '874')
    """
    return f"{value:.0f}" if value >= 99.5 else f"{value:.2g}"


def range_percent(low: float, high: float) -> str:
    """Say an interval of shares.

    >>> range_percent(0.0047, 0.132)
    '0.47 to 13 %'
    """
    return f"{percent(low)[:-2]} to {percent(high)}"


def share(misses: int, clips: int, low: float, high: float) -> str:
    """Say a count of clips with its interval.

    >>> share(2, 52, 0.0047, 0.132)
    '2 of 52, 3.8 % (0.47 to 13 %)'
    """
    return f"{misses} of {clips}, {percent(misses / clips)} ({range_percent(low, high)})"


def per_hour(events: int, hours: float, low: float, high: float) -> str:
    """Say a rate with its interval; none below what the hours can show.

    >>> per_hour(0, 4.2, 0, 0.878), per_hour(2, 4, 0.06, 1.806)
    ('none in 4.20 h (at most 0.88 an hour)', '2 in 4.00 h, 0.5 an hour (0.06 to 1.8)')
    """
    if not events:
        return f"none in {hours:.2f} h (at most {rate(high)} an hour)"
    return (
        f"{events} in {hours:.2f} h, {rate(events / hours)} an hour ({rate(low)} to {rate(high)})"
    )


def count(number: int, one: str, many: str = "") -> str:
    """Say how many.

    >>> count(1, "clip"), count(3, "person", "people")
    ('1 clip', '3 people')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def and_list(names: Sequence[str]) -> str:
    """Join names.

    >>> and_list(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def condition_text(name: str) -> str:
    """Say what a condition is.

    >>> condition_text("10dB"), condition_text("0dB-pink")
    ('noise 10 dB softer than the voice', 'pink noise as loud as the voice')
    """
    if name == "clean":
        return "as recorded"
    if name == "reverb":
        return "in another room's echo"
    if name == "talk":
        return "after others have talked"
    if name.startswith("talk-"):
        return f"after others have talked, {condition_text(name[5:])}"
    if name.startswith("reverb-"):
        return f"in another room's echo, {condition_text(name[7:])}"
    level_db, _, pink = name.partition("dB")
    level = float(level_db)
    noise = "pink noise" if pink else "noise"
    if not level:
        return f"{noise} as loud as the voice"
    return f"{noise} {abs(level):g} dB {'softer' if level > 0 else 'louder'} than the voice"
