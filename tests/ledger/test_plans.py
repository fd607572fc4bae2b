"""What a query costs must not depend on how many jobs are stored or waiting: the plans say so."""

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Executable, event, text
from tests.ledger.opened import draft, states

from jobreel.store import operations, statements
from jobreel.store.ledger import SqlLedger
from jobreel.store.writer import Transaction

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(ledger: SqlLedger, worker: str) -> SqlLedger:
    """Enough rows for the planner to have something to choose between."""
    admit = operations.Admission("sqlite", 0)
    drafts = [draft(job_type, caller) for caller in ("owner", "ann") for job_type in ("a/b", "c/d")] * 1
    rows = [draft(one.job_type, one.caller) for one in drafts for _ in range(500)]
    await ledger._writer.write(lambda tx: admit(tx, rows))
    done = "UPDATE jobs SET status='done', outcome='succeeded', finished_at=created_at WHERE rowid % 2"
    await ledger._writer.write(lambda tx: tx.connection.execute(text(done)).rowcount)
    await ledger._writer.write(lambda tx: _analyze(tx))
    return ledger


def _analyze(tx: Transaction) -> None:
    tx.connection.execute(text("ANALYZE"))


ANYTHING = dict.fromkeys(
    ("seconds", "caller", "of_caller", "of_type", "by_worker", "by_process", "at", "stamp"), 0
)  # values play no part in a plan


def plan(ledger: SqlLedger, statement: Executable, **values: Any) -> str:
    """The planner's words for a statement, as the driver would get it."""
    seen: list[str] = []

    def see(_c: Any, _u: Any, sql: str, parameters: Any, _x: Any, _m: Any) -> None:
        seen.append(sql)
        raise Seen

    with ledger._engine.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", see)
        with suppress(Seen):
            connection.execute(statement, ANYTHING | values)
        event.remove(connection.engine, "before_cursor_execute", see)
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {seen[0]}", (None,) * seen[0].count("?")).all()
    return "\n".join(str(row[3]) for row in rows)


class Seen(Exception):
    """The statement was seen and need not run."""


@pytest.mark.parametrize("caller", [None, "ann"])
async def test_the_monitor_reads_only_indexes_and_only_its_window(filled: SqlLedger, caller: str | None) -> None:
    seen = plan(filled, statements.window(caller))

    done = "jobs_done_by_caller (caller=? AND finished_at>?)" if caller else "jobs_done (finished_at>?)"
    assert f"USING COVERING INDEX {done}" in seen
    assert "COVERING INDEX jobs_running" in seen
    assert "COVERING INDEX jobs_waiting" in seen
    assert "TEMP B-TREE" not in seen


@pytest.mark.parametrize("only", [None, frozenset({"a/b"})])
async def test_choosing_a_lane_steps_into_each_lane_once(filled: SqlLedger, only: frozenset[str] | None) -> None:
    seen = plan(filled, statements.open_lane(only))

    assert "SEARCH jobs USING COVERING INDEX jobs_waiting (caller=? AND type=? AND ready=?)" in seen
    assert "SCAN jobs" not in seen


async def test_claiming_takes_the_head_of_a_lane_from_its_index(filled: SqlLedger) -> None:
    seen = plan(filled, statements.CLAIM_HEAD)

    assert "USING COVERING INDEX jobs_waiting (caller=? AND type=? AND ready=?)" in seen
    assert "TEMP B-TREE" not in seen
    assert "SCAN" not in seen


async def test_due_jobs_and_deliveries_are_found_by_their_time(filled: SqlLedger) -> None:
    assert "jobs_scheduled" in plan(filled, statements.NEXT_DUE)
    assert "deliveries_pending" in plan(filled, statements.NEXT_DELIVERY, busy=["n8n:5678"])


async def test_a_running_attempt_is_found_without_looking_at_waiting_jobs(filled: SqlLedger) -> None:
    assert "jobs_running" in plan(filled, statements.RUNNING_ATTEMPTS)


async def test_the_window_answers_for_many_callers_at_once(filled: SqlLedger) -> None:
    assert len(await states(filled)) == 2000
    assert len(await states(filled, "ann")) == 1000
