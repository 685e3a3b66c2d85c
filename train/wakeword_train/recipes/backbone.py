"""A backbone that knows people: trained once on a pack's words, for new words to start from.

python -m wakeword_train.recipes.backbone --pack DIR --preset small --out FILE.npz
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from wakeword_train.data.pack import Joined, Pack, join, key_of, open_pack
from wakeword_train.fit import FitConfig, fit
from wakeword_train.models.backbone import save_backbone
from wakeword_train.models.trigger import PRESETS, build

__all__ = ["main", "train_backbone", "windows_of"]

log = logging.getLogger(__name__)
# Every word counts alike here, so more of a batch says one; the rest is ordinary sound.
SHARE = {"real": 0.35, "synthetic": 0.2, "other": 0.02, "long": 0.0}
USUAL = FitConfig()
Progress = Callable[[str, int, int], None]


def windows_of(pack: Pack) -> tuple[Joined, list[str]]:
    """Take the windows of a pack with a head for each of its words, and say what the heads mean."""
    labels = list(pack.labels)
    known = {f"head {label}": (f"real {label}", head) for head, label in enumerate(labels)}
    known |= {f"spoken {label}": (f"synthetic {label}", head) for head, label in enumerate(labels)}
    return join([(pack.windows, known)]), labels


def train_backbone(
    pack: Pack,
    preset: str,
    work: Path,
    out: Path,
    *,
    config: FitConfig = USUAL,
    seed: int = 1,
    progress: Progress = lambda *_: None,
) -> Path:
    """Train a backbone into ``out``, or take up where it was left in ``work``.

    Returns:
        ``out``.
    """
    import keras

    windows, labels = windows_of(pack)
    folder = work / f"backbone-{key_of(pack.key, preset, labels, config, seed)}"
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    model = build(PRESETS[preset], len(labels))
    fit(
        model, windows,
        words=len(labels), share=SHARE, stride=PRESETS[preset].stride, config=config, seed=seed,
        folder=folder, progress=lambda done, total, _: progress("backbone", done, total),
    )  # fmt: skip
    save_backbone(model, labels, out)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Train the backbone of a preset."""
    from wakeword_train.cli import progress_line

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True, metavar="DIR")
    parser.add_argument("--preset", default="small", choices=list(PRESETS))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--batches", type=int, default=USUAL.batches)
    args = parser.parse_args(argv)
    config = replace(USUAL, batches=args.batches)
    train_backbone(
        open_pack(args.pack), args.preset, args.work, args.out, config=config,
        progress=progress_line(),
    )  # fmt: skip
    print(args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
