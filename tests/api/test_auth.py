"""Keys: who may call, what everybody else is told, and what happens to those who guess."""

import socket

import httpx2
import pytest
from tests.api.service import BOB_KEY, ECHO, OWNER_KEY, Service

from jobreel.core.keys import MAX_WRONG_KEYS

STATUS = "/v1/toolkit/jobs/status"
AUTHENTICATE = ["/v1/toolkit/authenticate", "/authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        {"x-api-key": OWNER_KEY},
        {"X-API-KEY": OWNER_KEY},
        {"Authorization": f"Bearer {OWNER_KEY}"},
        {"authorization": f"bearer {OWNER_KEY}"},
        {"x-api-key": "", "authorization": f"Bearer {OWNER_KEY}"},
    ],
)
def test_a_key_is_taken_from_either_header(service: Service, header: dict[str, str]) -> None:
    with service.client_with(None) as client:
        answer = client.post(STATUS, headers=header)

    assert answer.status_code == 200


def test_a_key_that_is_not_ascii_works(service: Service) -> None:
    with service.client_with(BOB_KEY) as bob:
        assert bob.post(STATUS).status_code == 200


@pytest.mark.parametrize("key", [b"wrong", "schlüssel".encode(), "schlüssel".encode("latin-1"), b"\xff\xfe"])
def test_a_wrong_key_is_told_so(service: Service, key: bytes) -> None:
    with service.client_with(None) as client:
        answer = client.post(STATUS, headers=[(b"x-api-key", key)])

    assert answer.status_code == 401
    body = answer.json()
    assert body["message"] == "Unauthorized"
    assert body["code"] == 401
    assert "x-api-key" in body["hint"]
    assert "not known" in body["hint"]
    assert body["error"]["type"] == "unauthorized"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", [{}, {"x-api-key": ""}, {"authorization": "Basic b3duZXI6a2V5"}])
def test_a_missing_key_is_told_apart_from_a_wrong_one(service: Service, header: dict[str, str]) -> None:
    with service.client_with(None) as client:
        answer = client.post(STATUS, headers=header)

    assert answer.status_code == 401
    assert "carried none" in answer.json()["hint"]


def test_the_key_is_checked_before_the_body_is_read(service: Service) -> None:
    request = f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()

    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(request)  # and nothing of the announced body
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", AUTHENTICATE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_authenticate_says_that_a_key_is_right(client: httpx2.Client, path: str, method: str) -> None:
    body = client.request(method, path).json()

    assert body["code"] == 200
    assert body["response"] == "Authorized"
    assert body["endpoint"] == "/authenticate"
    assert body["message"] == "success"


@pytest.mark.parametrize("path", AUTHENTICATE)
def test_authenticate_refuses_a_wrong_key_in_a_full_envelope(service: Service, path: str) -> None:
    with service.client_with("wrong") as client:
        answer = client.get(path)

    body = answer.json()
    assert answer.status_code == body["code"] == 401
    assert body["message"] == "Unauthorized"
    assert body["response"] is None
    assert body["endpoint"] == "/authenticate"
    assert {"job_id", "pid", "queue_id", "run_time", "queue_length", "build_number", "error"} <= body.keys()
    assert "www-authenticate" in answer.headers


def test_an_address_that_guesses_keys_is_slowed_down(service: Service) -> None:
    with service.client_with(None) as stranger:
        refused = [stranger.post(STATUS, headers={"x-api-key": f"guess {n}"}) for n in range(MAX_WRONG_KEYS + 1)]

    assert [answer.status_code for answer in refused] == [401] * MAX_WRONG_KEYS + [429]
    assert int(refused[-1].headers["retry-after"]) > 0
    assert refused[-1].json()["error"]["type"] == "too_many_attempts"


def test_a_guesser_does_not_lock_out_a_caller_behind_the_same_address(service: Service) -> None:
    assert service.client.post(STATUS).status_code == 200
    with service.client_with(None) as stranger:
        for n in range(MAX_WRONG_KEYS + 1):
            stranger.post(STATUS, headers={"x-api-key": f"guess {n}"})

        assert service.client.post(STATUS).status_code == 200
        # A right key that was never used before tells the guesser nothing.
        assert stranger.post(STATUS, headers=[(b"x-api-key", BOB_KEY.encode())]).status_code == 429


def test_a_misconfigured_client_that_repeats_one_wrong_key_is_always_told_the_same(service: Service) -> None:
    with service.client_with("old key") as client:
        answers = {client.post(STATUS).status_code for _ in range(MAX_WRONG_KEYS * 2)}

    assert answers == {401}
