"""The benchmark of accuracy: what it hears, keeps, counts and says. Peers are not needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.decide import DecisionConfig
from wakeword.errors import ConfigError
from wakeword.metrics import Stream, Utterance, listen, sweep
from wakeword_train.conditions import LEAD, hiss, parse_condition
from wakeword_train.scoring import OTHER_WORDS, SAME_WORDS, score
from wakeword_train.testset import TestSet, read_corpus

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("scipy", reason="rooms need the extra `train`")

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "data" / "tiny_step.json"
CONDITIONS = [parse_condition(name) for name in ("clean", "0dB", "reverb-10dB-pink")]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The programs' modules, which find each other in their folder."""
    names = ("accuracy", "accuracy_page", "listeners", "scores")
    monkeypatch.setattr(sys, "path", [str(ROOT / "bench"), *sys.path])
    return {name: __import__(name) for name in names}


def noise(seconds: float, seed: int, level: float = 3_000) -> NDArray[np.int16]:
    count = round(16_000 * seconds)
    t = np.arange(count)
    burst = (t > 0.25 * count) & (t < 0.75 * count)
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(0, level, count) * burst + rng.normal(0, 5, count)).astype(np.int16)


# --- openWakeWord, where it is installed --------------------------------------------------------


def loud(seconds: float) -> NDArray[np.int16]:
    """A frame's second of hiss, then noise whose level moves."""
    count = round(16_000 * seconds)
    sound = np.random.default_rng(3).normal(0, 2_000, count) * np.sin(np.arange(count) / 2_000)
    return np.concatenate([hiss(1, LEAD), np.rint(sound).astype(np.int16)])


def test_openwakeword_scores_are_its_own_and_start_with_the_recording(
    bench: dict[str, ModuleType],
) -> None:
    peer = pytest.importorskip("pyopen_wakeword", reason="compares with pyopen-wakeword")
    audio = loud(1.5)
    engine = bench["listeners"].OpenWakeWord("alexa")
    probs, indices = engine.scores(audio)
    assert probs.shape == (len(indices), 1)
    assert indices.tolist() == list(range(480, len(audio) + 1, 1_280))
    # their own loop and autofill, on the same lead and audio, in their own chunks
    lead = np.concatenate([audio[:LEAD], audio[:LEAD][::-1]])
    word = peer.OpenWakeWord.from_builtin(peer.Model.ALEXA)
    features = peer.OpenWakeWordFeatures.from_builtin()
    whole = np.concatenate([lead, audio])
    theirs = [
        prob
        for at in range(0, len(whole), 1_024)
        for found in features.process_streaming(whole[at : at + 1_024].tobytes())
        for prob in word.process_streaming(found)
    ]
    np.testing.assert_array_equal(probs[:, 0], np.array(theirs, np.float32)[-len(indices) :])
    assert np.ptp(probs) > 0  # there is something to compare
    # any chunking, and a reset, give the same
    engine.reset()
    cuts = [LEAD, 17_003, 17_003, 30_000]
    parts = [engine.scores(chunk) for chunk in np.split(audio, cuts)]
    np.testing.assert_array_equal(np.concatenate([p for p, _ in parts]), probs)
    np.testing.assert_array_equal(np.concatenate([i for _, i in parts]), indices)


def test_openwakeword_hears_nothing_of_what_comes_after_a_score(
    bench: dict[str, ModuleType],
) -> None:
    pytest.importorskip("pyopen_wakeword", reason="compares with pyopen-wakeword")
    engine = bench["listeners"].OpenWakeWord("alexa")
    audio = loud(1)
    probs, indices = engine.scores(audio)
    at = int(indices[15])
    changed = audio.copy()
    changed[at:] = 20_000
    engine.reset()
    after, _ = engine.scores(changed)
    np.testing.assert_array_equal(after[:16], probs[:16])
    assert not np.array_equal(after[16:], probs[16:])


# --- pieces --------------------------------------------------------------------------------------


