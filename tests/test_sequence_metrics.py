from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import ConfigError, TextError
from wakeword_train.sequence_metrics import (
    Edits,
    SpanScore,
    bleu,
    character_errors,
    perplexity,
    qlike,
    span_f1,
    word_errors,
)

WORDS = st.lists(st.sampled_from("abc"), max_size=7)
SOME = st.lists(st.sampled_from("abc"), min_size=1, max_size=7)
TAGS = st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), min_size=1, max_size=7).flatmap(
    lambda tags: st.tuples(st.just(tags), st.permutations(tags))
)


def distance(ours: list[str], theirs: list[str]) -> int:
    """Levenshtein's, by its recursion in rows."""
    row = list(range(len(ours) + 1))
    for i, unit in enumerate(theirs, 1):
        above, row = row, [i]
        for j, other in enumerate(ours, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (unit != other)))
    return row[-1]


def spans(tags: list[str]) -> set[tuple[str, int, int]]:
    """The spans of tags, as conlleval reads them: an I without a span before it begins one."""
    found = set()
    start = None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and (tag == "O" or tag[0] == "B" or tag[2:] != tags[start][2:]):
            found.add((tags[start][2:], start, i))
            start = None
        if tag != "O" and start is None:
            start = i
    return found


@given(st.lists(st.tuples(WORDS, SOME), min_size=1, max_size=5))
def test_error_rates_are_edit_distances_over_lengths(pairs: list[tuple[Any, Any]]) -> None:
    hypotheses, references = ([" ".join(side) for side in s] for s in zip(*pairs, strict=True))
    found = word_errors(hypotheses, references)
    assert found.units == sum(len(right) for _, right in pairs)
    assert math.isclose(found.rate, sum(distance(*p) for p in pairs) / found.units)
    letters = character_errors(hypotheses, references)
    wrong = sum(distance(list(h), list(r)) for h, r in zip(hypotheses, references, strict=True))
    assert math.isclose(letters.rate, wrong / sum(map(len, references)))


def test_edits_say_what_went_wrong() -> None:
    assert word_errors(["we go to the house"], ["we go the house"]) == Edits(4, 0, 0, 1)
    assert word_errors(["a x"], ["a b c"]) == Edits(1, 1, 1, 0)


def test_bleu_is_sacrebleus_and_right_where_it_can_be_counted() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    ours = ["the cat sat on the mat today", "there is a dog here now"]
    right = [
        ["the cat sat on a mat today", "a cat sat on the mat today"],
        ["a dog is here now", "x y"],
    ]
    theirs = sacrebleu.corpus_bleu(ours, [[r[i] for r in right] for i in range(2)]).score
    assert bleu(ours, right) == theirs
    assert bleu(["a b c d e"], [["a b c d e"]]) == pytest.approx(100)
    # Precisions 4/5, 3/4, 2/3, 1/2 of one sentence; no longer reference, so no penalty.
    assert bleu(["a b c d x"], [["a b c d e"]]) == pytest.approx(100 * 0.2**0.25)


@settings(max_examples=40)
@given(st.lists(TAGS, min_size=1, max_size=4))
def test_span_scores_are_those_of_the_sets_of_spans(pairs: list[tuple[Any, Any]]) -> None:
    right, predicted = ([list(side) for side in s] for s in zip(*pairs, strict=True))
    ours = {(i, *s) for i, tags in enumerate(predicted) for s in spans(tags)}
    theirs = {(i, *s) for i, tags in enumerate(right) for s in spans(tags)}
    hits = len(ours & theirs)
    precision = hits / len(ours) if ours else 0.0
    recall = hits / len(theirs) if theirs else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    found = span_f1(predicted, right)
    assert (found.precision, found.recall, found.f1) == pytest.approx((precision, recall, f1))


def test_oracle_reads_spans() -> None:
    assert spans(["I-x", "I-x", "B-x", "O", "I-y", "I-x"]) == {
        ("x", 0, 2), ("x", 2, 3), ("y", 4, 5), ("x", 5, 6),
    }  # fmt: skip
    assert span_f1([["O", "O"]], [["B-x", "I-x"]]) == SpanScore(0.0, 0.0, 0.0)
    assert distance(["a", "b"], ["b", "c", "a"]) == 3


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9), st.floats(0.01, 100))
def test_qlike_is_least_where_the_forecast_is_right(values: list[float], factor: float) -> None:
    realised = np.array(values)
    assert qlike(realised, realised) == 0
    expected = 1 / factor + math.log(factor) - 1
    assert qlike(realised, realised * factor) == pytest.approx(expected, abs=1e-9)
    assert qlike(realised, realised * factor) >= -1e-12
    constant = [qlike(realised, np.full(len(values), realised.mean() * f)) for f in (0.9, 1, 1.1)]
    assert min(constant) == constant[1]  # of all constants the mean is best


def test_perplexity_of_a_die_is_its_sides() -> None:
    assert perplexity(np.full((3, 4), math.log(1 / 6))) == pytest.approx(6)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: word_errors(["a"], ["a", "b"]), ConfigError, "1 hypotheses for 2"),
        (lambda: word_errors([], []), TextError, "no hypotheses"),
        (lambda: word_errors("ab", "ab"), ConfigError, "need a list"),
        (lambda: word_errors(["a", "b"], ["a", " "]), TextError, "reference 1 has no words"),
        (lambda: character_errors(["a"], [""]), TextError, "reference 0"),
        (lambda: bleu(["a"], [[]]), ConfigError, "at least 1"),
        (lambda: bleu(["a", "b"], [["a"], ["b", "c"]]), ConfigError, "as many for each"),
        (lambda: bleu([], []), TextError, "no hypotheses"),
        (lambda: span_f1([["O"]], [["O", "O"]]), ConfigError, "sentence 0: 1 tags for 2"),
        (lambda: span_f1([["X"]], [["O"]]), ConfigError, "tag 'X'"),
        (lambda: perplexity([]), TextError, "at least one"),
        (lambda: perplexity([float("nan")]), TextError, "NaN"),
        (lambda: perplexity([0.5]), TextError, "above 0"),
        (lambda: qlike([1.0], [1.0, 2.0]), ConfigError, "need as many"),
        (lambda: qlike([1.0], [0.0]), ConfigError, "forecast variance 0.0"),
        (lambda: qlike([float("nan")], [1.0]), ConfigError, "realised variance nan"),
    ],
)
def test_wrong_input_is_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(
        ConfigError, match=r"jiwer is not there: pip install 'wakeword\[sequence\]'"
    ):
        word_errors(["a"], ["a"])
