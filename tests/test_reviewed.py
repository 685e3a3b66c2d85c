"""What the daemon kept and a person judged, as recordings to train with."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_recordings import said
from wakeword.audio import RATE_HZ, read_audio
from wakeword.daemon.keeper import CLIP
from wakeword.errors import ConfigError
from wakeword.sinks.clips import write_clip
from wakeword_train import train_command
from wakeword_train.data.corpus import word_span
from wakeword_train.data.reviewed import cut_word, gather
from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.sources import Sources, own_clips

WORDS = ("hey computer", "jarvis")


def room(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    hiss = np.random.default_rng(seed).normal(0, 20, round(seconds * RATE_HZ))
    return hiss.astype(np.int16)


def voice(seconds: float, seed: int) -> NDArray[np.int16]:
    hiss = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE_HZ))
    return hiss.astype(np.int16)


def kept(folder: Path, key: str, label: str, word: str = WORDS[0], **more: Any) -> None:
    """What the daemon keeps: three seconds, the word towards its end."""
    sound = np.concatenate([room(1.4), voice(0.7, sum(map(ord, key))), room(0.9)])
    note = {
        "word": word, "prob": 0.9, "threshold": 0.7, "kind": "heard", "label": label,
        "at": "2026-11-21T00:00:00+00:00", "word_end": round(2.3 * RATE_HZ), **more,
    }  # fmt: skip
    assert len(sound) == CLIP
    write_clip(folder, key, sound, note, 10_000_000)


def test_the_word_alone_is_cut_out_of_the_clip() -> None:
    sound = np.concatenate([room(0.3), voice(0.3, 1), room(0.8), voice(0.7, 2), room(0.9)])
    cut = cut_word(sound, round(2.3 * RATE_HZ), "hey computer")
    assert cut is not None
    first, last = word_span(cut)
    assert (last - first) / RATE_HZ == pytest.approx(0.7, abs=0.1)
    assert len(cut) / RATE_HZ < 1.5


def test_what_is_said_on_without_a_pause_ends_where_the_word_fired() -> None:
    sound = np.concatenate([room(0.5), voice(2.5, 3)])
    fired = round(1.6 * RATE_HZ)
    cut = cut_word(sound, fired, "jarvis")
    assert cut is not None
    np.testing.assert_array_equal(cut, sound[fired - len(cut) : fired])
    assert 0.9 < len(cut) / RATE_HZ < 2.2


def test_what_begins_after_the_word_fired_is_another() -> None:
    sound = np.concatenate([room(0.4), voice(0.6, 4), room(0.9), voice(0.8, 5), room(0.3)])
    cut = cut_word(sound, round(1.2 * RATE_HZ), "jarvis")
    assert cut is not None
    first, last = word_span(cut)
    assert (last - first) / RATE_HZ == pytest.approx(0.6, abs=0.1)


def test_where_nothing_is_heard_there_is_no_word() -> None:
    assert cut_word(room(3), 2 * RATE_HZ, "jarvis") is None
    click = np.concatenate([room(1.5), voice(0.08, 6), room(1.4)])
    assert cut_word(click, 2 * RATE_HZ, "jarvis") is None


def test_labels_become_positives_and_negatives_of_their_word(tmp_path: Path) -> None:
    review, work = tmp_path / "review", tmp_path / "work"
    for key, label, word in (
        ("a", "yes", WORDS[0]), ("b", "no", WORDS[0]), ("c", "", WORDS[0]),
        ("d", "yes", WORDS[1]), ("e", "yes", "alexa"), ("f", "yes", WORDS[0]),
    ):  # fmt: skip
        kept(review, key, label, word)
    folders = gather(review, WORDS, work)
    lying = {
        (kind, label): sorted(p.stem for p in folder.iterdir()) for folder, kind, label in folders
    }
    assert lying == {
        ("wake", WORDS[0]): ["a", "f"], ("speech", "own"): ["b"], ("wake", WORDS[1]): ["d"],
    }  # fmt: skip
    assert all(folder.is_relative_to(work) for folder, _, _ in folders)
    (speech,) = [folder for folder, kind, _ in folders if kind == "speech"]
    np.testing.assert_array_equal(read_audio(speech / "b.wav"), read_audio(review / "b.wav"))
    assert gather(review, WORDS, work) == folders  # again: the same
    kept(review, "f", "no")
    assert {f.parent.parent for f, _, _ in gather(review, WORDS, work)} != {
        f.parent.parent for f, _, _ in folders
    }


def test_a_word_that_goes_on_in_no_clip_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept(tmp_path, "a", "yes")
    kept(tmp_path, "b", "yes", word_end=1000)  # fired before anything was said
    (one,) = gather(tmp_path, WORDS, tmp_path / "work")
    assert [p.stem for p in one[0].iterdir()] == ["a"]
    assert "1 clips left out: the word cannot be found" in caplog.text
    with pytest.raises(ConfigError, match="no such folder"):
        gather(tmp_path / "none", WORDS, tmp_path / "work")
    with pytest.raises(ConfigError, match=r'no clip of "jarvis" is labelled; judge some: wakeword'):
        gather(tmp_path, ["jarvis"], tmp_path / "work")


def test_they_train_beside_a_user_s_own_and_test_nothing(tmp_path: Path) -> None:
    """Nobody said who spoke: a voice of theirs must not test what it trained."""
    import soundfile

    for n in range(12):
        kept(tmp_path / "review", f"y{n}", "yes" if n % 2 else "no")
    for person in ("ann", "bob", "cy"):
        (tmp_path / "mine" / person).mkdir(parents=True)
        for n in range(3):
            path = tmp_path / "mine" / person / f"{n}.wav"
            soundfile.write(path, said(seed=sum(map(ord, person)) + n), RATE_HZ)
    sources = Sources(
        positives=tmp_path / "mine", reviewed=gather(tmp_path / "review", WORDS, tmp_path / "work")
    )
    parts = own_clips(Recipe(words=WORDS[:1]), sources)
    reviewed = {part: [c for c in clips if "/review-" in c.file] for part, clips in parts.items()}
    assert {part: len(clips) for part, clips in reviewed.items()} == {
        "train": 12, "dev": 0, "test": 0,
    }  # fmt: skip
    assert sorted({(c.kind, c.label, c.speaker) for c in reviewed["train"]}) == [
        ("speech", "own", ""), ("wake", WORDS[0], ""),
    ]  # fmt: skip
    assert len(parts["test"]) == 3  # one of three people, as without them


def test_the_command_hands_them_to_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Sources] = []

    def run(recipe: Recipe, work: Path, sources: Sources, *_: Any, **__: Any) -> None:
        handed.append(sources)

    make = SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "wakeword_train.recipes.make", make)  # needs TensorFlow
    kept(tmp_path / "review", "a", "yes")
    arguments = [
        WORDS[0], "--from-review", str(tmp_path / "review"), "--pack", str(tmp_path),
        "--work", str(tmp_path / "work"),
    ]  # fmt: skip
    assert train_command.main(arguments, lambda *_: None) == 0
    ((folder, kind, label),) = handed[0].reviewed
    assert (kind, label) == ("wake", WORDS[0])
    assert (folder / "a.wav").is_file()
