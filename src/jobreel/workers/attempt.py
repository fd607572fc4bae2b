"""One attempt, from its lease to what the ledger is told: scratch folder, conversation, limits, end."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from jobreel.core.artifact import Artifact, Link, Links
from jobreel.core.artifact_store import ArtifactStore
from jobreel.core.envelope import placed
from jobreel.core.errors import (
    ChildDied,
    ErrorReport,
    Internal,
    JobFailed,
    JobreelError,
    LogFlood,
    NotFound,
    OutOfMemory,
    SourceForbidden,
    TimedOut,
)
from jobreel.core.job import Conclusion, Failure, Lease, Progress, Success
from jobreel.core.job_type import JobType
from jobreel.core.ledger import Ledger
from jobreel.workers import messages, processes
from jobreel.workers.messages import FromChild, Run, Said
from jobreel.workers.scratch import LogTail, Scratch, disk_trouble, folder_id
from jobreel.workers.slot import Slot

ENDS_CHILD = frozenset({"timed_out", "child_died", "out_of_memory"})


class Limits(msgspec.Struct, frozen=True):
    """What one attempt may take. Sizes in bytes, times in seconds."""

    memory_bytes: int
    log_bytes: int
    inline_result_bytes: int
    time_limit_seconds: float  # over the job type's own; 0: the job type's own


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all attempts of a worker share."""

    ledger: Ledger
    store: ArtifactStore
    links: Links
    fetch: messages.FetchRules
    limits: Limits
    scratch: Path  # the worker's own folder, one below it for each attempt
    children_are_nobody: bool


class Stopped(Exception):
    """The attempt cannot go on here, and nobody is to blame: it is given back."""


