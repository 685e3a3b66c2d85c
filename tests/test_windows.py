"""Windows: the word ends where the label says, and a plan is made the same in any order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
import soundfile

from wakeword.errors import ConfigError, WakewordError
from wakeword_train.data import windows
from wakeword_train.data.arrays import load_array, remove_partial, save_array
from wakeword_train.data.augment import HARD, AugmentConfig
from wakeword_train.data.corpus import Corpus, Item, build_corpus
from wakeword_train.data.manifest import Clip
from wakeword_train.data.studio import LEAD, SAMPLES, Studio
from wakeword_train.data.windows import FRAMES, Group, build_windows, open_windows

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000
DRY = AugmentConfig(
    quiet=1.0, coloured=0.0, babble=0.0, music=0.0, uneven=0.0, bursts=0.0, reverb=0.0,
    narrow=0.0, clipped=0.0, telephone=0.0, opus=0.0, mp3=0.0, bend=0.0, begins=0.0,
    speed=(1.0, 1.0),
)  # fmt: skip
# Everything but computed rooms: those have tests of their own, and cost seconds.
MUCH = replace(HARD, rooms=0, opus=0.05, mp3=0.05, telephone=0.1)


def _clip(name: str, kind: str, label: str) -> Clip:
    return Clip(name, 0.0, 2.0, kind, label, "me", "CC0-1.0", "made by the test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    word = np.zeros(2 * RATE_HZ)
    word[8_000:16_000] = 0.4 * np.sin(2 * np.pi * 200 * time) * np.sin(2 * np.pi * 1_500 * time)
    soundfile.write(folder / "word.wav", word + rng.normal(0, 1e-4, len(word)), RATE_HZ)
    soundfile.write(folder / "hum.wav", rng.normal(0, 0.05, 10 * RATE_HZ), RATE_HZ)
    soundfile.write(folder / "talk.wav", rng.normal(0, 0.05, 6 * RATE_HZ), RATE_HZ)
    room = rng.normal(0, 0.2, 4_000) * np.exp(-np.arange(4_000) / 400)
    soundfile.write(folder / "room.wav", room, RATE_HZ)
    clips = [
        _clip("word.wav", "wake", "yes"), _clip("hum.wav", "noise", "hum"),
        _clip("talk.wav", "speech", "talk"), _clip("room.wav", "rir", "room"),
    ]  # fmt: skip
    corpus = build_corpus(folder / "corpus", folder, clips)
    return folder / "corpus", corpus


GROUPS = [Group("real yes", 0, (0,), 6), Group("long noise", -1, (1,), 4)]
MANY = [Group("real yes", 0, (0,), 30), Group("long", -1, (1, 2), 30)]


def _build(out: Path, corpus: Path, groups: Sequence[Group] = GROUPS) -> list[tuple[int, int]]:
    return list(build_windows(out, corpus, groups, seed=3, processes=1, augment=MUCH))


def _bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_the_corpus_knows_where_the_word_is(made: tuple[Path, Corpus]) -> None:
    item = made[1].items[0]
    assert abs(item.word_start - 8_000) <= 640
    assert abs(item.word_stop - 16_000) <= 640
    assert made[1].items[-1].stop == len(made[1].samples)


def test_windows_are_made_once_and_damaged_ones_again(
    made: tuple[Path, Corpus], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert _build(tmp_path, made[0]) == [(0, 10), (10, 10)]
    assert "times real time" in caplog.text
    whole = _bytes(tmp_path)
    assert sorted(whole) == ["ends-0000.npy", "features-0000.npy"]
    opened = open_windows(tmp_path, GROUPS, seed=3)
    assert sorted(opened.label.tolist()) == [-1] * 4 + [0] * 6
    assert opened.take(np.arange(10)).any(axis=(1, 2)).all()
    assert _build(tmp_path, made[0]) == [(10, 10)]

    def truncate() -> None:
        (tmp_path / "features-0000.npy").write_bytes(whole["features-0000.npy"][:-1])

    def empty() -> None:
        (tmp_path / "ends-0000.npy").write_bytes(b"")

    def replace() -> None:
        np.save(tmp_path / "ends-0000.npy", np.zeros(9, np.int16))

    for name, damage in (("features", truncate), ("ends", empty), ("ends", replace)):
        damage()
        with pytest.raises(ConfigError, match=f"{name}-0000.npy.* missing or damaged"):
            open_windows(tmp_path, GROUPS, seed=3)
    caplog.clear()
    truncate()
    assert _build(tmp_path, made[0]) == [(0, 10), (10, 10)]
    assert _bytes(tmp_path) == whole
    assert "features-0000.npy is damaged" in caplog.text
    assert "ends-0000.npy is damaged" in caplog.text


BUILD = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from wakeword_train.data import windows
from dataclasses import replace
from wakeword_train.data.augment import HARD

windows.SHARD = 6
if __name__ == "__main__":
    groups = [windows.Group("real yes", 0, (0,), 30), windows.Group("long", -1, (1, 2), 30)]
    for done in windows.build_windows(
        Path(sys.argv[1]), Path(sys.argv[2]), groups, seed=3, processes=int(sys.argv[3]),
        augment=replace(HARD, rooms=0, opus=0.05, mp3=0.05, telephone=0.1),
    ):
        print(*done, flush=True)
"""


