"""A batch of small ffmpeg jobs, by a bare loop that runs the same ffmpeg commands two at a time."""

import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.clip import make_clip
from bench.figures import Figure, at_most
from bench.ledgers import Reader, reader
from bench.load import Question, so_many
from bench.scale import Scale
from bench.service import ASYNC, SLOTS, service
from jobreel.jobs.media.convert import ConvertRequest, convert_arguments
from jobreel.jobs.video.thumbnail import frame_arguments
from jobreel.tools import ffmpeg
from jobreel.tools.probe import probe

SMALL_MP4 = {"format": "mp4", "video_preset": "veryfast", "video_crf": 28}
PARTS = 4
WITHIN_SECONDS = 60.0  # for a part


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job, and the ffmpeg arguments that it comes down to, for one output."""

    job_type: str
    fields: Mapping[str, object]
    arguments: Callable[[Path], list[str]]


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """Batch and loop take turns, a part each, so that a noisy moment hits both."""
    clip = make_clip(folder)
    media, request = probe(clip), ConvertRequest.parse({"media_url": "http://clip", **SMALL_MP4})
    kinds = [
        Kind("media/convert", SMALL_MP4, lambda output: convert_arguments(clip, media, request, output)),
        Kind("video/thumbnail", {"second": 0.5}, lambda output: frame_arguments(clip, "0:V:0", 0.5, output)),
    ]
    return [_compared(kind, clip, folder / str(number), scale.batch) for number, kind in enumerate(kinds)]


def _compared(kind: Kind, clip: Path, folder: Path, count: int) -> Figure:
    folder.mkdir()
    part, loop_seconds, batch_seconds = max(1, count // PARTS), 0.0, 0.0
    with service(folder / "data") as up, reader(up.data) as ledger:
        request = up.request(f"/v1/{kind.job_type}", {"media_url": up.upload(clip), **kind.fields}, ASYNC)
        for done in range(0, count, part):
            loop_seconds += _loop(kind, folder, part)
            batch_seconds += _batch(Question(up, request), ledger, done, part)
    return Figure(
        what=f"{count} {kind.job_type} of 1 s of 720p",
        unit="s",
        measured=batch_seconds,
        beside=f"bare loop, {SLOTS} at a time",
        beside_measured=loop_seconds,
        ratio_goal=at_most(1.3),
    )


def _loop(kind: Kind, folder: Path, count: int) -> float:
    """Seconds for so many of the job's ffmpeg commands, and nothing around them."""

    def run(number: int) -> None:
        command = [str(ffmpeg.program()), *ffmpeg.ALWAYS, "-y", *kind.arguments(folder / f"output-{number}")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    started = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as two:
        list(two.map(run, range(count)))
    return time.perf_counter() - started


def _batch(submission: Question, ledger: Reader, done: int, count: int) -> float:
    """Seconds from the first submission to the last end, by the ledger's clock, with `done` jobs done before."""
    started = time.time()
    so_many(submission, SLOTS, count)
    ledger.wait_until_done(done + count, WITHIN_SECONDS)
    return float(ledger.row("SELECT max(finished_at) FROM jobs")[0]) - started
