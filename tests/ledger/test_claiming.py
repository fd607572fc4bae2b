"""Who goes next."""

import pytest
from tests.ledger.opened import draft

from jobreel.store.ledger import SqlLedger

pytestmark = pytest.mark.anyio


async def claimed(ledger: SqlLedger, worker: str, count: int, only: set[str] | None = None) -> list[str]:
    return [lease.job_id for lease in await ledger.claim(worker, count, only)]


async def submit(ledger: SqlLedger, **options: object) -> str:
    return (await ledger.submit(draft(**options))).job_id  # type: ignore[arg-type]


async def test_jobs_of_one_lane_run_in_the_order_they_came(ledger: SqlLedger, worker: str) -> None:
    ids = [await submit(ledger) for _ in range(5)]

    assert await claimed(ledger, worker, 5) == ids


async def test_a_higher_priority_goes_first(ledger: SqlLedger, worker: str) -> None:
    low, usual, high = [await submit(ledger, priority=priority) for priority in (-1, 0, 1)]

    assert await claimed(ledger, worker, 3) == [high, usual, low]


async def test_a_job_somebody_waits_for_goes_before_others_of_its_priority(ledger: SqlLedger, worker: str) -> None:
    background = await submit(ledger)
    awaited = await submit(ledger, awaited=True)
    urgent = await submit(ledger, priority=1)

    assert await claimed(ledger, worker, 3) == [urgent, awaited, background]


async def test_callers_and_types_take_turns(ledger: SqlLedger, worker: str) -> None:
    for _ in range(3):
        await submit(ledger, caller="ann")
    bob = await submit(ledger, caller="bob")
    convert = await submit(ledger, caller="ann", job_type="media/convert")

    first_three = await claimed(ledger, worker, 3)

    assert {bob, convert} < set(first_three)


async def test_a_slot_for_light_types_takes_only_those(ledger: SqlLedger, worker: str) -> None:
    await submit(ledger, job_type="media/convert")
    light = await submit(ledger, job_type="media/metadata")

    assert await claimed(ledger, worker, 5, {"media/metadata", "toolkit/echo"}) == [light]


async def test_nothing_is_claimed_twice(ledger: SqlLedger, worker: str) -> None:
    for _ in range(10):
        await submit(ledger)

    claims = [await claimed(ledger, worker, 3) for _ in range(5)]

    assert [len(ids) for ids in claims] == [3, 3, 3, 1, 0]
    assert len({job_id for ids in claims for job_id in ids}) == 10
