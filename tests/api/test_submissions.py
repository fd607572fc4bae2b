"""Submissions: accepted or waited for, refused in plain words, and never lost to a client that leaves."""

import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.service import ECHO, OWNER_KEY, Service, until

from jobreel.core.errors import ErrorReport
from jobreel.core.job import Failure, Success

WEBHOOK = "http://example.com/hook?state=a%2Fb&x=1"


def posted(pool: ThreadPoolExecutor, service: Service, **options: Any) -> "Future[httpx2.Response]":
    return pool.submit(lambda: service.client.post(ECHO, json={"message": "hello", "id": "mine"}, **options))


def test_without_a_webhook_the_answer_is_the_result(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        answer = posted(pool, service)
        lease = service.claim()
        service.finish(lease, Success('"hello"'))

        body = answer.result().json()

    assert lease.awaited is True
    assert (answer.result().status_code, body["code"], body["message"]) == (200, 200, "success")
    assert (body["response"], body["id"], body["job_id"]) == ("hello", "mine", lease.job_id)
    assert body["endpoint"] == ECHO
    assert (body["job_status"], body["status"]) == ("done", "completed")


def test_the_status_of_a_failed_job_is_the_status_of_the_answer(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        answer = posted(pool, service)
        service.finish(
            service.claim(), Failure(ErrorReport(424, "source_unreachable", "It never came.", "fetch", True))
        )

        body = answer.result().json()

    assert answer.result().status_code == body["code"] == 424
    assert body["message"] == "It never came."
    assert body["response"] is None
    assert body["error"]["type"] == "source_unreachable"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"webhook_url": WEBHOOK}, {}),
        ({"webhook_url": WEBHOOK}, {"prefer": "wait=100"}),
        ({}, {"prefer": "respond-async"}),
        ({"webhook_url": ""}, {"Prefer": "handling=lenient, Respond-Async"}),
        ({"webhook_url": None}, {"prefer": "wait=0"}),
    ],
)
def test_nobody_waits_where_there_is_a_webhook_or_a_wish(
    service: Service, body: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = service.client.post(ECHO, json={"message": "hello", "id": "mine", **body}, headers=headers)

    accepted = answer.json()
    assert answer.status_code == accepted["code"] == 202
    assert accepted["message"] == "processing"
    assert accepted["id"] == "mine"
    assert accepted["max_queue_length"] == "unlimited"
    assert accepted["queue_length"] == 1
    assert "endpoint" not in accepted
    lease = service.claim()
    assert (lease.job_id, lease.awaited) == (accepted["job_id"], False)


def test_past_the_patience_of_the_client_the_job_goes_on_and_can_be_asked_for(service: Service) -> None:
    answer = service.client.post(ECHO, json={"message": "hello"}, headers={"prefer": "wait=1"})

    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) > 0
    service.finish(service.claim(), Success('"hello"'))
    assert service.client.get(answer.headers["location"]).json()["response"]["response"]["response"] == "hello"


def test_when_too_many_wait_the_next_is_answered_at_once(tmp_path: Path) -> None:
    with Service(tmp_path / "data", max_waiters=1) as service, ThreadPoolExecutor() as pool:
        first = posted(pool, service)
        until(lambda: not service.waiters.has_room)

        assert service.client.post(ECHO, json={"message": "second"}).status_code == 202
        service.finish(service.claim(), Success('"hello"'))
        assert first.result().status_code == 200


def test_no_more_wait_than_may_even_when_they_come_at_once(tmp_path: Path) -> None:
    with Service(tmp_path / "data", max_waiters=2) as service, ThreadPoolExecutor(12) as pool:
        answers = [posted(pool, service) for _ in range(12)]

        until(lambda: sum(answer.done() for answer in answers) == 10)
        for _ in range(12):
            service.finish(service.claim(), Success('"hello"'))

        assert sorted(answer.result().status_code for answer in answers) == [200] * 2 + [202] * 10


