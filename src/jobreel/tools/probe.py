"""Probing: the facts about a media file, through PyAV. It decodes one frame at most and opens this file only."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jobreel.core.errors import JobFailed, NoAudio, NoVideo, SourceNotMedia, UnsupportedMedia
from jobreel.tools import demuxers, fence, sources

if TYPE_CHECKING:
    import av
    import av.stream
    from av.container import InputContainer
    from av.video.stream import VideoStream

STEP = "probe"
MICROSECONDS = 1_000_000
PACKETS_UNTIL_A_FRAME = 100
MAY_BE_ROTATED = frozenset({"mov", "matroska"})  # containers that carry a display matrix


@dataclass(frozen=True, slots=True)
class Video:
    """A stream of pictures as it is coded. None: the file does not say."""

    codec: str | None
    codec_long: str | None
    width: int | None
    height: int | None
    rotation: int  # degrees clockwise that it must be turned to stand upright: 0, 90, 180, 270
    fps: float | None
    bit_rate: int | None
    pixel_format: str | None
    is_cover: bool  # a picture that belongs to a song, not a video


@dataclass(frozen=True, slots=True)
class Audio:
    """A stream of sound. None: the file does not say."""

    codec: str | None
    codec_long: str | None
    channels: int | None
    sample_rate: int | None
    bit_rate: int | None


@dataclass(frozen=True, slots=True)
class Media:
    """What a file holds. Streams stand in the file's order."""

    container: str  # all names of the demuxer, as ffprobe lists them: "mov,mp4,m4a,3gp,3g2,mj2"
    duration: float | None  # seconds
    bit_rate: int | None  # of the whole, bits per second
    size_bytes: int
    videos: tuple[Video, ...]  # covers included
    audios: tuple[Audio, ...]

    @property
    def moving_picture(self) -> Video | None:
        """The first video that is no cover."""
        return next((video for video in self.videos if not video.is_cover), None)

    @property
    def sound(self) -> Audio | None:
        return next(iter(self.audios), None)

    def require_sound(self) -> Audio:
        """The first audio stream. Raises `NoAudio`."""
        if self.sound is None:
            raise NoAudio("The source has no audio track.", step=STEP)
        return self.sound

    def require_video(self) -> Video:
        """The first video that is no cover. Raises `NoVideo`."""
        if self.moving_picture is None:
            raise NoVideo("The source has no video track.", step=STEP)
        return self.moving_picture


def probe(path: Path) -> Media:
    """The facts about the file at `path`, which has no extension (see `ffmpeg.source`).

    Raises `SourceNotMedia`, `UnsupportedMedia`.
    """
    import av

    options = {
        "protocol_whitelist": demuxers.PROTOCOLS,
        "format_whitelist": demuxers.ALLOWED,
        "max_pixels": str(fence.in_use().max_pixels),
    }
    try:
        # Without the prefix, libav would read a colon in the path as the end of a protocol's name.
        with av.open(f"file:{path}", "r", options=options, metadata_errors="replace") as container:
            media = _media(container, path.stat().st_size)
    except av.FFmpegError as error:
        raise _why_not(path) from error
    if not _is_usable(media):
        raise UnsupportedMedia(
            f"Nothing in this file can be read: it is damaged, or its pictures have more than "
            f"{fence.in_use().max_pixels:,} pixels.",
            step=STEP,
        )
    return media


def _media(container: "InputContainer", size_bytes: int) -> Media:
    duration = container.duration
    return Media(
        container=container.format.name,
        duration=duration / MICROSECONDS if duration and duration > 0 else None,
        bit_rate=container.bit_rate or None,
        size_bytes=size_bytes,
        videos=tuple(_videos(container)),
        audios=tuple(_audios(container)),
    )


def _videos(container: "InputContainer") -> Iterator[Video]:
    import av.stream

    for stream in container.streams.video:
        is_cover = av.stream.Disposition.attached_pic in stream.disposition
        context = stream.codec_context
        codec, codec_long = _codec_names(stream)
        # A libav without a decoder for this codec has no context, and knows the stream's kind only.
        yield Video(
            codec=codec,
            codec_long=codec_long,
            width=(context and context.width) or None,
            height=(context and context.height) or None,
            rotation=0 if is_cover or not context else _rotation(container, stream),
            fps=None if is_cover else _fps(stream),
            bit_rate=(context and stream.bit_rate) or None,
            pixel_format=(context and context.pix_fmt) or None,
            is_cover=is_cover,
        )


def _audios(container: "InputContainer") -> Iterator[Audio]:
    for stream in container.streams.audio:
        context = stream.codec_context
        codec, codec_long = _codec_names(stream)
        yield Audio(
            codec=codec,
            codec_long=codec_long,
            channels=(context and context.channels) or None,
            sample_rate=(context and context.sample_rate) or None,
            bit_rate=(context and stream.bit_rate) or None,
        )


def _codec_names(stream: "av.stream.Stream") -> tuple[str | None, str | None]:
    """The codec's short and long name, as ffprobe has them: the codec's own, not the chosen decoder's."""
    import av.codec.codec

    if not stream.codec_context:
        return None, None
    codec = stream.codec_context.codec
    try:
        return codec.canonical_name, av.codec.Codec(codec.canonical_name, "r").long_name
    except av.codec.codec.UnknownCodecError:
        return codec.canonical_name, codec.long_name


def _fps(stream: "VideoStream") -> float | None:
    rate = stream.average_rate or stream.base_rate
    return float(rate) if rate else None


def _rotation(container: "InputContainer", stream: "VideoStream") -> int:
    """Read off a first frame, which is where PyAV shows the display matrix."""
    import av

    if MAY_BE_ROTATED.isdisjoint(container.format.name.split(",")):
        return 0
    stream.codec_context.options = {"max_pixels": str(fence.in_use().max_pixels)}
    try:
        for packet in islice(container.demux(stream), PACKETS_UNTIL_A_FRAME):
            for frame in packet.decode():
                return round(-frame.rotation / 90) * 90 % 360  # libav counts counter-clockwise
    except av.FFmpegError:
        pass  # damaged here; that is for whoever decodes it to say
    return 0


def _is_usable(media: Media) -> bool:
    """Whether there is sound, or a picture of known size. A picture over the limit of pixels has none."""
    return bool(media.audios) or any(video.width and video.height for video in media.videos)


def _why_not(path: Path) -> JobFailed:
    """What a file that cannot be opened is, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(sources.SNIFF_BYTES)
    if not head:
        return SourceNotMedia("The file is empty.", step=STEP)
    if (other := sources.what_came(head, None, ())) is not None:
        return SourceNotMedia(f"The file is {other.what}, not media.", step=STEP, hint=other.hint)
    if any(head.startswith(mark, offset) for mark, offset in _MARKS):
        return UnsupportedMedia("The file is damaged or was cut short.", step=STEP)
    return SourceNotMedia("The file is no audio, video or picture of a kind that can be read here.", step=STEP)


# What the files that people send most begin with, and where. Source: ISO/IEC 14496-12; RFC 9559; WAVE; PNG.
_MARKS = ((b"ftyp", 4), (b"\x1aE\xdf\xa3", 0), (b"RIFF", 0), (b"OggS", 0), (b"\x89PNG", 0), (b"\xff\xd8\xff", 0))
