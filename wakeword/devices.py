"""Which microphones there are, and which one is meant."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from wakeword.errors import DeviceError

__all__ = ["InputDevice", "find_device", "input_devices", "load_sounddevice", "rescan"]


@dataclass(frozen=True, slots=True)
class InputDevice:
    """One device that can record.

    Attributes:
        index: PortAudio's number for it; may change when devices come and go.
        name: as PortAudio gives it.
        api: the audio system it is reached through, such as "ALSA".
        channels: at most so many.
        rate_hz: its own default rate.
        default: the system's default for recording.
    """

    index: int
    name: str
    api: str
    channels: int
    rate_hz: int
    default: bool

    @property
    def base_name(self) -> str:
        """The name without ALSA's card number, which changes when a card is plugged in again.

        >>> InputDevice(3, "USB Mic: Audio (hw:2,0)", "ALSA", 1, 48000, False).base_name
        'USB Mic: Audio'
        """
        return self.name.split(" (hw:")[0]


def load_sounddevice() -> Any:
    """Import sounddevice, or raise DeviceError with what to install."""
    try:
        import sounddevice
    except ImportError as exc:
        raise DeviceError(
            'a microphone needs the library sounddevice: pip install "wakeword[listen]"'
        ) from exc
    except OSError as exc:
        raise DeviceError(
            "a microphone needs the PortAudio library: apt install libportaudio2 "
            "(macOS: brew install portaudio)"
        ) from exc
    return sounddevice


def rescan(sd: Any) -> None:
    """Make PortAudio look for devices again; it does so only when it starts."""
    with contextlib.suppress(sd.PortAudioError):  # not started: nothing to stop
        sd._terminate()
    try:
        sd._initialize()
    except sd.PortAudioError as exc:
        raise DeviceError(f"PortAudio does not start ({exc}); check the audio system") from exc


def input_devices(sd: Any) -> list[InputDevice]:
    """List what can record, in PortAudio's order; raise DeviceError if PortAudio fails."""
    try:
        apis = [api["name"] for api in sd.query_hostapis()]
        devices = list(sd.query_devices())
        try:
            default = int(sd.query_devices(kind="input")["index"])
        except (sd.PortAudioError, ValueError):  # it says so when there is no default
            default = -1
    except sd.PortAudioError as exc:
        raise DeviceError(f"PortAudio cannot list devices ({exc}); check the audio system") from exc
    return [
        InputDevice(
            index=index,
            name=str(found["name"]),
            api=apis[found["hostapi"]],
            channels=int(found["max_input_channels"]),
            rate_hz=round(found["default_samplerate"]),
            default=index == default,
        )
        for index, found in enumerate(devices)
        if found["max_input_channels"] > 0
    ]


def find_device(sd: Any, wanted: int | str | None) -> InputDevice:
    """Return the one input device that is meant.

    Args:
        sd: the sounddevice module.
        wanted: index, or a part of the name in any case, or None for the system's default.

    Raises:
        DeviceError: none or several match; the message lists them.
    """
    devices = input_devices(sd)
    if not devices:
        raise DeviceError(
            "no device can record; plug in a microphone, and check that you may use it "
            "(Linux: group audio)"
        )
    if wanted is None:
        matches = [d for d in devices if d.default] or devices[:1]
    elif isinstance(wanted, int):
        matches = [d for d in devices if d.index == wanted]
    else:
        matches = [d for d in devices if wanted.casefold() in d.name.casefold()]
        exact = [d for d in matches if wanted.casefold() == d.name.casefold()]
        first_api = [d for d in matches if d.api == matches[0].api]
        # Windows shows each device once for every audio system: the first one's will do.
        matches = exact[:1] or (first_api if len(first_api) == 1 else matches)
    if len(matches) == 1:
        return matches[0]
    listed = "; ".join(f"{d.index} {d.name}" for d in matches or devices)
    rule = "several match" if matches else "no such input device"
    raise DeviceError(f"device {wanted!r}: {rule}; choose one of: {listed}")
