"""The neural language model: its step, its loss, and that it learns eight names by heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword.vocabulary import EOS, Vocabulary

tf = pytest.importorskip("tensorflow", reason="models need the extra `train`")
pytestmark = pytest.mark.slow

from wakeword_train.models.language import (  # noqa: E402 - after the skip
    LanguageConfig,
    LanguageNet,
    as_model,
    log_probs_of_stream,
)
from wakeword_train.sequence.fit import FitConfig, fit  # noqa: E402
from wakeword_train.sequence.text import padded  # noqa: E402

NAMES = ("anna", "bo", "carl", "dora", "emil", "fay", "gus", "hedwig")
CHARS = Vocabulary.of_chars(NAMES, eos=EOS)
END = 0
SIZES = {
    "gru": LanguageConfig(cell="gru", embedding=12, units=(20,)),
    "lstm, tied": LanguageConfig(cell="lstm", embedding=16, units=(20, 16), tied=True),
}
EVERY = pytest.mark.parametrize("name", SIZES)


def encoded() -> list[Any]:
    return [CHARS.encode(name) for name in NAMES]


def drawn(name: str, dropout: float = 0.0) -> LanguageNet:
    sizes = SIZES[name]
    net = LanguageNet(
        LanguageConfig(
            cell=sizes.cell, embedding=sizes.embedding, units=sizes.units, tied=sizes.tied,
            dropout=dropout,
        ),
        len(CHARS),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for weight in net.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape).astype(np.float32))
    return net


V = len(CHARS)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("gru", 12 * V + 3 * 20 * (12 + 20 + 2) + 20 * V + V),
        ("lstm, tied", 16 * V + 4 * 20 * (16 + 20 + 1) + 4 * 16 * (20 + 16 + 1) + V),
    ],
)
def test_it_has_the_weights_of_its_sizes(name: str, weights: int) -> None:
    assert sum(int(np.prod(w.shape)) for w in drawn(name).trainable_weights) == weights


@EVERY
def test_a_sentence_is_the_product_of_its_steps(name: str) -> None:
    net = drawn(name)
    tokens, mask = padded(encoded(), END, END)
    model = as_model(net, CHARS, END)
    nats = -model.token_log_probs(encoded()).mean()
    # float32 sums of log-probabilities in two ways
    assert net.nats(tokens, mask, batch=3) == pytest.approx(nats, abs=1e-5)
    assert float(net.cross_entropy(tokens, mask)) == pytest.approx(nats, abs=1e-5)
    stream = np.append([END], np.append(encoded()[7], END)).astype(np.int32)
    for chunk in (1, 3, 64):
        told = log_probs_of_stream(net, stream, rows=1, chunk=chunk)
        np.testing.assert_allclose(told, model.token_log_probs(encoded()[7:]), atol=1e-5)


@EVERY
def test_a_long_text_is_read_on_from_piece_to_piece(name: str) -> None:
    net = drawn(name)
    stream = np.random.default_rng(2).integers(0, len(CHARS), 50).astype(np.int32)
    found = log_probs_of_stream(net, stream, rows=3, chunk=4)
    assert found.shape == (49,)
    for row in range(3):  # 17, 17 and 15 of them
        piece = stream[row * 17 : row * 17 + 18]
        alone = log_probs_of_stream(net, piece, rows=1)
        np.testing.assert_allclose(found[row * 17 : row * 17 + 17], alone, atol=1e-5)


def test_dropout_acts_in_training_alone() -> None:
    net = drawn("gru", dropout=0.5)
    tokens, mask = padded(encoded(), END, END)
    losses = {float(net.cross_entropy(tokens, mask)) for _ in range(3)}
    assert len(losses) == 3
    assert len({net.nats(tokens, mask) for _ in range(3)}) == 1


def test_it_learns_eight_names_by_heart(tmp_path: Path) -> None:
    net = drawn("lstm, tied")
    tokens, mask = padded(encoded(), END, END)
    fit(
        net, lambda rng, number: (tokens, mask), net.cross_entropy,
        FitConfig(batches=150, rate=2e-2, check_every=50), seed=1, folder=tmp_path,
        check=lambda: net.nats(tokens, mask),
    )  # fmt: skip
    # Which of the eight it is, log(8) nats, cannot be known; all else can.
    assert net.nats(tokens, mask) < 8 * np.log(8) / float(mask.sum()) + 0.1
    found = as_model(net, CHARS, END).sample(np.random.default_rng(0), count=40)
    names = [CHARS.decode(sample) for sample in found]
    assert sum(name in NAMES for name in names) >= 36
    assert len(set(names)) >= 4


@pytest.mark.parametrize(
    "wrong",
    [{"cell": "transformer"}, {"embedding": 0}, {"units": ()}, {"tied": True, "units": (5,)}],
)
def test_wrong_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"need|choose"):
        LanguageConfig(**wrong)