def _alive(marker: str) -> list[int]:
    """Processes that have a name in their command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_killed_build_leaves_no_worker_and_goes_on_to_the_same_bytes(
    made: tuple[Path, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "build.py"
    script.write_text(BUILD.format(path=[str(ROOT), str(ROOT / "train")]))
    out, whole = tmp_path / "out", tmp_path / "whole"
    marker = f"WAKEWORD_TEST_{os.getpid()}_{time.monotonic_ns()}"
    command = [sys.executable, str(script), str(out), str(made[0])]
    with subprocess.Popen(
        [*command, "3"], stdout=subprocess.PIPE, text=True, env={**os.environ, marker: "1"}
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline().split() not in (["6", "60"], []):
            pass
        assert len(_alive(marker)) >= 4  # it, and three workers
        process.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not _alive(marker):
            break
        time.sleep(0.05)  # a worker sees its parent end at once; the system buries it
    assert not _alive(marker)
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*[0-9].npy")}
    assert 0 < len([name for name in kept if name.startswith("features")]) < 10
    for path in out.glob("*.part.npy"):
        os.utime(path, (0, 0))  # an hour passes
    monkeypatch.setattr(windows, "SHARD", 6)
    for folder in (out, whole):  # some shards of the first were made by three processes
        _build(folder, made[0], MANY)
    assert _bytes(out) == _bytes(whole)
    assert len(_bytes(out)) == 20
    again = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert all(again[name] == when for name, when in kept.items() if f"ends{name[8:]}" in kept)


def test_a_shard_that_cannot_be_written_is_named(made: tuple[Path, Corpus], tmp_path: Path) -> None:
    (tmp_path / "features-0000.npy").mkdir()
    with pytest.raises(WakewordError, match=r"features-0000.npy: cannot write .* make room"):
        _build(tmp_path, made[0])
    assert not list(tmp_path.glob("*.part.npy"))
    with pytest.raises(ConfigError, match=r"features-0000.npy missing or damaged"):
        open_windows(tmp_path, GROUPS, seed=3)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "array.npy"
    save_array(path, np.arange(4))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(WakewordError, match=r"array.npy: cannot write 0.8 MB"):
            save_array(path, np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["array.npy"]
    assert np.array_equal(np.load(path), np.arange(4))  # what was there before
    assert load_array(path, (4,), np.int64) is not None
    assert load_array(path, (4,), np.int16) is None
    assert load_array(tmp_path / "none.npy", (4,), np.int64) is None


def test_only_what_was_left_long_ago_is_removed(tmp_path: Path) -> None:
    old, new, done = (tmp_path / name for name in ("a.1.part.npy", "b.2.part.npy", "c.npy"))
    for path in (old, new, done):
        path.write_bytes(b"x")
    for path in (old, done):
        os.utime(path, (0, 0))
    remove_partial(tmp_path)
    assert not old.exists()
    assert new.exists()
    assert done.exists()


def test_the_label_lies_at_the_end_of_the_word(made: tuple[Path, Corpus], tmp_path: Path) -> None:
    list(build_windows(tmp_path, made[0], GROUPS, seed=3, processes=1, augment=DRY))
    opened = open_windows(tmp_path, GROUPS, seed=3)
    words = np.flatnonzero(opened.label == 0)
    assert ((opened.end[words] > 0) & (opened.end[words] < FRAMES)).all()
    assert (opened.end[opened.label == -1] == -1).all()
    for row in words:
        # The tone of the word lies at 1.5 kHz; what follows is hiss.
        tone = opened.take(np.array([row]))[0].astype(float)[:, 14:22].sum(axis=1)
        end = int(opened.end[row])
        assert tone[max(end - 20, 0) : end - 2].min() > 4 * tone[end + 3]


def test_computed_rooms_are_kept_beside_the_windows(
    made: tuple[Path, Corpus], tmp_path: Path
) -> None:
    pytest.importorskip("pyroomacoustics")
    wet = replace(HARD, reverb=1.0, simulated=1.0)
    rooms = tmp_path / "rooms-3-1.npy"  # of seed 3, one for up to 100 windows
    written = []
    for out in (tmp_path / "a", tmp_path / "b"):
        list(build_windows(out, made[0], GROUPS, seed=3, processes=1, augment=wet))
        written.append(rooms.stat().st_mtime_ns)
    assert written[0] == written[1]
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    _build(tmp_path / "dry", made[0])
    assert _bytes(tmp_path / "a") != _bytes(tmp_path / "dry")


def test_an_empty_plan_is_no_error(made: tuple[Path, Corpus], tmp_path: Path) -> None:
    assert _build(tmp_path, made[0], ()) == [(0, 0)]
    opened = open_windows(tmp_path, (), seed=3)
    assert opened.take(np.zeros(0, np.int64)).shape == (0, FRAMES, 40)


# The studio, in this process: what a channel names is what is heard.


def _tones(kinds: dict[str, Sequence[float]], seconds: float) -> Corpus:
    """One clip of each pitch, under its kind."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    audio, items = [], []
    for kind, pitches in kinds.items():
        for pitch in pitches:
            start = len(audio) * len(time)
            audio.append(np.rint(9_000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16))
            items.append(
                Item(
                    start=start, stop=start + len(time), word_start=0, word_stop=len(time),
                    kind=kind, label=kind, speaker="", source=f"{kind} {pitch:g}",
                )
            )  # fmt: skip
    return Corpus(np.concatenate(audio), tuple(items))


