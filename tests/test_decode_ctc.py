from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.decode import (
    CharFusion,
    CtcBeam,
    CtcText,
    Fusion,
    WordFusion,
    best_path,
    collapse,
    ctc,
    prefix_beam_search,
)
from wakeword.errors import ConfigError, TextError, WakewordError
from wakeword.language import LanguageModel, kneser_ney
from wakeword.vocabulary import EOS, UNK, Vocabulary

ALPHABET = ("", "a", "b", " ")
EVERYTHING: dict[str, Any] = {"width": 10_000, "least_log_prob": -math.inf, "margin": math.inf}
SEEDS = st.integers(0, 10_000)


def posteriors(seed: int, frames: int, size: int = 4, spread: float = 2.0) -> NDArray[np.float64]:
    scores = np.random.default_rng(seed).normal(size=(frames, size)) * spread
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def spelled(path: Sequence[int], alphabet: Sequence[str]) -> str:
    """The text of a path by the definition: repeats, blanks, then spaces of which one is enough."""
    return words([alphabet[k] for k, _ in itertools.groupby(path)])


def words(letters: list[str]) -> str:
    return " ".join("".join(letters).split())


def every_text(log_probs: NDArray[np.float64], alphabet: Sequence[str]) -> dict[str, float]:
    """Log-probability of every text, summed over every path."""
    found: dict[str, float] = {}
    for path in itertools.product(range(len(alphabet)), repeat=len(log_probs)):
        text = spelled(path, alphabet)
        p = float(sum(log_probs[t, k] for t, k in enumerate(path)))
        found[text] = np.logaddexp(found.get(text, -np.inf), p)
    return found


@cache
def word_model() -> tuple[LanguageModel, Vocabulary]:
    sentences = ["a b", "ab a", "ab ab", "b", "a ba b", "ab"]
    vocabulary = Vocabulary.of_words([s.split() for s in sentences], unk=UNK)
    return kneser_ney([vocabulary.encode(s) for s in sentences], vocabulary, 2), vocabulary


@cache
def char_model() -> tuple[LanguageModel, Vocabulary]:
    texts = ["a b", "ab a", "ab ab", "b", "a ba b", "ab"]
    vocabulary = Vocabulary.of_chars(texts, eos=EOS)
    return kneser_ney([vocabulary.encode(t) for t in texts], vocabulary, 3), vocabulary


def of_words(text: str, weight: float, bonus: float, unknown: float) -> float:
    """What the language model of words adds to a text, by the definition."""
    model, vocabulary = word_model()
    parts = text.split()
    numbers = vocabulary.encode(parts) if parts else []
    strange = sum(w not in vocabulary for w in parts)
    return weight * model.logprob(numbers) + bonus * len(parts) + unknown * strange


def of_chars(text: str, weight: float, bonus: float) -> float:
    model, vocabulary = char_model()
    numbers = vocabulary.encode(text) if text else []
    return weight * model.logprob(numbers) + bonus * len(text)


@given(st.lists(st.integers(0, 3), max_size=12))
def test_collapse_by_the_definition(path: list[int]) -> None:
    assert collapse(path).tolist() == [k for k, _ in itertools.groupby(path) if k != 0]
    assert collapse(path, blank=2).tolist() == [k for k, _ in itertools.groupby(path) if k != 2]


@settings(max_examples=15)
@given(seed=SEEDS, frames=st.integers(1, 5), size=st.sampled_from([2, 3, 4]))
def test_prefix_search_equals_all_paths(seed: int, frames: int, size: int) -> None:
    alphabet = ALPHABET[:size]
    log_probs = posteriors(seed, frames, size)
    wanted = every_text(log_probs, alphabet)
    found = prefix_beam_search(log_probs, alphabet, count=None, **EVERYTHING)
    assert {f.text for f in found} == set(wanted)
    for f in found:
        assert f.score == f.log_prob
        assert np.isclose(f.log_prob, wanted[f.text], atol=1e-9)
    assert [f.score for f in found] == sorted([f.score for f in found], reverse=True)