class Loudness:
    """Stands for a detector of "yes": the score is the peak of each 30 ms."""

    words = ("yes",)

    def reset(self) -> None:
        self.rest, self.heard = np.zeros(0, np.int16), 0

    def scores(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        data = np.concatenate([self.rest, samples])
        steps = len(data) // 480
        self.rest = data[steps * 480 :]
        peaks = np.abs(data[: steps * 480].reshape(steps, 480).astype(float)).max(axis=1) / 32_768
        first, self.heard = self.heard, self.heard + steps * 480
        return peaks[:, None].astype(np.float32), first + 480 * np.arange(1, steps + 1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the word, others of the same and of another collection, streams, noise, a room."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [  # kind, label, collection, seconds
        *(("wake", "yes", "chain", 0.8) for _ in range(3)),
        *(("wake", "no", "chain", 0.8) for _ in range(2)),
        ("wake", "say_yes", "chain", 0.8),
        ("command", "bed", "street", 0.8),
        ("speech", "reader", "book", 3.0),
        ("speech", "reader", "book", 2.0),
        ("noise", "fan", "home", 4.0),
        ("rir", "hall", "rooms", 0.2),
    ]
    manifest = ["file\tstart_s\tdur_s\tkind\tlabel\tspeaker\tlicence\tsource"]
    splits = ["file\tsplit"]
    for number, (kind, label, source, seconds) in enumerate(rows):
        file = f"{kind}_{number}.wav"
        samples = noise(seconds, seed=number, level=2_000 + 300 * number)
        if kind == "rir":
            samples[0] = 32_000
        soundfile.write(folder / file, samples, 16_000, subtype="PCM_16")
        manifest.append(f"{file}\t0\t{seconds}\t{kind}\t{label}\tp1\tCC0-1.0\t{source}/{number}")
        splits.append(f"{file}\ttest")
    (folder / "manifest.tsv").write_text("\n".join(manifest) + "\n")
    (folder / "splits.tsv").write_text("\n".join(splits) + "\n")
    return folder


@pytest.fixture
def recordings(corpus: Path) -> TestSet:
    return read_corpus(corpus, corpus / "splits.tsv", "test")


def engine_of(bench: dict[str, ModuleType], **changes: Any) -> Any:
    made = bench["listeners"].Engine(
        name="loudness", ours=True, label="yes", config=DecisionConfig(smooth_steps=1),
        strict=False, digest="a", open=Loudness,
    )  # fmt: skip
    return replace(made, **changes)


def summary(one: Utterance | Stream) -> tuple[Any, ...]:
    about = (
        (one.word_start, one.word_end, one.tolerance, one.condition)
        if isinstance(one, Utterance)
        else (one.samples, one.part)
    )
    return (*about, one.source, one.probs.tolist(), one.indices.tolist())


def test_pieces_together_are_one_scoring_of_everything(
    bench: dict[str, ModuleType],
    recordings: TestSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench["scores"], "CLIPS", 2)
    monkeypatch.setattr(bench["scores"], "NEGATIVES", 1)
    marks: list[tuple[str, int, int]] = []
    ((utterances, streams),) = bench["scores"].score_all(
        [engine_of(bench)], recordings, CONDITIONS, work=tmp_path, seed=4,
        progress=lambda *mark: marks.append(mark),
    )  # fmt: skip
    # two pieces per condition, two other words, three streams
    assert marks == [("pieces", n, 11) for n in range(12)]
    whole = score(Loudness(), recordings, CONDITIONS, seed=4)  # type: ignore[arg-type]
    expected = [u for c in CONDITIONS for u in whole.utterances["yes"] if u.condition == c.name]
    assert [summary(u) for u in utterances] == [summary(u) for u in expected]
    assert [summary(s) for s in streams] == [summary(s) for s in whole.streams["yes"]]
    assert [s.part for s in streams] == [SAME_WORDS, OTHER_WORDS, "speech", "speech", "noise"]


def test_what_is_there_is_not_heard_again_and_what_changed_is(
    bench: dict[str, ModuleType], corpus: Path, recordings: TestSet, tmp_path: Path
) -> None:
    opened: list[str] = []

    def run(conditions: Any = CONDITIONS, seed: int = 1, digest: str = "a") -> int:
        """Return how many pieces were heard."""
        opened.clear()

        def opening() -> Loudness:
            opened.append(digest)
            return Loudness()

        engine = engine_of(bench, digest=digest, open=opening)
        bench["scores"].score_all([engine], recordings, conditions, work=tmp_path, seed=seed)
        return len(opened)

    assert run() == 5  # three conditions, other words, streams
    assert run() == 0
    assert run(conditions=CONDITIONS[:2]) == 0
    assert run(conditions=[parse_condition("-5dB")]) == 1
    assert run(seed=2) == 5
    assert run(digest="b") == 5
    some = next(iter(tmp_path.glob("*.npz")))
    some.unlink()
    (tmp_path / ".part-killed").write_bytes(b"half")
    again = [run(), run(seed=2), run(digest="b"), run(conditions=[parse_condition("-5dB")])]
    assert sum(again) == 1
    # another recording under the same name: only the pieces that hear it
    own = recordings.clips[0].path
    content = own.read_bytes()
    soundfile.write(own, noise(0.8, seed=99), 16_000, subtype="PCM_16")
    changed = run()
    own.write_bytes(content)
    assert changed == 5  # it is in every piece of the word, and tells the negatives their chain
    assert run() == 0


def test_a_damaged_piece_is_named(
    bench: dict[str, ModuleType], recordings: TestSet, tmp_path: Path
) -> None:
    bench["scores"].score_all([engine_of(bench)], recordings, CONDITIONS, work=tmp_path)
    piece = sorted(tmp_path.glob("*.npz"))[0]
    piece.write_bytes(piece.read_bytes()[:200])
    with pytest.raises(ConfigError, match=rf"{piece.name}: a damaged piece.*delete it"):
        bench["scores"].score_all([engine_of(bench)], recordings, CONDITIONS, work=tmp_path)


def test_what_is_missing_is_said_before_anything_is_heard(
    bench: dict[str, ModuleType], recordings: TestSet, tmp_path: Path
) -> None:
    def run(some: TestSet, **changes: Any) -> None:
        engine = engine_of(bench, **changes)
        bench["scores"].score_all([engine], some, CONDITIONS, work=tmp_path)

    with pytest.raises(ConfigError, match=r"'0dB' needs recordings of noise.*--conditions"):
        run(replace(recordings, noises=()))
    with pytest.raises(ConfigError, match="'reverb-10dB-pink' needs recordings of impulse"):
        run(replace(recordings, rirs=()))
    with pytest.raises(ConfigError, match="'maybe'; there are: bed, no, say_yes, yes"):
        run(recordings, label="maybe")
    assert not list(tmp_path.glob("*.npz"))


# --- counting ------------------------------------------------------------------------------------


def utterance(peak: float, condition: str = "clean") -> Utterance:
    """One recording whose word scores ``peak``."""
    probs = np.zeros(100, np.float32)
    probs[50] = peak
    indices = 480 * np.arange(1, 101)
    return Utterance(
        probs=probs, indices=indices, word_start=16_000, word_end=24_000, condition=condition
    )


def stream(peaks: list[float], part: str, hours: float = 1.0) -> Stream:
    """Sound with a peak every 3 s."""
    probs = np.zeros(100 * len(peaks) + 100, np.float32)
    probs[50 : 50 + 100 * len(peaks) : 100] = peaks
    indices = 480 * np.arange(1, len(probs) + 1)
    return Stream(probs=probs, indices=indices, samples=round(hours * 57_600_000), part=part)


@pytest.mark.parametrize("strict", [False, True])
def test_the_lowest_threshold_holds_each_part_and_a_lower_one_does_not(
    bench: dict[str, ModuleType], strict: bool
) -> None:
    engine = engine_of(bench, strict=strict)
    words = [utterance(p) for p in (0.3, 0.6, 0.7012, 0.9)]
    # 0.5 per hour: one event in 2 h, none in 1 h
    held = [stream([0.8, 0.701, 0.2], "speech", 2.0), stream([0.65, 0.64], "words", 1.0)]
    found = bench["accuracy"].lowest_holding(words, held, engine, 0.5)
    assert found == pytest.approx(0.701, abs=1e-6)

    def counts(threshold: float) -> list[int]:
        curve = sweep(words, held, engine.config, thresholds=[threshold], strict=strict)
        return [int(n) for n in curve.false_alarms[0]]

    assert counts(found) == [1, 0]
    assert counts(float(np.nextafter(found, 0))) == [2, 0]
    # just above the false alarm: a word a hair louder than it is heard
    assert listen(words, engine.config.with_threshold(found), strict=strict).misses == 2


def test_no_threshold_holds_where_a_false_alarm_is_certain(bench: dict[str, ModuleType]) -> None:
    held = [stream([1.0], "speech")]
    assert bench["accuracy"].lowest_holding([utterance(1.0)], held, engine_of(bench), 0.5) is None


def counted(
    bench: dict[str, ModuleType], name: str, ours: bool, clean: list[float], pink: list[float],
    alarm: float = 0.4,
) -> Any:  # fmt: skip
    words = [utterance(p) for p in clean] + [utterance(p, "0dB-pink") for p in pink]
    streams = [
        stream([alarm], "speech"), stream([0.1], SAME_WORDS), stream([0.99, 0.98], "noise", 0.1),
    ]  # fmt: skip
    conditions = [parse_condition("clean"), parse_condition("0dB-pink")]
    return bench["accuracy"].count(
        engine_of(bench, name=name, ours=ours), (words, streams), conditions,
        ["speech", SAME_WORDS], 0.5,
    )  # fmt: skip


def test_both_thresholds_are_counted_in_every_condition_and_part(
    bench: dict[str, ModuleType],
) -> None:
    row = counted(bench, "x", True, clean=[0.9, 0.45, 0.3], pink=[0.6, 0.2, 0.45])
    shipped, lowest = row["rows"]["shipped"], row["rows"]["lowest"]
    assert shipped["threshold"] == 0.5
    assert lowest["threshold"] == pytest.approx(0.4)
    assert [shipped["conditions"][c]["misses"] for c in ("clean", "0dB-pink")] == [2, 2]
    assert [lowest["conditions"][c]["misses"] for c in ("clean", "0dB-pink")] == [1, 1]
    # noise is shown, not held
    assert {p: r["false_alarms"] for p, r in lowest["false_alarms"].items()} == {
        "speech": 0, SAME_WORDS: 0, "noise": 2,
    }  # fmt: skip
    assert lowest["unverified"] == ["speech", SAME_WORDS, "noise"]  # 1 h, 1 h and 0.1 h
    curve = row["curve"]
    assert curve["hours"] == 2.0  # of the parts held
    assert (curve["misses"]["clean"][-1], curve["false_alarms"][-1]) == (3, 0)
    assert json.loads(json.dumps(row)) == row


def test_a_part_that_is_not_there_cannot_be_held(bench: dict[str, ModuleType]) -> None:
    heard = ([utterance(0.9)], [stream([0.1], "speech")])
    with pytest.raises(ConfigError, match="--hold 'music': of 'yes' there is only speech"):
        bench["accuracy"].count(engine_of(bench), heard, CONDITIONS[:1], ["music"], 0.5)


def test_ratios_are_to_the_better_peer_of_each_condition(bench: dict[str, ModuleType]) -> None:
    rows = [
        counted(bench, "ours", True, clean=[0.9, 0.3, 0.9, 0.9], pink=[0.45] * 4),
        counted(bench, "one", False, clean=[0.3, 0.3, 0.9, 0.9], pink=[0.3] * 4),
        counted(bench, "two", False, clean=[0.3] * 4, pink=[0.9] * 4),
        counted(bench, "deaf", False, clean=[0.9] * 4, pink=[0.9] * 4, alarm=1.0),  # holds never
    ]
    shipped, lowest = bench["accuracy"].ratios(rows, ["clean", "0dB-pink"])
    assert [r["kind"] for r in (shipped, lowest)] == ["shipped", "lowest"]
    clean, pink = (lowest["conditions"][c] for c in ("clean", "0dB-pink"))
    assert (clean["peer"], clean["ratio"]) == ("one", 0.5)
    assert (pink["peer"], pink["ratio"]) == ("two", None)  # theirs missed none: no ratio
    assert (pink["ours"]["misses"], pink["theirs"]["misses"]) == (0, 0)
    assert shipped["conditions"]["0dB-pink"]["ours"]["misses"] == 4
    assert shipped["conditions"]["0dB-pink"]["theirs"]["misses"] == 0
    assert bench["accuracy"].ratios(rows[1:], ["clean"]) == []  # peers alone


def test_the_page_and_the_picture_say_what_was_counted(bench: dict[str, ModuleType]) -> None:
    rows = [
        counted(bench, "ours", True, clean=[0.9, 0.3, 0.9, 0.9], pink=[0.45] * 4),
        counted(bench, "one", False, clean=[0.3, 0.3, 0.9, 0.9], pink=[0.3] * 4),
        counted(bench, "deaf", False, clean=[0.9] * 4, pink=[0.9] * 4, alarm=1.0),
    ]
    names = ["clean", "0dB-pink"]
    parts = {p: r["hours"] for p, r in rows[0]["rows"]["shipped"]["false_alarms"].items()}
    word = {
        "clips": 4, "parts": parts, "unverified": ["speech"], "engines": rows,
        "ratios": bench["accuracy"].ratios(rows, names),
    }  # fmt: skip
    run = {
        "command": "python bench/accuracy.py", "date": "2026-01-01", "machine": "m",
        "versions": "v", "fa_per_hour": 0.5, "hold": ["speech", SAME_WORDS], "conditions": names,
        "words": {"yes": word},
    }  # fmt: skip
    text = bench["accuracy_page"].page(run, "yes", "accuracy-yes.png")
    assert "| ours, lowest 0.400 | 25.0 (0.6-80.6) | 0.0 (0.0-60.2) |" in text
    assert "| deaf, lowest | none holds | none holds |" in text
    assert f"| speech *, 1.00 h | {SAME_WORDS} *, 1.00 h | noise, 0.10 h |" in text
    assert "| one, shipped 0.500 | 0 (0-3.7) | 0 (0-3.7) | 2 (2.4-72) |" in text
    assert "| ours, lowest | 1/2 = 0.50: 25.0 (0.6-80.6) over 50.0 (6.8-93.2) |" in text
    assert "which flatters" in text
    assert "![Misses against false alarms of yes](accuracy-yes.png)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4, 5}  # two conditions, or three parts
    pytest.importorskip("matplotlib", reason="pictures need the extra `plot`")
    png = bench["accuracy_page"].picture(run, "yes")
    assert png.startswith(b"\x89PNG")
    assert len(png) < 100_000


# --- the command ---------------------------------------------------------------------------------


def test_the_command_hears_in_processes_writes_and_goes_on(
    bench: dict[str, ModuleType], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, numbers = tmp_path / "docs" / "ACCURACY.md", tmp_path / "out.json"
    args = [
        "--bundle", f"{TINY}:yes", "--data", str(corpus), "--splits", str(corpus / "splits.tsv"),
        "--conditions", "clean,0dB", "--work", str(tmp_path / "work"), "--json", str(numbers),
        "--markdown", str(page), "--processes", "2",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "accuracy.py"), *args],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pieces: 4 of 4" in done.stderr
    result = json.loads(numbers.read_text())
    word = result["words"]["yes"]
    assert word["clips"] == 3
    # "no" of the same chain, "bed" of another; "say_yes" is neither; gaps and frames do not count
    assert word["parts"] == pytest.approx(
        {SAME_WORDS: 1.6 / 3600, OTHER_WORDS: 0.8 / 3600, "speech": 5 / 3600, "noise": 4 / 3600}
    )
    assert [e["name"] for e in word["engines"]] == ["wakeword, tiny_step"]
    assert word["ratios"] == []
    text = page.read_text()
    assert text.startswith("# Accuracy")
    assert "<!-- accuracy yes: begin -->" in text
    assert "--bundle tiny_step.json:yes --data DIR --split test" in text
    assert str(tmp_path) not in text
    assert str(ROOT) not in text
    assert bench["accuracy"].main(args) == 0
    assert capsys.readouterr().err == "pieces: 4 of 4\n"
    assert json.loads(numbers.read_text())["words"] == result["words"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--bundle", f"{TINY}:maybe"], "'maybe': .* has only yes, no"),
        (["--bundle", "nothing.json"], "nothing.json"),
        (["--word", "xylophone"], "no engine has it: name a bundle with --bundle"),
        (["--bundle", f"{TINY}:yes", "--conditions", "loud"], "use clean"),
        (["--bundle", f"{TINY}:yes", "--split", "dev"], "'dev': train, dev or test"),
    ],
)
def test_what_is_wrong_is_one_line(
    bench: dict[str, ModuleType], corpus: Path, tmp_path: Path, args: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    code = bench["accuracy"].main(
        ["--data", str(corpus), "--splits", str(corpus / "splits.tsv"), "--work", str(tmp_path),
         *args]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert printed.err.startswith("accuracy.py: ")
    assert re.search(said, printed.err)
    assert printed.err.count("\n") == 1


def test_a_picture_needs_a_page_to_lie_beside(
    bench: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench["accuracy"].main(["--data", "x", "--plot"])
    assert "--markdown" in capsys.readouterr().err
