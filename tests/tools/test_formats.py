import pytest

from jobreel.tools import formats
from jobreel.tools.timecode import clock, seconds


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("01:02:03.5", 3723.5),
        ("1:2:3", 3723.0),
        ("100:00", 6000.0),
        ("1:02.25", 62.25),
        ("62.5", 62.5),
        (".5", 0.5),
        (" 7 ", 7.0),
        (7, 7.0),
    ],
)
def test_a_time_may_be_written_in_each_documented_way(text: str | float, position: float) -> None:
    assert seconds(text) == position


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4", "-1", "1:", "1e3", "nan", -1, float("inf"), float("nan")])
def test_what_is_no_time_is_refused_in_plain_words(text: str | float) -> None:
    with pytest.raises(ValueError, match="must be a time like"):
        seconds(text)


def test_a_time_is_rounded_once() -> None:
    assert clock(59.9996) == "00:01:00.000"
    assert clock(3723.5) == "01:02:03.500"
    assert clock(9.999, decimals=2) == "00:00:10.00"
    assert clock(360000) == "100:00:00.000"


@pytest.mark.parametrize(
    ("name", "found"), [("MP4", "mp4"), (".mkv", "mkv"), ("matroska", "mkv"), ("adts", "aac"), ("ipod", "m4a")]
)
def test_a_format_goes_by_any_name_it_has(name: str, found: str) -> None:
    assert formats.container(name).name == found


@pytest.mark.parametrize("name", ["hls", "../../etc/passwd", "tee", "", "mp4/x"])
def test_another_format_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ValueError, match="must be one of mp4, mov"):
        formats.container(name)


def test_every_format_gets_codecs_that_fit() -> None:
    for container in formats.CONTAINERS.values():
        for codec in container.video:
            assert codec in formats.VIDEO_ENCODERS
        for codec in container.audio:
            assert codec in formats.AUDIO_ENCODERS


@pytest.mark.parametrize(
    ("asked", "made"), [("libx265", "hevc"), ("H265", "hevc"), ("x264", "h264"), ("copy", "copy"), (None, "h264")]
)
def test_a_codec_goes_by_any_name_it_has(asked: str | None, made: str) -> None:
    assert formats.codec(asked, formats.CONTAINERS["mp4"].video, "h264", "mp4") == made


def test_a_documented_default_gives_way_where_it_does_not_fit() -> None:
    assert formats.codec("libx264", formats.CONTAINERS["webm"].video, "h264", "webm") == "vp9"


def test_a_codec_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"does not go into webm; it takes vp9, av1, copy"):
        formats.codec("libx265", formats.CONTAINERS["webm"].video, "h264", "webm")


@pytest.mark.parametrize(("text", "rate"), [("128k", 128_000), ("320K", 320_000), ("96000", 96_000)])
def test_a_bit_rate_is_read(text: str, rate: int) -> None:
    assert formats.bit_rate(text, most=320_000) == rate


@pytest.mark.parametrize("text", ["", "k", "0k", "321k", "-1k", "128kbps", "1.5k", "128k -f lavfi", "99999999k"])
def test_what_is_no_bit_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a bit rate from 8k to 320k"):
        formats.bit_rate(text, most=320_000)


def test_quality_means_the_same_for_every_codec() -> None:
    def quality(codec: str, option: str, crf: float) -> str:
        options = formats.video_options(codec, "medium", crf, formats.CONTAINERS["mkv"])
        return options[options.index(option) + 1]

    assert quality("h264", "-crf", 23.5) == "23.5"
    assert [quality("vp9", "-crf", crf) for crf in (0, 23, 51)] == ["0", "28", "63"]
    assert [quality("mpeg4", "-q:v", crf) for crf in (0, 23, 51)] == ["1", "4", "31"]