@settings(max_examples=15)
@given(seed=SEEDS, weight=st.sampled_from([0.0, 0.7, 2.0]), bonus=st.sampled_from([0.0, 1.5, -1.0]))
def test_search_with_words_equals_all_paths(seed: int, weight: float, bonus: float) -> None:
    log_probs = posteriors(seed, 4)
    fusion = WordFusion(*word_model(), weight=weight, bonus=bonus, unknown=-3.0)
    found = prefix_beam_search(log_probs, ALPHABET, count=None, fusion=fusion, **EVERYTHING)
    wanted = every_text(log_probs, ALPHABET)
    assert {f.text for f in found} == set(wanted)
    for f in found:
        # float32 in the language model
        assert np.isclose(f.log_prob, wanted[f.text], atol=1e-9)
        assert np.isclose(f.score - f.log_prob, of_words(f.text, weight, bonus, -3.0), atol=1e-5)


@settings(max_examples=15)
@given(seed=SEEDS, weight=st.sampled_from([0.0, 0.7]), bonus=st.sampled_from([0.0, 1.5]))
def test_search_with_characters_equals_all_paths(seed: int, weight: float, bonus: float) -> None:
    alphabet = ALPHABET[:3]
    log_probs = posteriors(seed, 5, 3)
    fusion = CharFusion(*char_model(), weight=weight, bonus=bonus)
    found = prefix_beam_search(log_probs, alphabet, count=None, fusion=fusion, **EVERYTHING)
    wanted = every_text(log_probs, alphabet)
    for f in found:
        expected = wanted[f.text] + of_chars(f.text, weight, bonus)
        assert np.isclose(f.score, expected, atol=1e-5)  # float32 in the language model
    assert len(found) == len(wanted)


def fusions() -> dict[str, Fusion | None]:
    return {
        "none": None,
        "words": WordFusion(*word_model(), weight=0.8, bonus=0.5),
        "chars": CharFusion(*char_model(), weight=0.5),
    }


@settings(max_examples=15)
@given(
    seed=SEEDS,
    cuts=st.lists(st.integers(0, 30), max_size=5),
    kind=st.sampled_from(["none", "words", "chars"]),
)
def test_any_chunking_gives_the_same_texts(seed: int, cuts: list[int], kind: str) -> None:
    log_probs = posteriors(seed, 30, spread=3.0)
    whole = prefix_beam_search(log_probs, ALPHABET, count=None, fusion=fusions()[kind], width=5)
    beam = CtcBeam(ALPHABET, fusion=fusions()[kind], width=5)
    for _ in range(2):  # reset equals new
        for chunk in np.split(log_probs, sorted(cuts)):
            beam.feed(chunk)
        assert beam.finish() == whole
        beam.reset()


def test_a_long_stream_keeps_short_prefixes_whatever_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctc, "HORIZON", 8)
    log_probs = posteriors(0, 400, spread=4.0)
    one, other = CtcBeam(ALPHABET, width=20), CtcBeam(ALPHABET, width=20)
    one.feed(log_probs)
    for frame in log_probs:
        other.feed(frame[None])
        assert max(map(len, other._beams)) < 4 * 8
    assert one.finish() == other.finish()
    best = "".join(ALPHABET[k] for k in best_path(log_probs))
    assert len(one.finish()[0].text) > 0.9 * len(words(list(best))) > 100


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_where_one_path_has_most_of_it_search_and_best_path_agree(path: list[int]) -> None:
    log_probs = np.log(np.where(np.eye(4)[path] == 1, 0.997, 0.001))  # together over .9
    text = "".join(ALPHABET[k] for k in best_path(log_probs))
    assert collapse(path).tolist() == best_path(log_probs).tolist()
    assert prefix_beam_search(log_probs, ALPHABET)[0].text == words(list(text))


