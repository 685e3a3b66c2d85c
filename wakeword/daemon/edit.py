"""Change one setting of a configuration on disk; comments and everything else stay."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from wakeword.daemon.config import read_config
from wakeword.daemon.settings import WordConfig
from wakeword.errors import ConfigError
from wakeword.files import beside

__all__ = ["set_device", "set_threshold"]

NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)


def set_threshold(path: Path, word: str, value: float) -> None:
    """Write the threshold of a word into a daemon's configuration.

    The new file is checked before it takes the place of the old one, which stays whole until then.
    A running daemon takes it over at a reload.

    Args:
        path: of the configuration; of a link the file behind it is replaced.
        word: has a ``[word.NAME]`` there.
        value: in (0, 1]; three digits are kept.

    Raises:
        ConfigError: no such word, a value out of range, a file that is wrong already, a disk that
            refuses, or tomlkit is missing.
    """
    WordConfig(threshold=value)
    if word not in read_config(path).words:
        raise ConfigError(f"{path}: has no [word.{word}] whose threshold could be set")
    _set(path, ("word", word, "threshold"), round(value, 3))


def set_device(path: Path, device: str | None) -> None:
    """Write the name of the microphone into a daemon's configuration; errors as above.

    None takes the line out, for the system's default. Its channel and rate go along: they may not
    fit another one.
    """
    for key in ("channel", "rate_hz"):
        _set(path, ("audio", key), None)
    _set(path, ("audio", "device"), device)


def _set(path: Path, keys: tuple[str, ...], value: float | str | None) -> None:
    """Set one value, or take it out; tables that are missing are made."""
    try:
        import tomlkit
    except ImportError as exc:
        raise ConfigError(
            'changing a configuration needs tomlkit: pip install "wakeword[daemon]"'
        ) from exc
    real = path.resolve()
    read_config(real)  # says what is wrong with it, and that it is no other file
    text = real.read_bytes().decode("utf-8")
    document = tomlkit.parse(text)
    table = document
    for key in keys[:-1]:
        table = table.setdefault(key, tomlkit.table())
    if value is None:
        if table.pop(keys[-1], None) is not None:
            _replace(real, tomlkit.dumps(document))
        return
    new = keys[-1] not in table
    table[keys[-1]] = value
    text, plain = _inserted(text, keys, value), tomlkit.dumps(document)
    if not (new and _means(text, document.unwrap())):
        text = plain
    _replace(real, text)


def _means(text: str, wanted: dict[str, Any]) -> bool:
    """Tell whether a text is TOML, and holds this."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text).unwrap() == wanted
    except TOMLKitError:
        return False


def _inserted(text: str, keys: tuple[str, ...], value: float | str) -> str:
    """Put a line below the header of its table, where there is a header and no such line.

    tomlkit would put it behind the comments that introduce the next table. A default that stands
    there as a comment gives way to it.
    """
    names = [rf"(?:{re.escape(k)}|{re.escape(json.dumps(k))}|'{re.escape(k)}')" for k in keys[:-1]]
    header = re.compile(r"[ \t]*\[[ \t]*" + r"[ \t]*[.][ \t]*".join(names) + r"[ \t]*\]")
    default = re.compile(rf"#[ \t]*{keys[-1]}[ \t]*=[^#]*?(#.*)?\r?")
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines, start=1) if header.match(line)), len(lines))
    new = f"{keys[-1]} = {json.dumps(value, ensure_ascii=False)}"
    for n, line in enumerate(lines[first:], start=first):
        if line.lstrip().startswith("["):
            break
        if found := default.fullmatch(line):
            comment = line[found.start(1) :] if found[1] else "\r" * line.endswith("\r")
            lines[n] = (f"{new} ".ljust(found.start(1)) if found[1] else new) + comment
            return "\n".join(lines)
    lines.insert(first, new + "\r" * lines[first - 1].endswith("\r"))
    return "\n".join(lines)


def _replace(path: Path, text: str) -> None:
    """Write a configuration beside its name, check it there, and let it take its place."""
    try:
        with beside(path) as partial:
            with os.fdopen(os.open(partial, NEW, 0o600), "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, partial)
            with contextlib.suppress(OSError, AttributeError):  # only root may, and need not
                os.chown(partial, path.stat().st_uid, path.stat().st_gid)
            read_config(partial)
    except OSError as exc:
        raise ConfigError(
            f"{path}: cannot be changed ({exc.strerror}); let it lie in a folder where this "
            "program may write, or change it by hand"
        ) from exc
