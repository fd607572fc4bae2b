"""The writer: one thread through which every write of this process goes, many to a commit (group commit).

While one transaction is being committed the next operations gather; they then run together and share
one fsync. On a disk with a slow fsync this is the difference between hundreds and thousands a second,
and on SQLite, where only one may write at a time, it costs nothing.

An operation is a function of a `Transaction`. It refuses by raising a `JobreelError` before it has written
anything but the stamp: the others of its batch do not notice. Any other exception rolls the batch back,
and each operation is tried again by itself, so that a poisoned one fails alone. What was committed is
never run again: where the file was moved away under a commit, everybody is told that the ledger is gone,
and whoever must know asks again when it is back.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, Executable

from jobreel.core.errors import JobreelError, Unavailable
from jobreel.store import statements
from jobreel.store.prepared import Values, prepared

MAX_BATCH = 256
Result = TypeVar("Result")


class Stamp(NamedTuple):
    """What every change of one transaction shares."""

    change: int
    now: float


@dataclass
class Transaction:
    """One write transaction; its stamp is taken when the first operation asks for it."""

    connection: Connection

    @cached_property
    def stamp(self) -> Stamp:
        return Stamp(*self.run(statements.NEXT_CHANGE)[0])

    def run(self, statement: Executable, values: Values = MappingProxyType({})) -> list[Any]:
        """The rows of a statement whose parameters are plain values."""
        return prepared(statement, self.connection.dialect).run(self.connection, values)

    def run_many(self, statement: Executable, rows: Sequence[Values]) -> None:
        """The same statement for many rows, all with the same names."""
        names = tuple(rows[0])
        prepared(statement, self.connection.dialect, names).run_many(self.connection, rows)

    @property
    def changed_a_job(self) -> bool:
        """Progress and deliveries change no job: nobody needs to be woken for them."""
        return "stamp" in self.__dict__


Operation = Callable[[Transaction], Result]


class Engine(Protocol):
    """What the writer needs of an engine."""

    def begin(self) -> Connection:
        """A connection inside a new write transaction. Raises `LedgerGone`, `LedgerBroken`."""
        ...

    def commit(self, connection: Connection) -> None: ...

    def confirm(self) -> None:
        """After a commit. Raises `LedgerGone` where nobody can say whether it will be found again."""
        ...

    def rollback(self, connection: Connection) -> None: ...

    def as_ours(self, error: Exception) -> Exception:
        """A database error in our words."""
        ...


@dataclass(frozen=True)
class _Call(Generic[Result]):
    operation: Operation[Result]
    future: "Future[Result] | asyncio.Future[Result]"


class Writer:
    """See the module. `on_change` runs in the event loop after each commit that changed a job."""

    def __init__(self, engine: Engine, on_change: Callable[[], None]) -> None:
        self._engine, self._on_change = engine, on_change
        self._calls: deque[_Call[Any]] = deque()
        self._ready = threading.Condition()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Operation[Result]) -> Result:
        """Run an operation; durable when this returns."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = self._loop.create_future()
        self._enqueue(_Call(operation, future))
        return await future

    def write_blocking(self, operation: Operation[Result]) -> Result:
        """The same for threads that have no event loop."""
        future: Future[Result] = Future()
        self._enqueue(_Call(operation, future))
        return future.result()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join()

    def _enqueue(self, call: _Call[Any]) -> None:
        with self._ready:
            if self._closed:
                raise Unavailable("The service is stopping.", step="submit")
            self._calls.append(call)
            self._ready.notify()

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while calls := self._next_calls():
            for batch in self._together(calls) or [self._alone(call) for call in calls]:
                self._settle(batch)

    def _next_calls(self) -> list[_Call[Any]]:
        with self._ready:
            self._ready.wait_for(lambda: self._calls or self._closed)
            return [self._calls.popleft() for _ in range(min(len(self._calls), MAX_BATCH))]

    def _together(self, calls: list[_Call[Any]]) -> "list[_Batch] | None":
        """All calls in one transaction, or None where one of them broke it for the others."""
        try:
            connection = self._engine.begin()
        except Exception as error:  # noqa: BLE001 - every caller gets it, in our words
            return [self._refused(calls, error)]
        try:
            transaction = Transaction(connection)
            settled = [_settle_one(call, transaction) for call in calls]
            self._engine.commit(connection)
        except Exception as error:  # noqa: BLE001 - as above, or the calls are tried one by one
            self._engine.rollback(connection)
            return None if len(calls) > 1 else [self._refused(calls, error)]
        try:
            self._engine.confirm()
        except JobreelError as gone:
            return [self._refused(calls, gone)]
        return [_Batch(settled, transaction.changed_a_job)]

    def _alone(self, call: _Call[Any]) -> "_Batch":
        batches = self._together([call])
        assert batches, "one call alone is settled or refused"
        return batches[0]

    def _refused(self, calls: list[_Call[Any]], error: Exception) -> "_Batch":
        ours = self._engine.as_ours(error)
        return _Batch([_Settled(call, None, ours) for call in calls], changed_a_job=False)

    def _settle(self, batch: "_Batch") -> None:
        for one in batch.settled:
            if isinstance(one.call.future, Future):
                one.deliver()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, batch)

    def _deliver(self, batch: "_Batch") -> None:
        """In the event loop: one wake-up for the whole batch."""
        for one in batch.settled:
            if isinstance(one.call.future, asyncio.Future) and not one.call.future.done():
                one.deliver()
        if batch.changed_a_job:
            self._on_change()


class _Settled(NamedTuple):
    """A call and what came of it."""

    call: _Call[Any]
    result: Any
    error: Exception | None

    def deliver(self) -> None:
        if self.error is not None:
            self.call.future.set_exception(self.error)
        else:
            self.call.future.set_result(self.result)


class _Batch(NamedTuple):
    """What one transaction came to."""

    settled: list[_Settled]
    changed_a_job: bool


def _settle_one(call: _Call[Any], transaction: Transaction) -> _Settled:
    try:
        return _Settled(call, call.operation(transaction), None)
    except JobreelError as refusal:
        return _Settled(call, None, refusal)