def test_the_language_model_turns_the_choice() -> None:
    vocabulary = Vocabulary.of_words([["cat", "cap"]], unk=UNK)
    sentences = [["cat"]] * 20 + [["cap"]]
    model = kneser_ney([vocabulary.encode(s) for s in sentences], vocabulary, 1, discount=0.1)
    alphabet = ("", "a", "c", "p", "t")
    frames = np.full((3, 5), 1e-3)
    frames[0, 2] = frames[1, 1] = 1.0
    frames[2, 3], frames[2, 4] = 0.6, 0.4
    log_probs = np.log(frames / frames.sum(axis=1, keepdims=True))

    def best(**kind: float) -> str:
        fusion = WordFusion(model, vocabulary, **kind)
        return prefix_beam_search(log_probs, alphabet, fusion=fusion)[0].text

    assert best(weight=0.0) == "cap"
    assert best(weight=1.0) == "cat"


def test_unknown_words_cost_what_they_are_said_to() -> None:
    log_probs = posteriors(5, 6)

    def best(unknown: float) -> CtcText:
        fusion = WordFusion(*word_model(), weight=0.0, unknown=unknown)
        return prefix_beam_search(log_probs, ALPHABET, fusion=fusion, **EVERYTHING)[0]

    _, vocabulary = word_model()
    assert best(0.0) == prefix_beam_search(log_probs, ALPHABET, **EVERYTHING)[0]
    assert all(w in vocabulary for w in best(-math.inf).text.split())


def test_a_longer_beam_never_finds_less() -> None:
    for seed in range(5):
        log_probs = posteriors(seed, 6, spread=1.0)
        full = prefix_beam_search(log_probs, ALPHABET, **EVERYTHING)[0]
        few = prefix_beam_search(log_probs, ALPHABET, width=3)[0]
        assert few.score <= full.score + 1e-9


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"margin": 0.0}, "margin=0.0"),
        ({"least_log_prob": 1.0}, "least_log_prob=1.0"),
        ({"alphabet": ("a", "b")}, "0 blanks"),
        ({"alphabet": ("", "", "b")}, "2 blanks"),
        ({"alphabet": ("", "ab")}, "'ab'"),
        ({"alphabet": ("", "a", "a")}, "twice"),
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CtcBeam(**{"alphabet": ALPHABET, **setting})


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros(4), "shape"),
        (np.zeros((2, 5)), "shape"),
        (np.full((2, 4), np.nan), "NaN"),
        (np.full((2, 4), -np.inf), "nothing a probability"),
    ],
)
def test_bad_frames_are_named(frames: NDArray[np.float64], message: str) -> None:
    with pytest.raises(WakewordError, match=message):
        CtcBeam(ALPHABET).feed(frames)
    if "nothing" not in message and frames.ndim != 2:
        with pytest.raises(WakewordError, match=message):
            best_path(frames)


def test_bad_fusions_are_named() -> None:
    words_, chars = word_model(), char_model()
    for weight, bonus in ((-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf)):
        with pytest.raises(ConfigError, match=r"weight=|bonus="):
            WordFusion(*words_, weight=weight, bonus=bonus)
    with pytest.raises(ConfigError, match="use WordFusion"):
        CharFusion(*words_, weight=1.0)
    with pytest.raises(ConfigError, match="use CharFusion"):
        WordFusion(*chars, weight=1.0)
    with pytest.raises(ConfigError, match="unknown=1"):
        WordFusion(*words_, weight=1.0, unknown=1.0)
    with pytest.raises(TextError, match="'c'"):
        prefix_beam_search(
            posteriors(0, 4), ("", "a", "b", "c"), fusion=CharFusion(*chars, weight=1.0)
        )


def test_no_frames_give_the_empty_text() -> None:
    assert prefix_beam_search(np.zeros((0, 4)), ALPHABET) == [CtcText("", 0.0, 0.0)]
    assert best_path(np.zeros((0, 4))).tolist() == []


def test_oracle_knows_the_texts_of_two_frames() -> None:
    probs = np.array([[0.5, 0.25, 0.125, 0.125], [0.5, 0.25, 0.125, 0.125]])
    found = every_text(np.log(probs), ALPHABET)
    assert np.isclose(np.exp(found["a"]), 0.25 * 0.25 + 2 * 0.25 * 0.5 + 2 * 0.25 * 0.125)
    assert np.isclose(np.exp(found["ab"]), 0.25 * 0.125)
    assert np.isclose(sum(np.exp(list(found.values()))), 1.0)
