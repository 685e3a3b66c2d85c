"""From a bundle and a test set to the facts of a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wakeword import __version__
from wakeword.bundle import Bundle
from wakeword.detector import Detector
from wakeword_train.conditions import Condition, parse_condition
from wakeword_train.judge import judge
from wakeword_train.report.advice import advise
from wakeword_train.report.cost import cost_of
from wakeword_train.report.examples import alarm_example, choose, choose_misses, miss_examples
from wakeword_train.report.facts import ReportFacts, WordFacts
from wakeword_train.report.outcomes import Alarm, alarms_of, near_alarms, outcome_of
from wakeword_train.report.peers import peers_of
from wakeword_train.report.uses import long_sound, uses_of
from wakeword_train.report.voices import groups_of, voice_of
from wakeword_train.scoring import Progress, Scored, score, spoken
from wakeword_train.testset import Recording, TestSet, label_of

__all__ = ["all_conditions", "gather"]

EXAMPLES = 8


def all_conditions(recordings: TestSet) -> list[Condition]:
    """List the conditions that a report shows: clean, noise at 10 and 0 dB, a room, after talk.

    Noise is pink where there are no recordings of it; without impulse responses there is no room.
    """
    kind = "" if recordings.noises else "-pink"
    names = ["clean", f"10dB{kind}", f"0dB{kind}", *(["reverb"] if recordings.rirs else [])]
    names += ["talk", f"talk-10dB{kind}"] if recordings.talks else []
    return [parse_condition(name) for name in names]


def gather(
    bundle: Bundle,
    recordings: TestSet,
    conditions: Sequence[Condition] | None = None,
    *,
    words: Sequence[str] | None = None,
    targets: Sequence[float] = (0.5,),
    seed: int = 1,
    tolerance_ms: int = 700,
    runtime: str | None = None,
    tested: str = "recordings",
    chosen_here: bool = False,
    swallowed: Mapping[str, Sequence[str]] | None = None,
    examples: int = EXAMPLES,
    scored: Scored | None = None,
    before: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = lambda *_: None,
) -> ReportFacts:
    """Test a bundle and collect all that its report says.

    Args:
        bundle: of either kind.
        recordings: what to hear.
        conditions: how to hear the words, the easiest first; None takes `all_conditions`.
        words: of the bundle, None for all.
        targets: false alarms per hour to find a threshold for.
        seed: of the noise and rooms.
        tolerance_ms: after the word's end within which a detection is a hit.
        runtime: as `wakeword.model.open_model` takes it.
        tested: what the recordings are, in words.
        chosen_here: the bundle's thresholds were chosen on these recordings.
        swallowed: by word, longer words that begin with it; None takes the bundle's own list.
        examples: misses, and false alarms, to listen to, of each word.
        scored: what was heard already, with the same settings; None hears it now.
        before: by word, `WordFacts.before`.
        progress: called with (stage, done, in all).

    Raises:
        WakewordError: see `wakeword_train.scoring.score`.
    """
    heard_as = all_conditions(recordings) if conditions is None else conditions
    if scored is None:
        detector = Detector([(bundle, words)], runtime=runtime)
        scored = score(
            detector, recordings, heard_as, seed=seed, tolerance_ms=tolerance_ms, progress=progress
        )
    result, _ = judge(
        bundle, scored, heard_as, targets=targets, seed=seed, tolerance_ms=tolerance_ms
    )
    own = bundle.training.get("swallowed")
    longer = swallowed or (own if isinstance(own, Mapping) else {})
    found = {}
    for done, (word, counted) in enumerate(result["words"].items()):
        progress("report", done, len(result["words"]) + 1)
        facts = _word(bundle, word, counted, scored, recordings, heard_as, seed, examples)
        facts = replace(
            facts, swallowed=tuple(longer.get(word, ())), before=(before or {}).get(word, {})
        )
        machine = facts.synthetic == facts.labelled + facts.estimated
        uses = uses_of(
            counted["rows"]["in use"]["conditions"], facts.long_alarms, facts.long_hours,
            doubtful=chosen_here or machine,
        )  # fmt: skip
        facts = replace(facts, uses=tuple(uses))
        found[word] = replace(facts, advice=tuple(advise(word, facts, chosen_here=chosen_here)))
    progress("report", len(found), len(found) + 1)
    return ReportFacts(
        bundle=bundle.name, kind=bundle.kind, sha256=bundle.sha256, version=__version__,
        made=time.strftime("%Y-%m-%d"), tested=tested, chosen_here=chosen_here,
        settings=result["settings"], words=found,
        cost=cost_of(bundle, tuple(found), runtime=runtime),
        training=dict(bundle.training), ledger=tuple(bundle.ledger),
    )  # fmt: skip


def _word(
    bundle: Bundle,
    word: str,
    counted: Mapping[str, Any],
    scored: Scored,
    recordings: TestSet,
    conditions: Sequence[Condition],
    seed: int,
    examples: int,
) -> WordFacts:
    """Collect the facts of one word; answers and advice come later."""
    config, strict = bundle.decision[word], bundle.kind == "microwakeword"
    names = [condition.name for condition in conditions]
    clips = [clip for clip in recordings.clips if clip.label == label_of(word)]
    outcomes = [outcome_of(u, config, strict=strict) for u in scored.utterances[word]]
    voices = {}
    for clip in clips:
        framed, at = spoken(clip, seed)
        voices[str(clip.path)] = voice_of(framed, at, clip.speaker, synthetic=clip.synthetic)
    who = {str(clip.path): clip.speaker for clip in clips}
    by_file = {
        str(one.path): one for one in (*recordings.clips, *(r for _, r in recordings.streams))
    }
    streams = scored.streams[word]
    alarms = alarms_of(streams, config, strict=strict)
    # What a pack brings as features is counted, but there is no sound of it to listen to.
    heard = [alarm for alarm in alarms if alarm.stream.pieces]
    chosen = [heard[place] for place in choose(heard, examples, _kind(by_file))]
    if len(chosen) < examples:
        sound = [stream for stream in streams if stream.pieces]
        chosen += near_alarms(sound, config, examples - len(chosen), strict=strict)
    fired = Counter(
        (by_file[a.piece[1]].label if a.stream.pieces else "", a.stream.source) for a in alarms
    )
    long_alarms, long_hours = long_sound(alarms, streams)
    misses = choose_misses(outcomes, names, examples, who)
    return WordFacts(
        threshold=config.threshold,
        rows=counted["rows"],
        curve=counted["curve"],
        latency_ms={
            name: tuple(
                o.late_ms for o in outcomes
                if o.utterance.condition == name and o.late_ms is not None
            )
            for name in names
        },
        labelled=sum(clip.word_end_s is not None for clip in clips),
        estimated=sum(clip.word_end_s is None for clip in clips),
        synthetic=sum(clip.synthetic for clip in clips),
        speakers=len({clip.speaker for clip in clips} - {""}),
        long_alarms=long_alarms,
        long_hours=long_hours,
        groups=tuple(groups_of(voices, outcomes)),
        misses=tuple(miss_examples(misses, recordings, conditions, seed)),
        alarms=tuple(alarm_example(alarm, by_file) for alarm in chosen),
        fired_on=tuple((label, source, n) for (label, source), n in fired.most_common()),
        swallowed=(),
        peers=tuple(peers_of(word, names)),
        uses=(),
        advice=(),
    )  # fmt: skip


def _kind(by_file: Mapping[str, Recording]) -> Callable[[Alarm], str]:
    """Tell false alarms apart by the label that set them off, or the file where it has none."""
    return lambda alarm: by_file[alarm.piece[1]].label or alarm.piece[1]
