"""From a phrase to a recipe: how it is said, and what sounds close to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wakeword_train.data.near import near_phrases
from wakeword_train.phonemes import pronunciations
from wakeword_train.recipes.config import Recipe

__all__ = ["plan", "quick", "recipe_of"]

NEAR_PHRASES = 150  # different ones, spoken by ``near_count`` clips


def recipe_of(phrases: Sequence[str]) -> Recipe:
    """Make a recipe of phrases, each a word of one model."""
    return Recipe(words=tuple(" ".join(phrase.casefold().split()) for phrase in phrases))


def quick(recipe: Recipe) -> Recipe:
    """Make less of everything, for a first model; the clips count towards the whole one."""
    return replace(
        recipe,
        members=1,
        synth=replace(recipe.synth, count=300, near_count=60, held_out=60),
        windows=replace(recipe.windows, synthetic=8_000, near=500, real=1_000),
        fit=replace(recipe.fit, batches=800, check_every=80, mine_every=200),
    )


def plan(recipe: Recipe) -> Recipe:
    """Fill in what a recipe leaves out: pronunciations of each word, and phrases close to it.

    Raises:
        ConfigError: a word cannot be pronounced, or is too short to be told apart.
    """
    spellings, near = dict(recipe.synth.spellings), dict(recipe.synth.near)
    for word in recipe.words:
        if word not in spellings:
            spellings[word] = tuple(pronunciations(word, recipe.language))
        if word not in near:
            found = near_phrases(spellings[word], NEAR_PHRASES, recipe.seed)
            near[word] = tuple(one.phonemes for one in found)
    return replace(recipe, synth=replace(recipe.synth, spellings=spellings, near=near))
