"""How attempts end, well or badly; each in a real child."""

import asyncio
import http.server
import threading
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest
from tests.workers.conftest import Bench

from jobreel.core.envelope import rendered
from jobreel.core.job import MAX_FAILURES, Job, Status
from jobreel.tools.fence import Fence
from jobreel.workers.processes import Isolation

pytestmark = pytest.mark.anyio


def why(job: Job) -> tuple[str, str]:
    assert job.error is not None
    return job.error.type, job.error.message


async def test_a_good_job_answers_and_leaves_nothing_behind(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("answers", request={"id": "hello"})

    assert (job.response, job.code) == ('"hello"', 200)
    await until(lambda: not bench.strays())


async def test_an_unexpected_error_is_told_without_internals_and_kept_with_its_traceback(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("raises")

    assert why(job) == ("internal", "The job ended with an unexpected RuntimeError.")
    assert "nobody thought of this" in job.progress.log_tail


async def test_a_known_error_keeps_its_type_step_and_hint(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("refuses")

    assert job.error is not None
    assert (job.error.code, job.error.type, job.error.step, job.error.hint) == (
        422, "no_audio", "probe", "Send one that has.",
    )  # fmt: skip
    assert job.progress.log_tail == "looked for sound\n"


@pytest.mark.parametrize("fault", ["exits", "is_killed"])
async def test_a_child_that_dies_is_replaced_and_the_job_tried_again_until_it_is_given_up(
    bench: Bench, fault: str
) -> None:
    await bench.start()

    job = await bench.ended(fault)

    assert (why(job)[0], job.attempt, job.failures) == ("child_died", MAX_FAILURES, MAX_FAILURES - 1)
    assert (await bench.ended("answers", request={"id": "next"})).response == '"next"'


async def test_a_job_that_takes_too_long_is_ended_with_all_it_started(bench: Bench) -> None:
    bench.time_limit_seconds = 0.5
    await bench.start()

    job = await bench.ended("hangs")

    assert why(job)[0] == "timed_out"
    assert (await bench.ended("answers", request={"id": "next"})).response == '"next"'


async def test_a_job_that_eats_memory_is_ended_with_the_reason(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("eats_memory")

    assert why(job) == ("out_of_memory", "The job needed more than 256 MiB of memory.")


async def test_a_job_that_floods_its_log_is_ended_and_its_last_lines_are_kept(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("floods_log")

    assert why(job) == ("tool_failed", "The job wrote more than 1 MiB of log.")
    assert len(job.progress.log_tail) <= 64 * 1024
    assert "the same line again and again\n" in job.progress.log_tail


async def test_a_library_that_prints_does_not_break_the_conversation(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("prints")

    assert job.response == '"the real answer"'
    assert "a library that prints" in job.progress.log_tail


async def test_published_files_stand_as_links_where_the_answer_holds_them(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("publishes")

    answer = rendered(job, bench.links)
    for number, file in enumerate(answer["files"]):
        assert file["a/b~c"] == number
        assert file["url"].endswith(f"/{job.job_id}_{number}.txt")
        artifact = await bench.ledger.artifact(bench.links.artifact_id_of(file["url"]) or "")
        assert artifact is not None
        assert bench.store.path(artifact).read_text() == f"file {number}"
        assert (artifact.content_type, artifact.size_bytes) == ("text/plain; charset=utf-8", 6)


async def test_a_link_to_a_file_of_the_server_is_not_published(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("publishes_a_link")

    assert job.code != 200
    await until(lambda: not bench.strays())


async def test_a_result_too_big_for_an_answer_asks_for_files_instead(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("big_answer")

    assert job.error is not None
    assert (job.error.type, job.error.hint) == ("too_large", "Ask for the result as files instead of inline.")


async def test_one_jobs_result_is_the_next_jobs_input_without_http(bench: Bench) -> None:
    await bench.start()
    made = rendered(await bench.ended("publishes"), bench.links)

    job = await bench.ended("fetches", request={"source": made["files"][1]["url"]})

    assert job.response == '"file 1"', "nothing listens at the public address here"


async def test_a_forged_link_to_a_file_of_ours_is_refused(bench: Bench) -> None:
    await bench.start()
    made = rendered(await bench.ended("publishes"), bench.links)
    forged = made["files"][0]["url"].replace("/v1/files/", "/v1/files/0")

    job = await bench.ended("fetches", request={"source": forged})

    assert why(job)[0] == "source_forbidden"


@pytest.fixture
def source() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from far away")

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_source_is_fetched_through_the_guarded_door(bench: Bench, source: str) -> None:
    await bench.start()
    allowed = await bench.ended("fetches", request={"source": source})
    refused = await bench.ended("fetches", request={"source": source.replace("127.0.0.1", "127.0.0.2")})

    assert allowed.response == '"from far away"'
    assert why(refused)[0] == "source_forbidden"


@pytest.mark.parametrize("kind", ["isolation", "bare"])
async def test_what_an_attempt_started_does_not_outlive_it(
    bench: Bench, kind: str, request: pytest.FixtureRequest
) -> None:
    bench.isolation = request.getfixturevalue(kind)
    await bench.start()

    job = await bench.ended("leaves_processes", request={"id": f"{kind}-{bench.data.name}"})

    assert job.response == '"left"'
    mark = f"left-by-{kind}-{bench.data.name}"
    await until(lambda: not any(mark in " ".join(_command(process)) for process in psutil.process_iter()))


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


async def until(true: object) -> None:
    """Wait for an event that sends no word: a process that is gone."""
    deadline = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_child_gets_no_secrets(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    await bench.start()

    job = await bench.ended("looks_around", request={"id": str(bench.data)})

    seen = msgspec.json.decode(job.response or "")
    assert seen["scratch"]
    assert set(seen["environment"]) <= {"HOME", "JOBREEL_MARK", "LANG", "LC_CTYPE", "PATH", "PYTHONPATH", "TMPDIR"}


@pytest.mark.skipif(not Fence.probe().landlock_abi, reason="this kernel has no Landlock")
async def test_a_child_cannot_read_the_ledger_or_its_parents_environment(bench: Bench) -> None:
    await bench.start()

    job = await bench.ended("looks_around", request={"id": str(bench.data)})

    seen = msgspec.json.decode(job.response or "")
    assert (seen["ledger"], seen["parent"], seen["scratch"]) == (False, False, True)


async def test_progress_is_told_while_the_job_runs(bench: Bench) -> None:
    await bench.start()

    job_id = await bench.submit("hangs")

    await until_async(bench, job_id)


async def until_async(bench: Bench, job_id: str) -> None:
    deadline = time.monotonic() + 20
    while (await bench.job(job_id)).progress.fraction != 0.5:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_worker_that_stops_gives_back_what_it_could_not_finish_and_spends_nothing(bench: Bench) -> None:
    worker = await bench.start()
    job_id = await bench.submit("hangs")
    await until_async(bench, job_id)

    await worker.stop(0.1)

    job = await bench.job(job_id)
    assert (job.status, job.failures, job.losses, bench.strays()) == (Status.QUEUED, 0, 0, [])


async def test_a_worker_that_stops_lets_attempts_finish_within_its_grace_time(bench: Bench) -> None:
    worker = await bench.start()
    ids = [await bench.submit("answers", request={"id": str(number)}) for number in range(5)]
    await bench.done(ids[0])

    await worker.stop(30)

    statuses = [(await bench.job(job_id)).status for job_id in ids]
    assert Status.RUNNING not in statuses


async def test_a_child_is_replaced_after_its_share_of_attempts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, isolation: Isolation
) -> None:
    monkeypatch.setattr("jobreel.workers.slot.MAX_ATTEMPTS", 2)
    worker = await bench.start()
    first = worker._slots[0].pid

    for _ in range(3):
        await bench.ended("answers")

    assert worker._slots[0].pid != first


async def test_while_the_ledger_is_away_an_outcome_is_kept_and_told_later(bench: Bench) -> None:
    await bench.start()
    job_id = await bench.submit("hangs")
    await until_async(bench, job_id)
    ledger = bench.data / "ledger"
    away = ledger.rename(bench.data / "away")

    for attempt in list(bench.workers[0]._held.values()):
        attempt._slot.kill()  # type: ignore[union-attr]
    await asyncio.sleep(1)
    away.rename(ledger)

    deadline = time.monotonic() + 20
    while (await bench.job(job_id)).failures != 1:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
