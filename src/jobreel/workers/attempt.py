"""One attempt, from its lease to what the ledger is told: scratch folder, conversation, limits, end."""

import asyncio
import errno
import os
import shutil
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from jobreel.core.artifact import Artifact, Link, Links
from jobreel.core.artifact_store import ArtifactStore
from jobreel.core.errors import (
    ChildDied,
    Internal,
    JobFailed,
    JobreelError,
    LogFlood,
    OutOfMemory,
    ScratchFull,
    SourceForbidden,
    TimedOut,
)
from jobreel.core.job import Conclusion, Failure, Lease, Progress, Success
from jobreel.core.job_type import JobType
from jobreel.core.ledger import Ledger
from jobreel.workers import messages, processes
from jobreel.workers.messages import FromChild, Run, Said
from jobreel.workers.slot import Slot

LOG_TAIL_BYTES = 64 * 1024
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
    scratch: Path
    children_are_nobody: bool


class Stopped(Exception):
    """The worker is stopping: the attempt is given back."""


class Attempt:
    """See the module."""

    def __init__(self, lease: Lease, job_type: JobType, around: Surroundings) -> None:
        self.lease, self._type, self._around = lease, job_type, around
        self._folder = around.scratch / f"{lease.job_id}.{lease.attempt}"
        self._kept: dict[str, Artifact] = {}
        self._progress = Progress(None)
        self._told = self._progress
        self._log: deque[str] = deque()
        self._log_size = self._log_total = 0
        self._verdict: JobreelError | Stopped | None = None
        self._slot: Slot | None = None
        self.broken = False  # whether the child must not be used again

    async def run(self, slot: Slot) -> Conclusion:
        """Run it in this slot's child. Raises `Stopped`; everything else is a conclusion."""
        self._slot = slot
        try:
            self._make_folder()
            async with asyncio.timeout(self._time_limit().total_seconds()):
                answer = await slot.run(self._orders(), self._hear, self.hear_text)
            conclusion = self._conclude(answer)
        except TimeoutError:
            conclusion = Failure(self._timed_out().report())
        except ChildDied as error:
            conclusion = self._after_death(error)
        except JobFailed as error:
            conclusion = Failure(error.report())
        self.broken = slot.pid is None or (isinstance(conclusion, Failure) and self._ends_child(conclusion))
        return conclusion

    broken = False  # whether the child must not be used again

    def _ends_child(self, failure: Failure) -> bool:
        return self._verdict is not None or failure.error.type in {"timed_out", "child_died", "out_of_memory"}

    def end(self, verdict: "JobreelError | Stopped") -> None:
        """Kill the attempt; `verdict` says why, and is its end."""
        if self._verdict is None:
            self._verdict = verdict
            if self._slot is not None:
                self._slot.kill()

    async def clean_up(self) -> None:
        """Remove the scratch folder; the last thing, whatever happened."""
        try:
            self._folder.rmdir()  # most quick jobs leave it empty, and a thread would cost more than this
        except OSError:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def discard_kept(self) -> None:
        """Remove what was kept for a success that did not come."""
        for artifact in self._kept.values():
            with suppress(OSError):
                await self._around.store.discard(artifact)

    # -- watched from outside, once a second --------------------------------------------------------------

    def check_memory(self) -> None:
        if self._slot is None or self._slot.pid is None:
            return
        used, limit = processes.tree_memory_bytes(self._slot.pid), self._around.limits.memory_bytes
        if used > limit:
            self.end(
                OutOfMemory(
                    f"The job needed more than {limit // 2**20} MiB of memory.",
                    step="run",
                    hint="Use a smaller input or picture size; the limit is the setting JOBREEL_MEMORY.",
                )
            )

    async def tell_progress(self) -> None:
        """Store what is new since the last time. Raises `LeaseLost`."""
        now = Progress(self._progress.fraction, self._progress.stage, self.log_tail())
        if now != self._told:
            self._told = now
            await self._around.ledger.progress(self.lease, now)

    def log_tail(self) -> str:
        return "".join(self._log)

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
        self._log.append(text)
        self._log_size += len(text)
        self._log_total += len(text)
        while self._log_size > LOG_TAIL_BYTES and self._log:
            self._log_size -= len(self._log.popleft())
        limit = self._around.limits.log_bytes
        if self._log_total > limit:
            self.end(LogFlood(f"The job wrote more than {limit // 2**20} MiB of log.", step="run"))

    async def _give_input(self, url: str) -> Said:
        """One of our own files is read from the store, not over HTTP; a copy, since the child may write to it."""
        if not self._around.links.is_ours(url):
            return messages.Remote()
        artifact_id = self._around.links.artifact_id_of(url)
        artifact = await self._around.ledger.artifact(artifact_id) if artifact_id else None
        if artifact is None:
            return messages.Refused(self._no_such_file().report())
        name = f"input-{len(list(self._folder.iterdir()))}"
        try:
            await asyncio.to_thread(_copy, self._around.store.path(artifact), self._folder / name)
        except JobreelError:
            return messages.Refused(self._no_such_file().report())
        except OSError as error:
            return messages.Refused(_disk_trouble(error).report())
        self._hand_to_child(self._folder / name)
        return messages.Local(name)

    async def _keep(self, publish: messages.Publish) -> Said:
        source = self._folder / publish.path
        if not source.resolve().is_relative_to(self._folder.resolve()):
            return messages.Refused(Internal("The job handed over a file that is not its own.").report())
        try:
            self._kept[publish.token] = await self._around.store.keep(
                source,
                job_id=self.lease.job_id,
                attempt=self.lease.attempt,
                name=publish.name,
                content_type=publish.content_type,
                caller=self.lease.caller,
            )
        except JobreelError as error:
            return messages.Refused(error.report())
        except OSError as error:
            return messages.Refused(_disk_trouble(error).report())
        return messages.Kept()

    # -- its ends -----------------------------------------------------------------------------------------

    def _conclude(self, answer: messages.Succeeded | messages.Failed) -> Conclusion:
        if isinstance(answer, messages.Failed):
            return Failure(answer.error)
        links = []
        for place in answer.places:
            artifact = self._kept[place.token]
            links.append(Link(place.pointer, artifact.artifact_id, artifact.name))
        return Success(answer.response, tuple(self._kept.values()), tuple(links))

    def _after_death(self, error: ChildDied) -> Conclusion:
        """The child is gone: because we ended it, or by itself."""
        if isinstance(self._verdict, Stopped):
            raise self._verdict
        return Failure((self._verdict or error).report())

    def _timed_out(self) -> TimedOut:
        if self._slot is not None:
            self._slot.kill()
        seconds = round(self._time_limit().total_seconds())
        return TimedOut(
            f"The job took longer than it may ({seconds} s).",
            step="run",
            hint="Use a shorter or smaller input, or a faster preset; JOBREEL_TIME_LIMIT can lower the limit.",
        )

    def _no_such_file(self) -> SourceForbidden:
        return SourceForbidden(
            "The link to a file of this service is incomplete, or its file has expired.",
            step="fetch",
            hint="Use the whole address as it was answered, its signature included.",
        )

    # -- before it starts ---------------------------------------------------------------------------------

    def _orders(self) -> Run:
        return Run(
            job_id=self.lease.job_id,
            attempt=self.lease.attempt,
            handler=self._type.handler,
            request=self.lease.request,
            folder=str(self._folder),
            fetch=self._around.fetch,
            max_inline_bytes=self._around.limits.inline_result_bytes,
        )

    def _time_limit(self) -> timedelta:
        ours = self._around.limits.time_limit_seconds
        return min(self._type.time_limit, timedelta(seconds=ours)) if ours else self._type.time_limit

    def _make_folder(self) -> None:
        """Raises `Stopped` where the data directory is away: the job goes back until it returns."""
        try:
            self._folder.mkdir(mode=0o700)
        except FileNotFoundError:
            self._renew_scratch()
            raise Stopped from None
        except OSError as error:
            raise _disk_trouble(error) from error
        self._hand_to_child(self._folder)

    def _renew_scratch(self) -> None:
        """The worker's folder was removed: a new one needs a new child, which is confined to the old."""
        self.broken = True
        with suppress(OSError):
            self._around.scratch.mkdir(mode=0o711)

    def _hand_to_child(self, path: Path) -> None:
        if self._around.children_are_nobody:
            os.chown(path, processes.NOBODY, processes.NOBODY)


def _copy(source: Path, into: Path) -> None:
    """Copied by the kernel, and shared on file systems that can (reflink)."""
    shutil.copyfile(source, into)
    into.chmod(0o600)


def _disk_trouble(error: OSError) -> JobFailed:
    if error.errno == errno.ENOSPC:
        return ScratchFull("The disk is full.", step="store", hint="Free some space on the server.")
    return Internal(f"The file store could not be used: {error.strerror}.", step="store")
