"""The rules a bundle's JSON must obey. Each refusal says the value, the rule and the remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wakeword.decide import DecisionConfig
from wakeword.errors import BundleError, ConfigError

__all__ = ["FRONTEND", "MAX_BYTES", "SCHEMA", "check_micro", "check_own", "parse_json"]

SCHEMA = 1
MAX_BYTES = 16_000_000
MAX_WORDS = 64
MAX_KERNEL = 256
FRONTEND = {"kind": "microfrontend", "rate_hz": 16000, "window_ms": 30, "hop_ms": 10, "bins": 40}

_KEYS = {
    *("schema", "words", "model", "sha256", "frontend", "step", "tensors"),
    *("decision", "operating_points", "training", "ledger"),
}
_RATE_KEYS = ("threshold", "frr", "frr_low", "frr_high")
_COUNT_KEYS = ("misses", "clips", "false_alarms")
_SIZE_KEYS = ("fa_per_hour", "fa_low", "fa_high", "hours")
_LEDGER_TEXT = ("name", "source", "licence", "used_for")


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Parse a JSON object: UTF-8, every number finite, no key twice.

    Raises:
        BundleError: it is anything else.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            keys = [key for key, _ in items]
            raise ValueError(f"key {next(k for k in keys if keys.count(k) > 1)!r} comes twice")
        return result

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text} is no finite number")
        return value

    try:
        data = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_float=number,
            parse_constant=number,
        )
    except (ValueError, RecursionError) as exc:
        raise BundleError(f"{path}: not the JSON of a bundle: {exc}") from exc
    if not isinstance(data, dict):
        raise BundleError(f"{path}: a JSON {type(data).__name__}; need an object")
    return data


def model_name(value: object, path: Path) -> str:
    """Return the model's file name, which must be bare: it lies beside the JSON.

    Raises:
        BundleError: it is no string, leads elsewhere, or does not end in .tflite.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[^./\\:\0][^/\\:\0]*\.tflite", value):
        raise BundleError(
            f"{path}: model is {value!r}; need the bare name of a .tflite beside the JSON"
        )
    return value


