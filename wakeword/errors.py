"""The one root error and its children. Every message says the value, the rule and the remedy."""

from __future__ import annotations

__all__ = [
    "AudioFormatError",
    "BundleError",
    "ConfigError",
    "DeviceError",
    "ExportError",
    "TextError",
    "WakewordError",
]


class WakewordError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(WakewordError):
    """A setting is out of its range, unknown, or contradicts another."""


class AudioFormatError(WakewordError):
    """Audio that cannot be read or is not what the caller promised."""


class TextError(WakewordError):
    """Text that a model cannot take: empty, too long, or of symbols it does not know."""


class BundleError(WakewordError):
    """A model bundle that is missing, damaged, or lies about itself."""


class ExportError(WakewordError):
    """A model that cannot be turned into the requested form."""


class DeviceError(WakewordError):
    """An audio device, or a library it needs, is missing or has failed."""
