"""``wakeword train``, ``wakeword synth`` and ``wakeword evaluate``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence

from wakeword.errors import WakewordError

__all__ = ["main", "progress_line"]


def progress_line() -> Callable[[str, int, int], None]:
    """Make a progress line on stderr: a stage, its share, and the time that is left of it."""
    began: dict[str, tuple[float, int]] = {}
    shown = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        first, at = began.setdefault(stage, (now, done))
        if now - shown < (0.5 if sys.stderr.isatty() else 15) and done < total:
            return
        shown = now
        left = ""
        if done > at and done < total:
            left = f", {(now - first) / (done - at) * (total - done):.0f} s left"
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        print(f"{stage}: {done} of {total}{left}    ", end=end, file=sys.stderr, flush=True)

    return progress


def _train(argv: Sequence[str]) -> int:
    if any(word.partition("=")[0] == "--recipe" for word in argv):
        from wakeword_train.sequence import command

        return command.main(argv, progress_line())
    from wakeword_train import train_command

    return train_command.main(argv, progress_line())


def _data(argv: Sequence[str]) -> int:
    from wakeword_train import data_command

    return data_command.main(argv, progress_line())


def _synth(argv: Sequence[str]) -> int:
    from wakeword_train.synth import command

    return command.main(argv, progress_line())


def _evaluate(argv: Sequence[str]) -> int:
    from wakeword_train import evaluate

    return evaluate.main(argv)


COMMANDS = {"train": _train, "data": _data, "synth": _synth, "evaluate": _evaluate}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of the trainer; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in COMMANDS:
        print(f"usage: wakeword {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return COMMANDS[words[0]](words[1:])
    except WakewordError as exc:
        print(f"wakeword {words[0]}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
