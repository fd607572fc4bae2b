from pathlib import Path
from typing import Any

import pytest
from tests.clips import Clips
from tests.jobs.workspace import FolderWorkspace

from jobreel.core.errors import InvalidRequest, NoAudio, UnsupportedMedia
from jobreel.jobs.media.silence import SilenceRequest, Stretch, answer, silence

URL = "https://example.com/a.mp3"
FIRST = {"start": "00:00:02.000", "end": "00:00:03.000", "duration": 1.0}
LAST = {"start": "00:00:05.000", "end": "00:00:06.000", "duration": 1.0}


def found(path: Path, work: FolderWorkspace, **fields: object) -> list[dict[str, Any]]:
    request = SilenceRequest.parse({"media_url": work.source(path), "duration": 0.5, **fields})
    silences = silence(request, work)
    assert isinstance(silences, list)
    return silences


def test_every_silence_is_found_the_last_one_too(work: FolderWorkspace, clips: Clips) -> None:
    assert found(clips["pauses.wav"], work) == [FIRST, LAST]
    assert work.reports[-1] == (1.0, "listen")


def test_shorter_pauses_do_not_count(work: FolderWorkspace, clips: Clips) -> None:
    assert found(clips["pauses.wav"], work, duration=1.5) == []


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"start": "00:00:03.5"}, [LAST]),
        ({"start": "0:03.5"}, [LAST]),
        ({"start": "3.5"}, [LAST]),
        ({"start": 3.5}, [LAST]),
        ({"end": 2.5}, [FIRST]),
        ({"start": 2.4, "end": "00:00:02.6"}, [FIRST]),
        ({"start": 3.5, "end": 4.5}, []),
    ],
)
def test_silences_that_overlap_the_stretch_are_kept_whole(
    work: FolderWorkspace, clips: Clips, fields: dict[str, object], kept: list[dict[str, Any]]
) -> None:
    assert found(clips["pauses.wav"], work, **fields) == kept


@pytest.mark.parametrize("noise", ["-30dB", "-30.5 db", "0.001", 0.001])
def test_the_threshold_may_be_decibels_or_a_ratio(work: FolderWorkspace, clips: Clips, noise: object) -> None:
    assert found(clips["pauses.wav"], work, noise=noise) == [FIRST, LAST]


def test_a_high_threshold_makes_everything_silence(work: FolderWorkspace, clips: Clips) -> None:
    (only,) = found(clips["song.wav"], work, noise="-1dB")

    assert (only["start"], only["end"]) == ("00:00:00.000", "00:00:02.000")


def test_mono_halves_a_sound_that_is_on_one_side_only(work: FolderWorkspace, clips: Clips) -> None:
    assert found(clips["left.wav"], work, noise="-5dB", mono=False) == []
    assert len(found(clips["left.wav"], work, noise="-5dB", mono=True)) == 1


def test_speech_in_the_centre_of_six_channels_is_heard(work: FolderWorkspace, clips: Clips) -> None:
    assert found(clips["centre.flac"], work) == []


def test_a_video_may_be_listened_to(work: FolderWorkspace, clips: Clips) -> None:
    assert found(clips["sound.mp4"], work) == []


def test_a_source_without_sound_is_told_so(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(NoAudio):
        found(clips["silent.mp4"], work)


def test_a_damaged_file_is_a_failure_and_not_silence(work: FolderWorkspace, clips: Clips) -> None:
    with pytest.raises(UnsupportedMedia):
        found(clips.truncated("sound.mp4"), work)


@pytest.mark.parametrize(
    "noise", ["", "-30", "loud", "5dB", "-201dB", "1.1", 0, -1, "-30dB:d=0.1", "-30dB,volume=0", "nan", "1e-3"]
)
def test_a_threshold_that_is_none_is_refused(noise: object) -> None:
    with pytest.raises(InvalidRequest, match="`noise` must be decibels from -200dB to 0dB"):
        SilenceRequest.parse({"media_url": URL, "duration": 1, "noise": noise})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duration": 0.05}, "`duration`"),
        ({"duration": "nan"}, "`duration`"),
        ({}, "`duration` is required"),
        ({"duration": 1, "start": "soon"}, "`start` must be a time"),
        ({"duration": 1, "end": "-1"}, "`end` must be a time"),
        ({"duration": 1, "start": 5, "end": 5}, "`end` must be later"),
    ],
)
def test_a_wrong_stretch_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        SilenceRequest.parse({"media_url": URL, **fields})


def test_hours_are_written_out() -> None:
    (only,) = answer([Stretch(3725.0004, 3726.254)], Stretch(0, float("inf")))

    assert only == {"start": "01:02:05.000", "end": "01:02:06.254", "duration": 1.25}
