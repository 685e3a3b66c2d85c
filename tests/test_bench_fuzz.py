"""The targets of the fuzzer: each takes its first inputs, and sees a mistake."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")

# A process of its own: targets put their own sockets and threads in place of the real ones.
CODE = """
import random, sys
sys.path[:0] = [BENCH, ROOT]
import fuzz_targets
fuzz_targets.quiet()
make, seeds, share = fuzz_targets.TARGETS[sys.argv[1]]
target = make()
rng = random.Random(1)
for seed in seeds:
    target(seed)
    target(seed * 3)
    for _ in range(30):
        changed = bytearray(seed)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed) + 1)
            changed[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        target(bytes(changed))
"""


def load() -> dict[str, tuple[object, list[bytes], float]]:
    spec = importlib.util.spec_from_file_location("fuzz_targets", BENCH / "fuzz_targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, tuple[object, list[bytes], float]] = module.TARGETS
    return found


TARGETS = load()


def test_the_page_has_as_many_cases_as_all_others_together() -> None:
    assert TARGETS["page"][2] == 1
    assert sum(share for _, _, share in TARGETS.values()) == pytest.approx(2)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_first_inputs_and_what_is_made_of_them(name: str) -> None:
    code = CODE.replace("BENCH", repr(str(BENCH))).replace("ROOT", repr(str(BENCH.parent)))
    run = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-1000:]


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("wyoming messages", "fuzz_targets.PAYLOAD_BYTES = 1"),
        ("wyoming client", "wakeword.daemon.wyoming_server._names = lambda m: m.data['names']"),
        ("metrics page", "wakeword.daemon.metrics_page.MetricsServer._answer = None"),
        ("assistant", "wakeword.sinks.assist.form_of = lambda m: m.data['rate']"),
        ("assistant", "wakeword.sinks.assist.AssistSink.left = lambda self, link: None"),
        ("socket's client", "wakeword.sinks.socket_lines.same = lambda a, b: True"),
        ("webhook's reply", "fuzz_targets.post_module.ANSWER_BYTES = 'x'"),
        ("once message", "wakeword.daemon.once_broker.json = None"),
    ],
)
def test_the_oracle_sees_a_mistake(name: str, mistake: str) -> None:
    code = CODE.replace("BENCH", repr(str(BENCH))).replace("ROOT", repr(str(BENCH.parent)))
    code = code.replace("target = make()", f"import wakeword.daemon\n{mistake}\ntarget = make()")
    run = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
