"""What listening costs: this package beside pymicro-wakeword and pyopen-wakeword, in one run.

    python bench/peers.py --markdown docs/BENCHMARKS.md

Every engine runs in a process of its own, on the same audio, single-threaded where it can be told
so; rounds are interleaved, so that a busy moment of the machine hits all of them. CPU time is user
and system time of the whole process around the streaming loop; loading and the first second of
audio (openWakeWord fills 8 s of history there) are apart. What it costs does not depend on what is
said: without ``--audio`` it is noise that changes twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

from machine import machine, put_section, versions

ROOT = Path(__file__).parent.parent
RATE_HZ = 16_000
LIBRARIES = ("wakeword", "pymicro-wakeword", "pyopen-wakeword", "ai-edge-litert",
             "pymicro-features", "numpy")  # fmt: skip
Row = dict[str, Any]


def noise(seconds: float, seed: int = 1) -> bytes:
    """Make noise that changes its loudness twice a second, raw int16."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    level = np.repeat(10 ** rng.uniform(1, 3.8, -(-count // 8_000)), 8_000)[:count]
    return bytes(np.clip(rng.normal(0, 1, count) * level, -32768, 32767).astype("<i2").tobytes())


def engines(bundle: str | None) -> list[Row]:
    """List what is installed here: name, kind, argument, and what it takes on disk."""
    from wakeword.bundle import find_bundle, read_bundle, shipped

    chosen = bundle or ("computer_jarvis" if "computer_jarvis" in shipped() else None)
    if chosen is None:
        raise SystemExit("no bundle is shipped here: name one with --bundle")
    own = read_bundle(find_bundle(chosen)[0])
    folder = sum(_size(p) for p in (ROOT / "wakeword").rglob("*") if p.suffix in (".py", ".typed"))
    rows = [
        {
            "name": f"wakeword, {' and '.join(own.words)}", "engine": "ours",
            "argument": str(own.path.resolve()), "package_mb": folder / 1e6,
            "model_mb": (len(own.model_bytes) + _size(own.path)) / 1e6,
            "needs_mb": _needs("wakeword"),
        }
    ]  # fmt: skip
    if _folder("pymicro_wakeword"):
        models = _folder("pymicro_wakeword") / "models"
        alexa = sum(_size(p) for p in models.glob("alexa.*")) / 1e6
        whole = _installed("pymicro-wakeword") / 1e6 - _all_models(models)
        needs, shared = _needs("pymicro-wakeword"), {"model_mb": alexa}
        rows.append({**rows[0], "name": "wakeword, microWakeWord's alexa", **shared,
                     "argument": str(models / "alexa.json")})  # fmt: skip
        rows.append({"name": "pymicro-wakeword, alexa", "engine": "pymicro", "argument": "",
                     "package_mb": whole, "needs_mb": needs, **shared})  # fmt: skip
    if _folder("pyopen_wakeword"):
        models = _folder("pyopen_wakeword") / "models"
        used = [models / f"{n}.tflite" for n in ("alexa", "embedding_model", "melspectrogram")]
        rows.append({"name": "pyopen-wakeword, alexa", "engine": "pyopen", "argument": "",
                     "package_mb": _installed("pyopen-wakeword") / 1e6 - _all_models(models),
                     "model_mb": sum(_size(p) for p in used) / 1e6,
                     "needs_mb": _needs("pyopen-wakeword")})  # fmt: skip
    return rows


def _folder(module: str) -> Path:
    """Find an installed package without importing it; an empty path if it is not there."""
    spec = util.find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else Path()


def _size(path: Path) -> int:
    """Size of a file in bytes."""
    return path.stat().st_size


def _all_models(models: Path) -> float:
    """Megabytes of all the models that come with a package."""
    return sum(_size(p) for p in models.iterdir() if p.is_file()) / 1e6


def _installed(name: str) -> int:
    """Bytes that a distribution takes, byte-code left out."""
    files = [Path(str(f.locate())) for f in metadata.files(name) or [] if f.suffix != ".pyc"]
    return sum(_size(p) for p in files if p.is_file())


def _needs(name: str) -> float | None:
    """Megabytes of everything that pip installs with it, numpy left out (all engines need it)."""
    try:
        from packaging.requirements import Requirement

        seen: set[str] = {"numpy"}
        todo, total = list(metadata.requires(name) or []), 0
        while todo:
            need = Requirement(todo.pop())
            key = need.name.lower().replace("_", "-")
            if key in seen or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            seen.add(key)
            total += _installed(need.name)
            todo += metadata.requires(need.name) or []
    except (ImportError, metadata.PackageNotFoundError):
        return None
    return total / 1e6


