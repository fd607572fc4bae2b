from pathlib import Path

import pytest
from tests.clips import Clips

from jobreel.core.errors import SourceNotMedia, UnsupportedMedia
from jobreel.tools.probe import Media, probe


def only_video(media: Media) -> tuple[str | None, int | None, int | None]:
    (video,) = media.videos
    return video.codec, video.width, video.height


def test_a_video_with_sound_is_known(clips: Clips) -> None:
    media = probe(clips["sound.mp4"])

    assert media.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert media.duration == pytest.approx(2.0, abs=0.1)
    assert media.size_bytes == clips["sound.mp4"].stat().st_size
    assert only_video(media) == ("h264", 320, 240)
    assert media.videos[0].fps == 25
    assert [(audio.codec, audio.channels, audio.sample_rate) for audio in media.audios] == [("aac", 1, 44100)]


@pytest.mark.parametrize(
    ("name", "codec"), [("song.mp3", "mp3"), ("song.wav", "pcm_s16le"), ("song.ogg", "vorbis")]
)
def test_sound_alone_is_known(clips: Clips, name: str, codec: str) -> None:
    media = probe(clips[name])

    assert media.videos == ()
    assert media.require_sound().codec == codec


def test_a_cover_is_no_moving_picture(clips: Clips) -> None:
    media = probe(clips.with_cover())

    assert [video.is_cover for video in media.videos] == [True]
    assert media.moving_picture is None


def test_the_turn_of_a_phones_video_is_known(clips: Clips) -> None:
    assert probe(clips.rotated()).videos[0].rotation == 90
    assert probe(clips["sound.mp4"]).videos[0].rotation == 0


def test_a_picture_called_a_video_is_a_picture(clips: Clips) -> None:
    assert only_video(probe(clips.renamed("picture.png", "picture.mp4"))) == ("png", 320, 240)


def test_names_in_any_script_and_with_colons_are_opened(clips: Clips) -> None:
    for name in ("видео 影片 🎬", "http:song", "-i", "100%d"):
        assert probe(clips.renamed("song.mp3", name)).sound is not None


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list"])
def test_a_playlist_opens_no_other_file(clips: Clips, name: str) -> None:
    with pytest.raises(SourceNotMedia, match="streaming playlist"):
        probe(clips.playlist(name, clips["song.mp3"]))


def test_a_list_of_files_opens_none_of_them(clips: Clips) -> None:
    clips["song.mp3"].touch()

    with pytest.raises(SourceNotMedia):
        probe(clips.holding("joined", b"ffconcat version 1.0\nfile song.mp3\n"))


def test_a_picture_over_the_limit_of_pixels_is_refused(clips: Clips) -> None:
    with pytest.raises(UnsupportedMedia, match="64,000,000 pixels"):
        probe(clips["huge.png"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b'{"error": "no such file"}', "no audio, video or picture"),
        (bytes(range(256)) * 20, "no audio, video or picture"),
    ],
    ids=["empty", "page", "json", "noise"],
)
def test_what_is_no_media_is_said_in_plain_words(clips: Clips, content: bytes, words: str) -> None:
    with pytest.raises(SourceNotMedia, match=words):
        probe(clips.holding("song.mp3.page", content))


def test_a_video_cut_short_before_its_index_is_called_damaged(clips: Clips) -> None:
    with pytest.raises(UnsupportedMedia, match="damaged or was cut short"):
        probe(clips.truncated("sound.mp4"))


def test_a_missing_file_is_our_mistake_and_not_the_callers(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "nothing")
