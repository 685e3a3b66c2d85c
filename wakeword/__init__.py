"""Make a small machine listen for a word of your own."""

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


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: importlib.metadata takes 15 ms to import."""
    if name == "__version__":
        from importlib.metadata import version

        return version("wakeword")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
