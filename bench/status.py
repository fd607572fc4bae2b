"""jobs/status: what the monitor costs, by what is stored and by what is in the window."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.figures import Figure, at_least, at_most
from bench.ledgers import filler, reader
from bench.load import Question, in_turn, so_many
from bench.scale import Scale
from bench.service import Service, service

PATH = "/v1/toolkit/jobs/status"
GUEST, GUEST_KEY = "guest", "a-key-of-the-guest"  # has its jobs in the window
CROWD = "crowd"  # has the others
NOW, LONG_AGO = 1.0, 7200.0  # seconds since they finished
EVERYTHING = {"since_seconds": 1e9}
ANY_SIZE = 1.2  # what it may cost in a ledger of any size, by what it costs in a small one
# What the monitor reads, from the same indexes. What is not done yet is always in the window.
DONE_SINCE_EVER = "'done') FROM jobs WHERE status = 'done' AND finished_at >= 0"
WAITING = "'queued') FROM jobs WHERE status = 'queued'"
LOOKS = 30  # at the one big answer


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """Three services side by side, asked in turn; none of them works, so that nothing moves."""
    few, many, crowded = folder / "few", folder / "many", folder / "crowded"
    for data, stored in ((few, scale.few_stored), (many, scale.many_stored)):
        with filler(data) as fill:
            fill.done(GUEST, scale.in_window, NOW)
            fill.done(CROWD, stored - scale.in_window, LONG_AGO)
    with filler(crowded) as fill:
        fill.done(GUEST, scale.in_window, NOW)
        fill.waiting(CROWD, scale.many_stored)
    with ExitStack() as stack:
        keys = f"{GUEST}:{GUEST_KEY}"
        up = [
            stack.enter_context(service(data, "--no-work", JOBREEL_API_KEYS=keys)) for data in (few, many, crowded)
        ]
        return [
            *_by_size(scale, *up),
            _everything(f"all {scale.many_stored:,} in the window", up[1], DONE_SINCE_EVER),
            _everything(f"{scale.many_stored:,} waiting, all in the window", up[2], WAITING),
        ]


def _by_size(scale: Scale, few: Service, many: Service, crowded: Service) -> Iterator[Figure]:
    stored = f"{scale.many_stored:,} stored, {scale.in_window} in the window"
    yield from _compared(stored, Question(many, many.request(PATH)), Question(few, few.request(PATH)), scale)
    waiting = f"a caller's own {scale.in_window}, {scale.many_stored:,} of another waiting"
    of_crowded = Question(crowded, crowded.request(PATH, key=GUEST_KEY))
    yield from _compared(waiting, of_crowded, Question(few, few.request(PATH, key=GUEST_KEY)), scale)


def _compared(what: str, big: Question, small: Question, scale: Scale) -> Iterator[Figure]:
    """By the same call over few stored jobs."""
    beside = f"{scale.few_stored:,} stored"
    here, there = in_turn([big, small], 1, scale)
    yield Figure(
        what=f"{what}: p50",
        unit="ms",
        measured=here.p50_ms,
        goal=at_most(3),
        beside=beside,
        beside_measured=there.p50_ms,
        ratio_goal=at_most(ANY_SIZE),
    )
    here, there = in_turn([big, small], 8, scale)
    yield Figure(
        what=f"{what}: at 8",
        unit="/s",
        measured=here.per_second,
        goal=at_least(1_200),
        beside=beside,
        beside_measured=there.per_second,
        ratio_goal=at_least(1 / ANY_SIZE),
    )


def _everything(what: str, up: Service, answer_of: str) -> Figure:
    """All jobs in one answer, by the time SQLite alone needs for that JSON from the same index."""
    answers = so_many(Question(up, up.request(PATH, EVERYTHING)), 1, LOOKS)
    with reader(up.data) as ledger:
        alone = []
        for _ in range(LOOKS):
            started = time.perf_counter()
            ledger.row(f"SELECT json_group_object(id, {answer_of}")
            alone.append(time.perf_counter() - started)
    return Figure(
        what=f"{what}: p50",
        unit="ms",
        measured=answers.p50_ms,
        goal=at_most(100),
        beside="json_group_object",
        beside_measured=median(alone) * 1000,
    )
