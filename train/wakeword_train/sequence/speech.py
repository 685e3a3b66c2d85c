"""What a recipe for speech does with utterances: batches, posteriors, the weight of a bigram."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.decode import Fusion, WordFusion, best_path, prefix_beam_search
from wakeword.errors import ConfigError
from wakeword.language import NgramModel, kneser_ney
from wakeword.speech import Recogniser
from wakeword.vocabulary import Vocabulary
from wakeword_train.data.an4 import FRAMES_PER_S, Utterance
from wakeword_train.data.cepstra import bend, draw_bend
from wakeword_train.sequence_metrics import word_errors

__all__ = [
    "Weights",
    "best_weights",
    "cost",
    "decode_all",
    "draw_batches",
    "greedy_texts",
    "heard_texts",
    "hold_out_speakers",
    "posteriors",
    "word_model",
]

Array = NDArray[Any]
BATCH = 16


@dataclass(frozen=True, slots=True)
class Weights:
    """How a language model is added: its weight, and the bonus of a word."""

    weight: float
    bonus: float


def hold_out_speakers(
    utterances: Sequence[Utterance], count: int, rng: np.random.Generator
) -> tuple[list[Utterance], list[Utterance]]:
    """Split by speaker: (what to train on, what ``count`` drawn speakers said).

    Raises:
        ConfigError: nobody would be left.
    """
    speakers = sorted({u.speaker for u in utterances})
    if not 1 <= count < len(speakers):
        raise ConfigError(f"{count} of {len(speakers)} speakers held out: need 1, and one to train")
    held = set(rng.choice(speakers, count, replace=False))
    return (
        [u for u in utterances if u.speaker not in held],
        [u for u in utterances if u.speaker in held],
    )


def draw_batches(
    utterances: Sequence[Utterance],
    letters: Vocabulary,
    normalise: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    deviation: NDArray[np.float32],
    *,
    batch: int,
    strength: float,
) -> Callable[[np.random.Generator, int], tuple[Array, ...]]:
    """Make batches of utterances of about the same length, bent each time anew.

    Returns:
        Gives (frames (B, T, F), their counts, labels (B, L), their counts); zeros behind each end,
        and T a multiple of 64 so that few shapes come up.
    """
    clips = [normalise(u.frames) for u in utterances]
    labels = [letters.encode(u.text) + 1 for u in utterances]  # 0 is the blank
    lengths = np.array([len(clip) for clip in clips])

    def draw(rng: np.random.Generator, number: int) -> tuple[Array, ...]:
        order = np.argsort(lengths * rng.uniform(0.8, 1.25, len(lengths)))
        first = int(rng.integers(0, max(1, len(order) - batch + 1)))
        chosen = order[first : first + batch]
        bent = [bend(clips[i], draw_bend(rng, len(clips[i]), deviation, strength)) for i in chosen]
        return (*_padded(bent, 64), *_padded([labels[i] for i in chosen], 1))

    return draw


def posteriors(
    model: Any,
    utterances: Sequence[Utterance],
    normalise: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> list[NDArray[np.float32]]:
    """Log-probabilities (T', V) of each utterance."""
    import tensorflow as tf

    clips = [normalise(u.frames) for u in utterances]
    found: list[NDArray[np.float32]] = [np.zeros((0, 0), np.float32)] * len(clips)
    bins = model.config.bins
    spec = (tf.TensorSpec((None, None, bins)), tf.TensorSpec((None,), tf.int32))
    run = tf.function(lambda x, n: tf.nn.log_softmax(model(x, lengths=n)), input_signature=spec)
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        frames, counts = _padded([clips[i] for i in rows], 64)
        log_probs = run(tf.constant(frames), tf.constant(counts)).numpy()
        for row, result, count in zip(rows, log_probs, counts, strict=True):
            found[row] = result[: model.config.outputs(int(count))]
    return found


def word_model(texts: Sequence[str], order: int) -> NgramModel:
    """Estimate an n-gram model of the words of texts."""
    sentences = [text.split() for text in texts]
    vocabulary = Vocabulary.of_words(sentences)
    return kneser_ney([vocabulary.encode(s) for s in sentences], vocabulary, order)


def greedy_texts(log_probs: Sequence[Array], letters: Vocabulary) -> list[str]:
    """Text of the best path of each utterance."""
    return [" ".join(letters.decode(best_path(p) - 1).split()) for p in log_probs]


def decode_all(
    log_probs: Sequence[Array],
    letters: Vocabulary,
    model: NgramModel | None,
    weights: Weights,
    width: int,
) -> list[str]:
    """Text of each utterance by prefix beam search."""
    symbols = ("", *letters.symbols)
    fusion: Fusion | None = None
    if model is not None:
        fusion = WordFusion(model, model.vocabulary, weight=weights.weight, bonus=weights.bonus)
    return [prefix_beam_search(p, symbols, width=width, fusion=fusion)[0].text for p in log_probs]


def best_weights(
    log_probs: Sequence[Array],
    texts: Sequence[str],
    letters: Vocabulary,
    model: NgramModel,
    choices: Sequence[Weights],
    width: int,
) -> Weights:
    """Choose by the fewest word errors, of equals the first: on people held back from training."""
    if not choices:
        raise ConfigError("no weights to choose from: need at least one")
    rates = [
        word_errors(decode_all(log_probs, letters, model, weights, width), texts).rate
        for weights in choices
    ]
    return choices[int(np.argmin(rates))]


def heard_texts(hears: Recogniser, clips: Sequence[NDArray[np.float32]]) -> list[str]:
    """Text of each clip (T, F), heard as a stream on the exported step."""
    found = []
    for frames in clips:
        hears.reset()
        hears.feed(frames)
        found.append(hears.finish()[0].text)
    return found


def cost(hears: Recogniser, clips: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Milliseconds of one core that a second of speech costs: the step, and then the search."""
    began = time.process_time()
    hears.reset()
    for frames in clips:
        hears.log_probs(frames)
    model = time.process_time() - began
    began = time.process_time()
    heard_texts(hears, clips)
    whole = time.process_time() - began
    seconds = sum(map(len, clips)) / FRAMES_PER_S
    return 1000 * model / seconds, 1000 * (whole - model) / seconds


def _padded(arrays: Sequence[Array], multiple: int) -> tuple[Array, NDArray[np.int32]]:
    """Stack arrays of unequal length, zeros behind; and their lengths."""
    lengths = np.array([len(a) for a in arrays], np.int32)
    size = max(1, -(-int(lengths.max()) // multiple) * multiple)
    result = np.zeros((len(arrays), size, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[: len(array)] = array
    return result, lengths
