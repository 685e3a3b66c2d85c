"""The bundle of a sequence model: NAME.json with its vocabularies, and a .tflite for each graph.

The graph called "step" is NAME.tflite, any other NAME-GRAPH.tflite. As with every bundle nothing is
executed and everything is checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wakeword.bundle import read_file
from wakeword.bundle_check import model_name, parse_json
from wakeword.errors import BundleError
from wakeword.files import beside
from wakeword.step_graph import StepGraph
from wakeword.vocabulary import Vocabulary

__all__ = ["GraphFile", "SequenceBundle", "read_sequence_bundle", "write_sequence_bundle"]

KIND = "sequence"
SCHEMA = 1
MAX_BYTES = 100_000_000
"""Of a file: an embedding of a large vocabulary weighs more than a trigger model."""
_KEYS = {"schema", "kind", "task", "graphs", "vocabularies", "settings", "training"}


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A graph and the names of its ends, in its order."""

    model: bytes = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBundle:
    """A checked bundle in memory.

    ``task`` says what the model does, such as "language"; ``settings`` are what its runner needs
    besides, plain JSON values; ``training`` is how it came to be, results and licences included.
    """

    path: Path
    task: str
    graphs: Mapping[str, GraphFile]
    vocabularies: Mapping[str, Vocabulary]
    settings: Mapping[str, Any]
    training: Mapping[str, Any]

    def open(self, graph: str = "step", runtime: str | None = None) -> StepGraph:
        """Make a graph ready to run; see :class:`wakeword.step_graph.StepGraph`.

        Raises:
            BundleError: there is no such graph, or it is damaged.
        """
        if graph not in self.graphs:
            raise BundleError(f"{self.path}: no graph {graph!r}; it has {', '.join(self.graphs)}")
        file = self.graphs[graph]
        try:
            return StepGraph(file.model, file.inputs, file.outputs, runtime)
        except BundleError as exc:
            raise BundleError(f"{self.path}: {graph}: {exc}") from exc

    def vocabulary(self, name: str = "tokens") -> Vocabulary:
        """Return a vocabulary.

        Raises:
            BundleError: there is none of this name.
        """
        if name not in self.vocabularies:
            raise BundleError(f"{self.path}: no vocabulary {name!r}; export the model again")
        return self.vocabularies[name]

    @property
    def size(self) -> int:
        """Bytes of all graphs."""
        return sum(len(file.model) for file in self.graphs.values())


def read_sequence_bundle(path: str | os.PathLike[str], task: str | None = None) -> SequenceBundle:
    """Read and check a bundle.

    Args:
        path: of its JSON.
        task: what it must be for; None takes any.

    Raises:
        BundleError: a file is missing, too large, damaged, or not what the others say.
    """
    given = Path(path)
    if given.suffix != ".json":
        raise BundleError(f"{given}: need the .json of a bundle")
    data = parse_json(read_file(given, MAX_BYTES), given)
    if data.get("kind") != KIND:
        raise BundleError(f"{given}: kind is {data.get('kind')!r}; need {KIND!r}")
    if data.get("schema") != SCHEMA:
        raise BundleError(f"{given}: schema is {data.get('schema')!r}; this version reads {SCHEMA}")
    if set(data) != _KEYS:
        odd = sorted(set(data) ^ _KEYS)
        raise BundleError(f"{given}: {', '.join(odd)}: missing, or not known")
    if not isinstance(data["task"], str) or task not in (None, data["task"]):
        raise BundleError(f"{given}: a model for {data['task']!r}; need one for {task!r}")
    for key in ("graphs", "vocabularies", "settings", "training"):
        if not isinstance(data[key], dict):
            raise BundleError(f"{given}: {key} must be an object")
    graphs = {name: _read_graph(given, name, facts) for name, facts in data["graphs"].items()}
    vocabularies = {}
    for name, entry in data["vocabularies"].items():
        try:
            vocabularies[name] = _read_vocabulary(entry)
        except BundleError as exc:
            raise BundleError(f"{given}: {name}: {exc}") from exc
    return SequenceBundle(
        path=given, task=data["task"], graphs=graphs, vocabularies=vocabularies,
        settings=data["settings"], training=data["training"],
    )  # fmt: skip


