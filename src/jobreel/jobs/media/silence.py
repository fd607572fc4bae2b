"""media/silence: where nothing is to be heard."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from jobreel.core.errors import InvalidRequest
from jobreel.core.request import Headers, JobRequest, Url
from jobreel.core.workspace import Workspace
from jobreel.jobs.fields import about
from jobreel.jobs.registry import job_type
from jobreel.tools import ffmpeg, timecode
from jobreel.tools.probe import probe

DAY = 24 * 3600
LOUDEST_DB, QUIETEST_DB = 0.0, -200.0
_DECIBELS = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]{1,6})?) ?dB", re.IGNORECASE)
_RATIO = re.compile(r"0?\.[0-9]{1,12}|[01](?:\.0*)?")
Position = Annotated[
    str | float, msgspec.Meta(description="Seconds, or a time such as `1:02.5` or `00:01:02.500`.")
]


class SilenceRequest(JobRequest):
    """What counts as silence, and where to look."""

    also_called: ClassVar[dict[str, str]] = {"video_url": "media_url"}

    media_url: Annotated[Url, msgspec.Meta(description="A video or sound file.")]
    duration: Annotated[
        float, msgspec.Meta(ge=0.1, le=DAY, description="Seconds that silence lasts at least, from 0.1.")
    ]
    start: Position | None = None
    end: Position | None = None
    noise: Annotated[
        str | float,
        msgspec.Meta(
            description="The loudest that is silence: decibels such as `-30dB`, or a ratio such as `0.001`."
        ),
    ] = "-30dB"
    mono: Annotated[bool, msgspec.Meta(description="Mix the channels before listening.")] = True
    download_headers: Headers | None = None

    def check(self) -> None:
        self.threshold()
        stretch = self.stretch()
        if stretch.end <= stretch.start:
            raise InvalidRequest("Invalid payload: `end` must be later than `start`.")

    def stretch(self) -> "Stretch":
        """The part of the file that is asked about, in seconds."""
        with about("start"):
            start = timecode.seconds(self.start) if self.start is not None else 0.0
        with about("end"):
            end = timecode.seconds(self.end) if self.end is not None else float("inf")
        return Stretch(start, end)

    def threshold(self) -> str:
        """The noise tolerance as silencedetect reads it, written anew and never passed on as it came."""
        with about("noise"):
            return _threshold(self.noise)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a file, in seconds from its beginning."""

    start: float
    end: float

    def overlaps(self, other: "Stretch") -> bool:
        return self.start < other.end and self.end > other.start


def _threshold(noise: str | float) -> str:
    text = noise.strip() if isinstance(noise, str) else f"{noise:.12f}".rstrip("0")
    if (found := _DECIBELS.fullmatch(text)) and QUIETEST_DB <= float(found[1]) <= LOUDEST_DB:
        return f"{float(found[1]):g}dB"
    if _RATIO.fullmatch(text) and 0 < float(text) <= 1:
        return f"{float(text):.12f}"
    raise ValueError("must be decibels from -200dB to 0dB, such as -30dB, or a ratio up to 1, such as 0.001")


@job_type(
    "media/silence",
    request=SilenceRequest,
    summary="Find the silent parts of a video or sound file",
    example={"media_url": "https://example.com/talk.mp3", "duration": 0.8, "noise": "-35dB"},
    example_response=[{"start": "00:02:03.120", "end": "00:02:05.000", "duration": 1.88}],
    time_limit=timedelta(hours=1),
    aliases=("/paid/media/silence",),
)
def silence(request: SilenceRequest, work: Workspace) -> Any:
    """Returns the silent parts in order, each with its whole length.

    With `start` or `end`, those that overlap that stretch. Silence that lasts to the end of the file is
    one of them. A source without sound ends as `no_audio`.
    """
    source = work.fetch(request.media_url, request.download_headers)
    media = probe(source)
    channels = media.require_sound().channels or 1
    heard = _Silences()
    arguments = silence_arguments(source, request, channels)
    ffmpeg.run(arguments, work, duration=media.duration, stage="listen", hear=heard.line)
    return answer(heard.all(media.duration), request.stretch())


def silence_arguments(source: Path, request: SilenceRequest, channels: int) -> list[str]:
    """FFmpeg arguments that listen and write nothing. Source: ffmpeg-filters.html, silencedetect."""
    detect = f"silencedetect=noise={request.threshold()}:duration={request.duration:.6f}"
    filters = [*([_to_mono(channels)] if request.mono and channels > 1 else []), detect]
    return [*ffmpeg.source(source), "-map", "0:a:0", "-af", ",".join(filters), "-f", "null", "-"]


def _to_mono(channels: int) -> str:
    """Half of each of two channels; of more, a downmix, for speech is in the middle one then."""
    return "pan=mono|c0=0.5*c0+0.5*c1" if channels == 2 else "aformat=channel_layouts=mono"


def answer(silences: Iterable[Stretch], wanted: Stretch) -> list[dict[str, Any]]:
    """The silences that overlap `wanted`, unclipped, in the words of the API."""
    return [
        {
            "start": timecode.clock(found.start),
            "end": timecode.clock(found.end),
            "duration": round(found.end - found.start, 2),
        }
        for found in silences
        if found.overlaps(wanted)
    ]


@dataclass
class _Silences:
    """What silencedetect says, line by line."""

    complete: list[Stretch] = field(default_factory=list)
    open_since: float | None = None

    def line(self, text: str) -> None:
        name, _, value = text.partition(": ")
        if name == "silence_start":
            self.open_since = max(float(value), 0.0)  # encoder delay can make it negative
        elif name == "silence_end" and self.open_since is not None:
            self.complete.append(Stretch(self.open_since, float(value.partition(" ")[0])))
            self.open_since = None

    def all(self, duration: float | None) -> list[Stretch]:
        """Every silence; one that nobody ended lasts to the end of the file."""
        if self.open_since is None or duration is None:
            return self.complete
        return [*self.complete, Stretch(self.open_since, max(duration, self.open_since))]
