"""Data for the language models: parts, pieces, Brown's words, the course's poet."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import BundleError, ConfigError
from wakeword_train.data.brown import cut, read_brown
from wakeword_train.models.course_poet import course_vocabulary, read_poet
from wakeword_train.sequence.adding import BASELINE, adding
from wakeword_train.sequence.text import padded, rows_of_stream, shuffled_parts, windows

DATA = Path(os.environ.get("WAKEWORD_SHARED", "absent")) / "data" / "text"


def test_parts_are_disjoint_and_hold_everything() -> None:
    parts = shuffled_parts(range(101), (0.1, 0.2), np.random.default_rng(0))
    assert [len(p) for p in parts] == [10, 20, 71]
    assert sorted(item for part in parts for item in part) == list(range(101))
    assert parts != shuffled_parts(range(101), (0.1, 0.2), np.random.default_rng(1))
    with pytest.raises(ConfigError, match="less than 1"):
        shuffled_parts(range(3), (0.5, 0.5), np.random.default_rng(0))


def test_padding_hides_what_is_not_there() -> None:
    tokens, mask = padded([np.array([5]), np.array([6, 7])], start=1, eos=None)
    assert tokens.tolist() == [[1, 5, 1], [1, 6, 7]]
    assert mask.tolist() == [[1, 0], [1, 1]]
    with pytest.raises(ConfigError, match="at least one"):
        padded([], 0, 1)


def test_rows_of_a_stream_predict_every_token_once() -> None:
    stream = np.arange(101, dtype=np.int32)
    tokens, mask = rows_of_stream(stream, 4)
    assert mask.shape == (4, 25)
    assert sorted(tokens[:, 1:].ravel().tolist()) == list(range(1, 101))
    with pytest.raises(ConfigError, match="need more than 101"):
        rows_of_stream(stream, 101)


def test_windows_are_pieces_of_the_text() -> None:
    stream = np.arange(50, dtype=np.int32)
    found = windows(stream, 200, 5, np.random.default_rng(0))
    assert (np.diff(found, axis=1) == 1).all()
    assert (found.min(), found.max()) == (0, 49)  # both ends are drawn
    with pytest.raises(ConfigError, match="need at least 51"):
        windows(stream, 1, 51, np.random.default_rng(0))


def test_the_adding_problem_is_as_hard_as_it_is_said_to_be() -> None:
    x, y = adding(np.random.default_rng(0), 20_000, 20)
    assert (x[:, :, 1].sum(axis=1) == 2).all()
    assert (x[:, :10, 1].sum(axis=1) == 1).all()
    assert np.mean((y - 1) ** 2) == pytest.approx(BASELINE, rel=0.03)


def test_brown_is_cut_at_sentences(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "brown.zip", "w") as archive:
        archive.writestr("brown/ca02", "\n\tC/nn d/nn\n")
        archive.writestr("brown/ca01", "A/at half\\/whole/jj b/nn\n\nb/nn ././.\n")
        archive.writestr("brown/README", "words\n")
    found = read_brown(tmp_path / "brown.zip")
    assert found == [["A", "half\\/whole", "b"], ["b", "./."], ["C", "d"]]
    assert cut(found, (1, 2)) == [found[:1], found[1:2], found[2:]]
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("x", "")
    with pytest.raises(ConfigError, match="holds no files"):
        read_brown(tmp_path / "empty.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="no zip file"):
        read_brown(tmp_path / "bad.zip")


@pytest.mark.skipif(not DATA.is_dir(), reason="reads the texts of $WAKEWORD_SHARED")
def test_brown_has_the_words_that_are_published() -> None:
    sentences = read_brown(DATA / "lm" / "brown.zip")
    assert sum(map(len, sentences)) == 1_161_192  # as NLTK counts
    assert len(sentences) == 57_340


@pytest.mark.skipif(not DATA.is_dir(), reason="reads the texts of $WAKEWORD_SHARED")
def test_the_poet_is_read_and_gives_probabilities() -> None:
    pytest.importorskip("h5py")
    poet = read_poet(DATA / "course" / "model_shakespeare_kiank_350_epoch.h5")
    text = (DATA / "course" / "shakespeare.txt").read_text("utf-8")
    vocabulary = course_vocabulary(text)
    assert len(vocabulary) == len(poet.bias) == 38
    assert (poet.window, poet.gate, [c.units for c in poet.cells]) == (
        40,
        "hard_sigmoid",
        [128] * 2,
    )
    sonnets = vocabulary.encode(text.lower())
    right = 0
    for i in range(2_000, 62_000, 1_000):
        probs = poet.next_probs(sonnets[i - 40 : i])
        assert probs.sum() == pytest.approx(1, abs=1e-5)
        right += int(probs.argmax() == sonnets[i])
    assert right > 20  # of 60 characters it learned; by lot it would be 2


def test_another_file_is_no_poet(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "a.h5").write_bytes(b"no")
    with pytest.raises(BundleError, match="not the course's"):
        read_poet(tmp_path / "a.h5")
    config: Any = {"config": {"layers": [{"class_name": "Dense", "config": {"name": "x"}}]}}
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(BundleError, match="not the course's"):
        read_poet(tmp_path / "b.h5")