def _read_graph(path: Path, name: str, facts: Any) -> GraphFile:
    if not isinstance(facts, dict) or set(facts) != {"model", "sha256", "inputs", "outputs"}:
        raise BundleError(f"{path}: graph {name!r}: need model, sha256, inputs and outputs")
    for side in ("inputs", "outputs"):
        if not isinstance(facts[side], list) or not all(isinstance(n, str) for n in facts[side]):
            raise BundleError(f"{path}: graph {name!r}: {side} must be a list of names")
    file = path.with_name(model_name(facts["model"], path))
    content = read_file(file, MAX_BYTES)
    digest = hashlib.sha256(content).hexdigest()
    if facts["sha256"] != digest:
        raise BundleError(
            f"{file}: sha256 is {digest[:12]}..., the JSON says {str(facts['sha256'])[:12]}...: "
            "the file is damaged or of another bundle; get all files again"
        )
    return GraphFile(content, tuple(facts["inputs"]), tuple(facts["outputs"]))


def _read_vocabulary(entry: Any) -> Vocabulary:
    if not isinstance(entry, dict) or "sha256" not in entry:
        raise BundleError("vocabulary: need its sha256")
    plain = {key: value for key, value in entry.items() if key != "sha256"}
    vocabulary = Vocabulary.from_json(plain)
    if entry["sha256"] != _digest(vocabulary):
        raise BundleError(
            "vocabulary: it was changed since the model was made, so its numbers mean other "
            "symbols; get the bundle again"
        )
    return vocabulary


def _digest(vocabulary: Vocabulary) -> str:
    text = json.dumps(vocabulary.to_json(), ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_sequence_bundle(
    path: str | os.PathLike[str],
    *,
    task: str,
    graphs: Mapping[str, GraphFile],
    vocabularies: Mapping[str, Vocabulary],
    settings: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    force: bool = False,
) -> SequenceBundle:
    """Write a bundle; what was there stays whole until all of it is written.

    Args:
        path: of the JSON, with or without suffix; the folder is made if missing.
        task: see :class:`SequenceBundle`, as for the other fields.
        graphs: by name; each is opened to see that it can be.
        vocabularies: by name.
        settings: plain JSON values.
        training: plain JSON values.
        force: replace a bundle that exists.

    Returns:
        The bundle as read back.

    Raises:
        BundleError: it exists and ``force`` is not set; a field is wrong; the disk refuses.
    """
    target = Path(path)
    target = target if target.suffix == ".json" else target.with_name(target.name + ".json")
    stem = target.stem
    files = {n: f"{stem}.tflite" if n == "step" else f"{stem}-{n}.tflite" for n in graphs}
    data = {
        "schema": SCHEMA,
        "kind": KIND,
        "task": task,
        "graphs": {
            name: {
                "model": files[name],
                "sha256": hashlib.sha256(file.model).hexdigest(),
                "inputs": list(file.inputs),
                "outputs": list(file.outputs),
            }
            for name, file in graphs.items()
        },
        "vocabularies": {
            name: {**vocabulary.to_json(), "sha256": _digest(vocabulary)}
            for name, vocabulary in vocabularies.items()
        },
        "settings": dict(settings or {}),
        "training": dict(training or {}),
    }
    try:
        text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as exc:
        raise BundleError(f"{target}: not JSON: {exc}; need plain, finite values") from exc
    for name, file in graphs.items():
        try:
            StepGraph(file.model, file.inputs, file.outputs)
        except BundleError as exc:
            raise BundleError(f"{target}: {name}: {exc}") from exc
    names = (target.name, *files.values())
    for path_of in map(target.with_name, names):
        if path_of.exists() and not force:
            raise BundleError(f"{path_of}: exists; choose another name, or force to replace it")
    contents = [text.encode(), *(file.model for file in graphs.values())]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # What is entered last takes its place first: no JSON is there without its graphs.
        with ExitStack() as stack:
            for name, content in zip(names, contents, strict=True):
                stack.enter_context(beside(target.with_name(name))).write_bytes(content)
    except OSError as exc:
        raise BundleError(f"{target}: cannot be written: {exc}") from exc
    return read_sequence_bundle(target)
