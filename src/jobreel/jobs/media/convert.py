"""media/convert: another container, other codecs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from jobreel.core.errors import BadInput
from jobreel.core.request import Headers, JobRequest, Url
from jobreel.core.workspace import Workspace
from jobreel.jobs.fields import about
from jobreel.jobs.registry import job_type
from jobreel.tools import ffmpeg, formats
from jobreel.tools.probe import Media, probe

MAX_AUDIO_BIT_RATE = 512_000
GIF_FPS = 12.5  # its clock counts hundredths of a second: 8 for each frame
GIF_WIDTH = 480  # pixels; a GIF of a whole screen is larger than the video it was made from
USUAL_VIDEO, USUAL_AUDIO = "h264", "aac"  # the documented defaults


class ConvertRequest(JobRequest):
    """What to make of which file."""

    also_called: ClassVar[dict[str, str]] = {"video_url": "media_url"}

    media_url: Annotated[Url, msgspec.Meta(description="A video, sound or picture file.")]
    format: Annotated[str, msgspec.Meta(description=f"One of {', '.join(formats.CONTAINERS)}.")]
    video_codec: Annotated[str, msgspec.Meta(description="h264, hevc, vp9, av1, mpeg4, prores or copy.")] | None = (
        None
    )
    video_preset: Annotated[str, msgspec.Meta(description=f"Speed of encoding: {', '.join(formats.PRESETS)}.")] = (
        "medium"
    )
    video_crf: Annotated[
        float, msgspec.Meta(ge=0, le=51, description="Quality: 0 is best, 51 worst, whatever the codec.")
    ] = 23
    audio_codec: (
        Annotated[str, msgspec.Meta(description="aac, mp3, opus, vorbis, flac, alac, ac3, pcm or copy.")] | None
    ) = None
    audio_bitrate: Annotated[str, msgspec.Meta(description="Bit rate of lossy sound, from `8k` to `512k`.")] = (
        "128k"
    )
    download_headers: Headers | None = None

    def check(self) -> None:
        self.audio_bit_rate()
        with about("video_preset"):
            formats.check_preset(self.video_preset)
        into = self.container()
        if into.video:
            self.codec_for_video(into)
        if into.audio:
            self.codec_for_audio(into)

    def container(self) -> formats.Container:
        with about("format"):
            return formats.container(self.format)

    def codec_for_video(self, into: formats.Container) -> str:
        """The codec to make, or `copy`."""
        with about("video_codec"):
            return formats.codec(self.video_codec, into.video, USUAL_VIDEO, into.name)

    def codec_for_audio(self, into: formats.Container) -> str:
        """The codec to make, or `copy`."""
        with about("audio_codec"):
            return formats.codec(self.audio_codec, into.audio, USUAL_AUDIO, into.name)

    def audio_bit_rate(self) -> int:
        """Bits per second."""
        with about("audio_bitrate"):
            return formats.bit_rate(self.audio_bitrate, most=MAX_AUDIO_BIT_RATE)


@job_type(
    "media/convert",
    request=ConvertRequest,
    summary="Convert a media file into another format",
    example={"media_url": "https://example.com/talk.mov", "format": "mp4", "video_crf": 28},
    example_response="https://jobreel.example/v1/files/0199.../0199....mp4",
    time_limit=timedelta(hours=2),
    aliases=("/paid/media/convert",),
)
def convert(request: ConvertRequest, work: Workspace) -> Any:
    """Returns the address of the converted file.

    Where no codec is asked for, the format gets one that fits: H.264 and AAC in mp4, mov, mkv and avi, VP9
    and Opus in webm, and the obvious one in the sound formats. Subtitles and cover art are left behind.
    `copy` keeps a stream as it is. GIFs get at most 12.5 frames a second and a width of 480. Sound formats
    from a source without sound end as `no_audio`, `gif` from one without video as `no_video`.
    """
    source = work.fetch(request.media_url, request.download_headers)
    media = probe(source)
    into = request.container()
    output = work.path(f"output.{into.name}")
    if into.name == "gif":
        make_gif(source, media, output, work)
    else:
        ffmpeg.run(convert_arguments(source, media, request, output), work, duration=media.duration)
    return work.publish(output, f"{work.job_id}.{into.name}")


def convert_arguments(source: Path, media: Media, request: ConvertRequest, output: Path) -> list[str]:
    """FFmpeg arguments for every format but GIF.

    Raises `NoAudio` and `NoVideo` where nothing would be left, `BadInput` where a stream that shall be
    copied cannot live in the format.
    """
    into = request.container()
    if not into.video:
        media.require_sound()
    elif media.sound is None:
        media.require_video()
    streams = [*_picture(media, request, into), *_sound(media, request, into)]
    return [*ffmpeg.source(source), *streams, *into.options, "-f", into.muxer, ffmpeg.local(output)]


def _picture(media: Media, request: ConvertRequest, into: formats.Container) -> list[str]:
    found = media.moving_picture
    if found is None or not into.video:
        return []
    codec = request.codec_for_video(into)
    if codec == formats.COPY:
        _must_hold(into, found.codec, "video")
    # V, not v: a cover is no video.
    return ["-map", "0:V:0", *formats.video_options(codec, request.video_preset, request.video_crf, into)]


def _sound(media: Media, request: ConvertRequest, into: formats.Container) -> list[str]:
    if media.sound is None:
        return []
    codec = request.codec_for_audio(into)
    if codec == formats.COPY:
        _must_hold(into, media.sound.codec, "audio")
    return ["-map", "0:a:0", *formats.audio_options(codec, request.audio_bit_rate(), media.sound.channels or 1)]


def _must_hold(into: formats.Container, codec: str | None, kind: str) -> None:
    if codec is not None and not into.can_hold(codec):
        raise BadInput(
            f"The source's {kind} is {codec}, which cannot be copied into {into.name}.",
            step="encode",
            hint=f"Leave out `{kind}_codec` to convert it.",
        )


def make_gif(source: Path, media: Media, output: Path, work: Workspace) -> None:
    """Two runs, one for the best 256 colours: in one, ffmpeg would hold every frame until the last is seen."""
    fps = media.require_video().fps
    palette = work.path("palette")
    ffmpeg.run(palette_arguments(source, fps, palette), work, duration=media.duration, stage="palette")
    ffmpeg.run(gif_arguments(source, fps, palette, output), work, duration=media.duration)


_ONE_PNG = ("-c:v", "png", "-f", "image2", "-update", "1")


def palette_arguments(source: Path, fps: float | None, palette: Path) -> list[str]:
    """FFmpeg arguments that choose a GIF's colours. Source: ffmpeg-filters.html, palettegen."""
    filters = f"{_gif_size(fps)},palettegen=stats_mode=diff"
    return [*ffmpeg.source(source), "-map", "0:V:0", "-vf", filters, *_ONE_PNG, ffmpeg.local(palette)]


def gif_arguments(source: Path, fps: float | None, palette: Path, output: Path) -> list[str]:
    """FFmpeg arguments that draw a GIF with the colours in `palette`."""
    graph = f"[0:V:0]{_gif_size(fps)}[small];[small][1:v]paletteuse=dither=bayer:diff_mode=rectangle"
    inputs = [*ffmpeg.source(source), *ffmpeg.source(palette)]
    return [*inputs, "-filter_complex", graph, "-f", "gif", ffmpeg.local(output)]


def _gif_size(fps: float | None) -> str:
    return f"fps={min(fps or GIF_FPS, GIF_FPS):g},scale=w='min({GIF_WIDTH},iw)':h=-1:flags=lanczos"
