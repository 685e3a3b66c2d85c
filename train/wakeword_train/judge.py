"""Count what a bundle heard: each word at its own threshold, and at those that hold a rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from wakeword.bundle import Bundle
from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError
from wakeword.metrics import (
    Curve,
    OperatingPoint,
    Stream,
    Utterance,
    at_false_alarms,
    listen,
    operating_point,
    rates,
    sweep,
    unverified,
    with_utterances,
)
from wakeword_train.conditions import Condition
from wakeword_train.scoring import Scored

__all__ = ["Drawn", "judge"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a picture of one word takes: curves and the points in use, by condition."""

    curves: Mapping[str, Curve]
    live: Mapping[str, OperatingPoint]


def judge(
    bundle: Bundle,
    scored: Scored,
    conditions: Sequence[Condition],
    *,
    targets: Sequence[float] = (0.5,),
    seed: int = 1,
    tolerance_ms: int = 700,
) -> tuple[dict[str, Any], dict[str, Drawn]]:
    """Count misses and false alarms of every word that was scored.

    Args:
        bundle: gives the thresholds in use.
        scored: what `wakeword_train.scoring.score` heard.
        conditions: how the words were heard.
        targets: false alarms per hour to find a threshold for; one that the hours cannot verify is
            answered with the reason.
        seed: of the scoring, to be told.
        tolerance_ms: of the scoring, to be told.

    Returns:
        The result, plain JSON values; and per word what its picture shows.
    """
    result: dict[str, Any] = {
        "bundle": bundle.name,
        "kind": bundle.kind,
        "sha256": bundle.sha256,
        "settings": {
            "conditions": [c.name for c in conditions],
            "seed": seed,
            "tolerance_ms": tolerance_ms,
        },
        "words": {},
    }
    drawn = {}
    strict = bundle.kind == "microwakeword"
    for word, heard in scored.utterances.items():
        config, streams = bundle.decision[word], scored.streams[word]
        curve = sweep(heard, streams, config, strict=strict)
        per = {c.name: [u for u in heard if u.condition == c.name] for c in conditions}
        curves = {name: with_utterances(curve, some) for name, some in per.items()}
        rows = {"in use": _row(heard, streams, config, strict)}
        for target in targets:
            try:
                point = at_false_alarms(curve, target)
            except ConfigError as exc:
                rows[f"{target:g} per hour"] = {"refused": str(exc)}
                continue
            row = _row(heard, streams, config.with_threshold(point.threshold), strict)
            row["unverified_parts"] = unverified(curve, target)
            rows[f"{target:g} per hour"] = row
        result["words"][word] = {"rows": rows, "curve": _thin(curve, curves)}
        now = sweep(heard, streams, config, thresholds=[config.threshold], strict=strict)
        live = {n: operating_point(with_utterances(now, some), 0) for n, some in per.items()}
        drawn[word] = Drawn(curves, live)
    return result, drawn


def _row(
    heard: Sequence[Utterance], streams: Sequence[Stream], config: DecisionConfig, strict: bool
) -> dict[str, Any]:
    """Count everything at one threshold: per condition and source, per part and source."""
    by_source = [replace(s, part=s.source or s.part) for s in streams]
    total = sweep(heard, streams, config, thresholds=[config.threshold], strict=strict)
    sources = sweep(heard, by_source, config, thresholds=[config.threshold], strict=strict)
    groups: dict[str, dict[str, list[Utterance]]] = {"conditions": {}, "sources": {}}
    for one in heard:
        groups["conditions"].setdefault(one.condition, []).append(one)
        groups["sources"].setdefault(f"{one.source or 'all'}, {one.condition}", []).append(one)
    return {
        "threshold": config.threshold,
        "all_conditions": asdict(operating_point(total, 0, "all conditions")),
        **{
            group: {
                name: asdict(listen(some, config, strict=strict)) for name, some in parts.items()
            }
            for group, parts in groups.items()
        },
        "false_alarms": [asdict(rate) for rate in rates(total, 0)],
        "false_alarm_sources": [asdict(rate) for rate in rates(sources, 0)],
    }


def _thin(curve: Curve, curves: dict[str, Curve]) -> dict[str, Any]:
    """Keep the rows of the curves at which a count changes."""
    counts = np.column_stack([curve.false_alarms, *(c.misses for c in curves.values())])
    keep = np.concatenate([[True], (np.diff(counts, axis=0) != 0).any(axis=1)])
    return {
        "threshold": curve.thresholds[keep].tolist(),
        "false_alarms": {
            part: curve.false_alarms[keep, n].tolist() for n, part in enumerate(curve.parts)
        },
        "hours": dict(zip(curve.parts, curve.hours, strict=True)),
        "misses": {name: c.misses[keep].tolist() for name, c in curves.items()},
        "clips": {name: c.clips for name, c in curves.items()},
    }
