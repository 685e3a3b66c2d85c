"""Sentences with tags, published vectors, and the cheap ways to tag that models are beside."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.data.glove import for_words, read_vectors
from wakeword_train.data.spoken import label_command
from wakeword_train.data.tagged import Sentence, read_polarity, read_slots, read_wikigold
from wakeword_train.sequence.sentence_peers import bag_of_words, crf_tags, frequent_tags


def archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def slots(words: str = "play it\nstop\n") -> dict[str, str]:
    columns = {"seq.in": words, "seq.out": "O B-x \nO\n", "label": "Play\nStop\n"}
    return {
        f"data/snips/{part}/{file}": text
        for part in ("train", "valid", "test")
        for file, text in columns.items()
    }


def test_slots_are_read_and_lines_that_do_not_pair_up_refused(tmp_path: Path) -> None:
    parts = read_slots(archive(tmp_path / "a", slots()), "snips")
    assert parts["test"] == [
        Sentence(("play", "it"), ("O", "B-x"), "Play"),
        Sentence(("stop",), ("O",), "Stop"),
    ]
    with pytest.raises(ConfigError, match=r"\[1, 2, 2\] lines"):
        read_slots(archive(tmp_path / "b", slots("play it\n")), "snips")
    with pytest.raises(ConfigError, match="a tag for each"):
        read_slots(archive(tmp_path / "c", slots("play\nstop\n")), "snips")
    with pytest.raises(ConfigError, match=r"atis/train/seq\.in"):
        read_slots(tmp_path / "a", "atis")
    (tmp_path / "d").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"seq\.in"):
        read_slots(tmp_path / "d", "snips")


def test_documents_of_wikigold_begin_their_spans(tmp_path: Path) -> None:
    name = "data/wikigold/CONLL-format/data/wikigold.conll.txt"
    text = "Ann I-PER\nLee I-PER\nsat O\n\n-DOCSTART- O\n\nUK I-LOC\nBob I-PER\n"
    documents = read_wikigold(archive(tmp_path / "a", {name: text}))
    assert [[s.tags for s in document] for document in documents] == [
        [("B-PER", "I-PER", "O")], [("B-LOC", "B-PER")],
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="has no tag"):
        read_wikigold(archive(tmp_path / "b", {name: "Ann\n"}))


def test_reviews_are_read_once_each(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("sentence_polarity/rt-polarity.neg", "isn't good . \nbad\nbad\n\n")
        file.writestr("sentence_polarity/rt-polarity.pos", "good\n")
    assert read_polarity(path) == [
        Sentence(("is", "n't", "good", "."), (), "negative"),
        Sentence(("bad",), (), "negative"),
        Sentence(("good",), (), "positive"),
    ]
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="sentence polarity"):
        read_polarity(path)


def test_vectors_are_cropped_to_the_words_asked_for(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(0, 2, (3, 4)).astype(np.float16)
    np.savez(tmp_path / "v.npz", words=np.array(["a", "b", "c"]), vectors=vectors)
    known = read_vectors(tmp_path / "v.npz")
    found = for_words(["x", "c", "a"], known, np.random.default_rng(1))
    np.testing.assert_allclose(
        found[1:] / found[2, 0], known[1][[2, 0]] / known[1][0, 0], rtol=1e-5
    )
    assert abs(np.std(known[1] * (found[2, 0] / known[1][0, 0])) - 0.3) < 1e-5
    assert not np.isin(found[0], known[1]).any()
    np.savez(tmp_path / "w.npz", words=np.array(["a"]), vectors=vectors)
    with pytest.raises(ConfigError, match="a finite row for each"):
        read_vectors(tmp_path / "w.npz")
    np.savez(tmp_path / "u.npz", other=vectors)
    with pytest.raises(ConfigError, match="need arrays"):
        read_vectors(tmp_path / "u.npz")


@pytest.mark.parametrize(
    ("said", "label", "tags"),
    [
        ("HELP", "help", "O"),
        ("ENTER TWO OH", "enter", "O B-number I-number"),
        ("C A T SIX", "spell", "B-letters I-letters I-letters B-number"),
        ("TWO HUNDRED AND ONE", "number", "B-number I-number I-number I-number"),
        ("NINTH OF MAY", "date", "B-date I-date I-date"),
        ("AREA CODE FOUR", "number", "O O B-number"),
        ("WELL", "other", "O"),
    ],
)
def test_commands_are_labelled_by_their_words(said: str, label: str, tags: str) -> None:
    found = label_command(said.split())
    assert found == Sentence(tuple(said.lower().split()), tuple(tags.split()), label)


def test_the_cheap_ways_learn_what_is_plain() -> None:
    train = [
        Sentence(("see", "Ann", "now"), ("O", "B-p", "O"), "see"),
        Sentence(("go", "to", "Ann"), ("O", "O", "B-p"), "go"),
        Sentence(("go", "to", "Bob", "now"), ("O", "O", "B-p", "O"), "go"),
    ] * 4
    test = [
        Sentence(("see", "Ann", "now", "Bob"), ("O", "B-p", "O", "B-p"), "see"),
        Sentence(("go", "up"), ("O", "O"), "go"),
    ]
    right = [list(s.tags) for s in test]
    assert frequent_tags(train, test) == right
    pytest.importorskip("sklearn")
    assert bag_of_words(train, test) == bag_of_words(train, test, pairs=True) == ["see", "go"]
    pytest.importorskip("pycrfsuite")
    assert crf_tags(train, test) == right
