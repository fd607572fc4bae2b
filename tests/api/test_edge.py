"""What holds on every path: errors are JSON, limits are kept, browsers may call, health and docs are open."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.api.service import BOB_KEY, ECHO, OWNER_KEY, Service

from jobreel.api.app import ApiOptions

MAX_BODY = 1000
STATUS = "/v1/toolkit/jobs/status"
ORIGIN = "https://app.example.com"


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Service]:
    """A service that takes small bodies only, and browsers of one origin."""
    options = ApiOptions(max_body=MAX_BODY, max_upload=MAX_BODY, cors_origins=(ORIGIN,))
    with Service(tmp_path / "data", options=options) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1/toolkit/echo/",
        "/v1/toolkit/jobs/status/",
        "/v1",
        "/v1//toolkit/echo",
        "/docs/",
        "/docs/../app.py",
    ],
)
def test_an_unknown_path_is_404_json_without_a_redirect(service: Service, path: str) -> None:
    with service.client_with(None) as stranger:
        answer = stranger.get(path)

    assert answer.status_code == answer.json()["code"] == 404
    assert answer.json()["error"]["type"] == "not_found"


def test_a_slash_too_many_is_pointed_out(client: httpx2.Client) -> None:
    assert "/v1/toolkit/echo, without" in client.post(ECHO + "/", json={"message": 1}).json()["error"]["hint"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", ECHO, {"POST", "OPTIONS"}),
        ("DELETE", STATUS, {"GET", "POST", "HEAD", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_there_is_405_and_told_which_are(
    client: httpx2.Client, method: str, path: str, allow: set[str]
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == answer.json()["code"] == 405
    assert set(answer.headers["allow"].split(", ")) == allow


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/", STATUS, "/authenticate"])
def test_head_says_what_get_would_without_a_body(client: httpx2.Client, path: str) -> None:
    answer = client.head(path)

    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("path", [ECHO, STATUS, "/v1/toolkit/job/status"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_over_the_limit_is_413_json(narrow: Service, path: str, chunked: bool) -> None:
    body = json.dumps({"message": "x" * MAX_BODY}).encode()

    headers = {"content-type": "application/json"}
    answer = narrow.client.post(path, content=iter([body]) if chunked else body, headers=headers)

    assert answer.status_code == answer.json()["code"] == 413
    assert str(MAX_BODY) in answer.json()["message"]
    assert narrow.run(narrow.ledger.books()).accepted == 0


def test_a_body_of_exactly_the_limit_is_read(narrow: Service) -> None:
    body = b'{"message": "' + b"x" * (MAX_BODY - 15) + b'"}'
    assert len(body) == MAX_BODY

    assert narrow.client.post(ECHO, content=body, headers={"prefer": "respond-async"}).status_code == 202


def test_a_client_that_sends_everything_before_it_listens_still_learns_that_it_was_too_much(
    narrow: Service,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", narrow.port, timeout=30)
    connection.request("POST", ECHO, body=b"x" * 8_000_000, headers={"x-api-key": OWNER_KEY})

    answer = connection.getresponse()

    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.read())["code"] == 413
    connection.close()


def test_our_own_mistake_is_500_json_that_tells_nothing_and_a_log_line_that_tells_all(service: Service) -> None:
    service.bug = RuntimeError("secret at /var/lib")

    with capture_logs() as lines:
        answer = service.client.get("/health")

    body = answer.json()
    assert answer.status_code == body["code"] == 500
    assert body["error"]["type"] == "internal"
    assert "secret" not in answer.text
    [line] = [line for line in lines if line["event"] == "request failed"]
    assert line["request_id"] == body["request_id"]
    assert line["exc_info"] is service.bug


def test_health_is_open_and_tells_when_no_work_can_be_taken(service: Service) -> None:
    with service.client_with(None) as stranger:
        well = stranger.get("/health")
        service.healthy = False
        unwell = stranger.get("/health")

    assert (well.status_code, well.json()) == (200, {"status": "ok", "version": "1.2.3", "workers": 1})
    assert (unwell.status_code, unwell.json()["status"]) == (503, "unavailable")


def test_the_front_door_says_where_things_are(client: httpx2.Client) -> None:
    body = client.get("/").json()

    for place in ("docs", "openapi", "health"):
        assert client.get(body[place]).status_code == 200


def test_the_docs_page_needs_nothing_from_elsewhere_and_runs_no_inline_script(service: Service) -> None:
    with service.client_with(None) as stranger:
        page = stranger.get("/docs")
        needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        answers = {place: stranger.get(f"/{place}") for place in needed if not place.startswith("data:")}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<script>|<style>| style=| on\w+=", page.text)
    assert set(answers) == {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/docs.js", "openapi.json"}
    assert {answer.status_code for answer in answers.values()} == {200}


def test_behind_a_prefix_every_address_carries_it(tmp_path: Path) -> None:
    with Service(tmp_path / "data", root_path="/media") as service:
        accepted = service.client.post(ECHO, json={"message": 1}, headers={"prefer": "respond-async"})

        assert accepted.headers["location"].startswith("/media/v1/toolkit/job/status/")
        assert service.client.get("/").json()["docs"] == "/media/docs"
        assert service.client.get("/v1/toolkit/test").json()["response"].startswith(service.address + "/media/")


@pytest.mark.parametrize("path", [ECHO, STATUS, "/v1/files/upload"])
def test_a_browser_may_ask_before_it_calls_without_a_key(service: Service, path: str) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,content-type",
    }
    with service.client_with(None) as browser:
        answer = browser.options(path, headers=asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    for header in ("x-api-key", "content-type", "prefer", "idempotency-key"):
        assert header in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_browser_may_read_answers_and_refusals_and_the_headers_that_lead_on(service: Service) -> None:
    with service.client_with(None) as browser:
        refused = browser.post(STATUS, headers={"origin": ORIGIN})
        nowhere = browser.get("/nope", headers={"origin": ORIGIN})

    for answer in (refused, nowhere):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Location" in answer.headers["access-control-expose-headers"]
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_where_origins_are_named_no_other_may_read(narrow: Service) -> None:
    ours = narrow.client.post(STATUS, headers={"origin": ORIGIN})
    other = narrow.client.post(STATUS, headers={"origin": "https://evil.example.com"})

    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in other.headers
    assert "Origin" in other.headers["vary"]


def test_no_key_and_no_body_ever_stands_in_the_log(service: Service) -> None:
    service.bug = RuntimeError("on purpose")

    with capture_logs() as lines, service.client_with(BOB_KEY) as bob:
        bob.get("/health")
        bob.post(ECHO, json={"message": "my secret"}, headers={"prefer": "respond-async"})
        bob.post(ECHO, json={"message": "my secret", "wrong": 1})

    assert lines
    assert "my secret" not in str(lines)
    assert BOB_KEY not in str(lines)
