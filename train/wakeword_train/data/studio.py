"""Cut a window: a word among other sound, or ordinary sound, heard through a drawn channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wakeword.frontend import HOP, WINDOW
from wakeword_train.data.augment import AugmentConfig, Channel, Stock, draw_channel
from wakeword_train.data.corpus import SPOKEN, Corpus, Item
from wakeword_train.data.mixing import bend, coloured_noise, mix, rms, warp
from wakeword_train.data.rooms import direct

__all__ = ["FRAMES", "LEAD", "SAMPLES", "Studio"]

FRAMES = 320  # 3.2 s
LEAD = 50  # frames heard and dropped, so that the front end is not cold
SAMPLES = (LEAD + FRAMES - 1) * HOP + WINDOW
AFTER = 4_800  # samples heard after a word, at least
PAUSE = 16_000  # of so many samples, the quietest moment is where ordinary sound begins
SHORT = 4_800  # no shorter sound begins and ends in a window
FADE = 160
COLOURS = 9  # of generated noise, from white to brown
COLOUR_SAMPLES = 2**18  # of each, round and round
FloatArray = NDArray[np.float32]


def _paste(canvas: FloatArray, samples: FloatArray, at: int) -> None:
    """Add samples to the canvas from ``at`` on, cut off at its edges."""
    first, last = max(at, 0), min(at + len(samples), len(canvas))
    if first < last:
        canvas[first:last] += samples[first - at : last - at]


def _pause(samples: FloatArray) -> int:
    """Find the sample at which the quietest 20 ms begin."""
    rows = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return int((rows**2).sum(axis=1).argmin()) * 320


class Studio:
    """What windows are cut from: a corpus with its noises, talk and rooms.

    Args:
        corpus: recordings.
        config: how windows are heard.
        rooms: impulse responses in computed rooms, (rooms, sources, N), as `direct` makes them.
    """

    def __init__(
        self, corpus: Corpus, config: AugmentConfig, rooms: FloatArray | None = None
    ) -> None:
        self.corpus = corpus
        self.config = config
        kinds: dict[str, list[Item]] = {}
        for item in corpus.items:
            if item.stop > item.start:
                kinds.setdefault(item.kind, []).append(item)
        self.noises = {"recorded": kinds.get("noise", []), "music": kinds.get("music", [])}
        self.talk = [item for kind in SPOKEN for item in kinds.get(kind, [])]
        self.measured = [direct(self.piece(item)) for item in kinds.get("rir", [])]
        self.rooms = np.zeros((0, 0, 0), np.float32) if rooms is None else rooms
        self.stock = Stock(
            noises=len(self.noises["recorded"]), music=len(self.noises["music"]),
            talk=len(self.talk), measured=len(self.measured),
            rooms=self.rooms.shape[0], sources=self.rooms.shape[1],
        )  # fmt: skip
        rng = np.random.default_rng(0)
        self.colours = [
            coloured_noise(rng, COLOUR_SAMPLES, colour) for colour in np.linspace(0, 2, COLOURS)
        ]

    def piece(self, item: Item, first: int = 0, stop: int | None = None) -> FloatArray:
        """Give a part of an item, counted from its beginning, as float32 in [-1, 1)."""
        last = item.stop if stop is None else min(item.start + stop, item.stop)
        return np.divide(self.corpus.samples[item.start + first : last], 32_768, dtype=np.float32)

    def _crop(self, rng: np.random.Generator, item: Item, count: int) -> FloatArray:
        """Cut ``count`` samples at a random place; a shorter clip lies in silence."""
        spare = item.stop - item.start - count
        at = int(rng.integers(abs(spare) + 1))
        if spare >= 0:
            return self.piece(item, at, at + count)
        out = np.zeros(count, np.float32)
        _paste(out, self.piece(item), at)
        return out

    def _loop(self, item: Item, place: float) -> FloatArray:
        """Cut a window from a place in [0, 1) of an item on, which begins anew at its end."""
        size = item.stop - item.start
        at = int(place * size)
        first = self.piece(item, at, at + SAMPLES)
        if len(first) == SAMPLES:
            return first
        return np.resize(np.concatenate([first, self.piece(item, 0, min(at, SAMPLES))]), SAMPLES)

    def _talk(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Cut talk at a random place, as loud as it was recorded."""
        if not self.talk:
            return np.zeros(count, np.float32)
        return self._crop(rng, self.talk[int(rng.integers(len(self.talk)))], count)

    def _noise(self, channel: Channel) -> FloatArray | None:
        """Take the noise of a channel."""
        if channel.noise == "none":
            return None
        if channel.noise == "coloured":
            bank = self.colours[round(channel.colour / 2 * (COLOURS - 1))]
            at = int(channel.noise_at * len(bank))
            if at + SAMPLES <= len(bank):
                return bank[at : at + SAMPLES]
            return np.concatenate([bank[at:], bank[: at + SAMPLES - len(bank)]])
        if channel.noise == "babble":
            total = np.zeros(SAMPLES, np.float32)
            for voice, place, gain_db in channel.voices:
                one = self._loop(self.talk[voice], place)
                total += one * np.float32(10 ** (gain_db / 20) / max(rms(one), 1e-3))
            return total
        return self._loop(self.noises[channel.noise][channel.noise_item], channel.noise_at)

    def word(self, rng: np.random.Generator, item: Item) -> tuple[NDArray[np.int16], int]:
        """Make a window with the word of an item: samples, and the sample at which it ends."""
        ratio = float(rng.uniform(*self.config.speed))
        bent, depth, waves = rng.random(), rng.uniform(-0.2, 0.2), int(rng.integers(1, 5))
        # Half of the time only the word: its own surroundings carry the recording chain.
        alone, margin = rng.random() < 0.5, int(rng.integers(160, 1_600))
        around = margin if alone else SAMPLES
        begin = max(item.word_start - around, 0)
        clip = self.piece(item, begin, item.word_stop + around)
        first, last = item.word_start - begin, item.word_stop - begin
        if bent < self.config.bend:
            clip = bend(clip, first, last, float(depth), waves)
        clip = warp(clip, ratio)
        first, last = int(first / ratio), int(last / ratio)
        if alone:
            fade = min(FADE, len(clip) // 2)
            clip[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            clip[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        level = np.float32(0.1 / (rms(clip[first:last]) + 1e-6))
        room = SAMPLES - LEAD * HOP
        end = LEAD * HOP + int(rng.integers(room * 28 // 100, room * 78 // 100))
        # The beginning of a phrase longer than the window is lost, its end never is.
        end = min(max(end, last - first + 800), SAMPLES - AFTER)
        canvas = np.zeros(SAMPLES, np.float32)
        _paste(canvas, clip * level, end - last)
        word = slice(max(end - (last - first), 0), end)
        if rng.random() < 0.3:
            stop = word.start - int(rng.integers(0, 6_400))
            gain = np.float32(10 ** (rng.uniform(-10, 3) / 20))
            if stop > 0:
                canvas[:stop] += self._talk(rng, stop) * gain
        if rng.random() < 0.3:
            start = end + int(rng.integers(800, 8_000))
            gain = np.float32(10 ** (rng.uniform(-10, 3) / 20))
            if start < SAMPLES:
                canvas[start:] += self._talk(rng, SAMPLES - start) * gain
        return self._finish(rng, canvas, word), end

    def long(self, rng: np.random.Generator, item: Item) -> NDArray[np.int16]:
        """Make a window of ordinary sound: speech, a sentence, noise, or two of them at once.

        Some of it begins within the window, at a pause if there is one, and some ends there.
        """
        ratio = float(rng.uniform(*self.config.speed))
        begins, ends = rng.random() < self.config.begins, rng.random() < 0.5
        first = int(rng.integers(LEAD * HOP, SAMPLES - SHORT)) if begins else 0
        stop = int(rng.integers(first + SHORT, SAMPLES + 1)) if begins and ends else SAMPLES
        sound = warp(self._crop(rng, item, int((PAUSE + SAMPLES) * ratio) + 8), ratio)
        sound = sound[_pause(sound[:PAUSE]) if begins else 0 :][: stop - first]
        if rng.random() < 0.15:
            gain = np.float32(10 ** (rng.uniform(-15, 0) / 20))
            sound = sound + self._talk(rng, SAMPLES)[: len(sound)] * gain
        if begins:
            sound[:FADE] *= np.linspace(0, 1, FADE, dtype=np.float32)
            sound[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)
        canvas = np.zeros(SAMPLES, np.float32)
        _paste(canvas, sound, first)
        return self._finish(rng, canvas, slice(first, stop))

    def _finish(
        self, rng: np.random.Generator, canvas: FloatArray, active: slice
    ) -> NDArray[np.int16]:
        """Draw a channel and hear a canvas through it."""
        channel = draw_channel(rng, self.config, self.stock)
        rir = noise_rir = None
        if channel.measured >= 0:
            rir = self.measured[channel.measured]
        elif channel.room >= 0:
            rir = self.rooms[channel.room, channel.source]
            if channel.noise_source >= 0:
                noise_rir = self.rooms[channel.room, channel.noise_source]
        return mix(canvas, active, self._noise(channel), channel, rir=rir, noise_rir=noise_rir)