def measure(row: Row, audio: Path, chunk_ms: int) -> Row:
    """Run one engine in a fresh process."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    program = str(Path(__file__).with_name("engines.py"))
    chunk = str(RATE_HZ * chunk_ms // 1000)
    command = [sys.executable, program, row["engine"], str(audio), chunk, repr(time.monotonic())]
    done = subprocess.run(
        [*command, row["argument"]], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{row['name']} failed:\n{done.stderr}")
    return {**json.loads(done.stdout), "name": row["name"], "chunk_ms": chunk_ms}


def ratios(results: Sequence[Row], ours: str, peer: str, chunk_ms: int) -> list[float]:
    """CPU of ours over that of a peer, round by round."""
    pairs = [
        [r["cpu_ms_per_s"] for r in results if r["name"] == name and r["chunk_ms"] == chunk_ms]
        for name in (ours, peer)
    ]
    return [a / b for a, b in zip(*pairs, strict=True)]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lowest, middle, highest."""
    ranked = sorted(values)
    middle = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
    return ranked[0], middle, ranked[-1]


def page(run: Row) -> str:
    """Write the results as Markdown: medians, with lowest and highest in brackets."""
    chunks = run["chunk_ms"]
    lines = [
        "## Cost beside other engines", "",
        f"`{run['command']}`, {run['date']}. {run['machine']}. {run['versions']}.", "",
        f"{run['seconds']:.0f} s of audio, rounds: {run['rounds']}, interleaved, one process each; "
        "median, and lowest to highest in brackets. CPU is user and system time of the process per "
        "second of audio. Ready: from the start of the process until one second of audio is "
        "scored. Disk: the package without models; its model; what pip installs with it, numpy "
        "left out.", "",
        "| engine | " + " | ".join(f"CPU ms / s, {c} ms chunks" for c in chunks)
        + " | ready, s | CPU until loaded, s | peak RSS, MB | disk, MB |",
        "|" + "---|" * (len(chunks) + 5),
    ]  # fmt: skip
    for row in run["engines"]:
        own = [r for r in run["results"] if r["name"] == row["name"]]
        cells = [
            _cell([r["cpu_ms_per_s"] for r in own if r["chunk_ms"] == c], "{:.2f}") for c in chunks
        ]
        for key, form in (("ready_s", "{:.2f}"), ("load_cpu_s", "{:.2f}"), ("peak_mb", "{:.0f}")):
            cells.append(_cell([r[key] for r in own], form))
        needs = "unknown" if row["needs_mb"] is None else f"{row['needs_mb']:.1f}"
        cells.append(f"{row['package_mb']:.2f} + {row['model_mb']:.2f} + {needs}")
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    lines += ["", "CPU of ours as a share of a peer's, round by round:", ""]
    lines += [
        "| | " + " | ".join(f"{c} ms chunks" for c in chunks) + " |",
        "|" + "---|" * (len(chunks) + 1),
    ]
    for found in run["ratios"]:
        cells = [_cell(found[str(c)], "{:.2f}") for c in chunks]
        lines.append(f"| {found['ours']} / {found['peer']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float], form: str) -> str:
    """Median, and the ends in brackets."""
    low, middle, high = (form.format(v) for v in spread(values))
    return f"{middle} ({low}-{high})"


def run(args: argparse.Namespace) -> Row:
    """Measure all engines, interleaved."""
    rows = engines(args.bundle)
    if args.engines:
        rows = [row for row in rows if row["engine"] in args.engines]
    if args.audio:
        from wakeword.audio import read_audio

        audio = read_audio(args.audio)[: round(args.seconds * RATE_HZ)].astype("<i2").tobytes()
    else:
        audio = noise(args.seconds)
    where, results = machine(), []  # the load before our own
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.raw"
        path.write_bytes(audio)
        for number in range(args.rounds):
            for chunk_ms in args.chunks:
                # each round starts with another engine
                for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                    results.append(measure(row, path, chunk_ms))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    ours = [row["name"] for row in rows if row["engine"] == "ours"]
    peers = [row["name"] for row in rows if row["engine"] != "ours"]
    return {
        "command": "python bench/peers.py" + _options(args),
        "date": time.strftime("%Y-%m-%d"), "machine": where, "versions": versions(LIBRARIES),
        "seconds": len(audio) / 2 / RATE_HZ, "rounds": args.rounds, "chunk_ms": args.chunks,
        "engines": [{k: v for k, v in row.items() if k != "argument"} for row in rows],
        "results": results,
        "ratios": [
            {"ours": a, "peer": b, **{str(c): ratios(results, a, b, c) for c in args.chunks}}
            for a in ours for b in peers
        ],
    }  # fmt: skip


def _options(args: argparse.Namespace) -> str:
    """Name the options that matter, and files by their last part only."""
    text = f" --rounds {args.rounds} --seconds {args.seconds:g}"
    for name in ("audio", "bundle"):
        if value := getattr(args, name):
            text += f" --{name} {Path(value).name}"
    return text


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", help="ours to measure (default: the shipped one)")
    parser.add_argument("--audio", help="a recording (default: noise)")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, nargs="+", default=[80, 10], metavar="MS")
    parser.add_argument("--engines", nargs="+", choices=["ours", "pymicro", "pyopen"])
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--markdown", type=Path, help="write the tables into this page")
    args = parser.parse_args()
    if args.rounds < 1 or args.seconds < 2:
        parser.error("need at least 1 round and 2 s of audio")
    result = run(args)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.markdown:
        put_section(args.markdown, "peers", page(result))
    print(page(result))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
