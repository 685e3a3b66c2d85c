"""Make a small machine listen for a word of your own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wakeword.bundle import Bundle, read_bundle, shipped
    from wakeword.decide import DecisionConfig
    from wakeword.detector import Detection, Detector
    from wakeword.errors import (
        AudioFormatError,
        BundleError,
        ConfigError,
        DeviceError,
        ExportError,
        WakewordError,
    )

__all__ = [
    "AudioFormatError",
    "Bundle",
    "BundleError",
    "ConfigError",
    "DecisionConfig",
    "Detection",
    "Detector",
    "DeviceError",
    "ExportError",
    "WakewordError",
    "__version__",
    "read_bundle",
    "shipped",
]


# Looked up when asked for, so that the command can set numpy up before numpy is imported.
_HOMES = {
    "Bundle": "bundle",
    "DecisionConfig": "decide",
    "Detection": "detector",
    "Detector": "detector",
    "read_bundle": "bundle",
    "shipped": "bundle",
}


def __getattr__(name: str) -> Any:
    """Look a public name up; importlib.metadata, for the version, takes 15 ms to import."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("wakeword")
        except PackageNotFoundError:  # copied, not installed, as on a Pi
            return "0"
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(f"wakeword.{_HOMES.get(name, 'errors')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
