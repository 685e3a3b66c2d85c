"""What `accuracy.py` counted, as tables and as a picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

Row = dict[str, Any]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's


def page(run: Row, label: str, picture: str | None = None) -> str:
    """Write what was counted of one word as Markdown."""
    word, names = run["words"][label], run["conditions"]
    hold = " and ".join(f"*{part}*" for part in run["hold"])
    rate = f"{run['fa_per_hour']:g}"
    lines = [
        f"## {label}: misses beside other engines", "",
        f"`{run['command']}`, {run['date']}. {run['machine']}. {run['versions']}.", "",
        f"Missed, in percent of the same {word['clips']} recordings, with the exact 95 % interval. "
        "*Shipped*: the threshold that comes with the model. *Lowest*: the lowest that holds "
        f"{rate} false alarms per hour in each of {hold} by itself, chosen on these recordings, "
        "which flatters: it says what a model could do, not what it does.", "",
        "| engine, threshold | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1),
    ]  # fmt: skip
    for engine, kind, row in _rows(word):
        cells = (
            [_share(row["conditions"][n]) for n in names] if row else ["none holds"] * len(names)
        )
        lines.append(f"| {_title(engine, kind, row)} | " + " | ".join(cells) + " |")
    parts = word["parts"]
    lines += [
        "", "False alarms, counted as events, with the exact 95 % interval of their rate per hour. "
        f"Parts marked * are held to {rate} per hour"
        + (f"; too short to verify that alone: {', '.join(word['unverified'])}"
           if word["unverified"] else "") + ".", "",
        "| engine, threshold | "
        + " | ".join(f"{p}{' *' if p in run['hold'] else ''}, {h:.2f} h" for p, h in parts.items())
        + " |", "|" + "---|" * (len(parts) + 1),
    ]  # fmt: skip
    for engine, kind, row in _rows(word):
        if row:
            cells = [_rate(row["false_alarms"][part]) for part in parts]
            lines.append(f"| {_title(engine, kind, row)} | " + " | ".join(cells) + " |")
    if word["ratios"]:
        lines += [
            "", "Our misses over those of the better peer at its lowest threshold that holds (the "
            "peer with the fewest in each condition by itself), and both in percent:", "",
            "| | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1),
        ]  # fmt: skip
    for found in word["ratios"]:
        cells = [_ratio(found["conditions"][n]) for n in names]
        lines.append(f"| {found['name']}, {found['kind']} | " + " | ".join(cells) + " |")
    if picture:
        lines += ["", f"![Misses against false alarms of {label}]({picture})"]
    return "\n".join(lines)


def _rows(word: Row) -> list[tuple[Row, str, Row | None]]:
    """List the rows of the tables."""
    return [(e, kind, row) for e in word["engines"] for kind, row in e["rows"].items()]


def _title(engine: Row, kind: str, row: Row | None) -> str:
    """Name a row."""
    return f"{engine['name']}, {kind}" + (f" {row['threshold']:.3f}" if row else "")


def _share(hits: Row) -> str:
    """Misses in percent, with the interval."""
    low, high = 100 * hits["frr_low"], 100 * hits["frr_high"]
    return f"{100 * hits['frr']:.1f} ({low:.1f}-{high:.1f})"


def _rate(rate: Row) -> str:
    """Count of events, with the interval of their rate."""
    return f"{rate['false_alarms']} ({rate['fa_low']:.2g}-{rate['fa_high']:.2g})"


def _ratio(cell: Row) -> str:
    """Ratio of counts, and both shares with their intervals."""
    ours, theirs = cell["ours"], cell["theirs"]
    counts = f"{ours['misses']}/{theirs['misses']}"
    counts += f" = {cell['ratio']:.2f}" if cell["ratio"] is not None else ""
    return f"{counts}: {_share(ours)} over {_share(theirs)}"


def picture(run: Row, label: str) -> bytes:
    """Draw misses against false alarms in the parts held, a panel per condition, as a PNG.

    A circle is the shipped threshold. A count of 0 has no place on a log axis and is drawn at half
    an event; the grey zone is less than one false alarm in all the hours, which verifies nothing.
    """
    from matplotlib.figure import Figure

    word, names = run["words"][label], run["conditions"]
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.4 * lines + 0.4), dpi=90, layout="constrained")
    panels: Any = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    hours, clips = word["engines"][0]["curve"]["hours"], word["clips"]
    for panel in panels.flat[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(panels.flat, names, strict=False):
        for number, engine in enumerate(word["engines"]):
            colour, curve = COLOURS[number % len(COLOURS)], engine["curve"]
            rate = np.maximum(curve["false_alarms"], 0.5) / hours
            missed = np.maximum(curve["misses"][name], 0.5) * 100 / clips
            order = np.lexsort((-missed, rate))
            panel.plot(rate[order], missed[order], color=colour, lw=1.3, label=engine["name"])
            live = engine["rows"]["shipped"]
            alarms = sum(live["false_alarms"][part]["false_alarms"] for part in run["hold"])
            misses = live["conditions"][name]["misses"]
            panel.plot(
                max(alarms, 0.5) / hours, max(misses, 0.5) * 100 / clips, "o", color=colour, ms=4
            )
        panel.axvspan(0.4 / hours, 1 / hours, color="0.88", zorder=0, lw=0)
        panel.set_title(name, fontsize=9)
        panel.set(xscale="log", yscale="log", xlim=(0.4 / hours, 100 / hours))
        panel.set(ylim=(40 / clips, 110))
        panel.tick_params(labelsize=7)
        panel.grid(color="0.9", lw=0.5)
    figure.supxlabel(
        f"false alarms per hour in {' and '.join(run['hold'])} ({hours:.2f} h)", fontsize=8
    )
    figure.supylabel(f"missed, % of {clips}", fontsize=8)
    figure.legend(
        *panels.flat[0].get_legend_handles_labels(), loc="outside upper center", fontsize=8,
        ncols=len(word["engines"]),
    )  # fmt: skip
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
