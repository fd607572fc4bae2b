"""The monitor: jobs/status and job/status, as the seed document and its clients call them."""

from typing import Any

import httpx2
import pytest
from tests.api.service import BOB_KEY, ECHO, Service

from jobreel.core.errors import ErrorReport
from jobreel.core.ids import new_id
from jobreel.core.job import Failure, Progress, Success

JOBS = ["/v1/toolkit/jobs/status", "/paid/get/all/jobs/id/status"]
JOB = ["/v1/toolkit/job/status", "/paid/get/job/status"]
ENVELOPE = {
    "code": int,
    "id": type(None),
    "job_id": str,
    "response": dict,
    "message": str,
    "run_time": float,
    "queue_time": int,
    "total_time": float,
    "pid": int,
    "queue_id": int,
    "queue_length": int,
    "build_number": str,
    "endpoint": str,
}
UNKNOWN = new_id()
NOT_SECONDS = ["", "soon", [], [600], {}, True, False, -1, -0.5, "-1", "nan", "inf", "1_000", "٣", "0x10"]


@pytest.mark.parametrize("path", JOBS)
def test_every_job_is_listed_with_one_word(service: Service, path: str) -> None:
    done, running, queued = service.submit(), service.submit(), service.submit()
    service.finish(service.claim(), Success('"hello"'))
    service.claim()

    body = service.client.post(path).json()

    assert body["response"] == {done: "done", running: "running", queued: "queued"}
    assert body["queue_length"] == 1
    assert body["endpoint"] == JOBS[0]


