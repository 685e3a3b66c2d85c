"""Several machines hear the same word: the one that heard it best acts, the others do not.

Each says with which score it heard a word, waits a moment for what the others say, and compares.
The highest score wins, and of equal ones the name that comes last. The winner says that it took the
word; whoever hears a word within TAKEN_S after that leaves it alone. No clock of another machine
matters: only when a message arrived here. Messages must take less than half of the wait. Without a
broker everybody acts: twice is better than never.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wakeword.microphone import Clock
from wakeword.sinks.event import Event

__all__ = ["TAKEN_S", "Once"]

TAKEN_S = 1.5  # a word fires up to half a second after its end, and messages take their time
INBOX = 200  # messages that wait to be looked at
NAME = 64

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Said:
    """What another machine said, and when it arrived."""

    at_s: float
    taken: bool
    word: str
    node: str
    prob: float


class Once:
    """Decides for one machine.

    ``receive`` may be called from any thread; the rest belongs to the thread that listens.

    Args:
        node: our name, unlike that of the others.
        wait_s: for what they say.
        clock: time.
        send: tells the others; returns False where they cannot be told.
    """

    def __init__(
        self, node: str, wait_s: float, clock: Clock, send: Callable[[Message], bool]
    ) -> None:
        self.node = node
        self._wait_s = wait_s
        self._clock = clock
        self._send = send
        self._inbox: deque[_Said] = deque(maxlen=INBOX)
        self._said: list[_Said] = []
        self._claims: list[tuple[float, Event]] = []

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message; one that is none of ours is left out."""
        kind, word, node, prob = (message.get(k) for k in ("kind", "word", "node", "prob"))
        if (
            kind in ("heard", "taken")
            and isinstance(word, str)
            and isinstance(node, str)
            and len(node) <= NAME
            and node != self.node
            and isinstance(prob, int | float)
            and math.isfinite(prob)
        ):
            said = _Said(self._clock.now(), kind == "taken", word, node, float(prob))
            self._inbox.append(said)

    def claim(self, event: Event) -> bool:
        """Say that we heard a word; return whether :meth:`decide` will say who acts."""
        if not self._send(self._message("heard", event)):
            return False
        self._claims.append((self._clock.now(), event))
        return True

    def decide(self) -> list[tuple[Event, str]]:
        """Return the events that are decided by now, each with the name of who acts on it."""
        now_s = self._clock.now()
        while self._inbox:
            self._said.append(self._inbox.popleft())
        self._said = [s for s in self._said if now_s - s.at_s < TAKEN_S + self._wait_s]
        heard_before_s = now_s - self._wait_s
        due = [claim for claim in self._claims if claim[0] <= heard_before_s]
        self._claims = [claim for claim in self._claims if claim[0] > heard_before_s]
        decided = []
        for heard_s, event in due:
            winner = self._winner(event, heard_s)
            if winner == self.node:
                self._send(self._message("taken", event))
            decided.append((event, winner))
        return decided

    def _winner(self, event: Event, heard_s: float) -> str:
        """Compare what was said of a word, from TAKEN_S before we heard it on."""
        since_s = heard_s - TAKEN_S
        others = [said for said in self._said if said.word == event.word and said.at_s > since_s]
        for said in others:
            if said.taken:
                return said.node
        claims = [(round(event.prob, 6), self.node), *((s.prob, s.node) for s in others)]
        return max(claims)[1]

    def _message(self, kind: str, event: Event) -> Message:
        prob = round(event.prob, 6)
        return {"kind": kind, "word": event.word, "node": self.node, "prob": prob}
