"""Ledgers beside the service: filled by the store's own operations, in seconds rather than hours, and read."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text, update

from bench import NotMeasured
from jobreel.core.ids import new_id
from jobreel.core.job import Draft
from jobreel.store.operations import Admission
from jobreel.store.schema import jobs, lanes
from jobreel.store.sqlite import SqliteEngine
from jobreel.store.writer import Transaction, Writer
from jobreel.wiring import Folders

BATCH = 2_000
POLL_SECONDS = 0.2
ECHO = "toolkit/echo"
REQUEST = '{"message":"hello"}'


class Filler:
    """Puts jobs into a ledger that no service has open."""

    def __init__(self, engine: SqliteEngine, writer: Writer) -> None:
        self._admit, self._writer = Admission(engine.dialect, 0), writer

    def waiting(self, caller: str, count: int) -> None:
        for begin in range(0, count, BATCH):
            drafts = [Draft(new_id(), caller, ECHO, REQUEST) for _ in range(min(BATCH, count - begin))]
            self._writer.write_blocking(partial(self._admit, drafts=drafts))

    def done(self, caller: str, count: int, seconds_ago: float) -> None:
        """Jobs of a caller that has no others, finished `seconds_ago`, at times a little apart."""
        self.waiting(caller, count)
        self._writer.write_blocking(lambda tx: _finish(tx, caller, seconds_ago))


@contextmanager
def filler(data: Path) -> Iterator[Filler]:
    engine = SqliteEngine(Folders(data).ledger)
    writer = Writer(engine, lambda: None)
    try:
        yield Filler(engine, writer)
    finally:
        writer.close()
        engine.close()


def _finish(tx: Transaction, caller: str, seconds_ago: float) -> None:
    ended = jobs.c.created_at - seconds_ago - text("rowid / 1e4")
    outcome = {"status": "done", "outcome": "succeeded", "code": 200, "response": '"hello"'}
    attempt = {"attempt": 1, "worker": "bench", "process_id": 1, "started_at": ended, "finished_at": ended}
    tx.connection.execute(update(jobs).where(jobs.c.caller == caller).values(**outcome, **attempt))
    tx.connection.execute(
        update(lanes).where(lanes.c.caller == caller).values(succeeded=lanes.c.waiting, waiting=0)
    )


class Reader:
    """Reads a ledger that a service may be writing."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def row(self, statement: str) -> Any:
        return self.rows(statement)[0]

    def rows(self, statement: str) -> list[Any]:
        with self._engine.read() as connection:
            return list(connection.exec_driver_sql(statement))

    def wait_until_done(self, count: int, within_seconds: float) -> None:
        """Wait until so many jobs have succeeded, by the books: watching costs next to nothing.

        Raises `NotMeasured`.
        """
        deadline = time.monotonic() + within_seconds
        while (done := self.row("SELECT coalesce(sum(succeeded), 0) FROM lanes")[0]) < count:
            if time.monotonic() > deadline:
                raise NotMeasured(f"after {within_seconds:.0f} s {done} of {count} jobs have succeeded")
            time.sleep(POLL_SECONDS)


@contextmanager
def reader(data: Path) -> Iterator[Reader]:
    engine = SqliteEngine(Folders(data).ledger)
    try:
        yield Reader(engine)
    finally:
        engine.close()
