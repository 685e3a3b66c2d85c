"""Clips to be judged on the page, and the thresholds that follow from what was said of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakeword.review import ENOUGH, Advice, Clip, advise, clips_in, drop, misses_many, set_label

if TYPE_CHECKING:
    from wakeword.daemon.service import Service

__all__ = ["find_clip", "judge", "review_of"]

MOST = 300  # clips on a page, of those with a label and of those without; the newest


def review_of(service: Service) -> dict[str, Any]:
    """Return the clips, newest first, and the advice; no folder where none are kept."""
    config = service.config.review
    if config is None:
        return {"folder": None, "clips": [], "in_all": 0, "enough": ENOUGH, "advice": []}
    clips = clips_in(Path(config.folder))
    shown = [c for c in clips if not c.label][-MOST:] + [c for c in clips if c.label][-MOST:]
    shown.sort(key=lambda clip: clip.at, reverse=True)
    return {
        "folder": config.folder,
        "clips": [_clip(clip) for clip in shown],
        "in_all": len(clips),
        "enough": ENOUGH,
        "advice": [_advice(one, service.models.threshold_of()) for one in advise(clips)],
    }


def find_clip(service: Service, key: str) -> Clip | None:
    """Return the clip of an id, looked up among those there are; None where there is none.

    The id comes from a stranger: it is compared, and never becomes a path.
    """
    config = service.config.review
    clips = [] if config is None else clips_in(Path(config.folder))
    return next((clip for clip in clips if clip.note.stem == key), None)


def judge(clip: Clip, label: str) -> None:
    """Label a clip "yes" or "no", or remove it: "drop"."""
    if label == "drop":
        drop(clip)
    else:
        set_label(clip, label)


def _clip(clip: Clip) -> dict[str, Any]:
    """What the page is told of a clip."""
    return {
        "id": clip.note.stem, "word": clip.word, "prob": round(clip.prob, 4), "at": clip.at,
        "threshold": clip.threshold, "kind": clip.kind, "label": clip.label,
    }  # fmt: skip


def _advice(one: Advice, in_force: dict[str, float]) -> dict[str, Any]:
    """What the page is told of a word: what its threshold did to the clips, and a better one."""
    now = in_force.get(one.word)
    better = one.better if now is None or one.better != now else None
    return {
        "word": one.word,
        "yes": len(one.said),
        "no": len(one.other),
        "few": list(one.few),
        "now": None if now is None else _heard(one, now),
        "better": None if better is None else _heard(one, better),
        "poor": better is not None and misses_many(one, better),
    }


def _heard(one: Advice, threshold: float) -> dict[str, Any]:
    """Count what a threshold hears of the clips."""
    said, other = one.heard(threshold)
    return {"threshold": threshold, "yes": said, "no": other}
