"""What a threshold is chosen on where few people say a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeword_train.recipes.config import Recipe
from wakeword_train.recipes.parts import FEWEST, with_words
from wakeword_train.testset import Recording, TestSet


def _said(count: int, *, synthetic: bool) -> list[Recording]:
    return [
        Recording(path=Path(f"{n}.wav"), name=str(n), label="yes", source="", synthetic=synthetic)
        for n in range(count)
    ]


@pytest.mark.parametrize(("people", "machines"), [(0, 7), (FEWEST - 1, 7), (FEWEST, 0)])
def test_synthetic_clips_help_out_where_fewer_than_ten_say_a_word(
    people: int, machines: int
) -> None:
    found = TestSet(clips=tuple(_said(people, synthetic=False)), streams=())
    both = with_words(found, Recipe(words=("yes",)), (), _said(7, synthetic=True), tests=True)
    kinds = [clip.synthetic for clip in both.clips]
    assert (kinds.count(False), kinds.count(True)) == (people, machines)
