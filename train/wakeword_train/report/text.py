"""The result of an evaluation as a table to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["table"]


def table(result: Mapping[str, Any]) -> str:
    """Lay out what `wakeword_train.evaluate.evaluate` found.

    Returns:
        Lines to print. Sources of negatives are listed where they fired; the JSON has them all.
        Intervals are exact, 95 %. A rate is given only where something fired;
        where nothing did, the highest rate that this does not refute.
    """
    lines = [f"bundle {result['bundle']}, sha256 {result['sha256'][:12]}"]
    for word, found in result["words"].items():
        for name, row in found["rows"].items():
            lines += ["", *_row(word, name, row)]
    return "\n".join(lines)


def _row(word: str, name: str, row: Mapping[str, Any]) -> list[str]:
    """Lay out one threshold."""
    if "refused" in row:
        return [f"{word}, {name}: refused: {row['refused']}"]
    chosen = "in use" if name == "in use" else f"chosen here for at most {name} in every part"
    lines = [
        f"{word}, threshold {row['threshold']:.3f} ({chosen})",
        f"  {'heard':<38}{'clips':>6} {'missed %':>9}  {'95 %':<13}{'double':>6} {'stray':>6}"
        f"   {'ms after the word: median':>25} {'p90':>5} {'p95':>5}",
    ]
    for group in ("conditions", "sources"):
        if group == "sources" and len(row["sources"]) == len(row["conditions"]):
            continue  # one source only: the same numbers again
        for key, hits in row[group].items():
            between = f"{100 * hits['frr_low']:.1f} - {100 * hits['frr_high']:.1f}"
            lines.append(
                f"  {key:<38}{hits['clips']:>6} {100 * hits['frr']:>9.1f}  {between:<13}"
                f"{hits['doubles']:>6} {hits['strays']:>6}   {_ms(hits['median_ms']):>25} "
                f"{_ms(hits['p90_ms']):>5} {_ms(hits['p95_ms']):>5}"
            )
    lines.append(f"  {'false alarms in':<38}{'hours':>6} {'events':>9}  {'per hour':<13}95 %")
    unsure = row.get("unverified_parts", [])
    for rate in row["false_alarms"]:
        note = "  (too short to verify this rate alone)" if rate["part"] in unsure else ""
        lines.append(_rate(rate) + note)
    if len(row["false_alarms"]) > 1:
        lines.append(_rate({**row["all_conditions"], "part": "all of it"}))
    lines += [_rate(r, "from ") for r in row["false_alarm_sources"] if r["false_alarms"]]
    return lines


def _rate(rate: Mapping[str, Any], before: str = "") -> str:
    """Lay out one rate."""
    events = rate["false_alarms"]
    stated = f"{rate['fa_per_hour']:.2g}" if events else "none"
    interval = (
        f"{rate['fa_low']:.2g} - {rate['fa_high']:.2g}"
        if events
        else f"at most {rate['fa_high']:.2g}"
    )
    return f"  {before + rate['part']:<38}{rate['hours']:>6.2f} {events:>9}  {stated:<13}{interval}"


def _ms(value: float | None) -> str:
    """Round milliseconds."""
    return "-" if value is None else f"{value:.0f}"