def _share(samples: np.ndarray, pitch: float) -> float:
    """Part of the power within 10 Hz of a pitch, after the lead."""
    heard = samples[LEAD * 160 :].astype(np.float64)
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    place = pitch * len(heard) / RATE_HZ
    width = 10 * len(heard) / RATE_HZ
    return float(power[int(place - width) : int(place + width)].sum() / power.sum())


TONES = {"speech": [500.0, 700.0, 900.0], "noise": [2_000.0], "music": [3_000.0], "wake": [1_200.0]}


def _noisy(**shares: float) -> AugmentConfig:
    """Nothing but noise of one kind, 30 dB above the word."""
    plain = {name: getattr(DRY, name) for name in AugmentConfig.__dataclass_fields__}
    return AugmentConfig(**{**plain, "quiet": 0.0, "snr_db": (-30.0, -30.0), **shares})


@pytest.mark.parametrize(
    ("config", "pitch", "seconds"),
    [
        (_noisy(), 2_000.0, 9.0),
        (_noisy(), 2_000.0, 1.0),  # shorter than a window: round and round
        (_noisy(music=1.0), 3_000.0, 9.0),
    ],
)
def test_noise_is_of_the_kind_that_was_drawn(
    config: AugmentConfig, pitch: float, seconds: float
) -> None:
    studio = Studio(_tones(TONES, seconds), config)
    rng = np.random.default_rng(0)
    for _ in range(3):
        samples, end = studio.word(rng, studio.corpus.items[-1])
        assert samples.shape == (SAMPLES,)
        assert 0 < end <= SAMPLES - 4_800  # a word of 9 s is longer than the window
        assert _share(samples, pitch) > 0.97


