"""Random lives of jobs: whatever is called in whatever order, the ledger agrees with a simple model."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from tests.ledger.opened import BAD_LUCK, Loop, draft, failed, open_ledger, states, succeeded

from jobreel.core.errors import LeaseLost, QueueFull
from jobreel.core.job import MAX_LOSSES, Lease

LIMIT = 6
CALLERS = st.sampled_from(["owner", "ann"])
TYPES = st.sampled_from(["toolkit/echo", "media/convert"])
WORKERS = st.sampled_from(["w-1", "w-2"])


@dataclass
class Expected:
    """What the model knows of one job."""

    caller: str
    order: tuple[int, int]  # rank, then age
    status: str = "queued"
    outcome: str | None = None
    due: bool = True
    attempt: int = 0
    losses: int = 0
    worker: str | None = None
    told: tuple[Lease, bool] | None = None


class LifeOfJobs(RuleBasedStateMachine):
    """The model is a dictionary; the ledger is real."""

    leases = Bundle("leases")

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.loop = Loop()
        self.ledger = open_ledger(Path(self.folder.name) / "ledger", max_queue_length=LIMIT)
        self.model: dict[str, Expected] = {}
        self.living: set[str] = set()
        for worker in ("w-1", "w-2"):
            self.start_worker(worker)

    def start_worker(self, worker: str) -> None:
        self.ledger._engine.hold(worker)
        self.living.add(worker)

    @rule(caller=CALLERS, job_type=TYPES, priority=st.integers(-1, 1), awaited=st.booleans(), due=st.booleans())
    def submit(self, caller: str, job_type: str, priority: int, awaited: bool, due: bool) -> None:
        new = draft(job_type, caller, priority=priority, awaited=awaited, delay_seconds=0 if due else 3600)
        try:
            self.loop.run(self.ledger.submit(new))
        except QueueFull:
            assert self.waiting() >= LIMIT
        else:
            order = (-(2 * priority + awaited), len(self.model))
            self.model[new.job_id] = Expected(caller, order, due=due)

    @rule(target=leases, worker=WORKERS)
    def claim(self, worker: str) -> Lease | None:
        claimed = self.loop.run(self.ledger.claim(worker, 1)) if worker in self.living else []
        ready = [job for job in self.model.values() if job.status == "queued" and job.due]
        if not claimed:
            assert worker not in self.living or not ready
            return None
        [lease] = claimed
        job = self.model[lease.job_id]
        assert job.order[0] == min(other.order[0] for other in ready), "the best rank goes first"
        job.status, job.worker, job.attempt = "running", worker, job.attempt + 1
        assert lease.attempt == job.attempt
        return lease

    def holds(self, lease: Lease) -> bool:
        job = self.model[lease.job_id]
        return job.status == "running" and (job.attempt, job.worker) == (lease.attempt, lease.worker)

    @rule(lease=leases, well=st.booleans())
    def finish(self, lease: Lease | None, well: bool) -> None:
        if lease is None:
            return
        ending = self.ledger.finish(lease, succeeded() if well else failed())
        if self.model[lease.job_id].told == (lease, well):
            self.loop.run(ending)  # told before; the answer may have been lost
            return
        if not self.holds(lease):
            with pytest.raises(LeaseLost):
                self.loop.run(ending)
            return
        self.loop.run(ending)
        job = self.model[lease.job_id]
        job.status, job.outcome = "done", "succeeded" if well else "failed"
        job.told = (lease, well)

    @rule(lease=leases, due=st.booleans())
    def retry(self, lease: Lease | None, due: bool) -> None:
        if lease is None:
            return
        retrying = self.ledger.retry(lease, BAD_LUCK, 0 if due else 3600)
        if not self.holds(lease):
            with pytest.raises(LeaseLost):
                self.loop.run(retrying)
            return
        self.loop.run(retrying)
        self.back_to_queue(lease, due)

    @rule(lease=consumes(leases))
    def give_back(self, lease: Lease | None) -> None:
        if lease is not None and self.holds(lease):
            self.loop.run(self.ledger.give_back(lease))
            self.back_to_queue(lease, due=True)

    def back_to_queue(self, lease: Lease, due: bool) -> None:
        job = self.model[lease.job_id]
        job.status, job.due, job.worker = "queued", due, None

    @rule(worker=WORKERS)
    def die_and_be_rescued(self, worker: str) -> None:
        if worker in self.living:
            self.ledger._engine.let_go(worker)
        self.ledger.heartbeat("sweeper", [], grace_seconds=0)
        for job in self.model.values():
            if job.status == "running" and job.worker == worker:
                job.losses += 1
                if job.losses >= MAX_LOSSES:
                    job.status, job.outcome = "done", "failed"
                else:
                    job.status, job.due, job.worker = "queued", True, None
        self.start_worker(worker)

    def waiting(self) -> int:
        return sum(job.status == "queued" for job in self.model.values())

    @invariant()
    def the_monitor_tells_the_truth(self) -> None:
        for caller in (None, "ann", "bob"):
            mine = {
                job_id: job.status for job_id, job in self.model.items() if caller is None or job.caller == caller
            }
            assert self.loop.run(states(self.ledger, caller)) == mine

    @invariant()
    def the_books_balance(self) -> None:
        books = self.loop.run(self.ledger.books())
        ended = [job.outcome for job in self.model.values()]
        assert books.balance
        assert (books.accepted, books.waiting) == (len(self.model), self.waiting())
        assert (books.succeeded, books.failed) == (ended.count("succeeded"), ended.count("failed"))

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.loop.close()
            self.folder.cleanup()


TestLifeOfJobs = LifeOfJobs.TestCase
TestLifeOfJobs.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
