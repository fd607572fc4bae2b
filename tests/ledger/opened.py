"""A real ledger in a folder, and short words for what tests do with it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jobreel.core.errors import ErrorReport
from jobreel.core.ids import new_id
from jobreel.core.job import Draft, Failure, Lease, Success
from jobreel.store.ledger import SqlLedger
from jobreel.store.sqlite import SqliteEngine

Result = TypeVar("Result")
OWNER, ECHO = "owner", "toolkit/echo"
BAD_LUCK = ErrorReport(500, "child_died", "It died.", "run", retryable=True)


def open_ledger(folder: Path, max_queue_length: int = 0) -> SqlLedger:
    return SqlLedger(SqliteEngine(folder), max_queue_length=max_queue_length)


def draft(job_type: str = ECHO, caller: str = OWNER, **options: Any) -> Draft:
    return Draft(options.pop("job_id", new_id()), caller, job_type, options.pop("request", "{}"), **options)


def succeeded(response: Any = "done") -> Success:
    return Success(msgspec.json.encode(response).decode())


def failed() -> Failure:
    return Failure(BAD_LUCK)


async def one(leases: Awaitable[Any]) -> Lease:
    [lease] = await leases
    assert isinstance(lease, Lease)
    return lease


async def states(ledger: SqlLedger, caller: str | None = None, since: float = 600) -> dict[str, str]:
    return msgspec.json.decode((await ledger.window(caller, since)).jobs, type=dict[str, str])


class Loop:
    """An event loop on its own thread, for tests that are not asynchronous themselves."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(timeout=60)

    def call(self, doing: Callable[[], Awaitable[Result]]) -> Result:
        async def call() -> Result:
            return await doing()

        return self.run(call())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
