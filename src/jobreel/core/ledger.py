"""The ledger's contract: the durable record of jobs, events, deliveries and artifacts.

Each method is one transaction and one promise. Both engines keep all of them; nothing is optional.
Every method may raise `LedgerGone` (its file or server is not there now; it comes back by itself) or
`LedgerBroken` (there, but unusable). Times are by the database's clock.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobreel.core.artifact import Artifact
from jobreel.core.delivery import Delivery, DeliveryTried
from jobreel.core.errors import ErrorReport
from jobreel.core.job import Accepted, Books, Conclusion, Draft, Job, Lease, Progress


@dataclass(frozen=True, slots=True)
class Identity:
    """What is the same for every node of one deployment, made when the ledger was."""

    ledger_id: str
    queue_id: int
    link_secret: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """The answer of the monitor: a JSON object from job id to its word, and the global queue length."""

    jobs: bytes
    queue_length: int


class Ledger(Protocol):
    """See the module."""

    @property
    def identity(self) -> Identity: ...

    def subscribe(self) -> asyncio.Event:
        """An event set after each commit that may matter to a reader in this process, whoever made it."""
        ...

    # -- a caller's side ----------------------------------------------------------------------------------

    async def submit(self, draft: Draft) -> Accepted:
        """Durable when it returns. Raises `QueueFull`, `Conflict`; then nothing was stored."""
        ...

    async def window(self, caller: str | None, since_seconds: float) -> Window:
        """Jobs not done yet, or finished within the last seconds, of one caller or of all (None)."""
        ...

    async def job(self, job_id: str, caller: str | None) -> Job | None:
        """One job, or None where there is none that this caller may see."""
        ...

    async def done_among(self, job_ids: Collection[str]) -> Sequence[Job]:
        """Those of the given jobs that are done: one query serves everybody who waits."""
        ...

    async def queue_length(self) -> int:
        """Jobs that wait, scheduled and retrying ones included, over all processes."""
        ...

    async def books(self) -> Books: ...

    # -- a worker's side ----------------------------------------------------------------------------------

    async def claim(self, worker: str, count: int, only: Collection[str] | None = None) -> Sequence[Lease]:
        """Up to `count` jobs, now running under this worker; `only` names job types to choose from."""
        ...

    async def progress(self, lease: Lease, progress: Progress) -> None:
        """Store how far an attempt is. Raises `LeaseLost`."""
        ...

    async def finish(self, lease: Lease, conclusion: Conclusion) -> None:
        """Give the job its outcome, its artifacts and its delivery, at once. Raises `LeaseLost`.

        Telling the same end again is no mistake: the answer to the first telling may have been lost.
        """
        ...

    async def retry(self, lease: Lease, error: ErrorReport, after_seconds: float) -> None:
        """Queue it again after a failure that another attempt may mend. Raises `LeaseLost`."""
        ...

    async def give_back(self, lease: Lease) -> None:
        """Queue it again, nothing spent: the worker is stopping. Raises `LeaseLost`."""
        ...

    def heartbeat(self, worker: str, held: Collection[tuple[str, int]], grace_seconds: float) -> int:
        """Say that this worker lives and which (job, attempt)s it holds; rescue what nobody holds.

        A claim is only a few milliseconds older than the worker's knowledge of it: what this worker does not
        name is left alone for `grace_seconds`.

        Blocking: it is called from the heartbeat's own thread. Returns how many jobs were rescued.
        """
        ...

    async def promote(self) -> float | None:
        """Make due jobs claimable. Returns the seconds until the next one is due; None: there is none."""
        ...

    # -- webhooks -----------------------------------------------------------------------------------------

    async def due_deliveries(self, sender: str, count: int, busy_hosts: Collection[str] = ()) -> Sequence[Delivery]:
        """Deliveries to send now, but not to busy hosts; taken for this sender until it records them (or a
        minute has passed).
        """
        ...

    async def record_delivery(self, sender: str, delivery: Delivery, tried: DeliveryTried) -> None:
        """What a try came to. Does nothing where the delivery was taken over meanwhile."""
        ...

    async def seconds_until_next_delivery(self, busy_hosts: Collection[str] = ()) -> float | None:
        """How long until one is due that does not go to a busy host; None: there is none."""
        ...

    # -- artifacts ----------------------------------------------------------------------------------------

    async def add_artifact(self, artifact: Artifact) -> None:
        """Record an uploaded file."""
        ...

    async def artifact(self, artifact_id: str) -> Artifact | None: ...

    async def known_keys(self, keys: Collection[str]) -> set[str]:
        """Those artifact keys that the ledger refers to, or may yet: their attempt is running."""
        ...

    # -- life ---------------------------------------------------------------------------------------------

    def worker_started(self, worker: str, facts: Mapping[str, str]) -> None: ...

    def worker_stopped(self, worker: str) -> None: ...

    def lives(self, worker: str) -> bool:
        """Whether that worker is alive, as far as anyone can know."""
        ...

    def close(self) -> None: ...
