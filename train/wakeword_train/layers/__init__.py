"""Layers that run over a sequence or one step at a time, with the same result.

``layer(x, mask=mask)`` on a sequence equals a loop of ``step(x, state)``, which equals the numpy
cell that ``cell()`` gives and the TFLite step made of it. ``streamable`` says whether a layer can
do so at all: a bidirectional one needs the whole sequence first.
"""

from collections.abc import Callable
from functools import partial

from wakeword_train.layers.attention import AdditiveAttention
from wakeword_train.layers.base import Recurrent
from wakeword_train.layers.recurrent import GRU, LSTM, SimpleGRU, SimpleRNN, remember
from wakeword_train.layers.stack import Bidirectional, Stack

CELLS: dict[str, Callable[..., Recurrent]] = {
    "rnn": SimpleRNN,
    "simple_gru": SimpleGRU,
    "gru": GRU,
    "lstm": LSTM,
    "peephole_lstm": partial(LSTM, peepholes=True),
}
"""The recurrent layers by the names that settings use."""

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "AdditiveAttention",
    "Bidirectional",
    "Recurrent",
    "SimpleGRU",
    "SimpleRNN",
    "Stack",
    "remember",
]
