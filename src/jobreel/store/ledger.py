"""The ledger over SQL: the contract of `core/ledger.py`, one transaction per method.

Writes go through the one writer thread (group commit), reads through a small pool of threads: the sync
engine on threads was 5 times faster than an async driver, with fewer dependencies.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import msgspec
import structlog
from sqlalchemy import Connection

from jobreel.core.artifact import Artifact
from jobreel.core.delivery import Delivery, DeliveryTried
from jobreel.core.errors import DiskFull, ErrorReport, JobreelError, LedgerGone, Unavailable
from jobreel.core.job import Accepted, Books, Conclusion, Draft, Job, Lease, Progress, Success
from jobreel.core.ledger import Identity, Window
from jobreel.store import operations, rows, statements
from jobreel.store.prepared import prepared
from jobreel.store.sqlite import SqliteEngine
from jobreel.store.writer import Transaction, Writer

READERS = 2
WATCH_SECONDS = 0.05  # how soon commits of other processes are noticed; each look costs 4 us
Result = TypeVar("Result")
_Waiting = tuple[Draft, "asyncio.Future[Accepted]"]
log = structlog.get_logger("jobreel.ledger")


class SqlLedger:
    """See the module and `core/ledger.py`."""

    def __init__(self, engine: SqliteEngine, *, max_queue_length: int = 0) -> None:
        self._engine = engine
        self._admit = operations.Admission(engine.dialect, max_queue_length)
        self._pending: deque[_Waiting] = deque()
        self._admissions: set[asyncio.Task[None]] = set()
        self._subscribers: list[asyncio.Event] = []
        self._reader = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-reader")
        self._writer = Writer(engine, self._announce)
        self._watcher: asyncio.Task[None] | None = None
        self.identity = self._read_identity()

    def _read_identity(self) -> Identity:
        with self._engine.read() as connection:
            meta = {row.name: row.value for row in connection.execute(statements.READ_META)}
        return Identity(
            ledger_id=meta["ledger_id"].decode(), queue_id=int(meta["queue_id"]), link_secret=meta["link_secret"]
        )

    # -- telling readers ----------------------------------------------------------------------------------

    def subscribe(self) -> asyncio.Event:
        event = asyncio.Event()
        self._subscribers.append(event)
        return event

    def _announce(self) -> None:
        for event in self._subscribers:
            event.set()

    def watch(self) -> None:
        """Begin to notice what other processes commit. Needs a running event loop."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        seen = None
        while True:
            try:
                version = self._engine.data_version()
            except JobreelError:
                version = None
            if version != seen:
                seen = version
                self._announce()
            await asyncio.sleep(WATCH_SECONDS)

    # -- a caller's side ----------------------------------------------------------------------------------

    async def submit(self, draft: Draft) -> Accepted:
        """Concurrent submissions gather here, and the writer admits in one operation what it finds."""
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._pending.append((draft, future))
        if len(self._pending) == 1:
            # A task of its own: the first caller of a batch may hang up, the others still want an answer.
            task = asyncio.create_task(self._admit_pending())
            self._admissions.add(task)
            task.add_done_callback(self._admissions.discard)
        return await future

    async def _admit_pending(self) -> None:
        taken: list[_Waiting] = []

        def admit(tx: Transaction) -> list[Accepted | JobreelError]:
            _move_all(self._pending, taken)
            return self._admit(tx, [draft for draft, _ in taken]) if taken else []

        try:
            answers: Sequence[Accepted | Exception] = await self._writer.write(admit)
        except Exception as error:  # noqa: BLE001 - each caller gets it, or is tried alone
            _move_all(self._pending, taken)
            answers = await self._admit_each(taken, error)
        for (draft, future), answer in zip(taken, answers, strict=True):
            _settle(draft, future, answer)

    async def _admit_each(self, taken: "Sequence[_Waiting]", error: Exception) -> Sequence[Accepted | Exception]:
        """A batch that broke, row by row: only the poisoned one fails. A ledger that is away fails all."""
        if len(taken) == 1 or isinstance(error, (Unavailable, DiskFull)):
            return [_as_refusal(error)] * len(taken)
        return [await self._admit_alone(draft) for draft, _ in taken]

    async def _admit_alone(self, draft: Draft) -> Accepted | Exception:
        try:
            [answer] = await self._writer.write(lambda tx: self._admit(tx, [draft]))
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return _as_refusal(error)
        return answer

    async def window(self, caller: str | None, since_seconds: float) -> Window:
        def read(connection: Connection) -> Window:
            statement = prepared(statements.window(caller), connection.dialect)
            [(jobs, queue_length)] = statement.run(connection, {"seconds": since_seconds, "caller": caller})
            return Window(jobs.encode(), int(queue_length))

        return await self._read(read)

    async def job(self, job_id: str, caller: str | None) -> Job | None:
        statement = statements.JOB if caller is None else statements.JOB_OF_CALLER

        def read(connection: Connection) -> Job | None:
            row = connection.execute(statement, {"job": job_id, "caller": caller}).first()
            return rows.job_of(row) if row else None

        return await self._read(read)

    async def done_among(self, job_ids: Collection[str]) -> Sequence[Job]:
        def read(connection: Connection) -> list[Job]:
            return [rows.job_of(row) for row in connection.execute(statements.DONE_AMONG, {"ids": list(job_ids)})]

        return await self._read(read)

    async def queue_length(self) -> int:
        return await self._read(lambda connection: int(connection.execute(statements.QUEUE_LENGTH).scalar_one()))

    async def books(self) -> Books:
        return await self._read(lambda connection: Books(*map(int, connection.execute(statements.BOOKS).one())))

    # -- a worker's side ----------------------------------------------------------------------------------

    async def claim(self, worker: str, count: int, only: Collection[str] | None = None) -> Sequence[Lease]:
        types = None if only is None else frozenset(only)
        leases = await self._writer.write(lambda tx: operations.claim(tx, worker, os.getpid(), count, types))
        for lease in leases:
            log.info("job running", job=lease.job_id, type=lease.job_type, attempt=lease.attempt, worker=worker)
        return leases

    async def progress(self, lease: Lease, progress: Progress) -> None:
        await self._writer.write(lambda tx: operations.set_progress(tx, self._engine.dialect, lease, progress))

    async def finish(self, lease: Lease, conclusion: Conclusion) -> None:
        try:
            await self._writer.write(lambda tx: operations.finish(tx, lease, conclusion))
        except DiskFull:
            if not self._engine.release_reserve():
                raise
            await self._writer.write(lambda tx: operations.finish(tx, lease, conclusion))
        outcome = "succeeded" if isinstance(conclusion, Success) else conclusion.error.type
        log.info("job done", job=lease.job_id, type=lease.job_type, attempt=lease.attempt, outcome=outcome)

    async def retry(self, lease: Lease, error: ErrorReport, after_seconds: float) -> None:
        await self._writer.write(
            lambda tx: operations.requeue(
                tx, lease, "retried", note=f"{error.type}: {error.message}", after_seconds=after_seconds, failed=1
            )
        )
        log.info(
            "job queued", job=lease.job_id, type=lease.job_type, attempt=lease.attempt, why=error.type,
            after_seconds=round(after_seconds, 1),
        )  # fmt: skip

    async def give_back(self, lease: Lease) -> None:
        await self._writer.write(lambda tx: operations.requeue(tx, lease, "given back"))
        log.info("job queued", job=lease.job_id, type=lease.job_type, attempt=lease.attempt, why="worker stopping")

    def heartbeat(self, worker: str, held: Collection[tuple[str, int]], grace_seconds: float) -> int:
        """On SQLite life is a lock, so that an idle worker writes nothing: it only looks."""
        with self._engine.read() as connection:
            before = connection.execute(statements.NOW).scalar_one() - grace_seconds
            running = connection.execute(statements.RUNNING_ATTEMPTS).all()
            senders = connection.execute(statements.SENDERS).scalars().all()
        living = {name: self._engine.lives(name) for name in {row.worker for row in running} | set(senders)}
        lost = [
            rows.lost_lease_of(row)
            for row in running
            if not living[row.worker]
            or (row.worker == worker and row.started_at < before and (row.id, row.attempt) not in held)
        ]
        if dead := [name for name in senders if not living[name]]:
            self._writer.write_blocking(lambda tx: operations.release_deliveries(tx, dead))
        self._engine.keep_reserve()
        if not lost:
            return 0
        rescued = self._writer.write_blocking(lambda tx: operations.rescue(tx, lost))
        for lease in rescued:
            fields = {"job": lease.job_id, "type": lease.job_type, "attempt": lease.attempt}
            if operations.is_given_up(lease):
                log.warning("job done", **fields, outcome="worker_lost")
            else:
                log.warning("job queued", **fields, why="its worker vanished", worker=lease.worker)
        return len(rescued)

    async def promote(self) -> float | None:
        wait = await self._read(lambda connection: connection.execute(statements.NEXT_DUE).scalar())
        if wait is None or wait > 0:
            return wait
        await self._writer.write(operations.promote)
        return 0.0

    # -- webhooks -----------------------------------------------------------------------------------------

    async def due_deliveries(self, sender: str, count: int, busy_hosts: Collection[str] = ()) -> Sequence[Delivery]:
        busy = list(busy_hosts)
        return await self._writer.write(lambda tx: operations.take_deliveries(tx, sender, count, busy))

    async def record_delivery(self, sender: str, delivery: Delivery, tried: DeliveryTried) -> None:
        await self._writer.write(lambda tx: operations.record_delivery(tx, sender, delivery, tried))

    async def seconds_until_next_delivery(self, busy_hosts: Collection[str] = ()) -> float | None:
        busy = {"busy": list(busy_hosts)}
        return await self._read(lambda connection: connection.execute(statements.NEXT_DELIVERY, busy).scalar())

    # -- artifacts ----------------------------------------------------------------------------------------

    async def add_artifact(self, artifact: Artifact) -> None:
        await self._writer.write(lambda tx: operations.add_artifacts(tx, [artifact]))

    async def artifact(self, artifact_id: str) -> Artifact | None:
        def read(connection: Connection) -> Artifact | None:
            row = connection.execute(statements.ARTIFACT, {"artifact": artifact_id}).first()
            return rows.artifact_of(row) if row else None

        return await self._read(read)

    async def known_keys(self, keys: Collection[str]) -> set[str]:
        def read(connection: Connection) -> set[str]:
            known = set(connection.execute(statements.KNOWN_ARTIFACT_KEYS, {"keys": list(keys)}).scalars())
            running = {(row.id, str(row.attempt)) for row in connection.execute(statements.RUNNING_ATTEMPTS)}
            return known | {key for key in keys if tuple(key.split("/")[1:3]) in running}

        return await self._read(read)

    # -- life ---------------------------------------------------------------------------------------------

    def worker_started(self, worker: str, facts: Mapping[str, str]) -> None:
        self._engine.hold(worker)
        row = {"id": worker, "facts": msgspec.json.encode(facts).decode()}
        self._writer.write_blocking(lambda tx: operations.add_worker(tx, row))

    def worker_stopped(self, worker: str) -> None:
        self._writer.write_blocking(lambda tx: operations.forget_worker(tx, worker))
        self._engine.let_go(worker)

    def lives(self, worker: str) -> bool:
        return self._engine.lives(worker)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        self._writer.close()
        self._reader.shutdown()
        self._engine.close()

    async def _read(self, read: Callable[[Connection], Result]) -> Result:
        def go() -> Result:
            with self._engine.read() as connection:
                return read(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reader, go)


def _move_all(pending: "deque[_Waiting]", taken: "list[_Waiting]") -> None:
    """One by one: the event loop appends, and may take as well, while the writer's thread takes."""
    with suppress(IndexError):
        while True:
            taken.append(pending.popleft())


def _as_refusal(error: Exception) -> Exception:
    """A ledger that is gone is a 404 to who looks and a 503 to who submits."""
    if isinstance(error, LedgerGone):
        return Unavailable("The job store is not there.", step="submit", hint=error.hint)
    return error


def _settle(draft: Draft, future: "asyncio.Future[Accepted]", answer: Accepted | Exception) -> None:
    if isinstance(answer, Accepted) and not answer.repeated:
        log.info("job queued", job=draft.job_id, type=draft.job_type, caller=draft.caller)
    if future.done():  # its caller hung up; the job is accepted all the same
        return
    if isinstance(answer, Accepted):
        future.set_result(answer)
    else:
        future.set_exception(answer)
