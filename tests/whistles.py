"""Recordings made by rule: two whistled words, hums and noise, with a list and parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
PITCHES_HZ = {"up": (600.0, 2_200.0), "down": (2_200.0, 600.0)}


def whistle(label: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Whistle a word of half a second within two seconds of near silence."""
    first, last = PITCHES_HZ[label]
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    pitch = (first + (last - first) * 2 * time) * rng.uniform(0.95, 1.05)
    samples = rng.normal(0, 2e-4, 2 * RATE_HZ)
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ)
    samples[12_000 : 12_000 + len(tone)] += 0.3 * tone * np.hanning(len(tone))
    return samples


def record(folder: Path) -> None:
    """Make a data set: two whistled words, hums and noise, in three parts."""
    import soundfile

    rng = np.random.default_rng(0)
    rows = ["file\tstart_s\tdur_s\tkind\tlabel\tspeaker\tlicence\tsource"]
    splits = ["file\tsplit"]
    for part, count in (("train", 6), ("dev", 3), ("test", 3)):
        for number in range(count):
            for label in PITCHES_HZ:
                name = f"{part}_{label}_{number}.wav"
                soundfile.write(folder / name, whistle(label, rng), RATE_HZ)
                rows.append(f"{name}\t0\t2\twake\t{label}\t{part}{number}\tCC0-1.0\tmade/{name}")
                splits.append(f"{name}\t{part}")
        for kind in ("speech", "noise"):
            name = f"{part}_{kind}.wav"
            samples = rng.normal(0, 0.05, 20 * RATE_HZ)
            if kind == "speech":
                beat = np.sin(2 * np.pi * 3 * np.arange(len(samples)) / RATE_HZ) > 0
                samples = beat * np.convolve(samples, np.ones(20) / 5, "same")
            soundfile.write(folder / name, samples, RATE_HZ)
            rows.append(f"{name}\t0\t20\t{kind}\t{kind}\t\tCC0-1.0\tmade/{name}")
            splits.append(f"{name}\t{part}")
    room = np.random.default_rng(1).normal(0, 1, 4_000) * np.exp(-np.arange(4_000) / 400)
    for part in ("train", "dev", "test"):
        soundfile.write(folder / f"{part}_room.wav", room / np.abs(room).max() / 1.1, RATE_HZ)
        rows.append(f"{part}_room.wav\t0\t.25\trir\troom\t\tCC0-1.0\tmade")
        splits.append(f"{part}_room.wav\t{part}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    (folder / "splits.tsv").write_text("\n".join(splits) + "\n")
