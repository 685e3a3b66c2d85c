"""What listening costs: counted from the graph, measured here and now, estimated elsewhere."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from wakeword.bundle import Bundle
from wakeword.detector import Detector
from wakeword.tflite_graph import Graph, read_graph
from wakeword_train.report.facts import Cost, Estimate

__all__ = ["cost_of", "estimates", "multiply_adds"]

CHUNK = 1_280  # 80 ms, what a microphone hands over
RATE_HZ = 16_000
FRAMES_PER_S = 100
WARM_S, ROUND_S, ROUNDS = 2, 10, 3

# Instructions per multiply-add of our C99 step, counted with QEMU on a model of 62,016
# multiply-adds (40 features, Conv1D(64, k5), two GRU(64), a sigmoid): 369k, 237k and 120k a step.
_COUNTED = 62_016
_INSTRUCTIONS = (
    ("Cortex-M4, plain C99 -Os", 369_000),
    ("Cortex-M4, C99 with SMLAD -O2", 237_000),
    ("Cortex-M55, C99 with MVE", 120_000),
)
_MCU_BASIS = (
    "The multiply-adds a second of this model, times the instructions that each took in our C99 "
    "step of another, smaller model, counted with QEMU. Without the front end; a core takes one "
    "cycle for an instruction at best, and no cycle was measured."
)
# How many times longer one core of a board takes than one of a PC. A Pi 4 is taken as 3 to 5 times
# slower (an assumption); the other boards stand to it as in sysbench 1.0.20 on one core, 687 / 1478
# / 2737 events a second on Pi 3B+ / 4 / 5 (leoncode.co.uk/articles/raspberry-pi-benchmarks), and
# the Zero 2 to the 3B+ as their clocks, 1.0 to 1.4 GHz.
_SLOWER = (
    ("Raspberry Pi Zero 2", (9.0, 15.0)),
    ("Raspberry Pi 3", (6.5, 10.8)),
    ("Raspberry Pi 4", (3.0, 5.0)),
    ("Raspberry Pi 5", (1.6, 2.7)),
)
_PI_BASIS = (
    "The time measured here, times how much longer one core may take: taken from clock rates, "
    "published benchmarks of the boards, and a Pi 4 taken as 3 to 5 times slower than a PC."
)
_PC = ("x86_64", "amd64")


def multiply_adds(graph: Graph) -> int:
    """Count the multiply-adds of one run of a graph: those of its matrix products.

    Element-wise sums and products are left out: in these models a few percent.
    """
    total = 0
    for operator in graph.operators:
        shapes = [graph.tensors[i].shape if i >= 0 else () for i in operator.inputs]
        out = graph.tensors[operator.outputs[0]].size if operator.outputs else 0
        if operator.name in ("FULLY_CONNECTED", "BATCH_MATMUL"):
            total += out * shapes[0][-1]
        elif operator.name == "CONV_2D":
            total += out * int(np.prod(shapes[1][1:]))
        elif operator.name == "DEPTHWISE_CONV_2D":
            total += out * int(np.prod(shapes[1][1:3]))
    return total


def _stride(bundle: Bundle, graph: Graph) -> int:
    """Frames a step advances; a microWakeWord model takes just those."""
    if bundle.kind == "wakeword":
        return bundle.stride
    return graph.tensors[graph.inputs[0]].shape[1]


def cost_of(
    bundle: Bundle, words: Sequence[str] | None = None, *, runtime: str | None = None
) -> Cost:
    """Count, and measure on this machine: 30 s of noise in 80 ms chunks, after 2 s to warm up.

    CPU is user and system time of this process around `Detector.feed`, so front end, model and
    decision. What it costs does not depend on what is said.

    Raises:
        WakewordError: as `wakeword.detector.Detector`.
    """
    graph = read_graph(bundle.model_bytes)
    detector = Detector([(bundle, words)], runtime=runtime)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1_000, ROUND_S * RATE_HZ).astype(np.int16)
    chunks = [noise[at : at + CHUNK] for at in range(0, len(noise), CHUNK)]
    for chunk in chunks[: WARM_S * RATE_HZ // CHUNK]:
        detector.feed(chunk)
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for chunk in chunks:
            detector.feed(chunk)
        spent.append(1000 * (time.process_time() - began) / ROUND_S)
    steps_per_s = FRAMES_PER_S / _stride(bundle, graph)
    work = multiply_adds(graph)
    cpu = sorted(spent)
    return Cost(
        model_bytes=len(bundle.model_bytes),
        multiply_adds_per_step=work,
        steps_per_s=steps_per_s,
        cpu_ms_per_s=cpu[ROUNDS // 2],
        cpu_ms_low=cpu[0],
        cpu_ms_high=cpu[-1],
        measured=_here(),
        estimates=tuple(estimates(work * steps_per_s, cpu[ROUNDS // 2], platform.machine())),
    )


def estimates(per_s: float, cpu_ms_per_s: float, machine: str) -> list[Estimate]:
    """Work out what it would cost elsewhere.

    Args:
        per_s: multiply-adds a second.
        cpu_ms_per_s: CPU per second of sound, measured on ``machine``.
        machine: as ``platform.machine()`` names it. A Pi is estimated from a PC only.

    >>> estimates(62_016 * 50, 1.0, "x86_64")[-1].cost
    '6 million instructions a second: 6 % of 100 million'
    """
    found = []
    if machine.lower() in _PC:
        for board, (low, high) in _SLOWER:
            ends = f"{cpu_ms_per_s * low / 10:.1f} to {cpu_ms_per_s * high / 10:.1f}"
            factor = f"{low:g} to {high:g} times as long"
            found.append(Estimate(board, f"{ends} % of one core", factor, _PI_BASIS))
    for core, counted in _INSTRUCTIONS:
        millions = per_s * counted / _COUNTED / 1e6
        cost = f"{millions:.0f} million instructions a second: {millions:.0f} % of 100 million"
        factor = f"{counted / _COUNTED:.1f} instructions for a multiply-add"
        found.append(Estimate(core, cost, factor, _MCU_BASIS))
    return found


def _here() -> str:
    """Describe this machine in a line: no names, no paths."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = found[1].strip() if found else model
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = []
    for name in ("numpy", "pymicro-features", "ai-edge-litert", "tflite-runtime"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return (
        f"{model}, {platform.machine()}, {os.cpu_count()} cores{load}; {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )
