from pathlib import Path

import pytest
from tests.clips import Clips
from tests.jobs.workspace import JOB_ID, FolderWorkspace

from jobreel.core.errors import InvalidRequest, NoAudio
from jobreel.core.workspace import Published
from jobreel.jobs.media.convert_mp3 import ConvertMp3Request, convert_mp3
from jobreel.tools.probe import Media, probe


def converted(path: Path, work: FolderWorkspace, **fields: object) -> Media:
    request = ConvertMp3Request.parse({"media_url": work.source(path), **fields})
    assert isinstance(convert_mp3(request, work), Published)
    ((output, name),) = work.published
    assert name == f"{JOB_ID}.mp3"
    return probe(output)


@pytest.mark.parametrize("name", ["sound.mp4", "song.wav", "song.ogg", "six.mka", "fine.wav"])
def test_the_sound_of_any_file_becomes_mp3(work: FolderWorkspace, clips: Clips, name: str) -> None:
    media = converted(clips[name], work)

    assert media.container == "mp3"
    assert media.duration == pytest.approx(probe(clips[name]).duration, abs=0.1)
    assert [audio.codec for audio in media.audios] == ["mp3"]
    assert media.videos == ()


def test_the_bit_rate_is_the_one_asked_for(work: FolderWorkspace, clips: Clips) -> None:
    assert converted(clips["song.wav"], work, bitrate="192k").require_sound().bit_rate == 192_000


def test_without_wishes_it_is_128k_at_the_rate_of_the_source(work: FolderWorkspace, clips: Clips) -> None:
    sound = converted(clips["song.wav"], work).require_sound()

    assert (sound.bit_rate, sound.sample_rate) == (128_000, 44_100)


@pytest.mark.parametrize("rate", [22050, 22050.0, "22050"])
def test_the_sample_rate_may_be_a_number_in_any_dress(work: FolderWorkspace, clips: Clips, rate: object) -> None:
    assert converted(clips["song.wav"], work, sample_rate=rate).require_sound().sample_rate == 22_050


def test_a_cover_does_not_come_along_as_video(work: FolderWorkspace, clips: Clips) -> None:
    assert converted(clips.with_cover(), work).videos == ()


def test_progress_is_told(work: FolderWorkspace, clips: Clips) -> None:
    converted(clips["song.wav"], work)

    assert work.reports[-1] == (1.0, "encode")


def test_a_source_without_sound_is_told_so(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(NoAudio):
        converted(clips["silent.mp4"], work)


@pytest.mark.parametrize("bitrate", ["128", "128kbps", "0k", "999k", "128k -f lavfi", "k"])
def test_a_bit_rate_that_mp3_has_not_is_refused(bitrate: str) -> None:
    with pytest.raises(InvalidRequest, match="`bitrate` must be a bit rate from 8k to 320k"):
        ConvertMp3Request.parse({"media_url": "https://example.com/a.mp3", "bitrate": bitrate})


@pytest.mark.parametrize("rate", [1, 44101, 96000, -8000])
def test_a_sample_rate_that_mp3_has_not_is_refused_with_those_it_has(rate: int) -> None:
    with pytest.raises(InvalidRequest, match=r"`sample_rate` must be .*44100, 48000"):
        ConvertMp3Request.parse({"media_url": "https://example.com/a.mp3", "sample_rate": rate})
