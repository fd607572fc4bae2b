"""Throughput: jobs that do nothing, through the ledger, a worker and its children."""

from pathlib import Path

from bench.commits import commit_seconds
from bench.figures import Figure, at_least
from bench.ledgers import reader
from bench.load import Question, so_many
from bench.scale import Scale
from bench.service import ASYNC, SLOTS, service

WITHIN_SECONDS = 60.0


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """All jobs are submitted before the first is claimed; the clock runs from the first claim to the last end."""
    data = folder / "data"
    with service(data, "--no-work") as up:
        so_many(Question(up, up.request("/v1/toolkit/echo", {"message": "hello"}, ASYNC)), 32, scale.no_ops)
    with service(data), reader(data) as ledger:
        ledger.wait_until_done(scale.no_ops, WITHIN_SECONDS)
        first, last = ledger.row("SELECT min(started_at), max(finished_at) FROM jobs")
    return [
        Figure(
            what=f"no-op jobs end to end, {SLOTS} slots and the light one",
            unit="/s",
            measured=scale.no_ops / (last - first),
            goal=at_least(400),
            beside="two bare commits each",
            beside_measured=1 / (2 * commit_seconds(folder)),
        )
    ]
