"""A recording session: say what to do, judge what comes, ask again, count.

Nothing here plays a sound, waits or reads a clock: time is counted in samples, and keys come in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wakeword.audio import RATE_HZ
from wakeword.cutter import Cutter, Take, fault
from wakeword.errors import DeviceError
from wakeword.keys import ENTER
from wakeword.meter import FLOOR_DB, level_db
from wakeword.sources import Chunk

__all__ = ["DEAD_DB", "DEAD_MICROPHONE", "WAYS", "Session", "describe"]

WAYS = (
    "the way you always would",
    "from across the room",
    "close to the microphone",
    "softly",
    "loudly",
    "turned away from the microphone",
    "quickly",
    "from another place in the room",
    "slowly",
    "from another room, with the door open",
    "as a question",
    "with something else making a noise: water, a fan, a television",
)
SETTLE = RATE_HZ  # samples of silence at the beginning, to learn the room
POP = RATE_HZ // 4  # samples that are left out when a microphone is switched on
KEY_NOISE = RATE_HZ * 3 // 10  # samples that are left out after a key: its own sound
PATIENCE = 10 * RATE_HZ  # samples without an utterance before it is asked for again
ROUNDS = 6  # so often in a row, when there are no keys to stop it
DEAD_DB = FLOOR_DB + 3  # no room is so quiet
DEAD_MICROPHONE = (
    "nothing but silence: is the microphone muted, or another one meant? See: wakeword devices; "
    "choose with --device"
)

Say = Callable[[str], None]


class Session:
    """Ask for a phrase until there are enough clips of it.

    Args:
        phrase: what to say.
        have: clips that are there already.
        wanted: how many there should be in the end.
        keep: takes a good take.
        ask: whether somebody is there to press keys; if not, what passes is kept.
        say: tells what to do.
        complain: tells what was wrong.

    `hear` takes sound and at most one key, and returns True when it is over. Keys, while a take is
    judged: enter keeps it, r records again, s skips this way of saying it, q stops. While it
    listens, s and q do the same.
    """

    def __init__(
        self,
        phrase: str,
        *,
        have: int,
        wanted: int,
        keep: Callable[[Take], None],
        ask: bool,
        say: Say,
        complain: Say,
    ) -> None:
        self.phrase = phrase
        self.have = have
        self.wanted = wanted
        self._keep = keep
        self._ask = ask
        self._say = say
        self._complain = complain
        self._cutter = Cutter()
        self._way = have
        self._settling = SETTLE
        self._deaf = POP
        self.waiting: Take | None = None
        """For somebody to say whether it is good."""
        self._rounds = 0  # in which nothing was heard, in a row
        self._heard = 0  # samples since the last prompt
        self._loudest_db = FLOOR_DB  # since the last prompt
        self._say("be silent for a second, to learn how quiet the room is")

    def hear(self, chunk: Chunk, key: str = "") -> bool:
        """Take sound, and a key if there is one; return whether it is over.

        Raises:
            DeviceError: nothing is heard for a long time, and nobody is there to press keys.
        """
        if key == "q":
            return True
        if key in ("s", "r", ENTER):
            self._answer(key)
        if self.waiting is None:
            if chunk.dropped or chunk.overflows or chunk.restarted:
                self._lost()
            self._listen(chunk.samples[min(self._deaf, len(chunk.samples)) :])
            self._deaf = max(0, self._deaf - len(chunk.samples))
        return self.have >= self.wanted

    def _answer(self, key: str) -> None:
        """Do what a key says."""
        take, self.waiting = self.waiting, None
        if key == "s":
            self._way += 1
        elif take is None:
            return  # nothing there yet to keep or to record again
        elif key == ENTER:
            self._accept(take)
        self._deaf = max(self._deaf, KEY_NOISE)
        self._cutter = self._fresh()
        if self._settling <= 0:
            self._prompt()

    def _listen(self, samples: NDArray[np.int16]) -> None:
        """Hear samples: learn the room first, then wait for an utterance."""
        takes = self._cutter.feed(samples)
        if self._settling > 0:
            self._settling -= len(samples)
            if self._settling <= 0:
                self._cutter = self._fresh()
                self._prompt()
            return
        self._heard += len(samples)
        if len(samples):
            self._loudest_db = max(self._loudest_db, level_db(float(np.var(samples, dtype=float))))
        if takes:
            self._judge(takes[0])
        elif self._heard >= PATIENCE and not self._cutter.busy:
            self._nothing()

    def _judge(self, take: Take) -> None:
        """Ask again, ask whether it is good, or keep it."""
        self._rounds = 0
        why = fault(take, self.phrase)
        if why:
            self._complain(why)
            self._prompt()
        elif self._ask:
            self.waiting = take
            self._say(f"{describe(take)}; enter keeps it, r: again, s: skip, q: stop")
        else:
            self._accept(take)
            self._prompt()

    def _accept(self, take: Take) -> None:
        """Keep a take, and count it."""
        self._keep(take)
        self.have += 1
        self._way += 1

    def _nothing(self) -> None:
        """Say that nothing was heard, and ask again."""
        self._rounds += 1
        seconds = PATIENCE // RATE_HZ
        if self._loudest_db <= DEAD_DB:
            why = DEAD_MICROPHONE
        else:
            why = (
                f"nothing heard for {seconds} s: the loudest was {self._loudest_db:.0f} dB, the "
                f"room is {self._cutter.room_db:.0f} dB; go nearer, or raise the microphone's level"
            )
        if self._rounds >= ROUNDS and not self._ask:
            raise DeviceError(f"{why}; gave up after {self._rounds * seconds} s")
        self._complain(why)
        self._prompt()

    def _lost(self) -> None:
        """Begin again after a gap in the sound."""
        if self._cutter.busy:
            self._complain("some of the sound was lost on its way")
            self._prompt()
        self._cutter = self._fresh()

    def _fresh(self) -> Cutter:
        """Make a cutter that knows the room, if this one did."""
        known = self._cutter.room_db
        return Cutter(room_db=known) if np.isfinite(known) else Cutter()

    def _prompt(self) -> None:
        """Say what to do next."""
        self._heard = 0
        self._loudest_db = FLOOR_DB
        if self.have < self.wanted:
            way = WAYS[self._way % len(WAYS)]
            self._say(f'{self.have + 1} of {self.wanted}: say "{self.phrase}", {way}')


def describe(take: Take) -> str:
    """Say how a take is, in a few words."""
    return f"{take.seconds:.2f} s, {take.level_db:.0f} dB, {take.snr_db:.0f} dB above the room"
