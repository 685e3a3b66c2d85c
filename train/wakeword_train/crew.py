"""Several machines that train one model, by ``tf.distribute.MultiWorkerMirroredStrategy``.

All draw the same batches and each takes its part of them. Gradients are summed over the workers
before they are clipped, and every worker takes the same step, so that the weights become those of
one machine but for the order in which numbers are summed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError, WakewordError

__all__ = ["ALONE", "STRATEGIES", "Crew", "open_crew", "read_tf_config"]

STRATEGIES = ("one", "multiworker")
EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
log = logging.getLogger(__name__)


def read_tf_config(text: str | None) -> tuple[int, list[str]]:
    """Read TF_CONFIG, as TensorFlow's users know it.

    Args:
        text: of the variable, None where it is not set.

    Returns:
        The number of this worker and the addresses of all, a "chief" first where there is one.

    Raises:
        ConfigError: what is missing or wrong.

    >>> config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    >>> read_tf_config(json.dumps(config))
    (1, ['a:1', 'b:1'])
    """
    if not text:
        raise ConfigError(
            f"TF_CONFIG is not set: --strategy multiworker needs it on every machine, as {EXAMPLE}"
        )
    try:
        table = json.loads(text)
        jobs = {name: list(table["cluster"][name]) for name in table["cluster"]}
        kind, index = table["task"]["type"], int(table["task"]["index"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"TF_CONFIG={text!r}: not like {EXAMPLE} ({exc!r})") from exc
    if other := [name for name in (*jobs, kind) if name not in ("chief", "worker")]:
        raise ConfigError(f"TF_CONFIG: has {other[0]!r}: there are workers only, and one chief")
    everybody = [*jobs.get("chief", ()), *jobs.get("worker", ())]
    if wrong := [a for a in everybody if not str(a).rpartition(":")[2].isdecimal()]:
        raise ConfigError(f"TF_CONFIG: address {wrong[0]!r}: need HOST:PORT")
    chiefs, like_this = len(jobs.get("chief", ())), len(jobs.get(kind, ()))
    if chiefs > 1 or len(set(everybody)) < len(everybody):
        raise ConfigError(f"TF_CONFIG: {', '.join(everybody)}: one chief at most, no address twice")
    if not 0 <= index < like_this:
        raise ConfigError(
            f"TF_CONFIG: this is {kind} {index}, but the cluster has {like_this} of them, counted "
            "from 0"
        )
    return index + (chiefs if kind == "worker" else 0), everybody


class Crew:
    """Who trains: this process alone, or one of several that do.

    Args:
        index: number of this worker; 0 is the chief, who keeps the state and writes the results.
        size: workers.
        strategy: of TensorFlow, None alone.
    """

    def __init__(self, index: int = 0, size: int = 1, strategy: Any = None) -> None:
        self.index = index
        self.size = size
        self._strategy = strategy
        self._sum: Any = None

    @property
    def chief(self) -> bool:
        """Whether this worker keeps the state."""
        return self.index == 0

    def part(self, batch: int) -> slice:
        """Tell which rows of a batch are this worker's.

        Raises:
            ConfigError: there are more workers than rows.
        """
        if batch < self.size:
            raise ConfigError(f"batch={batch}: need at least one window for each of {self.size}")
        return slice(batch * self.index // self.size, batch * (self.index + 1) // self.size)

    def total(self, function: Callable[..., Sequence[Any]], *given: Any) -> Sequence[Any]:
        """Sum tensors that a function makes over the workers, within a ``tf.function``."""
        if self._strategy is None:
            return function(*given)
        import tensorflow as tf

        def reduced(*arguments: Any) -> Any:
            found = list(function(*arguments))
            return tf.distribute.get_replica_context().all_reduce("SUM", found)

        summed: Sequence[Any] = self._strategy.run(reduced, given)
        return summed

    def sum(self, array: NDArray[Any]) -> NDArray[Any]:
        """Sum an array of the same shape over the workers."""
        if self._strategy is None:
            return array
        import tensorflow as tf

        if self._sum is None:
            # What is summed must be made here: an argument alone has no place yet.
            self._sum = tf.function(
                lambda x: self.total(lambda y: [tf.identity(y)], x), autograph=False
            )
        return np.asarray(self._sum(tf.constant(array))[0])

    def wait(self) -> None:
        """Wait until every worker waits."""
        self.sum(np.zeros(1, np.float32))

    def of_chief(self, content: bytes) -> bytes:
        """Give every worker what the chief has."""
        if self._strategy is None:
            return content
        mine = np.frombuffer(content if self.chief else b"", np.uint8).astype(np.int32)
        count = int(self.sum(np.asarray([len(mine)], np.int32))[0])
        if not self.chief:
            mine = np.zeros(count, np.int32)
        return self.sum(mine).astype(np.uint8).tobytes() if count else b""

    def agree(self, what: bytes) -> None:
        """Make sure that every worker has what the chief has.

        Raises:
            ConfigError: on every worker, when one of them has something else.
        """
        digest = hashlib.sha256(what).digest()
        differs = np.zeros(self.size, np.int32)
        differs[self.index] = self.of_chief(digest) != digest
        if wrong := np.flatnonzero(self.sum(differs)).tolist():
            raise ConfigError(
                f"worker {wrong[0]} has other windows or settings than the chief: give it the same "
                "command and versions, and the chief's --work or a copy"
            )

    def share(self, model: Any, batch: int) -> None:
        """Let layers draw and average over the whole batch, of which each worker holds a part."""
        if self._strategy is None:
            return
        import keras

        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
            elif isinstance(layer, keras.layers.Dropout):
                layer.call = partial(_drop, layer, self.part(batch), batch)


ALONE = Crew()


def _drop(layer: Any, part: slice, batch: int, inputs: Any, training: bool = False) -> Any:
    """Drop what a layer would drop in these rows of a whole batch."""
    import keras

    if not training:
        return inputs
    whole = keras.ops.ones((batch, *keras.ops.shape(inputs)[1:]), inputs.dtype)
    return inputs * keras.random.dropout(whole, layer.rate, seed=layer.seed_generator)[part]


@contextmanager
def open_crew(strategy: str) -> Iterator[Crew]:
    """Begin to train together; on leaving, wait for the others.

    Before anything else is done with TensorFlow. Each worker uses one GPU, if it has one.

    Args:
        strategy: one of `STRATEGIES`; "multiworker" reads TF_CONFIG and waits for the others.

    Raises:
        ConfigError: an unknown strategy, or TF_CONFIG is wrong.
        WakewordError: a worker was lost.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy={strategy!r}: choose one of {', '.join(STRATEGIES)}")
    if strategy == "one":
        yield ALONE
        return
    index, everybody = read_tf_config(os.environ.get("TF_CONFIG"))
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        log.warning(
            "one of %d GPUs is used: start a worker for each, with CUDA_VISIBLE_DEVICES", len(gpus)
        )
        tf.config.set_visible_devices(gpus[:1], "GPU")
    log.info("worker %d of %d waits for the others", index, len(everybody))
    try:
        crew = Crew(index, len(everybody), tf.distribute.MultiWorkerMirroredStrategy())
        yield crew
        crew.wait()
    except tf.errors.OpError as exc:
        raise WakewordError(
            f"another worker was lost ({str(exc.message).splitlines()[0]}): start all again with "
            "the same command; training goes on from the state that was saved last"
        ) from exc
