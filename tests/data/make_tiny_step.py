"""Make the small bundles of the tests: tiny_step (int8) and tiny_step_float.

Two words, kernel 6, stride 3, two GRU(8), random weights: it means nothing, but its scores move.
Needs the train extra; run in the repository's root:

    PYTHONPATH=.:train python tests/data/make_tiny_step.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.bundle import write_bundle
from wakeword.decide import DecisionConfig
from wakeword.frontend import BINS, features
from wakeword_train.quantize import StepWeights, convert, representative_steps

KERNEL, STRIDE, CONV, UNITS, WORDS = 6, 3, 8, (8, 8), ("yes", "no")


def weights(rng: np.random.Generator) -> StepWeights:
    def draw(*shape: int, gain: float = 1.0) -> NDArray[np.float32]:
        return (gain * rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    conv = draw(KERNEL * BINS, CONV, gain=4)
    # Columns that sum to 0: the features' level drops out, and the scores move with their shape.
    arrays = {"conv": conv - conv.mean(axis=0), "conv_bias": draw(CONV)}
    below = CONV
    for i, units in enumerate(UNITS):
        arrays |= {f"kernel_{i}": draw(below, 3 * units, gain=3)}
        arrays |= {f"recurrent_{i}": draw(units, 3 * units), f"bias_{i}": draw(2, 3 * units)}
        below = units
    arrays |= {"head": draw(below, len(WORDS), gain=10), "head_bias": draw(len(WORDS))}
    return StepWeights(KERNEL, STRIDE, True, arrays)


def bursts(rng: np.random.Generator, seconds: int) -> NDArray[np.int16]:
    """Noise that changes its loudness and its colour twice a second."""
    parts = []
    for _ in range(2 * seconds):
        noise = rng.standard_normal(8_000 + 64)
        width = int(rng.integers(1, 65))
        smooth = np.convolve(noise, np.ones(width) / np.sqrt(width), "valid")[:8_000]
        parts.append(smooth * 10 ** rng.uniform(1, 4))
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def main() -> None:
    rng = np.random.default_rng(28)
    step = weights(rng)
    calibration = representative_steps(step, features(bursts(rng, 30))[None], every=3)
    for name, samples in (("tiny_step", calibration), ("tiny_step_float", None)):
        model, tensors = convert(step, samples)
        write_bundle(
            Path(__file__).parent / name,
            model=model,
            words=WORDS,
            stride=STRIDE,
            kernel=KERNEL,
            inputs=tensors["inputs"],
            outputs=tensors["outputs"],
            decision={
                "yes": DecisionConfig(threshold=0.8, smooth_steps=3, refractory_ms=500),
                "no": DecisionConfig(threshold=0.6, release=0.3, smooth_steps=2, refractory_ms=500),
            },
            training={"script": "tests/data/make_tiny_step.py", "seed": 28},
            force=True,
        )


if __name__ == "__main__":
    main()
