"""Sentences: words, tags, and a model that reads them, in TensorFlow and as a bundle."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeword.errors import BundleError, ConfigError, TextError
from wakeword.sentences import SentenceModel
from wakeword.sequence_bundle import SequenceBundle
from wakeword.spans import Span, TagSearch, begin_spans, spans_of
from wakeword.vocabulary import Vocabulary
from wakeword.words import MAX_SENTENCE, Coder, shape, split_sentence
from wakeword_train.data.tagged import Sentence
from wakeword_train.sequence.sentences import (
    Symbols,
    accuracy,
    draw_sentences,
    f1,
    least_sure,
    read_all,
)

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
SAID = [
    Sentence(("Play", "Don", "Quixote"), ("O", "B-a", "I-a"), "play"),
    Sentence(("play", "a", "waltz", "by", "Strauss"), ("O", "O", "B-b", "O", "B-a"), "play"),
    Sentence(("stop",), ("O",), "stop"),
    Sentence(("stop", "it", "now"), ("O", "O", "O"), "stop"),
] * 5


@given(st.lists(st.sampled_from(TAGS), min_size=1, max_size=8))
def test_spans_are_those_of_seqeval(tags: list[str]) -> None:
    entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    ours = [(s.kind, s.first, s.last - 1) for s in spans_of(tags)]
    assert ours == entities(tags)
    assert spans_of(begin_spans(tags)) == spans_of(tags)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_search_finds_the_best_tags_that_make_sense(seed: int, length: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(length, len(TAGS)))

    def sense(tags: tuple[str, ...]) -> bool:
        return all(
            b[0] != "I" or a in (f"B-{b[2:]}", b)
            for a, b in itertools.pairwise(("O", *tags))
        )  # fmt: skip

    best = max(
        filter(sense, itertools.product(TAGS, repeat=length)),
        key=lambda tags: sum(scores[t, TAGS.index(tag)] for t, tag in enumerate(tags)),
    )
    assert tuple(TagSearch(TAGS)(scores)) == best


def test_tags_that_make_no_sense_are_refused() -> None:
    for tags, message in ((("O", "X-a"), "need O, B-kind"), (("O", "I-a"), "need B-a too")):
        with pytest.raises(ConfigError, match=message):
            TagSearch(tags)
    with pytest.raises(BundleError, match=r"need \(T, 5\)"):
        TagSearch(TAGS)(np.zeros((2, 4)))


def test_a_sentence_is_cut_into_words() -> None:
    assert split_sentence("Fly to St. Louis (at 9:30)!") == [
        *("Fly", "to", "St", ".", "Louis", "(", "at", "9", ":", "30", ")", "!"),
    ]  # fmt: skip
    assert split_sentence("I can't, we'll see", contractions=True) == [
        *("I", "ca", "n't", ",", "we", "'ll", "see"),
    ]  # fmt: skip
    for text, message in (
        ("", "without words"), (" \n\t", "without words"), ("x" * (MAX_SENTENCE + 1), "at most"),
        ("go on " * 2_000_000, "12,000,000 characters"),
    ):  # fmt: skip
        with pytest.raises(TextError, match=message):
            split_sentence(text)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_cut_and_numbered_or_refused(text: str) -> None:
    coder = Coder({
        "words": Vocabulary(("<unk>", "go"), "word", "<unk>"),
        "shapes": Vocabulary(("<unk>", "x"), "word", "<unk>"),
    })  # fmt: skip
    try:
        words = split_sentence(text, contractions=True)
    except TextError:
        assert not any(c.isalnum() for c in text)
        return
    assert coder.encode(words).shape == (len(words), 2)
    assert all(shape(word) and len(shape(word)) <= 8 for word in words)


def test_what_a_coder_cannot_number_is_refused() -> None:
    words = Vocabulary(("<unk>", "go"), "word", "<unk>")
    coder = Coder({"words": words})
    for wrong in ([], ["go", ""], ["go"] * 1001):
        with pytest.raises(TextError, match="need 1 to 1000, not empty"):
            coder.encode(wrong)
    assert coder.unknown(["Go", "home"]) == ["home"]
    with pytest.raises(BundleError, match="need words"):
        Coder({"letters": words})
    with pytest.raises(BundleError, match="mark for what is unknown"):
        Coder({"words": Vocabulary(("go",), "word")})


def test_batches_depend_on_their_generator_alone_and_forget_rare_words() -> None:
    symbols = Symbols.of(SAID, affixes=True, more=["other"])
    assert symbols.coder.vocabularies["words"].symbols[-1] == "other"
    assert symbols.coder.kinds == ("words", "prefixes", "suffixes", "shapes")
    draw = draw_sentences(SAID, symbols, batch=4, forget=0.5)
    one, again = draw(np.random.default_rng(2), 0), draw(np.random.default_rng(2), 9)
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    codes, mask, tags, labels = one
    assert codes.shape == (4, 8, 4)
    assert mask.shape == tags.shape == (4, 8)
    assert labels.shape == (4,)
    forgotten = [
        float((x[..., 0] == 0)[m > 0].mean())
        for x, m, _, _ in (draw(np.random.default_rng(i), 0) for i in range(200))
    ]
    # Each word is there 5 or 10 times, so it goes with a chance of 0.5 / 5.5 or 0.5 / 10.5.
    assert 0.04 < np.mean(forgotten) < 0.1
    with pytest.raises(ConfigError, match="batch=21"):
        draw_sentences(SAID, symbols, batch=21)


@pytest.fixture(scope="module")
def net() -> tuple[Any, Symbols]:
    pytest.importorskip("tensorflow")
    import keras

    from wakeword_train.models.sentence import SentenceConfig, SentenceNet

    keras.utils.set_random_seed(0)
    symbols = Symbols.of(SAID, affixes=True)
    assert symbols.tags is not None
    assert symbols.labels is not None
    sizes = SentenceConfig(
        embedding=6, affix=3, units=5, tags=len(symbols.tags), labels=len(symbols.labels)
    )
    return SentenceNet(sizes, symbols.sizes), symbols


@pytest.fixture(scope="module")
def bundles(
    net: tuple[Any, Symbols], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SequenceBundle]:
    from wakeword_train.sequence.sentence_export import write_sentences

    schemes: Any = ("float32", "int8")
    folder = tmp_path_factory.mktemp("sentences")
    return {
        scheme: write_sentences(
            folder / scheme, *net, SAID, settings={"sure": 0.5}, training={}, scheme=scheme
        )
        for scheme in schemes
    }


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["litert", "numpy"])
def test_a_bundle_reads_what_the_model_reads(
    net: tuple[Any, Symbols], bundles: dict[str, SequenceBundle], runtime: str
) -> None:
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")
    import tensorflow as tf

    symbols = net[1]
    model = SentenceModel(bundles["float32"], runtime)
    assert not model.streamable
    errors = []
    for sentence in [*SAID[:4], Sentence(("Never", "heard", "of", "that", "42") * 6)]:
        codes = symbols.coder.encode(sentence.words)[None]
        tags, labels = net[0](tf.constant(codes), tf.ones(codes.shape[:2]))
        ours = model.logits(sentence.words)
        # float32 sums in another order, over 30 words each way
        np.testing.assert_allclose(ours[0], np.asarray(tags)[0], atol=1e-5)
        np.testing.assert_allclose(ours[1], np.asarray(labels)[0], atol=1e-5)
        near = SentenceModel(bundles["int8"], runtime).logits(sentence.words)
        errors.append(float(np.abs(near[0] - np.asarray(tags)[0]).mean() / np.std(tags)))
    # 7 bits of each weight and value, in ranges seen on four short sentences
    assert np.mean(errors) < 0.2


@pytest.mark.slow
def test_what_stands_behind_the_end_changes_nothing(net: tuple[Any, Symbols]) -> None:
    together = read_all(*net, SAID[:4])
    for i, sentence in enumerate(SAID[:4]):
        alone = read_all(*net, [sentence])
        assert alone.tags[0] == together.tags[i]
        np.testing.assert_allclose(alone.probs[0], together.probs[i], atol=1e-6)
    assert 0 <= f1(together.tags, SAID[:4]) <= 100
    assert accuracy([s.label for s in SAID], SAID) == 100
    assert 0 <= least_sure(together, SAID[:4]) <= 1


@pytest.mark.slow
def test_a_model_says_what_it_does_not_know(bundles: dict[str, SequenceBundle]) -> None:
    model = SentenceModel(bundles["float32"])
    reading = model.read("play Xylophone music")
    assert reading.unknown == ("Xylophone", "music")
    assert reading.label in ("play", "stop")
    assert reading.sure == (reading.prob >= 0.5)
    assert len(reading.tags) == 3
    assert reading.places == spans_of(reading.tags)
    assert all(isinstance(place, Span) for place in reading.places)
    for text in ("", "\n", "play " * 3_000_000):
        with pytest.raises(TextError):
            model.read(text)
    with pytest.raises(TextError, match="not empty"):
        model.read([])


@pytest.mark.slow
def test_a_bundle_whose_parts_do_not_fit_is_refused(bundles: dict[str, SequenceBundle]) -> None:
    good = bundles["float32"]
    labels = Vocabulary(("play", "stop", "eat"), "word")
    graphs = {name: graph for name, graph in good.graphs.items() if name != "behind"}
    for wrong, message in (
        (replace(good, task="speech"), "need one for 'sentence'"),
        (replace(good, vocabularies={**good.vocabularies, "labels": labels}), "3 labels"),
        (replace(good, graphs=graphs), "the graphs take and give"),
        (replace(good, settings={"pool": "sum"}), "pool is 'sum'"),
        (replace(good, settings={"pool": "max", "sure": 2}), "sure 2"),
        (replace(good, vocabularies={"labels": labels}), "need words"),
    ):  # fmt: skip
        with pytest.raises(BundleError, match=message):
            SentenceModel(wrong)


@pytest.mark.slow
def test_a_config_out_of_range_is_named() -> None:
    pytest.importorskip("tensorflow")
    from wakeword_train.models.sentence import SentenceConfig, SentenceNet, to_graphs

    for wrong in (
        {"cell": "x"}, {"embedding": 0}, {"tags": 0}, {"tags": 2, "units": 0}, {"dropout": 1.0},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            SentenceConfig(**{"tags": 2, **wrong})  # type: ignore[arg-type]
    average = SentenceNet(SentenceConfig(units=0, labels=2), [5])
    with pytest.raises(ConfigError, match="no step to export"):
        to_graphs(average, ["words"], "float32", [np.zeros((3, 1), np.int32)])


def test_a_sentence_needs_a_tag_a_word(tmp_path: Path) -> None:
    for words, tags in (((), ()), (("a", "b"), ("O",))):
        with pytest.raises(ConfigError, match="a tag for each or none"):
            Sentence(words, tags)
