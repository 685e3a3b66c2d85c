"""How well a word nobody recorded is learned: each test word by synthesis only, heard from people.

    python bench/leave_one_out.py --data DIR --voices DIR --markdown docs/ACCURACY.md

For each word the pack's recordings of it, and of all that contains it, are left out; what remains
is what a user with a new phrase has. All recordings of the word are then tested, at the threshold
that holds the rate in long speech and in the other words of the same recordings, each by itself,
chosen on these negatives. ``--ablation`` does it again with one part of the method left out. Every
training is kept in ``--work``, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine, put_section, versions

WORDS = ("jarvis", "snowboy", "computer", "athena", "hadouken")
CONDITIONS = ("clean", "10dB", "10dB-pink", "0dB", "0dB-pink", "reverb", "talk")
HOLD = ("speech", "words, same recordings")
ABLATIONS = {
    "all of it": "everything as `wakeword train` does it",
    "same recordings": "without the words that share the test word's recording chain",
    "heads": "without heads for other words said by people (they stay as negatives)",
    "accents": "two pronunciations in place of up to 18",
    "voices": "without formant and pitch morphs of the synthetic clips",
    "near": "without near-phrases",
    "hard": "without mining for hard negatives",
}
LIBRARIES = ("wakeword", "tensorflow-cpu", "tensorflow", "kokoro-onnx", "numpy")


def recipe_for(word: str, variant: str, preset: str, labels: dict[str, str]) -> Any:
    """Make the recipe of a word, with one part of the method left out."""
    from wakeword_train.recipes.config import Recipe
    from wakeword_train.recipes.plan import plan

    recipe = plan(Recipe(words=(word,), preset=preset, real=False))
    synth, windows = recipe.synth, recipe.windows
    if variant == "same recordings":
        chain = {label for label, source in labels.items() if source == labels.get(word)}
        return replace(recipe, without=tuple(sorted(chain)))
    if variant == "heads":
        return replace(recipe, fit=replace(recipe.fit, head_weight=0.0))
    if variant == "accents":
        few = {word: tuple(synth.spellings[word][:2])}
        return replace(recipe, synth=replace(synth, spellings=few))
    if variant == "voices":
        return replace(recipe, windows=replace(windows, synthetic_morphs=0))
    if variant == "near":
        return replace(recipe, windows=replace(windows, near=0))
    if variant == "hard":
        return replace(recipe, fit=replace(recipe.fit, hard=0.0))
    return recipe


def test_set(data: Path, word: str) -> Any:
    """Take all recordings of a word, and the negatives of the parts that never train."""
    from wakeword_train.data.splits import SPLITS_FILE
    from wakeword_train.testset import label_of, read_corpus

    parts = {part: read_corpus(data, SPLITS_FILE, part) for part in ("train", "dev", "test")}
    label = label_of(word)
    said = [clip for found in parts.values() for clip in found.clips if clip.label == label]
    rest = [clip for part in ("dev", "test") for clip in parts[part].clips if clip.label != label]
    return replace(
        parts["test"],
        clips=tuple(said + rest),
        streams=parts["dev"].streams + parts["test"].streams,
    )


def trial(word: str, variant: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train and test one word, or read what was found before."""
    from wakeword.detector import Detector
    from wakeword.files import beside
    from wakeword.metrics import at_false_alarms, operating_point, sweep, with_utterances
    from wakeword_train.cli import progress_line
    from wakeword_train.conditions import parse_condition
    from wakeword_train.data.manifest import read_clips
    from wakeword_train.data.pack import key_of
    from wakeword_train.recipes.sources import Sources, pack_of
    from wakeword_train.recipes.trigger import prepare, share_of, speak, train_model
    from wakeword_train.scoring import score
    from wakeword_train.ship import quantise, some_windows
    from wakeword_train.testset import label_of

    labels = {label_of(c.label): c.source.split("/")[0] for c in read_clips(args.data)}
    recipe = recipe_for(word, variant, args.preset, labels)
    progress = progress_line()
    # No threshold is chosen on synthetic clips here.
    recipe = replace(recipe, synth=replace(recipe.synth, held_out=0))
    if args.clips:
        fewer = replace(recipe.synth, count=args.clips, near_count=args.clips // 4)
        recipe = replace(recipe, synth=fewer)
    pack = pack_of(
        recipe, args.work, Sources(data=args.data), processes=args.processes, progress=progress
    )
    # Few pronunciations are other clips: they get a folder of their own.
    work = args.work / "two pronunciations" if variant == "accents" else args.work
    if args.voices is not None:
        speak(recipe, work, args.voices, processes=args.processes, progress=progress)
    windows = prepare(recipe, pack, work, (), processes=args.processes, progress=progress)
    config, share = recipe.model, share_of(windows.names)
    folder = args.work / f"left-out-{label_of(word)}-{key_of(recipe, share, config, pack.key)}"
    done = folder / "trial.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    model = train_model(recipe, windows, folder, progress=progress)
    bundle = quantise(
        model, config, recipe.words, some_windows(windows, recipe.seed),
        folder / "draft", smooth_steps=recipe.smooth_steps, force=True,
    )  # fmt: skip
    conditions = [parse_condition(name) for name in CONDITIONS]
    heard = score(
        Detector([(bundle, None)]), test_set(args.data, word), conditions, progress=progress
    )
    said, streams = heard.utterances[word], heard.streams[word]
    clean = [one for one in said if one.condition == "clean"]
    held = [stream for stream in streams if stream.part in HOLD]
    point = at_false_alarms(sweep(clean, held, bundle.decision[word]), args.fa_per_hour)
    now = sweep(clean, streams, bundle.decision[word], thresholds=[point.threshold])
    found = {
        "word": word, "variant": variant, "threshold": point.threshold,
        "conditions": {
            name: asdict(
                operating_point(
                    with_utterances(now, [u for u in said if u.condition == name]), 0, name
                )
            )
            for name in CONDITIONS
        },
        "false_alarms": dict(zip(now.parts, now.false_alarms[0].tolist(), strict=True)),
        "hours": dict(zip(now.parts, now.hours, strict=True)),
    }  # fmt: skip
    with beside(done) as partial:
        partial.write_text(json.dumps(found, indent=1))
    return found


def table(found: Sequence[dict[str, Any]], args: argparse.Namespace) -> str:
    """Write the section of the page."""
    rate = f"{args.fa_per_hour:g}"
    lines = [
        "## A word that nobody recorded", "",
        f"`{' '.join(['python', 'bench/leave_one_out.py', *args.given])}`. {machine()}. "
        f"{versions(LIBRARIES)}.", "",
        f"Each word trained by synthesis only, preset `{args.preset}`, int8, heard from people: "
        "missed in percent, with the exact 95 % interval where it is clean, at the threshold that "
        f"holds {rate} false alarms per hour in {' and in '.join(HOLD)}, each by itself. That "
        "threshold is chosen on the tested negatives: this compares methods, it is no promise.", "",
    ]  # fmt: skip
    for variant in dict.fromkeys(one["variant"] for one in found):
        mine = [one for one in found if one["variant"] == variant]
        lines += [
            f"**{variant.capitalize()}**: {ABLATIONS[variant]}.", "",
            "| word, clips | " + " | ".join(CONDITIONS) + " | speech | same recordings | other "
            "words | noise |", "|" + "---|" * (len(CONDITIONS) + 5),
        ]  # fmt: skip
        for one in mine:
            by = one["conditions"]
            cells = [f"{100 * by[name]['frr']:.1f}" for name in CONDITIONS]
            clean = by["clean"]
            cells[0] += f" ({100 * clean['frr_low']:.1f} to {100 * clean['frr_high']:.1f})"
            alarms = [
                str(one["false_alarms"].get(part, "-"))
                for part in (*HOLD, "words, other recordings", "noise")
            ]
            lines.append(
                f"| {one['word']}, {clean['clips']} | " + " | ".join(cells + alarms) + " |"
            )
        middle = [
            f"{median(100 * one['conditions'][name]['frr'] for one in mine):.1f}"
            for name in CONDITIONS
        ]
        lines += ["| median | " + " | ".join(middle) + " | | | | |", ""]
    hours = ", ".join(f"{part} {h:.2f} h" for part, h in found[0]["hours"].items())
    lines.append(f"False alarms are counted in {hours}.")
    return "\n".join(lines)


def main() -> None:
    """Parse, try each, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="recordings with manifest.tsv")
    parser.add_argument("--voices", type=Path, help="Kokoro's two files; without it, clips "
                        "that are in --work")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--words", nargs="+", default=list(WORDS))
    parser.add_argument("--preset", default="small")
    parser.add_argument(
        "--clips",
        type=int,
        help="synthetic clips of each word, and "
        "a fourth of that close to it (default: as `wakeword train`)",
    )
    parser.add_argument("--fa-per-hour", type=float, default=0.5)
    parser.add_argument("--ablation", nargs="*", choices=list(ABLATIONS)[1:], default=[],
                        help="parts to leave out, each in a trial of its own")  # fmt: skip
    parser.add_argument("--markdown", type=Path, help="page to write the table into")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    args.given = sys.argv[1:]
    found = [
        trial(word, variant, args)
        for variant in ("all of it", *args.ablation)
        for word in args.words
    ]
    text = table(found, args)
    print(text)
    if args.markdown:
        put_section(args.markdown, "leave one out", text)


if __name__ == "__main__":
    main()
