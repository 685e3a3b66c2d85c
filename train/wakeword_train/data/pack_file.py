"""A pack as one file, to hand to others: features lossless, the bank as FLAC, with its licences.

Windows are features, 40 numbers each 10 ms, from which nobody hears who spoke. The bank has sound:
noises, rooms, and talk under the licences in ``LICENCES.txt``.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wakeword.errors import ConfigError
from wakeword_train.data.pack import Pack, open_pack
from wakeword_train.download import home

__all__ = ["DevStream", "install_pack", "installed", "read_dev", "write_pack"]

RATE_HZ = 16_000
MEMBERS = re.compile(
    r"pack\.json|dev\.npz|LICENCES\.txt|bank/corpus\.(flac|json)|windows/(features|ends)-\d{4}\.npz"
)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DevStream:
    """Sound to choose a threshold on: ``features`` (T, 40) uint16.

    ``samples`` is what counts as listened to. ``part`` may end in ": LABEL", what is said in it.
    """

    part: str
    source: str
    samples: int
    features: NDArray[np.uint16]


def installed() -> Path | None:
    """Find the pack that was installed last."""
    found = sorted(home().glob("pack-*/pack.json"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else None


def write_pack(
    folder: Path, out: Path, dev: Sequence[DevStream], progress: Progress = lambda *_: None
) -> None:
    """Write the pack in ``folder`` into one file, beside its name and then renamed.

    Raises:
        ConfigError: no pack there, or no room for the file.
    """
    import soundfile

    pack = open_pack(folder)
    shards = sorted((folder / "windows").glob("*.npy"))
    partial = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(partial, "w") as tar:
            _add(tar, "LICENCES.txt", licences(pack).encode())
            _add(tar, "pack.json", (folder / "pack.json").read_bytes())
            _add(tar, "bank/corpus.json", (folder / "bank" / "corpus.json").read_bytes())
            flac = io.BytesIO()
            soundfile.write(flac, np.load(folder / "bank" / "corpus.npy"), RATE_HZ, format="FLAC")
            _add(tar, "bank/corpus.flac", flac.getvalue())
            about = [{"part": d.part, "source": d.source, "samples": d.samples} for d in dev]
            arrays = {f"s{number}": one.features for number, one in enumerate(dev)}
            _add(tar, "dev.npz", _deflated(about=np.asarray(json.dumps(about)), **arrays))
            for done, shard in enumerate(shards):
                _add(tar, f"windows/{shard.stem}.npz", _deflated(a=np.load(shard)))
                progress("pack", done + 1, len(shards))
        partial.replace(out)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise ConfigError(
            f"{out}: cannot be written ({exc.strerror}): make room, or --out"
        ) from exc


def install_pack(
    file: Path, into: Path | None = None, progress: Progress = lambda *_: None
) -> Path:
    """Unpack the file of :func:`write_pack` to where training looks for it.

    Returns:
        The folder of the pack.

    Raises:
        ConfigError: it is not such a file, or it is damaged.
    """
    import soundfile

    into = into or home()
    partial = into / f"pack-{os.getpid()}.part"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        size = file.stat().st_size
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                if not member.isreg() or not MEMBERS.fullmatch(member.name):
                    raise ConfigError(f"{file}: {member.name!r} does not belong into a pack")
                source = tar.extractfile(member)
                assert source is not None  # nosec B101 # a regular file
                content = source.read()
                target = partial / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.suffix == ".npz" and target.parent.name == "windows":
                    with np.load(io.BytesIO(content), allow_pickle=False) as found:
                        np.save(target.with_suffix(".npy"), found["a"])
                elif target.suffix == ".flac":
                    samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
                    np.save(target.with_suffix(".npy"), samples)
                else:
                    target.write_bytes(content)
                progress("install", min(member.offset_data + member.size, size), size)
        pack = open_pack(partial)
        if len(pack.windows.end) != len(pack.windows.label):
            raise ConfigError(f"{file}: windows are missing: fetch it again")
        folder = into / f"pack-{file.stem}"
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except (OSError, tarfile.TarError, ValueError, KeyError, soundfile.LibsndfileError) as exc:
        raise ConfigError(f"{file}: not a pack, or damaged ({exc}): fetch it again") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def read_dev(folder: Path) -> list[DevStream]:
    """Read what the pack brings to choose thresholds on; nothing where it was built here."""
    if not (folder / "dev.npz").is_file():
        return []
    with np.load(folder / "dev.npz", allow_pickle=False) as found:
        about = json.loads(str(found["about"]))
        return [
            DevStream(a["part"], a["source"], a["samples"], found[f"s{n}"])
            for n, a in enumerate(about)
        ]


def licences(pack: Pack) -> str:
    """List whose recordings are in a pack, and under which licence."""
    rows = [f"{row['name']}: {row['source']}, {row['clips']} clips, {row['hours']:.2f} h, "
            f"{row['licence']}" for row in pack.ledger]  # fmt: skip
    return "\n".join(["Recordings behind this pack, as their sources license them:", "", *rows, ""])


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member that is the same whoever packs it, and when."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


def _deflated(**arrays: NDArray[np.generic]) -> bytes:
    """Compress arrays into the bytes of an .npz."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()
