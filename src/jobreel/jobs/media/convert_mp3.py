"""media/convert/mp3: the sound of a file as MP3."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from jobreel.core.errors import InvalidRequest
from jobreel.core.request import Headers, JobRequest, Url
from jobreel.core.workspace import Workspace
from jobreel.jobs.fields import about
from jobreel.jobs.registry import job_type
from jobreel.tools import ffmpeg, formats
from jobreel.tools.probe import probe

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # MPEG-1, 2 and 2.5 Layer III
MAX_BIT_RATE = 320_000
_RATES_IN_WORDS = ", ".join(map(str, SAMPLE_RATES))


class ConvertMp3Request(JobRequest):
    """Whose sound, and how good."""

    also_called: ClassVar[dict[str, str]] = {"video_url": "media_url"}

    media_url: Annotated[Url, msgspec.Meta(description="A video or sound file.")]
    bitrate: Annotated[str, msgspec.Meta(description="Bit rate, from `8k` to `320k`.")] = "128k"
    sample_rate: Annotated[int, msgspec.Meta(description=f"Samples per second: {_RATES_IN_WORDS}.")] | None = None
    download_headers: Headers | None = None

    def check(self) -> None:
        self.bit_rate()
        if self.sample_rate is not None and self.sample_rate not in SAMPLE_RATES:
            raise InvalidRequest(f"Invalid payload: `sample_rate` must be one that MP3 has: {_RATES_IN_WORDS}.")

    def bit_rate(self) -> int:
        """Bits per second."""
        with about("bitrate"):
            return formats.bit_rate(self.bitrate, most=MAX_BIT_RATE)


@job_type(
    "media/convert/mp3",
    request=ConvertMp3Request,
    summary="Turn the sound of a video or sound file into MP3",
    example={"media_url": "https://example.com/clip.mp4", "bitrate": "192k", "sample_rate": 44100},
    example_response="https://jobreel.example/v1/files/0199.../0199....mp3",
    time_limit=timedelta(hours=1),
    aliases=("/v1/media/transform/mp3", "/paid/media/convert/mp3", "/media-to-mp3"),
)
def convert_mp3(request: ConvertMp3Request, work: Workspace) -> Any:
    """Returns the address of an MP3 with the first audio track of the source.

    Without `sample_rate` the source's is kept, or the nearest that MP3 has. More than two channels are
    mixed down to stereo. A source without sound ends as `no_audio`.
    """
    source = work.fetch(request.media_url, request.download_headers)
    media = probe(source)
    media.require_sound()
    output = work.path("output.mp3")
    ffmpeg.run(mp3_arguments(source, request, output), work, duration=media.duration)
    return work.publish(output, f"{work.job_id}.mp3")


def mp3_arguments(source: Path, request: ConvertMp3Request, output: Path) -> list[str]:
    """FFmpeg arguments that encode the first audio stream of `source`."""
    rate = ["-ar", str(request.sample_rate)] if request.sample_rate else []
    encoding = ["-c:a", "libmp3lame", "-b:a", str(request.bit_rate()), *rate]
    return [*ffmpeg.source(source), "-map", "0:a:0", *encoding, "-f", "mp3", ffmpeg.local(output)]
