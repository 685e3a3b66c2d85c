"""Which engines are on this machine, and whether their voices are what they say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wakeword.errors import ConfigError
from wakeword_train.download import home
from wakeword_train.synth.espeak import Espeak
from wakeword_train.synth.flite import Flite
from wakeword_train.synth.kokoro import Kokoro
from wakeword_train.synth.piper import Piper, speaks
from wakeword_train.synth.recipe import Engine, MissingEngineError

__all__ = ["ENGINES", "distinct", "find_engines", "home_of"]

log = logging.getLogger(__name__)

ENGINES = ("kokoro", "piper", "espeak", "flite")


def find_engines(
    names: Sequence[str] | None = None,
    *,
    voices: Path | None = None,
    piper: Sequence[Path] = (),
    language: str = "en-us",
) -> list[Engine]:
    """Open engines, each with those of its voices that differ from each other.

    Args:
        names: which to open; None opens all that are here.
        voices: folder with Kokoro's two files, voices of Piper, or both; None looks where
            ``wakeword synth --download`` puts them.
        piper: other voice files of Piper.
        language: of the phonemes to speak, a code of espeak-ng.

    Raises:
        ConfigError: an unknown name, one that was asked for is missing, nothing is here at all,
            files are damaged, or an engine speaks with one voice whichever it is asked for.
    """
    unknown = [n for n in names or () if n not in ENGINES]
    if unknown:
        raise ConfigError(f"engine {unknown[0]!r}: choose from {', '.join(ENGINES)}")
    found: list[Engine] = []
    missing: list[str] = []
    for name in dict.fromkeys(names or ENGINES):
        try:
            found.append(distinct(_open(name, voices, piper, language)))
        except MissingEngineError as exc:
            if names or (name == "piper" and piper):
                raise
            missing.append(str(exc))
    if not found:
        raise ConfigError("nothing here can speak. " + "; ".join(missing))
    if not names and not {"kokoro", "piper"} & {e.name for e in found}:
        log.warning(
            "only robots are here (%s): a model of them alone hears people badly. %s",
            ", ".join(e.name for e in found),
            missing[0],
        )
    return found


def _open(name: str, voices: Path | None, piper: Sequence[Path], language: str) -> Engine:
    """Open one engine."""
    if name == "espeak":
        return Espeak.open(language)
    if name == "flite":
        return Flite.open(language)
    folder = voices or home_of(name)
    if name == "kokoro":
        return Kokoro.open(folder)
    beside = [f for f in sorted(folder.glob("*.onnx")) if f.with_name(f.name + ".json").is_file()]
    fitting = [f for f in beside if speaks(f, language)]
    if len(fitting) < len(beside):
        log.info("%s: %d voices of other languages", folder, len(beside) - len(fitting))
    return Piper.open([*fitting, *piper], language)


def home_of(engine: str) -> Path:
    """Name the folder that voices are fetched into."""
    return home() / engine


def distinct(engine: Engine) -> Engine:
    """Leave out voices that sound as another one of the engine, and complain.

    Raises:
        ConfigError: all sound the same: the engine ignores what voice it is asked for.
    """
    if len(engine.voices) < 2:
        return engine
    probed: Any = engine
    compared: Engine = _distinct(probed)
    return compared


@lru_cache(maxsize=16)  # a probe of every voice takes a second or two
def _distinct(engine: Any) -> Any:
    """Compare the voices by their sound."""
    first: dict[bytes, str] = {}
    twins: dict[str, str] = {}
    for voice, sound in engine.fingerprints().items():
        if sound in first:
            twins[voice] = first[sound]
        else:
            first[sound] = voice
    if twins and len(first) == 1:
        raise ConfigError(
            f"{engine.name} says the same with each of its {len(engine.voices)} voices, as "
            f"{', '.join(list(engine.voices)[:3])}: it ignores them; leave it out with --engine"
        )
    if twins:
        log.warning(
            "%s: %s sound the same: left out", engine.name,
            ", ".join(f"{voice} and {other}" for voice, other in twins.items()),
        )  # fmt: skip
        return replace(engine, voices=tuple(v for v in engine.voices if v not in twins))
    return engine
