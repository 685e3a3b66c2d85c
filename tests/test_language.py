from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import ConfigError, TextError
from wakeword.language import (
    LanguageModel,
    Mixture,
    NgramModel,
    SteppedModel,
    kneser_ney,
    mixture_weights,
)
from wakeword.language.kneser_ney import discounts
from wakeword.vocabulary import EOS, UNK, Vocabulary

END = 0
VOCABULARY = Vocabulary((EOS, UNK, "a", "b", "c"), "word", UNK, None, EOS)
TEXTS = st.lists(st.lists(st.integers(1, 4), max_size=6), min_size=1, max_size=12)
SEEDS = st.integers(0, 10_000)
FLOAT32 = 1e-5  # logarithms are kept in single precision


def some_texts(seed: int, count: int = 30, size: int = 5) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, size, rng.integers(0, 8)).tolist() for _ in range(count)]


class Published:
    """Interpolated Kneser-Ney by the published equations, in dictionaries, one n-gram at a time."""

    def __init__(self, texts: list[list[int]], order: int, size: int, modified: bool) -> None:
        self.order, self.size = order, size
        raw: list[Counter[tuple[Any, ...]]] = [Counter() for _ in range(order + 1)]
        for text in texts:
            marked = ["<s>", *text, END]
            for k in range(1, order + 1):
                for i in range(len(marked) - k + 1):
                    gram = tuple(marked[i : i + k])
                    if gram != ("<s>",):
                        raw[k][gram] += 1
        self.counts: list[dict[tuple[Any, ...], int]] = [{} for _ in range(order + 1)]
        self.counts[order] = raw[order]
        for k in range(1, order):
            before = Counter(gram[1:] for gram in raw[k + 1])
            self.counts[k] = {
                gram: raw[k][gram] if gram[0] == "<s>" else before[gram] for gram in raw[k]
            }
        self.discounts = [
            discounts(np.array(list(self.counts[k].values())), modified=modified)
            for k in range(order + 1)
        ]

    def prob(self, context: tuple[Any, ...], token: int) -> float:
        """p(token | context) by recursion; the context has at most order - 1 tokens."""
        k = len(context) + 1
        shorter = self.prob(context[1:], token) if context else 1 / self.size
        after = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == context}
        total = sum(after.values())
        if not total:
            return shorter
        take = {w: self.discounts[k][min(c, 3) - 1] for w, c in after.items()}
        kept = max(after.get(token, 0) - take.get(token, 0), 0) / total
        return kept + sum(min(take[w], after[w]) for w in after) / total * shorter

    def log_prob(self, text: list[int]) -> float:
        marked = ["<s>", *text, END]
        return sum(
            math.log(self.prob(tuple(marked[max(0, i - self.order + 1) : i]), marked[i]))
            for i in range(1, len(marked))
        )


@settings(max_examples=30)
@given(texts=TEXTS, order=st.integers(1, 4), modified=st.booleans(), other=TEXTS)
def test_kneser_ney_equals_the_published_equations(
    texts: list[list[int]], order: int, modified: bool, other: list[list[int]]
) -> None:
    model = kneser_ney(texts, VOCABULARY, order, modified=modified)
    oracle = Published(texts, order, len(VOCABULARY), modified)
    for text in other[:4]:
        assert np.isclose(model.logprob(text), oracle.log_prob(text), atol=FLOAT32 * 10)


def test_oracle_knows_a_bigram_by_hand() -> None:
    # "a b", "a": of 1-grams a follows <s>, b follows a, and two things precede </s>.
    oracle = Published([[2, 3], [2]], 2, 5, modified=False)
    assert oracle.counts[1] == {(2,): 1, (3,): 1, (0,): 2}
    assert oracle.counts[2] == {("<s>", 2): 2, (2, 3): 1, (3, 0): 1, (2, 0): 1}
    # n1 = 3, n2 = 1: D = 3 / 5; of 1-grams n1 = 2, n2 = 1: D = 1 / 2
    lower = 0.5 / 4 + 1.5 / 4 / 5
    assert np.isclose(oracle.prob((2,), 3), 0.4 / 2 + 1.2 / 2 * lower)


