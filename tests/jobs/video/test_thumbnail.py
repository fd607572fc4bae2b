from pathlib import Path

import av
import pytest
from tests.clips import Clips
from tests.jobs.workspace import JOB_ID, FolderWorkspace

from jobreel.core.errors import InvalidRequest, NoVideo, SourceNotMedia, UnsupportedMedia
from jobreel.core.workspace import Published
from jobreel.jobs.video.thumbnail import ThumbnailRequest, thumbnail
from jobreel.tools.probe import probe


def taken(path: Path, work: FolderWorkspace, **fields: object) -> Path:
    """The JPEG, under a name without extension, as sources have."""
    request = ThumbnailRequest.parse({"video_url": work.source(path), **fields})
    assert isinstance(thumbnail(request, work), Published)
    ((output, name),) = work.published
    assert name == f"{JOB_ID}_thumbnail.jpg"
    return output.rename(output.with_suffix(""))


def size(picture: Path) -> tuple[int | None, int | None]:
    (video,) = probe(picture).videos
    assert video.codec == "mjpeg"
    return video.width, video.height


def is_blue(picture: Path) -> bool:
    with av.open(str(picture)) as container:
        red, _, blue = bytes(next(container.decode(video=0)).reformat(format="rgb24").planes[0])[:3]
    return blue > 200 and red < 50


def test_a_frame_is_the_one_at_its_second(work: FolderWorkspace, clips: Clips) -> None:
    assert not is_blue(taken(clips["red_then_blue.mp4"], work, second=0.5))
    work.published.clear()
    assert is_blue(taken(clips["red_then_blue.mp4"], work, second="1.5"))


@pytest.mark.parametrize("second", [1.99, 2, 3600, 1e9])
def test_beyond_the_end_it_is_the_last_frame(work: FolderWorkspace, clips: Clips, second: float) -> None:
    assert is_blue(taken(clips["red_then_blue.mp4"], work, second=second))


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("one_frame.mp4", 0.03),
        ("early_picture.mp4", 5),
        ("picture.png", 3),
        ("vp9.webm", 0),
        ("hdr.mp4", 1),
        ("silent.mp4", 0),
    ],
)
def test_every_kind_of_picture_gives_a_jpeg(work: FolderWorkspace, clips: Clips, name: str, second: float) -> None:
    assert size(taken(clips[name], work, second=second)) == (320, 240)


def test_a_film_that_was_cut_short_gives_its_last_frame(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips.truncated("vp9.webm"), work, second=1.9)) == (320, 240)


def test_odd_sizes_are_kept(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips["odd.mkv"], work)) == (161, 121)


def test_a_phones_video_stands_upright(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips.rotated(), work)) == (240, 320)


def test_wide_pixels_become_square(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips["wide_pixels.mp4"], work)) == (640, 240)


def test_the_cover_of_a_song_will_do(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips.with_cover(), work)) == (320, 240)


def test_names_in_any_script_are_fine(work: FolderWorkspace, clips: Clips) -> None:
    assert size(taken(clips.renamed("silent.mp4", "видео 影片.mp4"), work)) == (320, 240)


def test_a_source_without_video_is_told_so(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(NoVideo):
        taken(clips["song.mp3"], work)


def test_a_playlist_is_told_as_one_and_opens_nothing(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(SourceNotMedia, match="playlist"):
        taken(clips.playlist("list.mp4", clips["song.mp3"]), work)


def test_a_picture_over_the_limit_of_pixels_is_refused(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(UnsupportedMedia, match="pixels"):
        taken(clips["huge.png"], work)


@pytest.mark.parametrize("second", [-1, "nan", "soon", float("inf")])
def test_a_second_that_is_none_is_refused(second: object) -> None:
    with pytest.raises(InvalidRequest, match="`second`"):
        ThumbnailRequest.parse({"video_url": "https://example.com/a.mp4", "second": second})


def test_the_source_may_be_called_media_url_too() -> None:
    request = ThumbnailRequest.parse({"media_url": "https://example.com/a.mp4"})

    assert request.video_url == "https://example.com/a.mp4"
