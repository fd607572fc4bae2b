"""Scale: how much of everything a run does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes that the figures are named after, and how long to look."""

    few_stored: int = 1_000
    many_stored: int = 100_000
    in_window: int = 100
    load_seconds: float = 2.0  # of each load, in each round
    rounds: int = 3  # what is compared is measured in turn, so that a noisy moment hits both
    pickups: int = 400
    no_ops: int = 3_000
    batch: int = 100
    many_jobs: int = 10_000


FULL = Scale()
QUICK = Scale(
    few_stored=200,
    many_stored=2_000,
    load_seconds=0.3,
    rounds=1,
    pickups=20,
    no_ops=100,
    batch=8,
    many_jobs=200,
)
