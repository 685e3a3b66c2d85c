"""What a report says, as plain values: the page shows them, the JSON beside it holds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Advice",
    "Cost",
    "Estimate",
    "Example",
    "Group",
    "Need",
    "Peer",
    "ReportFacts",
    "Share",
    "Use",
    "WordFacts",
    "as_json",
]

MEDIA = ("audio", "picture")  # of an example: in the page alone


@dataclass(frozen=True, slots=True)
class Share:
    """Clips missed of those heard, with the exact 95 % interval; shares in [0, 1]."""

    misses: int
    clips: int
    frr: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Recordings of the word that are alike in one respect.

    ``sort`` is "pitch", "length" or "speaker"; ``origin`` "real" or "synthetic"; ``speakers`` how
    many were named, 0 where none was; ``shares`` by condition.
    """

    sort: str
    origin: str
    name: str
    speakers: int
    shares: Mapping[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A stretch of sound to listen to, with the score over time.

    ``fired`` says whether the word was heard. ``file`` and ``at_s`` say where it is: where the
    excerpt begins in the file, below 0 where that is before it. Within the excerpt: ``word_s`` is
    where the word lies, None where there is none; ``event_s`` where it fired or, failing that,
    where its score was highest; ``times_s`` and ``scores`` the smoothed score. ``audio`` is FLAC,
    ``picture`` a PNG of its spectrogram, 0 to 8 kHz, as long as the sound; both base64.
    """

    file: str
    label: str
    source: str
    speaker: str
    synthetic: bool
    condition: str
    fired: bool
    peak: float
    at_s: float
    seconds: float
    word_s: tuple[float, float] | None
    event_s: float
    times_s: tuple[float, ...]
    scores: tuple[float, ...]
    audio: str
    picture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What another engine reports of the same word and condition, on other recordings."""

    engine: str
    condition: str
    frr: float
    fa_per_hour: float | None
    on: str
    source: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that a use asks for, and whether the figures show it.

    ``answer``: "shown" (all of the interval keeps it), "likely" (the figure keeps it), "unlikely"
    (it does not, but the interval reaches it), "no" (none of the interval does), "unknown".
    """

    what: str
    found: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A place to use it, what that needs, and the weakest of the answers."""

    name: str
    needs: Sequence[Need]
    answer: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What a rule found; ``level``: "bad", "warn", "good", "note"; ``do``: what to do, or empty."""

    rule: str
    level: str
    text: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordFacts:
    """One word. ``rows`` and ``curve`` are those of `wakeword_train.judge.judge`.

    ``latency_ms``: of each clip heard, by condition, from the end of the word, which was
    ``labelled`` for so many recordings and ``estimated`` for the others. ``fired_on``: label,
    source, and how often it set the word off at the threshold in use; ``long_alarms`` are those in
    ``long_hours`` of long sound. ``swallowed``: words that begin with this one. ``before``: the row
    in use of the model as it was without the user's own recordings, on the same test, empty where
    there is no such model.
    """

    threshold: float
    rows: Mapping[str, Any]
    curve: Mapping[str, Any]
    latency_ms: Mapping[str, Sequence[float]]
    labelled: int
    estimated: int
    synthetic: int
    speakers: int
    long_alarms: int
    long_hours: float
    groups: Sequence[Group]
    misses: Sequence[Example]
    alarms: Sequence[Example]
    fired_on: Sequence[tuple[str, str, int]]
    swallowed: Sequence[str]
    peers: Sequence[Peer]
    uses: Sequence[Use]
    advice: Sequence[Advice]
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it would cost on another machine: not measured, but ``basis`` times ``factor``."""

    machine: str
    cost: str
    factor: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Size, work and time. CPU is that of the process per second of sound, median of the rounds."""

    model_bytes: int
    multiply_adds_per_step: int
    steps_per_s: float
    cpu_ms_per_s: float
    cpu_ms_low: float
    cpu_ms_high: float
    measured: str
    estimates: Sequence[Estimate]

    @property
    def multiply_adds_per_s(self) -> float:
        """Of the matrix products of the model."""
        return self.multiply_adds_per_step * self.steps_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """All that a report says. ``chosen_here``: the thresholds were chosen on these recordings."""

    bundle: str
    kind: str
    sha256: str
    version: str
    made: str
    tested: str
    chosen_here: bool
    settings: Mapping[str, Any]
    words: Mapping[str, WordFacts]
    cost: Cost
    training: Mapping[str, Any]
    ledger: Sequence[Mapping[str, Any]]


def as_json(facts: ReportFacts) -> dict[str, Any]:
    """Give the facts as plain JSON values: all but the sounds and pictures of the examples."""
    data = asdict(facts)
    for word in data["words"].values():
        for example in (*word["misses"], *word["alarms"]):
            for name in MEDIA:
                del example[name]
    data["cost"]["multiply_adds_per_s"] = facts.cost.multiply_adds_per_s
    return data
