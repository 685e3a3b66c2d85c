"""Speaking clips: who speaks which, the same clips whatever happens, and what goes wrong."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wakeword.errors import AudioFormatError, ConfigError, WakewordError
from wakeword_train.cli import main
from wakeword_train.synth import (
    engines_of,
    find_engines,
    plan,
    read_manifest,
    spoken_of,
    synthesize,
)
from wakeword_train.synth.find import distinct
from wakeword_train.synth.kokoro import draw_recipe, style_of
from wakeword_train.synth.recipe import Engine, MissingEngineError, Recipe, choose_engine, draw
from wakeword_train.synth.symbols import fit, fit_all

VOICES = ["af_one", "bm_two", "jf_three"]
SAY = {"yes": ["jˈɛs"], "oh no": ["ˈoʊ nˈoʊ", "ˈəʊ nˈəʊ"]}


@dataclass(frozen=True)
class Beeper:
    """An engine that beeps: each voice has its pitch, each letter its length."""

    name: str = "beeper"
    voices: tuple[str, ...] = ("low", "middle", "high")
    sounds: Collection[str] = frozenset("jˈɛsoʊnə .,!?")
    deaf: bool = False  # speaks with one voice whichever it is asked for
    broken: str = ""
    reads: tuple[Path, ...] = ()

    def draw(self, number: int, label: str, spellings: Sequence[str], seed: int) -> Recipe:
        return draw(self, number, label, spellings, seed)[0]

    def speak(self, recipe: Recipe) -> tuple[NDArray[np.float32], float]:
        if self.broken == "silent":
            return np.zeros(1000, np.float32), 8000.0
        if self.broken == "nan":
            return np.full(1000, np.nan, np.float32), 8000.0
        hz = 200 * (1 if self.deaf else 1 + self.voices.index(recipe.settings["voice"]))
        times = np.arange(800 * len(recipe.phonemes)) / 8000 * recipe.settings["pitch"]
        return np.sin(2 * np.pi * hz * times).astype(np.float32), 8000.0

    def fingerprints(self) -> dict[str, bytes]:
        PROBES[self.name] += 1
        return {v: b"same" if self.deaf else v.encode()[:1] for v in self.voices}


PROBES: Counter[str] = Counter()


def speak_all(out: Path, count: int = 6, **more: object) -> list[tuple[int, int]]:
    settings = {"engines": [Beeper()], "seed": 1, "processes": 1, **more}
    return list(synthesize(SAY, count, out, **settings))  # type: ignore[arg-type]


def files(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_kokoros_recipes_are_what_they_were() -> None:
    """Drawn from seed and number alone; clips of older versions can be made again."""
    assert draw_recipe(7, "yes", ["jˈɛs", "jˈæs"], VOICES, seed=1).row() == {
        "number": 7, "label": "yes", "engine": "kokoro", "phonemes": "jˈæs",
        "timbre": ["af_one", "bm_two"], "mix": 1.02, "prosody": "af_one", "speed": 0.956,
    }  # fmt: skip
    assert draw_recipe(11, "oh no", ["a", "b", "c"], VOICES, seed=9).row() == {
        "number": 11, "label": "oh no", "engine": "kokoro", "phonemes": "a.",
        "timbre": ["af_one", "jf_three"], "mix": 0.356, "prosody": "bm_two", "speed": 0.701,
    }  # fmt: skip
    others = [draw_recipe(n, "yes", ["jˈɛs"], VOICES, seed=1).settings for n in range(50)]
    assert len({(*s["timbre"], s["mix"], s["speed"]) for s in others}) == 50
    assert all(-0.35 <= s["mix"] <= 1.35 and 0.7 <= s["speed"] <= 1.35 for s in others)


def test_styles_mix_timbre_and_borrow_prosody() -> None:
    tables = {v: np.full((510, 1, 256), i, np.float32) for i, v in enumerate(VOICES)}
    settings = draw_recipe(0, "yes", ["jˈɛs"], VOICES, seed=2).settings
    style = style_of(settings, tables)
    first, second = (VOICES.index(v) for v in settings["timbre"])
    expected = (1 - settings["mix"]) * first + settings["mix"] * second
    np.testing.assert_allclose(style[..., :128], expected, rtol=1e-6)
    np.testing.assert_array_equal(style[..., 128:], VOICES.index(settings["prosody"]))
    assert (tables[VOICES[0]] == 0).all()  # the tables are not written to


def test_other_engines_vary_voice_speed_pitch_spelling_and_punctuation() -> None:
    recipes = [Beeper().draw(n, "oh no", SAY["oh no"], seed=3) for n in range(200)]
    assert {r.settings["voice"] for r in recipes} == {"low", "middle", "high"}
    assert {r.phonemes.rstrip(".,!?") for r in recipes} == set(SAY["oh no"])
    assert {r.phonemes[-1] for r in recipes} == set(".,!?ʊ")
    for name, low, high in (("speed", 0.7, 1.35), ("pitch", 0.85, 1.18)):
        values = [r.settings[name] for r in recipes]
        assert low <= min(values) < low + 0.05
        assert high - 0.05 < max(values) <= high


def test_shares_say_how_often_each_engine_speaks() -> None:
    engines: list[Engine] = [Beeper("kokoro"), Beeper("piper"), Beeper("espeak"), Beeper("flite")]
    recipes = plan({"yes": ["jˈɛs"]}, 2000, engines=engines)
    spoken = Counter(r.engine for r in recipes)
    # Of 21 shares 16, 4, .6 and .4; 3 standard deviations are at most 3 % of 2000.
    for name, share in (("kokoro", 16), ("piper", 4), ("espeak", 0.6), ("flite", 0.4)):
        assert spoken[name] == pytest.approx(2000 * share / 21, abs=60)
    only = plan({"yes": ["jˈɛs"]}, 50, engines=engines, shares={"kokoro": 1e9})
    assert {r.engine for r in only} == {"kokoro"}


def test_another_engine_takes_clips_and_changes_no_other() -> None:
    few: list[Engine] = [Beeper("kokoro"), Beeper("flite")]
    before = plan(SAY, 200, engines=few)
    after = plan(SAY, 200, engines=[Beeper("piper"), *few])
    kept = [(b, a) for b, a in zip(before, after, strict=True) if a.engine != "piper"]
    assert 100 < len(kept) < 400
    assert all(b == a for b, a in kept)
    assert choose_engine(few, 5, "yes", 1, {}) is choose_engine(few[::-1], 5, "yes", 1, {})


def test_any_number_of_processes_and_any_break_gives_the_same_bytes(tmp_path: Path) -> None:
    how = {"engines": [Beeper("kokoro"), Beeper("flite")], "shares": {"kokoro": 2.0}}
    assert speak_all(tmp_path / "one", 40, **how)[-1] == (80, 80)
    whole = files(tmp_path / "one")
    assert len(whole) == 81
    broken = synthesize(SAY, 40, tmp_path / "two", seed=1, processes=2, **how)  # type: ignore[arg-type]
    assert [next(broken)[0] for _ in range(4)] == [0, 1, 2, 3]
    broken.close()
    assert 0 < len(read_manifest(tmp_path / "two")) < 80
    speak_all(tmp_path / "two", 40, **how | {"engines": how["engines"][::-1], "processes": 2})
    assert files(tmp_path / "two") == whole
    speak_all(tmp_path / "few", 20, **how)  # fewer clips are the first of them
    few = {f: b for f, b in files(tmp_path / "few").items() if f.endswith("flac")}
    assert few.items() <= whole.items()


def test_a_clip_is_a_16_khz_flac_and_its_recipe_a_row(tmp_path: Path) -> None:
    speak_all(tmp_path)
    rows = read_manifest(tmp_path)
    assert rows[1]["file"] == "oh_no/00000.flac"
    assert set(rows[0]) == {
        "file", "number", "label", "engine", "phonemes", "voice", "speed", "pitch"
    }  # fmt: skip
    audio, rate_hz = soundfile.read(tmp_path / rows[0]["file"])
    assert rate_hz == 16_000
    assert np.abs(audio).max() == pytest.approx(0.5, abs=1e-4)  # 16 bits
    count, hours = spoken_of(tmp_path)
    assert count == 12
    assert hours == pytest.approx(
        sum(800 * len(r["phonemes"]) / 8000 for r in rows) / 3600, rel=0.01
    )
    assert engines_of(tmp_path) == {"beeper": 12}


def test_what_is_there_is_not_spoken_again(tmp_path: Path) -> None:
    speak_all(tmp_path)
    (tmp_path / "yes/00003.flac").unlink()
    times = {f: p.stat().st_mtime_ns for f in files(tmp_path) if (p := tmp_path / f)}
    assert speak_all(tmp_path) == [(11, 12), (12, 12)]
    changed = [f for f in files(tmp_path) if (tmp_path / f).stat().st_mtime_ns != times.get(f)]
    assert changed == ["yes/00003.flac"]


def test_clips_of_another_command_are_replaced_by_force_only(tmp_path: Path) -> None:
    speak_all(tmp_path)
    before = files(tmp_path)
    for other in ({"seed": 2}, {"count": 5}, {"engines": [Beeper("other")]}):
        with pytest.raises(ConfigError, match=r"clips that this command would not make.*--force"):
            speak_all(tmp_path, force=False, **other)
        assert files(tmp_path) == before
    speak_all(tmp_path, count=8, force=False)  # more of the same is no replacement
    assert len(read_manifest(tmp_path)) == 16
    speak_all(tmp_path, seed=2, count=8)
    speak_all(tmp_path / "new", seed=2, count=8)
    new = files(tmp_path / "new")
    assert {f: b for f, b in files(tmp_path).items() if not f.startswith("new")} == new


@pytest.mark.parametrize("content", [b"", b"no FLAC", None], ids=["empty", "other", "cut"])
def test_a_clip_that_cannot_be_read_is_spoken_again(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    speak_all(tmp_path)
    whole = files(tmp_path)
    victim = tmp_path / "yes/00002.flac"
    victim.write_bytes(whole["yes/00002.flac"][:200] if content is None else content)
    assert speak_all(tmp_path)[0] == (11, 12)
    assert "1 clips cannot be read and are spoken again" in caplog.text
    assert "00002.flac" in caplog.text
    assert files(tmp_path) == whole


def test_a_full_disk_is_told_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = Path.write_bytes, [4]

    def fill(path: Path, data: bytes) -> int:
        room[0] -= 1
        if room[0] < 0:
            write(path, data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(WakewordError, match=r"no space is left .* 4 of 12 clips are there"):
            speak_all(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert speak_all(tmp_path)[0] == (4, 12)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WakewordError, match="file"):
        speak_all(tmp_path / "file")


@pytest.mark.parametrize("broken", ["silent", "nan"])
def test_an_engine_that_says_nothing_is_an_error(tmp_path: Path, broken: str) -> None:
    with pytest.raises(AudioFormatError, match=r"beeper said nothing for .*phonemes"):
        speak_all(tmp_path, engines=[Beeper(broken=broken)])
    assert not list(tmp_path.rglob("*.flac*"))


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match="beeper said nothing"):
        speak_all(tmp_path, engines=[Beeper(broken="silent")], processes=2)


def test_clips_of_an_older_version_are_kokoros(tmp_path: Path) -> None:
    row = {"file": "yes/00000.flac", "number": 0, "label": "yes", "phonemes": "jˈɛs", "mix": 0.5}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "yes").mkdir()
    soundfile.write(tmp_path / "yes/00000.flac", np.zeros(160, np.float32), 16_000)
    assert read_manifest(tmp_path) == [row | {"engine": "kokoro"}]


def test_a_manifest_that_is_missing_or_damaged_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clips were spoken into"):
        read_manifest(tmp_path)
    for text in ("{", "[]\n", '{"file": "a"}\n'):
        (tmp_path / "manifest.jsonl").write_text(text)
        with pytest.raises(ConfigError, match="damaged"):
            read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("say", "count", "why"),
    [
        ({"yes": []}, 1, "'yes': need"),
        ({"...": ["jɛs"]}, 1, "need a label"),
        ({}, 1, "something to say"),
        ({"yes": ["jɛs"]}, 0, "count=0"),
        ({"a b": ["jɛs"], "a, b": ["jɛs"]}, 1, "punctuation only"),
        ({"yes": ["123"]}, 1, "beeper can say nothing of '123'"),
    ],
)
def test_nonsense_is_refused(say: dict[str, list[str]], count: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        plan(say, count, engines=[Beeper()])
    with pytest.raises(ConfigError, match="need an engine"):
        plan({"yes": ["jɛs"]}, 1, engines=[])


def test_symbols_that_an_engine_lacks_become_the_nearest_or_are_complained_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert fit("ʤˈɑːʋ", set("dʒˈɑv")) == (
        ["d", "ʒ", "ˈ", "ɑ", "v"], {"ʤ": "dʒ", "ː": "", "ʋ": "v"}
    )  # fmt: skip
    assert fit("oʊ", ["o", "ʊ", "oʊ"]) == (["oʊ"], {})
    assert fit("ʈʁ", ["t", "ɹ"])[0] == ["t", "ɹ"]  # in several steps
    assert fit("ɹr", [])[1] == {"ɹ": "", "r": ""}  # each the other's neighbour: no circle
    with caplog.at_level(logging.INFO):
        said = fit_all("robot", {"a": ["ʤa5", "ad"], "b": ["aː"]}, set("dʒa"))
    assert said == {"a": ["dʒa", "ad"], "b": ["a"]}
    assert "robot has no sound for 5 nor one like it: left out" in caplog.text
    assert "robot says ʤ as dʒ" in caplog.text


def test_voices_that_sound_the_same_are_found_once(caplog: pytest.LogCaptureFixture) -> None:
    twins = Beeper("twins", voices=("anna", "bob", "alice"))
    kept = distinct(twins)
    assert kept.voices == ("anna", "bob")
    assert "twins: alice and anna sound the same: left out" in caplog.text
    assert distinct(twins) is kept
    assert PROBES["twins"] == 1
    with pytest.raises(ConfigError, match=r"the same with each of its 3 voices.*--engine"):
        distinct(Beeper("deaf", deaf=True))
    alone = Beeper("alone", voices=("one",))
    assert distinct(alone) is alone


def test_engines_that_are_missing_say_where_they_are_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WAKEWORD_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="engine 'mimic': choose from kokoro, piper"):
        find_engines(["mimic"])
    with pytest.raises(ConfigError, match=r"nothing here can speak.*--download kokoro.*apt"):
        find_engines()
    for name, remedy in (
        ("kokoro", "--download kokoro --to"), ("piper", "--download piper:"),
        ("espeak", "apt install espeak-ng"), ("flite", "apt install flite"),
    ):  # fmt: skip
        with pytest.raises(MissingEngineError, match=remedy):
            find_engines([name])
    with pytest.raises(MissingEngineError, match="flite speaks English, not de"):
        find_engines(["flite"], language="de")


def test_the_command_speaks_a_phrase_and_prints_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakeword_train.synth.find._open", lambda *_: Beeper("espeak"))
    monkeypatch.setattr(
        "wakeword_train.phonemes.pronunciations", lambda text, language: ["jˈɛs", "jˈɛʃ"]
    )
    monkeypatch.setattr("wakeword_train.phonemes.code_of", lambda language: language)
    command = ["synth", "oh yes", "--out", str(tmp_path / "out"), "--processes", "1"]
    assert main([*command, "-n", "3", "--engine", "espeak"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'out'}\n"
    assert "2 pronunciations (if they are wrong, spell it as it sounds): jˈɛs, jˈɛʃ" in told.err
    assert "clips by engine: espeak 3" in told.err
    assert len(list((tmp_path / "out" / "oh_yes").glob("*.flac"))) == 3
    assert main([*command, "-n", "2", "--engine", "espeak"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main([*command, "-n", "2", "--engine", "espeak", "--seed", "5", "--force"]) == 0
    assert len(read_manifest(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    "words",
    [[], ["yes"], ["--out", "x"], ["yes", "--out", "x", "-n", "0"], ["yes", "--download", "kokoro"],
     ["yes", "--out", "x", "--processes", "0"], ["yes", "--out", "x", "--seed", "-1"]],
)  # fmt: skip
def test_the_command_refuses_what_makes_no_sense(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["synth", *words])
