"""What a training window costs: cut, heard through a channel and put through the front end.

    python bench/windows.py --markdown docs/BENCHMARKS.md

CPU time of one process, and how many times faster than real time that is. The sound is generated
unless ``--corpus`` names a folder of `wakeword train`. Rooms are computed before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from machine import machine, put_section, versions

from wakeword.frontend import features
from wakeword_train.data.augment import HARD, AugmentConfig
from wakeword_train.data.corpus import SPOKEN, Corpus, Item, open_corpus
from wakeword_train.data.rooms import compute, draw_room
from wakeword_train.data.studio import SAMPLES, Studio

RATE_HZ = 16_000
MIX = {"word": 0.4, "speech": 0.4, "noise": 0.2}  # of the windows, about as a recipe cuts them
PLAIN = AugmentConfig(rooms=200, quiet=1.0, coloured=0.0, reverb=0.0)
CHANNELS = {
    "as trained with": AugmentConfig(),
    "all that can be drawn": HARD,
    "no noise, no room, no codec": PLAIN,
    "recorded noise": replace(PLAIN, quiet=0.0),
    "babble": replace(PLAIN, quiet=0.0, babble=1.0),
    "in a computed room": replace(PLAIN, reverb=1.0, simulated=1.0),
    "in a computed room, recorded noise at its own place": replace(
        PLAIN, quiet=0.0, reverb=1.0, simulated=1.0, elsewhere=1.0
    ),
    "telephone": replace(PLAIN, telephone=1.0),
    "MP3": replace(PLAIN, mp3=1.0),
    "Opus": replace(PLAIN, opus=1.0),
}


def generated() -> Corpus:
    """Make clips of words, streams of talk, noises and rooms, all of shaped noise."""
    rng = np.random.default_rng(0)
    audio: list[np.ndarray] = []
    items: list[Item] = []
    for kind, count, seconds in (
        ("wake", 60, 2.0), ("speech", 4, 60.0), ("noise", 20, 10.0), ("rir", 8, 0.5),
    ):  # fmt: skip
        for number in range(count):
            size = int(seconds * RATE_HZ)
            sound = rng.normal(0, 2_000, size)
            if kind == "rir":
                sound *= np.exp(-np.arange(size) / 800)
            elif kind != "noise":
                sound *= np.sin(np.pi * np.arange(size) / 4_000) > 0
            start = items[-1].stop if items else 0
            place = (4_000, 20_000) if kind == "wake" else (0, size)
            items.append(
                Item(
                    start=start, stop=start + size, word_start=place[0], word_stop=place[1],
                    kind=kind, label=kind, speaker="", source=f"{kind} {number}",
                )
            )  # fmt: skip
            audio.append(np.rint(sound.clip(-32_768, 32_767)).astype(np.int16))
    return Corpus(np.concatenate(audio), tuple(items))


def cut(studio: Studio, count: int, seed: int) -> list[np.ndarray]:
    """Cut windows of each kind in their shares."""
    sorts: dict[str, list[Item]] = {"word": [], "speech": [], "noise": []}
    for item in studio.corpus.items:
        kind = "speech" if item.kind in SPOKEN else item.kind
        if kind != "rir":
            sorts[kind if kind in sorts else "word"].append(item)
    made = []
    for sort, share in MIX.items():
        for number in range(round(share * count)):
            rng = np.random.default_rng([seed, number])
            item = sorts[sort][int(rng.integers(len(sorts[sort])))]
            samples = studio.word(rng, item)[0] if sort == "word" else studio.long(rng, item)
            made.append(samples)
    return made


def cost_ms(work: Callable[[int], int], rounds: int) -> float:
    """Median CPU time of one window, in ms, over some rounds after a first that does not count."""
    work(0)
    spent = []
    for number in range(rounds):
        began = time.process_time()
        done = work(number + 1)
        spent.append(1_000 * (time.process_time() - began) / done)
    return statistics.median(spent)


def measure(corpus: Corpus, count: int, rounds: int) -> list[tuple[str, float]]:
    """Give (what, CPU ms for one window) for the front end and for each sort of channel."""
    rooms = np.stack([compute(draw_room(np.random.default_rng([0, n]))) for n in range(8)])
    some = cut(Studio(corpus, PLAIN, rooms), count, 0)
    found = [("front end alone", cost_ms(lambda _: len([features(s) for s in some]), rounds))]
    for name, config in CHANNELS.items():
        studio = Studio(corpus, config, rooms)
        few = count if name == "as trained with" else max(count // 5, 5)

        def work(seed: int, studio: Studio = studio, few: int = few) -> int:
            return len([features(samples) for samples in cut(studio, few, seed)])

        found.append((name, cost_ms(work, rounds)))
    return found


def page(found: list[tuple[str, float]], command: str, sound: str) -> str:
    """Write the result as Markdown."""
    seconds = SAMPLES / RATE_HZ
    lines = [
        "## Training windows", "",
        f"`{command}`, {time.strftime('%Y-%m-%d')}. {machine()}. "
        f"{versions(('wakeword', 'pymicro-features', 'scipy', 'soxr', 'soundfile', 'numpy'))}.", "",
        f"CPU time of one thread to make one window of {seconds:.2f} s from {sound}, the front end "
        "included in every row. Median of the rounds.", "",
        "| window | CPU ms | windows a second | times real time |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for name, ms in found:
        lines.append(f"| {name} | {ms:.2f} | {1_000 / ms:.0f} | {1_000 * seconds / ms:.0f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="folder with corpus.json; default: generated")
    parser.add_argument("--count", type=int, default=250, help="windows in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="write the table into this page")
    args = parser.parse_args(argv)
    corpus = open_corpus(args.corpus) if args.corpus else generated()
    command = f"python bench/windows.py --count {args.count} --rounds {args.rounds}"
    if args.corpus:
        command += " --corpus DIR"
    sound = "recordings" if args.corpus else "generated sound"
    text = page(measure(corpus, args.count, args.rounds), command, sound)
    if args.markdown:
        put_section(args.markdown, "windows", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
