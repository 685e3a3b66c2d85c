"""Keep the TFLite runtime's chatter off stderr, where one line is one error of ours."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["quiet_runtime"]

CHATTER = b"INFO: "  # as in "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


@contextlib.contextmanager
def quiet_runtime() -> Iterator[None]:
    """Hold back what C++ writes to stderr while a model loads; then show all but its INFO lines.

    It has no switch for that: LiteRT 2.3 does not heed TF_CPP_MIN_LOG_LEVEL.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no stderr: nothing to keep quiet
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            rest = b"".join(line for line in held if not line.startswith(CHATTER))
            if rest:
                os.write(2, rest)
