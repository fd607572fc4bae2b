"""Who is let in: the limit, idempotency keys, and what one bad submission does to its neighbours."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.conftest import Open
from tests.ledger.opened import draft, one, states, succeeded

from jobreel.core.errors import Conflict, JobreelError, QueueFull
from jobreel.core.job import Accepted, IdempotencyKey
from jobreel.store.ledger import SqlLedger

pytestmark = pytest.mark.anyio


async def test_the_queue_takes_as_many_as_its_limit_and_counts_only_waiting_jobs(opened: Open) -> None:
    ledger = opened(max_queue_length=2)
    ledger.worker_started("w", {})
    await ledger.submit(draft())
    running = await one(ledger.claim("w", 1))
    await ledger.submit(draft())
    await ledger.submit(draft(delay_seconds=60))

    with pytest.raises(QueueFull) as refused:
        await ledger.submit(draft())

    assert (refused.value.limit, refused.value.queue_length, len(await states(ledger))) == (2, 2, 3)
    await ledger.give_back(running)
    assert await ledger.queue_length() == 3, "what was accepted goes back, limit or not"


async def test_concurrent_submissions_share_a_commit_and_each_gets_its_own_answer(opened: Open) -> None:
    ledger = opened(max_queue_length=30)

    answers = await asyncio.gather(*(ledger.submit(draft()) for _ in range(64)), return_exceptions=True)

    accepted = [answer for answer in answers if isinstance(answer, Accepted)]
    assert sorted(answer.queue_length for answer in accepted) == list(range(1, 31))
    assert sum(isinstance(answer, QueueFull) for answer in answers) == 34
    assert set(await states(ledger)) == {answer.job_id for answer in accepted}


RACER = """
import asyncio, json, pathlib, sys
from jobreel.core.errors import QueueFull
from tests.ledger.opened import draft, open_ledger

async def main():
    ledger = open_ledger(pathlib.Path(sys.argv[1]), max_queue_length=100)
    print("ready", flush=True)
    sys.stdin.readline()
    answers = await asyncio.gather(*(ledger.submit(draft()) for _ in range(64)), return_exceptions=True)
    full = sum(isinstance(answer, QueueFull) for answer in answers)
    print(json.dumps([full, sum(not isinstance(answer, Exception) for answer in answers)]))
    ledger.close()

asyncio.run(main())
"""


def test_the_limit_is_exact_under_256_submitters_in_4_processes(opened: Open, folder: Path) -> None:
    ledger = opened()
    command = [sys.executable, "-c", RACER, str(folder)]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]

    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    counts = [json.loads(racer.communicate(timeout=60)[0].splitlines()[-1]) for racer in racers]

    assert sum(accepted for _, accepted in counts) == 100
    assert sum(full for full, _ in counts) == 156
    books = asyncio.run(ledger.books())
    assert (books.accepted, books.waiting) == (100, 100)


async def test_a_poisoned_submission_fails_alone(ledger: SqlLedger) -> None:
    taken = draft()
    await ledger.submit(taken)

    answers = await asyncio.gather(
        ledger.submit(draft()), ledger.submit(taken), ledger.submit(draft()), return_exceptions=True
    )

    assert [isinstance(answer, Accepted) for answer in answers] == [True, False, True]
    assert len(await states(ledger)) == 3
    assert (await ledger.books()).balance


async def test_a_caller_who_hangs_up_takes_nobody_else_with_them(ledger: SqlLedger) -> None:
    first = asyncio.create_task(ledger.submit(draft()))
    second = asyncio.create_task(ledger.submit(draft()))
    await asyncio.sleep(0)

    first.cancel()

    assert isinstance(await second, Accepted)


async def test_the_same_key_and_request_answers_the_first_job(ledger: SqlLedger, worker: str) -> None:
    key = IdempotencyKey("order-7", "digest")
    first = await ledger.submit(draft(idempotency=key))
    await ledger.finish(await one(ledger.claim(worker, 1)), succeeded())

    again = await ledger.submit(draft(idempotency=key))

    assert (again.job_id, again.repeated, len(await states(ledger))) == (first.job_id, True, 1)


async def test_the_same_key_with_another_request_is_refused(ledger: SqlLedger) -> None:
    await ledger.submit(draft(idempotency=IdempotencyKey("order-7", "digest")))

    with pytest.raises(Conflict):
        await ledger.submit(draft(idempotency=IdempotencyKey("order-7", "other")))


async def test_keys_of_two_callers_never_meet(ledger: SqlLedger) -> None:
    key = IdempotencyKey("order-7", "digest")

    answers = [await ledger.submit(draft(caller=caller, idempotency=key)) for caller in ("ann", "bob")]

    assert len({answer.job_id for answer in answers}) == 2


async def test_concurrent_duplicates_make_one_job_and_take_no_room(opened: Open) -> None:
    ledger = opened(max_queue_length=1)
    key = IdempotencyKey("order-7", "digest")

    answers = await asyncio.gather(*(ledger.submit(draft(idempotency=key)) for _ in range(20)))

    assert len({answer.job_id for answer in answers}) == 1
    with pytest.raises(JobreelError):
        await ledger.submit(draft())
