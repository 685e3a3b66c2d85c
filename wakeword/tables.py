"""Bundles and lists as readable text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wakeword.bundle import Bundle

__all__ = ["describe", "describe_json", "table"]


def table(rows: Sequence[Sequence[object]]) -> str:
    """Align rows in columns: numbers to the right, text to the left; the first row is the head.

    What would not print as itself is escaped, so that a bundle cannot play tricks on a terminal.

    >>> print(table([["name", "Hz"], ["mic", 8000], ["a\\x1b[2J", 16000]]))
    name         Hz
    mic        8000
    a\\x1b[2J  16000
    """
    cells = [[_printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        all(isinstance(cell, int | float) for cell in column) and len(column) > 0
        for column in zip(*rows[1:], strict=True)
    ] or [False] * len(widths)
    lines = []
    for row in cells:
        aligned = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Escape control characters, tabs and newlines too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe(bundle: Bundle) -> str:
    """Describe a bundle: what it is, how it decides, how well, and what it learned from."""
    front = bundle.frontend
    facts: list[list[object]] = [
        ["bundle", bundle.name],
        ["kind", "wakeword" if bundle.kind == "wakeword" else "microWakeWord, version 2"],
        ["words", ", ".join(bundle.words)],
        ["file", str(bundle.path)],
        ["model", f"{bundle.model}, {len(bundle.model_bytes):,} bytes"],
        ["sha256", bundle.sha256],
        [
            "front end",
            f"{front['kind']}, {front['rate_hz']} Hz, {front['bins']} bands, "
            f"window {front['window_ms']} ms, hop {front['hop_ms']} ms",
        ],
    ]
    if bundle.step:
        facts.append(
            [
                "step",
                f"every {bundle.stride * front['hop_ms']} ms ({bundle.stride} hops), "
                f"seeing {bundle.kernel} frames",
            ]
        )
    if bundle.training:
        facts.append(["training", f"{len(bundle.training)} entries, shown by --json"])
    parts = [table([["", ""], *facts]).strip("\n")]
    decisions: list[list[object]] = [
        [
            word,
            config.threshold,
            f"{config.release_level:g}",
            f"{config.smooth_steps} steps",
            f"{config.refractory_ms} ms",
        ]
        for word, config in bundle.decision.items()
    ]
    head = ["word", "threshold", "release", "smoothing", "refractory"]
    parts.append("Decision\n" + table([head, *decisions]))
    points = [
        _point(word, point) for word, rows in bundle.operating_points.items() for point in rows
    ]
    if points:
        head = ["word", "set", "threshold", "missed", "95 %", "of", "false/h", "95 %", "of"]
        parts.append("Operating points\n" + table([head, *points]))
    else:
        parts.append("Operating points: none were measured")
    if bundle.ledger:
        ledger = [
            [e["name"], e["licence"], e["clips"], f"{e['hours']:.1f}", e["used_for"], e["source"]]
            for e in bundle.ledger
        ]
        head = ["name", "licence", "clips", "hours", "used for", "source"]
        parts.append("Data ledger\n" + table([head, *ledger]))
    return "\n\n".join(parts)


def _point(word: str, point: Mapping[str, Any]) -> list[object]:
    """One row: the share of words missed and the false alarms per hour, with what is behind."""
    return [
        word,
        point["set"],
        point["threshold"],
        f"{100 * point['frr']:.2f} %",
        f"{100 * point['frr_low']:.2f} to {100 * point['frr_high']:.2f} %",
        f"{point['misses']} of {point['clips']}",
        f"{point['fa_per_hour']:.3f}",
        f"{point['fa_low']:.3f} to {point['fa_high']:.3f}",
        f"{point['false_alarms']} in {point['hours']:.1f} h",
    ]


def describe_json(bundle: Bundle) -> str:
    """Give the bundle's JSON, its decision settings resolved, on one line."""
    fields = {
        "name": bundle.name,
        "kind": bundle.kind,
        "path": str(bundle.path),
        "words": list(bundle.words),
        "model": bundle.model,
        "bytes": len(bundle.model_bytes),
        "sha256": bundle.sha256,
        "frontend": dict(bundle.frontend),
        "step": dict(bundle.step),
        "decision": {word: asdict(config) for word, config in bundle.decision.items()},
        "operating_points": {w: list(rows) for w, rows in bundle.operating_points.items()},
        "training": dict(bundle.training),
        "ledger": list(bundle.ledger),
    }
    return json.dumps(fields, ensure_ascii=False)
