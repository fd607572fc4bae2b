"""Submission with a webhook: what it costs to accept a job durably, by what it costs to check one and forget it."""

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Bound, Figure, at_least
from bench.load import Question, in_turn
from bench.receiver import receiver
from bench.scale import Scale
from bench.server import NOTHING
from bench.service import Service, service

# By connections: of the route that does nothing, and per second. None: shown, not hoped for.
Goals = dict[int, tuple[Bound | None, Bound | None]]
WITHOUT_WORK: Goals = {8: (at_least(0.25), at_least(1_800)), 32: (at_least(0.35), at_least(3_000))}
WITH_WORKERS: Goals = {8: (None, None), 32: (None, None)}


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """Without work first; then with workers that run the jobs and send the webhooks on the same cores."""
    figures: list[Figure] = []
    with receiver() as webhook_url:
        for name, options, goals in (("no work", ["--no-work"], WITHOUT_WORK), ("workers on", [], WITH_WORKERS)):
            data, may_send = folder / name.replace(" ", "-"), {"JOBREEL_ALLOW_NETWORKS": "127.0.0.1/32"}
            with service(data, *options, module="bench.server", **may_send) as up:
                figures += _at_each(name, goals, up, webhook_url, scale)
    return figures


def _at_each(name: str, goals: Goals, up: Service, webhook_url: str, scale: Scale) -> Iterator[Figure]:
    body = {"message": "hello", "webhook_url": webhook_url, "id": "a label"}
    questions = [Question(up, up.request(path, body)) for path in ("/v1/toolkit/echo", NOTHING)]
    for connections, (ratio_goal, goal) in goals.items():
        accepted, checked = in_turn(questions, connections, scale)
        yield Figure(
            what=f"{name}: at {connections}",
            unit="/s",
            measured=accepted.per_second,
            goal=goal,
            beside="checked only",
            beside_measured=checked.per_second,
            ratio_goal=ratio_goal,
        )