def check_own(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Check the JSON of our own bundle and return the fields of :class:`~wakeword.bundle.Bundle`.

    Raises:
        BundleError: any rule is broken.
    """
    refuse = _refusal(path)
    schema = data.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        newer = isinstance(schema, int) and schema > SCHEMA
        remedy = "update wakeword" if newer else "train or export it again"
        raise refuse("schema", schema, f"this version reads {SCHEMA}; {remedy}")
    _exact_keys(data, _KEYS, "the bundle", refuse)
    words = _words(data["words"], refuse)
    digest = data["sha256"]
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise refuse("sha256", digest, "need 64 digits of lower-case hexadecimal")
    if data["frontend"] != FRONTEND:
        raise refuse("frontend", data["frontend"], f"this version has only {FRONTEND}")
    step = _object(data["step"], "step", refuse)
    _exact_keys(step, {"stride", "kernel"}, "step", refuse)
    stride = _count(step["stride"], "step.stride", refuse)
    kernel = _count(step["kernel"], "step.kernel", refuse)
    if not 1 <= stride <= kernel <= MAX_KERNEL:
        raise refuse("step", step, f"need 1 <= stride <= kernel <= {MAX_KERNEL}")
    if not isinstance(data["training"], dict):
        raise refuse("training", data["training"], "need an object")
    return {
        "words": words,
        "model": model_name(data["model"], path),
        "sha256": digest,
        "frontend": dict(FRONTEND),
        "step": {"stride": stride, "kernel": kernel},
        "tensors": _tensors(data["tensors"], refuse),
        "decision": _decision(data["decision"], words, refuse),
        "operating_points": _operating_points(data["operating_points"], words, refuse),
        "training": data["training"],
        "ledger": _ledger(data["ledger"], refuse),
    }


Refusal = Callable[[str, object, str], BundleError]


def _refusal(path: Path) -> Refusal:
    """Return the maker of this file's errors."""

    def refuse(name: str, value: object, rule: str) -> BundleError:
        shown = repr(value)
        return BundleError(
            f"{path}: {name} is {shown if len(shown) <= 200 else shown[:197] + '...'}; {rule}"
        )

    return refuse


def _object(value: object, name: str, refuse: Refusal) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise refuse(name, value, "need an object")
    return value


def _exact_keys(value: Mapping[str, Any], keys: set[str], name: str, refuse: Refusal) -> None:
    """Refuse missing and unknown keys."""
    if missing := sorted(keys - value.keys()):
        raise refuse(f"{name} without {missing}", sorted(value), f"need {sorted(keys)}")
    if extra := sorted(value.keys() - keys):
        raise refuse(f"{name} with unknown {extra}", sorted(value), f"need {sorted(keys)}")


def _count(value: object, name: str, refuse: Refusal) -> int:
    """Return a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise refuse(name, value, "need a whole number from 0")
    return value


def _number(value: object, name: str, high: float, refuse: Refusal) -> None:
    """Refuse anything but a number in [0, high]."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= high:
        raise refuse(name, value, f"need a number from 0 to {high:g}")


def _words(value: object, refuse: Refusal) -> tuple[str, ...]:
    """Return the words: some, distinct, printable."""
    good = (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_WORDS
        and all(isinstance(w, str) and 0 < len(w.strip()) <= 64 and w.isprintable() for w in value)
        and len(set(value)) == len(value)
    )
    if not isinstance(value, list) or not good:
        raise refuse("words", value, f"need 1 to {MAX_WORDS} different, printable words")
    return tuple(value)


def _tensors(value: object, refuse: Refusal) -> dict[str, tuple[str, ...]]:
    """Return the tensor names; as many states must go out as come in."""
    tensors = _object(value, "tensors", refuse)
    _exact_keys(tensors, {"inputs", "outputs"}, "tensors", refuse)
    for side, first, rest in (("inputs", "frames", "state"), ("outputs", "scores", "next")):
        names = tensors[side]
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise refuse(f"tensors.{side}", names, "need a list of names")
        need = {first, *(f"{rest}_{i}" for i in range(len(names) - 1))}
        if len(names) != len(need) or set(names) != need:
            raise refuse(f"tensors.{side}", names, f"need {first!r}, '{rest}_0', '{rest}_1', ...")
    if len(tensors["inputs"]) != len(tensors["outputs"]):
        raise refuse("tensors", tensors, "need as many states out as in")
    return {side: tuple(tensors[side]) for side in ("inputs", "outputs")}


def _decision(value: object, words: tuple[str, ...], refuse: Refusal) -> dict[str, DecisionConfig]:
    """Return the decision settings of every word."""
    decision = _object(value, "decision", refuse)
    _exact_keys(decision, set(words), "decision", refuse)
    keys = {"threshold", "release", "smooth_steps", "refractory_ms"}
    configs = {}
    for word in words:
        name = f"decision of {word!r}"
        settings = _object(decision[word], name, refuse)
        _exact_keys(settings, keys, name, refuse)
        try:
            configs[word] = DecisionConfig(**settings)
        except ConfigError as exc:
            raise refuse(name, settings, str(exc)) from exc
    return configs


def _operating_points(
    value: object, words: tuple[str, ...], refuse: Refusal
) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return the measured operating points; a word may have none."""
    points = _object(value, "operating_points", refuse)
    if unknown := sorted(points.keys() - set(words)):
        raise refuse("operating_points", unknown, f"need words of the bundle: {list(words)}")
    keys = {*_RATE_KEYS, *_COUNT_KEYS, *_SIZE_KEYS, "set"}
    for word, rows in points.items():
        name = f"operating_points of {word!r}"
        if not isinstance(rows, list):
            raise refuse(name, rows, "need a list")
        for row in rows:
            _exact_keys(_object(row, name, refuse), keys, name, refuse)
            for key in _RATE_KEYS:
                _number(row[key], f"{name}, {key}", 1, refuse)
            for key in _SIZE_KEYS:
                _number(row[key], f"{name}, {key}", 1e9, refuse)
            for key in _COUNT_KEYS:
                _count(row[key], f"{name}, {key}", refuse)
            if not isinstance(row["set"], str):
                raise refuse(f"{name}, set", row["set"], "need a string")
    return {word: tuple(rows) for word, rows in points.items()}


def _ledger(value: object, refuse: Refusal) -> tuple[dict[str, Any], ...]:
    """Return the data ledger."""
    if not isinstance(value, list):
        raise refuse("ledger", value, "need a list")
    for row in value:
        entry = _object(row, "ledger entry", refuse)
        _exact_keys(entry, {*_LEDGER_TEXT, "clips", "hours"}, "ledger entry", refuse)
        for key in _LEDGER_TEXT:
            if not isinstance(entry[key], str):
                raise refuse(f"ledger entry, {key}", entry[key], "need a string")
        _count(entry["clips"], "ledger entry, clips", refuse)
        _number(entry["hours"], "ledger entry, hours", 1e9, refuse)
    return tuple(value)


def check_micro(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Check a microWakeWord JSON and return the fields of :class:`~wakeword.bundle.Bundle`.

    Its own keys beyond those needed here are let through: the format is not ours.

    Raises:
        BundleError: another version, another feature step, or a field is missing or wrong.
    """

    def refuse(name: str, value: object, rule: str) -> BundleError:
        return BundleError(f"{path}: {name} is {value!r:.200}; {rule}")

    if data.get("version") != 2:
        raise refuse("version", data.get("version"), "of microWakeWord models, 2 is read")
    word = data.get("wake_word")
    if not isinstance(word, str) or not word.strip() or len(word) > 64 or not word.isprintable():
        raise refuse("wake_word", word, "need up to 64 printable characters")
    micro = data.get("micro")
    if not isinstance(micro, dict):
        raise refuse("micro", micro, "need an object")
    if micro.get("feature_step_size") != 10:
        raise refuse("micro.feature_step_size", micro.get("feature_step_size"), "need 10 (ms)")
    try:
        decision = DecisionConfig(
            threshold=micro.get("probability_cutoff", math.nan),
            smooth_steps=micro.get("sliding_window_size", 0),
        )
    except ConfigError as exc:
        raise refuse("micro", micro, str(exc)) from exc
    return {
        "words": (word,),
        "model": model_name(data.get("model"), path),
        "frontend": dict(FRONTEND),
        "step": {},
        "tensors": {},
        "decision": {word: decision},
        "operating_points": {},
        "training": {},
        "ledger": (),
    }
