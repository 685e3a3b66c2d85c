from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toy_model import EOS, Toy
from wakeword.decode import (
    beam_search,
    greedy,
    normalised,
    sample,
    score_sequences,
    search_errors,
    take,
)
from wakeword.decode.beam import top
from wakeword.decode.sampling import draw
from wakeword.errors import ConfigError, WakewordError

SEEDS = st.integers(0, 10_000)
ALPHAS = st.sampled_from([0.0, 0.6, 1.0, 2.0])


def tokens_of(hypotheses: Any) -> list[list[int]]:
    return [h.tokens.tolist() for h in hypotheses]


@given(seed=SEEDS, alpha=ALPHAS, sources=st.integers(1, 3), limit=st.integers(1, 8))
def test_a_beam_of_one_is_greedy(seed: int, alpha: float, sources: int, limit: int) -> None:
    toy = Toy(seed, sources=sources)
    wide = {"start": EOS, "eos": EOS, "max_tokens": limit}
    one = [b[0] for b in beam_search(toy.step, toy.state(), width=1, alpha=alpha, **wide)]
    other = greedy(toy.step, toy.state(), **wide)
    assert tokens_of(one) == tokens_of(other)
    assert [h.ended for h in one] == [h.ended for h in other]
    np.testing.assert_allclose([h.log_prob for h in one], [h.log_prob for h in other], atol=1e-12)


@settings(max_examples=40)
@given(seed=SEEDS, alpha=ALPHAS, sources=st.integers(1, 2))
def test_a_beam_of_all_is_exhaustive(seed: int, alpha: float, sources: int) -> None:
    limit = 4
    toy = Toy(seed, sources=sources, size=3)
    everything = toy.everything(limit)
    found = beam_search(
        toy.step, toy.state(), start=EOS, eos=EOS, width=3**limit, alpha=alpha, max_tokens=limit
    )
    for source, hypotheses in enumerate(found):
        scores = [normalised(toy.log_prob(source, t), len(t) + 1, alpha) for t in everything]
        assert tuple(hypotheses[0].tokens) == everything[int(np.argmax(scores))]
        assert np.isclose(hypotheses[0].score, max(scores), atol=1e-12)


@given(seed=SEEDS, width=st.integers(1, 6), alpha=ALPHAS)
def test_what_a_beam_says_of_its_sequences_is_so(seed: int, width: int, alpha: float) -> None:
    toy = Toy(seed, sources=2)
    found = beam_search(
        toy.step, toy.state(), start=EOS, eos=EOS, width=width, alpha=alpha, max_tokens=6
    )
    for source, hypotheses in enumerate(found):
        assert 1 <= len(hypotheses) <= width
        assert [h.score for h in hypotheses] == sorted([h.score for h in hypotheses], reverse=True)
        assert len({tuple(h.tokens) for h in hypotheses}) == len(hypotheses)
        for h in (h for h in hypotheses if h.ended):
            assert EOS not in h.tokens
            assert np.isclose(h.log_prob, toy.log_prob(source, h.tokens))
            assert np.isclose(h.score, normalised(h.log_prob, len(h.tokens) + 1, alpha))
    assert toy.widest <= 2 * width


@given(seed=SEEDS, width=st.integers(1, 5))
def test_sources_searched_together_are_searched_alone(seed: int, width: int) -> None:
    toy = Toy(seed, sources=3)
    setting: dict[str, Any] = {"start": [EOS], "eos": EOS, "width": width, "alpha": 0.7}
    together = beam_search(toy.step, toy.state(), max_tokens=7, **setting)
    for i in range(3):
        (alone,) = beam_search(toy.step, take(toy.state(), np.array([i])), max_tokens=7, **setting)
        assert tokens_of(alone) == tokens_of(together[i])


def test_length_normalisation_finds_the_longer() -> None:
    # The end has .5 at once; else comes 1 for sure three times, and then the end.
    table = np.log(np.array([[0.5, 0.5], [1e-9, 1.0], [1e-9, 1.0], [1.0, 1e-9]]))

    def step(tokens: Any, state: Any) -> Any:
        return table[state], np.minimum(state + 1, 3)

    wide: dict[str, Any] = {"start": 0, "eos": 0, "width": 4, "max_tokens": 6}
    plain = beam_search(step, np.zeros(1, int), alpha=0.0, **wide)[0][0]
    mean = beam_search(step, np.zeros(1, int), alpha=1.0, **wide)[0][0]
    assert plain.tokens.tolist() == []
    assert mean.tokens.tolist() == [1, 1, 1]


def test_what_never_ends_is_cut_off_and_says_so() -> None:
    def step(tokens: Any, state: Any) -> Any:
        return np.array([[-np.inf, 0.0]] * len(tokens)), state

    for found in (
        greedy(step, (), start=1, eos=0, max_tokens=5)[0],
        beam_search(step, (), start=1, eos=0, width=3, max_tokens=5)[0][0],
        sample(step, (), start=1, eos=0, rng=np.random.default_rng(0), max_tokens=5)[0],
    ):
        assert (found.tokens.tolist(), found.ended, found.log_prob) == ([1] * 5, False, 0.0)


@given(seed=SEEDS)
def test_scores_of_sequences_are_the_product_of_the_steps(seed: int) -> None:
    toy = Toy(seed, sources=3)
    rng = np.random.default_rng(seed)
    texts = [rng.integers(1, 4, rng.integers(0, 6)) for _ in range(3)]
    scores = score_sequences(toy.step, toy.state(), texts, start=EOS, eos=EOS)
    np.testing.assert_allclose(scores, [toy.log_prob(i, t) for i, t in enumerate(texts)])


