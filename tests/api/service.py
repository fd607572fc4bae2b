"""The whole edge as clients meet it: real sockets, the real server, a real ledger and store, no workers."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2
import uvicorn
import uvloop

from jobreel.api.app import ApiOptions, Edge, create_app
from jobreel.api.health import HealthReport
from jobreel.core.artifact import Links
from jobreel.core.envelope import Deployment
from jobreel.core.errors import DiskFull
from jobreel.core.job import Conclusion, Lease
from jobreel.core.keys import Keyring
from jobreel.core.service import Toolkit
from jobreel.core.waiters import Waiters
from jobreel.jobs import registry
from jobreel.jobs.toolkit import echo  # noqa: F401 - importing it registers it
from jobreel.store.artifacts import FolderStore
from jobreel.store.ledger import SqlLedger
from jobreel.store.sqlite import SqliteEngine
from jobreel.workers import loops

OWNER_KEY = "owner-key"
BOB_KEY = "böb's key"  # not ASCII: any bytes may be a key
ECHO = "/v1/toolkit/echo"
WORKER = "worker-of-the-test"
CATALOGUE = {"toolkit/echo": registry._registered["toolkit/echo"]}  # one job type shows what the edge does with all
MAX_OUTPUT_BYTES = 1024 * 1024

Result = TypeVar("Result")


class Service:
    """Runs in a thread of its own; `client` calls it with the owner's key."""

    def __init__(
        self,
        folder: Path,
        *,
        options: ApiOptions | None = None,
        max_queue_length: int = 0,
        max_waiters: int = 10,
        root_path: str = "",
    ) -> None:
        self.folder, self._max_queue_length, self._max_waiters = folder, max_queue_length, max_waiters
        self.options, self._root_path = options or ApiOptions(max_upload=1024 * 1024), root_path
        self.healthy, self.disk_full = True, False
        self.bug: Exception | None = None  # raised where the service asks for its health
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(30)
        self.client = self.client_with(OWNER_KEY)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def client_with(self, key: str | None) -> httpx2.Client:
        headers = [] if key is None else [(b"x-api-key", key.encode())]
        return httpx2.Client(base_url=self.address, headers=headers, trust_env=False, timeout=30)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run it where the service runs."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def claim(self) -> Lease:
        """Take the next job as a worker would, once there is one."""

        async def claimed() -> Lease:
            changed = self.ledger.subscribe()
            while not (leases := await self.ledger.claim(WORKER, 1)):
                await changed.wait()
                changed.clear()
            return leases[0]

        return self.run(claimed())

    def finish(self, lease: Lease, conclusion: Conclusion) -> None:
        self.run(self.ledger.finish(lease, conclusion))

    def submit(self, message: object = "hello", **headers: str) -> str:
        """The id of a job that nobody waits for."""
        answer = self.client.post(ECHO, json={"message": message}, headers={"prefer": "respond-async", **headers})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def _run(self) -> None:
        with self._socket:
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._serve())
            except BaseException as error:
                if self._ready.done():
                    raise
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ledger = SqlLedger(SqliteEngine(self.folder), max_queue_length=self._max_queue_length)
        self.ledger.worker_started(WORKER, {})
        self.waiters = Waiters(self.ledger, self._max_waiters)
        telling = loops.begin("waiters", self.waiters.turn)
        self.app = self._make_app()
        config = uvicorn.Config(
            self.app, lifespan="off", log_config=None, access_log=False, root_path=self._root_path
        )
        self._server = _Announcing(config, self._ready)
        await self._server.serve([self._socket])
        self.waiters.stop()
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        self.ledger.close()

    def _make_app(self) -> Edge:
        identity = self.ledger.identity
        self.store = FolderStore(self.folder / "artifacts", max_output_bytes=MAX_OUTPUT_BYTES)
        self.store.prepare()
        self.links = Links(self.address + self._root_path, identity.link_secret)
        here = Deployment(4711, identity.queue_id, "1.2.3", self._max_queue_length)
        toolkit = Toolkit(
            self.ledger, self.store, self.waiters, self.links, here, self._check_webhook, self._check_room
        )
        keyring = Keyring(OWNER_KEY, {"bob": BOB_KEY})
        return create_app(toolkit, CATALOGUE, keyring, self.options, self._health, self.store.path)

    async def _check_webhook(self, url: str) -> str | None:
        return "not reachable from here" if "127.0.0.1" in url else None

    def _check_room(self) -> None:
        if self.disk_full:
            raise DiskFull("Too little room left", hint="Make some.")

    async def _health(self) -> HealthReport:
        if self.bug is not None:
            raise self.bug
        return HealthReport(self.healthy, {"workers": 1})


def until(condition: Callable[[], bool], within_seconds: float = 20) -> None:
    """Return as soon as it holds."""
    give_up_at = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it never happened"
        time.sleep(0.01)


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Future[None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set_result(None)
