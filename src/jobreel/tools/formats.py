"""Formats: the names people use for containers and codecs, and the ffmpeg muxers and encoders behind them.

Codecs go by FFmpeg's name of the codec (`hevc`), not of an encoder (`libx265`), so that a probed stream and
a wanted one compare.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

COPY = "copy"

VIDEO_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg4": "mpeg4",
    "prores": "prores_ks",
    "gif": "gif",
}
AUDIO_ENCODERS = {
    "aac": "aac",
    "mp3": "libmp3lame",
    "opus": "libopus",
    "vorbis": "libvorbis",
    "flac": "flac",
    "alac": "alac",
    "ac3": "ac3",
    "pcm_s16le": "pcm_s16le",
    "pcm_s24le": "pcm_s24le",
}
ALSO_CALLED = {
    **{encoder: codec for codec, encoder in (VIDEO_ENCODERS | AUDIO_ENCODERS).items()},
    "h265": "hevc",
    "avc": "h264",
    "x264": "h264",
    "x265": "hevc",
    "libaom-av1": "av1",
    "lame": "mp3",
    "pcm": "pcm_s16le",
}


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file. Of the codecs it takes here, the first is what it gets when nobody asks."""

    name: str
    muxer: str
    video: tuple[str, ...]
    audio: tuple[str, ...]
    also_copies: frozenset[str] = frozenset()  # codecs that it holds but that are not made here
    copies_anything: bool = False
    options: tuple[str, ...] = ()

    def can_hold(self, codec: str) -> bool:
        return self.copies_anything or codec in (*self.video, *self.audio, *self.also_copies)


