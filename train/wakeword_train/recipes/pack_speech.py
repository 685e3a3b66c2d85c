"""What machines say in a pack: talk, and the words that people say in it too.

Ordinary sound by people is scarce where licences are clear; talk of words as they come, without
sense, adds what no few readers say: all sounds of the language in all orders, by many voices. And a
word that both people and machines say, on one head, teaches what the two have in common.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wakeword.errors import ConfigError
from wakeword_train.data.lexicon import read_lexicon
from wakeword_train.data.pack import PackConfig
from wakeword_train.phonemes import pronunciations
from wakeword_train.synth import find_engines, synthesize

__all__ = ["sentences", "speak_pack", "spoken_for_pack"]

log = logging.getLogger(__name__)
TALK, WORDS = "synth/pack_talk", "synth/pack_words"  # below the work folder
Progress = Callable[[str, int, int], None]


def sentences(count: int, seed: int) -> list[str]:
    """Draw sentences of three to eight words, in phonemes; the words used most come most often.

    >>> 3 <= len(sentences(1, seed=1)[0].split()) <= 8
    True
    """
    rng = np.random.default_rng([seed, 2])
    spoken = [phonemes for _, phonemes in read_lexicon()]
    found = []
    for _ in range(count):
        # By rank, evenly on a logarithmic scale from the tenth word on.
        ranks = 10 ** rng.uniform(1, np.log10(len(spoken) - 1), int(rng.integers(3, 9)))
        found.append(" ".join(spoken[int(rank)] for rank in ranks))
    return found


def speak_pack(
    work: Path,
    config: PackConfig,
    labels: Sequence[str],
    voices: Path | None,
    *,
    language: str = "en-us",
    processes: int = 2,
    ray: str | None = None,
    progress: Progress = lambda *_: None,
) -> None:
    """Speak what is not there yet, if Kokoro is here.

    Args:
        work: folder of the stages.
        config: how much of what.
        labels: words that people say in the pack.
        voices: folder of Kokoro's files, None where they are fetched to.
        language: of the words.
        processes: worker processes.
        ray: address of a Ray cluster, to speak there.
        progress: called with (stage, done, in all).
    """
    jobs = [
        (work / TALK, {"talk": sentences(2 * config.talk, config.seed)}, config.talk),
        (work / WORDS, {one: pronunciations(one.replace("_", " "), language) for one in labels},
         config.spoken),
    ]  # fmt: skip
    jobs = [(out, spellings, count) for out, spellings, count in jobs if spellings and count]
    if not jobs:
        return
    try:
        # No robots: taken as one reader each, they took the room of people, who then woke models.
        engines = find_engines(("kokoro",), voices=voices)
    except ConfigError as exc:
        log.warning("the pack goes without synthetic speech: %s", exc)
        return
    for out, spellings, count in jobs:
        for done, total in synthesize(
            spellings, count, out,
            engines=engines, seed=config.seed, processes=processes, ray=ray,
        ):  # fmt: skip
            progress(f"synthesize {out.name.replace('_', ' ')}", done, total)


def spoken_for_pack(work: Path) -> list[Path]:
    """Name the folders of what was spoken."""
    return [work / one for one in (TALK, WORDS) if (work / one / "manifest.jsonl").is_file()]
