"""Read and write a model bundle: NAME.tflite and, beside it, NAME.json that says what it is.

Nothing in a bundle is executed and everything is checked, so that reading one from a stranger is
safe and a damaged one is refused with its reason. The checks are in :mod:`wakeword.bundle_check`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wakeword.bundle_check import FRONTEND, MAX_BYTES, SCHEMA, check_micro, check_own, parse_json
from wakeword.decide import DecisionConfig
from wakeword.errors import BundleError, ConfigError
from wakeword.files import beside

__all__ = ["Bundle", "find_bundle", "read_bundle", "read_file", "shipped", "write_bundle"]

Kind = Literal["wakeword", "microwakeword"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A checked bundle in memory; the fields carry the names they have in the JSON.

    ``decision`` holds a :class:`~wakeword.decide.DecisionConfig` per word; ``operating_points``,
    ``training`` and ``ledger`` stay plain JSON values. A microWakeWord model has neither ``step``
    nor ``tensors``.
    """

    kind: Kind
    path: Path
    model_bytes: bytes = field(repr=False)
    words: tuple[str, ...]
    model: str
    sha256: str
    frontend: Mapping[str, Any]
    step: Mapping[str, int]
    tensors: Mapping[str, tuple[str, ...]]
    decision: Mapping[str, DecisionConfig]
    operating_points: Mapping[str, Sequence[Mapping[str, Any]]]
    training: Mapping[str, Any]
    ledger: Sequence[Mapping[str, Any]]
    schema: int = SCHEMA

    @property
    def name(self) -> str:
        """The stem of the two files."""
        return self.path.stem

    @property
    def stride(self) -> int:
        """Frames a step advances."""
        return self.step["stride"]

    @property
    def kernel(self) -> int:
        """Frames a step sees."""
        return self.step["kernel"]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in its order."""
        return self.tensors["inputs"]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in its order."""
        return self.tensors["outputs"]


