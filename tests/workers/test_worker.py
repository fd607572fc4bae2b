"""The worker when something is wrong around it: the ledger, a child, a loop of its own."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest
from tests.workers.conftest import Bench

from jobreel.core.envelope import rendered
from jobreel.core.errors import LeaseLost, LedgerBroken, LedgerGone
from jobreel.core.job import Job, Status
from jobreel.store.sqlite import SqliteEngine
from jobreel.tools.fence import Fence
from jobreel.workers import loops, processes
from jobreel.workers.attempt import Attempt

pytestmark = pytest.mark.anyio


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def started(bench: Bench, job_id: str) -> Job:
    deadline = time.monotonic() + 20
    while (job := await bench.job(job_id)).progress.fraction != 0.5:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return job


async def test_a_success_whose_commit_was_not_confirmed_keeps_its_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is moved away between the commit and the look at it; then it is back."""
    await bench.start()
    confirm, gone = bench.ledger._engine.confirm, iter([True])

    def unsure(engine: SqliteEngine) -> None:
        with engine.read() as connection:
            done = connection.exec_driver_sql("SELECT count(*) FROM jobs WHERE status = 'done'").scalar_one()
        if done and next(gone, False):
            raise LedgerGone("moved away")
        confirm()

    monkeypatch.setattr(SqliteEngine, "confirm", unsure)

    job = await bench.ended("publishes")

    await until(lambda: not bench.workers[0].held)
    for file in rendered(job, bench.links)["files"]:
        artifact = await bench.ledger.artifact(bench.links.artifact_id_of(file["url"]) or "")
        assert artifact is not None
        assert bench.store.path(artifact).read_text() == f"file {file['a/b~c']}"


async def test_a_ledger_that_goes_away_in_the_middle_of_an_attempt_costs_no_slot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.start()
    made = rendered(await bench.ended("publishes"), bench.links)
    artifact, away = bench.ledger.artifact, iter([True])

    async def away_once(artifact_id: str) -> object:
        if next(away, False):
            raise LedgerGone("moved away")
        return await artifact(artifact_id)

    monkeypatch.setattr(bench.ledger, "artifact", away_once)

    job = await bench.ended("fetches", request={"source": made["files"][0]["url"]})

    assert (job.response, job.attempt, job.failures, job.losses) == ('"file 0"', 2, 0, 0)


async def test_an_answer_that_makes_no_sense_ends_the_job_and_the_child_but_not_the_slot(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("says_nonsense")

    assert job.error is not None
    assert job.error.type == "internal"
    assert (await bench.ended("answers", request={"id": "next"})).response == '"next"'


async def test_an_outcome_that_cannot_be_stored_becomes_a_failure_that_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobreel.workers.worker.UNSTORABLE_AFTER", 2)
    await bench.start()
    finish = bench.ledger.finish
    refused: list[object] = []

    async def picky(lease: object, conclusion: object) -> None:
        if len(refused) < 2:
            refused.append(conclusion)
            raise LedgerBroken("out of range")
        await finish(lease, conclusion)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.ledger, "finish", picky)

    job = await bench.ended("answers")

    assert job.error is not None
    assert job.error.message == "The job's outcome could not be stored."


async def test_a_late_word_about_an_attempt_does_not_hurt_the_next_one(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit("answers", delay_seconds=3600)  # claimed by hand below
    slot = worker._take_slot(light=False)
    await bench.ledger._writer.write(lambda tx: tx.connection.exec_driver_sql("UPDATE jobs SET ready = 1").rowcount)
    [lease] = await bench.ledger.claim(worker.name, 1)
    attempt = Attempt(lease, worker._catalogue[lease.job_type], worker._around)
    await attempt.run(slot)
    pid = slot.pid

    attempt.end(LeaseLost("too late"))

    assert pid is not None
    assert psutil.pid_exists(pid)
    assert slot.settle()
    await attempt.clean_up()


@pytest.mark.parametrize("fault", ["publishes_a_link", "swaps_its_folder"])
async def test_a_link_made_by_a_child_leads_nowhere_even_without_a_fence(bench: Bench, fault: str) -> None:
    bench.fence = Fence()  # as on a kernel that has no Landlock
    await bench.start()

    job = await bench.ended(fault, request={"id": str(bench.data / "ledger")})

    assert job.code != 200
    assert [path for path in (bench.data / "artifacts").rglob("*") if path.is_file()] == []


async def test_a_child_killed_while_idle_is_replaced(bench: Bench) -> None:
    worker = await bench.start()
    worker._slots[0].kill()
    await until(lambda: not worker._slots[0].alive)

    job = await bench.ended("answers", request={"id": "next"})

    assert (job.response, job.failures, job.losses) == ('"next"', 0, 0)


async def test_a_child_killed_after_it_handed_over_a_file_leaves_no_file(bench: Bench) -> None:
    worker = await bench.start()
    job_id = await bench.submit("publishes_and_hangs")
    await started(bench, job_id)
    assert bench.strays() != []

    for _ in range(3):
        attempt = (await bench.job(job_id)).attempt
        worker._slots[0].kill()
        if attempt < 3:
            await until_attempt(bench, job_id, attempt + 1)

    job = await bench.done(job_id)
    assert job.error is not None
    assert job.error.type == "child_died"
    await until(lambda: not bench.strays())


async def until_attempt(bench: Bench, job_id: str, attempt: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        job = await bench.job(job_id)
        if job.attempt == attempt and job.status is Status.RUNNING and job.progress.fraction == 0.5:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_scratch_folder_that_was_replaced_costs_no_job(bench: Bench) -> None:
    worker = await bench.start()
    await bench.ended("publishes")
    scratch = worker._around.scratch
    scratch.rename(scratch.with_name("old"))
    scratch.mkdir(0o711)

    job = await bench.ended("publishes")

    assert (job.code, job.failures, job.losses) == (200, 0, 0)


async def test_a_loop_goes_on_after_a_turn_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "REST_SECONDS", 0)
    turns: list[int] = []
    went_on = asyncio.Event()

    async def turn() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise OSError("too many open files")
        went_on.set()
        await asyncio.sleep(timedelta(hours=1).total_seconds())

    loop = loops.begin("a test", turn)
    await asyncio.wait_for(went_on.wait(), 10)
    loop.cancel()


async def test_leftovers_of_a_dead_worker_are_ended_at_start_and_those_of_a_living_one_are_not(
    bench: Bench,
) -> None:

    living = await bench.start()
    ledger_id = bench.ledger.identity.ledger_id
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    left, working = (
        subprocess.Popen(command, env=processes.child_environment(processes.mark_of(ledger_id, worker)))
        for worker in ("dead", living.name)
    )

    ended = processes.end_leftovers(ledger_id, bench.ledger.lives)

    assert (ended, left.wait(10), working.poll()) == (1, -9, None)
    working.kill()
    working.wait()
