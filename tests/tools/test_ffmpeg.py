from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clips import Clips
from tests.jobs.workspace import FolderWorkspace

from jobreel.core.errors import (
    JobFailed,
    NotInstalled,
    OutOfMemory,
    ScratchFull,
    TooLarge,
    ToolFailed,
    UnsupportedMedia,
)
from jobreel.tools import fence, ffmpeg
from jobreel.tools.fence import Fence
from jobreel.tools.ffmpeg_errors import NothingWritten, failure


@pytest.fixture
def work(tmp_path: Path) -> FolderWorkspace:
    return FolderWorkspace(tmp_path)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a test puts in use is gone after it."""
    around, program = fence.in_use(), ffmpeg.program()
    yield
    fence.use(around)
    ffmpeg.use(program)


def copied(path: Path, work: FolderWorkspace) -> Path:
    return work.fetch(work.source(path))


def test_progress_rises_to_the_whole(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["sound.mp4"], work)

    ffmpeg.run([*ffmpeg.source(source), ffmpeg.local(work.path("out.mp4"))], work, duration=2.0)

    fractions = [fraction for fraction, _ in work.reports if fraction is not None]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert {stage for _, stage in work.reports} == {"encode"}


def test_progress_has_no_fraction_where_the_duration_is_unknown(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["song.wav"], work)

    ffmpeg.run([*ffmpeg.source(source), ffmpeg.local(work.path("out.mp3"))], work)

    assert work.reports == [(None, "encode")]


def test_the_log_names_no_path_of_this_machine(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["song.wav"], work)

    ffmpeg.run([*ffmpeg.source(source), ffmpeg.local(work.path("out.mp3"))], work)

    log = "\n".join(work.lines)
    assert "Output #0, mp3, to 'out.mp3'" in log
    assert str(work.folder) not in log


def test_a_flood_of_complaints_does_not_flood_the_log(work: FolderWorkspace) -> None:
    noisy = "while :; do echo '[error] this frame is damaged, and so is the next one' >&2; done"
    script = work.path("noisy")
    script.write_text(f"#!/bin/sh\n( {noisy} ) & sleep 0.3; kill $!\n")
    script.chmod(0o755)
    ffmpeg.use(script)

    ffmpeg.run([], work)

    assert sum(map(len, work.lines)) < 2 * ffmpeg.LOGGED_BYTES
    assert work.lines[-1].startswith("ffmpeg had more to say")


def test_ffmpeg_opens_no_playlist_whatever_it_is_called(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips.playlist("list.mp4", clips["song.mp3"]), work)

    with pytest.raises(UnsupportedMedia):
        ffmpeg.run([*ffmpeg.source(source), "-c", "copy", ffmpeg.local(work.path("out.mp3"))], work)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile other.mp3\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 49170 RTP/AVP 0\nc=IN IP4 127.0.0.1\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>other.mp3</BaseURL></Period></MPD>',
        "#EXTM3U\n#EXTINF:2,\nother.mp3\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "sdp", "dash", "hls"],
)
def test_a_file_that_names_a_sibling_is_refused(work: FolderWorkspace, clips: Clips, text: str) -> None:
    work.path("other.mp3").write_bytes(clips["song.mp3"].read_bytes())
    source = work.path("source")
    source.write_text(text)

    with pytest.raises(UnsupportedMedia):
        ffmpeg.run([*ffmpeg.source(source), "-c", "copy", ffmpeg.local(work.path("out.mp3"))], work)


def test_a_picture_over_the_limit_of_pixels_is_refused(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["huge.png"], work)

    with pytest.raises(TooLarge, match="more pixels than are read here"):
        ffmpeg.run([*ffmpeg.source(source), "-f", "null", "-"], work)


def test_a_result_over_its_limit_is_too_large(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["pauses.wav"], work)
    fence.use(Fence(output_bytes=50_000))

    with pytest.raises(TooLarge):
        ffmpeg.run([*ffmpeg.source(source), ffmpeg.local(work.path("out.wav"))], work)


def test_too_little_memory_is_told_as_such(work: FolderWorkspace) -> None:
    picture = ("-f", "lavfi", "-i", "color=size=7680x4320:rate=25:duration=2")
    fence.use(Fence(memory_bytes=-(500 << 20)))  # the net is 2 GiB wider than twice this: 1 GiB

    with pytest.raises(OutOfMemory):
        ffmpeg.run([*picture, "-c:v", "libx264", ffmpeg.local(work.path("out.mp4"))], work)


def test_an_unusable_option_gives_ffmpegs_reason_first(work: FolderWorkspace, clips: Clips) -> None:
    source = copied(clips["song.wav"], work)

    with pytest.raises(ToolFailed) as failed:
        ffmpeg.run([*ffmpeg.source(source), "-af", "nosuchfilter", ffmpeg.local(work.path("out.wav"))], work)

    assert failed.value.message.startswith("ffmpeg failed: No such filter: 'nosuchfilter'")
    assert "(path)" not in failed.value.message
    assert str(work.folder) not in failed.value.message


def test_ffmpeg_is_gone_when_its_handler_fails(work: FolderWorkspace) -> None:
    class Stop(Exception):
        pass

    def stop(_: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        ffmpeg.run(["-re", "-f", "lavfi", "-i", "sine", "-f", "null", "-"], work, hear=stop)

    # `run` waits for the killed process, so nothing that it started can be left now.
    children = Path("/proc/self/task").glob("*/children")
    assert "ffmpeg" not in "".join(
        Path(f"/proc/{child}/comm").read_text() for each in children for child in each.read_text().split()
    )


def test_a_missing_ffmpeg_is_said_to_be_missing(work: FolderWorkspace) -> None:
    ffmpeg.use(work.path("nowhere"))

    with pytest.raises(NotInstalled):
        ffmpeg.run(["-version"], work)


@pytest.mark.parametrize(
    ("exit_code", "line", "error"),
    [
        (228, "[out#0/mp4 @ 0x55] [error] Error muxing a packet\n[error] No space left on device", ScratchFull),
        (251, "[vist#0:0/h264 @ 0x1] [error] Cannot allocate memory", OutOfMemory),
        (
            183,
            "[in#0 @ 0x1] [error] Error opening input: Invalid data found when processing input",
            UnsupportedMedia,
        ),
        (69, "[error] Conversion failed!", UnsupportedMedia),
        (234, "[out#0 @ 0x1] [error] Nothing was written: its streams received no packets.", NothingWritten),
        (-25, "", TooLarge),
        (-9, "", OutOfMemory),
        (-11, "", ToolFailed),
        (1, "", ToolFailed),
    ],
)
def test_how_ffmpeg_ended_tells_whose_fault_it_was(exit_code: int, line: str, error: type[JobFailed]) -> None:
    assert type(failure(exit_code, line.split("\n"))) is error


def test_addresses_and_paths_never_reach_the_caller() -> None:
    said = "[error] cannot open https://media.example/a.mp4?token=secret from /srv/data/scratch/source"

    message = failure(1, [said]).message

    assert message == "ffmpeg failed: cannot open (address) from (path)."