def test_the_envelope_has_the_documented_fields_and_types(client: httpx2.Client) -> None:
    body = client.post(JOBS[0]).json()

    assert {name: type(value) for name, value in body.items()} == ENVELOPE
    assert (body["code"], body["message"]) == (200, "success")


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"headers": {"content-type": "application/json"}},  # the curl line of the seed document: no body
        {"content": b"  \n", "headers": {"content-type": "application/json"}},
        {"json": {}},
        {"json": None},
        {"json": {"since_seconds": None}},
        {"json": {"id": "x", "webhook_url": "http://example.com", "unheard_of": 1}},
        {"json": {"since_seconds": 0.5}},
        {"json": {"since_seconds": "7200"}},
        {"json": {"since_seconds": " 1e3 "}},
        {"content": b'{"since_seconds": 600}', "headers": {"content-type": "text/plain"}},
        {"data": {}, "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"params": {"since_seconds": "60"}},
        {"content": b'{"since_seconds": 1e400}'},
        {"content": b'{"since_seconds": ' + b"9" * 5000 + b"}"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_window_may_be_asked_for_in_many_ways(service: Service, method: str, request_: dict[str, Any]) -> None:
    job = service.submit()

    answer = service.client.request(method, JOBS[0], **request_)

    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == {job: "queued"}


def test_a_finished_job_leaves_the_window(service: Service) -> None:
    job = service.submit()
    service.finish(service.claim(), Success("null"))

    def listed(since_seconds: float) -> Any:
        return service.client.post(JOBS[0], json={"since_seconds": since_seconds}).json()["response"]

    assert listed(0) == {}
    assert listed(600) == listed(1e300) == {job: "done"}


@pytest.mark.parametrize("value", NOT_SECONDS)
def test_a_window_that_is_no_number_of_seconds_is_refused(client: httpx2.Client, value: object) -> None:
    answer = client.post(JOBS[0], json={"since_seconds": value})

    assert answer.status_code == answer.json()["code"] == 400
    assert "since_seconds" in answer.json()["message"]


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_a_window_in_the_query_is_checked_the_same(client: httpx2.Client, value: str) -> None:
    answer = client.get(JOBS[0], params={"since_seconds": value})

    assert answer.status_code == 400
    assert "since_seconds" in answer.json()["message"]


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"7", b"{", b"{'a': 1}", b'{"since_seconds": NaN}', b"\xff", b"[" * 9000]
)
@pytest.mark.parametrize("path", [JOBS[0], JOB[0]])
def test_a_body_that_is_no_json_object_is_refused(client: httpx2.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == answer.json()["code"] == 400
    assert answer.json()["error"]["type"] == "bad_request"


def test_looking_changes_nothing(service: Service) -> None:
    job = service.submit()
    for path in [*JOBS, *JOB]:
        service.client.post(path, json={"job_id": job})
    service.client.get("/v1/toolkit/authenticate")

    assert service.client.post(JOBS[0]).json()["response"] == {job: "queued"}
    assert service.run(service.ledger.books()).accepted == 1


def test_callers_see_only_their_own_jobs_and_the_owner_sees_all(service: Service) -> None:
    owners = service.submit()
    with service.client_with(BOB_KEY) as bob:
        bobs = bob.post(ECHO, json={"message": 1}, headers={"prefer": "respond-async"}).json()["job_id"]

        assert bob.post(JOBS[0]).json()["response"] == {bobs: "queued"}
        assert bob.get(f"{JOB[0]}/{owners}").status_code == 404
        assert bob.get(f"{JOB[0]}/{bobs}").status_code == 200
    assert service.client.post(JOBS[0]).json()["response"] == {owners: "queued", bobs: "queued"}


@pytest.mark.parametrize("path", JOB)
def test_a_job_is_shown_nested_and_at_the_top(service: Service, path: str) -> None:
    job = service.submit("hello", **{"x-nothing": "here"})
    lease = service.claim()
    service.run(service.ledger.progress(lease, Progress(0.5, "encode")))

    body = service.client.post(path, json={"job_id": job, "extra": "is ignored"}).json()

    assert body["code"] == 200
    assert body["job_id"] == job
    assert body["endpoint"] == JOB[0]
    assert body["response"].keys() == {"job_status", "job_id", "queue_id", "process_id", "response"}
    assert body["response"]["job_status"] == body["job_status"] == body["status"] == "running"
    assert body["response"]["response"] is None
    assert body["progress"] == {"fraction": 0.5, "stage": "encode"}


def test_a_finished_job_shows_its_result_envelope(service: Service) -> None:
    answer = service.client.post(ECHO, json={"message": "hello", "id": "mine"}, headers={"prefer": "respond-async"})
    service.finish(service.claim(), Success('"hello"'))

    body = service.client.get(f"{JOB[0]}/{answer.json()['job_id']}").json()

    result = body["response"]["response"]
    assert (body["job_status"], body["status"]) == ("done", "completed")
    assert (result["code"], result["message"], result["response"]) == (200, "success", "hello")
    assert (result["id"], result["endpoint"]) == ("mine", ECHO)


def test_a_failed_job_is_done_and_failed_with_its_reason(service: Service) -> None:
    job = service.submit()
    service.finish(service.claim(), Failure(ErrorReport(422, "no_audio", "The file has no sound.", "probe")))

    body = service.client.get(JOB[0], params={"job_id": job}).json()

    result = body["response"]["response"]
    assert (body["code"], body["job_status"], body["status"]) == (200, "done", "failed")
    assert (result["code"], result["message"], result["response"]) == (422, "The file has no sound.", None)
    assert result["error"] == {"type": "no_audio", "step": "probe", "retryable": False, "hint": None}


@pytest.mark.parametrize("path", JOB)
@pytest.mark.parametrize(
    "asked", [UNKNOWN, "nonsense", "../../etc/passwd", "/etc/passwd", "a\x00b", 7, [], {}, True]
)
def test_a_job_that_is_not_there_is_404_in_words(client: httpx2.Client, path: str, asked: object) -> None:
    answer = client.post(path, json={"job_id": asked})

    body = answer.json()
    assert answer.status_code == body["code"] == 404
    assert body["message"] == "Job not found"
    assert body["response"] is None
    assert body["job_id"] == (asked if asked == UNKNOWN else None)
    assert body["error"]["type"] == "not_found"


def test_an_id_in_the_path_is_never_a_path_in_the_file_system(client: httpx2.Client) -> None:
    for asked in ["..%2f..%2fetc%2fpasswd", "%2e%2e", new_id()]:
        answer = client.get(f"{JOB[0]}/{asked}")

        assert answer.status_code == 404
        assert answer.json()["code"] == 404


@pytest.mark.parametrize("request_", [{}, {"json": {}}, {"json": {"job_id": None}}])
def test_a_status_call_without_a_job_id_is_told_so(client: httpx2.Client, request_: dict[str, Any]) -> None:
    answer = client.post(JOB[0], **request_)

    assert answer.status_code == 400
    assert "job_id" in answer.json()["message"]


def test_a_ledger_that_was_removed_is_404_and_comes_back_without_a_restart(service: Service) -> None:
    job = service.submit()
    aside = service.folder.with_name("aside")
    service.folder.rename(aside)

    answers = [service.client.post(path) for path in JOBS]
    one = service.client.post(JOB[0], json={"job_id": job})
    submission = service.client.post(ECHO, json={"message": 1})

    for answer in [*answers, one]:
        body = answer.json()
        assert answer.status_code == body["code"] == 404
        assert body["message"] == "Jobs directory not found"
        assert body["response"] is None
    assert submission.status_code == 503
    assert int(submission.headers["retry-after"]) > 0

    aside.rename(service.folder)
    assert service.client.post(JOBS[0]).json()["response"] == {job: "queued"}


def test_a_broken_ledger_is_500_with_the_reason(service: Service) -> None:
    connection = service.ledger._engine.begin()
    connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
    service.ledger._engine.commit(connection)

    answer = service.client.post(JOBS[0])

    body = answer.json()
    assert answer.status_code == body["code"] == 500
    assert body["message"].startswith("Failed to retrieve job statuses: ")
    assert body["response"] is None
    assert body["error"]["type"] == "internal"
