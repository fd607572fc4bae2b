"""Trouble around a running service: its disk, its directory, its receivers, its sources, its callers."""

import json
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from standardwebhooks import Webhook
from tests.acceptance.running import Receiver, Running, free_port, until
from tests.clips import Clips

pytestmark = pytest.mark.slow
STATUS = "/v1/toolkit/jobs/status"


def test_the_data_directory_may_be_taken_away_and_put_back_while_it_runs(tmp_path: Path, clips: Clips) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    with Running(data) as service:
        source = service.upload(clips["long.mp4"])
        running = service.submit("media/convert", media_url=source, format="mkv", video_preset="veryslow")
        until(lambda: service.states()[running] == "running", "the job to run")

        data.rename(away)
        gone = service.client.post(STATUS)
        refused = service.client.post("/v1/toolkit/echo", json={"message": 1})
        upload = service.client.post("/v1/files/upload", files={"file": ("a.txt", b"a")})
        data.mkdir()
        empty = service.client.post(STATUS)
        assert list(data.iterdir()) == [], "nothing is made anew"
        data.rmdir()
        away.rename(data)

        assert (gone.status_code, gone.json()["message"], gone.json()["response"]) == (
            404, "Jobs directory not found", None,
        )  # fmt: skip
        assert (refused.status_code, upload.status_code) == (503, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert empty.status_code == 404
        assert service.client.get("/health").status_code == 200
        after = service.submit("toolkit/echo", message="after")
        service.all_done([running, after])
        assert service.job(running)["status"] == "completed"
        assert service.job(after)["status"] == "completed"


def test_a_data_directory_put_back_as_a_copy_is_taken_up_without_a_restart(tmp_path: Path, clips: Clips) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    with Running(data) as service:
        source = service.upload(clips["sound.mp4"])
        before = service.submit("video/thumbnail", video_url=source)
        service.all_done([before])
        shutil.copytree(data, copy)
        shutil.rmtree(data)
        assert service.client.post(STATUS).status_code == 404
        copy.rename(data)

        after = service.submit("video/thumbnail", video_url=source)
        service.all_done([before, after])

        for job_id in (before, after):
            assert service.job(job_id)["status"] == "completed"
            link = service.job(job_id)["response"]["response"]["response"]
            assert service.client.get(link).status_code == 200


def test_a_removed_data_directory_is_told_and_never_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Running(data) as service:
        service.all_done([service.submit("toolkit/echo", message=1)])
        shutil.rmtree(data)

        assert service.client.post(STATUS).status_code == 404
        assert service.client.post("/v1/toolkit/echo", json={"message": 1}).status_code == 503
        assert service.client.get("/health").status_code == 503
        assert not data.exists()


@contextmanager
def small_disk(tmp_path: Path) -> Iterator[list[str]]:
    """The start of a command whose processes see a 40 MB disk at `tmp_path/data`."""
    (tmp_path / "data").mkdir()
    mount = f'mount -t tmpfs -o size=40m,mode=700 tmpfs "{tmp_path}/data" && exec "$0" "$@"'
    wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount]
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this host lets nobody mount a small disk")
    yield wrapper


def fill_up(service: Running) -> None:
    """Upload files, smaller and smaller, until not even 20 kB fit."""
    for size in (5_000_000, 500_000, 20_000):
        while service.client.post("/v1/files/upload", files={"file": ("x", b"x" * size)}).status_code == 200:
            pass


def test_on_a_full_disk_work_fails_with_the_reason_and_the_monitor_goes_on(tmp_path: Path, clips: Clips) -> None:
    with small_disk(tmp_path) as wrapper:
        port = free_port()
        start = f"import os, sys; os.execvp('unshare', {wrapper!r} + [sys.executable] + sys.argv[1:])"
        command = ["-c", start, "-m", "jobreel", "serve", "--port", str(port)]
        with Running(tmp_path / "data", *command, port=port, JOBREEL_DISK_FLOOR="0") as service:
            source = service.upload(clips["sound.mp4"])
            before = service.submit("toolkit/echo", message=1)
            service.all_done([before])
            big = service.client.post("/v1/files/upload", files={"file": ("big.bin", b"x" * 60_000_000)})
            fill_up(service)

            job = service.client.post("/v1/media/convert", json={"media_url": source, "format": "wav"})

            for refused in (big, job):
                assert (refused.status_code, refused.json()["error"]["type"]) == (507, "disk_full")
            assert before in service.states()
            assert service.client.get(source).content == clips["sound.mp4"].read_bytes()


def test_below_the_floor_no_work_is_accepted(tmp_path: Path) -> None:
    with Running(tmp_path / "data", JOBREEL_DISK_FLOOR="1000TB") as service:
        refused = service.client.post("/v1/toolkit/echo", json={"message": 1})

        assert (refused.status_code, refused.json()["error"]["type"]) == (507, "disk_full")
        assert service.states() == {}


