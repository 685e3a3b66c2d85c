"""Cut a stream into the utterances in it, by energy, and say what is wrong with each."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wakeword.audio import RATE_HZ, to_int16
from wakeword.errors import AudioFormatError
from wakeword.meter import FLOOR_DB, level_db

__all__ = ["Cutter", "Take", "fault", "frame_levels_db", "length_limits", "room_db"]

FRAME = RATE_HZ // 50  # samples; every level is that of 20 ms
START_DB = 10.0  # above the room, from which a frame may begin an utterance
STOP_DB = 6.0  # above the room, below which a frame is silence
DYNAMIC_DB = 30.0  # what is so far below an utterance's loudest frame is silence, too
BEGIN = 3  # loud frames in a row that begin an utterance: a click is shorter
GO_ON = 2  # loud frames in a row that prolong it
RISE = 25  # frames before those in which a soft beginning is looked for
SILENCE = 30  # frames of silence that end it: people pause for less within a phrase
MARGIN = 15  # frames left before and after the word
LONGEST = 250  # frames after which it is cut, and the room learned anew
SETTLE = 25  # frames from which an unknown room is learned; nothing begins in them
HISTORY = 250  # frames over which the room is known
ROOM_SHARE = 20  # per cent of the frames that are taken for the room alone
QUIET_ROOM_DB = -60.0  # a room counts as no quieter: sound that was switched off is no room

QUIETEST_DB = -46.0  # 99 of 100 words in recordings of people are above -43
LOWEST_SNR_DB = 10.0
RAIL = 32_700  # from here on a sample counts as clipped
MOST_CLIPPED = 4  # samples; one or two at the rail are nothing that one hears
MOST_DC = 3_277  # a tenth of full scale


@dataclass(frozen=True, slots=True)
class Take:
    """An utterance that was cut out.

    Attributes:
        samples: int16 (N,), 16 kHz mono, with the margin around the word.
        start: index of the first of them in the stream.
        word: first and one past the last sample of the word, within ``samples``.
        room_db: level of the room before it, in dB of full scale.
    """

    samples: NDArray[np.int16]
    start: int
    word: tuple[int, int]
    room_db: float

    @property
    def seconds(self) -> float:
        """How long the word lasts."""
        return (self.word[1] - self.word[0]) / RATE_HZ

    @property
    def level_db(self) -> float:
        """Level of the word in dB of full scale, DC left out."""
        return level_db(float(np.var(self.samples[slice(*self.word)].astype(np.float64))))

    @property
    def peak_db(self) -> float:
        """Largest sample in dB of full scale."""
        return level_db(float(np.abs(self.samples.astype(np.float64)).max(initial=0)) ** 2)

    @property
    def snr_db(self) -> float:
        """Estimate of how far the word stands above the room, in dB."""
        return self.level_db - self.room_db


class Cutter:
    """Find utterances in a stream: they begin well above the room and end after silence.

    Any chunking gives the same takes as one batch, and what comes after a take changes nothing in
    it. In recordings of people who say one word (246 of "computer", 241 of "snowboy") it finds one
    utterance each, in all of them; a minute of sound takes 0.13 s (x86-64, 2026-11-21).

    The room's level is the fifth part of the last 5 s that is quietest. It is held while an
    utterance goes on, so that a slow word does not become the room. Levels are of 20 ms frames
    without their DC.

    Args:
        room_db: level of the room in dB of full scale; None learns it from the first half second,
            in which nothing begins.

    >>> cutter = Cutter(room_db=-70)
    >>> quiet, loud = np.zeros(16_000, np.int16), np.tile(np.int16([9000, -9000]), 4_000)
    >>> [take] = cutter.feed(np.r_[quiet, loud, quiet])
    >>> take.start, take.word, len(take.samples)
    (11200, (4800, 12800), 17600)
    """

    def __init__(self, *, room_db: float | None = None) -> None:
        self._first_room_db = room_db
        self.reset()

    def reset(self) -> None:
        """Forget everything heard; equal to a new object."""
        self._held = np.zeros(0, np.int16)  # samples from self._base on
        self._base = 0
        self._frame = 0  # index of the next frame
        self._free = 0  # samples before this one are in an earlier take
        self._onset = -1  # frame in which the present utterance began
        self._last = 0  # its last loud frame
        self._top_db = 0.0  # its loudest frame
        self._loud = 0  # frames in a row that were loud enough
        self._rise = 0  # the first of the frames that have stayed above silence
        known = [] if self._first_room_db is None else [self._first_room_db] * SETTLE
        self._history: deque[float] = deque(known, HISTORY)
        self._room_db = math.inf  # above which nothing begins, until it is learned
        if self._first_room_db is not None:
            self._room_db = max(QUIET_ROOM_DB, self._first_room_db)

    @property
    def room_db(self) -> float:
        """Level of the room in dB of full scale; infinite until it is learned."""
        return self._room_db

    @property
    def busy(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return self._onset >= 0

    def feed(self, samples: ArrayLike) -> list[Take]:
        """Take (N,) samples at 16 kHz of any type `to_int16` takes; return what ended in them.

        Raises:
            AudioFormatError: more than one axis, or a type that is no sound.
        """
        array = to_int16(samples)
        if array.ndim != 1:
            raise AudioFormatError(f"samples have shape {array.shape}: need (N,); use mix_down")
        self._held = np.concatenate([self._held, array])
        takes = []
        for level in frame_levels_db(self._held[self._frame * FRAME - self._base :]).tolist():
            if (take := self._hear(level)) is not None:
                takes.append(take)
            self._frame += 1
        self._forget()
        return takes

    def finish(self) -> list[Take]:
        """Return the utterance that was going on, if any, and start anew."""
        takes = [self._cut()] if self.busy else []
        self.reset()
        return takes

    def _hear(self, level: float) -> Take | None:
        """Take the level of the next frame; return the utterance that it ends."""
        self._history.append(level)
        if not self.busy:
            self._wait(level)
            return None
        self._top_db = max(self._top_db, level)
        silence_db = max(self._room_db + STOP_DB, self._top_db - DYNAMIC_DB)
        self._loud = self._loud + 1 if level >= silence_db else 0
        if self._loud >= GO_ON:
            self._last = self._frame
        quiet, whole = self._frame - self._last, self._frame - self._onset
        return self._cut() if quiet >= SILENCE or whole >= LONGEST else None

    def _wait(self, level: float) -> None:
        """Take the level of a frame between utterances; begin one, or learn the room."""
        if level < self._room_db + STOP_DB:
            self._rise = self._frame + 1
        self._loud = self._loud + 1 if level >= self._room_db + START_DB else 0
        if self._loud >= BEGIN:
            self._onset = max(self._rise, self._frame - RISE)
            self._last = self._frame
            self._top_db = level
        elif len(self._history) >= SETTLE:
            share = len(self._history) * ROOM_SHARE // 100
            self._room_db = max(QUIET_ROOM_DB, sorted(self._history)[share])

    def _cut(self) -> Take:
        """End the utterance at its last loud frame."""
        first, last = self._onset * FRAME, (self._last + 1) * FRAME
        start = max(first - MARGIN * FRAME, self._free, 0)
        stop = min(last + MARGIN * FRAME, self._base + len(self._held))
        samples = self._held[start - self._base : stop - self._base].copy()
        self._onset, self._loud, self._free, self._rise = -1, 0, stop, self._frame + 1
        return Take(samples, start, (first - start, last - start), self._room_db)

    def _forget(self) -> None:
        """Drop the samples that no take can need."""
        first = self._onset if self.busy else self._frame - RISE - BEGIN
        drop = (first - MARGIN) * FRAME - self._base
        if drop > 0:
            self._held = self._held[drop:].copy()
            self._base += drop


def fault(take: Take, phrase: str) -> str:
    """Say why a take is no good as a recording of a phrase; empty when it is good.

    Args:
        take: as cut.
        phrase: what should be in it; its length says what is too short and too long.

    >>> tone = np.tile(np.int16([9000, -9000]), 2_000)
    >>> fault(Take(tone, 0, (0, 4_000), -70.0), "hey computer")
    'too short: 0.25 s, and "hey computer" takes 0.33 to 2.6 s; say all of it'
    >>> fault(Take(tone, 0, (0, 4_000), -70.0), "bed")
    ''
    """
    shortest_s, longest_s = length_limits(phrase)
    takes = f'{take.seconds:.2g} s, and "{phrase}" takes {shortest_s:.2g} to {longest_s:.2g} s'
    loud = take.samples.astype(np.int32)
    dc = float(loud.mean()) if len(loud) else 0.0
    if int(np.count_nonzero(np.abs(loud) >= RAIL)) > MOST_CLIPPED:
        return "clipped: go further from the microphone, or lower its level"
    if abs(dc) > MOST_DC:
        return f"off centre by {abs(dc) / 327.68:.0f} %: a faulty microphone or cable; try another"
    if take.seconds < shortest_s:
        return f"too short: {takes}; say all of it"
    if take.seconds > longest_s:
        return f"too long: {takes}; say it once, with silence before and after"
    if take.level_db < QUIETEST_DB:
        return f"too quiet: {take.level_db:.0f} dB, {QUIETEST_DB:.0f} are needed; go nearer"
    if take.snr_db < LOWEST_SNR_DB:
        return (
            f"too little above the room: {take.snr_db:.0f} dB, {LOWEST_SNR_DB:.0f} are needed; "
            "go nearer, or make it quieter"
        )
    return ""


def length_limits(phrase: str) -> tuple[float, float]:
    """Guess the shortest and the longest time in seconds that a phrase takes, by its letters.

    >>> [round(s, 2) for s in length_limits("hey computer")]
    [0.33, 2.6]
    """
    letters = sum(c.isalnum() for c in phrase)
    return max(0.2, 0.03 * letters), min(4.0, 1.5 + 0.1 * letters)


def frame_levels_db(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the level of every whole 20 ms frame in dB of full scale, its DC left out.

    Args:
        samples: (N,) at 16 kHz.

    Returns:
        Shape (N // 320,), each at least -70.
    """
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.int64)
    # In integers, so that the sums do not depend on how many frames come at once.
    scaled = FRAME * np.square(frames).sum(axis=1) - np.square(frames.sum(axis=1))
    power = np.maximum(scaled / FRAME**2, 1e-9)
    return np.asarray(np.maximum(10 * np.log10(power / 32768.0**2), FLOOR_DB))


def room_db(levels_db: NDArray[np.float64]) -> float:
    """Return the level of the room that (T,) frames come from: that of their lowest tenth."""
    return float(np.percentile(levels_db, 10)) if len(levels_db) else FLOOR_DB
