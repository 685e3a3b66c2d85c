"""The assistant: from sound to an action, stage by stage, and what it says it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wakeword.assistant import STAGES, Heard, load_assistant
from wakeword.assistant_command import commands
from wakeword.cli import main
from wakeword.detector import Detection
from wakeword.errors import BundleError, ConfigError, TextError
from wakeword.sources import Chunk

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "wakeword" / "demo" / "computer.flac"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models of every stage, not trained: what they say is arbitrary, but always the same."""
    pytest.importorskip("tensorflow")
    import keras

    from wakeword.cepstra import Normaliser
    from wakeword.language import write_arpa
    from wakeword.sequence_bundle import write_sequence_bundle
    from wakeword.speech import TASK
    from wakeword.vocabulary import Vocabulary
    from wakeword_train.data.spoken import label_command
    from wakeword_train.models.acoustic import AcousticConfig, AcousticModel, to_graph
    from wakeword_train.models.sentence import SentenceConfig, SentenceNet
    from wakeword_train.sequence.sentence_export import write_sentences
    from wakeword_train.sequence.sentences import Symbols
    from wakeword_train.sequence.speech import word_model

    keras.utils.set_random_seed(1)
    place = tmp_path_factory.mktemp("models")
    letters = Vocabulary((" ", *"ENTRO"))
    net = AcousticModel(AcousticConfig(bins=13, symbols=7, channels=8, units=8, layers=1))
    write_sequence_bundle(
        place / "speech", task=TASK, graphs={"step": to_graph(net)},
        vocabularies={"letters": letters},
        settings={
            "normaliser": Normaliser.of([RNG.normal(5, 3, (50, 13)).astype(np.float32)]).to_json(),
            "stride": 4, "weight": 0.5, "bonus": 0.0,
        },
    )  # fmt: skip
    write_arpa(word_model(["ENTER ONE", "ENTER TEN"], 2), place / "speech-words.arpa")
    orders = [label_command(text.split()) for text in ("ENTER ONE", "ERASE A B TWO", "HELP")]
    symbols = Symbols.of(orders, affixes=True)
    sizes = SentenceConfig(
        embedding=4, affix=2, units=3, tags=len(symbols.tags or ()),
        labels=len(symbols.labels or ()),
    )  # fmt: skip
    made = write_sentences(
        place / "intents-commands", SentenceNet(sizes, symbols.sizes), symbols, orders,
        settings={"sure": 0.0, "lower": True}, training={}, scheme="float32",
    )  # fmt: skip
    for name in ("entities", "sentiment"):  # the same again: converting takes its time
        write_sequence_bundle(
            place / name, task=made.task, graphs=made.graphs, vocabularies=made.vocabularies,
            settings={"pool": "max", "sure": 1.0},
        )  # fmt: skip
    return place