class Attempt:
    """See the module."""

    def __init__(self, lease: Lease, job_type: JobType, around: Surroundings) -> None:
        self.lease, self._type, self._around = lease, job_type, around
        owner = processes.NOBODY if around.children_are_nobody else None
        self._scratch = Scratch(around.scratch / f"{lease.job_id}.{lease.attempt}", owner)
        self._kept: dict[str, Artifact] = {}
        self._log = LogTail()
        self._progress = self._told = Progress(None)
        self._verdict: JobreelError | Stopped | None = None
        self._slot: Slot | None = None  # while the child works on it
        self.broken = False  # whether the child must not be used again

    async def run(self, slot: Slot) -> Conclusion:
        """Run it in this slot's child. Raises `Stopped`, or a `JobreelError` where the ledger is away."""
        try:
            self._make_folder(slot)
            self._slot = slot
            async with asyncio.timeout(self._time_limit().total_seconds()):
                answer = await slot.run(self._orders(), self._hear, self.hear_text)
            conclusion = self._concluded(answer)
        except TimeoutError:
            slot.kill()
            conclusion = Failure(self._timed_out().report())
        except ChildDied as error:
            conclusion = self._after_death(error)
        except JobFailed as error:
            conclusion = Failure(error.report())
        finally:
            self._slot = None  # from here on the child may be at work on another attempt
        self.broken = self.broken or self._verdict is not None or _ends_child(conclusion)
        return conclusion

    def end(self, verdict: "JobreelError | Stopped") -> None:
        """Kill the attempt; `verdict` says why, and is its end. Without effect once the child is done with it."""
        if self._verdict is None and self._slot is not None:
            self._verdict = verdict
            self._slot.kill()

    async def clean_up(self) -> None:
        """Remove the scratch folder; the last thing, whatever happened."""
        if not self._scratch.remove_if_empty():
            await asyncio.to_thread(self._scratch.remove)

    async def discard_kept(self) -> None:
        """Remove what was kept for a success that did not come, as far as the ledger does not refer to it.

        What cannot be decided now is left for the janitor.
        """
        if not self._kept:
            return
        with suppress(JobreelError, OSError):
            known = await self._around.ledger.known_keys([artifact.key for artifact in self._kept.values()])
            for artifact in self._kept.values():
                if artifact.key not in known:
                    await self._around.store.discard(artifact)

    # -- watched from outside, once a second --------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The head of its processes; None while there is none."""
        return self._slot.pid if self._slot else None

    def check_memory(self, used_bytes: int) -> None:
        limit = self._around.limits.memory_bytes
        if used_bytes > limit:
            self.end(
                OutOfMemory(
                    f"The job needed more than {limit // 2**20} MiB of memory.",
                    step="run",
                    hint="Use a smaller input or picture size; the limit is the setting JOBREEL_MEMORY.",
                )
            )

    async def tell_progress(self) -> None:
        """Store what is new since the last time. Raises `LeaseLost`."""
        now = Progress(self._progress.fraction, self._progress.stage, str(self._log))
        if now != self._told:
            await self._around.ledger.progress(self.lease, now)
            self._told = now

    # -- the conversation ---------------------------------------------------------------------------------

    async def _hear(self, said: FromChild) -> Said | None:
        match said:
            case messages.Report(fraction=fraction, stage=stage):
                self._progress = Progress(fraction, stage)
            case messages.Log(line=line):
                self.hear_text(line + "\n")
            case messages.Asked(url=url):
                return await self._give_input(url)
            case messages.Publish():
                return await self._keep(said)
            case _:
                raise ChildDied(f"The child said {type(said).__name__} out of turn.", step="run")
        return None

    def hear_text(self, text: str) -> None:
        """Keep the tail; end the attempt where it writes more than anyone will read."""
        self._log.add(text)
        limit = self._around.limits.log_bytes
        if self._log.total_bytes > limit:
            self.end(LogFlood(f"The job wrote more than {limit // 2**20} MiB of log.", step="run"))

    async def _give_input(self, url: str) -> Said:
        """One of our own files is read from the store, not over HTTP."""
        if not self._around.links.is_ours(url):
            return messages.Remote()
        artifact_id = self._around.links.artifact_id_of(url)
        artifact = await self._around.ledger.artifact(artifact_id) if artifact_id else None
        if artifact is None:
            return messages.Refused(_no_such_file().report())
        try:
            return messages.Local(await asyncio.to_thread(self._scratch.give, self._around.store.path(artifact)))
        except NotFound:
            return messages.Refused(_no_such_file().report())
        except OSError as error:
            return messages.Refused(disk_trouble(error).report())

    async def _keep(self, publish: messages.Publish) -> Said:
        try:
            self._kept[publish.token] = await self._around.store.keep(
                self._scratch.produced(publish.path),
                job_id=self.lease.job_id,
                attempt=self.lease.attempt,
                name=publish.name,
                content_type=publish.content_type,
                caller=self.lease.caller,
            )
        except JobFailed as error:
            return messages.Refused(error.report())
        except OSError as error:
            return messages.Refused(disk_trouble(error).report())
        return messages.Kept()

    # -- its ends -----------------------------------------------------------------------------------------

    def _concluded(self, answer: messages.Succeeded | messages.Failed) -> Conclusion:
        """What the child says, as far as it can be stored and shown: it may have been taken over."""
        if isinstance(answer, messages.Failed):
            return Failure(_presentable(answer.error))
        try:
            kept = [(place.pointer, self._kept[place.token]) for place in answer.places]
            links = tuple(Link(pointer, artifact.artifact_id, artifact.name) for pointer, artifact in kept)
            placed(answer.response, links, self._around.links)
        except (LookupError, ValueError, TypeError):
            self.broken = True
            return Failure(_nonsense().report())
        return Success(answer.response, tuple(self._kept.values()), links)

    def _after_death(self, error: ChildDied) -> Conclusion:
        """The child is gone: because we ended it, or by itself."""
        self.broken = True
        if isinstance(self._verdict, Stopped):
            raise self._verdict
        return Failure((self._verdict or error).report())

    def _timed_out(self) -> TimedOut:
        seconds = round(self._time_limit().total_seconds())
        return TimedOut(
            f"The job took longer than it may ({seconds} s).",
            step="run",
            hint="Use a shorter or smaller input, or a faster preset; JOBREEL_TIME_LIMIT can lower the limit.",
        )

    # -- before it starts ---------------------------------------------------------------------------------

    def _orders(self) -> Run:
        return Run(
            job_id=self.lease.job_id,
            attempt=self.lease.attempt,
            handler=self._type.handler,
            request=self.lease.request,
            folder=str(self._scratch.path),
            fetch=self._around.fetch,
            max_inline_bytes=self._around.limits.inline_result_bytes,
        )

    def _time_limit(self) -> timedelta:
        ours = self._around.limits.time_limit_seconds
        return min(self._type.time_limit, timedelta(seconds=ours)) if ours else self._type.time_limit

    def _make_folder(self, slot: Slot) -> None:
        """Raises `Stopped` where the data directory is away, or another stands in its place: the child is
        confined to the folder it started with, so that it needs a successor too.
        """
        if slot.confined_to != folder_id(self._around.scratch) or slot.confined_to is None:
            self.broken = True
            with suppress(OSError):
                self._around.scratch.mkdir(mode=0o711, exist_ok=True)
            raise Stopped
        try:
            self._scratch.make()
        except FileNotFoundError:
            raise Stopped from None


def _ends_child(conclusion: Conclusion) -> bool:
    return isinstance(conclusion, Failure) and conclusion.error.type in ENDS_CHILD


def _presentable(error: ErrorReport) -> ErrorReport:
    """A failure whose code is one of ours."""
    return error if 400 <= error.code <= 599 else msgspec.structs.replace(error, code=500)


def _nonsense() -> Internal:
    return Internal("The process that ran the job gave an answer that makes no sense.", step="run")


def _no_such_file() -> SourceForbidden:
    return SourceForbidden(
        "The link to a file of this service is incomplete, or its file is gone.",
        step="fetch",
        hint="Use the whole address as it was answered, its signature included.",
    )
