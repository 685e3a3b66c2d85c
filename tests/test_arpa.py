from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wakeword.errors import BundleError, ConfigError
from wakeword.language import NgramModel, arpa, kneser_ney, read_arpa, write_arpa
from wakeword.vocabulary import EOS, UNK, Vocabulary

# Seven digits of a logarithm to base 10, and single precision.
CLOSE = 1e-5

SMALL = """
\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-99\t<s>\t-0.30103
-0.5\t</s>
-0.7\t<unk>\t0
-0.6\ta\t-0.1
-0.4\tb b
\\2-grams:
-0.2\t<s> a
-0.3\ta </s>
-0.4 a a
-0.25\ta <UNK>\t0

\\end\\
""".replace("b b", "b\t-0.2")


def word_model(seed: int, order: int) -> NgramModel:
    rng = np.random.default_rng(seed)
    vocabulary = Vocabulary(("a", EOS, UNK, "b", "é"), "word", UNK, None, EOS)
    texts = [rng.choice([0, 2, 3, 4], rng.integers(0, 7)) for _ in range(20)]
    return kneser_ney(texts, vocabulary, order)


@settings(max_examples=15)
@example(seed=6370, order=2)  # has a context that leaves nothing for words not seen after it
@given(seed=st.integers(0, 10_000), order=st.integers(1, 5))
def test_out_and_in_again_is_the_same_model(
    seed: int, order: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    model = word_model(seed, order)
    write_arpa(model, path)
    again = read_arpa(path)
    assert again.vocabulary == model.vocabulary
    for ours, theirs in zip(model.tables, again.tables, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        np.testing.assert_allclose(ours.log_prob, theirs.log_prob, atol=CLOSE)
        np.testing.assert_allclose(ours.backoff, theirs.backoff, atol=CLOSE)
    second = path.with_name("again.arpa")
    write_arpa(again, second)
    write_arpa(read_arpa(second), path)
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".arpa"] == []


def test_what_a_small_file_says(tmp_path: Path) -> None:
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    model = read_arpa(path)
    assert model.vocabulary.symbols == (EOS, UNK, "a", "b")
    log10 = model.logprob(model.vocabulary.encode("a a b x")) / np.log(10)
    # <s> a; a a; a, b by its weight; b, <unk> by its weight; <unk>, </s> by its weight
    assert np.isclose(log10, -0.2 - 0.4 + (-0.1 - 0.4) + (-0.2 - 0.7) + (0 - 0.5), atol=CLOSE)
    first, _ = model.step(np.array([model.start]), model.initial_state())
    assert np.isclose(first[0, 3] / np.log(10), -0.30103 - 0.4, atol=CLOSE)


def test_characters_that_would_break_a_line(tmp_path: Path) -> None:
    texts = ["a b", "a\tb\x1c", "\u2028 U+", "b\n"]
    vocabulary = Vocabulary.of_chars(texts, eos=EOS, unk=UNK)
    model = kneser_ney([vocabulary.encode(t) for t in texts], vocabulary, 3)
    path = tmp_path / "chars.arpa"
    write_arpa(model, path)
    again = read_arpa(path, unit="char")
    assert again.vocabulary == vocabulary
    assert np.isclose(again.perplexity([vocabulary.encode("a b\n")]),
                      model.perplexity([vocabulary.encode("a b\n")]), atol=1e-3)  # fmt: skip
    assert "U+0020" in path.read_text()


def test_a_vocabulary_of_ones_own_keeps_its_numbers(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("<s>", "b", "\n", "a"), "char", None, "<s>", "\n")
    model = kneser_ney([[1, 3], [3, 3]], vocabulary, 2)
    path = tmp_path / "names.arpa"
    write_arpa(model, path)
    again = read_arpa(path, vocabulary=vocabulary)
    assert np.isclose(again.logprob([1, 3]), model.logprob([1, 3]), atol=CLOSE)
    other = Vocabulary(("\n", "b", "c"), "char", None, None, "\n")
    with pytest.raises(BundleError, match="symbols are in the file or in the vocabulary alone"):
        read_arpa(path, vocabulary=other)


def test_kenlm_reads_what_we_write_and_scores_alike(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    model = word_model(1, 4)
    path = tmp_path / "model.arpa"
    write_arpa(model, path)
    theirs = kenlm.Model(str(path))
    for text in ("a b", "é é a b a", "", "b a zzz a", "a a a a a a b"):
        numbers = model.vocabulary.encode(text) if text else []
        score = theirs.score(text, bos=True, eos=True) * np.log(10)
        assert np.isclose(model.logprob(numbers), score, atol=1e-4)  # theirs is single precision


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "", "ends before .data."),
        ("ngram 1=5", "ngram 2=5", "need ngram 1"),
        ("ngram 1=5", "ngram 1=4", "need .2-grams: here"),
        ("ngram 1=5", "ngram 1=6", "fewer 1-grams than the 6"),
        ("ngram 2=4", "ngram 2=9", "fewer 2-grams than the 9"),
        ("ngram 2=4", "ngram 2=3", "no .end."),
        ("ngram 2=4", "ngram 2=9999", "the head is wrong"),
        ("ngram 2=4", "ngram 2=99999999999", "prune the model"),
        ("\\end\\", "", "ends before .end.: cut off"),
        ("-0.6\ta", "x\ta", "need a number"),
        ("-0.6\ta", "nan\ta", "need log10"),
        ("-0.6\ta", "0.6\ta", "need log10"),
        ("-0.6\ta\t-0.1", "-0.6\ta\tinf", "need log10"),
        ("-0.6\ta\t-0.1", "-0.6\ta b\t-0.1", "4 fields"),
        ("-0.6\ta\t", "-0.6\tb\t", "for the second time"),
        ("-0.5\t</s>", "-0.5\tc", "does not know how to end"),
        ("-0.4 a a", "-0.4 a c", "'c' is not among the 1-grams"),
        ("-0.4 a a", "-0.4 </s> a", "in the middle"),
        ("-0.4 a a", "-0.4 a <s>", "in the middle"),
        ("-0.4 a a", "-0.3 a </s>", "there twice"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "bad.arpa"
    assert SMALL.count(old) == 1
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(BundleError, match=message) as caught:
        read_arpa(path)
    assert "bad.arpa, line " in str(caught.value)


def test_huge_strange_and_missing_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bad.arpa"
    path.write_bytes(SMALL.encode() + b"\xff")
    path.write_bytes(SMALL.encode().replace(b"\ta\t", b"\t\xff\t"))
    with pytest.raises(BundleError, match="not UTF-8"):
        read_arpa(path)
    path.write_bytes(b"x" * 10_000_000)  # one line
    with pytest.raises(BundleError, match="a line of over"):
        read_arpa(path)
    monkeypatch.setattr(arpa, "MAX_BYTES", 1000)
    with pytest.raises(BundleError, match="need at most 1,000"):
        read_arpa(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_arpa(tmp_path / "none.arpa")
    path.write_text(SMALL.replace("\ta", "\tword"))
    with pytest.raises(BundleError, match="is it a model of chars"):
        read_arpa(path, unit="char")


def test_a_longer_ngram_needs_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "bad.arpa"
    text = SMALL.replace("ngram 2=4\n", "ngram 2=4\nngram 3=1\n")
    path.write_text(text.replace("\n\\end", "\n\\3-grams:\n-0.1 b a a\n\\end"))
    with pytest.raises(BundleError, match="line 20: the first 2 tokens of this 3-gram"):
        read_arpa(path)
    path.write_text(text.replace("\n\\end", "\n\\3-grams:\n-0.1 a a b\n\\end"))
    model = read_arpa(path)
    assert np.isclose(
        model.logprob([2, 2, 3]) / np.log(10), -0.2 - 0.4 - 0.1 - 0.2 - 0.5, atol=CLOSE
    )


def test_a_symbol_that_means_something_else_is_refused(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("\n", "<s>"), "word", None, None, "\n")
    with pytest.raises(ConfigError, match="rename it"):
        write_arpa(kneser_ney([[1]], vocabulary, 1), tmp_path / "x.arpa")
    assert list(tmp_path.iterdir()) == []
