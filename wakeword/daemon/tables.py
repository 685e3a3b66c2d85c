"""TOML tables to frozen dataclasses: unknown keys and wrong types are errors."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from wakeword.errors import ConfigError

__all__ = ["MAX_BYTES", "build", "read_toml", "table_of"]

MAX_BYTES = 1_000_000  # a configuration longer than this is some other file

T = TypeVar("T")


def read_toml(path: Path, remedy: str = "") -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file.
        remedy: what to do where it cannot be read, for the message.

    Raises:
        ConfigError: it is missing, too large, or not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as exc:
            raise ConfigError(
                'reading TOML on Python 3.10 needs tomli: pip install "wakeword[daemon]"'
            ) from exc
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}){remedy}") from exc
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: over {MAX_BYTES} bytes: this is no configuration")
    try:
        found: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not TOML: {exc}") from exc
    return found


def table_of(value: object, where: str) -> Mapping[str, Any]:
    """Return a TOML table as it is, or raise ConfigError where something else stands."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where}={value!r}: need a table, written as [{where}]")
    return value


def build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make a frozen dataclass of a table.

    Args:
        cls: the dataclass; its types say what each key may hold.
        table: the values given; the rest takes the defaults.
        where: name of the table, for messages.

    Raises:
        ConfigError: an unknown key, a missing one, a wrong type, or what the class refuses.
    """
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type] # a dataclass
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(f"[{where}]: unknown {unknown}; known are {sorted(known)}")
    required = [
        n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING
    ]
    if missing := sorted(set(required) - set(table)):
        raise ConfigError(f"[{where}]: {missing[0]} is missing; it has no default")
    hints = typing.get_type_hints(cls)
    values = {
        name: _check(value, hints[name], f"[{where}] {name}") for name, value in table.items()
    }
    try:
        return cls(**values)
    except ConfigError as exc:
        raise ConfigError(f"[{where}] {exc}") from exc


def _check(value: object, hint: Any, where: str) -> Any:
    """Return a value as its type asks for it; a list becomes a tuple, an int a float."""
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for choice in choices:
        if typing.get_origin(choice) is tuple:
            of = typing.get_args(choice)[0]
            if isinstance(value, list) and all(_fits(one, of) for one in value):
                return tuple(value)
        elif choice is float and _fits(value, int):
            return float(typing.cast(int, value))
        elif choice is not type(None) and _fits(value, choice):
            return value
    names = " or ".join(_name(choice) for choice in choices if choice is not type(None))
    raise ConfigError(f"{where}={value!r}: need {names}")


def _fits(value: object, kind: type) -> bool:
    """Tell whether a value is of a type; True is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _name(choice: Any) -> str:
    """Say a type as TOML would."""
    if typing.get_origin(choice) is tuple:
        return "a list of strings"
    return {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}[
        choice
    ]
