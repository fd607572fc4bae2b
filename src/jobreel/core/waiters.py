"""Waiters: requests that hold a connection open for a job's end. One ledger query serves all of them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

from jobreel.core.errors import JobreelError
from jobreel.core.job import Job
from jobreel.core.ledger import Ledger

NET_SECONDS = 1.0  # the poll that catches what no signal told, and a ledger that was away


class Waiters:
    """Tells each waiting request when its job is done.

    Somebody must call `turn` for ever; `stop` answers everybody who still waits with None.
    """

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self._ledger, self._limit = ledger, limit
        self._waiting: dict[str, set[asyncio.Future[Job | None]]] = defaultdict(set)
        self._look = ledger.subscribe()  # set by the ledger's changes, and by whoever begins to wait
        self._places = 0
        self._stopping = False

    @property
    def has_room(self) -> bool:
        return not self._stopping and self._places < self._limit

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A place to wait, for as long as the context lasts; False where there is none left."""
        if not self.has_room:
            yield False
            return
        self._places += 1
        try:
            yield True
        finally:
            self._places -= 1

    async def done(self, job_id: str, within_seconds: float) -> Job | None:
        """The job once it is done; None where that takes longer, or this process is stopping."""
        if self._stopping:
            return None
        future: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].add(future)
        self._look.set()  # it may be done already
        try:
            async with asyncio.timeout(within_seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            self._forget(job_id, future)

    async def turn(self) -> None:
        """Wait for a change of the ledger, then ask it once for everybody who waits. To be called for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NET_SECONDS if self._waiting else None):
                await self._look.wait()
        self._look.clear()
        if self._waiting:
            await self._tell_those_done()

    def stop(self) -> None:
        """Let everybody go with what they have: they answer 202."""
        self._stopping = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)

    async def _tell_those_done(self) -> None:
        try:
            finished = await self._ledger.done_among(list(self._waiting))
        except JobreelError:
            return  # the ledger is away; the next round asks again
        for job in finished:
            for future in self._waiting.get(job.job_id, ()):
                if not future.done():
                    future.set_result(job)

    def _forget(self, job_id: str, future: asyncio.Future[Job | None]) -> None:
        futures = self._waiting[job_id]
        futures.discard(future)
        if not futures:
            del self._waiting[job_id]