def test_a_client_that_hangs_up_frees_its_place_and_its_job_goes_on(tmp_path: Path) -> None:
    body = b'{"message": "hello"}'
    head = f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nx-api-key: {OWNER_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with Service(tmp_path / "data", max_waiters=1) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(head.encode() + body)
            until(lambda: not service.waiters.has_room)

        until(lambda: service.waiters.has_room)

        lease = service.claim()
        service.finish(lease, Success('"hello"'))
        assert service.client.get("/v1/toolkit/jobs/status").json()["response"] == {lease.job_id: "done"}


def test_whoever_waits_when_the_service_stops_gets_a_202(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        answer = posted(pool, service)
        until(lambda: bool(service.waiters._waiting))
        service.run(_stopped(service))

        assert answer.result().status_code == 202


async def _stopped(service: Service) -> None:
    service.waiters.stop()


def test_every_name_of_a_job_type_is_answered_under_its_canonical_one(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: service.client.post("/paid/toolkit/echo", json={"message": "hello"}))
        service.finish(service.claim(), Success('"hello"'))

        assert answer.result().json()["endpoint"] == ECHO


def test_a_full_queue_refuses_with_429_and_stores_nothing(tmp_path: Path) -> None:
    with Service(tmp_path / "data", max_queue_length=1) as service:
        first = service.submit()

        answer = service.client.post(ECHO, json={"message": 2, "id": "mine"})

        body = answer.json()
        assert answer.status_code == body["code"] == 429
        assert body["message"] == "MAX_QUEUE_LENGTH (1) reached"
        assert body["id"] == "mine"
        assert {"job_id", "pid", "queue_id", "queue_length", "build_number"} <= body.keys()
        assert body["error"]["type"] == "queue_full"
        assert int(answer.headers["retry-after"]) > 0
        assert service.client.get("/v1/toolkit/jobs/status").json()["response"] == {first: "queued"}


def test_a_full_disk_refuses_with_507(service: Service) -> None:
    service.disk_full = True

    answer = service.client.post(ECHO, json={"message": 1})

    assert answer.status_code == answer.json()["code"] == 507
    assert answer.json()["error"]["type"] == "disk_full"
    assert "retry-after" in answer.headers


def test_a_webhook_that_may_not_be_visited_is_a_warning_and_no_refusal(service: Service) -> None:
    answer = service.client.post(ECHO, json={"message": 1, "webhook_url": "http://127.0.0.1:1/"})

    assert answer.status_code == 202
    assert answer.json()["warnings"] == ["not reachable from here"]


BAD_BODIES = {
    "nothing": b"",
    "blank": b"  ",
    "no JSON": b"{",
    "not UTF-8": b'{"message": "\xff"}',
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "the field is missing": b"{}",
    "an unknown field": b'{"message": 1, "unheard_of": 1}',
    "a NUL": rb'{"message": "a\u0000b"}',
    "a lone surrogate": rb'{"message": "\ud800"}',
    "70 bits": b'{"message": 1180591620717411303424}',
    "70 bits, deep inside": b'{"message": {"a": [1180591620717411303424]}}',
    "a number too great": b'{"message": 1e400}',
    "NaN": b'{"message": NaN}',
    "nested": b'{"message": ' + b"[" * 100 + b"]" * 100 + b"}",
    "nested beyond reason": b"[" * 100_000,
    "no address": b'{"message": 1, "webhook_url": "not a url"}',
    "a file": b'{"message": 1, "webhook_url": "file:///etc/passwd"}',
    "a host that cannot be": b'{"message": 1, "webhook_url": "http://' + b"a" * 64 + b'.com/"}',
    "id is no text": b'{"message": 1, "id": 7}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_refused_in_words_and_leaves_no_job(service: Service, body: bytes) -> None:
    answer = service.client.post(ECHO, content=body, headers={"content-type": "application/json"})

    refused = answer.json()
    assert answer.status_code == refused["code"] == 400
    assert isinstance(refused["message"], str)
    assert refused["error"]["type"] == "bad_request"
    assert service.run(service.ledger.books()).accepted == 0


@pytest.mark.parametrize("message", ["", "ünïcödé 🎬", 0, 2**63 - 1, -(2**63), 1.5, [], {"a": None}, False, None])
def test_any_honest_message_is_accepted_and_kept_as_sent(service: Service, message: object) -> None:
    service.submit(message)

    assert json.loads(service.claim().request)["message"] == message


@pytest.mark.parametrize(
    "kind", [None, "application/json", "application/json; charset=utf-8", "application/ld+json"]
)
def test_json_is_what_says_so_or_says_nothing(service: Service, kind: str | None) -> None:
    headers = {"prefer": "respond-async", **({"content-type": kind} if kind else {})}

    answer = service.client.post(ECHO, content=b'{"message": 1}', headers=headers)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_told_what_would_be_right(client: httpx2.Client, kind: str) -> None:
    answer = client.post(ECHO, content=b'{"message": 1}', headers={"content-type": kind})

    assert answer.status_code == answer.json()["code"] == 415
    assert "application/json" in answer.json()["error"]["hint"]
