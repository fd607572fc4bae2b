"""A service under measurement: a process and a data directory of its own, on 127.0.0.1, with two slots."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import NotMeasured

HOST = "127.0.0.1"
SLOTS = 2
STARTS_WITHIN_SECONDS = 60.0
STOPS_WITHIN_SECONDS = 30.0
CALL_SECONDS = 60.0
POLL_SECONDS = 0.05
ASYNC = {"prefer": "respond-async"}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is up: where it listens and who may call."""

    pid: int
    port: int
    key: str
    data: Path

    def request(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None, key: str | None = None
    ) -> bytes:
        """A POST as bytes, to be sent as it is, many times."""
        content = b"" if body is None else msgspec.json.encode(body)
        fields = {
            "host": f"{HOST}:{self.port}",
            "x-api-key": key or self.key,
            "content-type": "application/json",
            "content-length": str(len(content)),
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content

    def call(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Any:
        """One call and its answer. Raises `NotMeasured` for what is no success."""
        said = {"content-type": "application/json", **(headers or {})}
        return self._call(path, msgspec.json.encode(body), said)

    def upload(self, file: Path) -> str:
        """The address under which the service now knows this file."""
        edge = secrets.token_hex(16)
        head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
        body = head.encode() + file.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        answer = self._call("/v1/files/upload", body, {"content-type": f"multipart/form-data; boundary={edge}"})
        return str(answer["url"])

    def _call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=CALL_SECONDS)
        try:
            connection.request("POST", path, body, {"x-api-key": self.key, **headers})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status not in {200, 202}:
            raise NotMeasured(f"POST {path} was answered {answer.status}: {content[:500].decode()}")
        return msgspec.json.decode(content)


@contextmanager
def service(data: Path, *options: str, module: str = "jobreel", **settings: str) -> Iterator[Service]:
    """A service that is up while the block runs. `settings` are environment variables."""
    port, key, log = _free_port(), secrets.token_hex(16), data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", module, "serve", "--port", str(port), *options]
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command, env=_environment(data, key, settings), stdin=subprocess.DEVNULL, stdout=lines, stderr=lines
        )
    try:
        _wait_until_up(process, port, log)
        yield Service(process.pid, port, key, data)
    finally:
        _stop(process)


def _environment(data: Path, key: str, settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("JOBREEL_", "MAX_QUEUE"))
    }
    return {
        **inherited,
        "API_KEY": key,
        "JOBREEL_DATA_DIR": str(data),
        "JOBREEL_SLOTS": str(SLOTS),
        "JOBREEL_DRAIN": "1",
        "JOBREEL_LOG": "json",
        **settings,
    }


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not _is_up(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotMeasured(f"the service did not start; its last words:\n{log.read_text()[-2000:]}")
        time.sleep(POLL_SECONDS)


def _is_up(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=STARTS_WITHIN_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
