"""A real service as its users have it: a process of its own, a data directory, a webhook receiver next door."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx2
import psutil

KEY = "acceptance-key"
PROJECT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Receiver:
    """Takes webhooks, answers as told, and remembers them."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.paths: list[str] = []
        self._statuses = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((headers, json.loads(body)))
                receiver.paths.append(self.path)
                self.send_response(receiver._statuses.pop(0) if receiver._statuses else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?state=a%20b&x=1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def ids_by_job(self) -> dict[str, set[str]]:
        ids: dict[str, set[str]] = {}
        for headers, body in self.got:
            ids.setdefault(body["job_id"], set()).add(headers["webhook-id"])
        return ids


class Running:
    """The service in its own process. `command` is what follows `python`."""

    def __init__(self, data: Path, *command: str, port: int | None = None, **environment: str) -> None:
        self.data, self.port = data, port or free_port()
        self._command = list(command) or ["-m", "jobreel", "serve", "--port", str(self.port)]
        self.environment = {
            "PATH": os.environ["PATH"],
            "API_KEY": KEY,
            "JOBREEL_DATA_DIR": str(data),
            "JOBREEL_ALLOW_NETWORKS": "127.0.0.1/32",
            "JOBREEL_SLOTS": "2",
            "JOBREEL_LOG": "json",
            **environment,
        }
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.log = self.data.with_name(f"{self.data.name}-{self.port}-{time.monotonic_ns()}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, *self._command],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.client = httpx2.Client(base_url=self.url, headers={"x-api-key": KEY}, timeout=60, trust_env=False)
        until(self.is_up, "the service to start", 30)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.close()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return self.client.get("/health").status_code in {200, 503}
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        """kill -9 of the service alone: its children must go with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def submit(self, job_type: str, **request: Any) -> str:
        answer = self.client.post(f"/v1/{job_type}", json=request, headers={"prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = self.client.post("/v1/files/upload", files={"file": (path.name, file)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"])

    def states(self, since: float | None = None) -> dict[str, str]:
        body = {} if since is None else {"since_seconds": since}
        answer = self.client.post("/v1/toolkit/jobs/status", json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()["response"]
        assert isinstance(found, dict)
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.post("/v1/toolkit/job/status", json={"job_id": job_id}).json()
        assert isinstance(answer, dict)
        return answer

    def all_done(self, job_ids: list[str], seconds: float = 120) -> None:
        wanted = set(job_ids)

        def done() -> bool:
            states = self.states()
            return all(states.get(job_id) == "done" for job_id in wanted)

        until(done, "all jobs to be done", seconds)

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))


def until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that sends no word, bounded."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def processes_of(ledger_id: str) -> list[str]:
    """Command lines of all processes that attempts of this ledger started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("JOBREEL_MARK", "").startswith(ledger_id):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def stray_files(data: Path, referred: set[str]) -> list[Path]:
    """Files in scratch and store that no job's answer refers to (by the artifact id in its link)."""
    scratch = [path for path in (data / "scratch").rglob("*") if path.is_file()]
    kept = [path for path in (data / "artifacts").rglob("*") if path.is_file()]
    return scratch + [path for path in kept if not referred.intersection(path.parts)]
