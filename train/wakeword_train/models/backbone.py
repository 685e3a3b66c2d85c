"""A backbone that knows people: the trigger model as it is before it learns a new word.

Trained on the words of the pack, it has heard how several hundred people speak. A new word starts
from its layers, and from its heads for those words, which training keeps and export drops.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = ["backbone_labels", "save_backbone", "shipped_backbone", "start_from"]


def shipped_backbone(preset: str) -> Path | None:
    """Find the backbone of a preset that comes with the package."""
    path = Path(str(resources.files("wakeword_train.models"))) / f"backbone_{preset}.npz"
    return path if path.is_file() else None


def save_backbone(model: Any, labels: Sequence[str], path: Path) -> None:
    """Save the weights of a model with a head for each label, as float16, beside and then renamed.

    Half precision: 0.1 % of a weight is far below what int8 rounds away.
    """
    weights = {f"w{n}": np.asarray(w).astype(np.float16) for n, w in enumerate(model.get_weights())}
    with beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, labels=np.asarray(json.dumps(list(labels))), **weights
        )


def backbone_labels(path: Path) -> list[str]:
    """List the words that a backbone heard people say.

    Raises:
        ConfigError: it is not a backbone.
    """
    return _read(path)[0]


def start_from(model: Any, heads: Sequence[str], path: Path) -> int:
    """Give a model the weights of a backbone.

    Args:
        model: of the same preset, freshly built; its last layer has a column for each head.
        heads: what the columns mean. Those that the backbone does not know stay as they are.
        path: of the backbone.

    Returns:
        Heads that the backbone knew.

    Raises:
        ConfigError: it is not a backbone, or one of another preset.
    """
    labels, weights = _read(path)
    own = [np.asarray(w) for w in model.get_weights()]
    if [w.shape for w in own[:-2]] != [w.shape for w in weights[:-2]]:
        raise ConfigError(f"{path}: the backbone of another preset")
    known = [(column, labels.index(head)) for column, head in enumerate(heads) if head in labels]
    for column, place in known:
        own[-2][:, column] = weights[-2][:, place]
        own[-1][column] = weights[-1][place]
    model.set_weights([*weights[:-2], *own[-2:]])
    return len(known)


def _read(path: Path) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Read labels and weights."""
    try:
        with np.load(path, allow_pickle=False) as found:
            labels = [str(label) for label in json.loads(str(found["labels"]))]
            return labels, [found[f"w{n}"].astype(np.float32) for n in range(len(found.files) - 1)]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{path}: not a backbone ({exc})") from exc
