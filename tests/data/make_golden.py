"""Cut the golden excerpts and the demo: python tests/data/make_golden.py AUDIO_FOLDER

Only voices of the test part, only sets whose licence lets them be passed on. The clips are the
first of different voices in the order of their names, chosen before any model had heard them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from wakeword.audio import read_audio
from wakeword_train.data.manifest import may_ship, read_clips
from wakeword_train.data.splits import read_splits

HERE = Path(__file__).parent / "golden"
DEMO = Path(__file__).parents[2] / "wakeword" / "demo" / "computer.flac"
CLIPS = (
    "wake/computer/00008.opus",
    "wake/computer/00013.opus",
    "wake/jarvis/00005.opus",
    "wake/jarvis/00007.opus",
    "wake/alexa/00003.opus",
)
DEMO_CLIPS = ("wake/computer/00014.opus", "wake/alexa/00001.opus", "wake/jarvis/00008.opus")


def main(folder: Path) -> None:
    """Write the excerpts, and ``golden.tsv`` with who, whence and under which licence."""
    parts = read_splits()
    clips = {clip.file: clip for clip in read_clips(folder)}
    read_aloud = next(
        c for c in clips.values() if c.speaker.startswith("ls_") and parts[c.file] == "test"
    )
    HERE.mkdir(exist_ok=True)
    DEMO.parent.mkdir(exist_ok=True)
    rows = ["file\tlabel\tspeaker\tlicence\tsource"]
    for name in (*CLIPS, read_aloud.file):
        clip = clips[name]
        if parts[name] != "test" or not may_ship(clip.licence):
            raise SystemExit(f"{name}: not of the test part, or not free to pass on")
        label = clip.label if clip.kind == "wake" else "speech"
        out = f"{label}_{Path(name).stem}.flac"
        samples = read_audio(folder / name)[: 10 * 16_000]
        soundfile.write(HERE / out, samples, 16_000, subtype="PCM_16")
        rows.append(f"{out}\t{label}\t{clip.speaker}\t{clip.licence}\t{clip.source}")
    (HERE / "golden.tsv").write_text("\n".join(rows) + "\n")
    demo = np.concatenate([read_audio(folder / name) for name in DEMO_CLIPS])
    soundfile.write(DEMO, demo, 16_000, subtype="PCM_16")
    DEMO.with_suffix(".txt").write_text(
        "Three people say computer, alexa and jarvis. Licence: Apache-2.0, Picovoice\n"
        "wake-word-benchmark: " + ", ".join(clips[name].source for name in DEMO_CLIPS) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
