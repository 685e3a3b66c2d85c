"""What is said in AN4 as commands: an intent and slots for each, told by rules.

AN4 comes without them. Its people give short orders (ENTER, ERASE, RUBOUT, HELP ...), spell,
count and name dates; what is what follows from the words.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeword.errors import ConfigError
from wakeword_train.data.tagged import Sentence

__all__ = ["label_command"]

COMMANDS = ("ENTER", "ERASE", "RUBOUT", "YES", "NO", "REPEAT", "STOP", "START", "GO", "HELP")
_MONTHS = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER",
    "OCTOBER", "NOVEMBER", "DECEMBER",
)  # fmt: skip
_ORDINALS = (
    "FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH", "SEVENTH", "EIGHTH", "NINTH", "TENTH",
    "ELEVENTH", "TWELFTH", "THIRTEENTH", "FOURTEENTH", "FIFTEENTH", "SIXTEENTH", "SEVENTEENTH",
    "EIGHTEENTH", "NINETEENTH", "TWENTIETH", "THIRTIETH",
)  # fmt: skip
_NUMBERS = (
    "ZERO", "OH", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN",
    "ELEVEN", "TWELVE", "THIRTEEN", "FOURTEEN", "FIFTEEN", "SIXTEEN", "SEVENTEEN", "EIGHTEEN",
    "NINETEEN", "TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY",
    "HUNDRED", "THOUSAND",
)  # fmt: skip
_KINDS = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys((*_MONTHS, *_ORDINALS), "date"),
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "letters"),
}


def label_command(words: Sequence[str]) -> Sentence:
    """Say what the words of a command are for; they become small letters.

    The label is the order itself, or else what is given: "date", "spell" or "number". AND and OF
    belong to what stands on both sides; in a sentence with a month all numbers are of the date.

    Raises:
        ConfigError: no words.

    >>> label_command("RUBOUT T G TWO HUNDRED AND ONE".split()).label
    'rubout'
    >>> label_command("MARCH THIRD NINETEEN TEN".split()).tags
    ('B-date', 'I-date', 'I-date', 'I-date')
    """
    if not words:
        raise ConfigError("a command without words: need at least one")
    kinds = [_KINDS.get(word, "") for word in words]
    if any(word in _MONTHS for word in words):
        kinds = ["date" if kind == "number" else kind for kind in kinds]
    for i in range(1, len(words) - 1):
        if words[i] in ("AND", "OF") and kinds[i - 1] == kinds[i + 1]:
            kinds[i] = kinds[i - 1]
    tags = [
        "O" if not kind else f"{'I' if i and kinds[i - 1] == kind else 'B'}-{kind}"
        for i, kind in enumerate(kinds)
    ]
    label = words[0].lower() if words[0] in COMMANDS else ""
    for kind, name in (("date", "date"), ("letters", "spell"), ("number", "number")):
        label = label or (name if kind in kinds else "")
    return Sentence(tuple(map(str.lower, words)), tuple(tags), label or "other")
