"""The report: its facts, its page, and that the page is safe, whole and self-contained."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.bundle import Bundle, read_bundle
from wakeword.decide import DecisionConfig
from wakeword.detector import Detector
from wakeword.errors import ConfigError
from wakeword.metrics import Stream, Utterance, listen, sweep
from wakeword.tflite_graph import read_graph
from wakeword_train import evaluate as command
from wakeword_train.conditions import LEAD, frame, hear, parse_condition
from wakeword_train.report import ReportFacts, all_conditions, as_json, gather, write_report
from wakeword_train.report import page as page_module
from wakeword_train.report.cost import estimates, multiply_adds
from wakeword_train.report.examples import choose, flac, spectrogram
from wakeword_train.report.outcomes import alarms_of, near_alarms, outcome_of
from wakeword_train.report.page import page
from wakeword_train.report.peers import peers_of
from wakeword_train.report.voices import Voice, groups_of, median_pitch
from wakeword_train.scoring import Scored, score
from wakeword_train.testset import Recording, TestSet

pytest.importorskip("matplotlib", reason="pictures need the extra `plot`")
soundfile = pytest.importorskip("soundfile")

TINY = Path(__file__).parent / "data" / "tiny_step.json"
NASTY = '<script>alert("x")</script>'
CONDITIONS = [parse_condition("clean"), parse_condition("0dB-pink")]


def tone(seconds: float, level: float = 28_000, seed: int = 0) -> NDArray[np.int16]:
    """A word is a burst of 200 Hz in the middle of faint noise."""
    count = round(16_000 * seconds)
    t = np.arange(count)
    burst = (t > 0.25 * count) & (t < 0.75 * count)
    wave = level * np.sin(2 * np.pi * 200 * t / 16_000) * burst
    return np.rint(wave + np.random.default_rng(seed).normal(0, 5, count)).astype(np.int16)


class LoudnessDetector:
    """Stands for Detector: the score is the peak of each 30 ms, in [0, 1], for every word."""

    words = ("yes", "no")

    def reset(self) -> None:
        self.rest = np.zeros(0, np.int16)
        self.heard = 0

    def scores(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        data = np.concatenate([self.rest, samples])
        steps = len(data) // 480
        self.rest = data[steps * 480 :]
        peaks = np.abs(data[: steps * 480].reshape(steps, 480).astype(float)).max(axis=1) / 32_768
        first, self.heard = self.heard, self.heard + steps * 480
        probs = np.repeat(peaks[:, None], 2, axis=1).astype(np.float32)
        return probs, first + 480 * np.arange(1, steps + 1)


def recordings(folder: Path) -> TestSet:
    """Six clips of each word by two speakers, some too soft to be heard; loud and soft others."""
    clips: list[Recording] = []

    def write(name: str, samples: NDArray[np.int16], **more: object) -> Recording:
        path = folder / f"{len(clips)}{len(list(folder.iterdir()))}.wav"
        soundfile.write(path, samples, 16_000, subtype="PCM_16")
        return Recording(path=path, name=name, **more)  # type: ignore[arg-type]

    for word in ("yes", "no"):
        for n in range(6):
            level = 28_000 if n % 3 else 6_000
            clips.append(
                write(
                    f"{word}/{n}.wav", tone(1, level, n), label=word, source="people",
                    speaker="ann" if n < 3 else NASTY,
                )
            )  # fmt: skip
    clips.append(write(f"{NASTY}.wav", tone(1, 28_000, 9), label=NASTY, source=NASTY))
    clips.append(write("soft.wav", tone(1, 9_000, 10), label="soft", source="others"))
    long = write("talk.wav", np.concatenate([tone(11, 3_000), tone(1, 28_000)]), source="reader")
    return TestSet(clips=tuple(clips), streams=(("speech & more", long),))


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> TestSet:
    return recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def scored(test_set: TestSet) -> Scored:
    return score(cast(Detector, LoudnessDetector()), test_set, CONDITIONS)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(TINY)


@pytest.fixture(scope="module")
def facts(bundle: Bundle, test_set: TestSet, scored: Scored) -> ReportFacts:
    known = replace(
        bundle,
        training={"recipe": {"seed": 3, "fit": {"batches": 400}}, "loss": [2.0, 0.7, 0.3, 0.25],
                  "commit": NASTY, "stages": {"synthesize": 75, "fit": 7300.0}},
        ledger=({"name": NASTY, "licence": "CC0-1.0", "clips": 3, "used_for": "training"},),
    )  # fmt: skip
    return gather(
        known, test_set, CONDITIONS, scored=scored, targets=(0.5, 2_000.0), tested=NASTY,
        swallowed={"yes": ["yesterday"]},
    )  # fmt: skip


class Reader(HTMLParser):
    """Collects elements, and complains where one is not closed."""

    VOID = ("img", "link", "meta")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice: {names}"
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name in names]


@pytest.fixture(scope="module")
def read(facts: ReportFacts) -> Reader:
    return Reader(page(facts))


# --- the page --------------------------------------------------------------------------------


def test_the_page_is_balanced_and_its_ids_are_unique(read: Reader) -> None:
    ids = [attributes["id"] for _, attributes in read.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    linked = {a["href"][1:] for a in read.all("a") if a["href"].startswith("#")}
    assert linked
    assert linked <= set(ids)
    assert len(read.all("h1")) == 1


def test_the_page_fetches_nothing(facts: ReportFacts, read: Reader) -> None:
    for tag, attributes in read.found:
        for name in ("src", "href", "srcset", "poster", "data", "action", "xlink:href"):
            value = attributes.get(name, "#")
            if tag == "a":
                assert value.startswith(("#", "https://"))
            else:
                assert value.startswith(("#", "data:")), (tag, value[:60])
    assert not read.all("script", "link", "iframe", "object", "embed", "base")
    style = page_module.STYLE.read_text()
    assert "@import" not in style
    assert set(re.findall(r"url\(([^)]*)\)", style)) == {"#hatch"}
    (policy,) = [m["content"] for m in read.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy


def test_what_comes_from_names_and_labels_is_text(facts: ReportFacts, read: Reader) -> None:
    assert not read.all("script")
    assert "<script" not in page(facts)
    assert read.text.count(NASTY) >= 6  # tested, commit, ledger, speaker, label, source
    assert not [a for _, a in read.found if any(name.startswith("on") for name in a)]


def test_pictures_sounds_and_tables_can_be_read_without_seeing_them(read: Reader) -> None:
    for svg in read.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg["role"] == "img" and svg["aria-label"])
    assert all(audio["aria-label"] and "controls" in audio for audio in read.all("audio"))
    assert read.all("table")
    assert all(table["aria-label"] for table in read.all("table"))
    assert all(th["scope"] in ("col", "row", "rowgroup") for th in read.all("th"))
    assert ("html", {"lang": "en"}) in read.found
    assert any(m.get("name") == "viewport" for m in read.all("meta"))


def test_the_page_knows_dark_mode_small_screens_and_paper() -> None:
    style = page_module.STYLE.read_text()
    for query in ("prefers-color-scheme: dark", "max-width", "@media print"):
        assert query in style
    assert style.count("{") == style.count("}")


def test_conditions_differ_in_their_dashes_and_marks_not_only_in_colour(read: Reader) -> None:
    lines = {p["class"]: p.get("stroke-dasharray", "") for p in read.all("path")
             if p.get("class", "").startswith("line")}  # fmt: skip
    assert lines["line c0"] != lines["line c1"]


def test_refusals_are_shown_with_their_reason(read: Reader) -> None:
    assert "refused" in read.text
    assert "0.5 false alarms per hour cannot be verified with" in read.text


def test_everything_that_was_asked_for_is_there(read: Reader) -> None:
    for part in (
        "Is it good enough?", "what to do next", "Misses against false alarms",
        "How soon it answers", "was estimated from the energy of 6 recordings", "Who is missed",
        "What sets it off", "Listen: missed words", "Listen: false alarms", "yesterday",
        "Size and cost", "Estimates. Nothing was measured on these machines.", "Training loss",
        "2.0 h", "CC0-1.0", "Clopper-Pearson", "never takes more than 6 MB",
    ):  # fmt: skip
        assert part in read.text, part


def test_a_report_of_little_is_still_a_page(bundle: Bundle, tmp_path: Path) -> None:
    """One clip of each word, none heard, no training, no ledger, nothing named."""
    clips = []
    for word in ("yes", "no"):
        soundfile.write(tmp_path / f"{word}.wav", tone(1, 900), 16_000)
        clips.append(Recording(path=tmp_path / f"{word}.wav", name=word, label=word))
    few = TestSet(clips=tuple(clips), streams=())
    heard = score(cast(Detector, LoudnessDetector()), few, CONDITIONS[:1])
    found = gather(replace(bundle, training={}), few, CONDITIONS[:1], scored=heard)
    read = Reader(page(found))
    assert "The bundle does not say how it was trained." in read.text
    assert "no long sound was heard" in read.text.lower()
    assert found.words["yes"].rows["in use"]["conditions"]["clean"]["misses"] == 1


# --- files -----------------------------------------------------------------------------------


def test_the_json_beside_holds_the_same_facts_without_sounds(
    facts: ReportFacts, tmp_path: Path
) -> None:
    beside = write_report(tmp_path / "r.html", facts)
    assert beside == tmp_path / "r.json"
    data = json.loads(beside.read_text())
    assert data == json.loads(json.dumps(as_json(facts)))
    yes = data["words"]["yes"]
    assert yes["rows"] == facts.words["yes"].rows
    assert len(yes["misses"]) == len(facts.words["yes"].misses) > 0
    assert {"audio", "picture"}.isdisjoint(yes["misses"][0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.json"]


def test_the_page_never_takes_more_than_the_limit(
    facts: ReportFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {}
    for word, found in facts.words.items():
        large = replace(found.misses[0], audio="A" * 200_000)
        many[word] = replace(found, misses=(large,) * 8, alarms=(large,) * 8)
    monkeypatch.setattr(page_module, "MOST_BYTES", 2_000_000)
    write_report(tmp_path / "r.html", replace(facts, words=many))
    size = (tmp_path / "r.html").stat().st_size
    assert 800_000 < size <= 2_000_000  # some are left
    assert len(Reader((tmp_path / "r.html").read_text()).all("audio")) == 8  # of 32: 2 + 2 each


def test_a_file_name_that_is_no_text_can_be_written(facts: ReportFacts, tmp_path: Path) -> None:
    odd = replace(facts, tested="caf\udce9", words={})
    beside = write_report(tmp_path / "r.html", odd)
    assert "caf\\udce9" in (tmp_path / "r.html").read_text()
    assert json.loads(beside.read_text())["tested"] == "caf\udce9"


def test_a_bundle_of_the_same_name_is_never_overwritten(
    facts: ReportFacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.json"
    model.write_text(TINY.read_text())
    with pytest.raises(ConfigError, match=r"is no report: name the page something else"):
        write_report(tmp_path / "tiny.html", facts)
    args = [str(TINY), "--data", "x", "--html", str(tmp_path / "tiny.html"), "--force"]
    assert command.main(args) == 1
    assert "is no report" in capsys.readouterr().err
    assert model.read_text() == TINY.read_text()
    for _ in range(2):  # a report may replace one
        write_report(tmp_path / "again.html", facts)


def test_a_page_named_like_its_json_is_refused(facts: ReportFacts, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"report\.html"):
        write_report(tmp_path / "r.json", facts)


def test_the_command_writes_a_page_a_json_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("yes", "no"):
        (tmp_path / "pos" / word).mkdir(parents=True)
        soundfile.write(tmp_path / "pos" / word / "1.wav", tone(1), 16_000)
    (tmp_path / "neg").mkdir()
    soundfile.write(tmp_path / "neg" / "1.wav", tone(4), 16_000)
    args = [
        str(TINY), "--positives", str(tmp_path / "pos"), "--negatives", str(tmp_path / "neg"),
        "--html", str(tmp_path / "out" / "r.html"),
    ]  # fmt: skip
    assert command.main(args) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["r.html", "r.json"]
    data = json.loads((tmp_path / "out" / "r.json").read_text())
    assert data["settings"]["conditions"] == ["clean", "10dB-pink", "0dB-pink"]
    assert data["tested"] == "pos"
    assert "in use" in capsys.readouterr().out
    assert command.main(args) == 1
    assert "--force" in capsys.readouterr().err
    out = ["--out", str(tmp_path / "out" / "r.json"), "--force"]
    assert command.main([*args, *out]) == 1
    assert "different names" in capsys.readouterr().err


# --- facts -----------------------------------------------------------------------------------


def test_latencies_counts_and_alarms_are_those_of_the_metrics(
    facts: ReportFacts, scored: Scored, bundle: Bundle
) -> None:
    for word, found in facts.words.items():
        config = bundle.decision[word]
        for condition, late in found.latency_ms.items():
            heard = [u for u in scored.utterances[word] if u.condition == condition]
            hits = listen(heard, config)
            assert len(late) == hits.clips - hits.misses
            if late:
                assert np.percentile(late, [50, 90, 95]).tolist() == [
                    hits.median_ms, hits.p90_ms, hits.p95_ms,
                ]  # fmt: skip
        total = found.rows["in use"]["all_conditions"]["false_alarms"]
        assert sum(n for _, _, n in found.fired_on) == total > 0


def test_outcomes_are_the_counts_of_the_metrics_on_any_scores() -> None:
    rng = np.random.default_rng(4)
    indices = 480 * np.arange(1, 201)
    config = DecisionConfig(threshold=0.6, smooth_steps=2, refractory_ms=300)
    spoken, streams = [], []
    for _ in range(40):
        probs = np.clip(np.convolve(rng.normal(0.3, 0.5, 204), np.ones(5) / 5, "valid"), 0, 1)
        spoken.append(Utterance(probs=probs, indices=indices, word_start=30_000, word_end=40_000))
        streams.append(Stream(probs=probs, indices=indices, samples=96_000))
    outcomes = [outcome_of(one, config) for one in spoken]
    assert sum(not one.heard for one in outcomes) == listen(spoken, config).misses
    curve = sweep(spoken, streams, config, thresholds=[0.6])
    alarms = alarms_of(streams, config)
    assert len(alarms) == curve.false_alarms.sum() > 20
    assert [a.peak for a in alarms] == sorted((a.peak for a in alarms), reverse=True)
    assert all(a.peak >= 0.6 for a in alarms)
    near = near_alarms(streams, config, 5)
    fired = {(id(a.stream), a.index) for a in alarms}
    for one in near:
        assert all(
            abs(one.index - index) > 32_000 for stream, index in fired if stream == id(one.stream)
        )


def test_a_miss_sounds_as_the_detector_heard_it(facts: ReportFacts, test_set: TestSet) -> None:
    example = next(e for e in facts.words["yes"].misses if e.condition == "0dB-pink")
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(example.audio)), dtype="int16")
    clip = next(c for c in test_set.clips if c.name == example.file)
    samples, _ = soundfile.read(clip.path, dtype="int16")
    assert example.word_s is not None
    start = round(example.at_s * 16_000) + LEAD
    word = slice(*(start + round(at * 16_000) for at in example.word_s))
    whole = hear(frame(samples, 1), word, CONDITIONS[1], name=clip.name, seed=1)
    assert rate == 16_000
    np.testing.assert_array_equal(heard, whole[start : start + len(heard)])
    assert not example.fired
    assert example.peak == max(example.scores)


def test_a_false_alarm_sounds_like_the_recording_around_the_event(
    facts: ReportFacts, test_set: TestSet
) -> None:
    example = next(e for e in facts.words["yes"].alarms if e.file == "talk.wav" and e.fired)
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(example.audio)), dtype="int16")
    long = test_set.streams[0][1]
    samples, _ = soundfile.read(long.path, dtype="int16")
    start = round(example.at_s * 16_000)
    assert start > 0
    part = samples[start : start + len(heard)]
    np.testing.assert_array_equal(heard[: len(part)], part)
    at = round(example.event_s * 16_000)
    assert np.abs(heard[at - 1_500 : at].astype(int)).max() > 26_000  # what it fired on


def test_a_false_alarm_among_joined_words_is_named_after_its_own_clip(facts: ReportFacts) -> None:
    loud = {e.file for e in facts.words["yes"].alarms if e.fired}
    assert {"talk.wav", f"{NASTY}.wav", "no/1.wav", "no/2.wav"} <= loud
    assert loud.isdisjoint({"soft.wav", "no/0.wav", "no/3.wav"})
    assert {label for label, _, _ in facts.words["yes"].fired_on} == {"", "no", NASTY}


def test_no_more_than_two_of_a_kind_while_there_are_others() -> None:
    ranked = ["a", "a", "a", "b", "c", "a"]
    assert choose(ranked, 4, str) == [0, 1, 3, 4]
    assert choose(ranked, 6, str) == [0, 1, 2, 3, 4, 5]
    assert choose(["", "", ""], 3, str) == [0, 1, 2]


def test_a_spectrogram_is_a_small_picture_with_the_tone_where_it_is() -> None:
    from matplotlib.image import imread

    t = np.arange(32_000) / 16_000
    png = spectrogram((9_000 * np.sin(2 * np.pi * 6_000 * t)).astype(np.int16))
    picture = imread(io.BytesIO(png))
    assert picture.shape[0] == 64
    assert len(png) < 40_000
    brightest = int(picture[:, :, :3].sum(axis=(1, 2)).argmax())
    assert brightest == pytest.approx(64 - 64 * 6 / 8, abs=1)  # 6 of 8 kHz, low ones at the bottom
    assert spectrogram(np.zeros(100, np.int16)).startswith(b"\x89PNG")


def test_flac_keeps_every_sample() -> None:
    samples = tone(0.5)
    back, _ = soundfile.read(io.BytesIO(flac(samples)), dtype="int16")
    np.testing.assert_array_equal(back, samples)


def test_pitch_is_measured_and_silence_has_none() -> None:
    pytest.importorskip("parselmouth")
    t = np.arange(8_000) / 16_000
    wave = sum(np.sin(2 * np.pi * 210 * k * t) / k for k in range(1, 6))
    found = median_pitch((6_000 * np.asarray(wave)).astype(np.int16))
    assert found == pytest.approx(210, abs=2)  # one percent
    assert median_pitch(np.zeros(8_000, np.int16)) is None
    assert median_pitch(np.zeros(100, np.int16)) is None


def test_real_and_synthetic_voices_are_counted_apart() -> None:
    indices = 480 * np.arange(1, 101)
    config = DecisionConfig(threshold=0.5, smooth_steps=1)
    voices, outcomes = {}, []
    for n in range(12):
        probs = np.full(100, 0.9 if n % 2 else 0.1)
        probs[:10] = 0
        said = Utterance(probs=probs, indices=indices, word_start=0, word_end=30_000, file=str(n))
        outcomes.append(outcome_of(said, config))
        voices[str(n)] = Voice(
            origin="synthetic" if n >= 8 else "real", speaker=f"p{n % 2}",
            length_ms=400.0 + n, pitch_hz=120.0 if n % 2 else 220.0,
        )  # fmt: skip
    groups = groups_of(voices, outcomes)
    real = {g.name: g for g in groups if g.origin == "real" and g.sort == "pitch"}
    assert list(real) == ["below 130 Hz", "180 to 250 Hz"]
    assert (real["180 to 250 Hz"].shares["clean"].misses, real["180 to 250 Hz"].speakers) == (4, 1)
    assert real["below 130 Hz"].shares["clean"].misses == 0
    speakers = [g.name for g in groups if g.origin == "synthetic" and g.sort == "speaker"]
    assert speakers == ["p0", "p1"]  # most missed first
    assert not [g for g in groups if g.origin == "synthetic" and g.sort == "length"]  # 4 clips


def test_conditions_of_a_report_are_those_that_the_recordings_allow(test_set: TestSet) -> None:
    one = test_set.clips[0]
    assert [c.name for c in all_conditions(test_set)] == ["clean", "10dB-pink", "0dB-pink"]
    full = replace(test_set, noises=(one,), rirs=(one,))
    assert [c.name for c in all_conditions(full)] == ["clean", "10dB", "0dB", "reverb"]


def test_multiply_adds_are_those_of_the_graph(bundle: Bundle) -> None:
    # tests/data/make_tiny_step.py: 6 frames of 40 into 8, two GRU(8), two words
    expected = 6 * 40 * 8 + 2 * 2 * 8 * 24 + 8 * 2
    assert multiply_adds(read_graph(bundle.model_bytes)) == expected


def test_a_pi_is_estimated_from_a_pc_alone() -> None:
    pc, pi = (estimates(1e6, 1.0, machine) for machine in ("x86_64", "aarch64"))
    assert [e.machine for e in pc if e.machine.startswith("Raspberry")]
    assert not [e.machine for e in pi if e.machine.startswith("Raspberry")]
    assert all("measured" in e.basis for e in pc)


def test_peers_are_of_the_same_word_and_condition() -> None:
    assert [p.engine for p in peers_of("computer", ["clean", "10dB"])] == ["Porcupine"]
    assert peers_of("computer", ["10dB-pink"]) == []
    assert {p.condition for p in peers_of("alexa", ["clean", "0dB-pink"])} == {"clean", "0dB-pink"}


def test_the_same_recordings_give_the_same_page(
    facts: ReportFacts, bundle: Bundle, test_set: TestSet
) -> None:
    """All but the cost, which is measured anew."""
    pages = []
    for _ in range(2):
        heard = score(cast(Detector, LoudnessDetector()), test_set, CONDITIONS)
        found = gather(bundle, test_set, CONDITIONS, scored=heard, examples=2)
        pages.append(page(replace(found, cost=facts.cost)))
    assert pages[0] == pages[1]


def test_own_list_of_swallowed_words_is_taken_from_the_bundle(
    bundle: Bundle, test_set: TestSet, scored: Scored
) -> None:
    known = replace(bundle, training={"swallowed": {"no": ["nobody", "north"]}})
    found = gather(known, test_set, CONDITIONS, scored=scored, examples=0)
    assert found.words["no"].swallowed == ("nobody", "north")
    assert found.words["yes"].swallowed == ()
