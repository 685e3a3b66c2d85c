"""The page: one file, nothing fetched from anywhere, and the JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pprint import pformat
from typing import Any

from wakeword.errors import ConfigError
from wakeword_train.files import write_file
from wakeword_train.report.charts import loss_chart
from wakeword_train.report.facts import Cost, Example, ReportFacts, as_json
from wakeword_train.report.markup import Content, Markup, tag
from wakeword_train.report.say import and_list, condition_text, count
from wakeword_train.report.table import body, details, table
from wakeword_train.report.uses import LONG
from wakeword_train.report.word_page import summary_card, word_section

__all__ = ["MOST_BYTES", "json_beside", "page", "write_report"]

MOST_BYTES = 6_000_000
STYLE = Path(__file__).with_name("style.css")


def write_report(path: Path, facts: ReportFacts) -> Path:
    """Write the page, and beside it a JSON of the same facts without sounds and pictures.

    Args:
        path: of the page; the JSON has its stem.
        facts: as `wakeword_train.report.gather` gives them. Where the page would take more than
            6 MB, examples are left out, the last of each list first.

    Returns:
        The path of the JSON.

    Raises:
        ConfigError: the files cannot be written, or see `json_beside`.
    """
    beside = json_beside(path)
    content = page(facts)
    while len(_bytes(content)) > MOST_BYTES and any(_most(facts)):
        facts = _fewer(facts, max(_most(facts)) // 2)
        content = page(facts)
    text = json.dumps(as_json(facts), indent=1, allow_nan=False, ensure_ascii=False)
    write_file(path, _bytes(content))
    write_file(beside, _bytes(text + "\n"))
    return beside


def json_beside(path: Path) -> Path:
    """Name the JSON beside a page: with its stem.

    Raises:
        ConfigError: it is the page itself, or something else is there, such as a bundle.
    """
    beside = path.with_suffix(".json")
    if beside == path:
        raise ConfigError(f"{path}: name the page, such as report.html; its JSON lies beside it")
    if beside.exists():
        try:
            known = json.loads(beside.read_bytes())
        except (OSError, ValueError):
            known = None
        if not isinstance(known, dict) or not {"bundle", "tested", "words"} <= set(known):
            raise ConfigError(
                f"{beside} is there and is no report: name the page something else than {path.name}"
            )
    return beside


def _bytes(text: str) -> bytes:
    """Encode text; what in a file name is no character is written as its escape."""
    return text.encode("utf-8", "backslashreplace")


def _most(facts: ReportFacts) -> list[int]:
    """Lengths of the lists of examples."""
    return [len(some) for w in facts.words.values() for some in (w.misses, w.alarms)]


def _fewer(facts: ReportFacts, most: int) -> ReportFacts:
    """Keep the first examples of each list."""
    words = {
        name: replace(word, misses=word.misses[:most], alarms=word.alarms[:most])
        for name, word in facts.words.items()
    }
    return replace(facts, words=words)


def page(facts: ReportFacts) -> str:
    """Lay out a report as HTML."""
    anchors = {word: f"word-{number}" for number, word in enumerate(facts.words, start=1)}
    title = f"Wake word report: {and_list(list(facts.words))}"
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    links = [(f"“{word}”", anchor) for word, anchor in anchors.items()]
    links += [("Size and cost", "cost"), ("Training", "training"), ("Recordings", "recordings"),
              ("How this was measured", "method")]  # fmt: skip
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    main = tag(
        "main",
        tag("h2", "In short"),
        tag(
            "div",
            *(summary_card(w, found, anchors[w]) for w, found in facts.words.items()),
            class_="cards",
        ),
        *(word_section(w, found, anchors[w]) for w, found in facts.words.items()),
        _cost(facts.cost),
        _training(facts.training),
        _ledger(facts.ledger),
        _method(facts),
    )
    top = tag(
        "header",
        tag("h1", title),
        tag(
            "p",
            f"Bundle {facts.bundle}, sha256 {facts.sha256[:12]}; heard {facts.tested} on "
            f"{facts.made} with wakeword {facts.version}.",
            class_="soft",
        ),
        tag("nav", tag("ul", *(tag("li", tag("a", t, href=f"#{a}")) for t, a in links)),
            aria_label="Parts of this report"),
    )  # fmt: skip
    whole = tag("html", head, tag("body", _patterns(), top, main), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def _patterns() -> Markup:
    """Define what charts fill areas with."""
    hatch = tag(
        "pattern", tag("path", d="M0 0V6", class_="hatch"),
        id="hatch", width="6", height="6", patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )  # fmt: skip
    return tag("svg", tag("defs", hatch), width="0", height="0", aria_hidden="true",
               style="position:absolute")  # fmt: skip


def _cost(cost: Cost) -> Markup:
    """Show size and cost."""
    per_s = cost.multiply_adds_per_s / 1e6
    rows: list[Sequence[Content]] = [
        ["Model", f"{cost.model_bytes:,} bytes".replace(",", " "), "size of the .tflite"],
        [
            "Work", f"{per_s:.2g} million multiply-adds a second",
            f"counted from the graph: {cost.multiply_adds_per_step:,} a step".replace(",", " ")
            + f", {cost.steps_per_s:.3g} steps a second; matrix products only, no front end",
        ],
        [
            "CPU", f"{cost.cpu_ms_per_s:.2f} ms per second of sound "
            f"({cost.cpu_ms_low:.2f} to {cost.cpu_ms_high:.2f}): "
            f"{cost.cpu_ms_per_s / 10:.2g} % of a core",
            f"measured now, front end and decision included; 3 rounds of 10 s in 80 ms chunks; "
            f"{cost.measured}",
        ],
    ]  # fmt: skip
    heads = ["machine", "estimate", "factor"]
    guessed = [
        body([[e.machine, e.cost, e.factor] for e in cost.estimates if e.basis == basis], basis,
             columns=len(heads))
        for basis in dict.fromkeys(e.basis for e in cost.estimates)
    ]  # fmt: skip
    return tag(
        "section",
        tag("h2", "Size and cost", id="cost"),
        table("Counted and measured.", ["what", "how much", "how"], [body(rows)]),
        table("Estimates. Nothing was measured on these machines.", heads, guessed),
        aria_labelledby="cost",
    )  # fmt: skip


def _training(training: Mapping[str, Any]) -> Markup:
    """Show how the model was made: what the bundle says of it."""
    parts: list[Content] = []
    recipe = training.get("recipe")
    recipe = recipe if isinstance(recipe, Mapping) else {}
    rows = [
        [name, str(value)]
        for name, value in (
            ("preset", recipe.get("preset")), ("parameters", training.get("parameters")),
            ("seed", recipe.get("seed")), ("commit", training.get("commit")),
        )
        if value not in (None, "")
    ]  # fmt: skip
    if rows:
        parts.append(table("The run: what it started from.", ["what", "value"], [body(rows)]))
    losses = training.get("loss")
    if isinstance(losses, Sequence) and losses and all(isinstance(v, int | float) for v in losses):
        fit = recipe.get("fit")
        batches = fit.get("batches") if isinstance(fit, Mapping) else None
        parts.append(
            tag(
                "figure",
                loss_chart(losses, batches if isinstance(batches, int) else len(losses)),
                tag("figcaption", "Training loss, log scale; it weighs more than errors, so its "
                    "level means little, its course much."),
            )
        )  # fmt: skip
    stages = training.get("stages")
    if isinstance(stages, Mapping) and stages:
        took = [[str(name), _duration(value)] for name, value in stages.items()]
        parts.append(table("Stages and the time they took.", ["stage", "time"], [body(took)]))
    if training:
        text = pformat(dict(training), width=100, compact=True, sort_dicts=False)
        parts.append(details("Everything the bundle says of its training", tag("pre", text)))
    else:
        parts.append(tag("p", "The bundle does not say how it was trained."))
    return tag("section", tag("h2", "Training", id="training"), parts, aria_labelledby="training")


def _duration(seconds: object) -> str:
    """Say how long a stage took."""
    if not isinstance(seconds, int | float):
        return str(seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _ledger(ledger: Sequence[Mapping[str, Any]]) -> Markup:
    """Show what it learned from, and under which licences."""
    uses = list(dict.fromkeys(str(row.get("used_for", "")) for row in ledger))
    uses.sort(key=lambda use: use != "training")
    heads = ["collection", "what", "licence", "clips", "hours"]
    parts: list[Content] = []
    for use in uses:
        rows = [
            [str(row.get(name, "")) for name in ("name", "source", "licence", "clips", "hours")]
            for row in ledger if str(row.get("used_for", "")) == use
        ]  # fmt: skip
        shown = table(
            f"Used for {use or 'what is not said'}.", heads, [body(rows, numbers=(3, 4))],
            numbers=(3, 4),
        )  # fmt: skip
        parts.append(
            shown if use == uses[0] else details(f"Used for {use}: {len(rows)} sets", shown)
        )
    if not ledger:
        parts.append(tag("p", "The bundle does not say what it learned from."))
    return tag(
        "section", tag("h2", "Recordings and their licences", id="recordings"), parts,
        aria_labelledby="recordings",
    )  # fmt: skip


def _method(facts: ReportFacts) -> Markup:
    """Say how all this was measured."""
    settings = facts.settings
    conditions = and_list([f"{c} ({condition_text(c)})" for c in settings["conditions"]])
    examples: list[Example] = [
        e for w in facts.words.values() for e in (*w.misses, *w.alarms)
    ]  # fmt: skip
    media = sum(len(e.audio) + len(e.picture) for e in examples) / 1e6
    points = [
        "All sound goes through the same detector that runs live, in order, from a reset.",
        f"Each recording of the word is heard alone, between 1 s and 0.7 s of faint hiss: "
        f"{conditions}. Noise and rooms are drawn by the seed, {settings['seed']}; noise is set "
        "against the level of the word.",
        f"A word counts as heard when it is detected between its start and "
        f"{settings['tolerance_ms']} ms after its end; one hit per recording.",
        "A false alarm is one event, not a window or a frame. Single words are joined into streams "
        "with pauses; hours count the recordings alone. Negatives are heard clean.",
        f"Long sound is what lasts {LONG / 16_000:g} s or more in one recording, joined words not "
        "among it. What a word is good enough for is answered with its false alarms in long "
        "sound; short noises and words one a second are harder than any room. They are listed all "
        "the same.",
        "Intervals are exact, 95 %: Clopper-Pearson for shares, Garwood for rates. They count "
        "recordings as independent, which those of one person are not.",
        "Nothing fired means at most 3.7 / hours, not never. A rate below one event in the hours "
        "there are is refused.",
        f"This page holds {count(len(examples), 'excerpt')} ({media:.1f} MB); it never takes more "
        f"than {MOST_BYTES / 1e6:.0f} MB, and fetches nothing. The excerpts are parts of the "
        "recordings: mind their licences, and whose voices they are, before you hand it on. All "
        "figures are in the JSON beside it.",
    ]
    return tag(
        "section",
        tag("h2", "How this was measured", id="method"),
        tag("ul", *(tag("li", point) for point in points)),
        aria_labelledby="method",
    )
