"""What the recipe for speech is made of: frames, batches, the model, and its step."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wakeword.cepstra import Normaliser
from wakeword.decode import ctc_loss, prefix_beam_search
from wakeword.errors import AudioFormatError, BundleError, ConfigError
from wakeword.sequence_bundle import SequenceBundle, write_sequence_bundle
from wakeword.speech import TASK, Recogniser
from wakeword.vocabulary import Vocabulary
from wakeword_train.data.an4 import COEFFICIENTS, Utterance, read_an4, read_cepstra
from wakeword_train.data.cepstra import bend, draw_bend, frequency_warp
from wakeword_train.sequence.speech import (
    Weights,
    best_weights,
    decode_all,
    draw_batches,
    greedy_texts,
    hold_out_speakers,
    word_model,
)

LETTERS = Vocabulary((" ", *"ABCD"))
RNG = np.random.default_rng(0)
SPREAD = np.linspace(3, 0.5, COEFFICIENTS).astype(np.float32)
FRAMES = RNG.normal(2, 3, (90, COEFFICIENTS)).astype(np.float32)


def sphinx(frames: NDArray[np.float32], order: str) -> bytes:
    byteorder: Any = "big" if order == ">" else "little"
    return frames.size.to_bytes(4, byteorder) + frames.astype(f"{order}f4").tobytes()


def archive(path: Path, changes: dict[str, bytes | None]) -> Path:
    """A little AN4: two people train, one is the test."""
    files: dict[str, bytes | None] = {}
    said = {
        "train": {"ann/a1-ann-b": "GO ON", "bob/b1-bob-b": "NO"},
        "test": {"eve/e1-eve-b": "ON"},
    }
    for part, folder in (("train", "an4_clstk"), ("test", "an4test_clstk")):
        ids, texts = [], []
        for place, text in said[part].items():
            ids.append(f"{folder}/{place}")
            texts.append(f"{text} ({place.split('/')[1]})")
            files[f"feat/{folder}/{place}.mfc"] = sphinx(FRAMES, ">")
        files[f"etc/an4_{part}.fileids"] = "\n".join(ids).encode()
        files[f"etc/an4_{part}.transcription"] = "\n".join(texts).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {**files, **changes}.items():
            if content is not None:
                info = tarfile.TarInfo(f"an4/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    path.write_bytes(lzma.compress(buffer.getvalue()))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_feature_files_are_read_in_either_byte_order(order: str) -> None:
    np.testing.assert_array_equal(read_cepstra(sphinx(FRAMES, order)), FRAMES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (sphinx(FRAMES, ">")[:-3], "need 4 for a count"),
        (sphinx(FRAMES[:, :12], ">"), "13 a frame"),
        (sphinx(FRAMES * np.float32("nan"), ">"), "not finite"),
    ],
)
def test_damaged_feature_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(AudioFormatError, match=message):
        read_cepstra(content)


def test_an_archive_is_read_and_a_wrong_one_refused(tmp_path: Path) -> None:
    parts = read_an4(archive(tmp_path / "an4.tar.xz", {}))
    assert [(u.speaker, u.text) for u in parts["train"]] == [("ann", "GO ON"), ("bob", "NO")]
    assert [(u.name, u.text) for u in parts["test"]] == [("e1-eve-b", "ON")]
    np.testing.assert_array_equal(parts["test"][0].frames, FRAMES)
    gone: dict[str, bytes | None] = {"feat/an4_clstk/bob/b1-bob-b.mfc": None}
    with pytest.raises(ConfigError, match=r"b1-bob-b\.mfc is not in it"):
        read_an4(archive(tmp_path / "gone.tar.xz", gone))
    mixed: dict[str, bytes | None] = {"etc/an4_test.transcription": b"ON (e2-eve-b)"}
    with pytest.raises(ConfigError, match="does not belong to"):
        read_an4(archive(tmp_path / "mixed.tar.xz", mixed))
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="no archive of AN4"):
        read_an4(tmp_path / "x")


@pytest.mark.skipif("WAKEWORD_SHARED" not in os.environ, reason="WAKEWORD_SHARED names no folder")
def test_the_real_archive_has_what_its_makers_say() -> None:
    path = Path(os.environ["WAKEWORD_SHARED"]) / "data" / "text" / "speech" / "an4.tar.xz"
    parts = read_an4(path)
    assert {name: len(part) for name, part in parts.items()} == {"train": 948, "test": 130}
    speakers = [{u.speaker for u in part} for part in parts.values()]
    assert [len(s) for s in speakers] == [74, 10]
    assert not speakers[0] & speakers[1]
    letters = Vocabulary.of_chars(u.text for part in parts.values() for u in part)
    assert len(letters) == 27  # with the space


@given(cuts=st.lists(st.integers(0, 90), max_size=6))
def test_any_chunking_normalises_alike(cuts: list[int]) -> None:
    one = Normaliser.of([FRAMES[:50]], prior=20)
    whole = one.stream(FRAMES)
    one.reset()
    parts = [one.feed(chunk) for chunk in np.split(FRAMES, sorted(cuts))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)  # order of the sums


def test_normalising_takes_out_what_stays_and_looks_not_ahead() -> None:
    one = Normaliser.of([FRAMES])
    shifted = FRAMES + np.float32(5)
    np.testing.assert_allclose(one.whole(shifted), one.whole(FRAMES), atol=1e-5)
    np.testing.assert_allclose(one.whole(FRAMES).mean(axis=0), 0, atol=1e-5)
    long = np.tile(FRAMES, (40, 1))
    late = [one.stream(x)[-90:] for x in (long, long + np.float32(5))]
    assert np.abs(late[0] - late[1]).max() < 0.1  # the prior weighs 100 of 3,600 frames
    other = FRAMES.copy()
    other[60:] = 7
    np.testing.assert_array_equal(one.stream(other)[:60], one.stream(FRAMES)[:60])


def test_bad_frames_and_settings_are_named() -> None:
    one = Normaliser.of([FRAMES])
    for bad in (FRAMES[:, :5], FRAMES[0], FRAMES * np.float32("inf")):
        for call in (one.whole, one.feed):
            with pytest.raises(AudioFormatError, match="frames"):
                call(bad)
    again = Normaliser.from_json(one.to_json())
    np.testing.assert_array_equal(again.stream(FRAMES), one.stream(FRAMES))
    plain = one.to_json()
    changes: list[dict[str, Any]] = [
        {"mean": [1]}, {"mean": ["x"] * 13}, {"deviation": [0.0] * 13}, {"prior": 0},
        {"prior": "x"},
    ]  # fmt: skip
    for wrong in (None, {}, *({**plain, **change} for change in changes)):
        with pytest.raises(BundleError, match="normaliser"):
            Normaliser.from_json(wrong)
    with pytest.raises(ConfigError, match="prior=0"):
        Normaliser.of([FRAMES], prior=0)
    with pytest.raises(ConfigError, match="strength=3"):
        draw_bend(np.random.default_rng(0), 10, SPREAD, 3.0)


@given(seed=st.integers(0, 1000), frames=st.integers(1, 90))
def test_a_bend_is_drawn_and_of_strength_0_changes_nothing(seed: int, frames: int) -> None:
    clip = FRAMES[:frames]
    how = draw_bend(np.random.default_rng(seed), frames, SPREAD)
    bent = bend(clip, how)
    assert bent.dtype == np.float32
    assert 0.8 * frames - 1 <= len(bent) <= 1.25 * frames + 1
    np.testing.assert_array_equal(bent, bend(clip, how))
    assert np.all(bent[:, how.band[0] : how.band[1]] == 0)
    none = draw_bend(np.random.default_rng(seed), frames, SPREAD, 0.0)
    np.testing.assert_allclose(bend(clip, none), clip, atol=1e-5)


@given(st.floats(0.85, 1.18))
def test_a_warp_moves_a_resonance_by_its_factor_and_back(factor: float) -> None:
    mel = np.linspace(2595 * np.log10(1 + 130 / 700), 2595 * np.log10(1 + 6800 / 700), 42)[1:-1]
    hz = 700 * (10 ** (mel / 2595) - 1)
    cosines = np.cos(np.pi * np.arange(13)[:, None] / 40 * (np.arange(40) + 0.5))

    def resonance(at_hz: float) -> Any:
        """Cepstra of a broad peak."""
        return cosines @ np.exp(-(((mel - 2595 * np.log10(1 + at_hz / 700)) / 250) ** 2))

    def peak_hz(cepstra: Any) -> float:
        weights = np.where(np.arange(13) == 0, 1, 2) / 40
        return float(hz[np.argmax(cosines.T @ (weights * cepstra))])

    warped = frequency_warp(factor, 13) @ resonance(1800)
    bin_width = 0.09  # of a filter here, of its frequency
    assert abs(peak_hz(warped) / 1800 / factor - 1) < bin_width
    again = frequency_warp(1 / factor, 13) @ warped
    assert np.abs(again - resonance(1800)).max() < 0.1 * np.abs(resonance(1800)).max()
    with pytest.raises(ConfigError, match="factor=3"):
        frequency_warp(3.0, 13)


def utterances(count: int) -> list[Utterance]:
    rng = np.random.default_rng(1)
    return [
        Utterance(
            f"u{i}", f"s{i % 5}", ["GO ON", "NO", "ON GO GO"][i % 3],
            rng.normal(size=(40 + 7 * i, COEFFICIENTS)).astype(np.float32),
        )
        for i in range(count)
    ]  # fmt: skip


def test_speakers_are_held_out_whole() -> None:
    train, held = hold_out_speakers(utterances(20), 2, np.random.default_rng(0))
    assert len({u.speaker for u in held}) == 2
    assert not {u.speaker for u in held} & {u.speaker for u in train}
    assert len(train) + len(held) == 20
    for wrong in (0, 5):
        with pytest.raises(ConfigError, match=f"{wrong} of 5"):
            hold_out_speakers(utterances(20), wrong, np.random.default_rng(0))


def test_a_batch_depends_on_its_generator_alone_and_fits_together() -> None:
    all_of_them = utterances(12)
    alphabet = Vocabulary.of_chars(u.text for u in all_of_them)
    one = Normaliser.of([u.frames for u in all_of_them])
    draw = draw_batches(all_of_them, alphabet, one.whole, one.deviation, batch=4, strength=1.0)
    x, frames, y, letters = draw(np.random.default_rng(3), 0)
    again = draw(np.random.default_rng(3), 7)
    for a, b in zip((x, frames, y, letters), again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert x.shape[0] == 4
    assert x.shape[1] % 64 == 0
    texts = {u.text for u in all_of_them}
    for i in range(4):
        assert not x[i, frames[i] :].any()
        assert not y[i, letters[i] :].any()
        assert alphabet.decode(y[i, : letters[i]] - 1) in texts


def test_weights_are_chosen_by_the_fewest_errors() -> None:
    alphabet = Vocabulary((" ", "G", "N", "O"))
    model = word_model(["GO ON"] * 9 + ["NO"], 2)
    probs = np.full((5, 5), 1e-3)
    for t, k in enumerate((2, 4, 1, 4, 3)):
        probs[t, k] = 1.0
    probs[0, 3] = 1.2  # by sound alone "NO ON"
    log_probs = [np.log(probs / probs.sum(axis=1, keepdims=True))]
    assert greedy_texts(log_probs, alphabet) == ["NO ON"]
    choices = [Weights(0.0, 0.0), Weights(1.0, 0.0), Weights(2.0, 0.0)]
    assert decode_all(log_probs, alphabet, model, choices[0], 20) == ["NO ON"]
    assert best_weights(log_probs, ["GO ON"], alphabet, model, choices, 20) == choices[1]
    assert best_weights(log_probs, ["NO ON"], alphabet, model, choices, 20) == choices[0]
    with pytest.raises(ConfigError, match="no weights"):
        best_weights(log_probs, ["GO"], alphabet, model, [], 20)


@pytest.fixture(scope="module")
def models() -> dict[bool, Any]:
    pytest.importorskip("tensorflow")
    import keras

    from wakeword_train.models.acoustic import AcousticConfig, AcousticModel

    keras.utils.set_random_seed(0)
    size: dict[str, int] = {"bins": 13, "symbols": 6, "channels": 8, "units": 7}
    return {
        both: AcousticModel(AcousticConfig(bidirectional=both, **size)) for both in (False, True)
    }


@pytest.fixture(scope="module")
def bundle(models: dict[bool, Any], tmp_path_factory: pytest.TempPathFactory) -> SequenceBundle:
    from wakeword_train.models.acoustic import to_graph

    return write_sequence_bundle(
        tmp_path_factory.mktemp("speech") / "speech",
        task=TASK,
        graphs={"step": to_graph(models[False])},
        vocabularies={"letters": LETTERS},
        settings={"normaliser": Normaliser.of([FRAMES]).to_json(), "stride": 4},
    )


@pytest.mark.slow
def test_the_recogniser_hears_what_the_whole_model_hears(
    models: dict[bool, Any], bundle: SequenceBundle
) -> None:
    import tensorflow as tf

    normal = Normaliser.of([FRAMES]).stream(FRAMES)
    whole = tf.nn.log_softmax(models[False](normal[None])).numpy()[0]
    one = Recogniser(bundle)
    np.testing.assert_allclose(one.log_probs(FRAMES), whole[:22], atol=1e-5)
    one.reset()
    one.feed(FRAMES)
    wanted = prefix_beam_search(whole, ("", *LETTERS.symbols), width=50)[0]
    found = one.finish()[0]
    assert found.text == wanted.text
    assert abs(found.score - wanted.score) < 1e-3  # 23 steps in single precision
    assert one.plain == greedy_texts([whole], LETTERS)[0]
    from wakeword_train.models.acoustic import to_graph

    with pytest.raises(ConfigError, match="bidirectional model has no step"):
        to_graph(models[True])


@pytest.mark.slow
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 90), max_size=6))
def test_any_chunking_is_recognised_alike(cuts: list[int], bundle: SequenceBundle) -> None:
    words = word_model(["AB BA", "A"], 2)
    one = Recogniser(bundle, words=words, weight=0.5, bonus=1.0)
    one.feed(FRAMES)
    whole = one.finish(None)
    one.reset()
    for chunk in np.split(FRAMES, sorted(cuts)):
        one.feed(chunk)
    parts = one.finish(None)
    assert [f.text for f in parts] == [f.text for f in whole]
    np.testing.assert_allclose([f.score for f in parts], [f.score for f in whole], atol=1e-3)


@pytest.mark.slow
def test_a_bundle_that_does_not_fit_is_refused(bundle: SequenceBundle) -> None:
    def changed(**values: Any) -> SequenceBundle:
        return replace(bundle, settings={**bundle.settings, **values})

    fewer = replace(bundle, vocabularies={"letters": Vocabulary(("A",))})
    plain = Normaliser.of([FRAMES[:, :5]]).to_json()
    for wrong, message in (
        (changed(stride=0), "need frames"), (changed(stride="x"), "need frames"),
        (changed(normaliser=plain), "need frames"), (changed(normaliser=None), "normaliser"),
        (fewer, "one for each letter"), (replace(bundle, task="language"), "need one for 'speech'"),
    ):  # fmt: skip
        with pytest.raises(BundleError, match=message):
            Recogniser(wrong)
    with pytest.raises(BundleError, match="give your own"):
        Recogniser(bundle, words=word_model(["A"], 1))
    with pytest.raises(AudioFormatError, match="NaN"):
        Recogniser(bundle).feed(FRAMES * np.float32("nan"))


@pytest.mark.slow
@pytest.mark.parametrize("both", [False, True])
def test_what_stands_behind_the_end_changes_nothing(models: dict[bool, Any], both: bool) -> None:
    x = np.zeros((2, 90, 13), np.float32)
    x[0], x[1, :41] = FRAMES, FRAMES[:41]
    lengths = np.array([90, 41])
    alone = models[both](x[1:, :44], lengths=lengths[1:]).numpy()[0]
    together = models[both](x, lengths=lengths).numpy()[1, : len(alone)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.slow
def test_the_loss_is_ours(models: dict[bool, Any]) -> None:
    from wakeword_train.models.acoustic import ctc_losses

    logits = np.random.default_rng(0).normal(size=(2, 9, 6)).astype(np.float32)
    labels = np.array([[1, 1, 2], [5, 0, 0]], np.int32)
    losses = ctc_losses(logits, np.array([9, 7], np.int32), labels, np.array([3, 1], np.int32))
    ours = [ctc_loss(logits[0], [1, 1, 2])[0], ctc_loss(logits[1, :7], [5])[0]]
    np.testing.assert_allclose(losses, ours, atol=1e-4)


@pytest.mark.slow
def test_a_config_out_of_range_is_named() -> None:
    pytest.importorskip("tensorflow")
    from wakeword_train.models.acoustic import AcousticConfig

    for wrong in ({"units": 0}, {"kernel": 3}, {"dropout": 1.0}):
        with pytest.raises(ConfigError, match="need"):
            AcousticConfig(**{"bins": 13, "symbols": 5, **wrong})  # type: ignore[arg-type]
