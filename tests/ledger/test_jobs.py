"""A job's life in the ledger."""

import pytest
from tests.ledger.conftest import Open
from tests.ledger.opened import BAD_LUCK, OWNER, draft, failed, one, states, succeeded

from jobreel.core.artifact import Artifact, Link
from jobreel.core.errors import LeaseLost, WorkerLost
from jobreel.core.job import MAX_LOSSES, Outcome, Progress, Status, Success
from jobreel.store.ledger import SqlLedger

pytestmark = pytest.mark.anyio


async def test_an_accepted_job_waits_runs_and_is_done(ledger: SqlLedger, worker: str) -> None:
    job_id = (await ledger.submit(draft())).job_id
    waiting = await states(ledger)
    lease = await one(ledger.claim(worker, 1))
    running = await states(ledger)

    await ledger.finish(lease, succeeded({"a": 1}))

    assert [waiting, running, await states(ledger)] == [{job_id: "queued"}, {job_id: "running"}, {job_id: "done"}]
    job = await ledger.job(job_id, OWNER)
    assert job is not None
    assert (job.status, job.outcome, job.response, job.code) == (Status.DONE, Outcome.SUCCEEDED, '{"a":1}', 200)


async def test_a_failed_job_says_so_and_why(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))

    await ledger.finish(lease, failed())

    job = await ledger.job(lease.job_id, None)
    assert job is not None
    assert (job.public_status, job.error, job.code) == ("failed", BAD_LUCK, 500)


async def test_a_worker_that_lost_its_lease_cannot_finish_progress_or_return_the_job(
    ledger: SqlLedger, worker: str
) -> None:
    await ledger.submit(draft())
    lost = await one(ledger.claim(worker, 1))
    await ledger.retry(lost, BAD_LUCK, 0)
    now = await one(ledger.claim(worker, 1))

    for late in (
        ledger.finish(lost, succeeded()),
        ledger.progress(lost, Progress(0.5)),
        ledger.retry(lost, BAD_LUCK, 0),
        ledger.give_back(lost),
    ):
        with pytest.raises(LeaseLost):
            await late
    await ledger.finish(now, succeeded())
    with pytest.raises(LeaseLost):
        await ledger.finish(now, succeeded("something else"))
    assert (await ledger.books()).succeeded == 1


async def test_an_end_may_be_told_twice_since_its_answer_may_be_lost(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft(webhook_url="http://example.com/"))
    lease = await one(ledger.claim(worker, 1))

    for _ in range(2):
        await ledger.finish(lease, succeeded())

    assert (await ledger.books()).succeeded == 1
    assert len(await ledger.due_deliveries("sender", 10)) == 1


async def test_a_job_that_nobody_works_on_is_rescued_though_its_worker_lives(
    ledger: SqlLedger, worker: str
) -> None:
    await ledger.submit(draft())
    forgotten = await one(ledger.claim(worker, 1))
    await ledger.submit(draft())
    held = await one(ledger.claim(worker, 1))

    ledger.heartbeat(worker, [(held.job_id, held.attempt)], grace_seconds=-1)

    assert await states(ledger) == {forgotten.job_id: "queued", held.job_id: "running"}


async def test_a_job_claimed_a_moment_ago_is_not_taken_from_its_worker(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))

    rescued = ledger.heartbeat(worker, [], grace_seconds=10)

    assert (rescued, await states(ledger)) == (0, {lease.job_id: "running"})


async def test_jobs_of_a_dead_worker_run_again_at_once(ledger: SqlLedger, opened: Open) -> None:
    dying = opened()
    dying.worker_started("dying", {})
    await ledger.submit(draft())
    lost = await one(dying.claim("dying", 1))
    dying._engine.let_go("dying")  # what the kernel does when a process ends

    rescued = ledger.heartbeat("other", [], grace_seconds=10)

    again = await one(ledger.claim("other", 1))
    assert (rescued, again.job_id, again.attempt, again.losses, again.failures) == (1, lost.job_id, 2, 1, 0)


