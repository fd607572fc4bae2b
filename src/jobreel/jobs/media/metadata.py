"""media/metadata: what is in a file."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar

import msgspec

from jobreel.core.request import Headers, JobRequest, Url
from jobreel.core.workspace import Workspace
from jobreel.jobs.registry import job_type
from jobreel.tools import timecode
from jobreel.tools.probe import Audio, Media, Video, probe

MEBIBYTE = 1024 * 1024


class MetadataRequest(JobRequest):
    """Which file to look at."""

    also_called: ClassVar[dict[str, str]] = {"video_url": "media_url"}

    media_url: Annotated[Url, msgspec.Meta(description="A video, sound or picture file.")]
    download_headers: Headers | None = None


@job_type(
    "media/metadata",
    request=MetadataRequest,
    summary="Read duration, size, codecs and bit rates of a media file",
    example={"media_url": "https://example.com/clip.mp4"},
    example_response={
        "filesize": 88109,
        "filesize_mb": 0.08,
        "duration": 2.0,
        "duration_formatted": "00:00:02.00",
        "format": "mov,mp4,m4a,3gp,3g2,mj2",
        "overall_bitrate": 352436,
        "overall_bitrate_mbps": 0.35,
        "has_video": True,
        "video_codec": "h264",
        "video_codec_long": "H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10",
        "width": 320,
        "height": 240,
        "resolution": "320x240",
        "fps": 25.0,
        "video_bitrate": 269504,
        "video_bitrate_mbps": 0.27,
        "pixel_format": "yuv420p",
        "has_audio": True,
        "audio_codec": "aac",
        "audio_codec_long": "AAC (Advanced Audio Coding)",
        "audio_channels": 1,
        "audio_sample_rate": 44100,
        "audio_sample_rate_khz": 44.1,
        "audio_bitrate": 69694,
        "audio_bitrate_kbps": 70,
    },
    time_limit=timedelta(minutes=30),
    light=True,
    aliases=("/paid/media/metadata",),
)
def metadata(request: MetadataRequest, work: Workspace) -> Any:
    """Returns one flat object about the file and its first video and first audio stream.

    What the file does not say is left out. `width` and `height` are those of the stored picture;
    `rotation`, when present, says by how many degrees clockwise players turn it. Cover art counts as
    video.
    """
    return facts(probe(work.fetch(request.media_url, request.download_headers)))


def facts(media: Media) -> dict[str, Any]:
    """The answer for one file: keys whose value is unknown are left out."""
    video, audio = next(iter(media.videos), None), media.sound
    every = {
        **dict(_of_file(media)),
        "has_video": video is not None,
        **dict(_of_video(video) if video else ()),
        "has_audio": audio is not None,
        **dict(_of_audio(audio) if audio else ()),
    }
    return {name: value for name, value in every.items() if value is not None}


def _of_file(media: Media) -> Iterator[tuple[str, Any]]:
    yield "filesize", media.size_bytes
    yield "filesize_mb", round(media.size_bytes / MEBIBYTE, 2)
    yield "duration", media.duration
    yield "duration_formatted", timecode.clock(media.duration, decimals=2) if media.duration else None
    yield "format", media.container
    yield "overall_bitrate", media.bit_rate
    yield "overall_bitrate_mbps", _scaled(media.bit_rate, 1_000_000, 2)


def _of_video(video: Video) -> Iterator[tuple[str, Any]]:
    yield "video_codec", video.codec
    yield "video_codec_long", video.codec_long
    yield "width", video.width
    yield "height", video.height
    yield "resolution", f"{video.width}x{video.height}" if video.width and video.height else None
    yield "rotation", video.rotation or None
    yield "fps", round(video.fps, 2) if video.fps else None
    yield "video_bitrate", video.bit_rate
    yield "video_bitrate_mbps", _scaled(video.bit_rate, 1_000_000, 2)
    yield "pixel_format", video.pixel_format


def _of_audio(audio: Audio) -> Iterator[tuple[str, Any]]:
    yield "audio_codec", audio.codec
    yield "audio_codec_long", audio.codec_long
    yield "audio_channels", audio.channels
    yield "audio_sample_rate", audio.sample_rate
    yield "audio_sample_rate_khz", _scaled(audio.sample_rate, 1000, 1)
    yield "audio_bitrate", audio.bit_rate
    yield "audio_bitrate_kbps", _scaled(audio.bit_rate, 1000, None)


def _scaled(value: int | None, unit: int, decimals: int | None) -> float | None:
    return round(value / unit, decimals) if value is not None else None
