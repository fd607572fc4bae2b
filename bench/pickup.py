"""Pick-up: from a submission to the moment its job runs, on an idle service."""

import time
from pathlib import Path
from statistics import quantiles

from bench.commits import commit_seconds
from bench.figures import Bound, Figure, at_most
from bench.ledgers import reader
from bench.scale import Scale
from bench.service import ASYNC, service

IDLE_SECONDS = 0.02  # between a job and the next submission: longer than a job takes
GOALS: dict[int, Bound] = {50: at_most(15), 99: at_most(60)}  # ms, by percentile


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """From before the request is sent, by the ledger's clock: the machine's own, in milliseconds."""
    sent: list[float] = []
    with service(folder / "data") as up:
        for _ in range(scale.pickups):
            time.sleep(IDLE_SECONDS)
            sent.append(time.time())
            up.call("/v1/toolkit/echo", {"message": "hello"}, ASYNC)
        with reader(up.data) as ledger:
            ledger.wait_until_done(scale.pickups, within_seconds=30)
            started = [row[0] for row in ledger.rows("SELECT started_at FROM jobs ORDER BY id")]
    waits_ms = [(ran - asked) * 1000 for asked, ran in zip(sent, started, strict=True)]
    cuts = quantiles(waits_ms, n=100, method="inclusive")
    two_commits_ms = 2 * commit_seconds(folder) * 1000
    return [
        Figure(
            what=f"idle submit to running: p{percent}",
            unit="ms",
            measured=cuts[percent - 1],
            goal=goal,
            beside="two bare commits",
            beside_measured=two_commits_ms,
        )
        for percent, goal in GOALS.items()
    ]