async def test_a_job_that_kills_its_worker_each_time_ends_as_failed(ledger: SqlLedger) -> None:
    job_id = (await ledger.submit(draft(webhook_url="http://example.com/"))).job_id

    for _ in range(MAX_LOSSES):
        await one(ledger.claim("never alive", 1))
        ledger.heartbeat("other", [], grace_seconds=10)

    job = await ledger.job(job_id, None)
    assert job is not None
    assert job.error is not None
    assert (job.status, job.error.type, job.losses) == (Status.DONE, WorkerLost.type, MAX_LOSSES - 1)
    assert len(await ledger.due_deliveries("sender", 10)) == 1


async def test_a_worker_that_stops_gives_a_job_back_and_spends_nothing(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))

    await ledger.give_back(lease)

    again = await one(ledger.claim(worker, 1))
    assert (again.attempt, again.failures, again.losses) == (2, 0, 0)


async def test_a_retry_waits_for_its_time(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))

    await ledger.retry(lease, BAD_LUCK, 3600)

    assert await ledger.claim(worker, 1) == []
    assert 3500 < (await ledger.promote() or 0) <= 3600
    assert (await ledger.books()).waiting == 1


async def test_a_due_job_becomes_claimable(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft(delay_seconds=0.001))
    before = await ledger.claim(worker, 1)

    while await ledger.promote() is not None:
        pass

    assert (before, len(await ledger.claim(worker, 1))) == ([], 1)


async def test_progress_shows_while_it_runs(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))

    await ledger.progress(lease, Progress(0.25, "encode", "frame 1\n"))
    await ledger.progress(lease, Progress(0.5, "encode", "frame 2\n"))

    job = await ledger.job(lease.job_id, None)
    assert job is not None
    assert job.progress == Progress(0.5, "encode", "frame 2\n")


async def test_artifacts_appear_with_the_success_and_never_without(ledger: SqlLedger, worker: str) -> None:
    await ledger.submit(draft())
    lease = await one(ledger.claim(worker, 1))
    file = Artifact("a-1", f"jobs/{lease.job_id}/1/a-1/x.mp3", "x.mp3", "audio/mpeg", 7, OWNER, lease.job_id)
    success = Success("null", (file,), (Link("", "a-1", "x.mp3"),))
    before = await ledger.known_keys([file.key, "jobs/other/1/a-2/y.mp3"])

    await ledger.finish(lease, success)

    assert before == {file.key}, "a running attempt's files are not swept"
    assert await ledger.artifact("a-1") == file
    assert await ledger.known_keys([file.key]) == {file.key}
    job = await ledger.job(lease.job_id, None)
    assert job is not None
    assert job.links == success.links


async def test_callers_see_nothing_of_each_other(ledger: SqlLedger, worker: str) -> None:
    mine = (await ledger.submit(draft(caller="ann"))).job_id
    theirs = (await ledger.submit(draft(caller="bob"))).job_id
    await ledger.finish(await one(ledger.claim(worker, 1)), succeeded())

    assert set(await states(ledger, "ann")) == {mine}
    assert set(await states(ledger, "bob")) == {theirs}
    assert set(await states(ledger)) == {mine, theirs}
    assert await ledger.job(theirs, "ann") is None


async def test_a_job_leaves_the_window_when_it_finished_before(ledger: SqlLedger, worker: str) -> None:
    waiting = (await ledger.submit(draft())).job_id
    done = (await ledger.submit(draft("media/metadata", awaited=True))).job_id
    await ledger.finish(await one(ledger.claim(worker, 1)), succeeded())

    assert await states(ledger, since=-1) == {waiting: "queued"}, "what is not done is always in the window"
    assert await states(ledger, since=1e300) == {waiting: "queued", done: "done"}


async def test_done_among_finds_those_that_are_done(ledger: SqlLedger, worker: str) -> None:
    ids = [(await ledger.submit(draft())).job_id for _ in range(3)]
    lease = await one(ledger.claim(worker, 1))
    await ledger.finish(lease, succeeded())

    found = await ledger.done_among([*ids, "no such job"])

    assert [job.job_id for job in found] == [lease.job_id]
