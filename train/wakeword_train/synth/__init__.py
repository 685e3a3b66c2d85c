"""Synthetic speech for training: phonemes in, clips of many speakers out."""

from wakeword_train.synth.find import ENGINES, find_engines
from wakeword_train.synth.recipe import Engine, MissingEngineError, Recipe
from wakeword_train.synth.speak import engines_of, plan, read_manifest, spoken_of, synthesize

__all__ = [
    "ENGINES",
    "Engine",
    "MissingEngineError",
    "Recipe",
    "engines_of",
    "find_engines",
    "plan",
    "read_manifest",
    "spoken_of",
    "synthesize",
]