def test_babble_is_several_voices() -> None:
    studio = Studio(_tones(TONES, 2.0), _noisy(babble=1.0))
    rng = np.random.default_rng(0)
    heard = [studio.long(rng, studio.corpus.items[-1]) for _ in range(6)]
    voices = [[_share(samples, pitch) > 0.02 for pitch in TONES["speech"]] for samples in heard]
    assert sum(sum(row) >= 2 for row in voices) >= 4
    assert all(sum(_share(samples, p) for p in TONES["speech"]) > 0.95 for samples in heard)


def test_a_window_without_noise_keeps_its_sound() -> None:
    studio = Studio(_tones(TONES, 9.0), DRY)
    rng = np.random.default_rng(1)
    shares = [_share(studio.long(rng, studio.corpus.items[3]), 2_000.0) for _ in range(9)]
    assert np.median(shares) > 0.99  # in some there is talk besides


def test_talk_begins_at_a_pause_out_of_the_quiet_and_may_end_again() -> None:
    corpus = _tones(TONES, 9.0)
    talk = next(item for item in corpus.items if item.kind == "speech")
    pauses = corpus.samples[talk.start : talk.stop].reshape(-1, RATE_HZ // 2)
    pauses[:, :400] = 0  # 25 ms of silence every half second
    studio = Studio(corpus, replace(DRY, begins=1.0))
    begun, ended = [], 0
    for seed in range(40):
        heard = np.abs(studio.long(np.random.default_rng(seed), talk).astype(float))
        heard /= heard.max()
        loud = np.flatnonzero(heard > 0.05)
        begun.append(loud[0])
        ended += loud[-1] < SAMPLES - 500
        assert loud[0] >= LEAD * 160  # quiet until then
        assert heard[loud[0] : loud[0] + 800].max() > 0.3  # and not after
    assert 8 <= ended <= 32
    assert np.std(begun) > SAMPLES / 8
    always = [
        studio_of.long(np.random.default_rng(0), talk)
        for studio_of in (Studio(corpus, DRY), Studio(corpus, replace(DRY, begins=1e-9)))
    ]
    np.testing.assert_array_equal(*always)
    assert np.abs(always[0][:800].astype(int)).max() > 0.3 * always[0].max()


def test_speech_is_heard_in_a_computed_room() -> None:
    plain = {name: getattr(DRY, name) for name in AugmentConfig.__dataclass_fields__}
    config = AugmentConfig(**{**plain, "reverb": 1.0, "simulated": 1.0})
    rooms = np.zeros((1, 1, 12_800), np.float32)
    rooms[0, 0, [0, 12_000]] = 0.8, 0.6  # an echo after 0.75 s
    corpus = _tones({"wake": [1_200.0]}, 0.4)
    for given, echo in ((rooms, True), (None, False)):
        studio = Studio(corpus, config, given)
        samples, end = studio.word(np.random.default_rng(3), corpus.items[0])
        after = samples[end + 12_000 - 4_000 : end + 12_000 - 2_000].astype(float)
        word = samples[end - 4_000 : end - 2_000].astype(float)
        ratio = np.sqrt(np.mean(after**2) / np.mean(word**2))
        assert ratio == pytest.approx(0.75, abs=0.03) if echo else ratio < 0.01
