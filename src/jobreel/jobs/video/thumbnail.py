"""video/thumbnail: one frame of a video as JPEG."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from jobreel.core.request import Headers, JobRequest, Url
from jobreel.core.workspace import Workspace
from jobreel.jobs.registry import job_type
from jobreel.tools import ffmpeg
from jobreel.tools.ffmpeg_errors import NothingWritten
from jobreel.tools.probe import Media, probe

LATER_THAN_ANY_END = 1_000_000_000  # seconds; FFmpeg counts microseconds in 64 bits
BEFORE_THE_END = 0.5  # seconds; the seek goes on back to the keyframe before it


class ThumbnailRequest(JobRequest):
    """Which frame of which video."""

    also_called: ClassVar[dict[str, str]] = {"media_url": "video_url"}

    video_url: Annotated[Url, msgspec.Meta(description="A video file.")]
    second: Annotated[
        float, msgspec.Meta(ge=0, le=LATER_THAN_ANY_END, description="Seconds from the beginning.")
    ] = 0
    download_headers: Headers | None = None


@job_type(
    "video/thumbnail",
    request=ThumbnailRequest,
    summary="Take one frame of a video as a JPEG picture",
    example={"video_url": "https://example.com/clip.mp4", "second": 12.5},
    example_response="https://jobreel.example/v1/files/0199.../0199..._thumbnail.jpg",
    time_limit=timedelta(minutes=30),
    aliases=("/paid/video/thumbnail",),
)
def thumbnail(request: ThumbnailRequest, work: Workspace) -> Any:
    """Returns the address of a JPEG with the frame at `second`, upright, in the video's own size.

    Beyond the end it is the last frame. A source without video ends as `no_video`; the cover of a song
    will do.
    """
    source = work.fetch(request.video_url, request.download_headers)
    stream = _picture_in(probe(source))
    output = work.path("thumbnail.jpg")
    try:
        ffmpeg.run(frame_arguments(source, stream, request.second, output), work, stage="frame")
    except NothingWritten:
        ffmpeg.run(last_frame_arguments(source, stream, output), work, stage="last frame")
    return work.publish(output, f"{work.job_id}_thumbnail.jpg")


def _picture_in(media: Media) -> str:
    """FFmpeg's name for the first video, or else for a cover. Raises `NoVideo`."""
    if media.moving_picture is None and media.videos:
        return "0:v:0"
    media.require_video()
    return "0:V:0"


def frame_arguments(source: Path, stream: str, second: float, output: Path) -> list[str]:
    """FFmpeg arguments for the first frame at or after `second`; it fails where there is none."""
    seek = ["-ss", f"{second:.3f}"] if second > 0 else []
    return [*ffmpeg.source(source, *seek), "-map", stream, "-frames:v", "1", *_JPEG, ffmpeg.local(output)]


def last_frame_arguments(source: Path, stream: str, output: Path) -> list[str]:
    """FFmpeg arguments for the last frame of the stream, however early it is.

    Each frame from the last keyframe on overwrites the one before it. Where the sound goes on after the
    pictures, all of them are earlier than the point sought: passthrough keeps frames with negative times.
    """
    seek = ["-noaccurate_seek", "-sseof", f"-{BEFORE_THE_END}"]
    return [*ffmpeg.source(source, *seek), "-map", stream, "-fps_mode", "passthrough", *_JPEG, ffmpeg.local(output)]


# Square pixels (a width of 0, which an unknown ratio gives, means unchanged), and the full range that JPEG has.
_JPEG = (
    *("-vf", "scale=w=trunc(iw*sar):h=ih:out_range=full,setsar=1,format=yuv420p"),
    *("-q:v", "2", "-f", "image2", "-update", "1"),
)
