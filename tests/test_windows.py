"""Windows: the word ends where the label says, and a plan is made the same in any order."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
import soundfile

from wakeword_train.data.augment import AugmentConfig
from wakeword_train.data.corpus import Corpus, build_corpus
from wakeword_train.data.manifest import Clip
from wakeword_train.data.windows import FRAMES, Group, build_windows, open_windows

RATE_HZ = 16_000


def _clip(name: str, kind: str, label: str) -> Clip:
    return Clip(name, 0.0, 2.0, kind, label, "me", "CC0-1.0", "made by the test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    word = np.zeros(2 * RATE_HZ)
    word[8_000:16_000] = 0.4 * np.sin(2 * np.pi * 200 * time) * np.sin(2 * np.pi * 1_500 * time)
    soundfile.write(folder / "word.wav", word + rng.normal(0, 1e-4, len(word)), RATE_HZ)
    soundfile.write(folder / "hum.wav", rng.normal(0, 0.05, 10 * RATE_HZ), RATE_HZ)
    clips = [_clip("word.wav", "wake", "yes"), _clip("hum.wav", "noise", "hum")]
    corpus = build_corpus(folder / "corpus", folder, clips)
    return folder / "corpus", corpus


GROUPS = [Group("real yes", 0, (0,), 6), Group("long noise", -1, (1,), 4)]
CUT = [Group("swap", -1, (0,), 3), Group("crop hum", -1, (1,), 3)]


def _build(out: Path, corpus: Path) -> list[tuple[int, int]]:
    return list(build_windows(out, corpus, GROUPS, seed=3, processes=1))


def test_the_corpus_knows_where_the_word_is(made: tuple[Path, Corpus]) -> None:
    item = made[1].items[0]
    assert abs(item.word_start - 8_000) <= 640
    assert abs(item.word_stop - 16_000) <= 640
    assert made[1].items[1].stop == len(made[1].samples)


def test_windows_are_made_once_and_the_same_again(
    made: tuple[Path, Corpus], tmp_path: Path
) -> None:
    assert _build(tmp_path / "a", made[0])[-1] == (10, 10)
    _build(tmp_path / "b", made[0])
    first, second = (open_windows(tmp_path / n, GROUPS, seed=3) for n in "ab")
    rows = np.arange(10)
    np.testing.assert_array_equal(first.take(rows), second.take(rows))
    assert sorted(first.label.tolist()) == [-1] * 4 + [0] * 6
    # A shard that is lost is made again, to the byte.
    lost = tmp_path / "a" / "features-0000.npy"
    before = lost.read_bytes()
    shutil.move(lost, tmp_path / "gone.npy")
    assert _build(tmp_path / "a", made[0]) == [(0, 10), (10, 10)]
    assert lost.read_bytes() == before


def test_the_label_lies_at_the_end_of_the_word(made: tuple[Path, Corpus], tmp_path: Path) -> None:
    dry = AugmentConfig(quiet=1.0, coloured=0.0, babble=0.0, music=0.0, reverb=0.0, telephone=0.0)
    list(build_windows(tmp_path, made[0], GROUPS, seed=3, processes=1, augment=dry))
    windows = open_windows(tmp_path, GROUPS, seed=3)
    words = np.flatnonzero(windows.label == 0)
    assert ((windows.end[words] > 0) & (windows.end[words] < FRAMES)).all()
    assert (windows.end[windows.label == -1] == -1).all()
    for row in words:
        # The tone of the word lies at 1.5 kHz; what follows is hiss.
        tone = windows.take(np.array([row]))[0].astype(float)[:, 14:22].sum(axis=1)
        end = int(windows.end[row])
        assert tone[max(end - 20, 0) : end - 2].min() > 4 * tone[end + 3]


def test_pieces_are_windows_without_a_word(made: tuple[Path, Corpus], tmp_path: Path) -> None:
    list(build_windows(tmp_path, made[0], CUT, seed=3, processes=1))
    windows = open_windows(tmp_path, CUT, seed=3)
    assert (windows.label == -1).all()
    assert (windows.end == -1).all()
    assert all(windows.take(np.array([row])).any() for row in range(6))
