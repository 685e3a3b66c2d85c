"""What the page asks for: one handler for each kind of question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tornado.web import HTTPError

from wakeword.daemon.config import DaemonConfig
from wakeword.daemon.edit import set_device, set_threshold
from wakeword.errors import ConfigError
from wakeword.sinks.wav import wav_bytes
from wakeword.web.app import Json, field
from wakeword.web.figures import figures, read_report
from wakeword.web.judge import find_clip, judge, review_of
from wakeword.web.microphones import microphones
from wakeword.web.recorder import ANSWERS, Plan
from wakeword.web.state import recordings_of, state_of, status_of

__all__ = ["ROUTES"]

WORD = 100  # letters
NAME = 60  # letters of a phrase or a speaker that become a folder
DEVICE = 200


class State(Json):
    """Words, thresholds, microphone: what changes seldom."""

    async def get(self) -> None:
        """Give it."""
        self.give(await self.in_files(state_of, self.server))


class Status(Json):
    """How the daemon is."""

    def get(self) -> None:
        """Give it."""
        self.give(status_of(self.server))


class Figures(Json):
    """What was measured of a word, at a threshold."""

    async def get(self) -> None:
        """Give it."""
        word = self.get_query_argument("word", "")
        try:
            threshold = float(self.get_query_argument("threshold", ""))
        except ValueError:
            raise HTTPError(400, reason="threshold: need a number") from None
        for bundle, words in self.server.service.models.bundles:
            if word in words:
                path = self.server.service.path
                report = await self.in_files(read_report, bundle, path.parent if path else None)
                self.give(await self.in_files(figures, bundle, word, threshold, report))
                return
        raise HTTPError(404, reason="no such word")


class Threshold(Json):
    """A word's threshold, tried at once and written down if asked."""

    async def post(self) -> None:
        """Change it."""
        asked = self.asked()
        word = field(asked, "word", str, low=1, high=WORD)
        value = round(field(asked, "threshold", float, low=0.001, high=1), 3)
        service = self.server.service
        if word not in service.models.words:
            raise HTTPError(404, reason="no such word")
        if field(asked, "save", bool):
            await self.in_files(set_threshold, config_path(self), word, value)

        def change(config: DaemonConfig) -> DaemonConfig:
            if word not in config.words:  # a reload took it away meanwhile
                return config
            changed = replace(config.words[word], threshold=value)
            return replace(config, words={**config.words, word: changed})

        service.request_change(change)
        self.give({"word": word, "threshold": value})


class Microphones(Json):
    """Which there are, and which is listened to."""

    async def get(self) -> None:
        """List them."""
        self.give({"microphones": await self.in_files(microphones, self.server.service)})

    async def post(self) -> None:
        """Listen to another one."""
        asked = self.asked()
        device = field(asked, "device", str, high=DEVICE) or None
        service = self.server.service
        if service.config.audio.source != "microphone" or service.has_source:
            raise ConfigError("the sound does not come from a microphone")
        if field(asked, "save", bool):
            await self.in_files(set_device, config_path(self), device)
        service.request_change(
            lambda config: replace(
                config, audio=replace(config.audio, device=device, channel=None, rate_hz=None)
            )
        )
        self.give({"device": device})


class Detections(Json):
    """What was heard lately."""

    def get(self) -> None:
        """List it, oldest first."""
        self.give(
            {"detections": [
                {**one.fields(), "sound": one.sound is not None}
                for one in self.server.monitor.kept()
            ]}
        )  # fmt: skip


class DetectionSound(Json):
    """How one of them sounded."""

    def get(self, key: str) -> None:
        """Give its sound."""
        found = self.server.monitor.find(key)
        if found is None or found.sound is None:
            raise HTTPError(404, reason="no longer kept, or not whole yet")
        self.sound(wav_bytes(found.sound))


class Record(Json):
    """Samples of a word, or of ordinary sound."""

    async def get(self) -> None:
        """Say how far it is, and what there is."""
        recorder = self.server.recorder
        kept = await self.in_files(recordings_of, recorder.root)
        self.give({"now": recorder.state(), "folder": str(recorder.root), "kept": kept})

    async def post(self) -> None:
        """Begin, or answer for the take that waits."""
        asked = self.asked()
        do = field(asked, "do", str, high=20)
        recorder = self.server.recorder
        if do in ANSWERS:
            recorder.answer(do)
        elif do == "start":
            service = self.server.service
            if service.config.audio.source == "none" and not service.has_source:
                raise ConfigError("this daemon has no microphone of its own to record with")
            plan = Plan(
                field(asked, "phrase", str, high=NAME).strip(),
                field(asked, "speaker", str, low=1, high=NAME).strip(),
                int(field(asked, "count", int, low=1, high=500)),
            )
            device = service.config.audio.device
            name = "default microphone" if device is None else str(device)
            await self.in_files(recorder.start, plan, name)
            self.server.look_back()
        else:
            raise HTTPError(400, reason=f"do: need start, {', '.join(ANSWERS)}")
        self.give(recorder.state())


class Take(Json):
    """How the take sounds that waits for an answer."""

    def get(self) -> None:
        """Give its sound."""
        take = self.server.recorder.take
        if take is None:
            raise HTTPError(404, reason="no take waits")
        self.sound(wav_bytes(take))


class Review(Json):
    """Clips that were kept to be judged, and what follows from the answers."""

    async def get(self) -> None:
        """List them."""
        self.give(await self.in_files(review_of, self.server.service))

    async def post(self) -> None:
        """Label one, or drop it."""
        asked = self.asked()
        key = field(asked, "id", str, low=1, high=NAME)
        label = field(asked, "label", str, high=10)
        if label not in ("yes", "no", "drop"):
            raise HTTPError(400, reason="label: need yes, no or drop")
        clip = await self.in_files(find_clip, self.server.service, key)
        if clip is None:
            raise HTTPError(404, reason="no such clip")
        await self.in_files(judge, clip, label)
        self.give(await self.in_files(review_of, self.server.service))


class ReviewSound(Json):
    """How a clip sounds."""

    async def get(self, key: str) -> None:
        """Give its sound."""
        clip = await self.in_files(find_clip, self.server.service, key)
        if clip is None:
            raise HTTPError(404, reason="no such clip")
        self.sound(await self.in_files(clip.wav.read_bytes))


def config_path(handler: Json) -> Path:
    """Return the path of the configuration, or refuse where there is none."""
    path = handler.server.service.path
    if path is None:
        raise ConfigError("there is no configuration to write into: start with --config FILE")
    return path


KEY = r"([0-9a-zA-Z-]{1,60})"
ROUTES = [
    (r"/api/state", State),
    (r"/api/status", Status),
    (r"/api/figures", Figures),
    (r"/api/threshold", Threshold),
    (r"/api/microphones", Microphones),
    (r"/api/detections", Detections),
    (rf"/api/detections/{KEY}\.wav", DetectionSound),
    (r"/api/record", Record),
    (r"/api/record/take\.wav", Take),
    (r"/api/review", Review),
    (rf"/api/review/{KEY}\.wav", ReviewSound),
]
