"""A quick question behind a long queue: does a synchronous metadata call wait for the converts before it?"""

import time
from pathlib import Path
from statistics import median

from bench.clip import make_clip
from bench.figures import Figure, at_most
from bench.load import Question, so_many
from bench.scale import Scale
from bench.service import ASYNC, Service, service

CONVERT = {"format": "mp4", "video_preset": "slow"}
CALLS = 10


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """The same calls on the idle service, and while its slots convert and the others wait."""
    clip = make_clip(folder)
    with service(folder / "data") as up:
        address = up.upload(clip)
        idle = _calls(up, address)
        converts = Question(up, up.request("/v1/media/convert", {"media_url": address, **CONVERT}, ASYNC))
        so_many(converts, 8, scale.batch)
        behind = _calls(up, address)
    return [
        Figure(
            what=f"media/metadata behind {scale.batch} waiting converts: {word}",
            unit="s",
            measured=pick(behind),
            goal=at_most(2),
            beside="idle",
            beside_measured=pick(idle),
        )
        for word, pick in (("median", median), ("worst", max))
    ]


def _calls(up: Service, address: str) -> list[float]:
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        up.call("/v1/media/metadata", {"media_url": address})
        taken.append(time.perf_counter() - started)
    return taken
