from pathlib import Path
from typing import Any

import pytest
from tests.clips import Clips
from tests.jobs.workspace import FolderWorkspace

from jobreel.core.errors import SourceNotMedia
from jobreel.jobs.media.metadata import MetadataRequest, facts, metadata
from jobreel.tools.probe import Audio, Media


def looked_at(path: Path, work: FolderWorkspace) -> dict[str, Any]:
    answer = metadata(MetadataRequest.parse({"media_url": work.source(path)}), work)
    assert isinstance(answer, dict)
    return answer


def test_a_video_with_sound_has_every_documented_key(work: FolderWorkspace, clips: Clips) -> None:
    answer = looked_at(clips["sound.mp4"], work)

    size = clips["sound.mp4"].stat().st_size
    assert answer["filesize"] == size
    assert answer["filesize_mb"] == round(size / 1024**2, 2)
    assert answer["duration"] == pytest.approx(2.0, abs=0.1)
    assert answer["duration_formatted"].startswith("00:00:02.0")
    assert answer["format"] == "mov,mp4,m4a,3gp,3g2,mj2"
    assert answer["overall_bitrate_mbps"] == round(answer["overall_bitrate"] / 1_000_000, 2)
    assert (answer["has_video"], answer["video_codec"], answer["resolution"]) == (True, "h264", "320x240")
    assert (answer["width"], answer["height"], answer["fps"]) == (320, 240, 25.0)
    assert answer["video_codec_long"].startswith("H.264 / AVC")
    assert answer["pixel_format"] == "yuv420p"
    assert (answer["has_audio"], answer["audio_codec"], answer["audio_channels"]) == (True, "aac", 1)
    assert (answer["audio_sample_rate"], answer["audio_sample_rate_khz"]) == (44100, 44.1)
    assert answer["audio_bitrate_kbps"] == round(answer["audio_bitrate"] / 1000)
    assert "rotation" not in answer


def test_what_a_file_does_not_have_is_left_out(work: FolderWorkspace, clips: Clips) -> None:
    answer = looked_at(clips["song.wav"], work)

    assert answer["has_video"] is False
    assert not [key for key in answer if key.startswith("video_") or key in {"width", "height", "fps"}]
    assert None not in answer.values()


def test_a_picture_has_no_duration(work: FolderWorkspace, clips: Clips) -> None:
    answer = looked_at(clips.renamed("picture.png", "picture.mp4"), work)

    assert answer["resolution"] == "320x240"
    assert not {"duration", "duration_formatted", "overall_bitrate"} & answer.keys()


def test_cover_art_counts_as_video(work: FolderWorkspace, clips: Clips) -> None:
    answer = looked_at(clips.with_cover(), work)

    assert (answer["has_video"], answer["video_codec"], answer["has_audio"]) == (True, "png", True)


def test_a_phones_video_tells_how_it_is_turned(work: FolderWorkspace, clips: Clips) -> None:
    answer = looked_at(clips.rotated(), work)

    assert (answer["width"], answer["height"], answer["rotation"]) == (320, 240, 90)


def test_seconds_below_ten_are_padded() -> None:
    sound = Audio("aac", None, None, None, None)

    answer = facts(Media("mp3", 3605.007, None, 1, (), (sound,)))

    assert answer["duration_formatted"] == "01:00:05.01"


def test_a_page_instead_of_media_is_told_in_plain_words(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(SourceNotMedia, match="a web page, not media"):
        looked_at(clips.holding("talk.mp3", b"<html><body>Sign in</body></html>"), work)


def test_headers_for_a_protected_source_are_sent_along(work: FolderWorkspace, clips: Clips) -> None:
    url = work.source(clips["song.wav"])

    metadata(MetadataRequest.parse({"video_url": url, "download_headers": {"Cookie": "a=b"}}), work)

    assert work.sent_headers == {url: {"Cookie": "a=b"}}
