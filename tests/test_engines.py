"""Each engine by itself: the programs of the system, and voices of Piper made here."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wakeword.errors import ConfigError
from wakeword_train.data.lexicon import read_lexicon
from wakeword_train.synth import Recipe, find_engines, synthesize
from wakeword_train.synth.espeak import Espeak
from wakeword_train.synth.find import distinct, home_of
from wakeword_train.synth.flite import Flite, write_lexicon
from wakeword_train.synth.kokoro import MODEL_FILE, Kokoro
from wakeword_train.synth.piper import ENGLISH, Piper
from wakeword_train.synth.symbols import fit

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("onnx", "onnxruntime")),
    reason="onnx and onnxruntime are not installed",
)
WAYS = ["hˈeɪ kəmpjˈuːɾɚ", "hˈeɪ kəmpjˈuːtə", "xˈei kompjˈutɛɾ"]


def recipe(engine: str, phonemes: str, **settings: Any) -> Recipe:
    how = {"speed": 1.0, "pitch": 1.0, **settings}
    return Recipe(number=0, label="x", engine=engine, phonemes=phonemes, settings=how)


def pitch_hz(audio: np.ndarray, rate_hz: float) -> float:
    """Estimate the pitch of the loudest 60 ms from its autocorrelation, 60 to 400 Hz."""
    size = int(0.06 * rate_hz)
    power = np.convolve(audio**2, np.ones(size), mode="valid")
    frame = audio[(start := int(np.argmax(power))) : start + size]
    lags = np.correlate(frame, frame, mode="full")[size - 1 :]
    first, last = int(rate_hz / 400), int(rate_hz / 60)
    return float(rate_hz / (first + np.argmax(lags[first : min(last, size - 1)])))


@needs_espeak
def test_espeak_says_the_phonemes_that_it_is_given() -> None:
    engine = Espeak.open("en-us")
    plain = "hˈeɪ kəmpjˈuːɾɚ dʒˈɑːɹvɪs θˈɔːt tʃˈɔɪs vˈɪʒən ʔˈʌp"
    assert fit(plain, engine.sounds)[1] == {}
    # The same names, read back by the program.
    assert engine.text_of(plain).startswith("[[h|'|eI k|@|m|p")
    done = subprocess.run(
        [engine.program, "-q", "--ipa", "-v", engine.plain, engine.text_of(plain)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == plain


@needs_espeak
@pytest.mark.parametrize(("language", "sounds"), [("de", "yøçʁxpf"), ("fr-fr", "ʁyøœɲ")])
def test_espeak_has_the_sounds_of_other_languages(language: str, sounds: str) -> None:
    engine = Espeak.open(language)
    assert {v.partition("+")[0].partition("/")[0] for v in engine.voices} == {
        "gmw" if language == "de" else "roa"
    }
    assert [s for s in sounds if s not in engine.sounds and f"{s}ː" not in engine.sounds] == []


@needs_espeak
def test_espeaks_voices_differ_and_odd_ones_are_left_out() -> None:
    engine = distinct(Espeak.open("en-us"))
    assert len(engine.voices) > 60
    assert not [v for v in engine.voices if re.search("whisper|robo|klatt|mb-", v)]
    assert len({v.partition("+")[0] for v in engine.voices}) > 3


@needs_espeak
def test_a_variant_that_espeak_ignores_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    engine = Espeak.open("en-us")
    plain = engine.plain
    kept = distinct(replace(engine, voices=(plain, f"{plain}+f3", f"{plain}+nobody")))
    assert kept.voices == (plain, f"{plain}+f3")
    assert f"espeak: {plain}+nobody and {plain} sound the same" in caplog.text
    with pytest.raises(ConfigError, match="ignores them"):
        distinct(replace(engine, voices=(f"{plain}+nobody", f"{plain}+noone")))
    with pytest.raises(ConfigError, match=r"espeak-ng .*nosuch.*does not exist"):
        engine.speak(recipe("espeak", "jɛs", voice="nosuch"))


@needs_espeak
def test_espeak_heeds_speed_and_pitch() -> None:
    engine = Espeak.open("en-us")
    said = {
        name: engine.speak(recipe("espeak", WAYS[0], voice=engine.plain, **how))
        for name, how in {
            "plain": {}, "fast": {"speed": 1.35}, "slow": {"speed": 0.7},
            "high": {"pitch": 1.18}, "low": {"pitch": 0.85},
        }.items()
    }  # fmt: skip
    length = {name: len(audio) / rate_hz for name, (audio, rate_hz) in said.items()}
    assert length["fast"] < 0.85 * length["plain"] < 0.72 * length["slow"]
    hz = {name: pitch_hz(*sound) for name, sound in said.items()}
    assert 1.08 < hz["high"] / hz["plain"] < 1.3
    assert 1.08 < hz["plain"] / hz["low"] < 1.3


@needs_flite
def test_flite_says_the_phonemes_that_it_is_given(tmp_path: Path) -> None:
    """Every word of its own phonemes: the names made up for the words are never spelt out."""
    engine = Flite.open("en-us")
    words = [ipa for _, ipa in read_lexicon()[:2000:25]]
    said, changed = fit(" ".join(words), engine.sounds)
    assert changed == {}
    text, lexicon = write_lexicon(said)
    (tmp_path / "lexicon").write_text(lexicon)
    done = subprocess.run(
        [engine.program, "-add_lex", str(tmp_path / "lexicon"), "-voice", engine.voices[0],
         "-psdur", "-t", text, "-o", str(tmp_path / "out.wav")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spoken = [p.partition(":")[0] for p in done.stdout.split()]
    wanted = [p.rstrip("01") for line in lexicon.splitlines() for p in line.split()[2:]]
    assert [p for p in spoken if p != "pau"] == wanted


@needs_flite
def test_flites_voices_differ_and_one_that_does_not_exist_is_found_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Flite.open("en-us")
    assert distinct(engine) is engine
    assert not {"awb_time", "kal", "kal16"} & set(engine.voices)
    kal = replace(engine, voices=("kal", "nobody", *engine.voices))
    assert distinct(kal).voices == ("kal", *engine.voices)
    assert "nobody and kal sound the same" in caplog.text


@needs_flite
def test_flite_heeds_speed_and_pitch() -> None:
    engine = Flite.open("en-us")
    voice = engine.voices[0]
    seconds = {}
    for speed, pitch in ((1.0, 1.0), (1.35, 1.0), (1.0, 1.18)):
        audio, rate_hz = engine.speak(
            recipe("flite", WAYS[0], voice=voice, speed=speed, pitch=pitch)
        )
        seconds[speed, pitch] = len(audio) / rate_hz
        assert rate_hz == 16_000 * pitch
    assert seconds[1.35, 1.0] == pytest.approx(seconds[1.0, 1.0] / 1.35, rel=0.1)
    # A tape that runs faster, of speech that is slower by as much.
    assert seconds[1.0, 1.18] == pytest.approx(seconds[1.0, 1.0], rel=0.05)


@needs_espeak
@needs_flite
def test_the_programs_speak_the_same_clips_in_any_number_of_processes(tmp_path: Path) -> None:
    engines = find_engines(["espeak", "flite"])
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        list(synthesize({"hey": WAYS}, 8, folder, engines=engines, processes=processes))
    one, two = (sorted((tmp_path / n).rglob("*.flac")) for n in "12")
    assert [a.read_bytes() for a in one] == [b.read_bytes() for b in two]
    assert len({a.read_bytes() for a in one}) == 8


def make_voice(
    folder: Path, name: str, speakers: int = 1, *, heeds_speaker: bool = True, **says: Any
) -> Path:
    """Write a voice of Piper that hums: its input repeated, noise added, louder by speaker."""
    from onnx import TensorProto, helper, save

    node, info = helper.make_node, helper.make_tensor_value_info
    constants = [
        helper.make_tensor("repeat", TensorProto.INT64, [3], [1, 1, 200]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("flat", TensorProto.INT64, [3], [1, 1, -1]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0]),
    ]
    inputs = [
        info("input", TensorProto.INT64, [1, None]), info("input_lengths", TensorProto.INT64, [1]),
        info("scales", TensorProto.FLOAT, [3]),
    ]  # fmt: skip
    gain = "one"
    nodes = [
        node("Cast", ["input"], ["x"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["x", "last"], ["column"]),
        node("Tile", ["column", "repeat"], ["long"]),
        node("RandomNormalLike", ["long"], ["noise"]),
        node("Gather", ["scales", "first"], ["scale"]),
        node("Mul", ["noise", "scale"], ["hiss"]),
        node("Add", ["long", "hiss"], ["hum"]),
    ]
    if speakers > 1:
        inputs.append(info("sid", TensorProto.INT64, [1]))
        nodes.append(node("Cast", ["sid"], ["who"], to=TensorProto.FLOAT))
        if heeds_speaker:
            nodes.append(node("Add", ["who", "two"], ["gain"]))
            gain = "gain"
    nodes += [node("Mul", ["hum", gain], ["loud"]), node("Reshape", ["loud", "flat"], ["output"])]
    output = info("output", TensorProto.FLOAT, [1, 1, None])
    graph = helper.make_graph(nodes, "voice", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    path = folder / f"{name}.onnx"
    save(model, str(path))
    symbols = ["_", "^", "$", *sorted(ENGLISH | {"ʁ", "̃"})]
    config = {
        "audio": {"sample_rate": 22_050}, "espeak": {"voice": "en-us"}, "num_speakers": speakers,
        "phoneme_id_map": {s: [n] for n, s in enumerate(symbols)}, **says,
    }  # fmt: skip
    path.with_name(f"{name}.onnx.json").write_text(json.dumps(config))
    return path


@needs_onnx
def test_a_voice_of_piper_speaks_the_same_from_the_same_recipe(tmp_path: Path) -> None:
    engine = Piper.open([make_voice(tmp_path, "voice")], "en-us")
    assert engine.voices == ("voice",)
    first, second = (engine.draw(n, "hey", WAYS, 1) for n in (0, 1))
    audio, rate_hz = engine.speak(first)
    assert rate_hz == pytest.approx(22_050 * first.settings["pitch"])
    other, _ = engine.speak(second)
    again, _ = engine.speak(first)  # whatever was spoken in between
    np.testing.assert_array_equal(audio, again)
    quiet = replace(first, settings=dict(first.settings) | {"noise_scale": 0.0})
    hiss = audio - engine.speak(quiet)[0]
    assert hiss.std() == pytest.approx(first.settings["noise_scale"], rel=0.1)
    reseeded = replace(first, settings=dict(first.settings) | {"noise": 1})
    assert not np.array_equal(engine.speak(reseeded)[0], audio)
    assert not np.array_equal(other, audio)


@needs_onnx
def test_every_speaker_of_a_file_is_a_voice(tmp_path: Path) -> None:
    many, one = make_voice(tmp_path, "many", 40), make_voice(tmp_path, "one")
    engine = distinct(Piper.open([many, one], "en-us"))
    assert engine.voices == (*(f"many#{n}" for n in range(40)), "one")
    how = {"noise": 0, "noise_scale": 0.0, "noise_w": 0.0}
    loud = [
        np.abs(engine.speak(recipe("piper", "hɛ", voice=f"many#{n}", **how))[0]).max()
        for n in (0, 1, 39)
    ]
    assert loud == pytest.approx([loud[0], loud[0] * 3 / 2, loud[0] * 41 / 2])


@needs_onnx
def test_a_file_that_ignores_the_speaker_is_found_out(tmp_path: Path) -> None:
    deaf = make_voice(tmp_path, "deaf", 4, heeds_speaker=False)
    with pytest.raises(ConfigError, match="piper says the same with each of its 4 voices"):
        distinct(Piper.open([deaf], "en-us"))


@needs_onnx
def test_an_english_voice_is_given_the_sounds_that_it_learned(tmp_path: Path) -> None:
    english = make_voice(tmp_path, "english")
    french = make_voice(tmp_path, "french", espeak={"voice": "fr"})
    joined = make_voice(tmp_path, "joined", vowel_clusters=[["e", "ɪ"]])
    assert "ʁ" not in Piper.open([english], "en-gb").sounds
    assert "ʁ" in Piper.open([french], "fr-fr").sounds
    assert "eɪ" not in Piper.open([joined], "en-us").sounds  # no number for it
    assert "_" not in Piper.open([english], "en-us").sounds


@needs_onnx
def test_voices_of_piper_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    good = make_voice(tmp_path, "good")
    with pytest.raises(ConfigError, match=r"none\.onnx is missing: a voice is NAME\.onnx and"):
        Piper.open([tmp_path / "none.onnx"], "en-us")
    with pytest.raises(ConfigError, match="never learned the sounds of de"):
        Piper.open([good], "de")
    with pytest.raises(ConfigError, match="takes pinyin, not phonemes"):
        Piper.open([make_voice(tmp_path, "zh", phoneme_type="pinyin")], "en-us")
    (tmp_path / "more").mkdir()
    with pytest.raises(ConfigError, match="two files have this name"):
        Piper.open([good, make_voice(tmp_path / "more", "good")], "en-us")
    damaged = make_voice(tmp_path, "damaged")
    damaged.write_bytes(damaged.read_bytes()[:300])
    engine = Piper.open([damaged], "en-us")
    with pytest.raises(ConfigError, match="damaged, or no voice of Piper"):
        engine.speak(engine.draw(0, "hey", WAYS, 1))
    for text in ("{", "{}", "[]", '{"espeak": {}}'):
        other = make_voice(tmp_path, f"other{len(text)}")
        other.with_name(other.name + ".json").write_text(text)
        with pytest.raises(ConfigError, match="not the description of a voice"):
            Piper.open([other], "en-us")


@needs_onnx
def test_a_folder_of_voices_is_searched_and_files_are_added(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    make_voice(tmp_path / "folder", "near")
    (tmp_path / "folder" / "stray.onnx").write_bytes(b"")  # without its description
    make_voice(tmp_path / "folder", "german", espeak={"voice": "de"})
    far = make_voice(tmp_path, "far", 2)
    twice = tmp_path / "folder" / "near.onnx"
    (engine,) = find_engines(["piper"], voices=tmp_path / "folder", piper=[far, twice])
    assert engine.voices == ("near", "far#0", "far#1")


def test_kokoros_files_are_looked_for_and_looked_into(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{MODEL_FILE} is missing: fetch .*--download kokoro"):
        Kokoro.open(tmp_path)
    if importlib.util.find_spec("kokoro_onnx") is None:
        return
    for name in (MODEL_FILE, "voices-v1.0.bin"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ConfigError, match=r"voices-v1.0.bin: damaged .*--force"):
        Kokoro.open(tmp_path)
    np.savez(tmp_path / "voices.npz", a=np.zeros((510, 1, 256), np.float32))
    (tmp_path / "voices.npz").replace(tmp_path / "voices-v1.0.bin")
    engine = Kokoro.open(tmp_path.resolve() / "." / "")
    assert engine.voices == ("a",)
    with pytest.raises(ConfigError, match=r"int8.onnx: damaged .*--force"):
        engine.speak(engine.draw(0, "hey", WAYS, 1))


@pytest.mark.skipif(
    not (home_of("kokoro") / MODEL_FILE).is_file()
    or importlib.util.find_spec("kokoro_onnx") is None,
    reason="Kokoro is not installed where `wakeword synth --download kokoro` puts it",
)
def test_kokoro_speaks_the_same_twice() -> None:
    (engine,) = find_engines(["kokoro"])
    assert len(engine.voices) == 54
    assert not fit("ˈaɪ ʤˈʌst wˈɔːʔɐ ʈɖʋɾʁβ", engine.sounds)[1]
    one = engine.draw(3, "hey", WAYS, 1)
    audio, rate_hz = engine.speak(one)
    assert rate_hz == 24_000
    assert 0.4 < len(audio) / rate_hz < 3
    np.testing.assert_array_equal(engine.speak(one)[0], audio)
