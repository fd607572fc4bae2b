"""A job: one accepted request to do work, and the words for where it is and how it ended."""

from dataclasses import dataclass, field
from enum import StrEnum

from jobreel.core.artifact import Artifact, Link
from jobreel.core.errors import ErrorReport

MAX_FAILURES = 3  # attempts that ended badly, where trying again could help
MAX_LOSSES = 10  # attempts whose worker vanished


class Status(StrEnum):
    """Where a job is. How it ended is `Outcome`; the two never mix."""

    QUEUED = "queued"  # waits for a worker, or for the time of its next attempt
    RUNNING = "running"  # exactly one lease is alive
    DONE = "done"  # has an outcome and never changes again


class Outcome(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


PUBLIC_STATUS = {  # what polling loops in the wild compare with
    Outcome.SUCCEEDED: "completed",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's own name for one submission; `request_digest` tells a repeat from another request."""

    key: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked request that is about to become a job."""

    job_id: str
    caller: str
    job_type: str
    request: str  # JSON, as the job type's request encodes itself
    label: str | None = None  # the caller's own `id`: echoed, never looked up
    webhook_url: str | None = None
    awaited: bool = False  # somebody holds a connection open for the answer
    priority: int = 0  # higher first
    delay_seconds: float = 0.0
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ledger's promise: this job is on disk."""

    job_id: str
    queue_length: int  # jobs waiting right after this one was added
    repeated: bool = False  # an earlier submission under the same idempotency key


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to one attempt. Every later write about it is fenced by (job, worker, attempt)."""

    job_id: str
    worker: str
    attempt: int
    caller: str
    job_type: str
    request: str
    awaited: bool
    failures: int
    losses: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is: `fraction` of 1, what it is doing, the last lines it wrote."""

    fraction: float | None
    stage: str = ""
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Success:
    """An attempt's good end. `response` is JSON in which each artifact is null; `links` say where they go."""

    response: str
    artifacts: tuple[Artifact, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt's bad end."""

    error: ErrorReport


Conclusion = Success | Failure


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the ledger, whole. Times are seconds since 1970 by the database's clock."""

    job_id: str
    caller: str
    job_type: str
    status: Status
    outcome: Outcome | None
    request: str
    label: str | None
    webhook_url: str | None
    awaited: bool
    attempt: int
    failures: int
    losses: int
    created_at: float
    started_at: float | None  # of the latest attempt
    finished_at: float | None
    worker: str | None
    process_id: int | None  # of the worker that took it
    queue_length: int  # waiting jobs when it finished; 0 before
    response: str | None
    error: ErrorReport | None
    links: tuple[Link, ...] = ()
    progress: Progress = field(default_factory=lambda: Progress(None))

    @property
    def public_status(self) -> str:
        """`queued`, `running`, `completed`, `failed` or `cancelled`."""
        return PUBLIC_STATUS[self.outcome] if self.outcome else self.status.value

    @property
    def code(self) -> int | None:
        """The HTTP status that says how it ended and whose fault it was; None until done."""
        if self.error is not None:
            return self.error.code
        return 200 if self.status is Status.DONE else None


@dataclass(frozen=True, slots=True)
class Books:
    """Promise 9: accepted = waiting + running + done + pruned + deleted, read from the totals."""

    accepted: int
    waiting: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    pruned: int
    deleted: int

    @property
    def balance(self) -> bool:
        done = self.succeeded + self.failed + self.cancelled
        return self.accepted == self.waiting + self.running + done + self.pruned + self.deleted
