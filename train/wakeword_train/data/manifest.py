"""The list of recordings: what each clip is, who speaks, and under which licence."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from wakeword.errors import ConfigError

__all__ = ["OWN", "Clip", "may_ship", "read_clips", "trains"]

# Licences whose recordings may shape a model that others get (docs/adr/0004). What a source calls
# "unstated", research-only or merely "freeware" is for testing; so is the GPL.
OWN = "your own"  # what a user recorded: theirs to decide
SHIPPABLE = (OWN, "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0",
             "Apache-2.0", "Apache-2.0/BSD (web-audio-samples)", "public-domain")  # fmt: skip
# A collection that names its licence for some files only: these are listed, name by name, in the
# waivers of their contributors (github.com/MycroftAI/Precise-Community-Data, licenses/).
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
WAIVED = re.compile(rf"(athena-en|amelia|heychatterbox-en-us)-{UUID}\.wav")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, or one item in a long stream that holds many.

    ``start_s`` and ``dur_s`` place the item in its file; ``speaker`` is empty where unknown.
    """

    file: str
    start_s: float
    dur_s: float
    kind: str
    label: str
    speaker: str
    licence: str
    source: str


def may_ship(licence: str, source: str = "") -> bool:
    """Tell whether a recording under this licence, from this source, may train a model that ships.

    >>> may_ship("CC0-1.0"), may_ship("GPL-2")
    (True, False)
    """
    waived = "contributor waivers" in licence and WAIVED.fullmatch(source.rsplit("/", 1)[-1])
    return licence in SHIPPABLE or bool(waived)


def trains(clip: Clip) -> bool:
    """Tell whether training may use a recording: music it does not, nor what may not ship."""
    return clip.kind != "music" and may_ship(clip.licence, clip.source)


def read_clips(folder: Path) -> list[Clip]:
    """Read ``manifest.tsv`` of a folder of recordings.

    Raises:
        ConfigError: no manifest, or a row that does not parse.
    """
    path = folder / "manifest.tsv"
    if not path.is_file():
        raise ConfigError(f"{path} is missing: name the folder that holds manifest.tsv")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    clips = []
    for number, row in enumerate(rows, start=2):
        try:
            clips.append(
                Clip(
                    file=row["file"],
                    start_s=float(row["start_s"]),
                    dur_s=float(row["dur_s"]),
                    kind=row["kind"],
                    label=row["label"],
                    speaker=row["speaker"],
                    licence=row["licence"],
                    source=row["source"],
                )
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ConfigError(f"{path}:{number}: not a row of the manifest: {row}") from exc
    return clips