def test_kneser_ney_equals_nltk_where_they_mean_the_same() -> None:
    nltk_lm = pytest.importorskip("nltk.lm")
    # nltk pads with as many marks as fit and has one discount; a bigram has the same counts.
    words = [["a", "b", "a"], ["b", "a", "b", "b"], ["a", "a"], ["b", "c"]]
    marked = [["<s>", *s, "</s>"] for s in words]
    grams = [[*((w,) for w in s), *itertools.pairwise(s)] for s in marked]
    theirs = nltk_lm.KneserNeyInterpolated(2, discount=0.4)
    theirs.fit(grams, [w for s in words for w in s] + ["</s>"])
    texts = [[VOCABULARY.encode([w])[0] for w in s] for s in words]
    ours = kneser_ney(texts, VOCABULARY, 2, discount=0.4)
    log_probs, _ = ours.step(np.array([2]), ours.step(np.array([END]), ours.initial_state())[1])
    unigram = kneser_ney(texts, VOCABULARY, 2, discount=0.0).tables[0].log_prob
    for word, number in (("a", 2), ("b", 3), ("c", 4), ("</s>", 0)):
        kept = max(theirs.counts[["a"]][word] - 0.4, 0) / theirs.counts[["a"]].N()
        seen = theirs.score(word, ["a"]) - kept
        # what is left differs in the mixing with 1 / V alone, which nltk has not
        share = 0.4 * len(theirs.counts[["a"]]) / theirs.counts[["a"]].N()
        assert np.isclose(seen / share, np.exp(unigram[number]), atol=1e-6)
        mixed = np.exp(ours.tables[0].log_prob[number])
        assert np.isclose(np.exp(log_probs[0, number]), kept + share * mixed, atol=1e-6)


@settings(max_examples=30)
@given(texts=TEXTS, order=st.integers(1, 5), modified=st.booleans(), seed=SEEDS)
def test_every_step_sums_to_one_and_a_sentence_is_the_product_of_its_steps(
    texts: list[list[int]], order: int, modified: bool, seed: int
) -> None:
    model = kneser_ney(texts, VOCABULARY, order, modified=modified)
    others = some_texts(seed, 5)
    stepped = LanguageModel.token_log_probs(model, others)  # one step after the other
    np.testing.assert_allclose(model.token_log_probs(others), stepped, atol=FLOAT32)
    state = model.initial_state(3)
    for tokens in np.random.default_rng(seed).integers(0, 5, (6, 3)):
        log_probs, state = model.step(tokens, state)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=FLOAT32)
    assert np.isclose(model.logprob(others[0]), stepped[: len(others[0]) + 1].sum(), atol=FLOAT32)


def test_a_mark_within_a_stream_begins_anew() -> None:
    model = kneser_ney(some_texts(0), VOCABULARY, 4)
    fresh, _ = model.step(np.array([END]), model.initial_state())
    state = model.initial_state()
    for token in (END, 2, 3, END):
        log_probs, state = model.step(np.array([token]), state)
    np.testing.assert_array_equal(log_probs, fresh)


def test_a_vocabulary_with_a_beginning_never_predicts_it() -> None:
    vocabulary = Vocabulary(("<s>", EOS, "a", "b"), "word", None, "<s>", EOS)
    model = kneser_ney([[2, 3], [3]], vocabulary, 3)
    assert model.start == 1
    ends, _ = model.step(np.array([1]), model.initial_state())
    begins, _ = model.step(np.array([0]), model.initial_state())
    np.testing.assert_array_equal(ends, begins)
    assert ends[0, 0] == -np.inf
    assert np.isclose(np.exp(ends).sum(), 1)


def test_discounts_by_the_equations_and_where_there_are_none() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [10, 6, 4, 2, 5])
    y = 10 / 22
    wanted = [1 - 2 * y * 6 / 10, 2 - 3 * y * 4 / 6, 3 - 4 * y * 2 / 4]
    np.testing.assert_allclose(discounts(counts), wanted)
    np.testing.assert_allclose(discounts(counts, modified=False), y)
    assert discounts(np.array([5, 6])).tolist() == [0.5, 1.0, 1.5]
    assert discounts(np.array([5, 6]), modified=False).tolist() == [0.5] * 3
    assert discounts(np.array([1, 2])).tolist() == [0.5, 1.0, 1.5]


def test_more_of_the_same_text_is_likelier_and_samples_look_like_it() -> None:
    texts = [[2, 3, 4], [2, 3, 2], [4, 3, 2]] * 20
    model = kneser_ney(texts, VOCABULARY, 3)
    assert model.perplexity(texts) < kneser_ney(texts, VOCABULARY, 1).perplexity(texts) / 2
    assert np.isclose(model.bits_per_token(texts), math.log2(model.perplexity(texts)))
    drawn = model.sample(np.random.default_rng(1), count=200, max_tokens=20)
    assert sum(s.tolist() in texts for s in drawn) > 150
    again = model.sample(np.random.default_rng(1), count=200, max_tokens=20)
    assert [s.tolist() for s in drawn] == [s.tolist() for s in again]
    prompted = model.sample(np.random.default_rng(2), count=20, prompt=[2, 3])
    assert all(s.tolist()[:2] == [2, 3] for s in prompted)


def neural(seed: int, size: int = 5, eos: int | None = END) -> SteppedModel:
    """A step with a state, as a neural model has one."""
    rng = np.random.default_rng(seed)
    into, on, out = (rng.normal(size=s) for s in ((size, 7), (7, 7), (7, size)))

    def step(tokens: Any, state: Any) -> Any:
        (hidden,) = state
        hidden = np.tanh(into[tokens] + hidden @ on)
        scores = hidden @ out
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), (hidden,)

    return SteppedModel(size, END, eos, step, lambda batch: (np.zeros((batch, 7)),))


