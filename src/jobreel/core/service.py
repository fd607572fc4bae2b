"""The use-cases behind every edge (HTTP today, more later): submit, wait, look, keep a file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from jobreel.core.artifact import Artifact, Links
from jobreel.core.artifact_store import ArtifactStore
from jobreel.core.envelope import Deployment
from jobreel.core.errors import DiskFull, NotFound
from jobreel.core.ids import new_id, parse_id
from jobreel.core.job import Accepted, Draft, Job
from jobreel.core.job_type import JobType
from jobreel.core.keys import Caller
from jobreel.core.ledger import Ledger, Window
from jobreel.core.request import JobRequest
from jobreel.core.waiters import Waiters

WebhookCheck = Callable[[str], Awaitable[str | None]]  # a warning for this address, or None
RoomCheck = Callable[[], None]  # raises DiskFull


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job, and what its caller should know about it."""

    accepted: Accepted
    warnings: list[str]


class Toolkit:
    """What the product can do for a caller."""

    def __init__(
        self,
        ledger: Ledger,
        store: ArtifactStore,
        waiters: Waiters,
        links: Links,
        here: Deployment,
        check_webhook: WebhookCheck,
        check_room: RoomCheck,
    ) -> None:
        self.links, self.here = links, here
        self._ledger, self._store, self._waiters = ledger, store, waiters
        self._check_webhook, self._check_room = check_webhook, check_room

    def place_to_wait(self) -> AbstractContextManager[bool]:
        """A place to hold a connection open; False inside where too many do."""
        return self._waiters.place()

    async def submit(self, caller: Caller, job_type: JobType, request: JobRequest, *, awaited: bool) -> Submitted:
        """Make it a job, durably. Raises `QueueFull`, `DiskFull`, `Unavailable`."""
        self._check_room()
        warning = await self._check_webhook(request.webhook_url) if request.webhook_url else None
        draft = Draft(
            job_id=new_id(),
            caller=caller.name,
            job_type=job_type.name,
            request=request.encoded(),
            label=request.id,
            webhook_url=request.webhook_url,
            awaited=awaited,
        )
        return Submitted(await self._ledger.submit(draft), [warning] if warning else [])

    async def done(self, job_id: str, within_seconds: float) -> Job | None:
        """The job when it is done, or None where that takes longer than the caller will wait."""
        return await self._waiters.done(job_id, within_seconds)

    async def window(self, caller: Caller, since_seconds: float) -> Window:
        """The monitor: every job not done yet or finished within the last seconds."""
        return await self._ledger.window(caller.scope, since_seconds)

    async def job(self, caller: Caller, job_id: object) -> Job:
        """One job of this caller's. Raises `NotFound`, also for what is no UUID."""
        known = parse_id(job_id)
        job = await self._ledger.job(known, caller.scope) if known else None
        if job is None:
            raise NotFound("Job not found", hint="The id is the `job_id` of the answer to your submission.")
        return job

    async def queue_length(self) -> int:
        """Jobs that wait, over all processes."""
        return await self._ledger.queue_length()

    async def keep(
        self,
        caller: Caller,
        chunks: AsyncIterator[bytes],
        *,
        name: str,
        content_type: str | None,
        max_bytes: int,
    ) -> Artifact:
        """Keep a file that a caller sends. Raises `BodyTooLarge`, `DiskFull`, `Unavailable`."""
        self._check_room()
        artifact = await self._store.receive(
            chunks, name=name, content_type=content_type, caller=caller.name, max_bytes=max_bytes
        )
        try:
            await self._ledger.add_artifact(artifact)
        except DiskFull:
            await self._store.discard(artifact)  # surely not recorded; of other errors nobody can say so
            raise
        return artifact

    async def artifact(self, artifact_id: str, signature: str) -> Artifact:
        """The file behind a signed link. Raises `NotFound` where the signature or the file is not ours."""
        found = None
        if self.links.verifies(artifact_id, signature):
            found = await self._ledger.artifact(artifact_id)
        if found is None:
            raise NotFound("File not found", hint="The link is incomplete, or its file is gone.")
        return found