def shipped() -> dict[str, Path]:
    """Return the bundles that come with the package: stem to the path of the JSON."""
    folder = Path(__file__).parent / "models"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def find_bundle(name: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Find a bundle by path, by the stem of a shipped one, or by a word of a shipped one.

    Returns:
        The path, and the word if that is what was asked for, else None.

    Raises:
        ConfigError: a plain name that no shipped bundle has; the message lists what there is.
        BundleError: a shipped bundle is damaged.
    """
    path = Path(name)
    if (
        not isinstance(name, str)
        or path.suffix in (".json", ".tflite")
        or len(path.parts) != 1
        or path.is_file()
    ):
        return path, None
    bundles = shipped()
    if name in bundles:
        return bundles[name], None
    words: dict[str, Path] = {}
    for candidate in bundles.values():
        for word in read_bundle(candidate).words:
            words.setdefault(word, candidate)
    if name in words:
        return words[name], name
    there = ", ".join(sorted({*bundles, *words})) or "none"
    raise ConfigError(
        f"{name!r}: no shipped word or bundle of that name (there are: {there}); "
        "for one of your own give the path of its .json"
    )


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read and check a bundle, or a microWakeWord version 2 model.

    Args:
        path: its .json or .tflite, or the name or word of a shipped bundle.

    Raises:
        BundleError: a file is missing, too large, damaged, or contradicts the other.
        ConfigError: a plain name that no shipped bundle has.
    """
    given, _ = find_bundle(path)
    if given.suffix not in (".json", ".tflite"):
        raise BundleError(f"{given}: need the .json or the .tflite of a bundle")
    json_path = given.with_suffix(".json")
    data = parse_json(read_file(json_path), json_path)
    if data.get("type") == "micro":
        kind: Kind = "microwakeword"
        fields = check_micro(data, json_path)
    else:
        kind = "wakeword"
        fields = check_own(data, json_path)
    model_path = json_path.with_name(fields["model"])
    if given.suffix == ".tflite" and model_path.name != given.name:
        raise BundleError(
            f"{json_path}: it is about {fields['model']!r}, not {given.name!r}; "
            "give the path of the JSON that belongs to the model"
        )
    content = read_file(model_path)
    digest = hashlib.sha256(content).hexdigest()
    if fields.setdefault("sha256", digest) != digest:
        raise BundleError(
            f"{model_path}: sha256 is {digest[:12]}..., the JSON says {fields['sha256'][:12]}...: "
            "the file is damaged or of another bundle; get both files again"
        )
    return Bundle(kind=kind, path=json_path, model_bytes=content, **fields)


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file of at most ``limit`` bytes.

    Raises:
        BundleError: it is not there, larger, or cannot be read.
    """
    try:
        if not path.is_file():
            raise BundleError(f"{path}: no such file; a bundle is NAME.json and NAME.tflite")
        size = path.stat().st_size
        if size > limit:
            raise BundleError(f"{path}: {size} bytes; need at most {limit}")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        raise BundleError(f"{path}: cannot be read: {exc}") from exc
    if len(content) > limit:
        raise BundleError(f"{path}: grew while it was read; need at most {limit} bytes")
    return content


def write_bundle(
    path: str | os.PathLike[str],
    *,
    model: bytes,
    words: Sequence[str],
    stride: int,
    kernel: int,
    inputs: Sequence[str],
    outputs: Sequence[str],
    decision: Mapping[str, DecisionConfig],
    operating_points: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    training: Mapping[str, Any] | None = None,
    ledger: Sequence[Mapping[str, Any]] = (),
    force: bool = False,
) -> Bundle:
    """Check, then write NAME.tflite and NAME.json; what was there stays whole until then.

    Args:
        path: where, without suffix or with .json or .tflite; the folder is made if missing.
        model: the content of the .tflite.
        words: what the scores mean, in their order.
        stride: frames a step advances.
        kernel: frames a step sees.
        inputs: names of the graph's inputs in its order: ``frames``, ``state_0``, ...
        outputs: names of the graph's outputs in its order: ``scores``, ``next_0``, ...
        decision: settings per word.
        operating_points: measured ones per word.
        training: resolved configuration, seed, commit; any JSON object.
        ledger: the sets of recordings behind the model, with their licences.
        force: replace a bundle that exists.

    Returns:
        The bundle as read back.

    Raises:
        BundleError: it exists and ``force`` is not set; a field is wrong; the disk refuses.
    """
    base = Path(path)
    if base.suffix in (".json", ".tflite"):
        base = base.with_suffix("")
    json_path, model_path = (base.with_name(base.name + s) for s in (".json", ".tflite"))
    data = {
        "schema": SCHEMA,
        "words": list(words),
        "model": model_path.name,
        "sha256": hashlib.sha256(model).hexdigest(),
        "frontend": FRONTEND,
        "step": {"stride": stride, "kernel": kernel},
        "tensors": {"inputs": list(inputs), "outputs": list(outputs)},
        "decision": {
            word: {
                "threshold": settings.threshold,
                "release": settings.release_level,
                "smooth_steps": settings.smooth_steps,
                "refractory_ms": settings.refractory_ms,
            }
            for word, settings in decision.items()
        },
        "operating_points": {w: list(p) for w, p in (operating_points or {}).items()},
        "training": dict(training or {}),
        "ledger": list(ledger),
    }
    try:
        text = json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as exc:
        raise BundleError(f"{json_path}: not JSON: {exc}; need plain, finite values") from exc
    check_own(parse_json(text.encode(), json_path), json_path)
    if len(model) > MAX_BYTES:
        raise BundleError(f"{model_path}: {len(model)} bytes; need at most {MAX_BYTES}")
    for target in (json_path, model_path):
        if target.exists() and not force:
            raise BundleError(f"{target}: exists; choose another name, or force to replace it")
    try:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        # The model takes its place first: no JSON is there without one.
        with beside(json_path) as json_part, beside(model_path) as model_part:
            model_part.write_bytes(model)
            json_part.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise BundleError(f"{json_path}: cannot be written: {exc}") from exc
    return read_bundle(json_path)
