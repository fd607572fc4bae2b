from pathlib import Path

import pytest
from tests.clips import Clips
from tests.jobs.workspace import JOB_ID, FolderWorkspace

from jobreel.core.errors import BadInput, InvalidRequest, NoAudio, NoVideo, TooLarge, UnsupportedMedia
from jobreel.core.workspace import Published
from jobreel.jobs.media.convert import ConvertRequest, convert
from jobreel.tools import fence, formats
from jobreel.tools.fence import Fence
from jobreel.tools.probe import Media, probe

URL = "https://example.com/a.mp4"


def converted(path: Path, work: FolderWorkspace, to: str, **fields: object) -> Media:
    fields = {"video_preset": "ultrafast", **fields}
    request = ConvertRequest.parse({"media_url": work.source(path), "format": to, **fields})
    assert isinstance(convert(request, work), Published)
    ((output, name),) = work.published
    assert name == f"{JOB_ID}.{formats.container(to).name}"
    return probe(output)


def codecs(media: Media) -> list[str | None]:
    return [video.codec for video in media.videos] + [audio.codec for audio in media.audios]


@pytest.mark.parametrize(
    ("to", "container", "made"),
    [
        ("mp4", "mov,mp4", ["h264", "aac"]),
        ("mov", "mov,mp4", ["h264", "aac"]),
        ("mkv", "matroska", ["h264", "aac"]),
        ("matroska", "matroska", ["h264", "aac"]),
        ("webm", "matroska,webm", ["vp9", "opus"]),
        ("avi", "avi", ["h264", "aac"]),
        ("gif", "gif", ["gif"]),
        ("mp3", "mp3", ["mp3"]),
        ("m4a", "mov,mp4", ["aac"]),
        ("ipod", "mov,mp4", ["aac"]),
        ("aac", "aac", ["aac"]),
        ("adts", "aac", ["aac"]),
        ("wav", "wav", ["pcm_s16le"]),
        ("flac", "flac", ["flac"]),
        ("ogg", "ogg", ["vorbis"]),
        ("opus", "ogg", ["opus"]),
    ],
)
def test_every_format_gets_codecs_that_fit(
    work: FolderWorkspace, clips: Clips, to: str, container: str, made: list[str]
) -> None:
    media = converted(clips["sound.mp4"], work, to)

    assert media.container.startswith(container)
    assert codecs(media) == made
    assert media.duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("h265", "hevc"),
        ("libx264", "h264"),
        ("vp9", "vp9"),
        ("av1", "av1"),
        ("mpeg4", "mpeg4"),
        ("prores", "prores"),
    ],
)
def test_a_codec_may_be_chosen_even_for_a_picture_of_odd_size(
    work: FolderWorkspace, clips: Clips, asked: str, made: str
) -> None:
    (video,) = converted(clips["odd.mkv"], work, "mkv", video_codec=asked).videos

    assert video.codec == made
    assert (video.width, video.height) == (160, 120)


@pytest.mark.parametrize("asked", ["aac", "mp3", "opus", "vorbis", "flac", "alac", "ac3"])
def test_sound_in_six_channels_goes_into_every_codec(work: FolderWorkspace, clips: Clips, asked: str) -> None:
    sound = converted(clips["six.mka"], work, "mkv", audio_codec=asked).require_sound()

    assert sound.codec == asked
    assert sound.channels == (2 if asked == "mp3" else 6)


def test_copy_keeps_streams_as_they_are(work: FolderWorkspace, clips: Clips) -> None:
    before = probe(clips["sound.mp4"])

    after = converted(clips["sound.mp4"], work, "mov", video_codec="copy", audio_codec="copy")

    assert codecs(after) == codecs(before)
    assert after.videos[0].bit_rate == before.videos[0].bit_rate


