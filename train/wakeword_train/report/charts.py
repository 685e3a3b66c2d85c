"""The charts of a report: error trade-off, latency, training loss, one example, one interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wakeword.intervals import share_interval
from wakeword_train.report.chart import DASHES, Frame, Scale, chart, interval, mark, path
from wakeword_train.report.facts import Example, Peer, WordFacts
from wakeword_train.report.markup import Markup, tag
from wakeword_train.report.say import percent

__all__ = ["det_chart", "example_chart", "interval_bar", "key", "latency_chart", "loss_chart"]

BIN_MS = 50
DECADES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def key(number: int, text: str) -> Markup:
    """Explain the line and the mark of one condition."""
    sample = tag(
        "svg", _stroke([(0, 8), (34, 8)], number), mark(17, 8, number),
        viewBox="0 0 34 16", width="34", height="16", aria_hidden="true",
    )  # fmt: skip
    return tag("li", sample, " ", text)


def _stroke(points: Sequence[tuple[float, float]], number: int) -> Markup:
    """Draw the line of a condition."""
    dash = DASHES[number % len(DASHES)]
    return path(points, class_=f"line c{number % len(DASHES)}", stroke_dasharray=dash or None)


def det_chart(word: str, facts: WordFacts, peers: Sequence[Peer]) -> Markup:
    """Draw misses against false alarms an hour, a line per condition.

    A count of 0 has no place on a log axis: it is drawn at half an event. Bars are the exact 95 %
    intervals at the threshold in use, which a full mark shows; hollow marks are the thresholds
    chosen for a rate. Left of one event in all the hours nothing is verified: that part is hatched.
    """
    curve = facts.curve
    hours = sum(curve["hours"].values())
    alarms = np.sum([np.array(n) for n in curve["false_alarms"].values()], axis=0)
    rates = np.maximum(alarms, 0.5) / hours
    known = [p.fa_per_hour for p in peers if p.fa_per_hour]
    left = min([0.4 / hours, *(0.8 * rate for rate in known)])
    right = max(10.0, 4 * _point(facts.rows["in use"])["fa_high"])
    floor = min(0.5 / max(curve["clips"].values()), *(p.frr for p in peers), 0.02) * 0.8
    frame = Frame(Scale(left, right, 46, 404, log=True), Scale(floor, 1.0, 284, 22, log=True))
    parts = [
        tag("rect", x=46, y=22, width=frame.x(1 / hours) - 46, height=262, class_="unverified"),
        frame.grid(
            [d for d in DECADES if left <= d <= right], [s for s in SHARES if s >= floor],
            y_text=percent,
        ),
        tag("text", "false alarms an hour", x=225, y=316, text_anchor="middle"),
        tag("text", "missed", x=0, y=11),
    ]  # fmt: skip
    for number, (name, misses) in enumerate(curve["misses"].items()):
        clips = curve["clips"][name]
        shares = np.maximum(misses, 0.5) / clips
        ends = np.array([share_interval(int(m), clips) for m in misses])
        order = np.lexsort((-shares, rates))
        order = order[rates[order] <= right]
        upper = frame.points(zip(rates[order], ends[order, 1], strict=True))
        lower = frame.points(zip(rates[order], ends[order, 0], strict=True))
        parts.append(path([*upper, *lower[::-1]], closed=True, class_=f"band c{number}"))
        line = _stroke(frame.points(zip(rates[order], shares[order], strict=True)), number)
        parts.append(line)
    for row_name, row in facts.rows.items():
        if "refused" not in row:
            parts += _operating(frame, row, in_use=row_name == "in use")
    parts += _peers(frame, peers)
    described = "; ".join(
        f"{name}: {percent(hits['frr'])} missed" for name, hits in _in_use(facts).items()
    )
    fa = _point(facts.rows["in use"])["fa_per_hour"]
    title = f"Misses against false alarms for {word}"
    text = f"At the threshold in use, {fa:.2g} false alarms an hour; {described}."
    return chart(title, text, 440, 322, parts)


def _in_use(facts: WordFacts) -> Mapping[str, Any]:
    """Figures per condition at the threshold in use."""
    found: Mapping[str, Any] = facts.rows["in use"]["conditions"]
    return found


def _point(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """All conditions and all negatives of one threshold."""
    found: Mapping[str, Any] = row["all_conditions"]
    return found


def _operating(frame: Frame, row: Mapping[str, Any], *, in_use: bool) -> list[Markup]:
    """Mark one threshold under all conditions; the one in use with its intervals.

    The marks stand side by side, so that their intervals do not hide each other. A threshold at
    which everything is missed is left out.
    """
    total = _point(row)
    x = frame.x(max(total["false_alarms"], 0.5) / total["hours"])
    parts = []
    for number, hits in enumerate(row["conditions"].values()):
        y = frame.y(max(hits["misses"], 0.5) / hits["clips"])
        if in_use:
            at = x + 7 * (number - (len(row["conditions"]) - 1) / 2)
            ends = frame.y(hits["frr_low"]), frame.y(hits["frr_high"])
            arms = "M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}h6M{3:.1f} {2:.1f}h6"
            d = arms.format(at, *ends, at - 3)
            parts += [tag("path", d=d, class_=f"arm c{number % len(DASHES)}"), mark(at, y, number)]
        elif hits["misses"] < hits["clips"]:
            parts.append(mark(x, y, number, hollow=True))
    if in_use:
        above = frame.y.stop - 8
        low, high = total["fa_low"], total["fa_high"]
        parts.append(interval(frame.x, low, high, above, class_="across"))
        right = frame.x(high) + 5
        if right < 370:
            parts.append(tag("text", "in use", x=right, y=above + 4, class_="strong"))
    return parts


def _peers(frame: Frame, peers: Sequence[Peer]) -> list[Markup]:
    """Mark what others report: a cross, or an arrow at the right where no rate is known."""
    parts = []
    free = [0.0, 0.0, 0.0]  # below which height each column of numbers is free
    for number, peer in sorted(enumerate(peers, start=1), key=lambda pair: -pair[1].frr):
        y = frame.y(peer.frr)
        if peer.fa_per_hour is None:
            x = frame.x.stop
            d = f"M{x + 12:.1f} {y:.1f}h-11m4 -4l-4 4l4 4"
            column = next((n for n, height in enumerate(free) if y >= height), 0)
            free[column] = y + 11
            at = x + 14 + 9 * column, y + 4
        else:
            x = frame.x(peer.fa_per_hour)
            d, at = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", (x + 7, y - 4)
        parts.append(tag("path", d=d, class_="peer"))
        parts.append(tag("text", str(number), x=at[0], y=at[1], class_="strong"))
    return parts


def latency_chart(word: str, facts: WordFacts) -> Markup:
    """Draw how long after the end of the word it was reported, a row per condition."""
    rows = [(name, np.array(late)) for name, late in facts.latency_ms.items()]
    found = np.concatenate([late for _, late in rows])
    low = min(BIN_MS * math.floor(float(found.min(initial=0)) / BIN_MS), 0)
    high = max(BIN_MS * math.ceil((float(found.max(initial=0)) + 1) / BIN_MS), 400)
    edges = np.arange(low, high + 1, BIN_MS)
    tall, gap = 44.0, 14.0
    bottom = 8 + len(rows) * (tall + gap)
    frame = Frame(Scale(low, high, 60, 422), Scale(0, 1, bottom, 8))
    step = 100 if high - low <= 900 else 200
    parts = [frame.grid(range(math.ceil(low / step) * step, high + 1, step), [])]
    described = []
    for number, (name, late) in enumerate(rows):
        base = 8 + (number + 1) * (tall + gap) - gap / 2
        counts, _ = np.histogram(late, edges)
        most = max(int(counts.max(initial=0)), 1)
        parts.append(tag("text", name, x=54, y=base - 4, text_anchor="end"))
        parts.append(path([(60, base), (422, base)], class_="axis"))
        parts += [
            tag(
                "rect", tag("title", f"{name}: {n} from {edge:g} to {edge + BIN_MS:g} ms"),
                x=frame.x(edge) + 0.5, width=frame.x(edge + BIN_MS) - frame.x(edge) - 1,
                y=base - tall * n / most, height=tall * n / most,
                class_=f"bar c{number % len(DASHES)}",
            )
            for edge, n in zip(edges.tolist(), counts.tolist(), strict=False) if n
        ]  # fmt: skip
        if len(late):
            median, p95 = np.percentile(late, [50, 95]).tolist()
            described.append(f"{name}: median {median:.0f} ms, 95 % within {p95:.0f} ms")
            at = frame.x(median)
            parts.append(path([(at, base + 4), (at, base - tall)], class_="median"))
    parts.append(
        tag("text", "ms after the end of the word", x=241, y=bottom + 32, text_anchor="middle")
    )
    text = "; ".join(described) or "nothing was heard"
    return chart(f"Time from the end of {word} to its report", text, 440, bottom + 38, parts)


def loss_chart(losses: Sequence[float], batches: int) -> Markup:
    """Draw the training loss, each value the mean of an equal share of the batches."""
    top, low = max(losses), max(min(losses), 1e-6)
    frame = Frame(
        Scale(0, batches, 46, 430),
        Scale(low * 0.9, top * 1.1, 180, 12, log=True),
    )
    each = batches / len(losses)
    points = frame.points((each * (n + 1), loss) for n, loss in enumerate(losses))
    ticks = [v * d for d in (0.001, *DECADES) for v in (1, 2, 5)]
    step = 10 ** math.floor(math.log10(batches)) // 2 or 1
    parts = [
        frame.grid(
            range(0, batches + 1, step * math.ceil(batches / step / 5)),
            [t for t in ticks if low * 0.9 <= t <= top * 1.1],
        ),
        _stroke(points, 0),
        tag("text", "batches", x=238, y=212, text_anchor="middle"),
    ]
    text = f"From {losses[0]:.3g} to {losses[-1]:.3g} in {batches} batches, log scale."
    return chart("Training loss", text, 440, 218, parts)


def example_chart(example: Example, threshold: float) -> Markup:
    """Draw the spectrogram of an example over its score, on one axis of time."""
    frame = Frame(Scale(0, example.seconds, 34, 336), Scale(0, 1, 160, 84))
    ticks: list[float] = np.arange(0, example.seconds, 0.5).tolist()
    image = tag(
        "image", href=f"data:image/png;base64,{example.picture}", x=34, y=4, width=302, height=72,
        preserveAspectRatio="none",
    )  # fmt: skip
    labels = (("8", 13), ("kHz", 44), ("0", 76))
    parts = [image, *(tag("text", text, x=29, y=y, text_anchor="end") for text, y in labels)]
    parts.append(frame.grid(ticks, (0, 0.5, 1)))
    if example.word_s:
        start, end = (frame.x(at) for at in example.word_s)
        parts += [
            tag("rect", x=start, y=84, width=end - start, height=76, class_="word"),
            path([(start, 4), (start, 76)], class_="edge"),
            path([(end, 4), (end, 76)], class_="edge"),
        ]
    scores = frame.points(zip(example.times_s, example.scores, strict=True))
    if len(scores) > 1:
        parts.append(_stroke(scores, 0))
    level = frame.y(threshold)
    parts.append(path([(34, level), (336, level)], class_="threshold"))
    at = frame.x(example.event_s), frame.y(example.peak)
    parts.append(mark(*at, 0, hollow=not example.fired))
    parts.append(tag("text", "s", x=340, y=174))
    where = f", the word from {example.word_s[0]:.2f} to {example.word_s[1]:.2f} s" if (
        example.word_s) else ""  # fmt: skip
    text = (
        f"{example.seconds:.1f} s{where}. The score reaches {example.peak:.2f}, the threshold is "
        f"{threshold:.2f}: {'fires' if example.fired else 'does not fire'}."
    )
    return chart("Spectrogram and score", text, 350, 178, parts, class_="example")


def interval_bar(value: float, low: float, high: float, scale: Scale) -> Markup:
    """Draw a value and its interval on a line of its own, beside the numbers in a table."""
    return tag(
        "svg", path([(scale.start, 8), (scale.stop, 8)], class_="grid"),
        interval(scale, low, high, 8, class_="arm"), mark(scale(value), 8, 0),
        viewBox="0 0 120 16", class_="mini", aria_hidden="true",
    )  # fmt: skip