def test_batches_of_unequal_length_equal_one_by_one() -> None:
    model = neural(0)
    texts = some_texts(3, 150)
    together = model.token_log_probs(texts)
    alone = np.concatenate([model.token_log_probs([t]) for t in texts])
    np.testing.assert_allclose(together, alone, atol=1e-9)
    unmarked = neural(0, eos=None)
    assert len(unmarked.token_log_probs(texts)) == sum(map(len, texts))


def test_a_mixture_is_the_weighted_mean_of_its_models() -> None:
    texts = some_texts(1)
    models: tuple[LanguageModel, ...] = (kneser_ney(texts, VOCABULARY, 3), neural(2))
    mixture = Mixture(models, (0.3, 0.7))
    parts = [np.exp(m.token_log_probs(texts)) for m in models]
    mean = np.log(0.3 * parts[0] + 0.7 * parts[1])
    np.testing.assert_allclose(mixture.token_log_probs(texts), mean, atol=1e-9)
    np.testing.assert_allclose(LanguageModel.token_log_probs(mixture, texts), mean, atol=FLOAT32)
    log_probs, _ = mixture.step(np.array([0]), mixture.initial_state())
    assert np.isclose(np.exp(log_probs).sum(), 1, atol=FLOAT32)


def test_fitted_weights_are_the_best_of_a_grid() -> None:
    texts, held_out = some_texts(1), some_texts(2)
    models = [kneser_ney(texts, VOCABULARY, 2), neural(2), neural(3)]
    fitted = Mixture.fitted(models, held_out)
    best = fitted.perplexity(held_out)
    grid = [(a, b, 1 - a - b) for a in np.linspace(0, 1, 11) for b in np.linspace(0, 1 - a, 11)]
    others = [Mixture(tuple(models), tuple(np.clip(w, 0, 1))).perplexity(held_out) for w in grid]
    assert best <= min(others) + 1e-6
    assert best <= min(m.perplexity(held_out) for m in models) + 1e-6


@given(st.integers(1, 4), SEEDS)
def test_weights_sum_to_one_and_no_round_is_worse(models: int, seed: int) -> None:
    log_probs = np.log(np.random.default_rng(seed).uniform(0.01, 1, (models, 50)))
    weights = mixture_weights(log_probs)
    assert np.isclose(weights.sum(), 1)
    assert weights.min() >= 0
    mixed = np.log(weights @ np.exp(log_probs)).mean()
    assert mixed >= log_probs.mean(axis=1).max() - 1e-6
    assert mixed >= np.log(np.exp(log_probs).mean(axis=0)).mean() - 1e-12


def test_wrong_input_is_named() -> None:
    model = kneser_ney([[2]], VOCABULARY, 2)
    small = Vocabulary((EOS,), eos=EOS)
    cases: list[tuple[type[Exception], str, Any]] = [
        (ConfigError, "order=0", lambda: kneser_ney([[2]], VOCABULARY, 0)),
        (ConfigError, "order=11", lambda: kneser_ney([[2]], VOCABULARY, 11)),
        (ConfigError, "discount=2", lambda: kneser_ney([[2]], VOCABULARY, 2, discount=2.0)),
        (ConfigError, "eos=", lambda: kneser_ney([[0]], Vocabulary(("a",)), 2)),
        (TextError, "no sequences", lambda: kneser_ney([], VOCABULARY, 2)),
        (TextError, "tokens 0 to 9", lambda: kneser_ney([[9]], VOCABULARY, 2)),
        (TextError, "within one", lambda: kneser_ney([[2, 0, 2]], VOCABULARY, 2)),
        (TextError, "token 7", lambda: model.logprob([7])),
        (TextError, "no tokens", lambda: model.perplexity([])),
        (ConfigError, "tokens 9", lambda: model.step(np.array([9]), model.initial_state())),
        (ConfigError, "need one each", lambda: Mixture((model,), (0.5, 0.5))),
        (ConfigError, "a sum of 1", lambda: Mixture((model, model), (0.5, 0.6))),
        (ConfigError, "different tokens", lambda: Mixture((model, neural(0, 6)), (0.5, 0.5))),
        (ConfigError, "no probability", lambda: mixture_weights(np.full((2, 3), -np.inf))),
        (ConfigError, "need \\(models", lambda: mixture_weights(np.zeros(3))),
        (ConfigError, "eos=5", lambda: neural(0, 5, 5)),
        (ConfigError, "symbols differ", lambda: NgramModel(small, model.tables)),
    ]  # fmt: skip
    for kind, message, call in cases:
        with pytest.raises(kind, match=message):
            call()