def test_a_stream_that_cannot_be_copied_there_is_the_callers_to_mend(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(BadInput, match="video is h264, which cannot be copied into webm"):
        converted(clips["sound.mp4"], work, "webm", video_codec="copy")


@pytest.mark.parametrize("to", ["mp3", "aac", "ogg"])
def test_audio_bitrate_counts_in_sound_formats_too(work: FolderWorkspace, clips: Clips, to: str) -> None:
    small = converted(clips["pauses.wav"], work, to, audio_bitrate="64k").size_bytes
    work.published.clear()
    work.path(f"output.{to}").unlink()
    large = converted(clips["pauses.wav"], work, to, audio_bitrate="256k").size_bytes

    assert large > 1.2 * small


@pytest.mark.parametrize(
    ("codec", "rate"), [("opus", "512k"), ("vorbis", "8k"), ("vorbis", "512k"), ("mp3", "512k")]
)
def test_a_rate_beyond_a_codecs_reach_becomes_the_nearest(
    work: FolderWorkspace, clips: Clips, codec: str, rate: str
) -> None:
    media = converted(clips["fine.wav"], work, "mkv", audio_codec=codec, audio_bitrate=rate)

    assert codecs(media) == [codec]


def test_quality_decides_the_size(work: FolderWorkspace, clips: Clips) -> None:
    good = converted(clips["silent.mp4"], work, "mp4", video_crf=15).size_bytes
    work.published.clear()
    work.path("output.mp4").unlink()
    poor = converted(clips["silent.mp4"], work, "mp4", video_crf="40").size_bytes

    assert good > 2 * poor


def test_an_mp4_begins_with_its_index(work: FolderWorkspace, clips: Clips) -> None:
    converted(clips["sound.mp4"], work, "mp4")

    content = work.published[0][0].read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("to", ["mp4", "webm", "gif"])
def test_a_phones_video_stands_upright(work: FolderWorkspace, clips: Clips, to: str) -> None:
    (video,) = converted(clips.rotated(), work, to).videos

    assert (video.width, video.height, video.rotation) == (240, 320, 0)


@pytest.mark.parametrize("to", ["mp4", "webm", "mkv"])
def test_cover_art_is_not_turned_into_video(work: FolderWorkspace, clips: Clips, to: str) -> None:
    media = converted(clips.with_cover(), work, to)

    assert media.videos == ()
    assert media.sound is not None


def test_deep_colours_become_what_players_know(work: FolderWorkspace, clips: Clips) -> None:
    assert converted(clips["hdr.mp4"], work, "mp4").videos[0].pixel_format == "yuv420p"


def test_a_gif_is_small_and_slow(work: FolderWorkspace, clips: Clips) -> None:
    (video,) = converted(clips["wide.mp4"], work, "gif").videos

    assert (video.width, video.height, video.fps) == (480, 270, 12.5)


def test_a_picture_becomes_a_gif(work: FolderWorkspace, clips: Clips) -> None:
    assert codecs(converted(clips["picture.png"], work, "gif")) == ["gif"]


def test_progress_is_told(work: FolderWorkspace, clips: Clips) -> None:
    converted(clips["sound.mp4"], work, "mp4")

    assert work.reports[0] == (0.0, "encode")
    assert work.reports[-1][0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("to", ["mp3", "wav", "m4a", "opus"])
def test_a_sound_format_from_a_silent_film_is_refused(work: FolderWorkspace, clips: Clips, to: str) -> None:
    with pytest.raises(NoAudio):
        converted(clips["silent.mp4"], work, to)


@pytest.mark.parametrize("sound_only", [True, False], ids=["song", "song with cover"])
def test_a_gif_of_a_song_is_refused(work: FolderWorkspace, clips: Clips, sound_only: bool) -> None:
    with pytest.raises(NoVideo):
        converted(clips["song.mp3"] if sound_only else clips.with_cover(), work, "gif")


def test_a_damaged_file_is_told_as_damaged(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(UnsupportedMedia, match="damaged"):
        converted(clips.truncated("sound.mp4"), work, "mp4")


def test_a_result_over_its_limit_is_too_large(work: FolderWorkspace, clips: Clips) -> None:
    fence.use(Fence(output_bytes=20_000))

    with pytest.raises(TooLarge):
        converted(clips["sound.mp4"], work, "mp4")


@pytest.mark.parametrize("to", ["../../etc/cron.d/x", "hls", "tee", "", "mp4;rm"])
def test_a_format_that_is_none_is_refused_with_the_list(to: str) -> None:
    with pytest.raises(InvalidRequest, match="`format` must be one of mp4, mov, mkv"):
        ConvertRequest.parse({"media_url": URL, "format": to})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": "webm", "video_codec": "libx265"}, "takes vp9, av1, copy"),
        ({"format": "mp4", "audio_codec": "vorbis"}, "takes aac, mp3, opus, flac, alac, ac3, copy"),
        ({"format": "mp3", "audio_codec": "opus"}, "takes mp3, copy"),
        ({"format": "mp4", "video_codec": "h264_vaapi"}, "does not go into mp4"),
        ({"format": "mp4", "video_preset": "fast -f lavfi"}, "`video_preset` must be one of ultrafast"),
        ({"format": "mp4", "video_crf": 52}, "`video_crf`"),
        ({"format": "mp4", "video_crf": "nan"}, "`video_crf`"),
        ({"format": "mp4", "audio_bitrate": "lots"}, "`audio_bitrate` must be a bit rate"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_before_the_job(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        ConvertRequest.parse({"media_url": URL, **fields})


@pytest.mark.parametrize("to", formats.CONTAINERS)
def test_whoever_spells_out_every_documented_default_is_served(to: str) -> None:
    spelt_out = {
        "video_codec": "libx264",
        "video_preset": "medium",
        "video_crf": 23,
        "audio_codec": "aac",
        "audio_bitrate": "128k",
    }

    ConvertRequest.parse({"media_url": URL, "format": to, **spelt_out})
