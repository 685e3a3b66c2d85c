"""Send the daemon what no honest program sends, and count what it made of it.

    pip install atheris
    python bench/fuzz.py --cases 1000000 --markdown docs/THREATS.md

Inputs are made by libFuzzer, through atheris: it changes what it has, and keeps what reaches code
that nothing reached before. Every chunk of cases is a process of its own. It is stopped after an
input that raises, that takes longer than 10 s, or once it holds more than 1 GB, and the input is
kept. An interrupted run goes on where it was: what is done stands in build/fuzz.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import machine, put_section, versions

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "fuzz"
CHUNK = 25_000
SLOWEST_S = 10
MOST_MB = 1024
LONGEST = 4096  # bytes of an input
WARM_CASES = 5000  # after which memory counts
PAGE_KB = 4
DONE = re.compile(rb"Done (\d+) runs in (\d+) second")


def worker(name: str, runs: int, seed: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    # Nothing of these may be imported before: what is not instrumented guides nobody.
    ours = ["wakeword.daemon", "wakeword.sinks", "wakeword.web", "tornado"]
    with atheris.instrument_imports(include=[*ours, "http", "email"]):
        import fuzz_targets
    fuzz_targets.quiet()
    target = fuzz_targets.TARGETS[name][0]()
    memory = FOLDER / f"{slug(name)}.memory"
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        target(data)
        if count in (WARM_CASES, runs):
            with memory.open("a") as file:
                file.write(f"{resident_kb()}\n")

    arguments = [
        "fuzz", f"-runs={runs}", f"-seed={seed}", f"-timeout={SLOWEST_S}",
        f"-rss_limit_mb={MOST_MB}", f"-max_len={LONGEST}",
        f"-artifact_prefix={FOLDER / slug(name)}-found-", str(corpus(name)),
    ]  # fmt: skip
    atheris.Setup(arguments, one)
    atheris.Fuzz()


def resident_kb() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def slug(name: str) -> str:
    """A file's name of a target."""
    return re.sub(r"\W+", "-", name)


def corpus(name: str) -> Path:
    """The folder of a target's inputs; made with those to begin with."""
    from fuzz_targets import TARGETS

    folder = FOLDER / slug(name)
    folder.mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(TARGETS[name][1]):
        (folder / f"seed-{n}").write_bytes(seed)
    return folder


def chunk(name: str, runs: int, seed: int) -> dict[str, Any]:
    """Run one process; return its cases, seconds, growth, and whether something was found."""
    memory = FOLDER / f"{slug(name)}.memory"
    memory.unlink(missing_ok=True)
    command = [
        sys.executable,
        __file__,
        "--worker",
        name,
        "--cases",
        str(runs),
        "--seed",
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    found = DONE.search(done.stderr)
    if done.returncode or found is None:
        sys.stderr.buffer.write(done.stderr[-4000:])
        return {"cases": 0, "seconds": 0, "grown_kb": 0, "found": 1}
    sizes = [int(line) for line in memory.read_text().split()] if memory.exists() else []
    grown = sizes[-1] - sizes[0] if len(sizes) > 1 else 0
    return {"cases": int(found[1]), "seconds": int(found[2]), "grown_kb": grown, "found": 0}


def fuzz(cases: int, at_once: int, state: dict[str, dict[str, Any]], path: Path) -> bool:
    """Run what is left of every target; return whether nothing was found."""
    from fuzz_targets import TARGETS

    for name in TARGETS:
        state.setdefault(name, {"cases": 0, "seconds": 0, "grown_kb": 0, "chunks": 0})
    lock = threading.Lock()

    def one(name: str) -> bool:
        have, wanted = state[name], round(cases * TARGETS[name][2])
        while have["cases"] < wanted:
            new = chunk(name, min(CHUNK, wanted - have["cases"]), seed=have["chunks"] + 1)
            with lock:
                have["cases"] += new["cases"]
                have["seconds"] += new["seconds"]
                have["grown_kb"] = max(have["grown_kb"], new["grown_kb"])
                have["chunks"] += 1
                have["inputs"] = sum(1 for _ in corpus(name).iterdir())
                path.write_text(json.dumps(state, indent=1) + "\n")
            print(f"{name}: {have['cases']} cases", file=sys.stderr, flush=True)
            if new["found"]:
                print(f"{name}: something was found; see {FOLDER}", file=sys.stderr)
                return False
        return True

    with ThreadPoolExecutor(at_once) as pool:
        return all(pool.map(one, TARGETS))


def page(state: dict[str, dict[str, Any]], command: str) -> str:
    """Write the result as Markdown."""
    rows = [
        f"| {name} | {row['cases']:,} | {row['inputs']} | {row['grown_kb'] / 1024:.1f} |"
        for name, row in state.items()
    ]
    total = sum(row["cases"] for row in state.values())
    seconds = sum(row["seconds"] for row in state.values())
    return "\n".join([
        "## Fuzzing", "",
        f"`{command}`, {time.strftime('%Y-%m-%d')}. {machine()}. {versions(('atheris',))}.", "",
        f"{total:,} inputs in {seconds / 60:.0f} minutes, made by libFuzzer from valid ones. None "
        f"raised what is not caught, none took {SLOWEST_S} s. Memory is what the process held more "
        f"after its last case than after its {WARM_CASES}th, the fuzzer's own included, at most.",
        "", "| what a stranger sends | cases | inputs that reached new code | memory, MB |",
        "|---|---|---|---|", *rows,
    ])  # fmt: skip


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1, help="targets at once (1)")
    parser.add_argument("--markdown", type=Path, help="write the result into this page")
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.cases, args.seed)
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "state.json"
    state = json.loads(path.read_text()) if path.is_file() else {}
    if not fuzz(args.cases, args.processes, state, path):
        return 1
    text = page(state, f"python bench/fuzz.py --cases {args.cases}")
    if args.markdown:
        put_section(args.markdown, "fuzz", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