@pytest.mark.slow
def test_a_recording_goes_through_every_stage_without_tensorflow(folder: Path) -> None:
    code = (
        "import sys; from wakeword.cli import main; "
        f"code = main(['assistant', {str(DEMO)!r}, '--models', {str(folder)!r}, '--json', "
        "'--no-wake']); "
        "heavy = {'tensorflow', 'keras', 'wakeword_train'} & {n.split('.')[0] for n in sys.modules}"
        "; sys.exit(code or len(heavy))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["transcript"]) == {"with_words", "letters_alone", "not_known"}
    assert {"cepstra", "letters", "words"} <= set(told["ms"])
    assert {"letters", "words", "intent", "entities", "sentiment"} == set(told["kB"])
    assert all(ms > 0 for ms in (told["ms"]["letters"], told["kB"]["letters"]))


@pytest.mark.slow
def test_a_text_is_read_and_doubted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    helper = load_assistant(folder)
    assert helper.missing == ("values",)
    known = helper.understand("enter one")
    assert known.domain == "commands"
    assert known.intent is not None
    assert not known.doubts
    assert known.action.startswith(f"{known.intent.label}(")
    assert known.sentiment is not None
    assert not known.sentiment.sure
    strange = helper.understand("fry the polonium slowly")
    assert strange.action == ""
    assert strange.doubts == ("knows no command with fry, the, polonium, slowly",)
    heard = helper.understand("enter one", Heard("ENTER ONE", "ENTRON O NEE", ("ENTRON", "NEE")))
    assert heard.doubts == ("heard no words that it knows: ENTRON NEE",)
    for text in ("", " ", "x" * 10_000_000):
        with pytest.raises(TextError):
            helper.understand(text)
    assert main(["assistant", "--models", str(folder), "--text", "fry the polonium"]) == 0
    told = capsys.readouterr()
    assert "not sure    knows no command with" in told.out
    assert "action      none" in told.out
    assert "no model for values" in told.err
    assert main(["assistant", "--models", str(folder), "--text", ""]) == 1
    assert "without words" in capsys.readouterr().err


@pytest.mark.slow
def test_values_come_from_who_is_plugged_in(folder: Path) -> None:
    def normalise(kind: str, words: str) -> str:
        if words == "two":
            return f"{kind} 2"
        raise TextError("no number")

    helper = load_assistant(folder, normalise=normalise)
    assert helper.missing == ()
    assert helper.intents["commands"].read("ENTER two").words == ("enter", "two")
    values = helper.understand("erase a b two").values
    assert all(value == (f"{kind} 2" if words == "two" else None) for kind, words, value in values)


@pytest.mark.slow
def test_any_chunking_is_heard_alike(folder: Path) -> None:
    helper = load_assistant(folder)
    sound = RNG.integers(-8000, 8000, 16_000).astype(np.int16)
    helper.reset()
    helper.feed(sound)
    whole = helper.finish()
    helper.reset()
    for chunk in np.array_split(sound, 33):
        helper.feed(chunk)
    assert helper.finish() == whole
    assert whole.plain
    assert set(whole.strange) <= set(whole.plain.split())


def test_what_is_missing_is_named_with_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"no such folder.*--recipe ctc`, .*--recipe intents`"):
        load_assistant(tmp_path / "absent")
    with pytest.raises(ConfigError, match="holds no model"):
        load_assistant(tmp_path)
    (tmp_path / "entities.json").write_text("{}")
    with pytest.raises(BundleError, match="kind is None"):
        load_assistant(tmp_path)
    with pytest.raises(SystemExit):
        main(["assistant", "--models", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["assistant", "--models", str(tmp_path), "--text", "go", "--no-wake"])
    assert "--no-wake is for a FILE" in capsys.readouterr().err
    assert all(stage.about for stage in STAGES.values())


class Ears:
    """Fires at samples of its own stream, as a detector would."""

    words = ("computer",)

    def __init__(self, *at: int) -> None:
        self.at = list(at)
        self.heard = 0

    def reset(self) -> None:
        self.heard = 0

    def feed(self, samples: NDArray[np.int16]) -> list[Detection]:
        self.heard += len(samples)
        if self.at and self.heard >= self.at[0]:
            return [Detection("computer", self.at.pop(0), 0.9)]
        return []


class Helper:
    """Counts what it hears."""

    recogniser = object()

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.milliseconds: dict[str, float] = {}

    def reset(self) -> None:
        self.heard.append(0)

    def feed(self, samples: NDArray[np.int16]) -> str:
        self.heard[-1] += len(samples)
        return ""

    def finish(self) -> Heard:
        return Heard(str(self.heard[-1]), "", ())


def quiet(seconds: float) -> NDArray[np.int16]:
    return RNG.integers(-5, 5, round(16_000 * seconds)).astype(np.int16)


def loud(seconds: float) -> NDArray[np.int16]:
    return RNG.integers(-9000, 9000, round(16_000 * seconds)).astype(np.int16)


def test_each_word_is_followed_by_its_command_and_then_waited_for_again() -> None:
    sound = np.concatenate([
        quiet(2), quiet(1), loud(1), quiet(2),  # a word at 2 s, then a command and a pause
        quiet(2), quiet(5),  # a word 1 s after the first command, and none after it
        quiet(1), loud(1),  # a word, and the sound breaks off
    ])  # fmt: skip
    chunks = [Chunk(samples) for samples in np.array_split(sound, len(sound) // 480)]
    helper: Any = Helper()
    ears: Any = Ears(32_000, 16_000, 68_000)
    found = list(commands(ears, helper, chunks))
    assert [heard is None for _, heard in found] == [False, True, False]
    first, second, third = (detection.sample_index for detection, _ in found)
    assert first == 32_000
    # The first command: 1 s of waiting, 1 s of speech, 0.8 s of silence. Then the stream begins
    # anew, and the word comes 1 s into it.
    assert abs(second - (32_000 + 2.8 * 16_000 + 16_000)) < 1000
    assert third > second
    assert helper.milliseconds["wake"] > 0
    assert abs(helper.heard[0] - 2.8 * 16_000) < 1000
