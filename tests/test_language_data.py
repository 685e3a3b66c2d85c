"""Kneser-Ney on real text: the figures that other models are measured beside."""

from __future__ import annotations

import os
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.language import Mixture, NgramModel, kneser_ney, read_arpa, write_arpa
from wakeword.vocabulary import EOS, Vocabulary

DATA = Path(os.environ.get("WAKEWORD_SHARED", "absent")) / "data" / "text"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="reads the texts of $WAKEWORD_SHARED")
Sentences = list[NDArray[np.int32]]


@cache
def brown() -> tuple[Vocabulary, list[Sentences]]:
    """The Brown corpus in lower case, 10,000 words; Bengio's parts: 800,000, 200,000, the rest."""
    sentences = []
    with zipfile.ZipFile(DATA / "lm" / "brown.zip") as archive:
        for name in sorted(archive.namelist()):
            if len(Path(name).name) == 4:  # ca01 to cr09
                for line in archive.read(name).decode("latin-1").splitlines():
                    if words := [token.rsplit("/", 1)[0].lower() for token in line.split()]:
                        sentences.append(words)
    starts = np.cumsum([0, *map(len, sentences)])[:-1]
    part = np.searchsorted([800_000, 1_000_000], starts, side="right")
    vocabulary = Vocabulary.of_words([s for s, p in zip(sentences, part, strict=True) if p == 0],
                                     limit=10_000)  # fmt: skip
    encoded: list[Sentences] = [[], [], []]
    for sentence, p in zip(sentences, part, strict=True):
        encoded[p].append(vocabulary.encode(sentence))
    return vocabulary, encoded


@cache
def trigrams() -> NgramModel:
    vocabulary, (train, _, _) = brown()
    return kneser_ney(train, vocabulary, 3)


def test_trigrams_of_brown_are_as_good_as_others_measured() -> None:
    vocabulary, (train, valid, test) = brown()
    assert sum(map(len, (*train, *valid, *test))) == 1_161_192
    # 133.1 was measured elsewhere; on 2026-11-21 ours gave 128.6, plain Kneser-Ney 131.7.
    assert trigrams().perplexity(test) < 129
    plain = kneser_ney(train, vocabulary, 3, modified=False)
    assert trigrams().perplexity(test) < plain.perplexity(test) < 132
    assert plain.perplexity(test) < kneser_ney(train, vocabulary, 2).perplexity(test)


def test_a_sentence_of_brown_is_the_product_of_its_steps() -> None:
    model = trigrams()
    for sentence in brown()[1][2][:20]:
        state = model.initial_state()
        token, total = model.start, 0.0
        for following in (*sentence, model.eos):
            log_probs, state = model.step(np.array([token]), state)
            total += float(log_probs[0, following])
            token = int(following)
        assert abs(total - model.logprob(sentence)) <= 1e-5 * len(sentence)


def test_a_part_of_brown_goes_through_an_arpa_file(tmp_path: Path) -> None:
    vocabulary, (train, valid, _) = brown()
    model = kneser_ney(train[:4000], vocabulary, 3)
    write_arpa(model, tmp_path / "brown.arpa")
    again = read_arpa(tmp_path / "brown.arpa", vocabulary=vocabulary)
    assert abs(again.perplexity(valid[:500]) / model.perplexity(valid[:500]) - 1) < 1e-5


def test_six_grams_of_dinosaurs_and_a_mixture_with_a_shorter_memory() -> None:
    names = sorted(set((DATA / "course" / "dinos.txt").read_text("utf-8").lower().split()))
    vocabulary = Vocabulary.of_chars(names, eos=EOS)
    encoded = [vocabulary.encode(name) for name in names]
    order = np.random.default_rng(0).permutation(len(encoded))
    bits, mixed = [], []
    for fold in range(10):
        test = [encoded[i] for i in order[fold::10]]
        rest = [encoded[i] for n, i in enumerate(order) if n % 10 != fold]
        model = kneser_ney(rest[100:], vocabulary, 6)
        both = Mixture.fitted([model, kneser_ney(rest[100:], vocabulary, 3)], rest[:100])
        bits.append(kneser_ney(rest, vocabulary, 6).bits_per_token(test))
        mixed.append(both.bits_per_token(rest[:100]) - model.bits_per_token(rest[:100]))
    # 2.227 was measured elsewhere on one split; on 2026-11-21 ours gave 2.218 over ten.
    assert np.mean(bits) < 2.227
    # Where the weights were fitted the mixture is no worse, but for where the rounds stopped.
    assert max(mixed) <= 1e-5
