"""Make bundles with the sizes of the presets and random weights: preset_tiny, preset_small.

What they cost does not depend on the weights; their scores mean nothing, but they move. Needs the
train extra; run in the repository's root:

    PYTHONPATH=.:train python tests/data/make_presets.py [FOLDER [PRESET ...]]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import Bundle, write_bundle
from wakeword.decide import DecisionConfig
from wakeword.frontend import BINS, features
from wakeword_train.models.trigger import PRESETS
from wakeword_train.quantize import StepWeights, convert, representative_steps

SHIPPED = ("tiny", "small")


def weights(preset: str, words: int, rng: np.random.Generator) -> StepWeights:
    """Draw the step of a preset."""
    config = PRESETS[preset]

    def draw(*shape: int, gain: float = 1.0) -> NDArray[np.float32]:
        return (gain * rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    conv = draw(config.kernel * BINS, config.filters, gain=4)
    # Columns that sum to 0: the features' level drops out, and the scores move with their shape.
    arrays = {"conv": conv - conv.mean(axis=0), "conv_bias": draw(config.filters)}
    below = config.filters
    for i, units in enumerate(config.units):
        bias = draw(2, 3 * units)
        if not config.reset_after:
            bias[1] = 0
        arrays |= {f"kernel_{i}": draw(below, 3 * units, gain=2), f"bias_{i}": bias}
        arrays |= {f"recurrent_{i}": draw(units, 3 * units)}
        below = units
    arrays |= {"head": draw(below, words, gain=12), "head_bias": draw(words)}
    return StepWeights(config.kernel, config.stride, config.reset_after, arrays)


def bursts(rng: np.random.Generator, seconds: int) -> NDArray[np.int16]:
    """Noise that changes its loudness and its colour twice a second."""
    parts = []
    for _ in range(2 * seconds):
        width = int(rng.integers(1, 65))
        noise = np.convolve(rng.standard_normal(8_000 + width - 1), np.ones(width) / np.sqrt(width))
        parts.append(noise[width - 1 :][:8_000] * 10 ** rng.uniform(1, 4))
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def make(preset: str, folder: Path, words: Sequence[str] = ("yes",), seed: int = 7) -> Bundle:
    """Write FOLDER/preset_NAME.json and .tflite."""
    rng = np.random.default_rng(seed)
    step = weights(preset, len(words), rng)
    model, tensors = convert(step, representative_steps(step, features(bursts(rng, 30))[None], 3))
    return write_bundle(
        folder / f"preset_{preset}",
        model=model,
        words=words,
        stride=step.stride,
        kernel=step.kernel,
        inputs=tensors["inputs"],
        outputs=tensors["outputs"],
        decision={w: DecisionConfig(threshold=0.8, smooth_steps=3) for w in words},
        training={"script": "tests/data/make_presets.py", "preset": preset, "seed": seed},
        force=True,
    )


if __name__ == "__main__":
    for name in sys.argv[2:] or SHIPPED:
        make(name, Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