@settings(max_examples=25)
@given(seed=SEEDS, width=st.integers(1, 3))
def test_search_errors_are_counted_by_the_definition(seed: int, width: int) -> None:
    toy = Toy(seed, sources=6, size=3)
    rng = np.random.default_rng(seed)
    texts = [tuple(rng.integers(1, 3, rng.integers(0, 4))) for _ in range(6)]
    wide: dict[str, Any] = {"start": EOS, "eos": EOS, "alpha": 1.0, "max_tokens": 5}
    counts = search_errors(toy.step, toy.state(), texts, width=width, **wide)
    right = beam = model = 0
    for i, text in enumerate(texts):
        best = beam_search(toy.step, take(toy.state(), np.array([i])), width=width, **wide)[0][0]
        if best.ended and tuple(best.tokens) == text:
            right += 1
        elif toy.log_prob(i, text) / (len(text) + 1) > best.score:
            beam += 1
        else:
            model += 1
    assert (counts.right, counts.beam, counts.model) == (right, beam, model)
    assert f"{right} of 6" in str(counts)
    # With a beam that holds everything, nothing is the beam's fault.
    assert (
        search_errors(toy.step, toy.state(), texts, width=3**4, **{**wide, "max_tokens": 4}).beam
        == 0
    )


@given(seed=SEEDS)
def test_same_seed_same_text_and_each_row_on_its_own(seed: int) -> None:
    toy = Toy(seed, sources=4)
    wide: dict[str, Any] = {"start": EOS, "eos": EOS, "max_tokens": 9, "temperature": 0.8}
    first = sample(toy.step, toy.state(), rng=np.random.default_rng(seed), **wide)
    again = sample(toy.step, toy.state(), rng=np.random.default_rng(seed), **wide)
    assert tokens_of(first) == tokens_of(again)
    for i, found in enumerate(first):
        assert EOS not in found.tokens
        if found.ended:
            assert np.isclose(found.log_prob, toy.log_prob(i, found.tokens))
        else:
            assert len(found.tokens) == 9


def test_samples_follow_the_distribution_and_temperature_bends_it() -> None:
    probs = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.tile(probs, (20_000, 1)))
    for temperature in (0.5, 1.0, 2.0):
        drawn = draw(log_probs, np.random.default_rng(0).random(20_000), temperature)
        expected = probs ** (1 / temperature) / (probs ** (1 / temperature)).sum()
        # four standard deviations of a count of 20,000
        bound = 4 * np.sqrt(expected * (1 - expected) / 20_000) + 1e-12
        assert np.all(np.abs(np.bincount(drawn, minlength=5) / 20_000 - expected) <= bound)


@given(st.lists(st.floats(-5, 0), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_nothing_impossible_is_drawn(scores: list[float], uniform: float) -> None:
    log_probs = np.array([[-np.inf, *scores, -np.inf]])
    assert 1 <= draw(log_probs, np.array([uniform]), 0.7)[0] <= len(scores)


def test_a_prompt_is_heard_and_not_repeated() -> None:
    toy = Toy(7)
    full = greedy(toy.step, toy.state(), start=EOS, eos=EOS, max_tokens=6)[0].tokens
    rest = greedy(toy.step, toy.state(), start=[EOS, *full[:2]], eos=EOS, max_tokens=4)[0].tokens
    assert len(full) > 2
    assert full.tolist() == [*full[:2], *rest]


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, -np.inf]), min_size=1), st.integers(1, 9))
def test_top_is_a_stable_sort(values: list[float], count: int) -> None:
    array = np.array(values)
    order = [i for i in np.argsort(-array, kind="stable") if array[i] > -np.inf]
    assert top(array, count).tolist() == order[:count]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"eos": 4}, "eos=4"),
        ({"start": []}, "start is empty"),
        ({"rows": 2}, "the state has 1 rows"),
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, Any], message: str) -> None:
    toy = Toy(0)
    good: dict[str, Any] = {"start": EOS, "eos": EOS, "width": 2, "alpha": 1.0}
    with pytest.raises(ConfigError, match=message):
        beam_search(toy.step, toy.state(), **{**good, **setting})


def test_bad_temperatures_states_and_tokens_are_named() -> None:
    toy = Toy(0)
    rng = np.random.default_rng(0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="temperature"):
            sample(toy.step, toy.state(), start=EOS, eos=EOS, rng=rng, temperature=wrong)
    with pytest.raises(ConfigError, match="token 9"):
        score_sequences(toy.step, toy.state(), [[9]], start=EOS, eos=EOS)
    with pytest.raises(ConfigError, match=r"\[1, 2\] rows"):
        greedy(toy.step, (np.zeros(1), np.zeros(2)), start=EOS, eos=EOS)
    with pytest.raises(ConfigError, match="no axis"):
        greedy(toy.step, (np.float32(0),), start=EOS, eos=EOS)


@pytest.mark.parametrize(
    "bad", [[[np.nan, 0.0]], [[-np.inf, -np.inf]], [0.0, 0.0], np.zeros((1, 0))]
)
def test_a_step_that_gives_nonsense_is_named(bad: Any) -> None:
    with pytest.raises(WakewordError, match="step gave"):
        greedy(lambda tokens, state: (np.array(bad), state), (), start=0, eos=0)