# The index at the front, so that players and browsers start before the whole file is there.
_FAST_START = ("-movflags", "+faststart")
_OLDER_MPEG = frozenset({"mpeg1video", "mpeg2video", "mp2", "eac3", "dts", "mjpeg", "h263", "amr_nb", "vvc"})
_OLDER_AVI = frozenset({"msmpeg4v2", "msmpeg4v3", "mjpeg", "mpeg2video", "mp2", "wmav2", "dvvideo", "flv1"})
_OTHER_PCM = frozenset({"pcm_u8", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"})
_EVERY_VIDEO = ("h264", "hevc", "vp9", "av1", "mpeg4", "prores")
_EVERY_AUDIO = tuple(AUDIO_ENCODERS)

_MP4_VIDEO, _MP4_AUDIO = ("h264", "hevc", "av1", "vp9", "mpeg4"), ("aac", "mp3", "opus", "flac", "alac", "ac3")
_MOV_VIDEO, _MOV_AUDIO = (
    ("h264", "hevc", "prores", "mpeg4"),
    ("aac", "mp3", "alac", "ac3", "pcm_s16le", "pcm_s24le"),
)
_AVI_AUDIO = ("aac", "mp3", "ac3", "pcm_s16le")

CONTAINERS = {
    each.name: each
    for each in (
        Container("mp4", "mp4", _MP4_VIDEO, _MP4_AUDIO, _OLDER_MPEG, options=_FAST_START),
        Container("mov", "mov", _MOV_VIDEO, _MOV_AUDIO, _OLDER_MPEG | _OTHER_PCM, options=_FAST_START),
        Container("mkv", "matroska", _EVERY_VIDEO, _EVERY_AUDIO, copies_anything=True),
        Container("webm", "webm", ("vp9", "av1"), ("opus", "vorbis"), frozenset({"vp8"})),
        Container("avi", "avi", ("h264", "mpeg4"), _AVI_AUDIO, _OLDER_AVI),
        Container("gif", "gif", ("gif",), ()),
        Container("mp3", "mp3", (), ("mp3",)),
        Container("m4a", "ipod", (), ("aac", "alac"), options=_FAST_START),
        Container("aac", "adts", (), ("aac",)),
        Container("wav", "wav", (), ("pcm_s16le", "pcm_s24le"), _OTHER_PCM),
        Container("flac", "flac", (), ("flac",)),
        Container("ogg", "ogg", (), ("vorbis", "opus", "flac"), frozenset({"speex"})),
        Container("opus", "opus", (), ("opus",)),
    )
}
MUXER_NAMES = {"matroska": "mkv", "adts": "aac", "ipod": "m4a"}  # which the reference asked for


def container(name: str) -> Container:
    """The container people call `name`. Raises ValueError, which lists them."""
    plain = name.strip().lower().removeprefix(".")
    try:
        return CONTAINERS[MUXER_NAMES.get(plain, plain)]
    except KeyError:
        raise ValueError(f"must be one of {', '.join(CONTAINERS)}, not {name[:40]!r}") from None


def codec(asked: str | None, fitting: tuple[str, ...], usual: str, where: str) -> str:
    """The codec to make, or `copy`: what was asked for, or else what `where` gets when nobody asks.

    `usual` is the documented default of the field: clients that spell out every default get what fits.
    Raises ValueError, which says what fits.
    """
    if asked is None:
        return fitting[0]
    plain = asked.strip().lower()
    wanted = ALSO_CALLED.get(plain, plain)
    if wanted == COPY or wanted in fitting:
        return wanted
    if wanted == usual:
        return fitting[0]
    raise ValueError(f"{asked[:40]!r} does not go into {where}; it takes {', '.join((*fitting, COPY))}")


# -- encoder options --------------------------------------------------------------------------------------

PRESETS = (  # x264's words for how much time a frame may take
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_VP9_SPEED = (8, 7, 6, 5, 5, 4, 3, 2, 1, 0)  # -cpu-used, by preset; above 5 it needs the hasty deadline
_AV1_SPEED = (12, 11, 10, 9, 8, 7, 6, 4, 3, 2)  # SVT-AV1's -preset, by preset
_PIXELS = {"hevc": "yuv420p|yuv420p10le", "av1": "yuv420p|yuv420p10le", "prores": "yuv422p10le"}
_QUICKTIME = {"mp4", "mov"}


def check_preset(preset: str) -> None:
    """Raises ValueError, which lists the presets."""
    if preset not in PRESETS:
        raise ValueError(f"must be one of {', '.join(PRESETS)}, not {preset[:40]!r}")


def video_options(codec: str, preset: str, crf: float, into: Container) -> list[str]:
    """Encoder arguments for one video stream. `crf` is on x264's scale (0 best, 51 worst) for every codec."""
    if codec == COPY:
        return ["-c:v", COPY]
    # Chroma is stored for pairs of pixels, so a column or row that has no partner goes.
    even = "crop=w=trunc(iw/2)*2:h=trunc(ih/2)*2"
    filters = ["-vf", f"{even},format={_PIXELS.get(codec, 'yuv420p')}"]
    # Apple's players know HEVC by this tag only.
    tag = ["-tag:v", "hvc1"] if codec == "hevc" and into.name in _QUICKTIME else []
    return [*filters, "-c:v", VIDEO_ENCODERS[codec], *_quality(codec, PRESETS.index(preset), crf), *tag]


def _quality(codec: str, speed: int, crf: float) -> list[str]:
    match codec:
        case "h264":
            return ["-preset", PRESETS[speed], "-crf", f"{crf:g}"]
        case "hevc":
            return ["-preset", PRESETS[speed], "-crf", f"{crf:g}", "-x265-params", "log-level=error"]
        case "vp9":
            hurry = _VP9_SPEED[speed]
            deadline = "realtime" if hurry > 5 else "good"
            return [
                *("-crf", _of_63(crf), "-b:v", "0", "-row-mt", "1"),
                *("-deadline", deadline, "-cpu-used", str(hurry)),
            ]
        case "av1":
            return ["-crf", _of_63(crf), "-preset", str(_AV1_SPEED[speed])]
        case "mpeg4":
            return ["-q:v", str(_quantiser(crf))]
        case _:
            return []


def _of_63(crf: float) -> str:
    """A quality of 0..51 on the scale of 0..63 that VP9 and AV1 have."""
    return str(round(crf * 63 / 51))


def _quantiser(crf: float) -> int:
    """The MPEG-4 quantiser (1..31) whose step is nearest to H.264's, which doubles with every 6 of `crf`."""
    return min(max(round(0.3125 * 2 ** (crf / 6)), 1), 31)


# Nominal rates of libvorbis' qualities 0..10. Its managed bit rates fail outside a range that depends on
# channels and sample rate; a quality never does. Source: libvorbisenc, 44.1 kHz stereo.
_VORBIS_RATES = (64_000, 80_000, 96_000, 112_000, 128_000, 160_000, 192_000, 224_000, 256_000, 320_000, 500_000)
_OPUS_PER_CHANNEL = 256_000
# libopus refuses the side layouts that AC-3 decodes to; these are what Vorbis channel mapping knows.
_OPUS_LAYOUTS = "aformat=channel_layouts=7.1|6.1|5.1|5.0|quad|3.0|stereo|mono"
_LOSSY = {"aac", "mp3", "opus", "ac3"}


def audio_options(codec: str, bit_rate: int, channels: int) -> list[str]:
    """Encoder arguments for one audio stream. `bit_rate` (bits per second) counts for lossy codecs only."""
    if codec == COPY:
        return ["-c:a", COPY]
    options = ["-c:a", AUDIO_ENCODERS[codec]]
    if codec == "vorbis":
        return [*options, "-q:a", str(max(bisect_right(_VORBIS_RATES, bit_rate) - 1, 0))]
    if codec == "opus":
        bit_rate = min(bit_rate, _OPUS_PER_CHANNEL * channels)
        options += ["-af", _OPUS_LAYOUTS]
    return [*options, "-b:a", str(bit_rate)] if codec in _LOSSY else options


_BIT_RATE = re.compile(r"([0-9]{1,7})(k?)", re.IGNORECASE)


def bit_rate(text: str, *, most: int, least: int = 8_000) -> int:
    """Bits per second from `128k` or `128000`. Raises ValueError in plain words."""
    found = _BIT_RATE.fullmatch(text.strip())
    rate = int(found[1]) * (1000 if found[2] else 1) if found else 0
    if not least <= rate <= most:
        raise ValueError(
            f"must be a bit rate from {least // 1000}k to {most // 1000}k, like 128k, not {text[:40]!r}"
        )
    return rate