def test_a_webhook_is_signed_keeps_its_query_and_comes_again_until_it_is_taken(tmp_path: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with Receiver(404, 500) as receiver, Running(tmp_path / "data", JOBREEL_WEBHOOK_SECRET=secret) as service:
        job_id = service.submit("toolkit/echo", message={"a": [1, "ü"]}, id="order-7", webhook_url=receiver.url)
        until(lambda: len(receiver.got) == 3, "the third try")

    bodies = [body for _, body in receiver.got]
    assert bodies[0] == bodies[1] == bodies[2]
    assert (bodies[0]["job_id"], bodies[0]["id"], bodies[0]["response"]) == (job_id, "order-7", {"a": [1, "ü"]})
    assert len(receiver.ids_by_job()[job_id]) == 1
    assert set(receiver.paths) == {"/hook?state=a%20b&x=1"}
    headers, body = receiver.got[-1]
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    assert Webhook(secret).verify(raw, headers) == body


def test_a_receiver_that_never_answers_holds_up_nobody(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    with Receiver() as receiver, Running(tmp_path / "data") as service, silent:
        for _ in range(40):
            service.submit("toolkit/echo", message=1, webhook_url=silent_url)
        job_id = service.submit("toolkit/echo", message=2, webhook_url=receiver.url)

        until(lambda: job_id in receiver.ids_by_job(), "the webhook to the one that answers", 10)
        assert max(tries_of_webhooks(service.data)) <= 1, "waiting for a turn is no try"


def tries_of_webhooks(data: Path) -> list[int]:
    ledger = sqlite3.connect(f"file:{data}/ledger/jobreel.sqlite3?mode=ro", uri=True)
    try:
        return [tries for (tries,) in ledger.execute("SELECT tries FROM deliveries")]
    finally:
        ledger.close()


def test_a_webhook_that_may_not_be_sent_does_not_refuse_the_job(tmp_path: Path) -> None:
    with Running(tmp_path / "data", JOBREEL_ALLOW_NETWORKS="") as service:
        request = {"message": 1, "webhook_url": "http://127.0.0.1:9/dummy"}
        answer = service.client.post("/v1/toolkit/echo", json=request)

        assert answer.status_code == 202
        assert "JOBREEL_ALLOW_NETWORKS" in answer.json()["warnings"][0]
        service.all_done([answer.json()["job_id"]])
        assert service.job(answer.json()["job_id"])["status"] == "completed"


def test_fifty_idle_connections_do_not_disturb(tmp_path: Path) -> None:
    with Running(tmp_path / "data") as service:
        idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(50)]

        answer = service.client.post("/v1/toolkit/echo", json={"message": "still here"})

        assert answer.json()["response"] == "still here"
        for connection in idle:
            connection.close()


def test_what_is_not_even_http_is_answered_in_json(tmp_path: Path) -> None:
    with Running(tmp_path / "data") as service, socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.sendall(b"BREW /coffee SPDY/9\r\n\r\n")

        answer = b"".join(iter(lambda: raw.recv(4096), b""))

        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["error"]["type"] == "bad_request"


@pytest.fixture
def stalling() -> Iterator[str]:
    """A source that promises a megabyte, sends a little, and then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nxxxx")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/clip.mp4"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in connections:
        connection.close()


def test_a_source_that_stalls_is_given_up_and_told(tmp_path: Path, stalling: str) -> None:
    with Running(tmp_path / "data", JOBREEL_FETCH_READ="0.5") as service:
        answer = service.client.post("/v1/media/metadata", json={"media_url": stalling})

        assert (answer.status_code, answer.json()["error"]["type"]) == (424, "source_unreachable")
        assert answer.json()["error"]["step"] == "fetch"


def test_two_callers_see_nothing_of_each_other(tmp_path: Path) -> None:
    keys = "ann:key-of-ann-0123456789,bob:key-of-bob-0123456789"
    with Running(tmp_path / "data", JOBREEL_API_KEYS=keys) as service:
        ann = httpx2.Client(base_url=service.url, headers={"x-api-key": "key-of-ann-0123456789"}, trust_env=False)
        bob = httpx2.Client(base_url=service.url, headers={"x-api-key": "key-of-bob-0123456789"}, trust_env=False)
        with ann, bob:
            job_id = ann.post("/v1/toolkit/echo", json={"message": "mine"}).json()["job_id"]

            assert set(ann.post(STATUS).json()["response"]) == {job_id}
            assert bob.post(STATUS).json()["response"] == {}
            assert bob.post("/v1/toolkit/job/status", json={"job_id": job_id}).status_code == 404
        assert set(service.states()) == {job_id}, "the owner sees everything"


def test_a_second_service_on_the_same_data_directory_shares_the_work(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Running(data) as first, Running(data) as second:
        jobs = [(first, second)[number % 2].submit("toolkit/echo", message=number) for number in range(20)]

        first.all_done(jobs)

        answer = first.client.post("/v1/toolkit/echo", json={"message": "waited for"})
        assert answer.json()["response"] == "waited for"
        assert set(first.states()) == set(second.states())
